/** Groups that read by lease, for this folder's tests. */
import type { LogIndex, Micros, Term } from "../core/index.ts";
import type { HeartbeatAnswer, VoteRequest } from "./messages.ts";
import {
  electionTimeoutMs,
  heartbeatMs,
  TestCluster,
  type ClusterOptions,
  type Envelope,
  type TestAgent,
} from "./test-cluster.ts";

export const [shortestMs, longestMs] = electionTimeoutMs;

export const is =
  (kind: string) =>
  (sent: Envelope): boolean =>
    sent.message.kind === kind;

/** Agent 1 leads, and everybody has pledged before: that takes a record, and a heartbeat behind it. */
export function pledging(options: ClusterOptions = {}): TestCluster {
  const cluster = new TestCluster({ leases: "all", ...options }).start();
  cluster.run(2 * heartbeatMs);
  return cluster;
}

/** Agent 1's heartbeat has just left, and everybody has answered it at once. */
export function leased(options: ClusterOptions = {}): { cluster: TestCluster; leader: TestAgent } {
  const cluster = pledging(options);
  const leader = cluster.agent(1);
  beat(cluster, leader);
  cluster.settle();
  return { cluster, leader };
}

/** The leader's next heartbeat leaves, and is on its way. */
export function beat(cluster: TestCluster, leader: TestAgent): void {
  cluster.pass(heartbeatMs);
  cluster.wake(leader);
}

/** A reads at once, without a word to anybody. */
export function readsByLease(cluster: TestCluster, agent: TestAgent): boolean {
  const [before, sent] = [agent.eventsOf("readable").length, cluster.wire.length];
  const { kind } = cluster.read(agent);
  const isAnswered = kind === "ticket" && agent.eventsOf("readable").length > before;
  // Otherwise the read waits for a round, which is let go, so that it confirms nothing that comes later.
  if (!isAnswered) cluster.wire.length = sent;
  return isAnswered && cluster.wire.length === sent;
}

/** To a heartbeat of the leader of term 1. */
export function answerTo(round: number, pledgeMs?: number): HeartbeatAnswer {
  const pledge = pledgeMs === undefined ? {} : { pledge: (pledgeMs * 1000) as Micros };
  return { kind: "heartbeatAnswer", term: 1 as Term, round, ...pledge };
}

/** Of a candidate with a log that is up to date. */
export function voteRequest(term: number, because: "poll" | "transfer" = "poll"): VoteRequest {
  return {
    kind: "voteRequest",
    term: term as Term,
    lastIndex: 9 as LogIndex,
    lastTerm: 9 as Term,
    ...(because === "transfer" && { transfer: true }),
  };
}
