import * as zlib from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Checksum, crc32 } from "../../src/core/index.ts";

const { crc32: native } = zlib as { crc32?: Checksum };

describe.skipIf(native === undefined)("the platform's CRC-32, which production uses for large blocks", () => {
  it("gives the numbers of our own, from any seed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        (bytes, seed) => {
          expect(native?.(bytes, seed)).toBe(crc32(bytes, seed));
        },
      ),
    );
  });
});
