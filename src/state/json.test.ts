import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeText, limits, MalformedError } from "../core/index.ts";
import { canonicalJson, decodeJson, encodeJson, type Json, NotPlainError, plainJson } from "./json.ts";
import { decodeLearned, decodeProposal, encodeProposal } from "./proposals.ts";

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;

/** Arrays in arrays, so deep. */
function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

describe("plain data", () => {
  it("comes back from its bytes as it was", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(decodeJson(encodeJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("is copied: nothing is shared with what it was made from", () => {
    const inner = { a: 1 };
    const copy = plainJson({ one: inner, two: inner }) as { one: object; two: object };
    expect(copy).toEqual({ one: { a: 1 }, two: { a: 1 } });
    expect(copy.one).not.toBe(inner);
    expect(copy.one).not.toBe(copy.two);
  });

  it("leaves out what is undefined, keeps the order of keys, and has no negative zero", () => {
    expect(Object.keys(plainJson({ b: 1, gone: undefined, a: 2 }) as object)).toEqual(["b", "a"]);
    expect(Object.is(plainJson(-0), 0)).toBe(true);
    expect(plainJson(Object.create(null))).toEqual({});
  });

  it("takes __proto__ for a key like any other, and no way into the prototype", () => {
    const parsed = JSON.parse('{"__proto__":{"admin":true}}') as unknown;
    const copy = plainJson(parsed) as Record<string, unknown>;
    expect(Object.hasOwn(copy, "__proto__")).toBe(true);
    expect(copy["admin"]).toBeUndefined();
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"admin":true}}');
  });

  it.each<[string, unknown]>([
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["undefined", undefined],
    ["a hole", [1, , 2]], // oxlint-disable-line no-sparse-arrays -- a hole is the point
    ["undefined in an array", [undefined]],
    ["a bigint", 1n],
    ["a symbol", Symbol("s")],
    ["a function", () => 1],
    ["a map", new Map()],
    ["bytes", new Uint8Array(1)],
    ["an instance of a class", new (class Account {})()],
    ["a promise", Promise.resolve(1)],
  ])("is not %s, which JSON would change or drop without a word", (_what, value) => {
    expect(() => plainJson(value)).toThrow(NotPlainError);
    expect(() => plainJson({ deep: [value] })).toThrow(NotPlainError);
    expect(() => encodeJson(value)).toThrow(
      expect.objectContaining({ code: "BAD_VALUE", outcome: "notDone" }),
    );
  });

  it("ends somewhere: neither too deep, nor in a circle, nor holding itself many times over", () => {
    expect(plainJson(nested(limits.jsonDepthMax))).toBeDefined();
    expect(() => plainJson(nested(limits.jsonDepthMax + 1))).toThrow("nested more than 128 deep");
    const circle: unknown[] = [];
    circle.push(circle);
    expect(() => plainJson(circle)).toThrow(NotPlainError);
    let doubling: unknown = 1;
    for (let level = 0; level < 60; level++) doubling = [doubling, doubling];
    expect(() => plainJson(doubling)).toThrow("too many values");
  });

  it("is refused where bytes are no JSON, or no text", () => {
    for (const bytes of [new Uint8Array(0), encodeText("{"), encodeText("undefined"), Uint8Array.of(0xff)]) {
      expect(() => decodeJson(bytes)).toThrow(MalformedError);
    }
  });
});

describe("the canonical form", () => {
  it("is the same for equal values, whatever order their keys have, and JSON", () => {
    const reversed = (value: Json): Json => {
      if (Array.isArray(value)) return (value as readonly Json[]).map(reversed);
      if (typeof value !== "object" || value === null) return value;
      return plainJson(
        Object.fromEntries(
          Object.entries(value)
            .toReversed()
            .map(([key, inner]) => [key, reversed(inner)]),
        ),
      );
    };
    fc.assert(
      fc.property(json, (value) => {
        const plain = plainJson(value);
        expect(canonicalJson(reversed(plain))).toBe(canonicalJson(plain));
        expect(JSON.parse(canonicalJson(plain))).toEqual(plain);
      }),
    );
  });

  it("tells apart what is not equal", () => {
    const values: Json[] = [
      1,
      "1",
      [1],
      { a: 1 },
      { a: "1" },
      { a: 1, b: null },
      [],
      {},
      null,
      false,
      "",
      [[]],
      [{}],
    ];
    expect(new Set(values.map(canonicalJson)).size).toBe(values.length);
  });
});

describe("proposals", () => {
  it("are lists of values that come back in order", () => {
    fc.assert(
      fc.property(fc.array(json, { minLength: 1, maxLength: 5 }), (values) => {
        expect(decodeProposal(encodeProposal(values))).toEqual(JSON.parse(JSON.stringify(values)));
      }),
    );
  });

  it("refuse values that are not plain, and bytes that are no list", () => {
    expect(() => encodeProposal([Number.NaN])).toThrow(expect.objectContaining({ code: "BAD_VALUE" }));
    expect(() => decodeProposal(new Uint8Array(0))).toThrow("at least one value");
    expect(() => decodeProposal(Uint8Array.of(1, 0, 0, 0))).toThrow(MalformedError);
    expect(() => decodeProposal(Uint8Array.of(1, 0, 0, 0, 0x7b))).toThrow("not JSON");
  });

  it("are learned only from bytes that say something known", () => {
    for (const bytes of [
      new Uint8Array(0),
      Uint8Array.of(3),
      Uint8Array.of(0, 0),
      Uint8Array.of(1, 0),
      Uint8Array.of(2, 9),
    ]) {
      expect(() => decodeLearned(bytes)).toThrow(MalformedError);
    }
  });
});
