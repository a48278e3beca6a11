/** Closed-loop load: so many callers, each sends its next request when the last one is answered. */

export interface LoadResult {
  readonly operations: number;
  readonly failures: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of the process that made the load, in percent of one core. */
  readonly clientCpuPercent: number;
}

/** Latencies in milliseconds, without an object each. */
class Latencies {
  #values = new Float64Array(1 << 16);
  #count = 0;

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++] = ms;
  }

  /** The values at these fractions (0 to 1) of the sorted whole. */
  quantiles(fractions: readonly number[]): number[] {
    const sorted = this.#values.subarray(0, this.#count).sort();
    return fractions.map(
      (fraction) => sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? Number.NaN,
    );
  }
}

/**
 * Runs `callers` loops of `call(caller, request)` for `seconds`. A rejected call counts as a failure and its loop goes on.
 */
export async function runClosedLoop(options: {
  readonly callers: number;
  readonly seconds: number;
  readonly call: (caller: number, request: number) => Promise<unknown>;
}): Promise<LoadResult> {
  const latencies = new Latencies();
  let operations = 0;
  let failures = 0;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + options.seconds * 1000;

  const loop = async (caller: number): Promise<void> => {
    for (let request = 0; performance.now() < endsAt; request++) {
      const sentAt = performance.now();
      try {
        await options.call(caller, request);
        latencies.add(performance.now() - sentAt);
        operations += 1;
      } catch {
        failures += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: options.callers }, (_, caller) => loop(caller)));

  const elapsedMs = performance.now() - startedAt;
  const cpu = process.cpuUsage(cpuBefore);
  const [p50Ms, p99Ms, maxMs] = latencies.quantiles([0.5, 0.99, 1]) as [number, number, number];
  return {
    operations,
    failures,
    seconds: elapsedMs / 1000,
    perSecond: (operations / elapsedMs) * 1000,
    p50Ms,
    p99Ms,
    maxMs,
    clientCpuPercent: (cpu.user + cpu.system) / 10 / elapsedMs,
  };
}
