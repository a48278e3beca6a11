/**
 * Snapshots, as far as one agent and its leader are concerned: what is kept, what is let go, and what a restart finds. Method:
 * agents stepped by hand, with limits so small that a few entries are much. `model.test.ts` does the same at random.
 */
import { describe, expect, test } from "vitest";
import {
  agentId,
  AssertionError,
  createOutbox,
  entryTime,
  membersOf,
  Prng,
  type Members,
  type Micros,
  type RecordNumber,
  type Term,
} from "../core/index.ts";
import { encodeAnchor } from "./fields.ts";
import type { RaftProtocol, RaftRecord } from "./messages.ts";
import { RaftCore } from "./raft.ts";
import { runOf, type Envelope, type TestAgent, type TestCluster } from "./test-cluster.ts";
import type { SnapshotFile } from "./test-agent.ts";
import { append as entriesOf, type Content } from "./test-membership.ts";
import {
  a1,
  anchorOf,
  append,
  asOfTerm,
  decide,
  index,
  leftBehind,
  said,
  snapshotFor,
  started,
} from "./test-stories.ts";

const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;
describe("a snapshot that was taken here", () => {
  test("R30, R31: the log lets go of what is in front of it once the record that says so is durable", () => {
    const cluster = started();
    decide(cluster, "abcdef");
    const agent = cluster.agent(2);
    cluster.run(60);
    expect(agent.core.status()).toMatchObject({ base: 0, first: 1, last: 7 });
    cluster.snapshots.take(agent);
    expect(agent.core.status(), "not yet").toMatchObject({ base: 7, first: 1 });
    expect(agent.core.neededFrom).toBe(1);
    cluster.sync(agent);
    const { first } = agent.core.status();
    expect(first, "the last record stays").toBe(7);
    expect(agent.core.neededFrom).toBe(agent.core.recordOf(index(7)));
    expect(agent.core.recordOf(index(6))).toBeUndefined();
    expect(agent.core.termAt(index(6)), "the term that the next entry follows").toBe(1);
    decide(cluster, "g");
    expect(said(agent)).toBe("abcdefg");
  });

  test("R20: a restart begins with its state, and hands out what follows", () => {
    const cluster = started();
    decide(cluster, "abc");
    const agent = cluster.agent(2);
    cluster.snapshots.take(agent);
    decide(cluster, "de");
    cluster.crash(agent);
    cluster.restart(agent);
    expect(agent.core.status()).toMatchObject({ base: 4, last: 6, committed: 4, applied: 4 });
    expect(said(agent)).toBe("abc");
    cluster.run(60);
    expect(said(agent)).toBe("abcde");
  });

  test("R20: if its record is lost in a crash, the one before counts, with all that belongs to it", () => {
    const cluster = started();
    decide(cluster, "abc");
    const agent = cluster.agent(2);
    cluster.snapshots.take(agent);
    decide(cluster, "def");
    cluster.snapshots.take(agent);
    expect(agent.core.base?.index).toBe(7);
    cluster.crash(agent);
    cluster.restart(agent);
    expect(agent.core.status()).toMatchObject({ base: 4, last: 7, applied: 4 });
    cluster.run(60);
    expect(said(agent)).toBe("abcdef");
  });

  test("R3: term and vote outlive the records that said them first", () => {
    const cluster = started();
    decide(cluster, "abc");
    const agent = cluster.agent(2);
    const hardState = agent.records.findIndex(({ kind }) => kind === "hardState") + 1;
    cluster.snapshots.take(agent);
    cluster.sync(agent);
    expect(agent.core.neededFrom).toBeGreaterThan(hardState);
    cluster.crash(agent);
    cluster.restart(agent);
    expect(agent.core).toMatchObject({ term: 1, votedFor: "a1" });
    cluster.tell(agent, "a3", {
      kind: "voteRequest",
      term: 1 as Term,
      lastIndex: index(99),
      lastTerm: 1 as Term,
    });
    cluster.sync(agent);
    expect(cluster.take(is("voteAnswer")).map(({ message }) => message)).toEqual([
      { kind: "voteAnswer", term: 1, granted: false },
    ]);
  });

  test("R31: entries that were replaced are needed as long as what builds on them is given", () => {
    const cluster = started();
    decide(cluster, "abc");
    const agent = cluster.agent(2);
    cluster.run(60);
    cluster.isolate(agent);
    cluster.tell(agent, "a1", append(4, 4, runOf(5, 1)));
    cluster.snapshots.take(agent);
    cluster.tell(agent, "a1", append(5, 4, runOf(6, 1)));
    cluster.sync(agent);
    const { first } = agent.core.status();
    expect([first, agent.core.neededFrom]).toEqual([5, agent.core.recordOf(index(5))]);
    const { neededFrom } = agent.core;
    // A leader of term 2 has another entry 5. Its term is durable, that entry not yet.
    cluster.tell(agent, "a3", { ...append(4, 4, runOf(5, 2)), term: 2 as Term });
    cluster.sync(agent, agent.records.length - 1);
    expect(agent.core.neededFrom).toBe(neededFrom);
    cluster.crash(agent);
    cluster.restart(agent);
    expect([agent.core.lastIndex, agent.core.termAt(index(5))]).toEqual([6, 1]);
    // Now it is. The record of the old entry 6 is behind the base, and builds on the old entry 5.
    cluster.tell(agent, "a3", { ...append(4, 4, runOf(5, 2)), term: 2 as Term });
    cluster.sync(agent);
    expect(agent.core.neededFrom).toBe(neededFrom);
    cluster.crash(agent);
    cluster.restart(agent);
    expect([agent.core.lastIndex, agent.core.termAt(index(5))]).toEqual([5, 2]);
  });

  test("R31: behind a base that ended the log nothing older is needed", () => {
    const { cluster, left, file } = snapshotFor();
    cluster.snapshots.arrive(left, a1, file);
    const record = left.records.length;
    cluster.tell(left, "a1", append(7, 7, runOf(8, 1)));
    cluster.sync(left);
    expect(left.core.neededFrom).toBe(record);
    cluster.tell(left, "a2", { ...append(7, 7, runOf(8, 2)), term: 2 as Term });
    cluster.sync(left);
    expect(left.core.neededFrom).toBe(record);
    cluster.crash(left);
    cluster.restart(left);
    expect(left.core).toMatchObject({ lastIndex: 8, term: 2 });
  });

  test("R23: a base repeats who takes part, and that is no news", () => {
    const cluster = started();
    decide(cluster, "a");
    const agent = cluster.agent(2);
    cluster.snapshots.take(agent);
    cluster.sync(agent);
    expect(agent.eventsOf("members")).toEqual([]);
  });

  test("R36: a tail of so many bytes in front of it stays, and peers that lag are fed from that", () => {
    const bounds = { logKeptBytesMax: 600, logHeldBytesMax: 1 };
    const { cluster, leader, left } = leftBehind({ limits: bounds });
    cluster.snapshots.take(leader);
    cluster.settle();
    cluster.heal();
    cluster.run(200);
    expect([left.core.base, said(left)]).toEqual([undefined, "abcdef"]);
    decide(cluster, "0123456789");
    cluster.snapshots.take(leader);
    cluster.settle();
    const { base, first } = leader.core.status();
    expect((base - first) * 57).toBeLessThanOrEqual(600);
    expect((base - first) * 57).toBeGreaterThan(300);
  });

  test("what is told of it is what was told: name, size and anchor", () => {
    const cluster = started();
    decide(cluster, "a");
    const agent = cluster.agent(1);
    expect(agent.core.base).toBeUndefined();
    const { snapshot } = cluster.snapshots.freeze(agent);
    cluster.snapshots.take(agent);
    expect(agent.core.base).toEqual(snapshot);
    cluster.sync(agent);
    cluster.crash(agent);
    cluster.restart(agent);
    expect(agent.core.base).toEqual(snapshot);
  });

  test("an older one than the base, or the base itself, changes nothing", () => {
    const cluster = started();
    decide(cluster, "a");
    const agent = cluster.agent(1);
    const older = cluster.snapshots.freeze(agent);
    decide(cluster, "b");
    const newer = cluster.snapshots.freeze(agent);
    for (const file of [newer, older, newer]) cluster.snapshots.store(agent, file);
    expect(agent.records.filter(({ kind }) => kind === "base")).toHaveLength(2);
    expect(agent.core.base?.index).toBe(3);
  });

  test("R30: one of what is not applied, or of another history, is a bug of the driver", () => {
    const cluster = started();
    decide(cluster, "a");
    const agent = cluster.agent(1);
    const { snapshot } = cluster.snapshots.freeze(agent);
    const anchor = encodeAnchor({ term: 9 as Term, time: 0, members: cluster.members });
    for (const wrong of [{ index: index(3) }, { anchor }, { anchor: new Uint8Array(3) }]) {
      const taken = { ...snapshot, ...wrong };
      expect(() => cluster.step(agent, (core, out) => core.snapshotTaken(taken, cluster.now, out))).toThrow(
        AssertionError,
      );
    }
  });

  test("a newcomer that has not come to the entry that lets it in does not write down that nobody takes part", () => {
    const cluster = started({ voters: 1 });
    decide(cluster, "ab");
    const newcomer = cluster.join();
    cluster.tell(newcomer, "a1", { ...append(0, 3, runOf(1, 1, 1, 1)), prevTerm: 0 as Term });
    cluster.sync(newcomer);
    cluster.apply(newcomer);
    expect(newcomer.applied).toBe(3);
    cluster.snapshots.take(newcomer);
    expect(newcomer.core.base).toBeUndefined();
  });

  test("a group of one: its log stays within its bounds for ever", () => {
    const cluster = started({ voters: 1, limits: { logKeptBytesMax: 200 } });
    const agent = cluster.agent(1);
    for (let round = 0; round < 20; round++) {
      decide(cluster, "0123456789");
      cluster.snapshots.take(agent);
      cluster.settle();
      const { base, first } = agent.core.status();
      expect(base - first).toBeLessThanOrEqual(5);
      expect(agent.records.length - agent.core.neededFrom).toBeLessThan(10);
    }
    cluster.crash(agent);
    cluster.restart(agent);
    cluster.run(400);
    expect(said(agent)).toHaveLength(200);
  });

  test("R37: a leader goes on with the logged time where the snapshot's entries end, whatever its clock says", () => {
    const cluster = started({ voters: 1 });
    const agent = cluster.agent(1);
    decide(cluster, "a");
    const { wall } = cluster.now;
    cluster.snapshots.take(agent);
    const base = agent.records.at(-1);
    // All that is left is the base, as after a snapshot from a peer; and the clock is wrong.
    const { core, out } = coreFrom(base === undefined ? [] : [base], 9, cluster.members);
    const early = { monotonic: 1 as Micros, wall: 5 as Micros };
    core.wake(early, out);
    core.durable(9 as RecordNumber, early, out);
    expect(core.role).toBe("leader");
    const noop = out.records.toArray().find((record) => record.kind === "entries");
    expect(noop?.kind === "entries" && entryTime(noop.run.bytes, 0)).toBe(wall);
  });
});

