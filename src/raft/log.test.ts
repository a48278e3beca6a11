/**
 * The log's bookkeeping by itself: terms, the tail, the way back to records, and what counts as durable. Against a plain
 * array of entries where a model helps.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AssertionError,
  emptyBytes,
  encodeCommand,
  entryLength,
  entryTerm,
  never,
  stampEntry,
  type LogIndex,
  type Micros,
  type RecordNumber,
  type Run,
  type Term,
} from "../core/index.ts";
import { Log } from "./log.ts";
import { PendingRecords } from "./pending-records.ts";
import { Progress } from "./progress.ts";
import { raftLimits } from "./options.ts";
import { Slab } from "./slab.ts";
import { Window } from "./window.ts";
import type { AgentId } from "../core/index.ts";

const index = (value: number): LogIndex => value as LogIndex;
const term = (value: number): Term => value as Term;
const record = (value: number): RecordNumber => value as RecordNumber;
const at = (value: number): Micros => value as Micros;

/** A run of entries with these terms. */
function run(first: number, terms: readonly number[], payloadBytes = 0): Run {
  const parts = terms.map((value, position) => {
    const payload = payloadBytes === 0 ? emptyBytes : new Uint8Array(payloadBytes);
    const entry = encodeCommand({ kind: "command", session: 1, sequence: 1, unsettled: 0 }, payload);
    stampEntry(entry, 0, index(first + position), term(value), 100 + first + position);
    return entry;
  });
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return { first: index(first), last: index(first + terms.length - 1), bytes };
}

function termsIn({ bytes }: Run): number[] {
  const terms: number[] = [];
  for (let offset = 0; offset < bytes.byteLength; offset += entryLength(bytes, offset)) {
    terms.push(entryTerm(bytes, offset));
  }
  return terms;
}

describe("terms along the log", () => {
  test("each entry has the term that it came with, and nothing lies outside", () => {
    const log = new Log();
    log.append(run(1, [1, 1, 2]), record(2), term(4));
    log.append(run(4, [2, 4]), record(3), term(4));
    expect([0, 1, 2, 3, 4, 5].map((value) => log.termAt(index(value)))).toEqual([0, 1, 1, 2, 2, 4]);
    expect(log.termAt(index(6))).toBeUndefined();
    expect(log.lastTerm).toBe(4);
    expect(log.last).toBe(5);
  });

  test("an empty log ends with its base", () => {
    const log = new Log();
    log.startAt(index(10), term(3));
    expect([log.last, log.lastTerm, log.termAt(index(10)), log.termAt(index(9))]).toEqual([
      10,
      3,
      3,
      undefined,
    ]);
    log.append(run(11, [3]), record(2), term(3));
    expect(log.termAt(index(11))).toBe(3);
  });

  test("R4: an entry of a later term than its holder's, or of an earlier one than the entry before, is a bug", () => {
    const log = new Log();
    log.append(run(1, [2]), record(2), term(2));
    expect(() => log.append(run(2, [3]), record(3), term(2))).toThrow(AssertionError);
    expect(() => log.append(run(2, [1]), record(3), term(2))).toThrow(AssertionError);
    expect(() => log.append(run(3, [2]), record(3), term(2))).toThrow(AssertionError);
  });

  test("the hint: the highest index up to which somebody with that entry could still agree", () => {
    const log = new Log();
    log.append(run(1, [1, 1, 3, 3, 6]), record(2), term(6));
    const hint = (ofTerm: number, from: number): number => log.lastOfTermAtMost(term(ofTerm), index(from));
    expect(hint(6, 9)).toBe(5);
    expect(hint(5, 5)).toBe(4);
    expect(hint(3, 3)).toBe(3);
    expect(hint(2, 5)).toBe(2);
    expect(hint(0, 5)).toBe(0);
    const based = new Log();
    based.startAt(index(10), term(4));
    based.append(run(11, [5]), record(2), term(5));
    expect(based.lastOfTermAtMost(term(4), index(11))).toBe(10);
    expect(based.lastOfTermAtMost(term(3), index(11))).toBe(9);
    expect(based.lastOfTermAtMost(term(5), index(7))).toBe(9);
  });
});

