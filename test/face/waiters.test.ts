import { describe, expect, test } from "vitest";
import { Waiter, Waiters } from "../../src/runtime/face/waiters.ts";
import { FakeClock } from "./support/fake-clock.ts";

class Noted extends Waiter {
  readonly #name: string;
  readonly #expired: string[];

  constructor(name: string, deadlineMs: number, expired: string[]) {
    super();
    this.#name = name;
    this.deadlineMs = deadlineMs;
    this.#expired = expired;
  }

  override expire(): void {
    this.#expired.push(this.#name);
  }
}

function world() {
  const clock = new FakeClock();
  const expired: string[] = [];
  const holds = { held: 0, times: 0 };
  const waiters = new Waiters(clock, () => {
    holds.held += 1;
    holds.times += 1;
    return () => {
      holds.held -= 1;
    };
  });
  const add = (name: string, deadlineMs: number): Noted => {
    const waiter = new Noted(name, deadlineMs, expired);
    waiters.add(waiter, clock.nowMs());
    return waiter;
  };
  return { clock, waiters, expired, holds, add };
}

describe("those who wait", () => {
  test("are told when their time is up, each once, and not before", () => {
    const { clock, expired, add } = world();
    add("late", 300);
    add("early", 100);
    add("middle", 200);
    clock.advance(99);
    expect(expired).toEqual([]);
    clock.advance(1);
    expect(expired).toEqual(["early"]);
    clock.advance(1000);
    expect(expired).toEqual(["early", "middle", "late"]);
  });

  test("are not told once they have left, from wherever in the list", () => {
    const { clock, waiters, expired, add } = world();
    const [first, middle, last] = [add("first", 10), add("middle", 10), add("last", 10)];
    add("stays", 10);
    for (const waiter of [middle, first, last]) waiters.remove(waiter);
    waiters.remove(last);
    clock.advance(10);
    expect(expired).toEqual(["stays"]);
    expect(waiters.count).toBe(0);
  });

  test("keep the process alive together, with one timer", () => {
    const { clock, waiters, add } = world();
    const all = Array.from({ length: 100 }, (_, number) => add(`${number}`, 5000 + number));
    expect(clock.timers).toBe(1);
    expect(clock.keepsAlive).toBe(true);
    for (const waiter of all) waiters.remove(waiter);
    expect(clock.keepsAlive).toBe(false);
  });

  test("without a deadline wait for ever, and keep the process alive as well", () => {
    const { clock, expired, waiters, add } = world();
    const stream = add("stream", Number.POSITIVE_INFINITY);
    clock.advance(48 * 60 * 60 * 1000);
    expect(expired).toEqual([]);
    expect(clock.keepsAlive).toBe(true);
    waiters.remove(stream);
    expect(clock.keepsAlive).toBe(false);
  });

  test("one after the other hold what they need only once; after the last it is let go", () => {
    const { clock, waiters, holds, add } = world();
    for (let call = 0; call < 5; call++) {
      const waiter = add("x", 1000);
      expect(holds.held).toBe(1);
      waiters.remove(waiter);
    }
    expect(holds).toEqual({ held: 1, times: 1 });
    clock.tick();
    expect(holds).toEqual({ held: 0, times: 1 });
  });

  test("who expires may wait again at once", () => {
    const { clock, waiters, add } = world();
    const waiter = add("again", 10);
    waiter.expire = () => {
      waiter.deadlineMs = 1000;
      waiters.add(waiter, clock.nowMs());
    };
    clock.advance(10);
    expect(waiters.count).toBe(1);
    expect(clock.keepsAlive).toBe(true);
  });
});
