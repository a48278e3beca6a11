/** How long the newest syncs of a disk took: what an agent tells whoever looks after it. */
import { limits } from "../core/limits.ts";

export interface SyncReport {
  /** How many it speaks of. */
  readonly count: number;
  readonly medianMs: number;
  /** One in a hundred takes this long or longer. */
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** A sync that is under way. */
interface Sync {
  readonly startedAtMs: number;
}

export class SyncTimes {
  readonly #times = new Float64Array(limits.syncTimesMax);
  /** In the order in which they began. */
  readonly #underWay = new Set<Sync>();
  #count = 0;

  /** A sync begins. Returns what to call at its end; instants are those of one clock that never goes back. */
  begin(startedAtMs: number): (endedAtMs: number) => void {
    const sync = { startedAtMs };
    this.#underWay.add(sync);
    return (endedAtMs) => {
      this.#underWay.delete(sync);
      this.add(endedAtMs - startedAtMs);
    };
  }

  /** For how long the oldest sync has been under way; 0 where none is. */
  syncingMs(nowMs: number): number {
    const [oldest] = this.#underWay;
    return oldest === undefined ? 0 : nowMs - oldest.startedAtMs;
  }

  add(ms: number): void {
    this.#times[this.#count % this.#times.length] = ms;
    this.#count += 1;
  }

  /** Undefined before the first. */
  report(): SyncReport | undefined {
    const count = Math.min(this.#count, this.#times.length);
    return count === 0 ? undefined : syncReport(this.#times.subarray(0, count));
  }
}

/** `times`: in milliseconds, at least one. */
export function syncReport(times: Float64Array): SyncReport {
  const sorted = times.toSorted();
  const at = (share: number): number => rounded(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  return { count: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

/** To hundredths of a millisecond: what is smaller says nothing. */
function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
