/** A new life on what the one before wrote down. */
import { describe, expect, test } from "vitest";
import {
  agentId,
  AssertionError,
  createOutbox,
  membersOf,
  Prng,
  unknownMembers,
  type LogIndex,
  type Members,
  type Micros,
  type RecordNumber,
  type Term,
} from "../core/index.ts";
import type { BaseRecord, RaftProtocol, RaftRecord } from "./messages.ts";
import { RaftCore } from "./raft.ts";
import { runOf, TestCluster, texts } from "./test-cluster.ts";
import { append as appendOf, type Content } from "./test-membership.ts";
import { baseOf, index } from "./test-stories.ts";

const members: Members = membersOf([agentId("a"), agentId("b"), agentId("c")]);
const now = { monotonic: 1_000_000 as Micros, wall: 1 as Micros };

function coreFrom(records: readonly RaftRecord[], next: number): RaftCore {
  return new RaftCore(
    { self: members.voters[0]!, members, prng: new Prng(1), electionTimeoutMs: [150, 300], heartbeatMs: 50 },
    {
      records,
      next: next as RecordNumber,
    },
  );
}

describe("restart", () => {
  test("R20: term, vote and log are as they were, and everything decided is handed out again from the first entry", () => {
    const cluster = new TestCluster().start();
    cluster.propose(cluster.agent(1), "x", "y");
    cluster.settle();
    const agent = cluster.agent(2);
    cluster.crash(agent);
    cluster.restart(agent);
    expect(agent.core).toMatchObject({
      role: "follower",
      term: 1,
      votedFor: "a1",
      lastIndex: 3,
      commitIndex: 0,
    });
    cluster.run(60);
    expect(texts(agent.committed)).toEqual(["x", "y"]);
  });

  test("R20: records that were not durable may be gone or not; both are a log that was", () => {
    for (const surviving of [0, 1, 2]) {
      const cluster = new TestCluster().start();
      const agent = cluster.agent(2);
      agent.diskHangs = true;
      cluster.propose(cluster.agent(1), "x");
      cluster.propose(cluster.agent(1), "y");
      cluster.settle();
      cluster.crash(agent, surviving);
      agent.diskHangs = false;
      cluster.restart(agent);
      expect(agent.core.lastIndex).toBe(1 + surviving);
      cluster.run(200);
      expect(texts(agent.committed)).toEqual(["x", "y"]);
    }
  });

  test("R20: a whole group that lost power comes back with all that was decided", () => {
    const cluster = new TestCluster({ voters: 5 }).start();
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    for (const agent of cluster.agents) cluster.crash(agent);
    for (const agent of cluster.agents) cluster.restart(agent);
    cluster.run(700);
    for (const agent of cluster.agents) expect(texts(agent.committed)).toEqual(["x"]);
  });

  test("R95: who begins anew is not held to what the member that it was had acknowledged", () => {
    const id = members.voters[0]!;
    const timings = { electionTimeoutMs: [150, 300], heartbeatMs: 50 } as const;
    const options = { self: id, members: unknownMembers, prng: new Prng(1), ...timings };
    const out = createOutbox<RaftProtocol>();
    const leader = members.voters[1]!;
    const farewell = { kind: "heartbeat", term: 3 as Term, commit: 5 as LogIndex, round: 1 } as const;
    const core = new RaftCore({ ...options, beginsAnew: true }, { records: [], next: 9 as RecordNumber });
    core.wake(now, out);
    core.receive(leader, farewell, now, out);
    expect([core.lastIndex, core.commitIndex]).toEqual([0, 0]);
    core.receive(
      leader,
      appendOf(
        3,
        [0, 0],
        [
          [1, members],
          [3, "x"],
        ],
        2,
      ),
      now,
      out,
    );
    core.receive(leader, farewell, now, out);
    expect([core.lastIndex, core.commitIndex], "what it gets anew counts").toEqual([2, 2]);

    const lost = new RaftCore(options, { records: [], next: 9 as RecordNumber });
    lost.wake(now, out);
    expect(() => lost.receive(leader, farewell, now, out)).toThrow("has acknowledged entries up to 5");
  });

  test("R20: an entries record replaces what the log had from its first index on", () => {
    const core = coreFrom(
      [
        { kind: "base", index: 0 as LogIndex, term: 0 as Term, time: 0, members },
        { kind: "hardState", term: 1 as Term },
        { kind: "entries", run: runOf(1, 1) },
        { kind: "entries", run: runOf(2, 1, 1) },
        { kind: "hardState", term: 2 as Term },
        { kind: "entries", run: runOf(2, 2) },
      ],
      7,
    );
    expect([core.lastIndex, core.termAt(1 as LogIndex), core.termAt(2 as LogIndex)]).toEqual([2, 1, 2]);
  });

  test("R16: recovery keeps only the tail in memory, and commits from the journal what is behind it", () => {
    const cluster = new TestCluster({
      limits: { logTailBytesMax: 200, applyBytesMax: 150, appendBytesMax: 120 },
    }).start();
    for (let number = 1; number <= 30; number++) {
      cluster.propose(cluster.agent(1), `c${number}`);
      cluster.settle();
    }
    const agent = cluster.agent(2);
    cluster.crash(agent);
    cluster.restart(agent);
    cluster.tell(agent, "a1", { kind: "commit", term: 1 as Term, commit: 31 as LogIndex });
    expect(agent.loads).toMatchObject([{ first: 1, bytesMax: 150 }]);
    expect(agent.commits).toEqual([]);
    cluster.settle();
    expect(texts(agent.committed)).toEqual(Array.from({ length: 30 }, (_, at) => `c${at + 1}`));
  });

  test("R10: one read from the journal at a time, and it fits into the window", () => {
    const cluster = new TestCluster({ limits: { logTailBytesMax: 100, applyBytesMax: 130 } }).start();
    for (let number = 1; number <= 10; number++) {
      cluster.propose(cluster.agent(1), `c${number}`);
      cluster.settle();
    }
    const agent = cluster.agent(2);
    cluster.crash(agent);
    cluster.restart(agent);
    cluster.tell(agent, "a1", { kind: "commit", term: 1 as Term, commit: 8 as LogIndex });
    cluster.tell(agent, "a1", { kind: "commit", term: 1 as Term, commit: 11 as LogIndex });
    expect(agent.loads).toHaveLength(1);
    cluster.load(agent);
    expect([agent.commits.length, agent.loads.length], "what was read must be applied first").toEqual([1, 0]);
    expect(agent.commits[0]!.run.bytes.byteLength).toBeLessThanOrEqual(130);
    cluster.apply(agent);
    expect(agent.loads).toHaveLength(1);
  });

  test("R10: a journal that does not give back what is decided ends the agent", () => {
    const cluster = new TestCluster({ limits: { logTailBytesMax: 100, applyBytesMax: 130 } }).start();
    for (const text of ["1", "2", "3", "4"]) {
      cluster.propose(cluster.agent(1), text);
      cluster.settle();
    }
    const agent = cluster.agent(2);
    cluster.crash(agent);
    cluster.restart(agent);
    cluster.tell(agent, "a1", { kind: "commit", term: 1 as Term, commit: 5 as LogIndex });
    const { ticket } = agent.loads[0]!;
    expect(() =>
      cluster.step(agent, (core, out) => core.loaded(ticket, undefined, cluster.now, out)),
    ).toThrow(AssertionError);
  });
});

