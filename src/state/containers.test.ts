import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recut } from "../../test/support/state-log.ts";
import { AssertionError, encodeText, equalBytes, limits, MalformedError } from "../core/index.ts";
import { FrameReader, frameHead, inPieces } from "./pieces.ts";
import { type Slab, Slabs } from "./slabs.ts";
import { SortedMap } from "./sorted-map.ts";
import { VersionedMap } from "./versioned-map.ts";

interface Item {
  readonly key: string;
  readonly version: number;
}

type Step = { readonly kind: "set" | "delete"; readonly key: string } | { readonly kind: "freeze" };

const key = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map(String),
  fc.string({ unit: "binary", maxLength: 2 }),
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("set"), key }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete"), key }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("freeze") }) },
  ),
  { maxLength: 120 },
);

const inOrder = (model: ReadonlyMap<string, Item>): Item[] =>
  [...model.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));

describe.each([
  ["a sorted map", () => new SortedMap<Item>()],
  ["a versioned map", () => new VersionedMap<Item>()],
])("%s", (_name, create) => {
  it("S10: behaves as a Map in the order of its keys, and frozen views stay as they were", () => {
    fc.assert(
      fc.property(steps, key, (list, from) => {
        const map = create();
        const model = new Map<string, Item>();
        const frozen: { view: Iterable<Item>; expected: Item[] }[] = [];
        list.forEach((step, version) => {
          if (step.kind === "freeze") {
            frozen.push({ view: map.freeze(), expected: inOrder(model) });
            return;
          }
          const item = { key: step.key, version };
          const before = step.kind === "set" ? map.set(item) : map.delete(step.key);
          expect(before).toBe(model.get(step.key));
          if (step.kind === "set") model.set(step.key, item);
          else model.delete(step.key);
          map.checkInvariants();
        });
        expect(map.size).toBe(model.size);
        for (const item of model.values()) expect(map.get(item.key)).toBe(item);
        expect([...map.itemsFrom("")]).toEqual(inOrder(model));
        expect([...map.itemsFrom(from)]).toEqual(inOrder(model).filter((item) => item.key >= from));
        for (const { view, expected } of frozen) {
          expect([...view]).toEqual(expected);
          expect([...view], "a second time").toEqual(expected);
        }
      }),
      { numRuns: 150 },
    );
  });

  it.each([
    ["rising", (at: number) => at],
    ["falling", (at: number) => 5000 - at],
    ["mixed", (at: number) => (at * 7919) % 5000],
  ])("grows to thousands of keys and shrinks to none, keys %s", (_order, place) => {
    const map = create();
    const keys = Array.from({ length: 5000 }, (_, at) => String(place(at)).padStart(5, "0"));
    for (const [version, name] of keys.entries()) map.set({ key: name, version });
    map.checkInvariants();
    expect([...map.itemsFrom("")].map((item) => item.key)).toEqual(keys.toSorted());
    const view = map.freeze();
    for (const [at, name] of keys.entries()) {
      expect(map.delete(name)?.key).toBe(name);
      if (at % 500 === 0) map.checkInvariants();
    }
    map.checkInvariants();
    expect(map.size).toBe(0);
    expect([...map.itemsFrom("")]).toEqual([]);
    expect([...view].map((item) => item.key)).toEqual(keys.toSorted());
  });

  it("has nothing that was never put in", () => {
    const map = create();
    expect(map.get("a")).toBeUndefined();
    expect(map.delete("a")).toBeUndefined();
    map.set({ key: "b", version: 1 });
    expect(map.get("a")).toBeUndefined();
    expect(map.get("c")).toBeUndefined();
    expect(map.delete("c")).toBeUndefined();
  });
});

