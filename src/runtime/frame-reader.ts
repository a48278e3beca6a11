/**
 * Cuts the bytes of one connection into frames, however they were fragmented. A frame that lies whole in the bytes
 * that arrived is passed on as views of them; only one that spans several arrivals is put together in memory of its own.
 */
import { decodeFrame, frameHeaderBytes, frameLength, type Frame } from "./frame.ts";

const lengthFieldBytes = 4;

export class FrameReader {
  /** Longer frames are malformed. Raised once the other side is known. */
  frameBytesMax: number;
  /** The beginning of a frame that has not fully arrived: its length field, then, once that is known, room for all of it. */
  #partial: Uint8Array | undefined;
  #have = 0;
  #want = 0;

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  /** Bytes of a frame that is not complete. */
  get pendingBytes(): number {
    return this.#have;
  }

  /**
   * Hands the frames in `bytes` to `take`, in order, until it returns false (the connection is given up). The bytes must
   * never change after. Throws `MalformedError` at the first thing that is not a frame; the reader is then of no more use.
   */
  push(bytes: Uint8Array, take: (frame: Frame) => boolean): void {
    let offset = this.#have > 0 ? this.#fill(bytes) : 0;
    if (this.#want > 0 && this.#have === this.#want) {
      const whole = this.#partial as Uint8Array;
      this.#reset();
      if (!take(decodeFrame(whole, 0, whole.length))) return;
    }
    while (offset < bytes.length) {
      const left = bytes.length - offset;
      if (left < lengthFieldBytes) break;
      const length = frameLength(bytes, offset, this.frameBytesMax);
      if (left < length) break;
      if (!take(decodeFrame(bytes, offset, length))) return;
      offset += length;
    }
    if (offset < bytes.length) this.#keep(bytes, offset);
  }

  /** Continues the partial frame; returns how many of `bytes` it took. */
  #fill(bytes: Uint8Array): number {
    let offset = 0;
    if (this.#want === 0) {
      const partial = this.#partial as Uint8Array;
      while (this.#have < lengthFieldBytes && offset < bytes.length) {
        partial[this.#have] = bytes[offset] ?? 0;
        this.#have += 1;
        offset += 1;
      }
      if (this.#have < lengthFieldBytes) return offset;
      this.#grow(frameLength(partial, 0, this.frameBytesMax));
    }
    const taken = Math.min(this.#want - this.#have, bytes.length - offset);
    (this.#partial as Uint8Array).set(bytes.subarray(offset, offset + taken), this.#have);
    this.#have += taken;
    return offset + taken;
  }

  #keep(bytes: Uint8Array, offset: number): void {
    const left = bytes.length - offset;
    this.#partial = new Uint8Array(frameHeaderBytes);
    this.#have = 0;
    this.#want = 0;
    if (left >= lengthFieldBytes) this.#grow(frameLength(bytes, offset, this.frameBytesMax));
    this.#partial.set(bytes.subarray(offset));
    this.#have = left;
  }

  #grow(length: number): void {
    // Not zeroed: nobody sees it before it is full.
    const grown = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    if (this.#have > 0) grown.set((this.#partial as Uint8Array).subarray(0, this.#have));
    this.#partial = grown;
    this.#want = length;
  }

  #reset(): void {
    this.#partial = undefined;
    this.#have = 0;
    this.#want = 0;
  }
}