describe("what a core starts from", () => {
  test("R20: records count on from where they were, and without a snapshot all of them stay needed", () => {
    const fresh = coreFrom([], 1);
    expect(fresh.neededFrom).toBe(1);
    const core = coreFrom(
      [
        { kind: "base", index: 0 as LogIndex, term: 0 as Term, time: 0, members },
        { kind: "hardState", term: 1 as Term },
        { kind: "entries", run: runOf(1, 1) },
      ],
      44,
    );
    expect(core.neededFrom).toBe(41);
    expect(core.recordOf(1 as LogIndex)).toBe(43);
    const out = createOutbox<RaftProtocol>();
    core.wake(now, out);
    expect(out.records.count, "a group is founded once").toBe(0);
    expect(() => core.durable(44 as RecordNumber, now, out)).toThrow(AssertionError);
  });

  test("R10: behind a snapshot, the log and the commits start from the base", () => {
    const base: RaftRecord = { kind: "base", index: 1 as LogIndex, term: 1 as Term, time: 0, members };
    const core = coreFrom(
      [base, { kind: "hardState", term: 1 as Term }, { kind: "entries", run: runOf(2, 1) }],
      4,
    );
    expect(core).toMatchObject({ lastIndex: 2, commitIndex: 1, appliedIndex: 1 });
    const out = createOutbox<RaftProtocol>();
    core.wake(now, out);
    core.receive(members.voters[1]!, { kind: "commit", term: 1 as Term, commit: 2 as LogIndex }, now, out);
    expect(out.commits.toArray().map((commit) => commit.run.first)).toEqual([2]);
  });

  test("who takes part is what the base says, not the options", () => {
    const others: Members = { ...members, learners: [members.voters[0]!], voters: members.voters.slice(1) };
    const core = coreFrom(
      [{ kind: "base", index: 0 as LogIndex, term: 0 as Term, time: 0, members: others }],
      2,
    );
    expect(core.role).toBe("learner");
    expect(core.status().members).toEqual(others);
  });

  test("R2, R3: records in which a term falls or a vote changes are refused", () => {
    const base: RaftRecord = { kind: "base", index: 0 as LogIndex, term: 0 as Term, time: 0, members };
    const state = (term: number, vote?: number): RaftRecord => ({
      kind: "hardState",
      term: term as Term,
      ...(vote === undefined ? {} : { votedFor: members.voters[vote]! }),
    });
    expect(() => coreFrom([base, state(2), state(1)], 4)).toThrow(AssertionError);
    expect(() => coreFrom([base, state(2, 0), state(2, 1)], 4)).toThrow(AssertionError);
    expect(() => coreFrom([base, state(2, 0), state(2)], 4)).toThrow(AssertionError);
    expect(() => coreFrom([state(2, 0)], 2)).toThrow(AssertionError);
    expect(coreFrom([base, state(2), state(2, 1)], 4).votedFor).toBe("b");
  });
});

