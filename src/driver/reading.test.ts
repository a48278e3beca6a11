import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { concatBytes, emptyBytes } from "../core/bytes.ts";
import {
  encodeCommand,
  entryHeaderBytes,
  entryIndex,
  entryLength,
  entryTerm,
  stampEntry,
  type Run,
} from "../core/entry.ts";
import { logIndex, term } from "../core/ids.ts";
import { RunGatherer, runOf } from "./reading.ts";

function run(first: number, last: number, inTerm = 1): Run {
  const entries: Uint8Array[] = [];
  for (let index = first; index <= last; index++) {
    const bytes = encodeCommand({ kind: "noop", session: 0, sequence: 0, unsettled: 0 }, emptyBytes);
    stampEntry(bytes, 0, logIndex(index), term(inTerm), 0);
    entries.push(bytes);
  }
  return { first: logIndex(first), last: logIndex(last), bytes: concatBytes(entries) };
}

function gathered(first: number, entriesMax: number, runs: readonly Run[]): RunGatherer {
  const gatherer = new RunGatherer(logIndex(first), entriesMax * entryHeaderBytes);
  for (const each of runs) gatherer.add(each);
  return gatherer;
}

const pairs = ({ bytes }: Run): string[] => {
  const found: string[] = [];
  for (let offset = 0; offset < bytes.byteLength; offset += entryLength(bytes, offset)) {
    found.push(`${entryIndex(bytes, offset)}:${entryTerm(bytes, offset)}`);
  }
  return found;
};

describe("D11: entries out of records", () => {
  it("joins records, leaves out what comes before, and stops at its bytes", () => {
    const gatherer = gathered(3, 4, [run(1, 2), run(3, 4), run(5, 9)]);
    expect(gatherer.enoughUpTo).toBe(9);
    expect(pairs(gatherer.finish()!)).toEqual(["3:1", "4:1", "5:1", "6:1"]);
  });

  it("has nothing where the first entry never went by, or was replaced by nothing", () => {
    expect(gathered(3, 4, [run(1, 2), run(4, 5)]).finish()).toBeUndefined();
    expect(gathered(3, 4, [run(1, 5, 1), run(2, 2, 2)]).finish()).toBeUndefined();
  });

  it("a later record replaces everything from its first entry on, even what was enough", () => {
    const gatherer = gathered(1, 3, [run(1, 4, 1), run(5, 6, 1), run(2, 2, 2)]);
    expect(gatherer.enoughUpTo).toBeUndefined();
    gatherer.add(run(3, 9, 2));
    expect(pairs(gatherer.finish()!)).toEqual(["1:1", "2:2", "3:2"]);
  });

  it("gives at least one entry, however few bytes it may", () => {
    const gatherer = new RunGatherer(logIndex(2), 1);
    gatherer.add(run(1, 3));
    expect(pairs(gatherer.finish()!)).toEqual(["2:1"]);
  });

  it("gives what folding all records gives, whatever was truncated on the way", () => {
    const step = fc.record({ back: fc.nat(6), length: fc.integer({ min: 1, max: 5 }) });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 30 }),
        fc.nat(20),
        fc.integer({ min: 1, max: 100 }),
        (steps, from, entriesMax) => {
          const log: string[] = [];
          const gatherer = new RunGatherer(logIndex(from + 1), entriesMax * entryHeaderBytes);
          steps.forEach(({ back, length }, at) => {
            log.length -= Math.min(back, log.length);
            const record = run(log.length + 1, log.length + length, at + 1);
            gatherer.add(record);
            log.push(...pairs(record));
          });
          const expected = log.slice(from, from + entriesMax);
          const found = gatherer.finish();
          // What was enough once is not gathered further after it was cut back, so it may be less, but never something else.
          const given = found === undefined ? [] : pairs(found);
          expect(given).toEqual(expected.slice(0, given.length));
          expect(given.length > 0).toBe(expected.length > 0);
        },
      ),
    );
  });

  it("finds the run in a record, whatever else that says", () => {
    const entries = run(1, 1);
    expect(runOf({ kind: "entries", run: entries })).toBe(entries);
    expect(runOf({ kind: "hardState" })).toBeUndefined();
  });
});
