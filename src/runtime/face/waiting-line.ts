import type { PendingCommand } from "./pending-command.ts";

/** Commands that wait for a place in the session's window, first come, first served. Those whose callers left are skipped. */
export class WaitingLine {
  #items: PendingCommand[] = [];
  #head = 0;
  #count = 0;

  /** How many still wait. */
  get count(): number {
    return this.#count;
  }

  push(pending: PendingCommand): void {
    pending.place = "line";
    this.#items.push(pending);
    this.#count += 1;
  }

  /** Back to the front, in this order. */
  putBack(pending: readonly PendingCommand[]): void {
    for (const one of pending) one.place = "line";
    this.#items = [...pending, ...this.#items.slice(this.#head)];
    this.#head = 0;
    this.#count += pending.length;
  }

  /** One that waits here has left: call it once, after it is settled. */
  left(): void {
    this.#count -= 1;
    // The first in line may wait for long; without this, those who left behind it would pile up.
    if (this.#items.length - this.#head > 2 * this.#count + 1024) {
      this.#items = this.#items.slice(this.#head).filter((one) => !one.settled);
      this.#head = 0;
    }
  }

  shift(): PendingCommand | undefined {
    while (this.#head < this.#items.length) {
      const pending = this.#items[this.#head];
      this.#head += 1;
      if (this.#head === this.#items.length) {
        this.#items = [];
        this.#head = 0;
      } else if (this.#head >= 1024 && this.#head * 2 > this.#items.length) {
        this.#items = this.#items.slice(this.#head);
        this.#head = 0;
      }
      if (pending === undefined || pending.settled) continue;
      this.#count -= 1;
      return pending;
    }
    return undefined;
  }

  /** Takes all that still wait. */
  clear(): PendingCommand[] {
    const waiting = this.#items.slice(this.#head).filter((one) => !one.settled);
    this.#items = [];
    this.#head = 0;
    this.#count = 0;
    return waiting;
  }
}
