import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedError } from "./errors.ts";
import { decodeText, encodeText, encodeTextInto, isWellFormed, utf8BytesMax } from "./text.ts";

describe("text", () => {
  it("comes back as it was, in every script", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        expect(decodeText(encodeText(text))).toBe(text);
      }),
    );
  });

  it("is the same where it is written into other bytes, and touches only its own", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.nat(9), (text, at) => {
        const bytes = new Uint8Array(10 + text.length * utf8BytesMax).fill(0xff);
        const written = encodeTextInto(text, bytes, at);
        expect(bytes.subarray(at, at + written)).toEqual(new TextEncoder().encode(text));
        expect(encodeText(text)).toEqual(new TextEncoder().encode(text));
        expect(bytes.every((byte, place) => byte === 0xff || (place >= at && place < at + written))).toBe(
          true,
        );
      }),
    );
  });

  it("is well formed without half surrogate pairs", () => {
    expect(["", "a", "é€😀"].map(isWellFormed)).toEqual([true, true, true]);
    expect(["\uD800", "\uDC00a", "\uDC00\uD800"].map(isWellFormed)).toEqual([false, false, false]);
  });

  it.each([
    ["", []],
    ["a", [0x61]],
    ["é", [0xc3, 0xa9]],
    ["€", [0xe2, 0x82, 0xac]],
    ["😀", [0xf0, 0x9f, 0x98, 0x80]],
  ])("%j is the bytes that UTF-8 has for it", (text, bytes) => {
    expect([...encodeText(text)]).toEqual(bytes);
  });

  it("keeps a byte-order mark, which is a character like any other here", () => {
    expect(decodeText(encodeText("\uFEFFa"))).toBe("\uFEFFa");
  });

  it.each([
    ["a byte that never occurs", [0xff]],
    ["the end of a character without its beginning", [0x80]],
    ["the beginning of a character without its end", [0xe2, 0x82]],
    ["a character written longer than it needs", [0xc0, 0x80]],
    ["half of a surrogate pair", [0xed, 0xa0, 0x80]],
    ["a character beyond the last", [0xf4, 0x90, 0x80, 0x80]],
  ])("is refused where it holds %s", (_what, bytes) => {
    expect(() => decodeText(Uint8Array.from(bytes))).toThrow(MalformedError);
  });

  it("has no half surrogate pairs in UTF-8: they become the replacement character", () => {
    expect(decodeText(encodeText("\uD800"))).toBe("\uFFFD");
  });
});