describe("slabs", () => {
  it("keep bytes as they were put in, many to a slab and large ones alone", () => {
    const slabs = new Slabs();
    const put = Array.from({ length: 400 }, (_, at) => {
      const bytes = new Uint8Array((at * 37) % 3000).fill(at);
      const slab = slabs.roomFor(bytes.byteLength);
      return { bytes, slab, from: slab.add(`${at}`, bytes) };
    });
    for (const { bytes, slab, from } of put) {
      expect(equalBytes(slab.bytes.subarray(from, from + bytes.byteLength), bytes)).toBe(true);
    }
    expect(new Set(put.map(({ slab }) => slab)).size).toBeLessThan(put.length / 2);
  });

  /** A slab full of byte strings of 1,000, and another one begun. */
  const full = (): { slabs: Slabs; slab: Slab; used: number } => {
    const slabs = new Slabs();
    const slab = slabs.roomFor(1);
    let used = 0;
    for (; slab.hasRoomFor(1000); used += 1000) slab.add("k", new Uint8Array(1000));
    return { slabs, slab, used };
  };

  it("say that it is time to move out while less than a quarter is used, and something is left", () => {
    const { slabs, slab, used } = full();
    expect(slabs.release(slab, 1000), "the current one is still being filled").toBe(false);
    slabs.roomFor(1000);
    const times: number[] = [];
    for (let left = used - 2000; left >= 0; left -= 1000) if (slabs.release(slab, 1000)) times.push(left);
    expect(times).toEqual([4000, 3000, 2000, 1000]);
    expect(() => slabs.release(slab, 1)).toThrow(AssertionError);
  });

  it("fill a slab again of which nothing is used, unless somebody looks at it", () => {
    const { slabs, slab, used } = full();
    /** The next slab, with one byte string of 1,000 in it; the one before is full. */
    const next = (mark: number): Slab => {
      let current = slabs.roomFor(1000);
      const before = current;
      for (; current === before; current = slabs.roomFor(1000)) current.add("k", new Uint8Array(1000));
      current.add("k", new Uint8Array(1000).fill(mark));
      return current;
    };
    next(1);
    slabs.release(slab, used);
    const again = next(2);
    expect(again, "the one that was let go").toBe(slab);
    expect(again.keys).toEqual(["k"]);

    next(3);
    slabs.share();
    slabs.release(again, again.keys.length * 1000);
    const later = [next(4), next(5), next(6)];
    expect(later).not.toContain(again);
    expect(again.bytes[0], "whoever looks at it still sees what was there").toBe(2);
    slabs.release(later[0]!, later[0]!.keys.length * 1000);
    expect(next(7), "what came after that is nobody else's").toBe(later[0]);
  });

  it("count what they hold: a slab until nothing in it is used, also where that happens while it is the current one", () => {
    const { slabs, slab, used } = full();
    const one = slabs.heldBytes;
    slabs.roomFor(1000).add("k", new Uint8Array(1));
    expect(slabs.heldBytes).toBe(2 * one);
    slabs.release(slab, used);
    expect(slabs.heldBytes).toBe(one);

    const other = full();
    other.slabs.release(other.slab, other.used);
    expect(other.slabs.heldBytes).toBe(one);
    other.slabs.roomFor(1000);
    expect(other.slabs.heldBytes).toBe(one);
    const large = other.slabs.roomFor(5000);
    large.add("k", new Uint8Array(5000));
    expect(other.slabs.heldBytes).toBe(one + 5000);
    other.slabs.release(large, 5000);
    expect(other.slabs.heldBytes).toBe(one);
  });

  it("are full where the next does not fit: it goes to a new one", () => {
    const { slabs, slab } = full();
    expect(slabs.roomFor(1000)).not.toBe(slab);
    expect(() => slab.add("k", new Uint8Array(1000))).toThrow(AssertionError);
  });
});

describe("pieces", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 12 });

  it("give back the frames that were put in, wherever the stream was cut", () => {
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 40 }), (frames, pieceBytes) => {
        const stream = frames.flatMap((bytes) => [frameHead(bytes.byteLength), bytes]);
        const reader = new FrameReader(recut(inPieces(stream), pieceBytes));
        expect(frames.map(() => reader.frame())).toEqual(frames);
        reader.end();
      }),
    );
  });

  it("are never larger than the limit, and only the last is smaller", () => {
    const { snapshotPieceBytesMax } = limits;
    const large = new Uint8Array(snapshotPieceBytesMax * 2 + 5).fill(1);
    const sizes = [...inPieces([Uint8Array.of(1), large, encodeText("end")])].map(
      (piece) => piece.byteLength,
    );
    expect(sizes).toEqual([snapshotPieceBytesMax, snapshotPieceBytesMax, 9]);
    expect([...inPieces([])]).toEqual([]);
    const [small] = inPieces([Uint8Array.of(1)]);
    expect(small?.buffer.byteLength, "whoever keeps a small one keeps nothing large").toBe(1);
    expect([...inPieces([new Uint8Array(snapshotPieceBytesMax)])]).toHaveLength(1);
  });

  it("that end too early are refused, whatever length is claimed", () => {
    expect(() => new FrameReader([]).frame()).toThrow(MalformedError);
    expect(() => new FrameReader([Uint8Array.of(4, 0, 0)]).frame()).toThrow("ends in the middle");
    expect(() => new FrameReader([frameHead(0xffff_ffff), Uint8Array.of(1)]).frame()).toThrow(
      "ends in the middle",
    );
  });

  it("with bytes left over are refused, empty pieces aside", () => {
    const reader = new FrameReader([frameHead(1), Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2)]);
    reader.frame();
    expect(() => {
      reader.end();
    }).toThrow("left over");
    const clean = new FrameReader([frameHead(0), new Uint8Array(0)]);
    clean.frame();
    clean.end();
  });
});
