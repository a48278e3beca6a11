/**
 * What waits for one connection to a peer, in two queues: urgent frames overtake the stream. Both are bounded, and the
 * oldest goes first when there is too much: whoever sent it repeats it, and the newest knows more.
 */
import { limits } from "../core/limits.ts";
import type { FrameSource } from "./connection.ts";
import type { OutgoingFrame } from "./frame.ts";

class Queue {
  byteLength = 0;
  readonly #bytesMax: number;
  #frames: (OutgoingFrame | undefined)[] = [];
  #first = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#first === this.#frames.length;
  }

  /** Returns how many older frames were dropped for it. */
  push(frame: OutgoingFrame): number {
    this.#frames.push(frame);
    this.byteLength += frame.byteLength;
    let dropped = 0;
    while (this.byteLength > this.#bytesMax && this.#frames.length - this.#first > 1) {
      this.shift();
      dropped += 1;
    }
    return dropped;
  }

  shift(): OutgoingFrame | undefined {
    const frame = this.#frames[this.#first];
    if (frame === undefined) return undefined;
    this.#frames[this.#first] = undefined;
    this.#first += 1;
    this.byteLength -= frame.byteLength;
    if (this.#first === this.#frames.length || this.#first >= 1024) {
      this.#frames = this.#frames.slice(this.#first);
      this.#first = 0;
    }
    return frame;
  }

  clear(): void {
    this.#frames = [];
    this.#first = 0;
    this.byteLength = 0;
  }
}

export class PeerQueue implements FrameSource {
  readonly #urgent = new Queue(limits.urgentQueueBytesMax);
  readonly #stream: Queue;
  #dropped = 0;

  constructor(streamBytesMax: number = limits.linkQueueBytesMax) {
    this.#stream = new Queue(streamBytesMax);
  }

  get byteLength(): number {
    return this.#urgent.byteLength + this.#stream.byteLength;
  }

  /** Frames dropped so far, for lack of room or of a connection. */
  get dropped(): number {
    return this.#dropped;
  }

  push(frame: OutgoingFrame, urgent: boolean): void {
    this.#dropped += (urgent ? this.#urgent : this.#stream).push(frame);
  }

  /** There is no connection to carry it. */
  drop(): void {
    this.#dropped += 1;
  }

  take(bytesMax: number): readonly Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let total = 0;
    while (total < bytesMax) {
      const frame = this.#urgent.shift() ?? this.#stream.shift();
      if (frame === undefined) break;
      for (const part of frame.parts) pieces.push(part);
      total += frame.byteLength;
    }
    return pieces;
  }

  clear(): void {
    this.#urgent.clear();
    this.#stream.clear();
  }
}
