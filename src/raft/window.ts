import { assert, type LogIndex } from "../core/index.ts";

/**
 * Consecutive pieces of the log that were handed on and are not settled, oldest first: messages on their way to one
 * follower, or runs at the state machine. A ring, so that nothing is allocated in the steady state.
 */
export class Window {
  readonly capacity: number;
  readonly #lasts: number[];
  readonly #byteLengths: number[];
  #oldest = 0;
  #count = 0;
  #bytes = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#lasts = new Array<number>(capacity).fill(0);
    this.#byteLengths = new Array<number>(capacity).fill(0);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#count === this.capacity;
  }

  /** A piece that ends at `last`, which is behind the end of the one before. */
  push(last: LogIndex, byteLength: number): void {
    assert(this.#count < this.capacity, "a window takes no more than its capacity");
    const slot = (this.#oldest + this.#count) % this.capacity;
    this.#lasts[slot] = last;
    this.#byteLengths[slot] = byteLength;
    this.#count += 1;
    this.#bytes += byteLength;
  }

  /** Everything up to `through` is settled; a piece that reaches beyond stays whole. */
  settle(through: LogIndex): void {
    while (this.#count > 0 && this.#lasts[this.#oldest]! <= through) {
      this.#bytes -= this.#byteLengths[this.#oldest]!;
      this.#oldest = (this.#oldest + 1) % this.capacity;
      this.#count -= 1;
    }
    assert(this.#bytes >= 0, "a window never owes bytes");
  }

  clear(): void {
    this.#oldest = 0;
    this.#count = 0;
    this.#bytes = 0;
  }
}
