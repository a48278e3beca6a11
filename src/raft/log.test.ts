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
import { Slab } from "./slab.ts";
import { Window } from "./window.ts";

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

  test("an empty log ends with what it starts behind", () => {
    const log = new Log();
    log.startAnew(index(10), term(3), 77);
    expect(log.lastTime()).toBe(77);
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
    based.startAnew(index(10), term(4), 0);
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

  test("what a snapshot holds is never truncated", () => {
    const log = new Log();
    log.startAnew(index(3), term(1), 0);
    expect(() => log.truncate(index(2))).toThrow(AssertionError);
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

describe("letting go of the front", () => {
  /** Entries 1 to 20 of 1,000 bytes and more, each a record of its own, a new term with every fifth. */
  function twenty(keptBytesMax = 1): Log {
    const log = new Log(keptBytesMax);
    for (let first = 1; first <= 20; first++) {
      const ofTerm = Math.ceil(first / 5);
      log.append(run(first, [ofTerm], 944), record(100 + first), term(ofTerm));
    }
    return log;
  }

  test("R30: what is behind stays as it was: terms, records, bytes; what is in front is gone", () => {
    const log = twenty();
    log.compact(index(7));
    expect([log.start, log.last, log.firstRecord]).toEqual([7, 20, 108]);
    expect([6, 7, 8, 10, 11, 20].map((entry) => log.termAt(index(entry)))).toEqual([
      undefined,
      2,
      2,
      2,
      3,
      4,
    ]);
    expect([log.recordOf(index(7)), log.recordOf(index(8)), log.recordOf(index(20))]).toEqual([
      undefined,
      108,
      120,
    ]);
    expect(log.runAt(index(7))).toBeUndefined();
    expect(log.runAt(index(8))?.first).toBe(8);
    expect(log.tailBytes).toBe(13_000);
    expect(log.bytesThrough(index(8))).toBe(8000);
    expect(log.lastOfTermAtMost(term(2), index(15))).toBe(10);
    expect(log.lastOfTermAtMost(term(1), index(15))).toBe(6);
    expect(() => log.truncate(index(6))).toThrow(AssertionError);
    log.truncate(index(7));
    expect([log.last, log.lastTerm, log.firstRecord]).toEqual([7, 2, undefined]);
    log.append(run(8, [5]), record(200), term(5));
    expect([log.recordOf(index(8)), log.firstRecord, log.termAt(index(8))]).toEqual([200, 200, 5]);
  });

  test("it goes no further than asked, and stops at the beginning of a record", () => {
    const log = new Log();
    for (let first = 1; first <= 31; first += 3)
      log.append(run(first, [1, 1, 1], 2000), record(first), term(1));
    log.compact(index(3));
    expect(log.start).toBe(3);
    log.compact(index(8));
    expect(log.start).toBe(6);
    log.compact(index(2));
    expect(log.start, "never back").toBe(6);
    log.compact(index(33));
    expect([log.start, log.last]).toEqual([30, 33]);
    expect(log.runAt(index(31)), "the last record stays").toBeDefined();
  });

  test("entries behind a trimmed tail go as well", () => {
    const log = twenty();
    log.trim(3000, index(20));
    log.compact(index(10));
    expect([log.runAt(index(17)), log.runAt(index(18))?.first]).toEqual([undefined, 18]);
    log.compact(index(19));
    expect([log.start, log.tailBytes, log.lastTime()]).toEqual([19, 1000, 120]);
  });

  test("R36: where it would start to keep so many bytes in front of an index", () => {
    const log = twenty();
    expect(log.startKeeping(5000, index(12))).toBe(7);
    expect(log.startKeeping(4999, index(12))).toBe(8);
    expect(log.startKeeping(1, index(12))).toBe(12);
    expect(log.startKeeping(1_000_000, index(12))).toBe(0);
    expect(log.startKeeping(5000, index(20)), "the last record is not counted").toBe(14);
    log.compact(index(9));
    expect(log.startKeeping(1_000_000, index(12)), "never in front of its start").toBe(9);
    expect(log.startKeeping(1, index(4))).toBe(9);
    expect(new Log().startKeeping(1, index(0))).toBe(0);
  });

  test("a log that begins anew has nothing of before", () => {
    const log = twenty();
    log.startAnew(index(15), term(9), 555);
    expect([log.start, log.last, log.lastTerm, log.lastTime(), log.tailBytes]).toEqual([15, 15, 9, 555, 0]);
    expect([14, 15, 16].map((entry) => log.termAt(index(entry)))).toEqual([undefined, 9, undefined]);
    expect([log.firstRecord, log.runAt(index(15)), log.runAt(index(16))]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    log.append(run(16, [9]), record(300), term(9));
    expect([log.recordOf(index(16)), log.bytesThrough(index(16)) - log.bytesAppended]).toEqual([300, 0]);
  });

  test("entries that come before what they follow: its term may be told, or the log starts one later", () => {
    const told = new Log();
    told.startBefore(index(5));
    told.append(run(5, [3, 3]), record(1), term(3));
    expect([told.start, told.termAt(index(4)), told.termAt(index(5))]).toEqual([4, undefined, 3]);
    told.startsWith(term(2));
    told.settleStart();
    expect([told.start, told.termAt(index(4))]).toEqual([4, 2]);
    expect(() => told.startsWith(term(1))).toThrow(AssertionError);
    const untold = new Log();
    untold.startBefore(index(5));
    untold.append(run(5, [3, 4]), record(1), term(4));
    untold.settleStart();
    expect([untold.start, untold.termAt(index(5)), untold.termAt(index(6)), untold.lastTerm]).toEqual([
      5, 3, 4, 4,
    ]);
    expect(untold.recordOf(index(6)), "in the record that begins before it").toBe(1);
    expect(() => untold.startBefore(index(9))).toThrow(AssertionError);
  });
});

/** The log as plain arrays, with a place for each entry that there ever was. */
class PlainLog {
  readonly terms: number[] = [];
  readonly records: number[] = [];
  start = 0;

  cut(length: number): void {
    this.terms.length = length;
    this.records.length = length;
  }

  /** Whatever `log` says of an entry is the same here; nothing that it must not know is left in it. */
  check(log: Log, nextRecord: number): void {
    const { terms, records, start } = this;
    expect([log.start, log.last]).toEqual([start, terms.length]);
    expect(log.firstRecord ?? nextRecord).toBe(records[start] ?? nextRecord);
    for (const [position, value] of terms.entries()) {
      const entry = index(position + 1);
      expect(log.termAt(entry)).toBe(entry < start ? undefined : value);
      if (entry <= start) continue;
      expect(log.recordOf(entry)).toBe(records[position]);
      const held = log.runAt(entry);
      const found = held === undefined ? value : termsIn(held)[entry - held.first];
      expect(found, "what is in memory is as it came").toBe(value);
    }
  }
}

test("R17, R30: against plain arrays, whatever is appended, truncated, trimmed, compacted and begun anew", () => {
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  const steps = fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant("append" as const),
        rise: fc.nat(2),
        count: fc.integer({ min: 1, max: 4 }),
      }),
      fc.record({ kind: fc.constant("truncate" as const), part }),
      fc.record({ kind: fc.constant("trim" as const), bytesMax: fc.nat(400) }),
      fc.record({ kind: fc.constant("compact" as const), part }),
      fc.record({ kind: fc.constant("anew" as const), further: fc.nat(3) }),
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      const log = new Log(1);
      const plain = new PlainLog();
      let current = 1;
      let number = 1;
      for (const step of script) {
        const { terms, records, start } = plain;
        if (step.kind === "append") {
          const ofRun = Array.from({ length: step.count }, (_, position) =>
            position === 0 ? current : current + step.rise,
          );
          current += step.rise;
          log.append(run(terms.length + 1, ofRun), record(number), term(current));
          terms.push(...ofRun);
          records.push(...ofRun.map(() => number));
          number += 1;
        } else if (step.kind === "truncate") {
          plain.cut(start + Math.floor(step.part * (terms.length - start)));
          log.truncate(index(terms.length));
          current += 1;
        } else if (step.kind === "trim") {
          log.trim(step.bytesMax, index(terms.length));
        } else if (step.kind === "compact") {
          const through = start + Math.floor(step.part * (terms.length - start));
          log.compact(index(through));
          // It stops where a record begins, and keeps the last one.
          plain.start = terms.findLastIndex(
            (_, position) => position <= through && records[position - 1] !== records[position],
          );
          plain.start = Math.max(plain.start, start);
        } else {
          plain.start = terms.length + step.further;
          while (terms.length < plain.start) terms.push(current);
          records.length = plain.start;
          if (plain.start > 0) terms[plain.start - 1] = current;
          log.startAnew(index(plain.start), term(current), 0);
        }
        plain.check(log, number);
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
