/** Agents that say whatever a test wants, for the doctor to compare. */
import type { StatusReport } from "../../runtime/client-wire.ts";
import type { GroupStatus } from "../../runtime/gateway.ts";
import type { AgentView } from "./ask.ts";
import type { Finding } from "./finding.ts";

const voters = ["a", "b", "c"];

function statusOf(id: string, given: Partial<GroupStatus> = {}): GroupStatus {
  return {
    mechanism: "raft",
    group: "main",
    self: id,
    role: id === "a" ? "leader" : "follower",
    term: 3,
    leader: "a",
    members: voters,
    learners: [],
    last: 10,
    committed: 10,
    applied: 10,
    lagMs: id === "a" ? 0 : 20,
    digest: "d1",
    diskFull: false,
    peers: [],
    ...given,
  };
}

export function running(
  id: string,
  given: { status?: Partial<GroupStatus>; report?: Partial<StatusReport>; aheadMs?: number } = {},
): AgentView {
  const links = voters.filter((other) => other !== id).map((other) => ({ id: other, up: true, version: 2 }));
  return {
    id,
    address: `127.0.0.1:740${voters.indexOf(id)}`,
    isLocal: true,
    report: {
      agent: id,
      groups: ["main"],
      agents: [],
      wireVersionMax: 2,
      links,
      cluster: "c1",
      version: "1.0.0",
      ...given.report,
    },
    why: "",
    groups: new Map([["main", statusOf(id, given.status)]]),
    aheadMs: given.aheadMs ?? 0,
  };
}

export function silent(id: string, isLocal = true): AgentView {
  return {
    id,
    address: "127.0.0.1:7409",
    isLocal,
    report: undefined,
    why: "No agent answers there.",
    groups: new Map(),
    aheadMs: 0,
  };
}

/** What is not fine, in a line each. */
export function ills(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ level, what }) => (level === "fine" ? [] : [`${level}: ${what}`]));
}
