/** Deadlines, the one timer, and a loop that stalled. */
import { describe, expect, it } from "vitest";
import { never, type Micros } from "../core/ids.ts";
import { World } from "./test-world.ts";

describe("time", () => {
  it("D5: a core is woken at its deadline, not before, and again at the next", () => {
    const world = new World().host();
    world.settle();
    world.advance(999);
    expect(world.core.heard).toEqual([]);
    world.advance(1000);
    expect(world.core.heard).toEqual(["wake 1000"]);
    world.advance(2000);
    expect(world.core.heard).toEqual(["wake 1000", "wake 2000"]);
  });

  it("pitfall 23: D6: a loop that stalled wakes its core late and once, with the true time, before the messages that waited", () => {
    const world = new World().host();
    world.settle();
    world.say("waited as long");
    world.time = 9000;
    world.turn();
    expect(world.core.heard).toEqual(["wake 9000", "receive waited as long"]);
    world.advance(9000);
    expect(world.core.heard).toHaveLength(2);
  });

  it("D5: a deadline that moves later leaves the timer alone; it fires early and is armed anew", () => {
    const world = new World().host();
    world.settle();
    expect(world.timers).toHaveLength(1);
    world.core.onReceive = () => {
      world.core.deadline = 5000 as Micros;
    };
    world.say("heartbeat");
    world.settle();
    expect(world.timers.filter((timer) => !timer.cancelled).map((timer) => timer.at)).toEqual([1000]);
    world.advance(1000);
    expect(world.core.heard).toEqual(["receive heartbeat"]);
    expect(world.timers.filter((timer) => !timer.cancelled).map((timer) => timer.at)).toEqual([5000]);
    world.advance(5000);
    expect(world.core.heard).toEqual(["receive heartbeat", "wake 5000"]);
  });

  it("D5: a deadline that moves earlier moves the timer", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = () => {
      world.core.deadline = 10 as Micros;
    };
    world.say("sooner");
    world.settle();
    expect(world.timers.filter((timer) => !timer.cancelled).map((timer) => timer.at)).toEqual([10]);
  });

  it("D5: a core without a deadline has no timer", () => {
    const world = new World().host();
    world.core.deadline = never;
    world.settle();
    world.advance(1e9);
    expect(world.core.heard.filter((line) => line.startsWith("wake"))).toEqual([]);
  });
});
