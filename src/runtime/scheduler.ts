/**
 * The event loop as the driver wants it: `soon` is `setImmediate`, so that a turn takes every input that already waits;
 * `at` is a timer.
 *
 * A scheduler of an in-process group does not keep a script alive by itself, only while somebody holds it: a call that
 * is pending. An agent that listens is kept alive by its sockets.
 */
import type { Micros } from "../core/ids.ts";
import type { Clock, Scheduler } from "../driver/world.ts";
import { systemClock } from "./clock.ts";

/** Longer waits are cut: Node's timers hold 31 bits of milliseconds, and whoever is woken early looks at the clock anyway. */
const waitMsMax = 60 * 60 * 1000;

export class LoopScheduler implements Scheduler {
  readonly #clock: Clock;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #run = (): void => this.#runTasks();
  #tasks: (() => void)[] = [];
  /** Those of this turn, the ones that ran included. */
  #running: (() => void)[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #holds: number;

  /** `alive`: `always` keeps the process alive while anything waits; `held` only between {@link hold} and its release. */
  constructor(alive: "always" | "held" = "always", clock: Clock = systemClock) {
    this.#clock = clock;
    this.#holds = alive === "always" ? 1 : 0;
  }

  /** All tasks of one turn of the loop share one `setImmediate`; those that they ask for come in the next. */
  soon(task: () => void): void {
    this.#tasks.push(task);
    if (this.#immediate === undefined) this.#arm();
  }

  at(instant: Micros, task: () => void): () => void {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const waitMs = Math.max(0, (instant - this.#clock.monotonic()) / 1000);
      timer = setTimeout(
        () => {
          this.#timers.delete(timer);
          // Timers count whole milliseconds and may fire a little early.
          if (this.#clock.monotonic() < instant) arm();
          else task();
        },
        Math.min(Math.ceil(waitMs), waitMsMax),
      );
      this.#timers.add(timer);
      if (this.#holds === 0) timer.unref();
    };
    arm();
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }

  /** Keeps the process alive until the returned function is called (once; more calls do nothing). */
  hold(): () => void {
    this.#holds += 1;
    if (this.#holds === 1) this.#each("ref");
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holds -= 1;
      if (this.#holds === 0) this.#each("unref");
    };
  }

  /** Cancels everything that waits. */
  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    this.#timers.clear();
    this.#tasks = [];
    this.#running.length = 0;
  }

  #arm(): void {
    this.#immediate = setImmediate(this.#run);
    if (this.#holds === 0) this.#immediate.unref();
  }

  #runTasks(): void {
    const tasks = this.#tasks;
    this.#running = tasks;
    this.#tasks = [];
    this.#immediate = undefined;
    let done = 0;
    try {
      for (const task of tasks) {
        done += 1;
        task();
      }
    } finally {
      // A task that throws must not take those behind it along.
      if (done < tasks.length) {
        this.#tasks.unshift(...tasks.slice(done));
        if (this.#immediate === undefined) this.#arm();
      }
    }
  }

  #each(what: "ref" | "unref"): void {
    for (const timer of this.#timers) timer[what]();
    this.#immediate?.[what]();
  }
}
