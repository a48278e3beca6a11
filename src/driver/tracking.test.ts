/** What whoever asked is told of a command on its way: by a group in its turns, and by the bookkeeping alone. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes } from "../core/bytes.ts";
import { canFollow, type DecisionState, type ProgressState } from "../core/decision.ts";
import { encodeCommand, stampEntry, type Run } from "../core/entry.ts";
import { logIndex, recordNumber, term } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { command, main, runOf, World } from "./test-world.ts";
import { Tracking } from "./tracking.ts";

const tracked = { onlyAsLeader: false, tracked: true } as const;

/** A group whose core does what the test says next; its record and its commits are those of the test. */
function world(): World {
  const made = new World().host();
  made.settle();
  made.told.length = 0;
  return made;
}

/** The core pushes a record with this run, as a leader or a follower does. */
function push(it: World, run: Run): void {
  it.core.onReceive = (_, out) => out.records.push({ text: "e", run });
  it.say("entries");
  it.settle();
}

function commit(it: World, run: Run): void {
  it.core.onReceive = (_, out) => out.commits.push({ run, digestAfter: false });
  it.say("commit");
  it.settle();
}

function durable(it: World, through: number): void {
  it.journal.callbacks.onDurable(main, recordNumber(through));
  it.settle();
}

describe("D15: a tracked command's progress", () => {
  test("is told as it happens: into the log, onto this disk, decided, and only then applied", () => {
    const it = world();
    it.core.onPropose = (commands, out) => {
      out.records.push({ text: "e", run: runOf(1, 2) });
      return { kind: "accepted", count: commands.length };
    };
    it.group.propose([command(1), command(2)], tracked);
    expect(it.told).toEqual([]);
    it.settle();
    expect(it.told).toEqual(["proposed 7/1", "proposed 7/2"]);
    // Where one disk is enough, the core decides as soon as it hears of it.
    it.core.onDurable = (_, out) => out.commits.push({ run: runOf(1, 2), digestAfter: false });
    durable(it, 1);
    expect(it.told.slice(2)).toEqual([
      "prepare 7/1",
      "prepare 7/2",
      "commit 7/1",
      "commit 7/2",
      "applied 1",
      "applied 2",
    ]);
  });

  test("waits for the very record that holds it", () => {
    const it = world();
    it.group.propose([command(2)], tracked);
    push(it, runOf(1, 1));
    push(it, runOf(2, 2));
    durable(it, 1);
    expect(it.told).toEqual(["proposed 7/2"]);
    durable(it, 2);
    expect(it.told).toEqual(["proposed 7/2", "prepare 7/2"]);
  });

  test("is told of tracked commands only", () => {
    const it = world();
    it.group.propose([command(1)], { onlyAsLeader: false });
    it.group.propose([command(2)], { onlyAsLeader: false, tracked: false });
    it.group.propose([command(3)], tracked);
    push(it, runOf(1, 3));
    durable(it, 1);
    commit(it, runOf(1, 3));
    expect(it.told.filter((line) => !line.startsWith("applied"))).toEqual([
      "proposed 7/3",
      "prepare 7/3",
      "commit 7/3",
    ]);
  });

  test("skips what happened before anybody asked", () => {
    const it = world();
    push(it, runOf(1, 1));
    durable(it, 1);
    it.group.propose([command(1)], tracked);
    it.settle();
    expect(it.told).toEqual([]);
    commit(it, runOf(1, 1));
    expect(it.told).toEqual(["commit 7/1", "applied 1"]);
  });

  test("does not go back where another run replaces the entry, and nothing is said until it is there again", () => {
    const it = world();
    it.group.propose([command(1), command(2)], tracked);
    push(it, runOf(1, 2));
    // Another leader's entry takes index 2.
    push(it, renumbered(9, 2, 2));
    durable(it, 2);
    expect(it.told).toEqual(["proposed 7/1", "proposed 7/2", "prepare 7/1"]);
    push(it, renumbered(2, 3, 2));
    expect(it.told).toHaveLength(3);
    durable(it, 3);
    expect(it.told.slice(3)).toEqual(["prepare 7/2"]);
  });

  test("is told once of a command that is in the log twice, because it was handed in twice", () => {
    const it = world();
    it.group.propose([command(1)], tracked);
    push(it, runOf(1, 1));
    it.group.propose([command(1)], tracked);
    push(it, renumbered(1, 2, 1));
    durable(it, 2);
    commit(it, runOf(1, 1));
    commit(it, renumbered(1, 2, 1));
    expect(it.told).toEqual(["proposed 7/1", "prepare 7/1", "commit 7/1", "applied 1", "applied 2"]);
  });

  test("ends where the command is refused, here or by whom it was forwarded to, and begins anew with a repeat", () => {
    const it = world();
    it.core.onPropose = () => ({ kind: "overloaded", inFlight: 1, inFlightMax: 1 });
    it.group.propose([command(1)], tracked);
    it.settle();
    it.core.onPropose = (commands) => ({ kind: "accepted", count: commands.length });
    it.group.propose([command(2)], tracked);
    it.settle();
    it.core.onReceive = (_, out) =>
      out.events.push({
        kind: "refused",
        commands: [{ session: 7, sequence: 2 }],
        refusal: { kind: "notLeader" },
      });
    it.say("refused");
    it.settle();
    push(it, runOf(1, 2));
    expect(it.told).toEqual(["refused 7/1 overloaded", "refused 7/2 notLeader"]);
    it.group.propose([command(2)], tracked);
    push(it, runOf(2, 2));
    expect(it.told.slice(2)).toEqual(["proposed 7/2"]);
  });

  test("ends when nobody is left to hear of it, also between a record and its disk", () => {
    const it = world();
    it.group.propose([command(1)], tracked);
    push(it, runOf(1, 1));
    it.group.untrack(7);
    it.group.untrack(8);
    durable(it, 1);
    commit(it, runOf(1, 1));
    expect(it.told).toEqual(["proposed 7/1", "applied 1"]);
  });
});

