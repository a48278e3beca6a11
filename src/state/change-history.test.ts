/** The ring of changes against a plain list: what it gives, when it forgets, and that it forgets no more than it must. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeText } from "../core/index.ts";
import { ChangeHistory } from "./change-history.ts";
import { decodeMapChange, encodeRecord } from "./map-codec.ts";

interface Known {
  readonly version: number;
  readonly key: string;
  readonly value: string | undefined;
}

const value = (length: number, version: number): Uint8Array => new Uint8Array(length).fill(version % 251);

function read(history: ChangeHistory, prefix: string, from: number): Known[] | number {
  const answer = history.read(encodeText(prefix), from, 1000);
  if (answer.kind === "compacted") return answer.earliest;
  return answer.changes.map(({ index, bytes }) => {
    const change = decodeMapChange(bytes);
    const text = change.value === undefined ? undefined : change.value.join();
    return { version: index, key: change.key, value: text };
  });
}

describe("a history of changes", () => {
  it("S14: gives what a list of the newest changes gives, however the ring grows and wraps around", () => {
    const change = fc.record({
      key: fc.constantFrom("a", "a/b", "b", "ä"),
      length: fc.oneof(fc.nat(40), fc.nat(400)),
      deleted: fc.boolean(),
      skipped: fc.nat(2),
    });
    const windows = fc.record({
      changesMax: fc.integer({ min: 1, max: 40 }),
      bytesMax: fc.integer({ min: 500, max: 200_000 }),
    });
    fc.assert(
      fc.property(windows, fc.array(change, { maxLength: 120 }), ({ changesMax, bytesMax }, changes) => {
        const history = new ChangeHistory(changesMax, bytesMax);
        const all: Known[] = [];
        let version = 0;
        for (const { key, length, deleted, skipped } of changes) {
          version += 1 + skipped;
          const bytes = deleted ? new Uint8Array(0) : value(length, version);
          history.push(deleted ? "deleted" : "written", version, encodeRecord(key, bytes));
          all.push({ version, key, value: deleted ? undefined : bytes.join() });

          const gone = read(history, "", 1);
          const earliest = typeof gone === "number" ? gone : 1;
          const kept = all.filter((known) => known.version >= earliest);
          expect(kept.length).toBeGreaterThan(0);
          expect(kept.length).toBeLessThanOrEqual(changesMax);
          for (const prefix of ["", "a", "ä"]) {
            const expected = kept.filter((known) => known.key.startsWith(prefix));
            expect(read(history, prefix, earliest)).toEqual(expected);
            expect(read(history, prefix, version)).toEqual(
              expected.filter((known) => known.version === version),
            );
          }
          const before = earliest > 1 ? read(history, "", earliest - 1) : earliest;
          expect(before).toBe(earliest);
        }
      }),
    );
  });

  it("forgets no more than it must: what is kept fills the ring but for the largest change at its end", () => {
    const history = new ChangeHistory(1_000_000, 10_000);
    // A head of 12, a code, two bytes of length, a key of one, and the value.
    const bytesMax = 16 + 106;
    for (let version = 1; version <= 500; version++) {
      history.push("written", version, encodeRecord("k", value(100 + (version % 7), version)));
      const gone = read(history, "", 1);
      const kept = typeof gone === "number" ? version - gone + 1 : version;
      expect(kept * bytesMax).toBeGreaterThan(Math.min(version * bytesMax - 1, 10_000 - 3 * bytesMax));
    }
  });

  it("S14: begins anew where it is told to", () => {
    const history = new ChangeHistory();
    history.push("written", 3, encodeRecord("k", value(1, 3)));
    history.reset(10);
    expect(read(history, "", 3)).toBe(10);
    expect(read(history, "", 10)).toEqual([]);
    history.push("deleted", 12, encodeRecord("k", new Uint8Array(0)));
    expect(read(history, "", 10)).toEqual([{ version: 12, key: "k", value: undefined }]);
  });
});
