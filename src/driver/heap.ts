/**
 * All deadlines of one agent in one binary heap, so that one timer serves every group (Williams, "Algorithm 232:
 * Heapsort", 1964). Each item knows its own place, so moving a deadline costs no search and leaves nothing stale behind.
 */
import { assert, present } from "../core/assert.ts";
import { never, type Micros } from "../core/ids.ts";

/** What can stand in the heap; both fields belong to the heap. */
export interface Timed {
  deadline: Micros;
  /** Its place, or −1 where it stands in none. */
  heapPosition: number;
}

export class DeadlineHeap<T extends Timed> {
  readonly #items: T[] = [];

  get count(): number {
    return this.#items.length;
  }

  /** The earliest deadline; {@link never} where nothing waits. */
  get earliest(): Micros {
    return this.#items[0]?.deadline ?? never;
  }

  /** The item with the earliest deadline. */
  first(): T | undefined {
    return this.#items[0];
  }

  /** Puts the item where `deadline` belongs; {@link never} takes it out. */
  set(item: T, deadline: Micros): void {
    assert(!Number.isNaN(deadline), "a deadline is an instant or never");
    if (deadline === never) {
      this.remove(item);
      return;
    }
    if (item.heapPosition === -1) {
      item.deadline = deadline;
      item.heapPosition = this.#items.length;
      this.#items.push(item);
      this.#rise(item);
      return;
    }
    const earlier = deadline < item.deadline;
    item.deadline = deadline;
    if (earlier) this.#rise(item);
    else this.#sink(item);
  }

  remove(item: T): void {
    const hole = item.heapPosition;
    item.deadline = never;
    if (hole === -1) return;
    assert(this.#items[hole] === item, "an item stands where it thinks it stands");
    item.heapPosition = -1;
    const last = present(this.#items.pop(), "a heap with an item has a last one");
    if (last === item) return;
    this.#place(last, hole);
    this.#rise(last);
    this.#sink(last);
  }

  /** Throws an `AssertionError` where an item stands before one that is due earlier. */
  check(): void {
    for (let at = 0; at < this.#items.length; at++) {
      const item = this.#at(at);
      assert(item.heapPosition === at, "an item knows its place");
      assert(
        at === 0 || this.#at((at - 1) >> 1).deadline <= item.deadline,
        "no item is due before its parent",
      );
    }
  }

  #at(position: number): T {
    return present(this.#items[position], "a place in the heap holds an item");
  }

  #place(item: T, position: number): void {
    this.#items[position] = item;
    item.heapPosition = position;
  }

  #rise(item: T): void {
    let at = item.heapPosition;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.#at(parentAt);
      if (parent.deadline <= item.deadline) break;
      this.#place(parent, at);
      at = parentAt;
    }
    this.#place(item, at);
  }

  #sink(item: T): void {
    const count = this.#items.length;
    let at = item.heapPosition;
    for (;;) {
      let childAt = at * 2 + 1;
      if (childAt >= count) break;
      let child = this.#at(childAt);
      const rightAt = childAt + 1;
      if (rightAt < count && this.#at(rightAt).deadline < child.deadline) {
        childAt = rightAt;
        child = this.#at(rightAt);
      }
      if (child.deadline >= item.deadline) break;
      this.#place(child, at);
      at = childAt;
    }
    this.#place(item, at);
  }
}