/** Sequence `sequence` of session 7 as the entry at `index`. */
function renumbered(sequence: number, index: number, inTerm: number): Run {
  const bytes = command(sequence);
  stampEntry(bytes, 0, logIndex(index), term(inTerm), 0);
  return { first: logIndex(index), last: logIndex(index), bytes };
}

describe("D16: what is tracked", () => {
  function tracking(trackedMax?: number): { tracking: Tracking; told: string[] } {
    const told: string[] = [];
    const observer = {
      progressed: (session: number, sequence: number, state: string) =>
        told.push(`${state} ${session}/${sequence}`),
    };
    return { tracking: new Tracking(observer, trackedMax), told };
  }

  test("is nothing at first, and nothing again once all is decided", () => {
    const it = tracking();
    expect(it.tracking.isWatching).toBe(false);
    it.tracking.add([command(1), command(2)]);
    expect(it.tracking.isWatching).toBe(true);
    it.tracking.committed(runOf(1, 1));
    expect(it.tracking.isWatching).toBe(true);
    it.tracking.committed(runOf(2, 2));
    expect(it.tracking.isWatching).toBe(false);
    expect(it.told).toEqual(["commit 7/1", "commit 7/2"]);
  });

  test("is bounded: of what is beyond, nothing is said, and what is decided makes room", () => {
    const it = tracking(2);
    it.tracking.add([command(1), command(1), command(2), command(3)]);
    it.tracking.pushed(runOf(1, 3), recordNumber(1));
    it.tracking.committed(runOf(1, 1));
    it.tracking.add([command(4)]);
    it.tracking.pushed(runOf(4, 5), recordNumber(2));
    expect(it.told).toEqual(["proposed 7/1", "proposed 7/2", "commit 7/1", "proposed 7/4"]);
  });

  test("is within the limit that LIMITS.md states", () => {
    const it = tracking();
    const count = limits.trackedCommandsMax + 1;
    it.tracking.add(Array.from({ length: count }, (_, at) => command(at + 1)));
    it.tracking.pushed(runOf(1, count), recordNumber(1));
    expect(it.told).toHaveLength(limits.trackedCommandsMax);
    expect(it.told.at(-1)).toBe(`proposed 7/${count - 1}`);
  });

  test("does not stay where a command went elsewhere: a later one says that its answer is known", () => {
    const it = tracking();
    it.tracking.add([command(1), command(2), command(3)]);
    // With it the owner may still ask for the answers of 3 and 4.
    const later = encodeCommand(
      { kind: "command", session: 7, sequence: 4, unsettled: 2 },
      new Uint8Array(8),
    );
    stampEntry(later, 0, logIndex(9), term(1), 0);
    it.tracking.committed({ first: logIndex(9), last: logIndex(9), bytes: later });
    expect(it.tracking.isWatching).toBe(true);
    it.tracking.pushed(runOf(1, 3), recordNumber(1));
    expect(it.told).toEqual(["proposed 7/3"]);
    it.tracking.committed(runOf(3, 3));
    expect(it.tracking.isWatching).toBe(false);
  });

  test("is dropped session by session", () => {
    const it = tracking();
    const other = encodeCommand(
      { kind: "command", session: 8, sequence: 1, unsettled: 1 },
      new Uint8Array(8),
    );
    it.tracking.add([command(1), command(2), other]);
    it.tracking.dropSession(7);
    expect(it.tracking.isWatching).toBe(true);
    it.tracking.drop(8, 2);
    it.tracking.drop(8, 1);
    it.tracking.drop(8, 1);
    expect(it.tracking.isWatching).toBe(false);
  });
});

