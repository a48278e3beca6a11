/**
 * Little-endian numbers in byte arrays, without an object per access. Whole numbers of 8 bytes are kept below 2^53,
 * where JavaScript counts exactly.
 */
import { assert } from "./assert.ts";
import { MalformedError } from "./errors.ts";
import { decodeText, encodeTextInto, utf8BytesMax } from "./text.ts";

export const emptyBytes: Uint8Array = new Uint8Array(0);

/** So few are copied faster one by one than by a call. */
const loopedBytesMax = 32;
const uint32Range = 0x1_0000_0000;
const highWordMax = 0x1f_ffff;

export function readUint16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** A whole number of 8 bytes. Throws {@link MalformedError} from 2^53 on. */
export function readUint53(bytes: Uint8Array, at: number): number {
  const high = readUint32(bytes, at + 4);
  if (high > highWordMax) throw new MalformedError("a number of 8 bytes is not below 2^53");
  return high * uint32Range + readUint32(bytes, at);
}

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function writeUint53(bytes: Uint8Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "8 bytes hold a whole number from 0 and below 2^53");
  writeUint32(bytes, at, value % uint32Range);
  writeUint32(bytes, at + 4, Math.floor(value / uint32Range));
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const part of parts) total += part.length;
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Writes small structures field by field, one or (with {@link cut}) one after another; grows as needed. */
export class ByteWriter {
  readonly #byteLengthGuess: number;
  /** None before something is written. */
  #bytes: Uint8Array = emptyBytes;
  /** Where the structure that is being written begins. */
  #start = 0;
  #length = 0;

  constructor(byteLengthGuess = 64) {
    this.#byteLengthGuess = byteLengthGuess;
  }

  /** Bytes that are there before it has to grow. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Bytes of the structure that is being written. */
  get byteLength(): number {
    return this.#length - this.#start;
  }

  uint8(value: number): this {
    assert(value >= 0 && value <= 0xff, "one byte holds 0 to 255");
    const at = this.#reserve(1);
    this.#bytes[at] = value;
    return this;
  }

  uint16(value: number): this {
    assert(value >= 0 && value <= 0xffff, "two bytes hold 0 to 65,535");
    const at = this.#reserve(2);
    writeUint16(this.#bytes, at, value);
    return this;
  }

  uint32(value: number): this {
    assert(value >= 0 && value < uint32Range, "four bytes hold a whole number below 2^32");
    const at = this.#reserve(4);
    writeUint32(this.#bytes, at, value);
    return this;
  }

  uint53(value: number): this {
    const at = this.#reserve(8);
    writeUint53(this.#bytes, at, value);
    return this;
  }

  /** Bytes whose length the reader knows. */
  raw(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** Length (4 bytes), then the bytes. */
  bytes(value: Uint8Array): this {
    return this.uint32(value.length).raw(value);
  }

  /** Length in bytes (2 bytes), then UTF-8. */
  text(value: string): this {
    const before = this.uint16(0).byteLength;
    const byteLength = this.characters(value).byteLength - before;
    assert(byteLength <= 0xffff, "two bytes hold the length of a text");
    writeUint16(this.#bytes, this.#start + before - 2, byteLength);
    return this;
  }

  /** UTF-8, whose length the reader knows. */
  characters(value: string): this {
    const at = this.#reserve(value.length * utf8BytesMax);
    this.#length = at + encodeTextInto(value, this.#bytes, at);
    return this;
  }

  zeros(byteLength: number): this {
    const at = this.#reserve(byteLength);
    this.#bytes.fill(0, at, at + byteLength);
    return this;
  }

  /** A copy of what was written since the last cut. */
  copy(): Uint8Array {
    const byteLength = this.byteLength;
    if (byteLength > loopedBytesMax) return this.#bytes.slice(this.#start, this.#length);
    const copy = new Uint8Array(byteLength);
    for (let at = 0; at < byteLength; at++) copy[at] = this.#bytes[this.#start + at]!;
    return copy;
  }

  /** What was written; the writer must not be used after. */
  finish(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#length);
  }

  /** What was written since the last cut. The next structure goes behind it: many small ones share one array. */
  cut(): Uint8Array {
    const structure = this.finish();
    this.#start = this.#length;
    return structure;
  }

  /** Forgets what was written since the last cut. */
  drop(): void {
    this.#length = this.#start;
  }

  /** Where to write. It may replace the array, so it comes before `this.#bytes` is named. */
  #reserve(byteLength: number): number {
    if (this.#length + byteLength > this.#bytes.length) this.#grow(byteLength);
    const at = this.#length;
    this.#length = at + byteLength;
    return at;
  }

  /** A new array, which the structure that is being written is moved to. Those that were cut stay where they are. */
  #grow(byteLength: number): void {
    const written = this.byteLength;
    const grown = new Uint8Array(Math.max(this.#byteLengthGuess, written * 2, written + byteLength));
    grown.set(this.finish());
    this.#bytes = grown;
    this.#start = 0;
    this.#length = written;
  }
}

/** Reads what {@link ByteWriter} wrote; throws {@link MalformedError} on anything else, never reads past the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  uint16(): number {
    return readUint16(this.#bytes, this.#take(2));
  }

  uint32(): number {
    return readUint32(this.#bytes, this.#take(4));
  }

  uint53(): number {
    return readUint53(this.#bytes, this.#take(8));
  }

  /** A view, not a copy. */
  raw(byteLength: number): Uint8Array {
    const at = this.#take(byteLength);
    return this.#bytes.subarray(at, at + byteLength);
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    return this.raw(this.uint32());
  }

  text(): string {
    return decodeText(this.raw(this.uint16()));
  }

  /** Everything that is left: a view, not a copy. */
  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  /** Refuses bytes left over: a longer message is another message. */
  end(): void {
    if (this.remaining !== 0) throw new MalformedError("bytes left over behind the last field");
  }

  #take(byteLength: number): number {
    const at = this.#at;
    if (at + byteLength > this.#bytes.length) throw new MalformedError("it ends in the middle of a field");
    this.#at = at + byteLength;
    return at;
  }
}
