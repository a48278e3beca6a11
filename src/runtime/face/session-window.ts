/**
 * The commands of one session that are on their way, by sequence number: a ring that grows up to its limit.
 * Invariant: every sequence below `lowest` is settled, and none from `next` on has been given.
 */
import { assert } from "../../core/assert.ts";

export class SessionWindow<T> {
  readonly capacity: number;
  #slots: (T | undefined)[] = Array.from({ length: 64 });
  #lowest = 1;
  #next = 1;

  constructor(capacity: number) {
    assert(capacity >= 1, "a window has room for at least one command");
    this.capacity = capacity;
  }

  /** The lowest sequence that is not settled; `next` if none is on its way. */
  get lowest(): number {
    return this.#lowest;
  }

  get next(): number {
    return this.#next;
  }

  get isEmpty(): boolean {
    return this.#lowest === this.#next;
  }

  get isFull(): boolean {
    return this.#next - this.#lowest >= this.capacity;
  }

  /** How many sequences up to `sequence` may still be asked for: the entry's `unsettled`. */
  unsettledAt(sequence: number): number {
    return sequence - Math.min(this.#lowest, sequence) + 1;
  }

  get(sequence: number): T | undefined {
    if (sequence < this.#lowest || sequence >= this.#next) return undefined;
    return this.#slots[sequence & (this.#slots.length - 1)];
  }

  /** Gives the next sequence. */
  add(item: T): number {
    assert(!this.isFull, "a full window takes no command");
    if (this.#next - this.#lowest === this.#slots.length) this.#grow();
    const sequence = this.#next;
    this.#slots[sequence & (this.#slots.length - 1)] = item;
    this.#next += 1;
    return sequence;
  }

  replace(sequence: number, item: T): void {
    assert(this.get(sequence) !== undefined, "only what is on its way can be replaced");
    this.#slots[sequence & (this.#slots.length - 1)] = item;
  }

  /** Its answer is known. */
  settle(sequence: number): void {
    assert(this.get(sequence) !== undefined, "a command is settled once");
    this.#slots[sequence & (this.#slots.length - 1)] = undefined;
    while (this.#lowest < this.#next && this.get(this.#lowest) === undefined) this.#lowest += 1;
  }

  /** Takes back the last sequence given: it will be given again. */
  retract(): void {
    assert(!this.isEmpty, "there is a sequence to take back");
    this.#next -= 1;
    this.#slots[this.#next & (this.#slots.length - 1)] = undefined;
    while (this.#lowest < this.#next && this.get(this.#lowest) === undefined) this.#lowest += 1;
  }

  /** What is on its way, from `from` on, in order. */
  *from(from: number): Generator<T, void, undefined> {
    for (let sequence = Math.max(from, this.#lowest); sequence < this.#next; sequence++) {
      const item = this.get(sequence);
      if (item !== undefined) yield item;
    }
  }

  #grow(): void {
    const grown: (T | undefined)[] = Array.from({ length: this.#slots.length * 2 });
    for (let sequence = this.#lowest; sequence < this.#next; sequence++) {
      grown[sequence & (grown.length - 1)] = this.#slots[sequence & (this.#slots.length - 1)];
    }
    this.#slots = grown;
  }
}
