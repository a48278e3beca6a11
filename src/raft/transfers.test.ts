/**
 * A leader and a follower that is far behind: what is kept for it, when it gets a snapshot, and what becomes of that. Method:
 * agents stepped by hand, with limits so small that a few entries are much.
 */
import { describe, expect, test } from "vitest";
import { agentId, AssertionError, type Term } from "../core/index.ts";
import { texts, type Envelope } from "./test-cluster.ts";
import { decide, index, leftBehind, modeOf, said, snapshotFor, started, type Story } from "./test-stories.ts";

const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;

describe("a leader and a follower that is far behind", () => {
  test("R35: entries that the journal still has are sent, however old", () => {
    const { cluster, leader, left } = leftBehind({ limits: { logKeptBytesMax: 100_000 } });
    cluster.snapshots.take(leader);
    cluster.settle();
    cluster.heal();
    cluster.run(300);
    expect(said(left)).toBe("abcdef");
    expect([left.core.base, left.files.size]).toEqual([undefined, 0]);
  });

  test("R35: a follower that lags holds on to what it needs next", () => {
    const { cluster, leader, left } = leftBehind();
    cluster.snapshots.take(leader);
    cluster.settle();
    expect(leader.core.status(), "what it has acknowledged it does not need").toMatchObject({ first: 2 });
    cluster.heal();
    cluster.run(300);
    expect([left.core.base, left.files.size]).toEqual([undefined, 0]);
    expect(leader.core.status(), "it has caught up, and the entries went").toMatchObject({
      base: 7,
      first: 7,
    });
  });

  test("R38: whoever leads next has held it, too: also a follower takes snapshots, and gives entries to one that lags", () => {
    const { cluster, leader, left } = leftBehind();
    const second = cluster.agent(2);
    cluster.run(60);
    for (const agent of [leader, second]) cluster.snapshots.take(agent);
    cluster.settle();
    expect(second.core.status(), "what the third has acknowledged goes").toMatchObject({ base: 7, first: 2 });
    cluster.heal();
    cluster.isolate(leader);
    cluster.run(1500);
    expect(second.core.status().role).toBe("leader");
    expect([left.core.base, left.files.size]).toEqual([undefined, 0]);
    expect(said(left)).toBe("abcdef");
  });

  test("R38: a follower lets go of what nobody needs any more, and holds no more than its own bound", () => {
    const { cluster } = leftBehind();
    const second = cluster.agent(2);
    cluster.run(60);
    cluster.snapshots.take(second);
    cluster.settle();
    expect(second.core.status()).toMatchObject({ base: 7, first: 2 });
    cluster.heal();
    cluster.run(400);
    expect(second.core.status(), "all have it").toMatchObject({ base: 7, first: 7 });

    const bounded = leftBehind({ limits: { logHeldBytesMax: 150 } });
    bounded.cluster.run(60);
    const other = bounded.cluster.agent(2);
    bounded.cluster.snapshots.take(other);
    bounded.cluster.settle();
    expect(other.core.status().first).toBeGreaterThan(2);
  });

  test("R34, R38: whoever leads by then hears of it, and goes on behind it: not only who sent it, and led before", () => {
    const { cluster, leader, left, file } = snapshotFor();
    const heartbeat = { kind: "heartbeat", term: 2 as Term, commit: index(0), round: 1 } as const;
    cluster.tell(left, "a2", heartbeat);
    cluster.snapshots.arrive(left, leader.id, file);
    cluster.sync(left);
    expect(cluster.take(is("appendMatched")).map(({ to, message }) => [to, message])).toEqual([
      ["a2", { kind: "appendMatched", term: 2, matched: 7 }],
    ]);
  });

  test("R36: within a bound; then it gets the snapshot, and what follows that", () => {
    const { cluster, leader, left } = leftBehind({ limits: { logHeldBytesMax: 150 } });
    cluster.snapshots.take(leader);
    cluster.settle();
    expect(leader.core.status().first).toBeGreaterThan(2);
    decide(cluster, "g");
    expect(leader.transfers, "nobody is there to take it").toEqual([]);
    cluster.heal();
    cluster.run(400);
    expect(left.core.base?.index).toBe(7);
    expect(said(left)).toBe("abcdefg");
    expect(modeOf(leader, left)).toBe("replicate");
  });

  test("R35: exactly one, however fast entries come and snapshots are taken meanwhile", () => {
    const cluster = started({ limits: { logHeldBytesMax: 15_000 } });
    const [leader, left] = [cluster.agent(1), cluster.agent(3)];
    let number = 0;
    const load = (milliseconds: number): void => {
      for (let passed = 0; passed < milliseconds; passed++) {
        cluster.propose(leader, `${(number += 1)}`, `${(number += 1)}`);
        cluster.run(1);
        if (passed % 4 === 0) cluster.snapshots.take(leader);
      }
    };
    cluster.isolate(left);
    load(200);
    cluster.snapshots.flow = false;
    cluster.heal();
    while (leader.transfers.length === 0) load(1);
    cluster.snapshots.ship(leader);
    const { file } = cluster.snapshots.underWay[0]!;
    // While it is on its way, 120 entries are decided, and fifteen more snapshots are taken.
    load(60);
    expect(leader.core.status().base).toBeGreaterThan(file.snapshot.index + 100);
    cluster.snapshots.land();
    load(60);
    expect([leader.transfers, cluster.snapshots.underWay]).toEqual([[], []]);
    expect(left.eventsOf("restore")).toHaveLength(1);
    expect(texts(left.committed).length).toBeGreaterThan(number - 10);
  });

  /** The third agent needs what is no longer in the log, and the snapshot of 7 was asked for it. */
  function far(): Story {
    const all = leftBehind({ limits: { logHeldBytesMax: 60 } });
    const { cluster, leader } = all;
    cluster.snapshots.flow = false;
    cluster.snapshots.take(leader);
    cluster.settle();
    cluster.heal();
    while (leader.transfers.length === 0) cluster.run(50);
    expect(leader.transfers).toEqual([{ to: "a3", index: 7 }]);
    return all;
  }

  test("R36: as many bytes are held for a transfer as the snapshot has itself", () => {
    const { cluster, leader, left } = far();
    const takenWith = (byteLength: number): number[] => {
      decide(cluster, "0123456789".repeat(2));
      const { snapshot, entries } = cluster.snapshots.freeze(leader);
      cluster.snapshots.store(leader, { snapshot: { ...snapshot, byteLength }, entries });
      cluster.settle();
      const { base, first } = leader.core.status();
      return [base, first];
    };
    expect(takenWith(100), "two entries").toEqual([27, 26]);
    expect(takenWith(3000)).toEqual([47, 26]);
    expect(modeOf(leader, left)).toBe("snapshot");
  });

  test("it is asked for again now and then, as long as nothing comes of it and the peer is there", () => {
    const { cluster, leader, left } = far();
    cluster.snapshots.take(leader);
    decide(cluster, "g");
    cluster.snapshots.take(leader);
    cluster.run(900);
    expect(leader.transfers).toHaveLength(1);
    cluster.run(200);
    expect(leader.transfers, "the one that is under way").toEqual([
      { to: "a3", index: 7 },
      { to: "a3", index: 7 },
    ]);
    cluster.isolate(left);
    cluster.run(3000);
    expect(leader.transfers).toHaveLength(2);
  });

  test("one that no longer leads into the log gives way to the newest", () => {
    const { cluster, leader } = far();
    decide(cluster, "ghijk");
    cluster.snapshots.take(leader);
    cluster.settle();
    expect(leader.core.status().first).toBeGreaterThan(8);
    cluster.run(1100);
    expect(leader.transfers.map(({ index: at }) => at)).toEqual([7, 12]);
  });

  test("one that failed is begun anew, with the newest snapshot by then, but not at once", () => {
    const { cluster, leader, left } = far();
    decide(cluster, "g");
    cluster.snapshots.take(leader);
    cluster.settle();
    cluster.snapshots.report(leader, left.id, index(7), "failed");
    cluster.run(500);
    expect(leader.transfers).toHaveLength(1);
    cluster.run(600);
    expect(leader.transfers.map(({ index: at }) => at)).toEqual([7, 8]);
  });

  test("what became of another transfer is of no interest", () => {
    const { cluster, leader, left } = far();
    for (const outcome of ["stored", "failed"] as const) {
      cluster.snapshots.report(leader, left.id, index(6), outcome);
      cluster.snapshots.report(leader, agentId("a2"), index(7), outcome);
      cluster.snapshots.report(leader, agentId("stranger"), index(7), outcome);
    }
    expect(modeOf(leader, left)).toBe("snapshot");
    cluster.snapshots.report(cluster.agent(2), left.id, index(7), "stored");
    cluster.run(1100);
    expect(leader.transfers.map(({ index: at }) => at)).toEqual([7, 7]);
  });

  test("stored, and yet not taken: the peer is asked, and gets it again, but not at once", () => {
    const { cluster, leader, left } = far();
    cluster.snapshots.report(leader, left.id, index(7), "stored");
    cluster.settle();
    expect([modeOf(leader, left), leader.transfers.length]).toEqual(["snapshot", 1]);
    cluster.run(1100);
    expect(leader.transfers).toHaveLength(2);
  });

  test("an acknowledgement that was lost comes with the next report", () => {
    const { cluster, leader, left } = far();
    const file = leader.files.get(7)!;
    cluster.snapshots.arrive(left, leader.id, file);
    cluster.sync(left);
    cluster.wire = [];
    cluster.snapshots.arrive(left, leader.id, file);
    cluster.settle();
    expect(modeOf(leader, left)).toBe("replicate");
  });

  test("R35: the link comes and goes: one transfer goes on, and what the peer has is asked for where the log ends", () => {
    const { cluster, leader, left } = far();
    const flap = (): void => {
      for (const up of [false, true])
        cluster.step(leader, (core, out) => core.linkChanged(left.id, up, cluster.now, out));
    };
    flap();
    expect([modeOf(leader, left), leader.transfers.length]).toEqual(["snapshot", 1]);
    cluster.isolate(left);
    cluster.crash(leader);
    cluster.restart(leader);
    cluster.pass(300);
    cluster.elect(leader);
    flap();
    const asked = cluster.take(is("append")).at(-1);
    expect([asked?.to, asked?.message]).toMatchObject([left.id, { prevIndex: leader.core.lastIndex }]);
  });

  test("a new leader begins with its own snapshot; the old one's may still arrive", () => {
    const { cluster, leader, left } = far();
    const other = cluster.agent(2);
    cluster.snapshots.ship(leader);
    decide(cluster, "g");
    cluster.run(60);
    cluster.snapshots.take(other);
    cluster.settle();
    cluster.isolate(leader);
    cluster.run(1000);
    expect(other.core.role).toBe("leader");
    expect(other.transfers).toEqual([{ to: "a3", index: 8 }]);
    cluster.heal();
    cluster.snapshots.land();
    cluster.settle();
    expect(left.eventsOf("restore").map(({ snapshot }) => snapshot.index)).toEqual([7]);
    cluster.snapshots.flow = true;
    cluster.run(1500);
    expect(said(left)).toBe("abcdefg");
    expect(modeOf(other, left)).toBe("replicate");
  });

  test("a learner that is new to the log gets the snapshot as well", () => {
    const cluster = started({ learners: 1, limits: { logHeldBytesMax: 60 } });
    const learner = cluster.agent(4);
    cluster.isolate(learner);
    decide(cluster, "abcdef");
    cluster.snapshots.take(cluster.agent(1));
    cluster.settle();
    cluster.heal();
    cluster.run(300);
    expect(learner.core.status()).toMatchObject({ role: "learner", base: 7, applied: 7 });
  });

  test("R35: an append that is on its way when its entries go may still be lost: then the snapshot follows", () => {
    const cluster = started({ limits: { logHeldBytesMax: 1, inFlightAppendsMax: 10 } });
    const [leader, left] = [cluster.agent(1), cluster.agent(3)];
    const lost = (): void =>
      void cluster.take(({ to, message }) => to === left.id && message.kind === "append");
    for (const text of "abcd") {
      cluster.propose(leader, text);
      lost();
      cluster.settle();
    }
    expect(modeOf(leader, left)).toBe("replicate");
    cluster.snapshots.take(leader);
    cluster.settle();
    expect(leader.core.status().first).toBe(4);
    expect(modeOf(leader, left), "what was sent last may yet arrive").toBe("replicate");
    cluster.run(400);
    expect(left.core.base?.index).toBe(5);
    expect(said(left)).toBe("abcd");
  });

  test("entries that were asked of the journal may go before it answers, once the peer has shown that it has them", () => {
    const { cluster, leader, left } = leftBehind();
    const term = 1 as Term;
    const hint = { prevIndex: index(7), hintIndex: index(1), hintTerm: term };
    cluster.tell(leader, left.id, { kind: "appendRejected", term, ...hint });
    cluster.tell(leader, left.id, { kind: "appendMatched", term, matched: index(1) });
    expect(leader.loads).toMatchObject([{ first: 2 }]);
    cluster.tell(leader, left.id, { kind: "appendMatched", term, matched: index(7) });
    cluster.snapshots.take(leader);
    cluster.sync(leader);
    expect(leader.core.status().first).toBe(7);
    cluster.load(leader);
    expect([modeOf(leader, left), leader.loads]).toEqual(["replicate", []]);
  });

  test("R31: a journal that lacks what the log has ends the agent", () => {
    const { cluster, leader, left } = leftBehind();
    const term = 1 as Term;
    const hint = { prevIndex: index(7), hintIndex: index(1), hintTerm: term };
    cluster.tell(leader, left.id, { kind: "appendRejected", term, ...hint });
    cluster.tell(leader, left.id, { kind: "appendMatched", term, matched: index(1) });
    const { ticket } = leader.loads[0]!;
    expect(() =>
      cluster.step(leader, (core, out) => core.loaded(ticket, undefined, cluster.now, out)),
    ).toThrow(AssertionError);
  });

  test("R40: leadership is not handed over to a peer that needs what is gone from the log", () => {
    const { cluster, leader, left } = far();
    const handOver = (): unknown =>
      cluster.step(leader, (core, out) => core.transferLeadership(left.id, cluster.now, out));
    expect(handOver()).toEqual({ kind: "notReady", agents: [left.id] });
    cluster.snapshots.report(leader, left.id, index(7), "stored");
    expect(handOver()).toEqual({ kind: "accepted" });
  });
});
