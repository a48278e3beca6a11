import { limits, Queue } from "../core/index.ts";

/**
 * Which entries of the log had no effect: repeats, and what came too late or too early. A stream of decided values leaves
 * them out. Every agent that applied the same entries knows the same; of very old ones it is forgotten.
 */
export class SkippedEntries {
  readonly #indices = new Set<number>();
  readonly #inLogOrder = new Queue<number>();

  add(index: number): void {
    this.#indices.add(index);
    this.#inLogOrder.push(index);
    if (this.#inLogOrder.count > limits.skippedEntriesMax) this.#indices.delete(this.#inLogOrder.take());
  }

  has(index: number): boolean {
    return this.#indices.has(index);
  }
}
