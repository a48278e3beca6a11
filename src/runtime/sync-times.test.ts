/** What an agent says of its disk is about the newest syncs, and true. */
import { expect, test } from "vitest";
import { limits } from "../core/limits.ts";
import { SyncTimes } from "./sync-times.ts";

test("before the first sync nothing is said; then the middle, the slowest in a hundred, and the slowest", () => {
  const times = new SyncTimes();
  expect(times.report()).toBeUndefined();
  for (let ms = 100; ms >= 0; ms--) times.add(ms);
  expect(times.report()).toEqual({ count: 101, medianMs: 50, p99Ms: 99, maxMs: 100 });
});

test("a sync that does not end is seen meanwhile: the oldest of those that are under way", () => {
  const times = new SyncTimes();
  expect(times.syncingMs(5)).toBe(0);
  const [first, second] = [times.begin(10), times.begin(20)];
  expect(times.syncingMs(1010)).toBe(1000);
  first(1020);
  expect([times.syncingMs(1030), times.report()?.maxMs]).toEqual([1010, 1010]);
  second(1030);
  expect(times.syncingMs(1040)).toBe(0);
});

test("a slow sync is forgotten once so many came after it", () => {
  const times = new SyncTimes();
  times.add(5000);
  for (let count = 1; count < limits.syncTimesMax; count++) times.add(0.123);
  expect(times.report()).toEqual({ count: limits.syncTimesMax, medianMs: 0.12, p99Ms: 0.12, maxMs: 5000 });
  times.add(0.123);
  expect(times.report()?.maxMs).toBe(0.12);
});
