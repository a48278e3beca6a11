/**
 * Persist before promise: what binds its sender waits here until every record that the core had pushed by then is on
 * disk. First in, first out, so promises to one peer never overtake each other, not even one that waits for nothing.
 */
import type { Send } from "../core/boundary.ts";
import { assert } from "../core/assert.ts";
import type { RecordNumber } from "../core/ids.ts";
import { Queue } from "../core/queue.ts";

export class PromiseGate<M> {
  readonly #sends = new Queue<Send<M>>();
  /** The record that each waits for, in the same order; a list of plain numbers costs no object per promise. */
  readonly #needs = new Queue<RecordNumber>();
  readonly #release: (send: Send<M>) => void;
  #durable: number;
  #newest = 0;

  /** `durable`: the last record that is on disk already (0: none). */
  constructor(durable: number, release: (send: Send<M>) => void) {
    this.#durable = durable;
    this.#release = release;
  }

  get waiting(): number {
    return this.#sends.count;
  }

  /** `needs`: the last record pushed so far (0: none yet). Leaves at once where that one is durable and nothing waits before it. */
  add(send: Send<M>, needs: number): void {
    assert(needs >= this.#newest, "a later promise needs no earlier record than the one before");
    this.#newest = needs;
    if (needs <= this.#durable) {
      assert(this.#sends.count === 0, "an earlier promise can't wait for more than a later one");
      this.#release(send);
      return;
    }
    this.#sends.push(send);
    this.#needs.push(needs as RecordNumber);
  }

  /** Records up to and including `through` are on disk. */
  durable(through: RecordNumber): void {
    assert(through >= this.#durable, "what is durable stays durable");
    this.#durable = through;
    while (this.#needs.count > 0 && this.#needs.peek() <= through) {
      this.#needs.take();
      this.#release(this.#sends.take());
    }
  }
}
