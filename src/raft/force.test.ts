/** Too few voters are left: one of them goes on alone, by force, with all that its disk has. */
import { describe, expect, test } from "vitest";
import { agentId, AssertionError, membersOf, Prng, type RecordNumber } from "../core/index.ts";
import { forceMembers } from "./force.ts";
import type { RaftCore } from "./raft.ts";
import { TestCluster, texts, type TestAgent } from "./test-cluster.ts";

function optionsOf(cluster: TestCluster, agent: TestAgent): ConstructorParameters<typeof RaftCore>[0] {
  const { members } = cluster;
  return { self: agent.id, members, prng: new Prng(3), electionTimeoutMs: [150, 300], heartbeatMs: 50 };
}

function survivorOf(cluster: TestCluster, number: number): ReturnType<typeof forceMembers> {
  const agent = cluster.agent(number);
  const records = agent.records.slice(0, agent.durable);
  return forceMembers(
    optionsOf(cluster, agent),
    { records, next: (records.length + 1) as RecordNumber },
    membersOf([agent.id]),
    77,
  );
}

describe("members by force", () => {
  test("R60: the survivor leads alone, with everything in its log, also what was not decided", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.leader!;
    cluster.propose(leader, "decided");
    cluster.settle();
    // The others are lost for ever, while one more entry is on this disk only.
    cluster.isolate(leader);
    cluster.propose(leader, "alone");
    cluster.sync(leader);
    const number = cluster.agents.indexOf(leader) + 1;
    const { before, records } = survivorOf(cluster, number);
    expect(before).toMatchObject({ term: leader.core.term, last: leader.core.lastIndex });
    leader.write(records);
    cluster.crash(leader, records.length);
    cluster.restart(leader);
    cluster.settle();
    expect(leader.core.role).toBe("leader");
    expect(leader.core.status().members.voters).toEqual([leader.id]);
    cluster.propose(leader, "after");
    cluster.settle();
    expect(texts(leader.committed)).toEqual(["decided", "alone", "after"]);
  });

  test("R60: its term is above every one that it knows, and its vote in it is its own", () => {
    const cluster = new TestCluster().start();
    const { before, records } = survivorOf(cluster, 2);
    expect(records[0]).toEqual({ kind: "hardState", term: before.term + 1, votedFor: "a2" });
  });

  test("whoever is left is among the voters", () => {
    const cluster = new TestCluster().start();
    const agent = cluster.agent(1);
    expect(() =>
      forceMembers(
        optionsOf(cluster, agent),
        { records: [], next: 1 as RecordNumber },
        membersOf([agentId("b")]),
        1,
      ),
    ).toThrow(AssertionError);
  });
});
