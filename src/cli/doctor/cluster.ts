/** What the agents of a cluster say, compared: who is there, in which version, and whether they reach each other. */
import { counted, duration } from "../terminal/numbers.ts";
import type { AgentView } from "./ask.ts";
import { syncFinding } from "./disk.ts";
import { fine, problem, warning, type Finding } from "./finding.ts";
import { grouped } from "./grouped.ts";

const of = "agents";
/** Decided entries carry the leader's time: with more, it makes a visible leap when another one leads. */
const aheadMsMax = 500;

export function clusterFindings(views: readonly AgentView[]): Finding[] {
  const running = views.filter(({ report }) => report !== undefined);
  if (running.length === 0) return noneAnswers(views);
  return [
    ...absent(views, running),
    ...strangers(running),
    ...versions(running),
    ...brokenLinks(running),
    ...clocks(running),
    ...hungDisks(running),
    ...running.flatMap(({ id, report }) => {
      if (report?.syncs === undefined) return [];
      return [syncFinding(of, report.syncs, `the newest ${report.syncs.count} of its journal`, `${id}: `)];
    }),
  ];
}

/** Whoever names an agent by its address wants it to be there; a folder can be looked at while its agent is stopped. */
function noneAnswers(views: readonly AgentView[]): Finding[] {
  const elsewhere = views.filter(({ isLocal }) => !isLocal);
  if (elsewhere.length > 0 && elsewhere.length === views.length) {
    return elsewhere.map((view) =>
      problem(of, doesNotAnswer(view), "Check the address; start the agent, or see its log if it runs."),
    );
  }
  return [
    warning(of, "none of them answers, so what they decide was not looked at", "Start them: quorate up"),
  ];
}

function doesNotAnswer({ id, address, why }: AgentView): string {
  const who = id === address ? address : `${id} at ${address}`;
  return `${who} does not answer${why === "" ? "" : `: ${withoutStop(why)}`}`;
}

function absent(views: readonly AgentView[], running: readonly AgentView[]): Finding[] {
  const elsewhere = views.filter(({ report, isLocal }) => report === undefined && !isLocal);
  return [
    fine(of, `${running.length} of ${counted(views.length, "agent")} answer`),
    ...elsewhere.map((view) => warning(of, doesNotAnswer(view), "Start it, or see its log if it runs.")),
  ];
}

function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, "");
}

/** Agents of another cluster, where agents of this one are looked for. */
function strangers(running: readonly AgentView[]): Finding[] {
  const byCluster = grouped(
    running.filter(({ report }) => report?.cluster !== undefined),
    ({ report }) => report?.cluster ?? "",
  );
  if (byCluster.size < 2) return [];
  const parts = [...byCluster].map(([cluster, those]) => `${names(those)} to ${cluster}`);
  const toDo =
    "Check the addresses in cluster.json, and stop those that don't belong here: they never agree on anything.";
  return [problem(of, `they belong to several clusters: ${parts.join("; ")}`, toDo)];
}

function versions(running: readonly AgentView[]): Finding[] {
  const byVersion = grouped(running, ({ report }) => report?.version ?? "an earlier version");
  const byWire = grouped(running, ({ report }) => report?.wireVersionMax ?? 1);
  const findings: Finding[] = [];
  const upgrade = "Finish the upgrade, one agent after the other: docs/operations.md";
  if (byVersion.size > 1) {
    const parts = [...byVersion].map(([version, those]) => `${names(those)} ${version}`);
    findings.push(warning(of, `they run different programs: ${parts.join("; ")}`, upgrade));
  }
  const newest = Math.max(...byWire.keys());
  for (const [version, those] of byWire) {
    if (version === newest) continue;
    const what = `${names(those)} speaks version ${version} of the wire only; what came later can't be used until then`;
    findings.push(warning(of, what, upgrade));
  }
  if (findings.length > 0) return findings;
  const [version = ""] = byVersion.keys();
  return [fine(of, `all run ${version}, and speak version ${newest} of the wire`)];
}

/** Links that are down although both ends answer. */
function brokenLinks(running: readonly AgentView[]): Finding[] {
  const here = new Set(running.map(({ id }) => id));
  const broken = running.flatMap(({ id, report }) =>
    (report?.links ?? []).flatMap((link) =>
      !link.up && here.has(link.id) && id < link.id ? [`${id} and ${link.id}`] : [],
    ),
  );
  if (broken.length === 0) return [fine(of, "they reach each other")];
  const toDo =
    "Both run: check their addresses in cluster.json, and their logs. Just after a start it takes a moment.";
  return broken.map((pair) => problem(of, `no link between ${pair}`, toDo));
}

function clocks(running: readonly AgentView[]): Finding[] {
  const wrong = running.filter(({ aheadMs }) => Math.abs(aheadMs) > aheadMsMax);
  if (wrong.length === 0) return [fine(of, "their wall clocks agree with this machine's")];
  const toDo =
    "Synchronise the clocks (chrony, systemd-timesyncd). Nothing decided is at risk; the logged time is wrong.";
  return wrong.map(({ id, aheadMs }) =>
    warning(
      of,
      `the wall clock of ${id} is ${duration(Math.abs(aheadMs))} ${aheadMs > 0 ? "ahead" : "behind"}`,
      toDo,
    ),
  );
}

/** The times of its syncs say nothing of the one that does not end. */
function hungDisks(running: readonly AgentView[]): Finding[] {
  return running.flatMap(({ id, report }) => {
    if (report?.diskHangsMs === undefined) return [];
    const what = `the disk of ${id} hangs: a sync has been under way for ${duration(report.diskHangsMs)}`;
    const toDo =
      "Until it ends that agent acknowledges nothing and does not lead; the others go on, and it catches up by itself. See what holds the disk up.";
    return [problem(of, what, toDo)];
  });
}

function names(views: readonly AgentView[]): string {
  return views.map(({ id }) => id).join(", ");
}
