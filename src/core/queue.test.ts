import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { Queue } from "./queue.ts";

describe("a queue", () => {
  it("gives back what it got, in order, whatever is pushed and taken between", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: 300 }), (steps) => {
        const queue = new Queue<number>();
        const model: number[] = [];
        let next = 0;
        for (const step of steps) {
          const taken = step < 0 && model.length > 0 ? [queue.take(), model.shift()] : [0, 0];
          expect(taken[0]).toBe(taken[1]);
          for (let count = 0; count < step; count++) {
            queue.push(next);
            model.push(next);
            next += 1;
          }
          expect(queue.count).toBe(model.length);
          expect(queue.toArray()).toEqual(model);
          model.forEach((value, at) => expect(queue.at(at)).toBe(value));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("refuses to give what it does not have", () => {
    const queue = new Queue<number>();
    expect(() => queue.take()).toThrow(/within what it holds/);
    queue.push(1);
    expect(queue.peek()).toBe(1);
    expect(() => queue.at(1)).toThrow(/within what it holds/);
    expect(() => queue.at(-1)).toThrow(/within what it holds/);
  });
});
