/**
 * The only time there is: a queue of what happens next. Two things at the same instant happen in the order in which they
 * were asked for, so a run depends on nothing but its seed.
 */
import { assert } from "../core/assert.ts";

/** Something that will happen. */
export interface Scheduled {
  readonly time: number;
  readonly order: number;
  task: (() => void) | undefined;
}

export class EventQueue {
  readonly #heap: Scheduled[] = [];
  #now = 0;
  #order = 0;
  #happened = 0;

  /** Microseconds since the run began. */
  get now(): number {
    return this.#now;
  }

  get waiting(): number {
    return this.#heap.length;
  }

  /** How many things have happened so far. */
  get happened(): number {
    return this.#happened;
  }

  /** `task` happens `delayMicros` from now, which is rounded up to whole microseconds. */
  after(delayMicros: number, task: () => void): Scheduled {
    assert(delayMicros >= 0, "nothing happens in the past");
    const event = { time: this.#now + Math.ceil(delayMicros), order: this.#order, task };
    this.#order += 1;
    this.#push(event);
    return event;
  }

  /** It won't happen. */
  cancel(event: Scheduled): void {
    event.task = undefined;
  }

  /** Lets the next thing happen; false where nothing waits. */
  step(): boolean {
    const event = this.#pop();
    if (event === undefined) return false;
    assert(event.time >= this.#now, "time never goes back");
    this.#now = event.time;
    if (event.task === undefined) return true;
    this.#happened += 1;
    const { task } = event;
    event.task = undefined;
    task();
    return true;
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as Scheduled;
      if (!before(event, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      let childAt = at * 2 + 1;
      if (childAt >= heap.length) break;
      const rightAt = childAt + 1;
      if (rightAt < heap.length && before(heap[rightAt] as Scheduled, heap[childAt] as Scheduled))
        childAt = rightAt;
      const child = heap[childAt] as Scheduled;
      if (!before(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