describe("the tail", () => {
  test("R16: the oldest runs go once the tail is over its limit, but none that is not on disk, and never the last", () => {
    const log = new Log();
    for (let first = 1; first <= 9; first += 2) log.append(run(first, [1, 1]), record(first), term(1));
    const { byteLength } = log.runAt(index(1))!.bytes;
    log.trim(2 * byteLength, index(4));
    expect(log.runAt(index(4))).toBeUndefined();
    expect(log.runAt(index(5))?.first).toBe(5);
    expect(log.tailBytes).toBe(3 * byteLength);
    log.trim(0, index(10));
    expect(log.runAt(index(8))).toBeUndefined();
    expect(log.runAt(index(10))?.first).toBe(9);
    expect(log.termAt(index(1)), "terms are known of what is not in memory").toBe(1);
  });

  test("a truncation in the middle of a run keeps its front, and the bytes are counted down", () => {
    const log = new Log();
    log.append(run(1, [1, 1]), record(2), term(1));
    log.append(run(3, [1, 2, 2]), record(3), term(2));
    const entryBytes = log.bytesAppended / 5;
    log.truncate(index(3));
    expect(log.last).toBe(3);
    expect(log.lastTerm).toBe(1);
    expect(termsIn(log.runAt(index(3))!)).toEqual([1]);
    expect(log.bytesAppended).toBe(3 * entryBytes);
    expect(log.bytesThrough(index(2))).toBe(2 * entryBytes);
    log.append(run(4, [3]), record(4), term(3));
    expect(log.termAt(index(4))).toBe(3);
    expect(log.lastTime()).toBe(104);
  });

  test("a truncation behind the tail leaves no run in memory, and the next one begins a new tail", () => {
    const log = new Log();
    for (let first = 1; first <= 5; first++) log.append(run(first, [1]), record(first), term(1));
    log.trim(0, index(5));
    log.truncate(index(2));
    expect(log.runAt(index(2))).toBeUndefined();
    log.append(run(3, [2]), record(6), term(2));
    expect(log.runAt(index(2))).toBeUndefined();
    expect(log.runAt(index(3))?.first).toBe(3);
    expect([1, 2, 3, 4].map((value) => log.termAt(index(value)))).toEqual([1, 1, 2, undefined]);
  });

  test("what a snapshot holds is never truncated, and only an empty log gets a base", () => {
    const log = new Log();
    log.startAt(index(3), term(1));
    expect(() => log.truncate(index(2))).toThrow(AssertionError);
    log.append(run(4, [1]), record(2), term(1));
    expect(() => log.startAt(index(9), term(1))).toThrow(AssertionError);
  });

  test("slots of dropped runs are given back", () => {
    const log = new Log();
    for (let first = 1; first <= 5000; first++) {
      log.append(run(first, [1]), record(first), term(1));
      log.trim(1000, index(first));
    }
    expect(log.runAt(index(5000))?.last).toBe(5000);
    expect(log.runAt(index(4990))?.last).toBe(4990);
    expect(log.runAt(index(4000))).toBeUndefined();
    expect(log.bytesThrough(index(4990))).toBe(4990 * 56);
  });
});

describe("from index to record", () => {
  test("a record at or before the one that holds the entry, at most some 64 KiB before", () => {
    const log = new Log();
    for (let first = 1; first <= 40; first++)
      log.append(run(first, [1], 10_000), record(100 + first), term(1));
    for (let wanted = 1; wanted <= 40; wanted++) {
      const found = log.recordOf(index(wanted))!;
      expect(found).toBeLessThanOrEqual(100 + wanted);
      expect(found).toBeGreaterThan(100 + wanted - 8);
    }
    expect(log.recordOf(index(0))).toBeUndefined();
    expect(log.recordOf(index(41))).toBeUndefined();
  });

  test("after a truncation no point speaks of what is gone", () => {
    const log = new Log();
    for (let first = 1; first <= 20; first++) log.append(run(first, [1], 70_000), record(first), term(1));
    log.truncate(index(5));
    for (let first = 6; first <= 15; first++)
      log.append(run(first, [2], 70_000), record(15 + first), term(2));
    const found = Array.from({ length: 15 }, (_, position) => log.recordOf(index(position + 1)));
    expect(found).toEqual([1, 2, 3, 4, 5, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    log.renumberRecords(1000);
    expect(log.recordOf(index(1))).toBe(1001);
  });
});

test("R17: against a plain array, whatever is appended, truncated and trimmed", () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant("append" as const),
        rise: fc.nat(2),
        count: fc.integer({ min: 1, max: 4 }),
      }),
      fc.record({ kind: fc.constant("truncate" as const), keep: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ kind: fc.constant("trim" as const), bytesMax: fc.nat(400) }),
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      const log = new Log();
      const model: number[] = [];
      let current = 1;
      let number = 1;
      for (const step of script) {
        if (step.kind === "append") {
          const terms = Array.from({ length: step.count }, (_, position) =>
            position === 0 ? current : current + step.rise,
          );
          current += step.rise;
          log.append(run(model.length + 1, terms), record(number++), term(current));
          model.push(...terms);
        } else if (step.kind === "truncate") {
          model.length = Math.floor(step.keep * model.length);
          log.truncate(index(model.length));
          current += 1;
        } else {
          log.trim(step.bytesMax, index(model.length));
        }
        expect(log.last).toBe(model.length);
        model.forEach((value, position) => {
          expect(log.termAt(index(position + 1))).toBe(value);
          const held = log.runAt(index(position + 1));
          const found = held === undefined ? value : termsIn(held)[position + 1 - held.first];
          expect(found, "what is in memory is as it came").toBe(value);
        });
      }
    }),
  );
});

