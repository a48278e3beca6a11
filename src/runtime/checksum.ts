/** CRC-32 at its fastest: zlib's own code for long pieces, the tables of `core` where a native call would cost more. */
import { crc32 as nativeCrc32 } from "node:zlib";
import { crc32Range } from "../core/checksum.ts";

const nativeFromBytes = 1024;

/** The same numbers as `crc32Range` of `core/checksum.ts`. */
export function checksumRange(bytes: Uint8Array, from: number, to: number, seed = 0): number {
  if (to - from < nativeFromBytes) return crc32Range(bytes, from, to, seed);
  return nativeCrc32(bytes.subarray(from, to), seed);
}

/** The same numbers as `crc32` of `core/checksum.ts`. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return checksumRange(bytes, 0, bytes.length, seed);
}
