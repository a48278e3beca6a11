/** Goal: what `npm start` claims, it shows. Method: without a terminal, end to end; its lines are compared, its exit code is 0. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { Workplace, allGone, leftBehind, root } from "./harness.ts";

const lines = [
  /^▸ 4 agents, 4 processes, data in \.quorate\/ +pids (\d+) (\d+) (\d+) (\d+)$/,
  /^✔ agent_\d leads, term \d+ +elected in [\d.]+ m?s$/,
  /^▸ 1,000 decisions from .*examples\/decisions\.jsonl, sent to agent_\d \(a follower\)$/,
  /^ {2}████████░░░░░░░░ {2}500\/1000 +p50 [\d.]+ m?s {2}p99 [\d.]+ m?s {2}fsync on$/,
  /^✖ kill -9 \d+ +the leader, mid-write$/,
  /^✔ agent_\d leads, term \d+ +no leader for [\d.]+ m?s; \d+ calls? retried$/,
  /^ {2}████████████████ 1000\/1000 +acknowledged 1000, unknown 0$/,
  /^▸ agent_\d restarts from its journal +caught up [\d,]+ entr(y|ies) in [\d.]+ m?s$/,
  /^✔ all 4 agents: 1000 once, in order +sha256 [0-9a-f]{8} on each$/,
  /^▸ a retry of request 731 +same answer, applied once$/,
  /^▸ two agents stopped: put refused +NO_QUORUM, as it must be; resumed$/,
];

describe("the tour", { timeout: 90_000 }, () => {
  test("without a terminal: plain lines, every claim holds, nothing is left", async () => {
    await using place = new Workplace();
    const tour = await place.run(["tour"]);
    expect(tour.stderr).toBe("");
    const shown = tour.stdout.trimEnd().split("\n");
    expect(shown).toHaveLength(lines.length);
    for (const [at, line] of lines.entries()) expect(shown[at]).toMatch(line);
    expect(tour.code).toBe(0);
    const pids = (lines[0]!.exec(shown[0] ?? "") ?? []).slice(1).map(Number);
    await allGone(pids, 1000);
    expect(leftBehind(join(place.folder, ".quorate"))).toEqual([]);
  });

  test("it is what npm start runs", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      scripts: { start: string };
    };
    expect(scripts.start).toContain("node dist/cli/main.js tour");
  });

  test("a second time in the same folder: it goes on, says so, and its decisions are new ones; Ctrl-C ends it at once", async () => {
    await using place = new Workplace();
    // A shorter one is as good here.
    const few = readFileSync(join(root, "examples/decisions.jsonl"), "utf8")
      .split("\n")
      .slice(0, 100)
      .join("\n");
    writeFileSync(join(place.folder, "few.jsonl"), few);
    const first = await place.run(["tour", "--file", "few.jsonl", "--json"]);
    expect(first.code).toBe(0);
    const second = place.start(["tour", "--file", "few.jsonl", "--json"]);
    await second.shows(/"step":"checked","agents":4,"decisions":100/);
    expect(second.stdout).toContain('"continued":true');
    const [started = ""] = second.stdout.split("\n");
    const { pids } = JSON.parse(started) as { pids: number[] };
    expect(await second.end("SIGINT")).toBe(130);
    expect(second.stderr).toBe("");
    await allGone(pids, 1000);
    expect(leftBehind(join(place.folder, ".quorate"))).toEqual([]);
  });

  test("agents of somebody else are left alone", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "1");
    const running = await place.run(["tour"]);
    expect(running.code).toBe(1);
    expect(running.stderr).toContain("running already");
    await up.end();
    const other = await place.run(["tour"]);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain("holds 1 agents, not 4");
  });
});