describe("what recovery makes of records that begin before the base", () => {
  const state = (term: number): RaftRecord => ({ kind: "hardState", term: term as Term });
  const entries = (first: number, ...terms: number[]): RaftRecord => ({
    kind: "entries",
    run: runOf(first, ...terms),
  });
  const base = (at: number, term: number, current = term): RaftRecord =>
    baseOf({ index: at, term, members, hardState: { term: current as Term } });
  const logOf = (core: RaftCore): (number | undefined)[] => {
    const { first, last } = core.status();
    return Array.from({ length: last - first + 2 }, (_, at) => core.termAt(index(first - 1 + at)));
  };

  test("R31: entries that the base has in the middle stay, and those behind it count", () => {
    const core = coreFrom([entries(5, 2, 2, 3), entries(8, 3), base(6, 2, 4)], 20);
    expect(
      core.status(),
      "of the entry in front of the first nothing is known, not even its term",
    ).toMatchObject({ base: 6, first: 6, last: 8, committed: 6, applied: 6, term: 4 });
    expect(logOf(core)).toEqual([2, 2, 3, 3]);
    expect([core.neededFrom, core.recordOf(index(6)), core.recordOf(index(8))]).toEqual([17, 17, 17]);
  });

  test("R31: a base right in front of the first entry says of which term that is", () => {
    const core = coreFrom([entries(5, 2, 2), base(4, 1, 2), entries(7, 2)], 20);
    expect(core.status()).toMatchObject({ base: 4, first: 5, last: 7 });
    expect(logOf(core)).toEqual([1, 2, 2, 2]);
  });

  test("R31: a base in front of all that is left is of a time before; the next one counts", () => {
    const core = coreFrom([entries(5, 2, 2), base(2, 1, 2), entries(7, 2), base(6, 2)], 20);
    expect(core.status()).toMatchObject({ base: 6, first: 6, last: 7 });
    expect(() => coreFrom([entries(5, 2, 2), base(2, 1, 2)], 20), "and without that").toThrow("R31");
  });

  test("R31: a base of another history, or of later entries, begins the log anew", () => {
    for (const installed of [base(6, 4), base(9, 3, 4)]) {
      const core = coreFrom([entries(5, 2, 2, 2), state(4), installed], 20);
      const { index: at, term } = installed as BaseRecord;
      expect(core.status()).toMatchObject({ base: at, first: at + 1, last: at });
      expect([core.termAt(at), core.neededFrom]).toEqual([term, 19]);
    }
  });

  test("R31: entries that were replaced, and the log's very first among them", () => {
    const records = [entries(5, 2, 2), state(3), base(4, 1, 3), entries(5, 3), base(5, 3), entries(6, 3)];
    const core = coreFrom(records, 20);
    expect(logOf(core)).toEqual([1, 3, 3]);
    const before = coreFrom([entries(5, 2, 2), entries(5, 3), base(4, 1, 3)], 20);
    expect(logOf(before)).toEqual([1, 3]);
  });

  test("R23: who takes part as of the base, and what entries behind it bring; those in front follow nothing that is known", () => {
    const [before, decided, newest] = ["x y z", "x y", "x"].map((ids) => {
      return membersOf(ids.split(" ").map(agentId));
    }) as [Members, Members, Members];
    const bringing = (first: number, ...contents: Content[]): RaftRecord => {
      return { kind: "entries", run: appendOf(2, [first - 1, 2], contents).runs[0]! };
    };
    const baseWith = (at: number, ofBase: Members): RaftRecord =>
      baseOf({ index: at, term: 2, members: ofBase, hardState: { term: 2 as Term } });
    const inForce = (...records: RaftRecord[]): Members => coreFrom(records, 20).status().members;
    const run = bringing(5, [2, before], [2, "t"], [2, newest]);
    expect(inForce(run, baseWith(6, decided))).toEqual(newest);
    expect(inForce(run, baseWith(7, newest))).toEqual(newest);
    expect(inForce(run, baseWith(6, decided), baseWith(9, members)), "a log that begins anew").toEqual(
      members,
    );
    // What came between a base in front of all entries and the first of them is gone.
    expect(inForce(run, baseWith(2, members), baseWith(7, newest))).toEqual(newest);
    const later = bringing(6, [2, before]);
    expect(inForce(bringing(5, [2, "t"]), baseWith(2, members), later, baseWith(5, decided))).toEqual(before);
  });

  test("R4, R30: a base with an earlier term than the entries before it, or before an earlier base, is refused", () => {
    expect(() => coreFrom([entries(5, 2, 3), base(5, 2)], 20)).toThrow("R4");
    expect(() => coreFrom([base(5, 2), entries(6, 2), base(4, 2)], 20)).toThrow("R30");
    expect(() => coreFrom([base(5, 2, 3), base(5, 2)], 20)).toThrow("R2");
    expect(() => coreFrom([entries(5, 2)], 20)).toThrow(AssertionError);
  });

  test("a data folder from before there were snapshots: as it was, and its next snapshot frees it", () => {
    const founding: RaftRecord = baseOf({ index: 0, term: 0, members });
    const out = createOutbox<RaftProtocol>();
    const core = coreFrom([founding, state(1), entries(1, 1, 1, 1)], 4);
    expect(core.status()).toMatchObject({ base: 0, first: 1, last: 3, committed: 0 });
    core.wake(now, out);
    core.receive(members.voters[1]!, { kind: "commit", term: 1 as Term, commit: index(3) }, now, out);
    core.applied(index(3), undefined, now, out);
    const snapshot = { index: index(3), digest: new Uint8Array(4), byteLength: 9, anchor: core.anchor() };
    core.snapshotTaken(snapshot, now, out);
    core.durable(4 as RecordNumber, now, out);
    expect([core.base, core.neededFrom]).toEqual([snapshot, 3]);
  });
});
