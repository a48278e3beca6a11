/** The machine and the program that look: versions, and clocks that go as clocks should. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

import { wireVersionMax, wireVersionMin } from "../../core/wire-version.ts";
import { programVersion } from "../../runtime/program-version.ts";
import { packageRoot } from "../package-root.ts";
import { duration } from "../terminal/numbers.ts";
import { fine, problem, warning, type Finding } from "./finding.ts";

const of = "this machine";
const watchedMs = 200;
/** A wall clock that is only slewed moves by less in that time; one that is set moves by more. */
const steppedMs = 20;
/** A shorter pause is nothing but a busy machine. */
const stalledMs = 150;

/** `required`: the lowest version of Node, like `20.19`. */
export function programFindings(node: string, required: string): Finding[] {
  const what = `quorate ${programVersion} on Node ${node}, ${process.platform} ${process.arch}; wire versions ${wireVersionMin} to ${wireVersionMax}`;
  if (isAtLeast(node, required)) return [fine(of, what)];
  return [problem(of, `${what}; Node ${required} or newer is needed`, "Install a newer Node.")];
}

export function requiredNode(): string {
  const { engines } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as {
    readonly engines: { readonly node: string };
  };
  return engines.node.replace(">=", "");
}

function isAtLeast(version: string, required: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = required.split(".").map(Number);
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

/** How far both clocks went while a timer of `watchedMs` ran. */
export interface ClockWatch {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export async function watchClocks(): Promise<ClockWatch> {
  const [wallMs, monotonicMs] = [Date.now(), performance.now()];
  await setTimeout(watchedMs);
  return { wallMs: Date.now() - wallMs, monotonicMs: performance.now() - monotonicMs };
}

export function clockFindings({ wallMs, monotonicMs }: ClockWatch): Finding[] {
  const findings: Finding[] = [];
  const moved = wallMs - monotonicMs;
  if (Math.abs(moved) > steppedMs) {
    const what = `the wall clock was moved by ${duration(Math.abs(moved))} while it was looked at`;
    findings.push(
      warning(of, what, "Have it synchronised steadily (chrony, systemd-timesyncd), and set by nobody else."),
    );
  }
  const late = monotonicMs - watchedMs;
  if (late > stalledMs) {
    const what = `a timer came ${duration(late)} late: the machine, or this process, stood still`;
    findings.push(
      warning(of, what, "Give the agents more of the machine: a leader that stands still is replaced."),
    );
  }
  return findings.length > 0 ? findings : [fine(of, "the wall clock and the monotonic clock go together")];
}
