/** What an agent's log says of its disk, and when leadership goes to somebody who has room. Time and disk are the test's. */
import { expect, test } from "vitest";
import { StillTime } from "../../test/support/still-time.ts";
import { DiskWatch } from "./disk-watch.ts";

function watched(): {
  time: StillTime;
  disk: { isFull: boolean; syncingMs: number };
  told: string[];
  watch: DiskWatch;
} {
  const time = new StillTime();
  const disk = { isFull: false, syncingMs: 0 };
  const told: string[] = [];
  const say = (message: string): void => void told.push(message.replace(/:.*/, ""));
  const log = { info: say, warn: say, error: say };
  const watch = new DiskWatch(
    time,
    time,
    log,
    () => disk,
    () => told.push("hands over"),
  );
  return { time, disk, told, watch };
}

test("of a disk that is well nothing is said, and nothing is left behind", () => {
  const { time, disk, told, watch } = watched();
  disk.syncingMs = 900;
  time.pass(60_000);
  expect(told).toEqual([]);
  watch.close();
  expect(time.timers).toBe(0);
});

test("a disk that hangs is told of once, and once that it goes on", () => {
  const { time, disk, told } = watched();
  disk.syncingMs = 1500;
  time.pass(1000);
  disk.syncingMs = 29_500;
  time.pass(28_000);
  expect(told).toEqual(["the disk hangs"]);
  disk.syncingMs = 3;
  time.pass(2000);
  expect(told).toEqual(["the disk hangs", "the disk goes on, after a sync that took 29500 ms or more"]);
});

test("whoever has a full disk hands over, and no more often than others can bear who have one, too", () => {
  const { time, disk, told } = watched();
  disk.isFull = true;
  time.pass(29_000);
  expect(told).toEqual(["the disk is full", "hands over"]);
  time.pass(30_000);
  expect(told).toEqual(["the disk is full", "hands over", "hands over"]);
  disk.isFull = false;
  time.pass(60_000);
  expect(told).toEqual(["the disk is full", "hands over", "hands over", "the disk has room again"]);
});
