/** What the driver tells its journal, and what it does when the journal or a core fails. */
import { describe, expect, it } from "vitest";
import { recordNumber, type Micros } from "../core/ids.ts";
import { hello, main, promise, World } from "./test-world.ts";

describe("the journal", () => {
  it("D12: records that are no longer needed are released, once the core says so", () => {
    const world = new World().host();
    world.settle();
    expect(world.journal.released).toEqual([1]);
    world.core.onReceive = () => {
      world.core.neededFrom = recordNumber(4);
    };
    world.say("compacted");
    world.settle();
    expect(world.journal.released).toEqual([1, 4]);
  });

  it("pitfall 24: D13: a group whose records are damaged is not hosted", () => {
    const world = new World({
      prepare: (journal) => {
        journal.damaged = true;
      },
    });
    expect(() => world.host()).toThrow(expect.objectContaining({ code: "DATA_CORRUPT" }));
  });

  it("pitfall 24: D38: a damaged group begins anew where that is asked for, and its core finds nothing", () => {
    const world = new World({
      prepare: (journal) => {
        journal.damaged = true;
        journal.append(main, { head: Uint8Array.of(1), tail: [] });
      },
    });
    world.group = world.driver.host({ ...world.hosting, anew: true });
    expect([world.core.recovered, world.journal.damaged]).toEqual([[], false]);
  });

  it("pitfalls 1 and 24: D14: a failed write ends the driver: nothing is stepped or sent after it", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => out.sends.push(hello(text));
    world.say("too late");
    world.journal.callbacks.onFailure(new Error("EIO"));
    world.settle();
    expect(world.sent).toEqual([]);
    expect(world.failures).toHaveLength(1);
    world.journal.callbacks.onFailure(new Error("EIO"));
    world.advance(1e6);
    expect(world.failures).toHaveLength(1);
    expect(world.core.heard).toEqual([]);
  });

  it("D14: a core that breaks an invariant ends the driver, and what it pushed is not flushed", () => {
    const world = new World().host();
    world.settle();
    const { flushes } = world.journal;
    world.core.onReceive = (_, out) => {
      out.sendsOnceDurable.push(promise("never"));
      throw new Error("broken");
    };
    world.say("break");
    world.settle();
    expect(world.failures.map((error) => error.message)).toEqual(["broken"]);
    expect(world.sent).toEqual([]);
    expect(world.journal.flushes).toBe(flushes);
  });

  it("D14: a core whose deadline does not move on would spin, and ends the driver instead", () => {
    const world = new World().host();
    world.core.onWake = () => {
      world.core.deadline = 0 as Micros;
    };
    world.settle();
    world.advance(1000);
    expect(world.failures.map((error) => error.name)).toEqual(["AssertionError"]);
  });
});
