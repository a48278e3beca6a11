/** How odd values are named and options are read. What users meet of it is tested in `test/face/odd-*.test.ts`. */
import { describe, expect, it } from "vitest";
import { type OptionList, readOptions, shown, thrownMessage } from "./arguments.ts";

interface Sample {
  readonly timeoutMs?: number;
  readonly name?: string;
}

const list: OptionList<Sample> = {
  of: "a sample",
  noun: "option",
  like: '{ name: "x" }',
  names: { timeoutMs: true, name: true },
};

describe("a value that is not what it should be", () => {
  it.each<[unknown, string]>([
    ["text", '"text"'],
    ["x".repeat(61), `"${"x".repeat(60)}"…`],
    [-0.5, "-0.5"],
    [Number.NaN, "NaN"],
    [true, "true"],
    [undefined, "undefined"],
    [null, "null"],
    [10n, "10n"],
    [Symbol("s"), "a symbol"],
    [() => 1, "a function"],
    [[1], "an array"],
    [{ a: 1 }, "an object"],
    [Object.create(null), "an object"],
    [new Map(), "an object (Map)"],
    [{ constructor: "x" }, "an object"],
  ])("%o is told as %s", (value, text) => {
    expect(shown(value)).toBe(text);
  });

  it("is told even where looking at it throws", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(shown(proxy)).toBe("an object");
    expect(thrownMessage(proxy)).toBe("an object");
    expect(thrownMessage("text")).toBe('"text"');
    expect(thrownMessage(new Error("It failed."))).toBe("It failed");
  });
});

describe("options", () => {
  it("are read once each, by name, whether they are the object's own or inherited", () => {
    let reads = 0;
    const inherited = {
      get name() {
        reads += 1;
        return "x";
      },
    };
    expect(readOptions(list, Object.create(inherited))).toEqual({ name: "x" });
    expect(reads).toBe(1);
    expect(readOptions(list, { name: undefined })).toEqual({});
  });

  it("are not taken from what another library has added to every object", () => {
    Object.defineProperty(Object.prototype, "shared", { value: true, enumerable: true, configurable: true });
    let given: object;
    try {
      given = readOptions(list, { name: "x" });
    } finally {
      Reflect.deleteProperty(Object.prototype, "shared");
    }
    expect(Object.keys(given)).toEqual(["name"]);
  });

  it.each([
    ["timeout", "timeoutMs"],
    ["TIMEOUT_MS", "timeoutMs"],
    ["nmae", undefined],
    ["namee", "name"],
    ["id", undefined],
    ["x".repeat(1_000_000), undefined],
  ])("that are unknown get the name that was meant, if one is near", (wrong, right) => {
    const all = "The options are: name, timeoutMs.";
    const hint = right === undefined ? all : `Did you mean ${right}? ${all}`;
    expect(() => readOptions(list, { [wrong]: 1 })).toThrow(
      expect.objectContaining({ code: "BAD_OPTION", outcome: "notDone", hint }),
    );
  });
});
