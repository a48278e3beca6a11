/**
 * The face's own time: time-outs and repeats of calls. Given, so that tests turn it by hand; a call never reads the
 * clock of the consensus cores.
 */
import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";

/** A timer that has not fired. Referenced ones keep the process alive. */
export interface FaceTimer {
  ref(): void;
  unref(): void;
  clear(): void;
}

export interface FaceClock {
  /** Milliseconds on a clock that never goes back. */
  nowMs(): number;
  /** Runs `task` once, after `delayMs` or a little later. Starts unreferenced. */
  after(delayMs: number, task: () => void): FaceTimer;
  /** Runs `task` as soon as the caller's code and the promises that it settles are through: one tick's calls are then together. */
  soon(task: () => void): void;
  /** Runs `task` in a later turn of the event loop; keeps the process alive until then. */
  idle(task: () => void): void;
  /** A number in [0, 1): spreads repeats. */
  random(): number;
  /** Not yet used by anybody, with overwhelming probability: 80 bits in letters and digits. */
  unique(): string;
}

class NodeTimer implements FaceTimer {
  readonly #timeout: NodeJS.Timeout;

  constructor(delayMs: number, task: () => void) {
    this.#timeout = setTimeout(task, delayMs);
    this.#timeout.unref();
  }

  ref(): void {
    this.#timeout.ref();
  }

  unref(): void {
    this.#timeout.unref();
  }

  clear(): void {
    clearTimeout(this.#timeout);
  }
}

export const nodeFaceClock: FaceClock = {
  nowMs: () => performance.now(),
  after: (delayMs, task) => new NodeTimer(delayMs, task),
  // Queued from promise callbacks, it runs after all of them: a hundred callers that woke together form one batch.
  soon: (task) => {
    process.nextTick(task);
  },
  idle: (task) => {
    setImmediate(task);
  },
  random: () => Math.random(),
  unique: () => randomBytes(10).toString("hex"),
};
