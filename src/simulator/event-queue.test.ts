import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { EventQueue } from "./event-queue.ts";

describe("the queue of events", () => {
  it("lets things happen by time, and at the same instant in the order in which they were asked for", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 100 }), (delays) => {
        const events = new EventQueue();
        const happened: number[] = [];
        delays.forEach((delay, at) => events.after(delay, () => happened.push(at)));
        while (events.step());
        const expected = delays
          .map((delay, at) => ({ delay, at }))
          .toSorted((a, b) => a.delay - b.delay || a.at - b.at);
        expect(happened).toEqual(expected.map(({ at }) => at));
      }),
    );
  });

  it("moves its clock only by what happens, in whole microseconds", () => {
    const events = new EventQueue();
    events.after(1.2, () => {});
    expect(events.now).toBe(0);
    events.step();
    expect(events.now).toBe(2);
    expect(events.step()).toBe(false);
    expect(events.now).toBe(2);
  });

  it("leaves out what was cancelled, and counts what happened", () => {
    const events = new EventQueue();
    const happened: string[] = [];
    events.after(1, () => happened.push("a"));
    const cancelled = events.after(2, () => happened.push("b"));
    events.after(3, () => events.after(0, () => happened.push("c")));
    events.cancel(cancelled);
    while (events.step());
    expect(happened).toEqual(["a", "c"]);
    expect(events.happened).toBe(3);
    expect(events.waiting).toBe(0);
  });

  it("knows no past", () => {
    expect(() => new EventQueue().after(-1, () => {})).toThrow(/past/);
  });
});