describe("a snapshot that arrives", () => {
  test("R32, R33: it becomes the base; the state follows once that is durable, and commits once the state is there", () => {
    const { cluster, left, file } = snapshotFor();
    cluster.snapshots.arrive(left, a1, file);
    expect(left.core.status()).toMatchObject({ base: 7, first: 8, last: 7, committed: 7, applied: 1 });
    expect(left.core.durableIndex).toBe(1);
    expect(left.eventsOf("restore")).toEqual([]);
    expect(cluster.take(is("appendMatched")), "R34: acknowledged behind its record").toEqual([]);
    cluster.sync(left);
    expect(left.eventsOf("restore")).toEqual([{ kind: "restore", snapshot: file.snapshot }]);
    expect(cluster.take(is("appendMatched")).map(({ to, message }) => [to, message])).toEqual([
      ["a1", { kind: "appendMatched", term: 1, matched: 7 }],
    ]);
    cluster.tell(left, "a1", append(7, 8, runOf(8, 1)));
    cluster.sync(left);
    expect([left.core.commitIndex, left.core.durableIndex, left.commits], "the state is not there").toEqual([
      8,
      8,
      [],
    ]);
    cluster.snapshots.restore(left);
    expect(left.commits.map(({ run }) => run.first)).toEqual([8]);
    cluster.apply(left);
    expect(left.core.appliedIndex).toBe(8);
  });

  test("R33: runs that are at the state machine may be applied until the restore, and none of them after it", () => {
    const { cluster, leader, left } = leftBehind();
    cluster.heal();
    for (const at of [2, 3, 4]) cluster.tell(left, "a1", append(at - 1, at, runOf(at, 1)));
    cluster.sync(left);
    expect(left.commits).toHaveLength(3);
    cluster.snapshots.arrive(left, leader.id, cluster.snapshots.freeze(leader));
    cluster.apply(left);
    expect([left.core.appliedIndex, left.commits.length]).toEqual([2, 2]);
    cluster.sync(left);
    expect(left.commits, "the driver has dropped them").toEqual([]);
    expect(() =>
      cluster.step(left, (core, out) => core.applied(index(3), undefined, cluster.now, out)),
    ).toThrow(AssertionError);
    cluster.snapshots.restore(left);
    expect(left.core.appliedIndex).toBe(7);
    expect(said(left)).toBe("abcdef");
  });

  test("a read from the journal that was under way for the old state is no longer awaited", () => {
    const { cluster, left, file } = snapshotFor({ limits: { logTailBytesMax: 60, applyBytesMax: 60 } });
    cluster.tell(left, "a1", append(1, 1, runOf(2, 1)));
    cluster.tell(left, "a1", append(2, 1, runOf(3, 1)));
    cluster.sync(left);
    cluster.tell(left, "a1", { kind: "commit", term: 1 as Term, commit: index(3) });
    expect(left.loads).toMatchObject([{ first: 2 }]);
    cluster.snapshots.arrive(left, a1, file);
    const { ticket } = left.loads.shift()!;
    cluster.step(left, (core, out) => core.loaded(ticket, runOf(2, 1), cluster.now, out));
    expect(left.commits).toEqual([]);
    cluster.settle();
    expect(said(left)).toBe("abcdef");
  });

  test("R14: reads wait for the state", () => {
    const { cluster, left, file } = snapshotFor();
    cluster.tell(left, "a1", { kind: "heartbeat", term: 1 as Term, commit: index(1), round: 99 });
    cluster.read(left);
    const asked = cluster.take(is("readRequest"))[0]!.message;
    const ticket = asked.kind === "readRequest" ? asked.ticket : undefined;
    cluster.tell(left, "a1", {
      kind: "readAnswer",
      ticket: ticket!,
      outcome: { kind: "index", index: index(6) },
    });
    cluster.snapshots.arrive(left, a1, file);
    cluster.sync(left);
    expect(left.eventsOf("readable")).toEqual([]);
    cluster.snapshots.restore(left);
    expect(left.eventsOf("readable")).toEqual([{ kind: "readable", ticket }]);
  });

  test("R20: a crash before its record is durable brings back the state before, a later one the snapshot", () => {
    for (const surviving of [0, 1]) {
      const { cluster, left, file } = snapshotFor();
      cluster.snapshots.arrive(left, a1, file);
      cluster.crash(left, surviving);
      cluster.restart(left);
      expect(left.core.status()).toMatchObject(
        surviving === 0 ? { base: 0, last: 1, applied: 0 } : { base: 7, last: 7, applied: 7 },
      );
      cluster.run(200);
      expect(said(left)).toBe("abcdef");
    }
  });

  test("pitfall 16: R32, R6: entries that contradict it go, with all behind them, and what of them reaches the disk late counts for nothing", () => {
    const { cluster, left, file } = snapshotFor();
    left.diskHangs = true;
    // Of a leader of term 1 that nobody else heard: entries 2 to 9.
    cluster.tell(left, "a2", { ...append(1, 1, runOf(2, 2, 2, 2, 2, 2, 2, 2, 2)), term: 2 as Term });
    expect(left.core.lastIndex).toBe(9);
    const before = left.records.length;
    cluster.snapshots.arrive(left, a1, asOfTerm(cluster, file, 3));
    expect(left.core).toMatchObject({ term: 3, lastIndex: 7, commitIndex: 7, durableIndex: 1 });
    expect(left.core.termAt(index(7))).toBe(3);
    cluster.sync(left, before);
    expect(left.core.durableIndex).toBe(1);
    cluster.sync(left);
    expect(left.core.durableIndex).toBe(7);
    cluster.crash(left);
    left.diskHangs = false;
    expect(left.log).toHaveLength(7);
  });

  test("pitfall 16: R32: one that says nothing new is acknowledged and not installed", () => {
    const cluster = started();
    decide(cluster, "abc");
    const [leader, agent] = [cluster.agent(1), cluster.agent(2)];
    cluster.snapshots.take(leader);
    cluster.settle();
    decide(cluster, "d");
    const records = agent.records.length;
    for (let times = 0; times < 2; times++) {
      cluster.snapshots.arrive(agent, leader.id, leader.files.get(4)!);
      expect(cluster.take(is("appendMatched")).map(({ message }) => message)).toEqual([
        { kind: "appendMatched", term: 1, matched: 5 },
      ]);
    }
    expect([agent.records.length, agent.core.base, agent.restoring]).toEqual([records, undefined, undefined]);
  });

  test("R32: where the entries have caught up meanwhile, it says that they are decided, and they are applied", () => {
    const { cluster, left, file } = snapshotFor();
    cluster.tell(left, "a1", append(1, 1, runOf(2, 1, 1, 1, 1, 1, 1, 1)));
    const { records } = left;
    expect(left.core).toMatchObject({ lastIndex: 8, commitIndex: 1 });
    cluster.snapshots.arrive(left, a1, file);
    expect(left.core).toMatchObject({ lastIndex: 8, commitIndex: 7, base: undefined });
    expect(left.records).toHaveLength(records.length);
    expect(cluster.take(is("appendMatched")), "R34: its entries are not durable yet").toEqual([]);
    cluster.sync(left);
    expect(cluster.take(is("appendMatched")).map(({ message }) => message)).toContainEqual({
      kind: "appendMatched",
      term: 1,
      matched: 7,
    });
  });

  test("pitfall 16: R32: one that contradicts what is decided here is an alarm, and nothing else", () => {
    const cluster = started();
    decide(cluster, "abc");
    const [leader, agent] = [cluster.agent(1), cluster.agent(2)];
    const records = agent.records.length;
    cluster.snapshots.arrive(agent, leader.id, asOfTerm(cluster, cluster.snapshots.freeze(leader), 9));
    expect(agent.eventsOf("diverged")).toEqual([{ kind: "diverged", index: 4 }]);
    expect([agent.records.length, agent.core.term, cluster.take(is("appendMatched"))]).toEqual([
      records,
      1,
      [],
    ]);
  });

  test("one whose anchor makes no sense is ignored", () => {
    const { cluster, left, file } = snapshotFor();
    const nobody = encodeAnchor({ term: 1 as Term, time: 0, members: membersOf([]) });
    const whole = anchorOf(cluster, 1);
    const noTerm = anchorOf(cluster, 0);
    const longer = new Uint8Array([...whole, 0]);
    for (const anchor of [new Uint8Array(0), whole.subarray(0, -1), longer, nobody, noTerm]) {
      cluster.snapshots.arrive(left, a1, { ...file, snapshot: { ...file.snapshot, anchor } });
    }
    expect([left.core.base, left.core.lastIndex, cluster.wire]).toEqual([undefined, 1, []]);
  });

  test("a leader needs none, and before its first wake nobody takes one", () => {
    const { cluster, leader, left, file } = snapshotFor();
    const later = { ...file, snapshot: { ...file.snapshot, index: index(50) } };
    cluster.snapshots.arrive(leader, left.id, later);
    expect(leader.core).toMatchObject({ role: "leader", lastIndex: 7 });
    const { core, out } = coreFrom([], 1, cluster.members);
    core.snapshotArrived(a1, file.snapshot, cluster.now, out);
    expect(out.records.count).toBe(0);
  });

  test("R2: of a later term it ends the own one, and with it whatever this agent stood for", () => {
    const { cluster, left, file } = snapshotFor();
    cluster.step(left, (core, out) => core.campaign(cluster.now, out));
    cluster.snapshots.arrive(left, a1, asOfTerm(cluster, file, 4));
    expect(left.core).toMatchObject({ role: "follower", term: 4, votedFor: undefined });
    cluster.sync(left);
    cluster.crash(left);
    cluster.restart(left);
    expect(left.core).toMatchObject({ term: 4, lastIndex: 7 });
  });

  test("pitfall 15: R23: who takes part is what it says, from then on and after a restart", () => {
    const { cluster, left, file } = snapshotFor();
    const members: Members = membersOf([a1, agentId("a2")], [left.id]);
    const anchor = encodeAnchor({ term: 1 as Term, time: 0, members });
    cluster.snapshots.arrive(left, a1, { ...file, snapshot: { ...file.snapshot, anchor } });
    expect([left.core.role, left.core.status().members]).toEqual(["learner", members]);
    expect(left.core.deadline).toBe(Number.POSITIVE_INFINITY);
    cluster.sync(left);
    cluster.crash(left);
    cluster.restart(left);
    expect(left.core.role).toBe("learner");
  });

  test("R23: members that only the entries brought that it makes void are no longer in force", () => {
    const { cluster, left, file } = snapshotFor();
    const others = membersOf(cluster.members.voters, [agentId("a4")]);
    const entries: Content[] = Array.from({ length: 8 }, () => [2, "void"]);
    cluster.tell(left, "a2", entriesOf(2, [1, 1], [...entries, [2, others]]));
    expect(left.core.status().members).toEqual(others);
    cluster.snapshots.arrive(left, a1, asOfTerm(cluster, file, 3));
    expect(left.core.status().members).toEqual(cluster.members);
    expect(left.eventsOf("members").map((event) => event.members)).toEqual([others, cluster.members]);
  });

  test("the leader's word of a checkpoint that the snapshot has passed is not waited for", () => {
    const { cluster, left, file } = snapshotFor({ limits: { checkpointEntriesMax: 2 } });
    const checkpoint = (at: number) => ({ index: index(at), digest: Uint8Array.of(1) });
    const heartbeat = { kind: "heartbeat", term: 1 as Term, commit: index(1), round: 90 } as const;
    cluster.tell(left, "a1", { ...heartbeat, checkpoint: checkpoint(6) });
    cluster.snapshots.arrive(left, a1, file);
    cluster.sync(left);
    cluster.snapshots.restore(left);
    cluster.tell(left, "a1", { ...heartbeat, checkpoint: checkpoint(8) });
    cluster.tell(left, "a1", append(7, 8, runOf(8, 1)));
    cluster.sync(left);
    cluster.apply(left);
    expect(left.eventsOf("diverged"), "8 is compared").toEqual([{ kind: "diverged", index: 8 }]);
  });
});

