import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { clearOutbox, createOutbox, type Protocol } from "./boundary.ts";
import { Lane } from "./lane.ts";
import { limits } from "./limits.ts";

describe("a lane", () => {
  it("gives back what was pushed, in order", () => {
    const lane = new Lane<string>(3);
    for (const effect of ["a", "b", "c"]) lane.push(effect);
    expect(lane.count).toBe(3);
    expect([lane.at(0), lane.at(1), lane.at(2)]).toEqual(["a", "b", "c"]);
    expect(lane.toArray()).toEqual(["a", "b", "c"]);
  });

  it("holds just its capacity: one more is a bug of whoever did not drain", () => {
    const lane = new Lane<number>(2);
    lane.push(1);
    lane.push(2);
    expect(() => {
      lane.push(3);
    }).toThrow("a lane overflows");
    expect(lane.toArray()).toEqual([1, 2]);
  });

  it("is read within what was pushed since it was emptied, though the slots stay", () => {
    const lane = new Lane<number>(4);
    lane.push(1);
    lane.push(2);
    lane.clear();
    expect(lane.count).toBe(0);
    expect(() => lane.at(0)).toThrow(AssertionError);
    lane.push(3);
    expect(lane.toArray()).toEqual([3]);
    expect(() => lane.at(1)).toThrow(AssertionError);
  });

  it("drops what the effects refer to when it is emptied", () => {
    const lane = new Lane<object | undefined>(2);
    lane.push({ bytes: new Uint8Array(9) });
    lane.clear();
    // A new push makes the slot readable again: with `undefined` in it, the old effect can't be there any more.
    lane.push(undefined);
    expect(lane.at(0)).toBeUndefined();
  });

  it("may hold `undefined` as an effect like any other", () => {
    const lane = new Lane<undefined>(1);
    lane.push(undefined);
    expect(lane.count).toBe(1);
  });

  it("without room makes no sense", () => {
    expect(() => new Lane(0)).toThrow(AssertionError);
  });
});

describe("an outbox", () => {
  it("has room in every lane for any single input, and one call empties it", () => {
    const out = createOutbox<Protocol>();
    const lanes = Object.values(out) as Lane<object>[];
    expect(lanes).toHaveLength(8);
    for (const lane of lanes) {
      expect(lane.capacity).toBe(limits.laneEffectsMax);
      lane.push({});
    }
    clearOutbox(out);
    for (const lane of lanes) expect(lane.count).toBe(0);
  });
});
