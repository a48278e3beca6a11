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
    return this.#filled + byteLength <= this.bytes.length;
  }

  /** Copies the bytes in; gives the offset at which the copy begins. */
  add(key: string, bytes: Uint8Array): number {
    assert(this.hasRoomFor(bytes.length), "a slab has room for what is put in");
    const from = this.#filled;
    this.#filled += bytes.length;
    this.#used += bytes.length;
    this.bytes.set(bytes, from);
    this.keys.push(key);
    return from;
  }

  /** So many bytes in here are no longer used; gives how many still are. */
  release(byteLength: number): number {
    this.#used -= byteLength;
    assert(this.#used >= 0, "only what is used is released");
    return this.#used;
  }
}

export class Slabs {
  #current = new Slab(slabBytes);
  #heldBytes = slabBytes;

  /** Bytes of all slabs that hold something that is used, and of the current one. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A slab with room for so many bytes. */
  roomFor(byteLength: number): Slab {
    if (byteLength > packedBytesMax) return this.#create(byteLength);
    if (!this.#current.hasRoomFor(byteLength)) {
      // Whatever the current one held may be gone already.
      if (this.#current.release(0) === 0) this.#heldBytes -= slabBytes;
      this.#current = this.#create(slabBytes);
    }
    return this.#current;
  }

  /** So many bytes of the slab are no longer used. True where it is time to move the rest elsewhere. */
  release(slab: Slab, byteLength: number): boolean {
    const used = slab.release(byteLength);
    if (slab === this.#current) return false;
    if (used === 0) this.#heldBytes -= slab.bytes.length;
    return used > 0 && used <= slab.bytes.length / 4;
  }

  #create(byteLength: number): Slab {
    this.#heldBytes += byteLength;
    return new Slab(byteLength);
  }
}
