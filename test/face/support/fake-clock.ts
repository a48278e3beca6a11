import type { FaceClock, FaceTimer } from "../../../src/runtime/face/face-clock.ts";

interface Task {
  atMs: number;
  order: number;
  task: () => void;
  referenced: boolean;
}

/** Time that stands still until a test moves it. */
export class FakeClock implements FaceClock {
  #nowMs = 0;
  #order = 0;
  #unique = 0;
  #seed: number;
  readonly #tasks = new Set<Task>();
  #soon: (() => void)[] = [];

  constructor(seed = 1) {
    this.#seed = seed;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): FaceTimer {
    const entry: Task = { atMs: this.#nowMs + delayMs, order: this.#order++, task, referenced: false };
    this.#tasks.add(entry);
    return {
      ref: () => void (entry.referenced = true),
      unref: () => void (entry.referenced = false),
      clear: () => void this.#tasks.delete(entry),
    };
  }

  soon(task: () => void): void {
    this.#soon.push(task);
  }

  idle(task: () => void): void {
    this.#soon.push(task);
  }

  random(): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return this.#seed / 0x8000_0000;
  }

  unique(): string {
    this.#unique += 1;
    return `unique-${this.#unique}`;
  }

  /** Would a real process stay alive? */
  get keepsAlive(): boolean {
    return [...this.#tasks].some((task) => task.referenced);
  }

  get timers(): number {
    return this.#tasks.size;
  }

  /** Runs what was put off to the end of the tick. */
  tick(): void {
    while (this.#soon.length > 0) {
      const tasks = this.#soon;
      this.#soon = [];
      for (const task of tasks) task();
    }
  }

  /** Moves time, and runs every timer on the way. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    this.tick();
    for (;;) {
      const due = [...this.#tasks]
        .filter((task) => task.atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      this.#tasks.delete(due);
      due.task();
      this.tick();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets all promise callbacks run that are due. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
