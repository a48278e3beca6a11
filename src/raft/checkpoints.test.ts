/**
 * Replicas that apply the same entries must have the same state. Here one of them has a state machine that is not
 * deterministic; the goal is that somebody says so, and that nobody does while all is well.
 */
import { describe, expect, it } from "vitest";
import type { LogIndex } from "../core/index.ts";
import { TestCluster } from "./test-cluster.ts";

/** Three agents with a leader, checkpoints at every fourth entry. The leader's first entry has index 1. */
function group(): TestCluster {
  return new TestCluster({ limits: { checkpointEntriesMax: 4 } }).start();
}

function decide(cluster: TestCluster, count: number): void {
  for (let number = 0; number < count; number++) {
    cluster.propose(cluster.agent(1), `value ${number}`);
    cluster.settle();
  }
}

/** Time for the next heartbeat. */
function beat(cluster: TestCluster): void {
  cluster.run(60);
}

describe("checkpoints", () => {
  it("R21: runs are cut at checkpoints, and only there a digest is asked for", () => {
    const cluster = group();
    const leader = cluster.agent(1);
    cluster.propose(leader, ...Array.from({ length: 9 }, (_, number) => `value ${number}`));
    for (let round = 0; round < 3; round++) {
      for (const sent of cluster.take(() => true)) cluster.deliver(sent);
      for (const agent of cluster.agents) cluster.sync(agent);
    }
    expect(leader.commits.map(({ run, digestAfter }) => [run.last, digestAfter])).toEqual([
      [4, true],
      [8, true],
      [10, false],
    ]);
  });

  it("R21: members whose states are equal hear nothing", () => {
    const cluster = group();
    decide(cluster, 20);
    beat(cluster);
    for (const agent of cluster.agents) expect(agent.eventsOf("diverged")).toEqual([]);
  });

  it("pitfall 18: R21: a follower whose state is another one learns it with the next heartbeat, once for each checkpoint", () => {
    const cluster = group();
    decide(cluster, 6);
    cluster.agent(3).wrongState = true;
    decide(cluster, 2);
    beat(cluster);
    beat(cluster);
    expect(cluster.agent(3).eventsOf("diverged")).toEqual([{ kind: "diverged", index: 8 }]);
    expect(cluster.agent(2).eventsOf("diverged")).toEqual([]);
  });

  it("R21: a leader whose state is another one is found out by all who follow it", () => {
    const cluster = group();
    cluster.agent(1).wrongState = true;
    decide(cluster, 8);
    beat(cluster);
    expect(cluster.agent(2).eventsOf("diverged")).toEqual([{ kind: "diverged", index: 8 }]);
    expect(cluster.agent(3).eventsOf("diverged")).toEqual([{ kind: "diverged", index: 8 }]);
  });

  it("R21: a follower that is behind waits with the leader's word until its state is there", () => {
    const cluster = group();
    const follower = cluster.agent(3);
    decide(cluster, 2);
    const heartbeat = (index: number): void =>
      cluster.tell(follower, "a1", {
        kind: "heartbeat",
        term: follower.core.term,
        commit: 0 as LogIndex,
        round: 1,
        checkpoint: { index: index as LogIndex, digest: Uint8Array.of(1, 2, 3) },
      });
    heartbeat(8);
    // A later word does not push aside the one that is waited for, or a follower that stays behind would never compare.
    heartbeat(4000);
    expect(follower.eventsOf("diverged")).toEqual([]);
    decide(cluster, 6);
    expect(follower.eventsOf("diverged")).toEqual([{ kind: "diverged", index: 8 }]);
  });

  it("R21: a word about a checkpoint that is no longer remembered is not compared", () => {
    const cluster = group();
    decide(cluster, 4 * 70);
    const follower = cluster.agent(3);
    cluster.tell(follower, "a1", {
      kind: "heartbeat",
      term: follower.core.term,
      commit: 0 as LogIndex,
      round: 1,
      checkpoint: { index: 8 as LogIndex, digest: Uint8Array.of(1, 2, 3) },
    });
    expect(follower.eventsOf("diverged")).toEqual([]);
  });
});
