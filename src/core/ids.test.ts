import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import { agentId, groupName, logIndex, microsFromMs, never, recordNumber, term } from "./ids.ts";

describe("names", () => {
  it.each(["a", "agent_1", "Agent-2.local", "7", "x".repeat(64)])("may be %j", (name) => {
    expect(agentId(name)).toBe(name);
    expect(groupName(name)).toBe(name);
  });

  // What a name must not be able to do: leave its folder, look like an option or an address, or hide something.
  it.each([
    "",
    ".",
    "..",
    "../etc",
    "a/b",
    "a\\b",
    "-f",
    "_x",
    "a b",
    "a\n",
    "a:1",
    "ä",
    "a\0",
    "x".repeat(65),
  ])("can't be %j", (name) => {
    const refusal = expect.objectContaining({ code: "BAD_NAME", outcome: "notDone" }) as Error;
    expect(() => agentId(name)).toThrow(refusal);
    expect(() => groupName(name)).toThrow(refusal);
  });

  it("say in the refusal what was wrong with whose name, and what to use", () => {
    expect(() => agentId("a b")).toThrow('"a b" is not a name for an agent.');
    expect(() => groupName("a b")).toThrow('"a b" is not a name for a group.');
    expect(() => agentId("")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("1 to 64") as string }),
    );
  });
});

describe("numbers", () => {
  it.each([0, 1, Number.MAX_SAFE_INTEGER])("%d is a log index and a term", (value) => {
    expect(logIndex(value)).toBe(value);
    expect(term(value)).toBe(value);
  });

  it("of records start at 1, since 0 is before the first", () => {
    expect(recordNumber(1)).toBe(1);
    expect(() => recordNumber(0)).toThrow(AssertionError);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])("%d is none of them", (value) => {
    expect(() => logIndex(value)).toThrow(AssertionError);
    expect(() => term(value)).toThrow(AssertionError);
    expect(() => recordNumber(value)).toThrow(AssertionError);
  });
});

describe("instants", () => {
  it("are whole microseconds, however people write milliseconds", () => {
    expect(microsFromMs(1.5)).toBe(1500);
    expect(microsFromMs(0.0004)).toBe(0);
    expect(microsFromMs(0.3)).toBe(300);
  });

  it("are all before never", () => {
    expect(Number.MAX_SAFE_INTEGER < never).toBe(true);
  });
});
