/** What the tests of changing members share: small groups in the middle of a change, and what they are looked at for. */
import {
  assert,
  concatBytes,
  encodeCommand,
  encodeText,
  planMembers,
  stampEntry,
  type LogIndex,
  type Members,
  type Term,
} from "../core/index.ts";
import { encodeMembers } from "./fields.ts";
import type { Append } from "./messages.ts";
import { changeOf, shown, TestCluster, texts, type ClusterOptions, type TestAgent } from "./test-cluster.ts";

export const accepted = { kind: "accepted" };
export const started = (options?: ClusterOptions): TestCluster => new TestCluster(options).start();

/** What the agent's core goes by. */
export const inForce = (agent: TestAgent): string => shown(agent.core.status().members);
export const peersOf = ({ core }: TestAgent): string =>
  core
    .status()
    .peers.map(({ id }) => id)
    .toSorted()
    .join(" ");
export const toldMembers = (agent: TestAgent): string[] =>
  agent.eventsOf("members").map(({ members }) => shown(members));

export function cutOff(cluster: TestCluster, ...numbers: number[]): void {
  for (const number of numbers) cluster.isolate(cluster.agent(number));
}

/** Whether a command of whoever leads is decided within two heartbeats. */
export function decides(cluster: TestCluster, text: string): boolean {
  const { leader } = cluster;
  if (leader === undefined) return false;
  cluster.propose(leader, text);
  cluster.run(120);
  return texts(leader.committed).includes(text);
}

/** One message or one sync at a time; time passes only where nothing else is left to do. */
export function stepUntil(cluster: TestCluster, reached: () => boolean): void {
  for (let steps = 0; steps < 10_000 && !reached(); steps++) {
    const sent = cluster.wire.shift();
    const writing = cluster.agents.find(
      (agent) => agent.running && !agent.diskHangs && agent.durable < agent.records.length,
    );
    if (sent !== undefined) cluster.deliver(sent);
    else if (writing !== undefined) cluster.sync(writing);
    else {
      cluster.pass(1);
      for (const agent of cluster.agents) {
        if (agent.running && agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      }
    }
  }
  assert(reached(), "it comes to what the test waits for");
}

export type Content = readonly [term: number, what: string | Members];

/** A leader's entries behind the one at `prev`. */
export function append(
  term: number,
  prev: readonly [number, number],
  entries: Content[],
  commit = 0,
): Append {
  const [prevIndex, prevTerm] = prev;
  const bytes = entries.map(([entryTerm, what], position) => {
    const header = { session: 0, sequence: 0, unsettled: 0 };
    const entry =
      typeof what === "string"
        ? encodeCommand({ kind: "command", ...header }, encodeText(what))
        : encodeCommand({ kind: "members", ...header }, encodeMembers(what));
    stampEntry(entry, 0, (prevIndex + 1 + position) as LogIndex, entryTerm as Term, 1);
    return entry;
  });
  const first = (prevIndex + 1) as LogIndex;
  const run = { first, last: (prevIndex + entries.length) as LogIndex, bytes: concatBytes(bytes) };
  return {
    kind: "append",
    term: term as Term,
    prevIndex: prevIndex as LogIndex,
    prevTerm: prevTerm as Term,
    commit: commit as LogIndex,
    runs: entries.length === 0 ? [] : [run],
  };
}

export function planned(members: Members, change: string): Members {
  const result = planMembers(members, changeOf(change));
  if (result.kind === "fault") throw new Error(result.fault);
  return result.members;
}

/** Three voters are replaced by a1 and two newcomers; everybody has that configuration in its log and not yet on its disk. */
export function jointEverywhere(): TestCluster {
  const cluster = started({ voters: 3, learners: 2 });
  for (const number of [2, 3, 4, 5]) cluster.agent(number).diskHangs = true;
  cluster.change(cluster.agent(1), "+a4 +a5 -a2 -a3");
  cluster.run(20);
  const isEverywhere = cluster.agents.every((agent) => inForce(agent) === "a1 a4 a5 | outgoing a1 a2 a3");
  assert(isEverywhere, "everybody has the joint configuration");
  assert(cluster.agent(1).core.commitIndex === 1, "it is decided nowhere");
  return cluster;
}
