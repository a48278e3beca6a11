/** Where stories about snapshots begin, for this folder's tests: groups whose logs are bounded to a few entries. */
import { agentId, type AgentId, type LogIndex, type Term } from "../core/index.ts";
import { encodeAnchor } from "./fields.ts";
import type { Append, BaseRecord } from "./messages.ts";
import { TestCluster, type ClusterOptions, texts, type runOf, type TestAgent } from "./test-cluster.ts";
import type { SnapshotFile } from "./test-agent.ts";

export const a1: AgentId = agentId("a1");

export function index(value: number): LogIndex {
  return value as LogIndex;
}

/** An entry that one letter asks for has 57 bytes. */
const smallLog = {
  appendBytesMax: 120,
  logTailBytesMax: 150,
  logKeptBytesMax: 1,
  logHeldBytesMax: 100_000,
} as const;

export function started(options: ClusterOptions = {}): TestCluster {
  return new TestCluster({ ...options, limits: { ...smallLog, ...options.limits } }).start();
}

/** Proposes letter by letter at agent 1, and lets everybody have it. */
export function decide(cluster: TestCluster, letters: string): void {
  for (const letter of letters) {
    cluster.propose(cluster.agent(1), letter);
    cluster.settle();
  }
}

/** The letters that an agent's state consists of. */
export function said(agent: TestAgent): string {
  return texts(agent.committed).join("");
}

export interface Story {
  readonly cluster: TestCluster;
  readonly leader: TestAgent;
  readonly left: TestAgent;
}

/** Agent 1 leads; agent 3 is cut off, and has missed entries 2 to 7. */
export function leftBehind(options: ClusterOptions = {}): Story {
  const cluster = started(options);
  const left = cluster.agent(3);
  cluster.isolate(left);
  decide(cluster, "abcdef");
  return { cluster, leader: cluster.agent(1), left };
}

/** The same with the snapshot that agent 3 needs. It is within reach again, and nothing is on its way to it. */
export function snapshotFor(options: ClusterOptions = {}): Story & { readonly file: SnapshotFile } {
  const story = leftBehind(options);
  const file = story.cluster.snapshots.freeze(story.leader);
  story.cluster.wire = [];
  story.cluster.heal();
  return { ...story, file };
}

/** Of the leader of term 1. */
export function append(prevIndex: number, commit: number, ...runs: ReturnType<typeof runOf>[]): Append {
  const prevTerm = 1 as Term;
  return {
    kind: "append",
    term: prevTerm,
    prevIndex: index(prevIndex),
    prevTerm,
    commit: index(commit),
    runs,
  };
}

export function anchorOf({ members }: TestCluster, term: number): Uint8Array {
  return encodeAnchor({ term: term as Term, time: 0, members });
}

/** `file` as it would be if its entries were of that term. */
export function asOfTerm(cluster: TestCluster, { entries }: SnapshotFile, term: number): SnapshotFile {
  const others = entries.map(({ text }) => ({ term, text }));
  return cluster.snapshots.fileOf(others, anchorOf(cluster, term));
}

export function baseOf(
  given: Pick<BaseRecord, "members" | "hardState"> & { index: number; term: number; time?: number },
): BaseRecord {
  const snapshot = { digest: new Uint8Array(4), byteLength: 7 };
  return { kind: "base", snapshot, time: 0, ...given, index: index(given.index), term: given.term as Term };
}

export function modeOf(leader: TestAgent, { id }: TestAgent): string | undefined {
  return leader.core.status().peers.find((peer) => peer.id === id)?.mode;
}
