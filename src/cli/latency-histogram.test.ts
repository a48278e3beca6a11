import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LatencyHistogram } from "./latency-histogram.ts";

function histogramOf(latencies: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const latency of latencies) histogram.add(latency);
  return histogram;
}

describe("latency histogram", () => {
  test("nothing measured is nothing told", () => {
    expect(histogramOf([]).summary()).toEqual({ count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 });
  });

  test("one slow call in two hundred shows in the maximum, not in the median", () => {
    const { p50Ms, p99Ms, maxMs } = histogramOf([...Array.from({ length: 199 }, () => 2), 300]).summary();
    expect(p50Ms).toBeCloseTo(2, 1);
    expect(p99Ms).toBeCloseTo(2, 1);
    expect(maxMs).toBe(300);
  });

  test("any quantile is within 1 % of what sorting gives", () => {
    const latency = fc.double({ min: 0.01, max: 100_000, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(latency, { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (all, quantile) => {
          const sorted = all.toSorted((a, b) => a - b);
          const truth = sorted[Math.max(1, Math.ceil(quantile * sorted.length)) - 1]!;
          const told = histogramOf(all).quantileMs(quantile);
          expect(Math.abs(told - truth) / truth).toBeLessThan(0.011);
        },
      ),
    );
  });

  test("what is out of range counts at the end of the range", () => {
    const histogram = histogramOf([0, 1e9]);
    expect(histogram.count).toBe(2);
    expect(histogram.quantileMs(0)).toBeLessThan(0.0011);
  });
});
