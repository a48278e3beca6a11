import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { never, type Micros } from "../core/ids.ts";
import { DeadlineHeap, type Timed } from "./heap.ts";

interface Item extends Timed {
  readonly name: string;
}

const item = (name: string): Item => ({ name, deadline: never, heapPosition: -1 });

describe("D5: the heap of deadlines", () => {
  it("gives the earliest first, and never where nothing waits", () => {
    const heap = new DeadlineHeap<Item>();
    expect(heap.earliest).toBe(never);
    expect(heap.first()).toBeUndefined();
    const [a, b, c] = [item("a"), item("b"), item("c")];
    heap.set(a, 30 as Micros);
    heap.set(b, 10 as Micros);
    heap.set(c, 20 as Micros);
    expect(heap.first()).toBe(b);
    heap.set(b, 40 as Micros);
    expect(heap.first()).toBe(c);
    heap.set(a, 5 as Micros);
    expect(heap.earliest).toBe(5);
    expect(heap.count).toBe(3);
  });

  it("takes an item out when its deadline is never, and once only", () => {
    const heap = new DeadlineHeap<Item>();
    const [a, b] = [item("a"), item("b")];
    heap.set(a, 1 as Micros);
    heap.set(b, 2 as Micros);
    heap.set(a, never);
    heap.remove(a);
    expect(heap.first()).toBe(b);
    expect(a.heapPosition).toBe(-1);
    heap.remove(b);
    expect(heap.count).toBe(0);
  });

  it("refuses what is no instant", () => {
    expect(() => new DeadlineHeap<Item>().set(item("a"), Number.NaN as Micros)).toThrow(/instant/);
  });

  it("agrees with a sorted list, whatever is set, moved and removed", () => {
    const step = fc.record({ which: fc.nat(11), deadline: fc.option(fc.nat(50), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = new DeadlineHeap<Item>();
        const items = Array.from({ length: 12 }, (_, at) => item(String(at)));
        for (const { which, deadline } of steps) {
          if (deadline === undefined) heap.remove(items[which]!);
          else heap.set(items[which]!, deadline as Micros);
          heap.check();
          const expected = Math.min(Number.POSITIVE_INFINITY, ...items.map((each) => each.deadline));
          expect(heap.earliest).toBe(expected);
          expect(heap.count).toBe(items.filter((each) => each.deadline !== never).length);
        }
      }),
    );
  });
});
