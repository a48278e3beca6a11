import { assert } from "../core/assert.ts";

/** So many at a time, of all groups of an agent. Those who found none are called when one is given back. */
export class Slots {
  #free: number;
  readonly #max: number;
  #waiting = new Set<() => void>();

  constructor(max: number) {
    this.#free = max;
    this.#max = max;
  }

  /** False: there is none. Then `free` is called once, when there may be one again. */
  take(free?: () => void): boolean {
    if (this.#free === 0) {
      if (free !== undefined) this.#waiting.add(free);
      return false;
    }
    this.#free -= 1;
    return true;
  }

  give(): void {
    assert(this.#free < this.#max, "only a slot that was taken is given back");
    this.#free += 1;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const free of waiting) free();
  }
}
