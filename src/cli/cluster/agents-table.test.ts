import { describe, expect, test } from "vitest";

import type { GroupStatus } from "../../runtime/gateway.ts";
import { coloured, plain } from "../terminal/colours.ts";
import { visibleLength } from "../terminal/width.ts";
import { type AgentRow, agentsTable, snapshotLines } from "./agents-table.ts";

function statusOf(self: string, changes: Partial<GroupStatus> = {}): GroupStatus {
  return {
    mechanism: "raft",
    group: "main",
    self,
    role: "follower",
    term: 2,
    leader: "b",
    members: ["a", "b", "c"],
    learners: [],
    last: 1003,
    committed: 1003,
    applied: 1003,
    lagMs: 12,
    digest: "",
    peers: [],
    ...changes,
  };
}

function rowOf(id: string, changes: Partial<AgentRow> = {}): AgentRow {
  return {
    id,
    address: "127.0.0.1:7400",
    pid: 41,
    status: statusOf(id),
    state: "running",
    note: "",
    ...changes,
  };
}

const rows: readonly AgentRow[] = [
  rowOf("a", { status: statusOf("a", { applied: 1000 }) }),
  rowOf("b", { status: statusOf("b", { role: "leader", lagMs: 0 }) }),
  rowOf("c", { status: undefined, state: "down", note: "killed by SIGKILL", pid: undefined }),
];

describe("the table of agents", () => {
  test("it shows role, term, log and lag, and who is down and why", () => {
    expect(agentsTable(rows, plain)).toEqual([
      "agent  role      term   log  decided               lag  address         pid",
      "a      follower     2  1003     1000  3 entries, 12 ms  127.0.0.1:7400   41",
      "b      leader       2  1003     1003         0 entries  127.0.0.1:7400   41",
      "c      down                                             127.0.0.1:7400",
      "c: killed by SIGKILL",
    ]);
  });

  test("it says who sleeps because nobody wants anything", () => {
    const asleep = [rowOf("b", { status: statusOf("b", { role: "leader", hibernating: true }) })];
    expect(agentsTable(asleep, plain)[1]).toMatch(/^b +leader, asleep +2/);
  });

  test("where some are preferred as leaders, it says how much", () => {
    const titles = "agent  role      term   log  decided               lag  priority  address         pid";
    const [a, b, c] = rows as [AgentRow, AgentRow, AgentRow];
    const prefers = (row: AgentRow, electionPriority: number): AgentRow => ({
      ...row,
      status: { ...row.status!, electionPriority },
    });
    expect(agentsTable([prefers(a, 0), prefers(b, 80), c], plain)).toEqual([
      titles,
      "a      follower     2  1003     1000  3 entries, 12 ms         0  127.0.0.1:7400   41",
      "b      leader       2  1003     1003         0 entries        80  127.0.0.1:7400   41",
      "c      down                                                       127.0.0.1:7400",
      "c: killed by SIGKILL",
    ]);
    expect(agentsTable([prefers(a, 50), prefers(b, 50)], plain)[0]).not.toContain("priority");
  });

  test("beside it there is a line for each snapshot from which an agent would begin", () => {
    const status = statusOf("b", { base: { index: 1200, bytes: 3 * 1024 * 1024 } });
    expect(snapshotLines([...rows, rowOf("b", { status })], plain)).toEqual([
      expect.stringMatching(/^b: a snapshot of 3(\.0)? MiB up to entry 1,?200$/),
    ]);
  });

  test("where nobody knows the process numbers, there is no such column", () => {
    const lines = agentsTable(
      rows.map((row) => ({ ...row, pid: undefined })),
      plain,
    );
    expect(lines[0]).not.toContain("pid");
  });

  test("colours change nothing in what lines up", () => {
    const lengths = agentsTable(rows, coloured).map((line) => visibleLength(line));
    expect(lengths).toEqual(agentsTable(rows, plain).map((line) => line.length));
  });
});
