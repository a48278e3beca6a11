/**
 * R96: polls in vain. Goal: an agent that is left alone asks ever less, and no group that can have a leader waits for one any
 * longer than before. Method: an agent is cut off for long, and then hears of others in each way there is.
 */
import { describe, expect, test } from "vitest";
import { agentId, membersOf, type LogIndex, type Term } from "../core/index.ts";
import { electionTimeoutMs, TestCluster, type ClusterOptions, type TestAgent } from "./test-cluster.ts";

const [shortestMs, longestMs] = electionTimeoutMs;
const preVoteRequest = {
  kind: "preVoteRequest",
  term: 1 as Term,
  lastIndex: 0 as LogIndex,
  lastTerm: 0 as Term,
} as const;

/** Milliseconds until it polls, if nothing happens. */
function patience(cluster: TestCluster, agent: TestAgent): number {
  return (agent.core.deadline - cluster.now.monotonic) / 1000;
}

function poll(cluster: TestCluster, agent: TestAgent): void {
  cluster.pass(patience(cluster, agent));
  cluster.wake(agent);
  cluster.settle();
}

/** Agent 1 was cut off for long, and has just polled in vain once more: it will wait for long. */
function alone(options: ClusterOptions = {}): { cluster: TestCluster; agent: TestAgent } {
  const cluster = new TestCluster({ voters: 5, ...options });
  for (const each of cluster.agents) cluster.wake(each);
  const agent = cluster.agent(1);
  cluster.isolate(agent);
  for (let count = 0; count < 10; count++) poll(cluster, agent);
  expect(patience(cluster, agent)).toBeGreaterThan(longestMs);
  return { cluster, agent };
}

function isUsual(cluster: TestCluster, agent: TestAgent): boolean {
  const waits = patience(cluster, agent);
  return waits >= shortestMs && waits <= longestMs;
}

describe("R96: polls that no quorum answers", () => {
  test("follow each other as usual at first, then ever more slowly, and never more than eight times as slowly", () => {
    const cluster = new TestCluster();
    const agent = cluster.agent(1);
    cluster.wake(agent);
    cluster.isolate(agent);
    const waits = [1, 1, 1, 1, 2, 4, 8, 8, 8, 8].map((stretch) => {
      poll(cluster, agent);
      expect(patience(cluster, agent)).toBeGreaterThanOrEqual(shortestMs * stretch);
      expect(patience(cluster, agent)).toBeLessThanOrEqual(longestMs * stretch);
      return patience(cluster, agent);
    });
    expect(new Set(waits).size, "each is drawn at random").toBe(waits.length);
  });

  test("are heard of as others are: with half of the voters within reach all ask ever less", () => {
    const cluster = new TestCluster({ voters: 4 });
    for (const agent of cluster.agents) cluster.wake(agent);
    for (const number of [3, 4]) cluster.crash(cluster.agent(number));
    let polls = 0;
    cluster.onSent = ({ message }) => (polls += message.kind === "preVoteRequest" ? 1 : 0);
    cluster.run(10_000);
    polls = 0;
    cluster.run(10_000);
    const most = (2 * 3 * 10_000) / (8 * shortestMs);
    expect(polls).toBeGreaterThan(0);
    expect(polls).toBeLessThanOrEqual(most);
  });

  test("cost a group of one nothing: it is a quorum", () => {
    const cluster = new TestCluster({ voters: 1 });
    const agent = cluster.agent(1);
    cluster.wake(agent);
    for (let count = 0; count < 10; count++) {
      cluster.settle();
      expect(agent.core.role).toBe("leader");
      agent.diskHangs = true;
      cluster.propose(agent, "x");
      cluster.run(2 * longestMs);
      expect(agent.core.role).toBe("follower");
      agent.diskHangs = false;
      cluster.settle();
      cluster.run(longestMs);
    }
  });
});

describe("R96: the usual patience holds again", () => {
  test("as soon as a quorum was heard of since the last poll, whatever it said, and no sooner", () => {
    const { cluster, agent } = alone();
    const before = agent.core.deadline;
    cluster.tell(agent, "a2", preVoteRequest);
    cluster.tell(agent, "a2", preVoteRequest);
    expect(agent.core.deadline).toBe(before);
    cluster.tell(agent, "a3", { kind: "wakeUp", term: 0 as Term });
    expect(isUsual(cluster, agent)).toBe(true);
  });

  test("but not where those who are heard of vote for nobody", () => {
    const { cluster, agent } = alone({ learners: 1 });
    const before = agent.core.deadline;
    for (const id of ["a2", "a6", "stranger"]) cluster.tell(agent, id, preVoteRequest);
    expect(agent.core.deadline).toBe(before);
  });

  test("nor where one was heard of before the last poll, and the other after it", () => {
    const { cluster, agent } = alone();
    cluster.tell(agent, "a2", preVoteRequest);
    poll(cluster, agent);
    cluster.tell(agent, "a3", preVoteRequest);
    expect(patience(cluster, agent)).toBeGreaterThan(longestMs);
  });

  test("as soon as a leader is heard: should that be gone in a moment, its follower stands up for it in time", () => {
    const { cluster, agent } = alone();
    cluster.tell(agent, "a2", { kind: "heartbeat", term: 3 as Term, commit: 0 as LogIndex, round: 1 });
    cluster.settle();
    expect(agent.core.leader).toBe(agentId("a2"));
    expect(isUsual(cluster, agent)).toBe(true);
  });

  test("as soon as the link to a voter is up", () => {
    const { cluster, agent } = alone({ learners: 1 });
    const before = agent.core.deadline;
    cluster.tellLink(agent, cluster.agent(6), true);
    cluster.tellLink(agent, cluster.agent(2), false);
    expect(agent.core.deadline).toBe(before);
    cluster.tellLink(agent, cluster.agent(2), true);
    expect(isUsual(cluster, agent)).toBe(true);
  });
});

describe("R96: whoever was alone for long", () => {
  const aMinute = 60_000;

  test("leads, or is led, in the usual time after another one comes back", () => {
    const cluster = new TestCluster().start();
    const [leader, other] = [cluster.agent(1), cluster.agent(2)];
    cluster.propose(leader, "x");
    cluster.settle();
    cluster.crash(other);
    cluster.crash(cluster.agent(3));
    cluster.run(aMinute);
    expect(cluster.leader).toBeUndefined();
    cluster.restart(other);
    cluster.run(2 * longestMs);
    expect(cluster.leader).toBeDefined();
  });

  test("finds out by itself that all are back where no link says so, after the longest wait", () => {
    const cluster = new TestCluster().start();
    expect(cluster.members).toEqual(membersOf(["a1", "a2", "a3"].map(agentId)));
    for (const agent of cluster.agents) cluster.isolate(agent);
    cluster.run(aMinute);
    expect(cluster.leader).toBeUndefined();
    cluster.heal();
    cluster.run(8 * longestMs + longestMs);
    expect(cluster.leader).toBeDefined();
  });
});
