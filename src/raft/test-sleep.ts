/** What the tests of groups that sleep have in common. */
import { assert } from "../core/index.ts";
import {
  electionTimeoutMs,
  heartbeatMs,
  TestCluster,
  type ClusterOptions,
  type Envelope,
  type TestAgent,
} from "./test-cluster.ts";

export const hibernation = { quietBeats: 2, renewalMs: 10_000 };
export const [, electionTimeoutMaxMs] = electionTimeoutMs;

export const sleeps = (agent: TestAgent): boolean => agent.core.status().hibernating;

/** What is said to whom. */
export const kinds = (sent: readonly Envelope[]): string[] =>
  sent.map(({ to, message }) => `${message.kind} to ${to}`);

/** A group that sleeps, with agent 1 as its leader. */
export function asleep(options: ClusterOptions = {}): TestCluster {
  const cluster = new TestCluster({ hibernation, ...options }).start();
  cluster.run(heartbeatMs * 6);
  assert(cluster.agents.every(sleeps), "an idle group falls asleep");
  return cluster;
}

/** Everything that leaves within that time. */
export function sentWithin(cluster: TestCluster, milliseconds: number): Envelope[] {
  const sent: Envelope[] = [];
  cluster.onSent = (envelope) => sent.push(envelope);
  cluster.run(milliseconds);
  cluster.onSent = () => {};
  return sent;
}
