import { describe, expect, it } from "vitest";
import { limits } from "../core/index.ts";
import { SkippedEntries } from "./skipped.ts";

describe("entries without effect", () => {
  it("are known until too many newer ones are; then the oldest are forgotten, one for one", () => {
    const skipped = new SkippedEntries();
    for (let count = 1; count <= limits.skippedEntriesMax; count++) skipped.add(count * 10);
    expect([10, 20, 25, limits.skippedEntriesMax * 10].map((index) => skipped.has(index))).toEqual([
      true,
      true,
      false,
      true,
    ]);
    const newest = limits.skippedEntriesMax * 10 + 1;
    skipped.add(newest);
    expect([10, 20, newest].map((index) => skipped.has(index))).toEqual([false, true, true]);
  });
});
