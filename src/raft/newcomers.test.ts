/**
 * Goal: whoever joins claims nothing and does no harm, and votes only once it has caught up (R25). Method: newcomers that can't
 * be reached, whose disks hang, that keep up under load or fall behind, and that are asked for votes too early.
 */
import { describe, expect, test } from "vitest";
import { enterJoint, leaveJoint, never, unknownMembers, type LogIndex, type Term } from "../core/index.ts";
import type { TestCluster } from "./test-cluster.ts";
import {
  accepted,
  append,
  cutOff,
  decides,
  inForce,
  planned,
  started,
  type Content,
} from "./test-membership.ts";

describe("R25: who is to vote has caught up", () => {
  test("a newcomer that can't be reached stays a learner, and the group goes on without it", () => {
    const cluster = started();
    cluster.join();
    cutOff(cluster, 4);
    cluster.change(cluster.agent(1), "+a4");
    cluster.run(3000);
    expect(inForce(cluster.agent(1))).toBe("a1 a2 a3 | learners a4 | next a1 a2 a3 a4");
    expect(decides(cluster, "as before")).toBe(true);
    cluster.heal();
    cluster.run(300);
    expect(inForce(cluster.agent(4))).toBe("a1 a2 a3 a4");
  });

  test("a newcomer whose disk has nothing yet stays a learner, though it answers", () => {
    const cluster = started({ voters: 1 });
    cluster.join().diskHangs = true;
    cluster.change(cluster.agent(1), "+a2");
    cluster.run(2000);
    expect(inForce(cluster.agent(1))).toBe("a1 | learners a2 | next a1 a2");
    expect(decides(cluster, "alone")).toBe(true);
    cluster.agent(2).diskHangs = false;
    cluster.run(300);
    expect(inForce(cluster.agent(1))).toBe("a1 a2");
  });

  test("newcomers are promoted together, once the last of them is there", () => {
    const cluster = started({ voters: 1 });
    cluster.join();
    cluster.join();
    cutOff(cluster, 3);
    cluster.change(cluster.agent(1), "+a2 +a3");
    cluster.run(1000);
    expect(inForce(cluster.agent(2))).toBe("a1 | learners a2 a3 | next a1 a2 a3");
    cluster.heal();
    cluster.run(300);
    expect(inForce(cluster.agent(2))).toBe("a1 a2 a3");
  });

  /** A command each millisecond, while the newcomer's disk finishes each record so many milliseconds late. */
  function underLoad(latencyMs: number): TestCluster {
    const cluster = started({ voters: 1 });
    const [leader, newcomer] = [cluster.agent(1), cluster.join()];
    newcomer.diskHangs = true;
    cluster.change(leader, "+a2");
    const written: number[] = [];
    for (let passed = 0; passed < 2000 && inForce(leader).includes("next"); passed++) {
      cluster.propose(leader, `load ${passed}`);
      cluster.run(1);
      written.push(newcomer.records.length);
      cluster.sync(newcomer, written[passed - latencyMs] ?? 0);
    }
    const { matched, mode } = leader.core.status().peers[0]!;
    expect(mode).toBe("replicate");
    expect(matched).toBeGreaterThan(10);
    return cluster;
  }

  test.each([60, 120])("load does not keep a newcomer out that keeps up, %d ms behind", (latencyMs) => {
    expect(inForce(underLoad(latencyMs).agent(1))).toBe("a1 a2 | outgoing a1");
  });

  test("a newcomer that is behind by more than an election may take is not promoted", () => {
    expect(inForce(underLoad(400).agent(1))).toBe("a1 | learners a2 | next a1 a2");
  });

  test("new voters of whom too few are heard are refused by name; strangers are waited for", () => {
    const cluster = started();
    cluster.crash(cluster.agent(3));
    cluster.run(500);
    const leader = cluster.agent(1);
    const { lastIndex } = leader.core;
    expect(cluster.change(leader, "-a2")).toEqual({ kind: "notReady", agents: ["a3"] });
    expect(leader.core.lastIndex).toBe(lastIndex);
    expect(cluster.change(leader, "-a2 +a4")).toEqual(accepted);
  });

  test("new voters of whom too few are heard any more wait, even where no newcomer is among them", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.crash(cluster.agent(3));
    // Not heard for less than an election takes: that is no reason to refuse, yet one to wait.
    cluster.run(200);
    expect(cluster.change(leader, "-a2")).toEqual(accepted);
    cluster.run(1000);
    expect(inForce(leader)).toBe("a1 a2 a3 | next a1 a3");
    cluster.restart(cluster.agent(3));
    cluster.run(300);
    expect(inForce(leader)).toBe("a1 a3");
  });
});

describe("whoever joins", () => {
  test("claims nothing, knows nobody, and never campaigns, not even when told to, nor after a restart", () => {
    const cluster = started({ voters: 1 });
    const newcomer = cluster.join();
    expect(newcomer.records).toEqual([{ kind: "base", index: 0, term: 0, time: 0, members: unknownMembers }]);
    const said: string[] = [];
    cluster.onSent = ({ from }) => said.push(from);
    cluster.elect(newcomer);
    cluster.run(3000);
    cluster.crash(newcomer);
    cluster.restart(newcomer);
    cluster.run(3000);
    expect(said).not.toContain("a2");
    expect(newcomer.core).toMatchObject({ role: "learner", term: 0, deadline: never });
  });

  test("proposes and reads nothing before it takes part", () => {
    const cluster = started({ voters: 1 });
    const newcomer = cluster.join();
    expect(cluster.propose(newcomer, "x")).toEqual({ kind: "notLeader" });
    cluster.tell(newcomer, "a1", append(1, [0, 0], [[1, "x"]]));
    expect(cluster.propose(newcomer, "x")).toEqual({ kind: "notLeader", leader: "a1" });
    expect(cluster.read(newcomer)).toEqual({ kind: "notLeader", leader: "a1" });
  });

  test("pitfall 13: votes if it is asked: whoever asks may know that it is a voter by now", () => {
    const cluster = started({ voters: 2, learners: 1 });
    const joint = enterJoint(planned(cluster.members, "+a3"));
    const [candidate, learner] = [cluster.agent(2), cluster.agent(3)];
    // a2 alone has the configurations by which a3 votes, and a1 is gone.
    const entries: Content[] = [
      [1, joint],
      [1, leaveJoint(joint)],
    ];
    cluster.tell(candidate, "a1", append(1, [1, 1], entries, 2));
    cluster.settle();
    cluster.crash(cluster.agent(1));
    cluster.pass(400);
    expect(inForce(learner)).toBe("a1 a2 | learners a3");
    cluster.elect(candidate);
    expect(candidate.core.role).toBe("leader");
    expect(inForce(learner)).toBe("a1 a2 a3");
  });

  test("pitfall 13: votes even if it has nothing yet, once that is on its disk", () => {
    const cluster = started({ voters: 1 });
    const newcomer = cluster.join();
    cluster.tell(newcomer, "a9", {
      kind: "voteRequest",
      term: 4 as Term,
      lastIndex: 9 as LogIndex,
      lastTerm: 3 as Term,
    });
    expect(cluster.wire).toEqual([]);
    cluster.sync(newcomer);
    expect(cluster.wire.map(({ message }) => message)).toEqual([
      { kind: "voteAnswer", term: 4, granted: true },
    ]);
  });
});
