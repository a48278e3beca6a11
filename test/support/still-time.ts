import type { Micros } from "../../src/core/ids.ts";
import type { Clock, Scheduler } from "../../src/driver/world.ts";

/** A clock that stands still, and timers that it moves past. */
export class StillTime implements Clock, Scheduler {
  #now = 0;
  #timers: { readonly at: number; readonly task: () => void }[] = [];

  monotonic(): Micros {
    return this.#now as Micros;
  }

  wall(): Micros {
    return this.#now as Micros;
  }

  soon(task: () => void): void {
    this.at(this.#now as Micros, task);
  }

  at(at: Micros, task: () => void): () => void {
    const timer = { at, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  pass(ms: number): void {
    const end = this.#now + ms * 1000;
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.at;
      next.task();
    }
    this.#now = end;
  }
}
