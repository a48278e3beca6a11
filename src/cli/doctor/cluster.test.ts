/** What the agents of a cluster say of themselves, compared. */
import { describe, expect, test } from "vitest";
import type { AgentView } from "./ask.ts";
import { clusterFindings } from "./cluster.ts";
import { ills, running, silent } from "./test-views.ts";

test("agents that are well", () => {
  const findings = clusterFindings([running("a"), running("b"), running("c")]);
  expect(ills(findings)).toEqual([]);
  expect(findings.map(({ what }) => what)).toEqual([
    "3 of 3 agents answer",
    "all run 1.0.0, and speak version 2 of the wire",
    "they reach each other",
    "their wall clocks agree with this machine's",
  ]);
});

const slow = { count: 100, medianMs: 2, p99Ms: 30, maxMs: 80 };
const early = running("c");
const {
  version: _version,
  wireVersionMax: _wire,
  links: _links,
  cluster: _cluster,
  ...firstReport
} = early.report ?? { agent: "c", groups: [], agents: [] };

describe("not well:", () => {
  test.each<[name: string, views: AgentView[], ills: string[]]>([
    [
      "none answers",
      [silent("a"), silent("b")],
      ["warning: none of them answers, so what they decide was not looked at"],
    ],
    [
      "none answers of those that were asked for by their addresses",
      [silent("a", false)],
      ["problem: a at 127.0.0.1:7409 does not answer: No agent answers there"],
    ],
    [
      "a disk hangs",
      [running("a"), running("b", { report: { diskHangsMs: 27_300 } }), running("c")],
      ["problem: the disk of b hangs: a sync has been under way for 27.3 s"],
    ],
    [
      "one that is known by its address only does not answer; one with a folder here is spoken of there",
      [running("a"), silent("b", false), silent("c")],
      ["warning: b at 127.0.0.1:7409 does not answer: No agent answers there"],
    ],
    [
      "they belong to two clusters",
      [running("a"), running("b", { report: { cluster: "c2" } }), running("c")],
      ["problem: they belong to several clusters: a, c to c1; b to c2"],
    ],
    [
      "an upgrade is not finished",
      [running("a", { report: { version: "2.0.0", wireVersionMax: 3 } }), running("b"), running("c")],
      [
        "warning: they run different programs: a 2.0.0; b, c 1.0.0",
        "warning: b, c speaks version 2 of the wire only; what came later can't be used until then",
      ],
    ],
    [
      "one is of the first version, which says nothing of itself",
      [running("a"), running("b"), { ...early, report: firstReport }],
      [
        "warning: they run different programs: a, b 1.0.0; c an earlier version",
        "warning: c speaks version 1 of the wire only; what came later can't be used until then",
      ],
    ],
    [
      "two that answer do not reach each other",
      [running("a", { report: { links: [{ id: "b", up: false }] } }), running("b"), running("c")],
      ["problem: no link between a and b"],
    ],
    [
      "no link to one that does not answer is no news",
      [running("a", { report: { links: [{ id: "b", up: false }] } }), silent("b"), running("c")],
      [],
    ],
    [
      "a clock is off",
      [running("a"), running("b", { aheadMs: -7200 }), running("c", { aheadMs: 300 })],
      ["warning: the wall clock of b is 7.20 s behind"],
    ],
    [
      "an agent's own disk is slow",
      [running("a", { report: { syncs: slow } }), running("b"), running("c")],
      ["warning: a: a sync takes 2.0 ms, one in a hundred 30 ms (the newest 100 of its journal)"],
    ],
    [
      "few syncs, of which one was slow, say nothing",
      [running("a", { report: { syncs: { ...slow, count: 10 } } }), running("b"), running("c")],
      [],
    ],
  ])("%s", (_name, views, expected) => {
    expect(ills(clusterFindings(views))).toEqual(expected);
  });
});
