/**
 * A first-in first-out queue over a ring of slots, which doubles when it is full and never shrinks: in a steady state
 * nothing is allocated, and both ends cost the same however long it is. Taking clears the slot.
 */
import { assert } from "./assert.ts";

const slotsAtFirst = 4;

export class Queue<T> {
  /** A power of two of them, so that a mask wraps around; none before the first item. */
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

  /** The one that waits longest. */
  peek(): T {
    return this.at(0);
  }

  take(): T {
    const item = this.peek();
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#count -= 1;
    return item;
  }

  /** The item that waits behind `position` others. */
  at(position: number): T {
    assert(position >= 0 && position < this.#count, "a queue is read within what it holds");
    return this.#slots[(this.#head + position) & (this.#slots.length - 1)] as T;
  }

  /** A copy, the one that waits longest first. */
  toArray(): T[] {
    const items: T[] = [];
    for (let position = 0; position < this.#count; position++) items.push(this.at(position));
    return items;
  }

  #grow(): void {
    const grown: (T | undefined)[] = this.toArray();
    const capacity = Math.max(slotsAtFirst, this.#slots.length * 2);
    while (grown.length < capacity) grown.push(undefined);
    this.#slots = grown;
    this.#head = 0;
  }
}
