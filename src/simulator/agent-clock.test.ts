import { describe, expect, it } from "vitest";
import fc from "fast-check";
import type { Micros } from "../core/ids.ts";
import { AgentClock } from "./agent-clock.ts";
import { EventQueue } from "./event-queue.ts";

describe("an agent's clocks", () => {
  it("a timer set for an instant never fires before its own clock shows it, and hardly after", () => {
    const rate = fc.double({ min: 0.95, max: 1.05, noNaN: true });
    fc.assert(
      fc.property(
        rate,
        fc.nat(1e9),
        fc.nat(1e9),
        fc.integer({ min: 1, max: 1e9 }),
        (ratio, origin, start, ahead) => {
          const events = new EventQueue();
          const clock = new AgentClock(events, { rate: ratio, origin, wallOffset: 0 });
          events.after(start, () => {});
          events.step();
          const due = (clock.monotonic() + ahead) as Micros;
          events.after(clock.delayUntil(due), () => {});
          events.step();
          expect(clock.monotonic()).toBeGreaterThanOrEqual(due - 1);
          expect(clock.monotonic()).toBeLessThanOrEqual(due + 3);
        },
      ),
    );
  });

  it("an instant that has passed is one microsecond away, so that no timer can hold time still", () => {
    const clock = new AgentClock(new EventQueue(), { rate: 1, origin: 500, wallOffset: 0 });
    expect(clock.delayUntil(100 as Micros)).toBe(1);
  });

  it("only the wall clock goes on while the machine is suspended, and timers wait for the other", () => {
    const events = new EventQueue();
    const clock = new AgentClock(events, { rate: 1, origin: 500, wallOffset: 0 });
    const [monotonic, wall] = [clock.monotonic(), clock.wall()];
    events.after(1000, () => clock.wasSuspended(1000));
    events.step();
    expect([clock.monotonic(), clock.wall()]).toEqual([monotonic, wall + 1000]);
    expect(clock.delayUntil((monotonic + 10) as Micros)).toBe(10);
  });

  it("only the wall clock jumps", () => {
    const clock = new AgentClock(new EventQueue(), { rate: 1, origin: 500, wallOffset: 0 });
    const [monotonic, wall] = [clock.monotonic(), clock.wall()];
    clock.jumpWall(-60_000_000);
    expect(clock.monotonic()).toBe(monotonic);
    expect(clock.wall()).toBe(wall - 60_000_000);
  });
});
