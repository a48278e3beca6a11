/**
 * When a session hands its commands in again. Three causes: a refusal (with back-off), an answer out of order
 * (something before it was lost), and silence (the slow timer). All delays are jittered, so that clients that were
 * refused together don't come back together.
 */
import type { FaceClock, FaceTimer } from "./face-clock.ts";

export const repeatMs = {
  silenceMin: 250,
  silenceMax: 2_000,
  backOffMin: 10,
  backOffMax: 500,
} as const;

export class Repeats {
  readonly #clock: FaceClock;
  /** Hands in everything from this sequence on. */
  readonly #repeat: (from: number) => void;
  /** Is anything unanswered? */
  readonly #isWaiting: () => boolean;
  #silenceTimer: FaceTimer | undefined;
  #silenceMs: number = repeatMs.silenceMin;
  #heardSince = false;
  #backOffTimer: FaceTimer | undefined;
  #backOffMs: number = repeatMs.backOffMin;
  #rewindFrom: number | undefined;
  #rewindMs = Number.NEGATIVE_INFINITY;
  #rewindCause: "refused" | "outOfOrder" = "refused";

  constructor(clock: FaceClock, repeat: (from: number) => void, isWaiting: () => boolean) {
    this.#clock = clock;
    this.#repeat = repeat;
    this.#isWaiting = isWaiting;
  }

  /** While true, what is handed in anew would only arrive out of order. */
  get holdsBack(): boolean {
    return this.#rewindFrom !== undefined;
  }

  get isWatching(): boolean {
    return this.#silenceTimer !== undefined;
  }

  /** Something is on its way: watch for silence. */
  watch(): void {
    if (this.#silenceTimer !== undefined) return;
    this.#heardSince = false;
    this.#silenceTimer = this.#clock.after(this.#jittered(this.#silenceMs), () => this.#silence());
  }

  /** An answer came. Returns whether this ended a hold. */
  heard(): boolean {
    this.#heardSince = true;
    this.#silenceMs = repeatMs.silenceMin;
    // Answers come again, so what was out of order is coming in order; if not, the slow timer will tell.
    if (this.#rewindFrom === undefined || this.#rewindCause === "refused") return false;
    this.endRewind();
    return true;
  }

  /** Hand in everything from sequence `from` on again, a little later. */
  rewind(from: number, cause: "refused" | "outOfOrder"): void {
    if (this.#rewindFrom === undefined) {
      const nowMs = this.#clock.nowMs();
      // Answers to others do not reset it: at a full leader they come all the time.
      if (nowMs - this.#rewindMs > 2 * repeatMs.backOffMax) this.#backOffMs = repeatMs.backOffMin;
      this.#rewindMs = nowMs;
      this.#rewindFrom = from;
      this.#rewindCause = cause;
      this.#backOffTimer = this.#clock.after(this.#jittered(this.#backOffMs), () => this.#now());
      this.#backOffMs = Math.min(this.#backOffMs * 2, repeatMs.backOffMax);
      return;
    }
    this.#rewindFrom = Math.min(this.#rewindFrom, from);
    if (cause === "refused") this.#rewindCause = cause;
  }

  /** A rewind that was waiting would now come too late or be of the wrong session. */
  endRewind(): void {
    this.#rewindFrom = undefined;
    this.#backOffTimer?.clear();
    this.#backOffTimer = undefined;
  }

  close(): void {
    this.endRewind();
    this.#silenceTimer?.clear();
    this.#silenceTimer = undefined;
  }

  #now(): void {
    const from = this.#rewindFrom ?? 0;
    this.endRewind();
    this.#repeat(from);
  }

  #silence(): void {
    this.#silenceTimer = undefined;
    if (!this.#isWaiting()) return;
    if (!this.#heardSince && this.#rewindFrom === undefined) {
      this.#silenceMs = Math.min(this.#silenceMs * 2, repeatMs.silenceMax);
      this.#repeat(0);
    }
    this.watch();
  }

  /** Between three quarters and five quarters of it. */
  #jittered(delayMs: number): number {
    return delayMs * (0.75 + this.#clock.random() / 2);
  }
}
