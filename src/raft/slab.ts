import { assert } from "../core/index.ts";

const slabBytes = 64 * 1024;
/** Larger pieces get an array of their own: at most a quarter of a slab stays unused. */
const sharedBytesMax = slabBytes / 4;

/**
 * Memory for runs, cut from larger pieces: an array per small run costs five times as much, most of it when it is
 * collected. Nothing is ever used twice; a piece goes once the last run in it does.
 */
export class Slab {
  #buffer = new ArrayBuffer(0);
  #used = 0;

  /** Zeroed bytes that nobody else has. */
  take(byteLength: number): Uint8Array {
    assert(byteLength > 0, "a run is not empty");
    if (byteLength > sharedBytesMax) return new Uint8Array(byteLength);
    if (this.#used + byteLength > this.#buffer.byteLength) {
      this.#buffer = new ArrayBuffer(slabBytes);
      this.#used = 0;
    }
    const bytes = new Uint8Array(this.#buffer, this.#used, byteLength);
    this.#used += byteLength;
    return bytes;
  }
}