// ── whatever happens to the log ──

type Step =
  | { readonly kind: "add"; readonly sequence: number }
  | { readonly kind: "push"; readonly back: number; readonly sequences: readonly number[] }
  | { readonly kind: "durable"; readonly share: number }
  | { readonly kind: "commit" };

const sequence = fc.integer({ min: 1, max: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), sequence }),
  fc.record({
    kind: fc.constant("push" as const),
    back: fc.integer({ min: 0, max: 3 }),
    sequences: fc.array(sequence, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant("durable" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.constant({ kind: "commit" as const }),
);

/** A log as plain lists: what is in it, in which record, how much is on disk and decided. */
class LogModel {
  readonly entries: { readonly sequence: number; readonly record: number }[] = [];
  readonly told = new Map<number, DecisionState>();
  records = 0;
  durable = 0;
  committed = 0;
  readonly tracking = new Tracking({
    progressed: (session, of, state) => {
      expect(session).toBe(7);
      expect(canFollow(this.told.get(of) ?? "pending", state)).toBe(true);
      expect(this.#isSo(of, state)).toBe(true);
      this.told.set(of, state);
    },
  });

  take(one: Step): void {
    switch (one.kind) {
      case "add":
        this.tracking.add([command(one.sequence)]);
        // Once decided, a command is told of anew only if it is asked for anew.
        if (this.told.get(one.sequence) === "commit") this.told.delete(one.sequence);
        return;
      case "push": {
        this.entries.length = Math.max(this.committed, this.entries.length - one.back);
        const first = this.entries.length + 1;
        this.records += 1;
        for (const of of one.sequences) this.entries.push({ sequence: of, record: this.records });
        this.tracking.pushed(this.#run(first, this.entries.length), recordNumber(this.records));
        return;
      }
      case "durable":
        this.durable += Math.floor((this.records - this.durable) * one.share);
        this.tracking.durable(this.durable);
        return;
      case "commit": {
        const first = this.committed + 1;
        this.committed = this.entries.filter(({ record }) => record <= this.durable).length;
        if (this.committed >= first) this.tracking.committed(this.#run(first, this.committed));
        return;
      }
    }
  }

  #isSo(of: number, state: ProgressState): boolean {
    const places = this.entries.flatMap((entry, at) => (entry.sequence === of ? [{ ...entry, at }] : []));
    if (state === "proposed") return places.some(({ record }) => record === this.records);
    if (state === "prepare") return places.some(({ record }) => record <= this.durable);
    return places.some(({ at }) => at < this.committed);
  }

  #run(first: number, last: number): Run {
    const entries = this.entries.slice(first - 1, last).map(({ sequence: of }, at) => {
      // The owner may still ask for all of them.
      const header = { kind: "command", session: 7, sequence: of, unsettled: of } as const;
      const bytes = encodeCommand(header, new Uint8Array(1));
      stampEntry(bytes, 0, logIndex(first + at), term(1), 0);
      return bytes;
    });
    return { first: logIndex(first), last: logIndex(last), bytes: concatBytes(entries) };
  }
}

describe("D15: whatever is replaced, repeated or late", () => {
  test("states come in order, only where they are so, and in the end every tracked command is decided", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const model = new LogModel();
        const asked = new Set<number>();
        for (const one of steps) {
          if (one.kind === "add") asked.add(one.sequence);
          model.take(one);
        }
        model.take({ kind: "push", back: 0, sequences: [1, 2, 3, 4, 5, 6] });
        model.take({ kind: "durable", share: 1 });
        model.take({ kind: "commit" });
        expect(model.tracking.isWatching).toBe(false);
        for (const of of asked) expect(model.told.get(of)).toBe("commit");
      }),
      { numRuns: 300 },
    );
  });
});
