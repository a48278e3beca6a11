import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex } from "../../test/support/state-log.ts";
import { concatBytes, encodeText } from "../core/index.ts";
import { digestOf, emptyHash, fold, type Hash128, hashBytes, hashRange, HashSum, hashView } from "./hash.ts";

function hash(bytes: Uint8Array, seed = 0, other = seed): Hash128 {
  const into = emptyHash();
  hashRange(bytes, 0, bytes.byteLength, into, seed, other);
  return into;
}

describe("the hash", () => {
  it("is MurmurHash3 x86_128: its author's own check over 256 lengths and seeds", () => {
    // SMHasher's procedure: hash {0}, {0,1}, … with seeds 256, 255, …; then hash the hashes; compare the first word.
    const hashes: Uint8Array[] = [];
    for (let length = 0; length < 256; length++) {
      const key = Uint8Array.from({ length }, (_, at) => at);
      hashes.push(hashBytes(hash(key, 256 - length)));
    }
    expect(hash(concatBytes(hashes)).a >>> 0).toBe(0xb3ec_e62a);
  });

  it("of nothing, unseeded, is nothing", () => {
    expect(hex(digestOf(new Uint8Array(0)))).toBe("00000000000000000000000000000000");
  });

  it("is the same wherever the bytes lie, and however they are given", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 150 }), fc.nat(9), fc.nat(9), (bytes, before, behind) => {
        const around = concatBytes([new Uint8Array(before).fill(7), bytes, new Uint8Array(behind).fill(7)]);
        const [ranged, viewed] = [emptyHash(), emptyHash()];
        hashRange(around, before, before + bytes.byteLength, ranged, 5, 6);
        hashView(new DataView(around.buffer), before, before + bytes.byteLength, viewed, 5, 6);
        expect(ranged).toEqual(hash(bytes, 5, 6));
        expect(viewed).toEqual(ranged);
      }),
    );
  });

  it("changes with every bit, with its length, and with either seed", () => {
    const bytes = encodeText("nineteen bytes here");
    const seen = new Set([hex(digestOf(bytes))]);
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      seen.add(hex(digestOf(flipped)));
    }
    for (let zeros = 1; zeros <= 20; zeros++)
      seen.add(hex(digestOf(concatBytes([bytes, new Uint8Array(zeros)]))));
    for (let seed = 1; seed <= 20; seed++) {
      seen.add(hex(hashBytes(hash(bytes, seed, 0))));
      seen.add(hex(hashBytes(hash(bytes, 0, seed))));
    }
    expect(seen.size).toBe(1 + bytes.byteLength * 8 + 60);
  });

  it("takes numbers as seeds, also those of more than 32 bits", () => {
    const seeds = [0, 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 40, Number.MAX_SAFE_INTEGER].map(fold);
    expect(new Set(seeds).size).toBe(seeds.length);
    for (const seed of seeds) expect(seed).toBe(seed | 0);
  });
});

describe("a sum of hashes", () => {
  const items = fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 12 });

  it("does not depend on the order", () => {
    fc.assert(
      fc.property(items, fc.nat(), (list, turn) => {
        const rotated = [...list.slice(turn % (list.length + 1)), ...list.slice(0, turn % (list.length + 1))];
        const [one, other] = [new HashSum(), new HashSum()];
        for (const item of list) one.add(hash(item));
        for (const item of rotated) other.add(hash(item));
        expect(one.toBytes()).toEqual(other.toBytes());
      }),
    );
  });

  it("forgets what is taken out again, whatever came between", () => {
    fc.assert(
      fc.property(items, items, (kept, passing) => {
        const [one, other] = [new HashSum(), new HashSum()];
        for (const item of passing) one.add(hash(item));
        for (const item of kept) one.add(hash(item));
        for (const item of passing) one.subtract(hash(item));
        for (const item of kept) other.add(hash(item));
        expect(one.toBytes()).toEqual(other.toBytes());
      }),
    );
  });

  it("counts: the same item twice is not the same as not at all", () => {
    const sum = new HashSum();
    sum.add(hash(encodeText("a")));
    const once = sum.toBytes();
    sum.add(hash(encodeText("a")));
    expect(sum.toBytes()).not.toEqual(once);
    expect(sum.toBytes()).not.toEqual(new HashSum().toBytes());
  });

  it("adds up with another sum", () => {
    const [one, other, both] = [new HashSum(), new HashSum(), new HashSum()];
    one.add(hash(encodeText("a")));
    other.add(hash(encodeText("b")));
    both.add(hash(encodeText("b")));
    both.add(hash(encodeText("a")));
    one.addSum(other);
    expect(one.toBytes()).toEqual(both.toBytes());
  });
});
