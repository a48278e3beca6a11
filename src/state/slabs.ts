/**
 * Room for many small byte strings. An array of its own for each (more than 64 bytes live outside the engine's heap) costs
 * a microsecond to make, eight times the copying; so they are packed into slabs. Whoever uses it says what is no longer
 * used, and moves what is left out of a slab that is mostly unused: then at most three quarters are ever wasted.
 */
import { assert } from "../core/index.ts";

const slabBytes = 16 * 1024;
/** Longer ones get an array of their own, where the cost hardly matters. */
const packedBytesMax = slabBytes / 8;

export class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Whose byte strings lie here; some may have been replaced since. */
  readonly keys: string[] = [];
  #filled = 0;
  #used = 0;

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength);
    this.view = new DataView(this.bytes.buffer);
  }

  hasRoomFor(byteLength: number): boolean {
    return this.#filled + byteLength <= this.bytes.byteLength;
  }

  /** Copies the bytes in; gives the offset at which the copy begins. */
  add(key: string, bytes: Uint8Array): number {
    assert(this.hasRoomFor(bytes.byteLength), "a slab has room for what is put in");
    const from = this.#filled;
    this.#filled += bytes.byteLength;
    this.#used += bytes.byteLength;
    this.bytes.set(bytes, from);
    this.keys.push(key);
    return from;
  }

  /** So many bytes in here are no longer used. True where it is time to move the rest elsewhere: at most once. */
  release(byteLength: number): boolean {
    const before = this.#used;
    this.#used -= byteLength;
    assert(this.#used >= 0, "only what is used is released");
    const threshold = this.bytes.byteLength / 4;
    return before > threshold && this.#used <= threshold && this.#used > 0;
  }
}

export class Slabs {
  #current = new Slab(slabBytes);

  /** A slab with room for so many bytes. */
  roomFor(byteLength: number): Slab {
    if (byteLength > packedBytesMax) return new Slab(byteLength);
    if (!this.#current.hasRoomFor(byteLength)) this.#current = new Slab(slabBytes);
    return this.#current;
  }

  /** Still being filled: not worth moving out of. */
  isCurrent(slab: Slab): boolean {
    return slab === this.#current;
  }
}
