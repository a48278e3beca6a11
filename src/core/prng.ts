/**
 * The only randomness in a core: seeded, so that a run replays. xoshiro128++ 1.0 (Blackman and Vigna, "Scrambled
 * Linear Pseudorandom Number Generators", 2021), its state filled by SplitMix32 so that near seeds give unrelated runs.
 */
import { assert } from "./assert.ts";

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `seed`: a whole number from 0 and below 2^53. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, "a seed is a whole number from 0 and below 2^53");
    let state = (seed ^ Math.imul(Math.floor(seed / 0x1_0000_0000), 0x9e37_79b1)) | 0;
    const next = (): number => {
      state = (state + 0x9e37_79b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0_aaad);
      mixed ^= mixed >>> 15;
      mixed = Math.imul(mixed, 0x735a_2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1;
  }

  /** A whole number from 0 and below 2^32, each as likely. */
  uint32(): number {
    const sum = (this.#a + this.#d) | 0;
    const result = (((sum << 7) | (sum >>> 25)) + this.#a) | 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** A number in [0, 1) with 53 random bits. */
  unit(): number {
    return ((this.uint32() >>> 5) * 0x400_0000 + (this.uint32() >>> 6)) / 0x20_0000_0000_0000;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    assert(low <= high, "a range has its lower end first");
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  /** True with this probability (0 to 1). */
  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** One of `items`, each as likely. */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, "there is something to pick from");
    return items[this.between(0, items.length - 1)]!;
  }

  /** `items` in a random order (Fisher and Yates); a new array. */
  shuffled<T>(items: readonly T[]): T[] {
    const mixed = [...items];
    for (let last = mixed.length - 1; last > 0; last--) {
      const other = this.between(0, last);
      [mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!];
    }
    return mixed;
  }

  /** An exponentially distributed number with this mean: the gap between rare events. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean;
  }

  /** A generator of its own that shares nothing with this one: a subsystem may then draw more without moving the others. */
  fork(): Prng {
    return new Prng((this.uint32() & 0x1f_ffff) * 0x1_0000_0000 + this.uint32());
  }
}
