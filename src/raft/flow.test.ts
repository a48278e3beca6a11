/** Bounds: windows, what is undecided, what the state machine has not applied, and entries that are no longer in memory. */
import { describe, expect, test } from "vitest";
import {
  agentId,
  AssertionError,
  limits,
  Prng,
  type LogIndex,
  type Micros,
  type RecordNumber,
  type Run,
  type Term,
  membersOf,
} from "../core/index.ts";
import type { Append } from "./messages.ts";
import { RaftCore } from "./raft.ts";
import { runOf, TestCluster, texts, type Envelope } from "./test-cluster.ts";

const started = (options: ConstructorParameters<typeof TestCluster>[0] = {}): TestCluster =>
  new TestCluster(options).start();
const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;
const to = (id: string) => (sent: Envelope) => sent.to === id;

/** Of the leader of term 1. */
function append(prevIndex: number, commit: number, ...runs: Run[]): Append {
  return {
    kind: "append",
    term: 1 as Term,
    prevIndex: prevIndex as LogIndex,
    prevTerm: (prevIndex === 0 ? 0 : 1) as Term,
    commit: commit as LogIndex,
    runs,
  };
}

describe("limits", () => {
  test("pitfall 29: R16: more that is undecided than the limit is overloaded, all or none, and passes once it is decided", () => {
    const cluster = started({ limits: { uncommittedBytesMax: 300 } });
    const leader = cluster.agent(1);
    expect(cluster.propose(leader, "1", "2", "3")).toMatchObject({ kind: "accepted" });
    expect(cluster.propose(leader, "4", "5", "6")).toEqual({
      kind: "overloaded",
      inFlight: 171,
      inFlightMax: 300,
    });
    cluster.propose(cluster.agent(2), "4", "5", "6");
    expect(leader.log).toHaveLength(4);
    for (const sent of cluster.take(is("forward"))) cluster.deliver(sent);
    for (const sent of cluster.take(is("forwardRefused"))) cluster.deliver(sent);
    expect(cluster.agent(2).eventsOf("refused")[0]?.refusal.kind).toBe("overloaded");
    cluster.settle();
    expect(cluster.propose(leader, "4", "5", "6")).toMatchObject({ kind: "accepted" });
  });

  test("pitfall 29: R16: what an earlier office left undecided counts, or each election would let as much in again", () => {
    const cluster = started({ limits: { uncommittedBytesMax: 300 } });
    const leader = cluster.agent(1);
    expect(cluster.propose(leader, "1", "2", "3")).toMatchObject({ kind: "accepted" });
    for (const term of [2, 3, 4]) {
      cluster.pass(400);
      cluster.wake(leader);
      expect(leader.core.role).toBe("follower");
      cluster.step(leader, (core, out) => core.campaign(cluster.now, out));
      cluster.tell(leader, "a2", { kind: "preVoteAnswer", term: term as Term, granted: true });
      cluster.sync(leader);
      cluster.tell(leader, "a2", { kind: "voteAnswer", term: term as Term, granted: true });
      expect([leader.core.role, leader.core.term]).toEqual(["leader", term]);
      expect(cluster.propose(leader, "4", "5", "6")).toMatchObject({ kind: "overloaded" });
    }
    cluster.run(200);
    expect(texts(cluster.agent(2).committed), "nobody is kept from deciding what is there").toEqual([
      "1",
      "2",
      "3",
    ]);
    expect(cluster.propose(leader, "4", "5", "6")).toMatchObject({ kind: "accepted" });
  });

  test("R16: a batch larger than the limit passes where nothing else waits", () => {
    const cluster = started({ limits: { uncommittedBytesMax: 60 } });
    expect(cluster.propose(cluster.agent(1), "1", "2")).toMatchObject({ kind: "accepted" });
    expect(cluster.propose(cluster.agent(1), "1")).toMatchObject({ kind: "overloaded" });
  });

  test("pitfall 29: R10: no more is handed out than the state machine's window takes; what is applied makes room", () => {
    const cluster = started({ voters: 1, limits: { applyBytesMax: 130 } });
    const agent = cluster.agent(1);
    for (const text of ["1", "2", "3", "4"]) cluster.propose(agent, text);
    cluster.sync(agent);
    expect(agent.core.commitIndex).toBe(5);
    expect(agent.commits.map(({ run: { first, last } }) => [first, last])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    cluster.apply(agent);
    expect(agent.commits.map(({ run }) => run.first)).toEqual([3, 4]);
    cluster.settle();
    expect(texts(agent.committed)).toEqual(["1", "2", "3", "4"]);
  });

  test("R10: a run that is longer than the window goes out in pieces, an entry that is longer goes alone", () => {
    const cluster = started({ voters: 1, limits: { applyBytesMax: 130 } });
    const agent = cluster.agent(1);
    cluster.propose(agent, "1", "2", "3", "x".repeat(300), "5");
    cluster.sync(agent);
    const pieces: number[][] = [];
    while (agent.commits.length > 0) {
      expect(agent.commits).toHaveLength(1);
      pieces.push([agent.commits[0]!.run.first, agent.commits[0]!.run.last]);
      cluster.apply(agent);
    }
    expect(pieces).toEqual([
      [2, 3],
      [4, 4],
      [5, 5],
      [6, 6],
    ]);
  });

  test("R10: what is decided in the middle of a run is handed out to there", () => {
    const cluster = new TestCluster();
    const agent = cluster.agent(2);
    cluster.wake(agent);
    cluster.tell(agent, "a1", append(0, 0, runOf(1, 1)));
    cluster.tell(agent, "a1", append(1, 3, runOf(2, 1, 1, 1)));
    cluster.sync(agent);
    cluster.apply(agent);
    cluster.apply(agent);
    expect(texts(agent.committed)).toEqual(["t1i1", "t1i2", "t1i3"]);
    cluster.tell(agent, "a1", { kind: "commit", term: 1 as Term, commit: 4 as LogIndex });
    cluster.settle();
    expect(texts(agent.committed)).toEqual(["t1i1", "t1i2", "t1i3", "t1i4"]);
  });

  test("R10: what is decided but not on the own disk yet is not handed out", () => {
    const cluster = started();
    const slow = cluster.agent(3);
    slow.diskHangs = true;
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    expect([slow.core.commitIndex, slow.core.durableIndex, slow.core.appliedIndex]).toEqual([1, 1, 1]);
    cluster.tell(slow, "a1", append(2, 2));
    expect([slow.core.commitIndex, slow.core.appliedIndex]).toEqual([2, 1]);
    slow.diskHangs = false;
    cluster.settle();
    expect(slow.core.appliedIndex).toBe(2);
  });

  test("R10: applying what was not handed out is a bug", () => {
    const { core } = started().agent(1);
    expect(() =>
      core.applied(2 as LogIndex, undefined, { monotonic: 0 as Micros, wall: 0 as Micros }, {} as never),
    ).toThrow(AssertionError);
  });

  test("R16: wrong limits and timings are refused at construction", () => {
    expect(() => new TestCluster({ limits: { inFlightAppendsMax: limits.inFlightAppendsMax + 1 } })).toThrow(
      AssertionError,
    );
    expect(() => new TestCluster({ limits: { appendBytesMax: 0 } })).toThrow(AssertionError);
    const founded = (electionTimeoutMs: [number, number], voters: string[]): RaftCore =>
      new RaftCore(
        {
          self: agentId("a1"),
          members: membersOf(voters.map((id) => agentId(id))),
          prng: new Prng(1),
          electionTimeoutMs,
          heartbeatMs: 50,
        },
        { records: [], next: 1 as RecordNumber },
      );
    expect(founded([150, 300], ["a1"]).role).toBe("follower");
    expect(founded([150, 300], []).role).toBe("learner");
    expect(() => founded([150, 300], ["a1", "a1"])).toThrow("R23");
    expect(() => founded([90, 300], ["a1"])).toThrow(AssertionError);
    expect(() => founded([300, 150], ["a1"])).toThrow(AssertionError);
  });
});

describe("behind the tail", () => {
  const tiny = { logTailBytesMax: 100, appendBytesMax: 130, inFlightAppendsMax: 2, applyBytesMax: 130 };

  test("a follower that was away gets old entries out of the journal, on the bulk connection, then new ones", () => {
    const cluster = started({ limits: tiny });
    const leader = cluster.agent(1);
    cluster.crash(cluster.agent(3));
    for (let number = 1; number <= 20; number++) {
      cluster.propose(leader, `c${number}`);
      cluster.settle();
    }
    cluster.restart(cluster.agent(3));
    const channels: string[] = [];
    cluster.onSent = (sent) => {
      if (sent.message.kind === "append" && sent.to === "a3") channels.push(sent.channel);
    };
    cluster.run(500);
    expect(texts(cluster.agent(3).committed)).toHaveLength(20);
    expect(channels.filter((channel) => channel === "bulk").length).toBeGreaterThan(5);
    cluster.propose(leader, "new");
    expect(channels.at(-1)).toBe("stream");
  });

  test("nothing overtakes entries on the bulk connection", () => {
    const cluster = started({ limits: { ...tiny, inFlightAppendsMax: 10 } });
    const leader = cluster.agent(1);
    cluster.isolate(cluster.agent(3));
    for (let number = 1; number <= 6; number++) {
      cluster.propose(leader, `c${number}`);
      cluster.settle();
    }
    cluster.heal();
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, true, cluster.now, out));
    const answer = (): void => {
      cluster.sync(cluster.agent(3));
      for (const sent of cluster.take(to("a1"))) cluster.deliver(sent);
    };
    for (const sent of cluster.take(to("a3"))) cluster.deliver(sent);
    answer();
    while (leader.loads.length > 0) cluster.load(leader);
    const onBulk = cluster.take(to("a3"));
    expect(onBulk.every(({ channel }) => channel === "bulk")).toBe(true);
    expect(onBulk.length).toBeGreaterThan(1);
    cluster.propose(leader, "new");
    expect(cluster.take(to("a3"))).toEqual([]);
    for (const sent of onBulk) cluster.deliver(sent);
    answer();
    expect(cluster.take(to("a3")).map(({ channel }) => channel)).toContain("stream");
  });

  test("R13: entries that were read for a peer and are acknowledged meanwhile are not sent again", () => {
    const cluster = started({ limits: { ...tiny, inFlightAppendsMax: 10 } });
    const leader = cluster.agent(1);
    const late: Envelope[] = [];
    for (let number = 1; number <= 4; number++) {
      cluster.propose(leader, `c${number}`);
      for (const sent of cluster.take(to("a3"))) cluster.deliver(sent);
      cluster.sync(cluster.agent(3));
      late.push(...cluster.take(({ from }) => from === "a3"));
      cluster.settle();
    }
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, true, cluster.now, out));
    for (const sent of cluster.take(to("a3"))) cluster.deliver(sent);
    cluster.sync(cluster.agent(3));
    for (const sent of cluster.take(to("a1"))) cluster.deliver(sent);
    expect(leader.loads).toMatchObject([{ first: 2 }]);
    for (const sent of late) cluster.deliver(sent);
    cluster.take(() => true);
    cluster.load(leader);
    expect(cluster.take(is("append"))).toEqual([]);
    cluster.propose(leader, "new");
    cluster.settle();
    expect(texts(cluster.agent(3).committed).at(-1)).toBe("new");
  });

  test("a question after lost entries takes the connection that they took", () => {
    const cluster = started({ limits: { ...tiny, inFlightAppendsMax: 10 } });
    const leader = cluster.agent(1);
    cluster.isolate(cluster.agent(3));
    for (let number = 1; number <= 6; number++) {
      cluster.propose(leader, `c${number}`);
      cluster.settle();
    }
    cluster.heal();
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, true, cluster.now, out));
    for (const sent of cluster.take(to("a3"))) cluster.deliver(sent);
    cluster.sync(cluster.agent(3));
    for (const sent of cluster.take(to("a1"))) cluster.deliver(sent);
    cluster.load(leader);
    expect(cluster.take(is("append"))).toHaveLength(1);
    const asked: string[] = [];
    cluster.onSent = (sent) => {
      if (sent.message.kind === "append" && sent.to === "a3" && sent.message.runs.length === 0)
        asked.push(sent.channel);
    };
    leader.loads = [];
    cluster.run(160);
    expect(asked[0]).toBe("bulk");
  });

  test("an answer of the journal that nobody waits for any more is ignored", () => {
    const cluster = started({ limits: tiny });
    const leader = cluster.agent(1);
    cluster.crash(cluster.agent(3));
    for (let number = 1; number <= 6; number++) {
      cluster.propose(leader, `c${number}`);
      cluster.settle();
    }
    cluster.restart(cluster.agent(3));
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, true, cluster.now, out));
    for (const sent of cluster.take(to("a3"))) cluster.deliver(sent);
    cluster.sync(cluster.agent(3));
    for (const sent of cluster.take(to("a1"))) cluster.deliver(sent);
    expect(leader.loads).toHaveLength(1);
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, false, cluster.now, out));
    cluster.load(leader);
    expect(cluster.take(to("a3"))).toEqual([]);
    cluster.run(500);
    expect(texts(cluster.agent(3).committed)).toHaveLength(6);
  });

  test("what is not on disk yet stays in memory, for it can't be read again", () => {
    const cluster = started({ limits: tiny });
    const leader = cluster.agent(1);
    leader.diskHangs = true;
    for (const text of ["1", "2", "3", "4"]) {
      cluster.propose(leader, text);
      cluster.settle();
    }
    expect([leader.core.commitIndex, leader.core.durableIndex]).toEqual([5, 1]);
    cluster.sync(leader);
    expect([leader.loads, leader.commits[0]?.run.first]).toEqual([[], 2]);
  });

  test("what a leader has not decided yet stays in memory, for it counts its bytes", () => {
    const cluster = started({ limits: tiny });
    const leader = cluster.agent(1);
    for (const text of ["1", "2", "3", "4"]) {
      cluster.propose(leader, text);
      cluster.sync(leader);
    }
    expect([leader.core.commitIndex, leader.core.durableIndex]).toEqual([1, 5]);
    cluster.settle();
    expect(cluster.agent(2).log).toHaveLength(5);
    expect(texts(leader.committed)).toEqual(["1", "2", "3", "4"]);
  });

  test("R16: a follower's tail is bounded even while its state machine stands still", () => {
    const cluster = started({ limits: tiny });
    const slow = cluster.agent(3);
    for (let number = 1; number <= 30; number++) {
      cluster.propose(cluster.agent(1), `c${number}`);
      for (let round = 0; round < 4; round++) {
        const arriving = cluster.take(() => true);
        for (const sent of arriving) cluster.deliver(sent);
        for (const agent of cluster.agents) cluster.sync(agent);
        cluster.apply(cluster.agent(1));
      }
    }
    expect(slow.core.commitIndex).toBeGreaterThan(20);
    expect(slow.commits.length).toBeLessThanOrEqual(3);
    cluster.settle();
    expect(texts(slow.committed)).toHaveLength(30);
  });
});
