import { describe, expect, test } from "vitest";

import type { FileDecision } from "../decisions.ts";
import { difference, digestOf, isEndMark } from "./evidence.ts";

const decisions: readonly FileDecision[] = ["a", "b", "c"].map((id, at) => ({
  line: at + 1,
  id,
  value: { id },
}));
const values = decisions.map((decision) => decision.value);

describe("the tour's evidence", () => {
  test("all there once, in order: nothing to say", () => {
    expect(difference(values, decisions)).toBeUndefined();
  });

  test("it tells one lost, one twice and two swapped", () => {
    expect(difference(values.slice(1), decisions)).toBe("1 of 3 decisions are not there");
    expect(difference([...values, values[1]!], decisions)).toBe("1 decisions are there more than once");
    expect(difference([values[1]!, values[0]!, values[2]!], decisions)).toBe("decision 1 is out of order");
    // As many as sent, and still one lost and one twice.
    expect(difference([values[0]!, values[0]!, values[2]!], decisions)).toBe(
      "1 of 3 decisions are not there",
    );
  });

  test("the digest depends on each value and on their order", () => {
    expect(digestOf(values)).toHaveLength(64);
    expect(digestOf(values)).toBe(digestOf([...values]));
    expect(digestOf(values)).not.toBe(digestOf(values.toReversed()));
    expect(digestOf(["a", "b"])).not.toBe(digestOf(["ab"]));
  });

  test("the end is the mark of this run, and of no other", () => {
    const mark = { tour: "t1", end: "first" };
    expect(isEndMark({ tour: "t1", end: "first" }, mark)).toBe(true);
    expect(isEndMark({ tour: "t0", end: "first" }, mark)).toBe(false);
  });
});
