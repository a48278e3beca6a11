import { describe, expect, it } from "vitest";
import { decisions, decisionTable, followers, places, type Decision } from "./decision.ts";

const combinations = places.flatMap((place) =>
  followers.map((follower) => ({ place, follower, decision: decisionTable[place][follower] })),
);

const valid = new Set<string>(["next", "ahead", "restart"]);
const missing = new Set<string>(["gapHere", "gapLater", "gapRecycled"]);

describe("the recovery table", () => {
  it("J15: decides every combination, and nothing else", () => {
    expect(combinations).toHaveLength(6 * 5);
    for (const { decision } of combinations) expect(decisions).toContain(decision);
    expect(Object.keys(decisionTable).toSorted()).toEqual([...places].toSorted());
    for (const place of places) {
      expect(Object.keys(decisionTable[place]).toSorted()).toEqual([...followers].toSorted());
    }
  });

  it("J15: uses every decision", () => {
    expect(new Set(combinations.map(({ decision }) => decision))).toEqual(new Set(decisions));
  });

  it("J15: a valid block in its order always counts, whatever follows", () => {
    for (const { place, decision } of combinations) {
      expect(decision.startsWith("accept")).toBe(valid.has(place));
    }
  });

  it("pitfall 24: J6, J15: torn only where no block number is missing behind it", () => {
    const torn = combinations.filter(({ decision }) => decision === "torn");
    expect(torn.filter(({ follower }) => missing.has(follower))).toEqual([]);
  });

  it("pitfall 24: J7, J15: corrupt only where a later block shows that numbers are missing", () => {
    const corrupt = combinations.filter(({ decision }) => decision === "corrupt");
    expect(corrupt.filter(({ follower }) => !missing.has(follower))).toEqual([]);
  });

  it("J15: what was written and is invalid is never passed over in silence", () => {
    const written = combinations.filter(({ place }) => place === "broken" || place === "misplaced");
    for (const { decision } of written) expect(["torn", "corrupt"]).toContain(decision);
  });

  it("J7, J15: missing numbers within a segment, or between segments that all exist, are never passed over", () => {
    const gaps = combinations.filter(({ follower }) => follower === "gapHere" || follower === "gapLater");
    for (const { decision } of gaps.filter(({ place }) => !valid.has(place)))
      expect(decision).toBe("corrupt");
  });

  it("reads as a whole like this", () => {
    const drawn = places.map((place) =>
      [place, ...followers.map((follower): Decision => decisionTable[place][follower])].join(" "),
    );
    expect([["place", ...followers].join(" "), ...drawn]).toEqual([
      "place nothing next gapHere gapLater gapRecycled",
      "next accept accept accept accept accept",
      "ahead acceptBehindGap acceptBehindGap acceptBehindGap acceptBehindGap acceptBehindGap",
      "restart acceptAndCut acceptAndCut acceptAndCut acceptAndCut acceptAndCut",
      "misplaced torn torn corrupt corrupt corrupt",
      "broken torn torn corrupt corrupt corrupt",
      "blank pass pass corrupt corrupt pass",
    ]);
  });
});
