/**
 * A queue on a ring that grows: adding behind and taking in front cost the same however long it is, and nothing is
 * allocated while its length stays about the same. (A `Map` or an array used like this slows down with its length.)
 */
import { assert } from "../core/index.ts";

const capacityAtFirst = 4;

export class Fifo<T> {
  #slots: (T | undefined)[] = [];
  #head = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(item: T): void {
    if (this.#count === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#count) & (this.#slots.length - 1)] = item;
    this.#count += 1;
  }

  /** Takes out the oldest. */
  shift(): T {
    assert(this.#count > 0, "there is something to take out");
    const item = this.#slots[this.#head] as T;
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#count -= 1;
    return item;
  }

  /** The one at this place, counted from the oldest. */
  at(place: number): T {
    assert(place >= 0 && place < this.#count, "a queue is read within what it holds");
    return this.#slots[(this.#head + place) & (this.#slots.length - 1)] as T;
  }

  /** A copy, oldest first. */
  toArray(): T[] {
    const items: T[] = [];
    for (let place = 0; place < this.#count; place++) items.push(this.at(place));
    return items;
  }

  #grow(): void {
    // A power of two, so that a mask wraps around.
    const grown: (T | undefined)[] = this.toArray();
    const capacity = Math.max(capacityAtFirst, this.#slots.length * 2);
    while (grown.length < capacity) grown.push(undefined);
    this.#slots = grown;
    this.#head = 0;
  }
}
