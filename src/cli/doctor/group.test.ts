/** Each thing that can be wrong with a group is found from what its members say, with the right weight, and nothing else is. */
import { describe, expect, test } from "vitest";
import type { AgentView } from "./ask.ts";
import { groupFindings } from "./group.ts";
import { ills, running, silent } from "./test-views.ts";

const all = [running("a"), running("b"), running("c")];

test("a group that is well", () => {
  const findings = groupFindings("main", all);
  expect(ills(findings)).toEqual([]);
  expect(findings.map(({ what }) => what)).toEqual([
    "a leads in term 3",
    "3 of 3 voters here, 2 needed: 1 may fail",
    "all have applied what is decided, up to 10, or nearly",
    "3 of them are at the same entry, with the same state",
  ]);
});

test("a group that nobody told of is not spoken of", () => {
  expect(groupFindings("other", all)).toEqual([]);
});

describe("not well:", () => {
  const follower = (id: string, status: Parameters<typeof running>[1]): AgentView => running(id, status);
  test.each<[name: string, views: AgentView[], ills: string[]]>([
    [
      "one voter is away",
      [running("a"), running("b"), silent("c")],
      ["warning: 2 of 3 voters here, 2 needed; missing: c"],
    ],
    [
      "one runs, and was not asked to host it",
      [running("a"), running("b"), { ...running("c", { report: { groups: [] } }), groups: new Map() }],
      [
        "warning: 2 of 3 voters here, 2 needed; missing: c",
        "problem: members that run without this group: c",
      ],
    ],
    [
      "too few are here",
      [running("a", { status: { role: "candidate" } }), silent("b"), silent("c")],
      ["problem: nobody leads in term 3", "problem: 1 of 3 voters here, 2 needed; missing: b, c"],
    ],
    [
      "a member that no agent is known of",
      [running("a"), running("b"), running("c")].map((view) =>
        running(view.id, { status: { members: ["a", "b", "c", "d", "e"] } }),
      ),
      ["warning: 3 of 5 voters here, 3 needed; missing: d, e"],
    ],
    [
      "while voters change, the old ones are too few",
      [running("a"), running("b"), silent("c")].map((view) =>
        view.report === undefined
          ? view
          : running(view.id, { status: { members: ["a", "b"], outgoing: ["b", "c", "d"] } }),
      ),
      ["problem: 1 of 3 outgoing voters here, 2 needed; missing: c, d"],
    ],
    [
      "nobody leads",
      all.map(({ id }) => running(id, { status: { role: "follower" } })),
      ["problem: nobody leads in term 3"],
    ],
    [
      "one is in an older term, and hears nobody",
      [running("a"), running("b"), follower("c", { status: { term: 2, lagMs: 9000 } })],
      ["warning: not in term 3: c in 2", "warning: c has heard nothing from a leader for 9.00 s"],
    ],
    [
      "an old leader that does not know yet is no second one",
      [running("a"), running("b", { status: { role: "leader", term: 2 } }), running("c")],
      ["warning: not in term 3: b in 2"],
    ],
    [
      "two lead in one term",
      [running("a"), running("b", { status: { role: "leader" } }), running("c")],
      ["problem: a, b all lead in term 3"],
    ],
    [
      "one is far behind",
      [
        running("a", { status: { committed: 5000, applied: 5000 } }),
        running("b", { status: { committed: 5000, applied: 5000 } }),
        running("c"),
      ],
      ["warning: c is 4,990 entries behind"],
    ],
    [
      "a disk is full",
      [running("a"), running("b", { status: { diskFull: true } }), running("c")],
      ["problem: the disk of b is full"],
    ],
    [
      "two members name others",
      [running("a"), running("b"), running("c", { status: { members: ["a", "b"], learners: ["c"] } })],
      ["warning: they do not agree on the members: a, b: a, b, c; c: a, b, c (learner)"],
    ],
    [
      "the same entries, and another state",
      [running("a"), running("b"), running("c", { status: { digest: "d2" } })],
      ["problem: after entry 10 their states differ: a, b: d1; c: d2"],
    ],
    [
      "other entries, and another state: nothing can be said",
      [running("a"), running("b", { status: { applied: 9, digest: "d0" } }), silent("c")],
      ["warning: 2 of 3 voters here, 2 needed; missing: c"],
    ],
    [
      "a learner is away",
      all.map(({ id }) => running(id, { status: { learners: ["d"] } })),
      ["warning: learners that do not answer: d"],
    ],
  ])("%s", (_name, views, expected) => {
    expect(ills(groupFindings("main", views))).toEqual(expected);
  });
});

test("an agent of the first version, which does not say whether its disk is full, is looked at all the same", () => {
  const { diskFull: _, ...early } = running("b").groups.get("main") ?? {};
  const views = [
    running("a"),
    { ...running("b"), groups: new Map([["main", early]]) } as AgentView,
    running("c"),
  ];
  expect(ills(groupFindings("main", views))).toEqual([]);
});
