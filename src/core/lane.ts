import { assert } from "./assert.ts";

/**
 * One kind of effect on its way from a core to the driver. Bounded: whoever steps a core drains before an input whose
 * maximum does not fit, so an overflow is a bug. A counter, not `length = 0`, empties it, so that the slots stay.
 */
export class Lane<T> {
  readonly capacity: number;
  readonly #slots: (T | undefined)[] = [];
  #count = 0;

  constructor(capacity: number) {
    assert(capacity > 0, "a lane holds at least one effect");
    this.capacity = capacity;
  }

  get count(): number {
    return this.#count;
  }

  push(effect: T): void {
    assert(this.#count < this.capacity, "a lane overflows: its input pushed more than its stated maximum");
    this.#slots[this.#count] = effect;
    this.#count += 1;
  }

  /** The effect pushed as number `position`, from 0. */
  at(position: number): T {
    assert(position < this.#count, "a lane is read within what was pushed");
    return this.#slots[position] as T;
  }

  /** Forgets the effects, and drops what they refer to. */
  clear(): void {
    for (let slot = 0; slot < this.#count; slot++) this.#slots[slot] = undefined;
    this.#count = 0;
  }

  /** A copy, for tests and traces. */
  toArray(): T[] {
    return this.#slots.slice(0, this.#count) as T[];
  }
}
