/**
 * A quick 128-bit hash for comparing states: MurmurHash3 in its x86_128 form (Appleby, 2011), and sums of such hashes.
 * It tells agents that differ by accident; it is no proof against an agent that lies, who could look for collisions.
 *
 * A sum of one hash per item depends neither on order nor on history, and an item is taken out as cheaply as put in.
 */

const c1 = 0x239b_961b;
const c2 = 0xab0e_9789;
const c3 = 0x38b3_4ae5;
const c4 = 0xa1e3_8b93;

/** Four words of 32 bits. */
export interface Hash128 {
  a: number;
  b: number;
  c: number;
  d: number;
}

export function emptyHash(): Hash128 {
  return { a: 0, b: 0, c: 0, d: 0 };
}

/** A short input is copied here, since a view of its own would cost more than its hash. */
const short = new Uint8Array(64);
const shortView = new DataView(short.buffer);
/** The last bytes of a long one, with zeros behind them. */
const block = new DataView(new ArrayBuffer(16));

/**
 * Hashes `bytes[from … to)` into `into`; two different pairs of seeds (32 bits each) give unrelated hashes. With equal
 * seeds it is the published function.
 */
export function hashRange(
  bytes: Uint8Array,
  from: number,
  to: number,
  into: Hash128,
  seed: number,
  otherSeed: number = seed,
): void {
  const length = to - from;
  if (length > short.length) {
    hashView(new DataView(bytes.buffer, bytes.byteOffset + from, length), 0, length, into, seed, otherSeed);
    return;
  }
  for (let at = 0; at < length; at++) short[at] = bytes[from + at]!;
  // Up to 15 zeros behind it: the last words are then read as they are.
  for (let at = length; (at & 15) !== 0; at++) short[at] = 0;
  hashPadded(shortView, 0, length, shortView, length & ~15, into, seed, otherSeed);
}

/** The same for bytes of which there is a view already: its reads of whole words make it more than twice as fast. */
export function hashView(
  view: DataView,
  from: number,
  to: number,
  into: Hash128,
  seed: number,
  otherSeed: number = seed,
): void {
  const rest = from + ((to - from) & ~15);
  for (let word = 0; word < 16; word += 4) block.setInt32(word, 0);
  for (let at = rest; at < to; at++) block.setUint8(at - rest, view.getUint8(at));
  hashPadded(view, from, to - from, block, 0, into, seed, otherSeed);
}

/** Whole blocks of 16 bytes from `view`; what is left is in `last`, with zeros behind it: a zero word changes nothing. */
function hashPadded(
  view: DataView,
  from: number,
  length: number,
  last: DataView,
  lastAt: number,
  into: Hash128,
  seed: number,
  otherSeed: number,
): void {
  let a = seed | 0;
  let b = otherSeed | 0;
  let c = a;
  let d = b;
  const rest = from + (length & ~15);
  for (let at = from; at < rest; at += 16) {
    a = rotate(a ^ scramble(view.getInt32(at, true), c1, 15, c2), 19) + b;
    a = (Math.imul(a, 5) + 0x561c_cd1b) | 0;
    b = rotate(b ^ scramble(view.getInt32(at + 4, true), c2, 16, c3), 17) + c;
    b = (Math.imul(b, 5) + 0x0bca_a747) | 0;
    c = rotate(c ^ scramble(view.getInt32(at + 8, true), c3, 17, c4), 15) + d;
    c = (Math.imul(c, 5) + 0x96cd_1c35) | 0;
    d = rotate(d ^ scramble(view.getInt32(at + 12, true), c4, 18, c1), 13) + a;
    d = (Math.imul(d, 5) + 0x32ac_3b17) | 0;
  }
  if ((length & 15) !== 0) {
    a ^= scramble(last.getInt32(lastAt, true), c1, 15, c2);
    b ^= scramble(last.getInt32(lastAt + 4, true), c2, 16, c3);
    c ^= scramble(last.getInt32(lastAt + 8, true), c3, 17, c4);
    d ^= scramble(last.getInt32(lastAt + 12, true), c4, 18, c1);
  }
  finish(into, a, b, c, d, length);
}

/** A whole number below 2^53 as a seed of 32 bits. */
export function fold(value: number): number {
  return (value | 0) ^ Math.imul(Math.floor(value / 0x1_0000_0000), c1);
}

function finish(into: Hash128, a0: number, b0: number, c0: number, d0: number, length: number): void {
  let b = b0 ^ length;
  let c = c0 ^ length;
  let d = d0 ^ length;
  let a = ((a0 ^ length) + b + c + d) | 0;
  b = avalanche((b + a) | 0);
  c = avalanche((c + a) | 0);
  d = avalanche((d + a) | 0);
  a = (avalanche(a) + b + c + d) | 0;
  into.a = a;
  into.b = (b + a) | 0;
  into.c = (c + a) | 0;
  into.d = (d + a) | 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function scramble(value: number, first: number, bits: number, second: number): number {
  return Math.imul(rotate(Math.imul(value, first), bits), second);
}

function avalanche(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85eb_ca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}

/** The sum of one hash per item, word by word: a group, so that `subtract` undoes `add` exactly. */
export class HashSum {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  add(item: Hash128): void {
    this.#a = (this.#a + item.a) | 0;
    this.#b = (this.#b + item.b) | 0;
    this.#c = (this.#c + item.c) | 0;
    this.#d = (this.#d + item.d) | 0;
  }

  subtract(item: Hash128): void {
    this.#a = (this.#a - item.a) | 0;
    this.#b = (this.#b - item.b) | 0;
    this.#c = (this.#c - item.c) | 0;
    this.#d = (this.#d - item.d) | 0;
  }

  addSum(other: HashSum): void {
    this.add({ a: other.#a, b: other.#b, c: other.#c, d: other.#d });
  }

  /** 16 bytes; a new array. */
  toBytes(): Uint8Array {
    return hashBytes({ a: this.#a, b: this.#b, c: this.#c, d: this.#d });
  }
}

/** The hash as 16 bytes, in the published order. */
export function hashBytes(hash: Hash128): Uint8Array {
  const bytes = new Uint8Array(16);
  let at = 0;
  for (const part of [hash.a, hash.b, hash.c, hash.d]) {
    for (let shift = 0; shift < 32; shift += 8) bytes[at++] = part >>> shift;
  }
  return bytes;
}

/** The hash of whole bytes as 16 bytes. */
export function digestOf(bytes: Uint8Array): Uint8Array {
  const hash = emptyHash();
  hashRange(bytes, 0, bytes.length, hash, 0);
  return hashBytes(hash);
}
