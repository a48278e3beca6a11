import { describe, expect, it } from "vitest";
import { entryHeaderBytes } from "./entry.ts";
import { limits } from "./limits.ts";

describe("limits", () => {
  it("are whole numbers of at least one, and below what 32 bits hold", () => {
    for (const [name, value] of Object.entries(limits) as [string, number][]) {
      expect({ name, fits: Number.isInteger(value) && value >= 1 && value < 2 ** 32 }).toEqual({
        name,
        fits: true,
      });
    }
  });

  it("say what they limit, and end in what they count", () => {
    for (const name of Object.keys(limits)) expect(name).toMatch(/(Max|Bytes)$/);
  });

  it("leave room in an entry for a key and a value of half a mebibyte", () => {
    expect(entryHeaderBytes + 3 * 256 + limits.mapKeyBytesMax + 512 * 1024).toBeLessThan(
      limits.entryBytesMax,
    );
  });

  it("leave room in a frame for an answer that repeats the largest value, and for a page of changes", () => {
    expect(limits.entryBytesMax + 1024).toBeLessThan(limits.frameBytesMax);
    expect(limits.mapRangeBytesMax + limits.entryBytesMax + 1024).toBeLessThan(limits.frameBytesMax);
  });

  it("make blocks and segments of whole sectors", () => {
    expect(limits.blockBytesMax % limits.sectorBytes).toBe(0);
    expect(limits.segmentBytes % limits.sectorBytes).toBe(0);
  });
});
