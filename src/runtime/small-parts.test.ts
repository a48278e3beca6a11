/** The small parts: addresses, back-off, the scheduler, errors in one line. */
import { describe, expect, onTestFinished, test } from "vitest";
import { failure, pause, until } from "../../test/support/runtime.ts";
import type { Micros } from "../core/ids.ts";
import { formatAddress, isLoopback, loopbackAddress, parseAddress } from "./address.ts";
import { BackOff } from "./back-off.ts";
import { systemClock } from "./clock.ts";
import { describeError, silentLogger } from "./logger.ts";
import { LoopScheduler } from "./scheduler.ts";

describe("addresses", () => {
  test.each([
    ["127.0.0.1:7400", "127.0.0.1", 7400],
    ["localhost:1", "localhost", 1],
    ["[::1]:65535", "::1", 65_535],
    ["example.org:80", "example.org", 80],
  ])("%s is read and written back", (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port });
    expect(formatAddress(parseAddress(text))).toBe(text);
  });

  test.each([
    "",
    "7400",
    "a b:1",
    "127.0.0.1",
    "127.0.0.1:99999",
    ":7400",
    "::1:7400",
    "[nonsense]:1",
    "a:b",
  ])("%j is refused, and the message says how to write one", async (text) => {
    const error = await failure(() => parseAddress(text));
    expect(error.code).toBe("BAD_OPTION");
    expect(error.hint).toContain("127.0.0.1:7400");
  });

  test("only this machine's loopback is allowed, for nothing on the wire is encrypted yet", async () => {
    for (const address of ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"]) {
      expect(isLoopback(loopbackAddress(address).host)).toBe(true);
    }
    for (const address of ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "example.org:1", "127.evil.org:1"]) {
      const error = await failure(() => loopbackAddress(address, "listen address"));
      expect(`${address} ${error.code}`).toBe(`${address} DENIED`);
      expect(error.hint).toContain("TLS");
      expect(error.hint).toContain("127.0.0.1");
    }
  });
});

describe("the back-off", () => {
  test("doubles between its bounds, jittered by up to a half, and starts over", () => {
    const latest = new BackOff(10, 1000, () => 1);
    expect(Array.from({ length: 9 }, () => latest.next())).toEqual([
      10, 20, 40, 80, 160, 320, 640, 1000, 1000,
    ]);
    latest.reset();
    expect(latest.next()).toBe(10);
    const earliest = new BackOff(10, 1000, () => 0);
    expect([earliest.next(), earliest.next()]).toEqual([5, 10]);
  });
});

describe("the scheduler", () => {
  test("runs tasks soon, but never at once, and in order", async () => {
    const scheduler = new LoopScheduler();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      scheduler.soon(() => order.push("a"));
      scheduler.soon(() => {
        order.push("b");
        resolve();
      });
      order.push("now");
    });
    expect(order).toEqual(["now", "a", "b"]);
  });

  test("what a task asks for comes in the next turn, after what waits already", async () => {
    const scheduler = new LoopScheduler();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      scheduler.soon(() => {
        order.push("a");
        scheduler.soon(() => {
          order.push("c");
          resolve();
        });
      });
      scheduler.soon(() => order.push("b"));
    });
    expect(order).toEqual(["a", "b", "c"]);
  });

  test("a task that throws does not take those behind it along", async () => {
    const scheduler = new LoopScheduler();
    const order: string[] = [];
    const thrown = new Promise((resolve) => {
      process.setUncaughtExceptionCaptureCallback(resolve);
    });
    onTestFinished(() => process.setUncaughtExceptionCaptureCallback(null));
    const bug = new Error("a bug");
    scheduler.soon(() => order.push("before"));
    scheduler.soon(() => {
      scheduler.soon(() => order.push("later"));
      throw bug;
    });
    scheduler.soon(() => order.push("behind"));
    expect(await thrown).toBe(bug);
    await until(() => order.length === 3, "the others run");
    expect(order).toEqual(["before", "behind", "later"]);
  });

  test("never wakes before the instant that it was given", async () => {
    const scheduler = new LoopScheduler();
    for (let round = 0; round < 20; round++) {
      const instant = (systemClock.monotonic() + 700 + round * 137) as Micros;
      await new Promise<void>((resolve) => {
        scheduler.at(instant, resolve);
      });
      expect(systemClock.monotonic()).toBeGreaterThanOrEqual(instant);
    }
  });

  test("what is cancelled, or waits when it closes, does not run", async () => {
    const scheduler = new LoopScheduler();
    let ran = 0;
    const soon = systemClock.monotonic();
    scheduler.at(soon, () => (ran += 1))();
    scheduler.at(soon, () => (ran += 1));
    scheduler.soon(() => (ran += 1));
    scheduler.close();
    await pause(20);
    expect(ran).toBe(0);
    scheduler.soon(() => scheduler.close());
    scheduler.soon(() => (ran += 1));
    await pause(20);
    expect(ran).toBe(0);
  });

  test("keeps a process alive only while it is held, if it is made so", () => {
    const scheduler = new LoopScheduler("held");
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    scheduler.at((systemClock.monotonic() + 60_000_000) as Micros, () => {});
    expect(timers()).toBe(before);
    const [release, releaseToo] = [scheduler.hold(), scheduler.hold()];
    expect(timers()).toBe(before + 1);
    release();
    release();
    expect(timers()).toBe(before + 1);
    releaseToo();
    expect(timers()).toBe(before);
    scheduler.close();
  });
});

describe("the clock", () => {
  test("never goes back, and the wall clock counts from 1970", () => {
    const readings = Array.from({ length: 1000 }, () => systemClock.monotonic());
    expect(readings).toEqual(readings.toSorted((a, b) => a - b));
    expect(Math.abs(systemClock.wall() / 1000 - Date.now())).toBeLessThan(1000);
  });
});

describe("errors in a log", () => {
  test("are one line with the system's code, and no stack", () => {
    const error = Object.assign(new Error("no space"), { code: "ENOSPC" });
    expect(describeError(error)).toBe("ENOSPC: no space");
    expect(describeError(Object.assign(new Error("EIO: broken"), { code: "EIO" }))).toBe("EIO: broken");
    expect(describeError("text")).toBe("text");
    silentLogger.error("nobody hears this");
  });
});
