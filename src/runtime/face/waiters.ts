/**
 * Everybody who waits for an answer, with one timer for all of them. A list inside the waiting objects themselves: to
 * join and to leave costs a few assignments, no timer and no closure.
 */
import { assert } from "../../core/assert.ts";
import type { FaceClock, FaceTimer } from "./face-clock.ts";

/** The longest that a timer is set for; waiters without a deadline only keep the process alive. */
const timerMsMax = 60 * 60 * 1000;

/** One that waits. `expire` is called once its deadline has passed, after it has left the list. */
export abstract class Waiter {
  /** On the face's clock; Infinity: waits as long as it takes. */
  deadlineMs: number = Number.POSITIVE_INFINITY;
  previousWaiter: Waiter | undefined = undefined;
  nextWaiter: Waiter | undefined = undefined;
  waits = false;

  abstract expire(): void;
}

/**
 * While anybody waits, the process stays alive; when nobody does, it may end.
 * Invariant: the timer is set for no later than the earliest deadline.
 */
export class Waiters {
  readonly #clock: FaceClock;
  #first: Waiter | undefined;
  #last: Waiter | undefined;
  #count = 0;
  #timer: FaceTimer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  readonly #hold: (() => () => void) | undefined;
  #release: (() => void) | undefined;

  /** `hold` is called when the first begins to wait; what it returns, soon after the last one has stopped. */
  constructor(clock: FaceClock, hold?: () => () => void) {
    this.#clock = clock;
    this.#hold = hold;
  }

  get count(): number {
    return this.#count;
  }

  /** `nowMs`: what the caller has just read from the clock. */
  add(waiter: Waiter, nowMs: number): void {
    assert(!waiter.waits, "a waiter waits once at a time");
    waiter.waits = true;
    waiter.previousWaiter = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.nextWaiter = waiter;
    this.#last = waiter;
    this.#count += 1;
    if (this.#hold !== undefined && this.#release === undefined) this.#release = this.#hold();
    const timerAtMs = Math.min(waiter.deadlineMs, nowMs + timerMsMax);
    if (this.#timer === undefined || timerAtMs < this.#timerAtMs) this.#set(timerAtMs, nowMs);
    else if (this.#count === 1) this.#timer.ref();
  }

  /** Everybody who waits, those who came first in front. */
  toArray(): Waiter[] {
    const waiting: Waiter[] = [];
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.nextWaiter) waiting.push(waiter);
    return waiting;
  }

  /** Does nothing for one that does not wait. */
  remove(waiter: Waiter): void {
    if (!waiter.waits) return;
    waiter.waits = false;
    const { previousWaiter, nextWaiter } = waiter;
    if (previousWaiter === undefined) this.#first = nextWaiter;
    else previousWaiter.nextWaiter = nextWaiter;
    if (nextWaiter === undefined) this.#last = previousWaiter;
    else nextWaiter.previousWaiter = previousWaiter;
    waiter.previousWaiter = undefined;
    waiter.nextWaiter = undefined;
    this.#count -= 1;
    if (this.#count > 0) return;
    // Only unreferenced, not cleared: one caller after another would set it anew for each call.
    this.#timer?.unref();
    if (this.#release !== undefined) this.#clock.idle(() => this.#letGo());
  }

  /** Later than the last answer, so that callers who wait one after the other hold only once. */
  #letGo(): void {
    if (this.#count > 0) return;
    this.#release?.();
    this.#release = undefined;
  }

  #set(atMs: number, nowMs: number): void {
    this.#timer?.clear();
    this.#timerAtMs = atMs;
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(atMs - nowMs)), () => this.#fire());
    if (this.#count > 0) this.#timer.ref();
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.nowMs();
    const due: Waiter[] = [];
    let earliestMs = Number.POSITIVE_INFINITY;
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.nextWaiter) {
      if (waiter.deadlineMs <= nowMs) due.push(waiter);
      else earliestMs = Math.min(earliestMs, waiter.deadlineMs);
    }
    for (const waiter of due) this.remove(waiter);
    if (this.#count > 0) this.#set(Math.min(earliestMs, nowMs + timerMsMax), nowMs);
    for (const waiter of due) waiter.expire();
  }
}
