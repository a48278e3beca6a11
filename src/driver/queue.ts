/**
 * A first-in first-out queue over a ring of slots, which doubles when it is full and never shrinks: in a steady state
 * nothing is allocated. Taking clears the slot.
 */
import { assert } from "../core/assert.ts";

const slotsAtFirst = 16;

export class Queue<T> {
  #slots: (T | undefined)[] = new Array<T | undefined>(slotsAtFirst).fill(undefined);
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

  #grow(): void {
    const before = this.#slots;
    const grown = new Array<T | undefined>(before.length * 2).fill(undefined);
    for (let at = 0; at < this.#count; at++) grown[at] = before[(this.#head + at) & (before.length - 1)];
    this.#slots = grown;
    this.#head = 0;
  }
}
