import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { NumberTable } from "./number-table.ts";

// The goal: the table is a map from numbers to items. The method: it is compared with a `Map` after every step; the numbers
// are few, or multiples of a large power of two, so that they often want the same place.

const steps = fc.array(
  fc.record({
    number: fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 40 }).map((factor) => factor * 2 ** 26),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    ),
    adds: fc.boolean(),
  }),
  { maxLength: 400 },
);

describe("a table of numbered items", () => {
  it("holds what was added and not deleted, like a Map", () => {
    fc.assert(
      fc.property(steps, (given) => {
        const table = new NumberTable<string>();
        const model = new Map<number, string>();
        for (const [step, { number, adds }] of given.entries()) {
          expect(table.get(number)).toBe(model.get(number));
          expect(table.has(number)).toBe(model.has(number));
          const adding = adds && !model.has(number);
          if (adding) {
            table.add(number, `item ${step}`);
            model.set(number, `item ${step}`);
          }
          const deleted = adding ? undefined : table.delete(number);
          expect(deleted).toBe(adding ? undefined : model.get(number));
          if (!adding) model.delete(number);
          expect(table.count).toBe(model.size);
        }
        const inOrder = [...model].sort(([a], [b]) => a - b).map(([, item]) => item);
        expect(table.toArray()).toEqual(inOrder);
        for (const [number, item] of model) expect(table.delete(number)).toBe(item);
        expect(table.count).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it("keeps nothing of what was deleted, nor of what was there before it was cleared", () => {
    const table = new NumberTable<object>();
    for (let number = 1; number <= 1000; number++) table.add(number, {});
    for (let number = 1; number <= 1000; number += 2) table.delete(number);
    expect(table.count).toBe(500);
    table.clear();
    expect(table.count).toBe(0);
    expect(table.toArray()).toEqual([]);
    expect(table.get(2)).toBeUndefined();
  });

  it("refuses a number that is taken, and 0", () => {
    const table = new NumberTable<string>();
    table.add(7, "a");
    expect(() => table.add(7, "b")).toThrow(/one item at a time/);
    expect(() => table.add(0, "b")).toThrow(/from 1/);
  });
});
