/**
 * Room for many small byte strings. An array of its own for each (more than 64 bytes live outside the engine's heap) costs
 * a microsecond to make, eight times the copying; so they are packed into slabs. Whoever uses it says what is no longer
 * used, and moves what is left out of a slab that is mostly unused: then at most three quarters are ever wasted.
 *
 * A slab of which nothing is used any more is filled again, so that a state that is overwritten again and again makes
 * nothing for the engine to collect.
 */
import { assert } from "../core/index.ts";

const slabBytes = 16 * 1024;
/** Longer ones get an array of their own, where the cost hardly matters. */
const packedBytesMax = slabBytes / 8;
const sparesMax = 64;

export class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The age of the slabs in which this one was begun: one of an earlier age is shared. */
  readonly age: number;
  /** Whose byte strings lie here; some may have been replaced since. */
  readonly keys: string[] = [];
  #filled = 0;
  #used = 0;

  constructor(byteLength: number, age: number) {
    this.bytes = new Uint8Array(byteLength);
    this.view = new DataView(this.bytes.buffer);
    this.age = age;
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

  /** Begins anew: whatever was in it is lost. */
  clear(): void {
    assert(this.#used === 0, "nothing in a slab that is cleared is used");
    this.#filled = 0;
    this.keys.length = 0;
  }
}

export class Slabs {
  #age = 0;
  /** Nothing fits into the first one: a state that holds nothing takes nothing. */
  #current = new Slab(0, 0);
  #heldBytes = 0;
  /** Of this age, with nothing in them. */
  #spares: Slab[] = [];

  /** Bytes of all slabs that hold something that is used, and of the current one. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** From now on somebody else looks at what the slabs hold: what is there stays there, used or not. */
  share(): void {
    this.#age += 1;
    this.#spares = [];
  }

  /** A slab with room for so many bytes. */
  roomFor(byteLength: number): Slab {
    if (byteLength > packedBytesMax) {
      this.#heldBytes += byteLength;
      return new Slab(byteLength, this.#age);
    }
    if (!this.#current.hasRoomFor(byteLength)) {
      // Whatever the current one held may be gone already.
      if (this.#current.release(0) === 0) this.#letGo(this.#current);
      this.#heldBytes += slabBytes;
      this.#current = this.#spares.pop() ?? new Slab(slabBytes, this.#age);
    }
    return this.#current;
  }

  /** So many bytes of the slab are no longer used. True where it is time to move the rest elsewhere. */
  release(slab: Slab, byteLength: number): boolean {
    const used = slab.release(byteLength);
    if (slab === this.#current) return false;
    if (used === 0) this.#letGo(slab);
    return used > 0 && used <= slab.bytes.length / 4;
  }

  #letGo(slab: Slab): void {
    this.#heldBytes -= slab.bytes.length;
    if (slab.bytes.length !== slabBytes || slab.age !== this.#age || this.#spares.length >= sparesMax) return;
    slab.clear();
    this.#spares.push(slab);
  }
}
