import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { Prng } from "./prng.ts";

const mask = 0xffff_ffffn;
const rotate = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (32n - bits))) & mask;

/** SplitMix32 and xoshiro128++ once more, in whole numbers without a limit: nothing can overflow here unseen. */
function* reference(seed: number): Generator<number> {
  const low = BigInt(seed) & mask;
  const high = BigInt(seed) >> 32n;
  let state = low ^ ((high * 0x9e37_79b1n) & mask);
  const next = (): bigint => {
    state = (state + 0x9e37_79b9n) & mask;
    let mixed = state ^ (state >> 16n);
    mixed = (mixed * 0x21f0_aaadn) & mask;
    mixed ^= mixed >> 15n;
    mixed = (mixed * 0x735a_2d97n) & mask;
    return mixed ^ (mixed >> 15n);
  };
  const s = [next(), next(), next(), next() | 1n] as [bigint, bigint, bigint, bigint];
  for (;;) {
    yield Number((rotate((s[0] + s[3]) & mask, 7n) + s[0]) & mask);
    const shifted = (s[1] << 9n) & mask;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 11n);
  }
}

const draw = (prng: Prng, count: number): number[] => Array.from({ length: count }, () => prng.uint32());

describe("the generator", () => {
  // Seeds are written into bug reports: the same one must always give the same run.
  it("gives the numbers that it always gave", () => {
    expect(draw(new Prng(42), 6)).toEqual([80372226, 2594694854, 2210594296, 1597439958, 74973, 2319190209]);
    expect(draw(new Prng(0), 3)).toEqual([1775170340, 2308544705, 247285309]);
    expect(draw(new Prng(Number.MAX_SAFE_INTEGER), 3)).toEqual([2492208897, 887759822, 3116114371]);
  });

  it("is SplitMix32 and xoshiro128++, for every seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (seed) => {
        const expected = reference(seed);
        for (const number of draw(new Prng(seed), 12)) expect(number).toBe(expected.next().value);
      }),
    );
  });

  it("gives unrelated numbers for near seeds, also above 2^32", () => {
    const firsts = new Set<number>();
    for (let seed = 0; seed < 500; seed++) {
      firsts.add(new Prng(seed).uint32());
      firsts.add(new Prng((seed + 1) * 2 ** 33 + 7).uint32());
    }
    expect(firsts.size).toBe(1000);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])("has no seed %d", (seed) => {
    expect(() => new Prng(seed)).toThrow(AssertionError);
  });

  it("gives every value of a range about as often, and none beside it", () => {
    const prng = new Prng(1);
    const counts = new Map<number, number>();
    for (let drawn = 0; drawn < 60_000; drawn++) {
      const value = prng.between(-2, 3);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2, 3]);
    // 10,000 each; 400 is more than four standard deviations, and the seed is fixed.
    for (const count of counts.values()) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });

  it("uses all bits of a unit: its mean, its ends, and its lowest bits", () => {
    const prng = new Prng(2);
    let sum = 0;
    let odd = 0;
    for (let drawn = 0; drawn < 50_000; drawn++) {
      const unit = prng.unit();
      expect(unit >= 0 && unit < 1).toBe(true);
      sum += unit;
      odd += (unit * 2 ** 53) % 2;
    }
    expect(Math.abs(sum / 50_000 - 0.5)).toBeLessThan(0.01);
    expect(Math.abs(odd / 50_000 - 0.5)).toBeLessThan(0.01);
  });

  it("draws from large ranges, too", () => {
    const prng = new Prng(3);
    for (let drawn = 0; drawn < 100; drawn++) {
      const value = prng.between(0, Number.MAX_SAFE_INTEGER - 1);
      expect(Number.isSafeInteger(value)).toBe(true);
    }
    expect(prng.between(5, 5)).toBe(5);
    expect(() => prng.between(2, 1)).toThrow(AssertionError);
  });

  it("is certain at the ends of a chance", () => {
    const prng = new Prng(4);
    for (let drawn = 0; drawn < 100; drawn++) {
      expect(prng.chance(0)).toBe(false);
      expect(prng.chance(1)).toBe(true);
    }
  });

  it("picks each item, and refuses to pick from nothing", () => {
    const prng = new Prng(5);
    const picked = new Set(Array.from({ length: 200 }, () => prng.pick(["a", "b", "c"])));
    expect([...picked].toSorted()).toEqual(["a", "b", "c"]);
    expect(() => prng.pick([])).toThrow(AssertionError);
  });

  it("shuffles into every order, and leaves what it was given as it was", () => {
    const prng = new Prng(6);
    const items = Object.freeze([1, 2, 3]);
    const orders = new Set(Array.from({ length: 300 }, () => prng.shuffled(items).join("")));
    expect([...orders].toSorted()).toEqual(["123", "132", "213", "231", "312", "321"]);
    expect(items).toEqual([1, 2, 3]);
  });

  it("spaces rare events by the mean asked for", () => {
    const prng = new Prng(7);
    let sum = 0;
    for (let drawn = 0; drawn < 20_000; drawn++) sum += prng.exponential(50);
    expect(Math.abs(sum / 20_000 - 50)).toBeLessThan(2);
  });

  it("forks into one that shares nothing: drawing more from one does not move the other", () => {
    const few = new Prng(8);
    const many = new Prng(8);
    const fewFork = few.fork();
    const manyFork = many.fork();
    draw(manyFork, 100);
    expect(draw(few, 20)).toEqual(draw(many, 20));
    expect(draw(fewFork, 5)).not.toEqual(draw(few, 5));
    expect(draw(new Prng(8).fork(), 5)).toEqual(draw(new Prng(8).fork(), 5));
  });
});
