/** Decided entries on their way into the state. */
import { describe, expect, it } from "vitest";
import { limits } from "../core/limits.ts";
import { runOf, World } from "./test-world.ts";

describe("commits", () => {
  it("pitfall 17: D9: are applied in order, told to the observer, and then to the core, with the digest where it asks", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) => {
      out.commits.push({ run: runOf(1, 2), digestAfter: false });
      out.commits.push({ run: runOf(3, 3), digestAfter: true });
    };
    world.say("commit");
    world.turn();
    expect(world.told).toEqual(["applied 1", "applied 2", "applied 3"]);
    expect(world.core.heard).toEqual(["receive commit", "applied 2", "applied 3 with digest"]);
    expect(world.group.applied).toBe(3);
  });

  it("D9: a long backlog is applied in slices, with the loop free between them", () => {
    const sliceMax = limits.applySliceEntriesMax;
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) =>
      out.commits.push({ run: runOf(1, 2 * sliceMax + 7), digestAfter: true });
    world.say("backlog");
    world.turn();
    expect(world.state.log).toHaveLength(sliceMax);
    expect(world.core.heard.at(-1)).toBe(`applied ${sliceMax}`);
    world.turn();
    expect(world.state.log).toHaveLength(2 * sliceMax);
    world.turn();
    expect(world.state.log).toHaveLength(2 * sliceMax + 7);
    expect(world.core.heard.at(-1)).toBe(`applied ${2 * sliceMax + 7} with digest`);
  });

  it("D9: what the core commits while it hears of progress is applied too", () => {
    const world = new World().host();
    world.settle();
    world.core.onApplied = (through, out) => {
      if (through < 5) out.commits.push({ run: runOf(through + 1, through + 1), digestAfter: false });
    };
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 1), digestAfter: false });
    world.say("first");
    world.turn();
    expect(world.state.log).toEqual([1, 2, 3, 4, 5]);
  });

  it("D9: a gap between commits is a bug, and ends the agent", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(2, 2), digestAfter: false });
    world.say("gap");
    world.turn();
    expect(world.failures.map((error) => error.name)).toEqual(["AssertionError"]);
    expect(world.state.log).toEqual([]);
  });
});
