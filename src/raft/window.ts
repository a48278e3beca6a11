import { assert, Queue, type LogIndex } from "../core/index.ts";

/**
 * Consecutive pieces of the log that were handed on and are not settled, oldest first: messages on their way to one
 * follower, or runs at the state machine. Two queues of numbers, so that nothing is allocated in the steady state, and an
 * idle group, of which an agent may have thousands, takes next to nothing.
 */
export class Window {
  readonly capacity: number;
  readonly #lasts = new Queue<number>();
  readonly #byteLengths = new Queue<number>();
  #bytes = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get count(): number {
    return this.#lasts.count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  /** A piece that ends at `last`, which is behind the end of the one before. */
  push(last: LogIndex, byteLength: number): void {
    assert(this.count < this.capacity, "a window takes no more than its capacity");
    this.#lasts.push(last);
    this.#byteLengths.push(byteLength);
    this.#bytes += byteLength;
  }

  /** Everything up to `through` is settled; a piece that reaches beyond stays whole. */
  settle(through: LogIndex): void {
    while (this.count > 0 && this.#lasts.peek() <= through) this.#takeOldest();
    assert(this.#bytes >= 0, "a window never owes bytes");
  }

  clear(): void {
    while (this.count > 0) this.#takeOldest();
  }

  #takeOldest(): void {
    this.#lasts.take();
    this.#bytes -= this.#byteLengths.take();
  }
}