test("R10: what the journal gives back counts as far as the log has the same", () => {
  const log = new Log();
  log.append(run(1, [1, 1, 2, 2]), record(2), term(2));
  expect(log.agreeingPart(run(1, [1, 1, 2, 2]), index(2))).toMatchObject({ first: 2, last: 4 });
  expect(log.agreeingPart(run(1, [1, 1, 1, 1]), index(2))).toMatchObject({ first: 2, last: 2 });
  expect(log.agreeingPart(run(3, [2, 2, 2]), index(3)), "beyond the log's end").toMatchObject({
    first: 3,
    last: 4,
  });
  expect(log.agreeingPart(run(3, [1, 2]), index(3))).toBeUndefined();
  expect(log.agreeingPart(run(3, [2]), index(2))).toBeUndefined();
});

describe("what is durable", () => {
  test("R6: the log is durable as far as the newest durable record says", () => {
    const pending = new PendingRecords(4, index(7));
    pending.push(record(5), index(8), at(10));
    pending.push(record(6), index(8), at(20));
    pending.push(record(7), index(9), at(30));
    expect([pending.durableIndex, pending.oldestPushedAt]).toEqual([7, 10]);
    pending.durable(record(6));
    expect([pending.durableIndex, pending.durableRecord, pending.oldestPushedAt, pending.count]).toEqual([
      8, 6, 30, 1,
    ]);
    pending.durable(record(7));
    expect([pending.durableIndex, pending.oldestPushedAt]).toEqual([9, never]);
  });

  test("R6: a completion of entries that were replaced meanwhile counts for nothing", () => {
    const pending = new PendingRecords(0, index(4));
    pending.push(record(1), index(8), at(0));
    pending.truncate(index(5));
    pending.push(record(2), index(8), at(0));
    pending.durable(record(1));
    expect(pending.durableIndex, "5 is still the old entry, 6 to 8 are not").toBe(5);
    pending.durable(record(2));
    expect(pending.durableIndex).toBe(8);
  });

  test("R6: what was durable and is truncated is no longer", () => {
    const pending = new PendingRecords(3, index(9));
    pending.truncate(index(2));
    expect(pending.durableIndex).toBe(2);
    pending.push(record(4), index(3), at(0));
    expect(pending.durableIndex).toBe(2);
  });

  test("durability never goes back and never ahead of what was pushed", () => {
    const pending = new PendingRecords(3, index(0));
    expect(() => pending.durable(record(2))).toThrow(AssertionError);
    expect(() => pending.durable(record(4))).toThrow(AssertionError);
    expect(() => pending.push(record(5), index(1), at(0))).toThrow(AssertionError);
  });

  test("any number of records can wait", () => {
    const pending = new PendingRecords(0, index(0));
    let settled = 0;
    for (let pushed = 1; pushed <= 1000; pushed++) {
      pending.push(record(pushed), index(pushed), at(pushed));
      if (pushed % 3 === 0) pending.durable(record((settled += 1)));
      expect(pending.oldestPushedAt).toBe(settled + 1);
    }
    pending.durable(record(1000));
    expect(pending.durableIndex).toBe(1000);
  });
});

describe("memory for runs", () => {
  test("pieces of one array, each of its own bytes; large ones apart", () => {
    const slab = new Slab();
    const pieces = [100, 30_000, 200, 16_384, 16_384, 16_384, 16_384].map((byteLength) =>
      slab.take(byteLength),
    );
    for (const [position, piece] of pieces.entries()) piece.fill(position + 1);
    for (const [position, piece] of pieces.entries()) {
      expect(piece.every((byte) => byte === position + 1)).toBe(true);
    }
    expect(pieces[0]!.buffer).toBe(pieces[2]!.buffer);
    expect(pieces[1]!.buffer.byteLength).toBe(30_000);
    expect(pieces[6]!.buffer, "what no longer fits begins a new one").not.toBe(pieces[0]!.buffer);
    expect(slab.take(500).every((byte) => byte === 0)).toBe(true);
  });
});

