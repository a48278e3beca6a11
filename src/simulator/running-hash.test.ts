import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { RunningHash } from "./running-hash.ts";

function hashOf(values: readonly number[]): string {
  const hash = new RunningHash();
  for (const value of values) hash.add(value);
  return hash.digest();
}

describe("the running hash", () => {
  it("tells apart what differs in one number, in its order, or in its length", () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat(), { minLength: 1 }), fc.nat(), (values, which) => {
        const at = which % values.length;
        const changed = values.map((value, place) => (place === at ? value + 1 : value));
        expect(hashOf(values)).toBe(hashOf(values));
        expect(hashOf(changed)).not.toBe(hashOf(values));
        expect(hashOf([...values, 0])).not.toBe(hashOf(values));
      }),
    );
    expect(hashOf([1, 2])).not.toBe(hashOf([2, 1]));
  });

  it("counts what lies beyond 32 bits", () => {
    expect(hashOf([2 ** 40])).not.toBe(hashOf([2 ** 41]));
    expect(hashOf([2 ** 40])).not.toBe(hashOf([0]));
  });

  it("is 16 hexadecimal digits", () => {
    expect(hashOf([])).toMatch(/^[0-9a-f]{16}$/);
  });
});