describe("a second snapshot", () => {
  /** The third agent is behind two snapshots, of 4 and 7. */
  function two(): { cluster: TestCluster; left: TestAgent; first: SnapshotFile; second: SnapshotFile } {
    const cluster = started();
    const left = cluster.agent(3);
    const leader = cluster.agent(1);
    cluster.isolate(left);
    decide(cluster, "abc");
    const first = cluster.snapshots.freeze(leader);
    decide(cluster, "def");
    const second = cluster.snapshots.freeze(leader);
    cluster.heal();
    cluster.wire = [];
    return { cluster, left, first, second };
  }

  test("pitfall 16: R33: before the first is durable: the state follows the second alone", () => {
    const { cluster, left, first, second } = two();
    cluster.snapshots.arrive(left, a1, first);
    cluster.snapshots.arrive(left, a1, second);
    cluster.sync(left, left.records.length - 1);
    expect([left.eventsOf("restore"), left.core.durableIndex]).toEqual([[], 4]);
    cluster.sync(left);
    expect(left.eventsOf("restore").map(({ snapshot }) => snapshot.index)).toEqual([7]);
    cluster.snapshots.restore(left);
    expect(said(left)).toBe("abcdef");
  });

  test("pitfall 16: R33: while the state is being replaced by the first: the second takes its place", () => {
    const { cluster, left, first, second } = two();
    cluster.snapshots.arrive(left, a1, first);
    cluster.sync(left);
    cluster.snapshots.arrive(left, a1, second);
    cluster.sync(left);
    expect(left.eventsOf("restore").map(({ snapshot }) => snapshot.index)).toEqual([4, 7]);
    expect(() =>
      cluster.step(left, (core, out) => core.applied(index(4), undefined, cluster.now, out)),
    ).toThrow(AssertionError);
    cluster.snapshots.restore(left);
    expect([left.applied, left.core.appliedIndex]).toEqual([7, 7]);
  });

  test("R33: the first may be done while the second is still on its way to the disk", () => {
    const { cluster, left, first, second } = two();
    cluster.snapshots.arrive(left, a1, first);
    cluster.sync(left);
    cluster.snapshots.arrive(left, a1, second);
    cluster.snapshots.restore(left);
    expect([left.core.appliedIndex, left.commits]).toEqual([4, []]);
    cluster.sync(left);
    cluster.snapshots.restore(left);
    expect(said(left)).toBe("abcdef");
  });

  test("an older one after a newer changes nothing", () => {
    const { cluster, left, first, second } = two();
    cluster.snapshots.arrive(left, a1, second);
    cluster.snapshots.arrive(left, a1, first);
    cluster.settle();
    expect([left.core.base?.index, said(left)]).toEqual([7, "abcdef"]);
  });

  test("one that was taken here and is done after one has arrived changes nothing", () => {
    const { cluster, left, second } = two();
    cluster.settle();
    const own = cluster.snapshots.freeze(left);
    cluster.snapshots.arrive(left, a1, second);
    cluster.snapshots.store(left, own);
    cluster.settle();
    expect(left.core.base?.index).toBe(7);
    expect(() => cluster.snapshots.freeze(left)).not.toThrow();
  });

  test("R33: of a state that is being replaced nobody takes a snapshot", () => {
    const { cluster, left, second } = two();
    cluster.snapshots.arrive(left, a1, second);
    cluster.sync(left);
    expect(() => cluster.snapshots.freeze(left)).toThrow(AssertionError);
  });
});

/** Agent a1, with these records, of which the last has the number before `next`. */
function coreFrom(
  records: readonly RaftRecord[],
  next: number,
  members: Members,
): { core: RaftCore; out: ReturnType<typeof createOutbox<RaftProtocol>> } {
  const core = new RaftCore(
    { self: a1, members, prng: new Prng(1), electionTimeoutMs: [150, 300], heartbeatMs: 50 },
    { records, next: next as RecordNumber },
  );
  return { core, out: createOutbox<RaftProtocol>() };
}
