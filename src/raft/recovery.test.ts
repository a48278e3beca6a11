/** A new life on what the one before wrote down. */
import { describe, expect, test } from "vitest";
import {
  agentId,
  AssertionError,
  createOutbox,
  membersOf,
  Prng,
  type LogIndex,
  type Members,
  type Micros,
  type RecordNumber,
  type Term,
} from "../core/index.ts";
import type { RaftProtocol, RaftRecord } from "./messages.ts";
import { RaftCore } from "./raft.ts";
import { command, runOf, TestCluster, texts } from "./test-cluster.ts";

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
  test("R20: records count on from where they were, and the base is needed for ever", () => {
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

describe("a leader whose log starts behind a snapshot", () => {
  /** Leads term 2 with a base at 5. */
  function leader(): { core: RaftCore; out: ReturnType<typeof createOutbox<RaftProtocol>> } {
    const out = createOutbox<RaftProtocol>();
    const base: RaftRecord = { kind: "base", index: 5 as LogIndex, term: 1 as Term, time: 0, members };
    const core = coreFrom([base, { kind: "hardState", term: 1 as Term }], 3);
    core.wake(now, out);
    core.campaign(now, out);
    core.receive(members.voters[1]!, { kind: "preVoteAnswer", term: 2 as Term, granted: true }, now, out);
    core.durable(3 as RecordNumber, now, out);
    core.receive(members.voters[1]!, { kind: "voteAnswer", term: 2 as Term, granted: true }, now, out);
    expect([core.role, core.lastIndex]).toEqual(["leader", 6]);
    return { core, out };
  }

  const rejects = (core: RaftCore, out: ReturnType<typeof leader>["out"]): void =>
    core.receive(
      members.voters[2]!,
      {
        kind: "appendRejected",
        term: 2 as Term,
        prevIndex: 5 as LogIndex,
        hintIndex: 2 as LogIndex,
        hintTerm: 1 as Term,
      },
      now,
      out,
    );
  const modeOf = (core: RaftCore): string | undefined => core.status().peers[1]?.mode;

  test("a peer that needs what is before it gets the snapshot, and then what follows", () => {
    const { core, out } = leader();
    rejects(core, out);
    expect(modeOf(core)).toBe("snapshot");
    expect(out.transfers.toArray()).toEqual([{ to: "c", index: 5 }]);
    const before = out.sends.count;
    core.propose([command("x")], now, out);
    expect(
      out.sends
        .toArray()
        .slice(before)
        .map(({ to }) => to),
    ).not.toContain("c");
    core.snapshotSent(members.voters[2]!, 5 as LogIndex, "stored", now, out);
    expect(out.sends.at(out.sends.count - 1)).toMatchObject({
      to: "c",
      message: { kind: "append", prevIndex: 5 },
    });
    core.checkInvariants();
  });

  test("R40: it does not hand over to a peer that needs what is before it", () => {
    const { core, out } = leader();
    const heir = members.voters[2]!;
    rejects(core, out);
    expect(core.transferLeadership(heir, now, out)).toEqual({ kind: "notReady", agents: [heir] });
    core.snapshotSent(heir, 5 as LogIndex, "stored", now, out);
    expect(core.transferLeadership(heir, now, out)).toEqual({ kind: "accepted" });
  });

  test("a link that comes and goes does not start a second transfer beside the first", () => {
    const { core, out } = leader();
    rejects(core, out);
    for (const up of [false, true]) core.linkChanged(members.voters[2]!, up, now, out);
    expect([modeOf(core), out.transfers.count]).toEqual(["snapshot", 1]);
  });

  test("a transfer that failed is tried again once the peer is heard from", () => {
    const { core, out } = leader();
    rejects(core, out);
    core.snapshotSent(members.voters[2]!, 5 as LogIndex, "failed", now, out);
    expect([modeOf(core), out.transfers.count]).toEqual(["probe", 1]);
    core.linkChanged(members.voters[2]!, true, now, out);
    expect([modeOf(core), out.transfers.count]).toEqual(["snapshot", 2]);
    core.snapshotSent(members.voters[1]!, 5 as LogIndex, "stored", now, out);
    core.checkInvariants();
  });

  test("the anchor names the term at the applied index, and the members", () => {
    const { core } = leader();
    const anchor = core.anchor();
    expect(anchor[0]).toBe(1);
    expect([...anchor.subarray(8)]).toEqual([3, 1, 0, 97, 1, 0, 98, 1, 0, 99, 0, 0, 0, 0]);
  });
});
