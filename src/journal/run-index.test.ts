import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RunIndex, type RunPlace } from "./run-index.ts";
import { Segment } from "./segment.ts";

function segment(number: number): Segment {
  const file = {
    name: "",
    byteLength: () => 65_536,
    read: () => 0,
    write: () => undefined,
    sync: () => undefined,
    syncNow: () => undefined,
    close: () => undefined,
  };
  return new Segment(number, `${number}`, file, 0);
}

function run(where: Segment, first: number, last: number): RunPlace {
  return { segment: where, blockAt: 0, blockLength: 0, at: 0, byteLength: 10, base: first, first, last };
}

function drawn(index: RunIndex, from: number): string {
  return [...index.from(from)].map((r) => `${r.segment.number}:${r.first}-${r.last}`).join(" ");
}

describe("the index of a group's records", () => {
  it("finds the runs from a number on", () => {
    const index = new RunIndex();
    const one = segment(1);
    for (const first of [1, 4, 7]) index.place(run(one, first, first + 2));
    expect(drawn(index, 1)).toBe("1:1-3 1:4-6 1:7-9");
    expect(drawn(index, 5)).toBe("1:4-6 1:7-9");
    expect(drawn(index, 10)).toBe("");
    expect(index.holds(1, 9)).toBe(true);
    expect(index.holds(1, 10)).toBe(false);
  });

  it("J12: of several copies of a record the latest counts", () => {
    const index = new RunIndex();
    const [one, two] = [segment(1), segment(2)];
    index.place(run(one, 1, 10));
    index.place(run(two, 4, 6));
    expect(drawn(index, 1)).toBe("1:1-3 2:4-6 1:7-10");
    expect(index.holds(1, 10)).toBe(true);
    // The rest of a run that was cut still begins at its base.
    expect([...index.from(7)][0]).toMatchObject({ base: 1, first: 7 });
    index.place(run(two, 1, 10));
    expect(drawn(index, 1)).toBe("2:1-10");
    expect(one.liveRuns).toBe(0);
    expect(one.liveBytes).toBe(0);
  });

  it("J12: a copy of records that are gone is taken back among the others", () => {
    const index = new RunIndex();
    const [one, two] = [segment(1), segment(2)];
    index.place(run(one, 1, 2));
    index.place(run(one, 8, 9));
    index.place(run(two, 4, 5));
    expect(drawn(index, 1)).toBe("1:1-2 2:4-5 1:8-9");
    expect(index.holds(1, 9)).toBe(false);
    expect(index.holds(8, 9)).toBe(true);
  });

  it("J12: what is left of a copied run, and released, holds no segment", () => {
    const index = new RunIndex();
    const [one, two] = [segment(1), segment(2)];
    index.place(run(one, 1, 3));
    index.dropBelow(2);
    expect(one.liveRuns).toBe(1);
    index.place(run(two, 2, 3));
    expect(drawn(index, 1)).toBe("2:2-3");
    expect(one.liveRuns).toBe(0);
  });

  it("takes in nothing that is released already", () => {
    const index = new RunIndex();
    const one = segment(1);
    index.dropBelow(5);
    index.place(run(one, 1, 4));
    expect([index.count, one.liveRuns, one.liveBytes]).toEqual([0, 0, 0]);
    index.place(run(one, 3, 5));
    expect(drawn(index, 1)).toBe("1:3-5");
  });

  it("forgets what is released, and counts for each segment what is left", () => {
    const index = new RunIndex();
    const [one, two] = [segment(1), segment(2)];
    for (let first = 1; first <= 200; first++) index.place(run(first <= 100 ? one : two, first, first));
    index.dropBelow(101);
    expect([one.liveRuns, two.liveRuns, index.count]).toEqual([0, 100, 100]);
    index.dropBelow(201);
    expect([one.liveRuns, two.liveRuns, index.count]).toEqual([0, 0, 0]);
    index.place(run(two, 201, 201));
    expect(drawn(index, 1)).toBe("2:201-201");
  });

  it("J12: agrees with a plain table, whatever is placed and dropped", () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("place" as const),
        at: fc.nat(30),
        length: fc.integer({ min: 1, max: 8 }),
      }),
      fc.record({ kind: fc.constant("drop" as const), at: fc.nat(30), length: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const index = new RunIndex();
        const segments: Segment[] = [];
        const table = new Map<number, number>();
        let dropped = 0;
        for (const { kind, at, length } of steps) {
          if (kind === "drop") {
            dropped = Math.max(dropped, at + 1);
            index.dropBelow(at + 1);
            continue;
          }
          const where = segment(segments.length + 1);
          segments.push(where);
          index.place(run(where, at + 1, at + length));
          if (at + length < dropped) continue;
          for (let number = at + 1; number <= at + length; number++) table.set(number, where.number);
        }
        const found = new Map<number, number>();
        const live = new Map<number, number>();
        let before = 0;
        for (const { segment: where, base, first, last } of index.from(1)) {
          expect(first).toBeGreaterThan(before);
          expect(base).toBeLessThanOrEqual(first);
          before = last;
          live.set(where.number, (live.get(where.number) ?? 0) + 1);
          for (let number = first; number <= last; number++) found.set(number, where.number);
        }
        for (const [number, where] of [...table].filter(([one]) => one >= dropped)) {
          expect(found.get(number)).toBe(where);
        }
        for (const [number, where] of found) expect(table.get(number)).toBe(where);
        for (const where of segments) expect(where.liveRuns).toBe(live.get(where.number) ?? 0);
      }),
    );
  });
});
