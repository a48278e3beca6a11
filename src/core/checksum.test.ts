import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32, crc32Range } from "./checksum.ts";
import { encodeText } from "./text.ts";

/** The definition, bit by bit. */
function crcByDefinition(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe("CRC-32", () => {
  it.each([
    ["123456789", 0xcbf4_3926],
    ["", 0],
    ["a", 0xe8b7_be43],
    ["The quick brown fox jumps over the lazy dog", 0x414f_a339],
  ])("of %j is what everybody publishes", (text, expected) => {
    expect(crc32(encodeText(text))).toBe(expected);
  });

  it("is its definition, at every length around the eight bytes of a step", () => {
    for (let length = 0; length < 40; length++) {
      const bytes = Uint8Array.from({ length }, (_, at) => at * 37 + length);
      expect(crc32(bytes)).toBe(crcByDefinition(bytes));
    }
  });

  it("of a part is that of the part alone", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), fc.nat(60), (bytes, a, b) => {
        const [from, to] = [Math.min(a, b, bytes.byteLength), Math.min(Math.max(a, b), bytes.byteLength)];
        expect(crc32Range(bytes, from, to)).toBe(crcByDefinition(bytes.slice(from, to)));
      }),
    );
  });

  it("goes on from where it stopped", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (bytes, at) => {
        expect(crc32(bytes.subarray(at), crc32(bytes.subarray(0, at)))).toBe(crc32(bytes));
      }),
    );
  });

  it("finds every single flipped bit", () => {
    const bytes = encodeText("promises are kept on disk");
    const right = crc32(bytes);
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(crc32(flipped)).not.toBe(right);
    }
  });
});