describe("a window", () => {
  test("R16: pieces settle in order, a piece that reaches beyond stays whole", () => {
    const window = new Window(2);
    window.push(index(3), 10);
    window.push(index(6), 20);
    expect([window.full, window.bytes]).toEqual([true, 30]);
    window.settle(index(5));
    expect([window.count, window.bytes]).toEqual([1, 20]);
    window.push(index(7), 5);
    window.settle(index(7));
    expect([window.count, window.bytes, window.full]).toEqual([0, 0, false]);
    window.push(index(9), 1);
    window.clear();
    expect([window.count, window.bytes]).toEqual([0, 0]);
  });

  test("more than its capacity is a bug", () => {
    const window = new Window(1);
    window.push(index(1), 1);
    expect(() => window.push(index(2), 1)).toThrow(AssertionError);
  });
});

describe("what the leader knows of a peer", () => {
  const limits = raftLimits({ inFlightAppendsMax: 2, inFlightEntriesMax: 20, inFlightBytesMax: 100 });
  const progress = (): Progress => new Progress("b" as AgentId, index(11), at(0), 2);

  test("it probes first; an acknowledgement opens the pipeline behind it", () => {
    const peer = progress();
    peer.sent(index(12), 10);
    expect([peer.mode, peer.next, peer.asked]).toEqual(["probe", 11, true]);
    expect(peer.acknowledged(index(12))).toBe(true);
    expect([peer.mode, peer.next, peer.matched]).toEqual(["replicate", 13, 12]);
    peer.sent(index(13), 60);
    expect(peer.windowOpen(limits)).toBe(true);
    peer.sent(index(14), 60);
    expect(peer.windowOpen(limits)).toBe(false);
    expect(peer.next).toBe(15);
  });

  test("R16: the window closes by bytes and by entries as well as by messages", () => {
    const heavy = progress();
    heavy.acknowledged(index(10));
    heavy.sent(index(11), 100);
    expect([heavy.window.full, heavy.windowOpen(limits)]).toEqual([false, false]);
    const many = progress();
    many.acknowledged(index(10));
    many.sent(index(29), 10);
    expect(many.windowOpen(limits)).toBe(true);
    many.probeFrom(index(11));
    many.acknowledged(index(10));
    many.sent(index(30), 10);
    expect([many.window.full, many.windowOpen(limits)]).toEqual([false, false]);
    many.acknowledged(index(11));
    expect(many.windowOpen(limits)).toBe(true);
  });

  test("R13: a late acknowledgement takes nothing back", () => {
    const peer = progress();
    peer.acknowledged(index(10));
    peer.sent(index(11), 1);
    peer.sent(index(12), 1);
    expect(peer.acknowledged(index(12))).toBe(true);
    expect(peer.acknowledged(index(11))).toBe(false);
    expect(peer.acknowledged(index(12))).toBe(false);
    expect([peer.matched, peer.next, peer.window.count]).toEqual([12, 13, 0]);
  });

  test("R13: a rejection counts only where it speaks of what is asked now", () => {
    const peer = progress();
    peer.sent(index(12), 1);
    expect(peer.rejected(index(9), index(4)), "of an earlier probe").toBe(false);
    expect(peer.rejected(index(10), index(4))).toBe(true);
    expect([peer.next, peer.asked]).toEqual([5, false]);
    peer.acknowledged(index(4));
    peer.sent(index(5), 1);
    peer.sent(index(6), 1);
    expect(peer.rejected(index(4), index(2)), "of what is acknowledged since").toBe(false);
    expect(peer.rejected(index(7), index(2)), "of what was never sent").toBe(false);
    expect(peer.rejected(index(5), index(2)), "a lost append").toBe(true);
    expect([peer.mode, peer.next, peer.window.count]).toEqual(["probe", 5, 0]);
  });

  test("R13: a rejection always moves the probe down, whatever its hint says", () => {
    const peer = progress();
    expect(peer.rejected(index(10), index(99))).toBe(true);
    expect(peer.next).toBe(10);
    expect(peer.rejected(index(9), index(-1))).toBe(true);
    expect(peer.next).toBe(1);
  });

  test("a snapshot on its way: rejections mean nothing, an acknowledgement ends it", () => {
    const peer = progress();
    peer.snapshotNeeded();
    expect(peer.rejected(index(10), index(4))).toBe(false);
    expect(peer.acknowledged(index(0))).toBe(false);
    expect(peer.mode).toBe("snapshot");
    expect(peer.acknowledged(index(20))).toBe(true);
    expect([peer.mode, peer.next]).toEqual(["replicate", 21]);
  });
});
