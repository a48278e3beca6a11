/** How long to wait before the next attempt: doubling, between two bounds, and jittered so that many do not march in step. */
/** Between attempts to reach an agent. */
const reconnectMinMs = 10;
const reconnectMaxMs = 1000;

export class BackOff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #nextMs: number;

  constructor(
    minMs: number = reconnectMinMs,
    maxMs: number = reconnectMaxMs,
    random: () => number = Math.random,
  ) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#random = random;
    this.#nextMs = minMs;
  }

  /** Milliseconds: between half and the whole of the current step. */
  next(): number {
    const step = this.#nextMs;
    this.#nextMs = Math.min(step * 2, this.#maxMs);
    return step * (0.5 + this.#random() / 2);
  }

  /** It worked: start over. */
  reset(): void {
    this.#nextMs = this.#minMs;
  }
}
