import { describe, expect, it } from "vitest";
import { AssertionError, assert, present, unreachable } from "./assert.ts";
import { errorCodes, MalformedError, QuorateError } from "./errors.ts";

describe("an assertion", () => {
  it("lets pass what holds, and stops with its message what does not", () => {
    expect(() => {
      assert(Number("1") < 2, "one is less than two");
    }).not.toThrow();
    expect(() => {
      assert(Number("2") < 1, "two is less than one");
    }).toThrow(new AssertionError("two is less than one"));
  });

  it("gives what is present, also where that is false, empty or null", () => {
    for (const value of [0, "", false, null, Number.NaN]) expect(present(value, "it is there")).toBe(value);
    expect(() => present(undefined, "it is there")).toThrow(new AssertionError("it is there"));
  });

  it("names the case that a switch forgot", () => {
    expect(() => unreachable({ kind: "new" } as never)).toThrow('unreachable case: {"kind":"new"}');
  });
});

describe("errors", () => {
  it("are told apart by their names, also across copies of the package", () => {
    const error = new QuorateError("TIMEOUT", "No answer.", { outcome: "unknown", hint: "Ask again." });
    expect([error.name, new MalformedError("x").name, new AssertionError("x").name]).toEqual([
      "QuorateError",
      "MalformedError",
      "AssertionError",
    ]);
    expect(error).toBeInstanceOf(Error);
  });

  it("carry what the caller needs to go on, and nothing that is not known", () => {
    const cause = new Error("socket closed");
    const full = new QuorateError("OVERLOADED", "Too much.", {
      outcome: "notDone",
      hint: "Wait.",
      requestId: "r1",
      retryAfterMs: 20,
      cause,
    });
    expect(full).toMatchObject({
      code: "OVERLOADED",
      message: "Too much.",
      outcome: "notDone",
      hint: "Wait.",
    });
    expect(full).toMatchObject({ requestId: "r1", retryAfterMs: 20, cause });
    const bare = new QuorateError("CLOSED", "Closed.", { outcome: "notDone", hint: "Open it." });
    for (const absent of ["requestId", "retryAfterMs", "cause"])
      expect(Object.hasOwn(bare, absent)).toBe(false);
  });

  it("have a sentence for each code", () => {
    for (const [code, sentence] of Object.entries(errorCodes)) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect(sentence).toMatch(/^[A-Z].*\.$/);
    }
  });
});
