/**
 * Latencies, in a fixed number of buckets whatever their count: each is 2 % wider than the one before, so a quantile is
 * within 1 % of the truth.
 */
const growth = 1.02;
const lowestMs = 0.001;
const buckets = Math.ceil(Math.log(3_600_000 / lowestMs) / Math.log(growth)) + 2;

export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export class LatencyHistogram {
  readonly #counts: Uint32Array = new Uint32Array(buckets);
  #count = 0;
  #maxMs = 0;

  add(ms: number): void {
    const position = Math.floor(Math.log(Math.max(ms, lowestMs) / lowestMs) / Math.log(growth)) + 1;
    const bucket = Math.min(buckets - 1, position);
    this.#counts[bucket] = this.#counts[bucket]! + 1;
    this.#count += 1;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  get count(): number {
    return this.#count;
  }

  /** The latency that a share of `quantile` (0 to 1) did not exceed; 0 where there is none. */
  quantileMs(quantile: number): number {
    if (this.#count === 0) return 0;
    const rank = Math.max(1, Math.ceil(quantile * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < buckets; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen >= rank) return Math.min(this.#maxMs, lowestMs * growth ** (bucket - 0.5));
    }
    return this.#maxMs;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      p50Ms: rounded(this.quantileMs(0.5)),
      p99Ms: rounded(this.quantileMs(0.99)),
      maxMs: rounded(this.#maxMs),
    };
  }
}

/** To whole microseconds: more digits than were measured help nobody. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
