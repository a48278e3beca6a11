/**
 * A snapshot is a stream of bytes that is written, sent and read back in pieces, perhaps cut elsewhere than where it was
 * joined. Inside it are *frames* (`[u32 length][bytes]`), which come out as they were put in.
 */
import { concatBytes, limits, MalformedError, readUint32, writeUint32 } from "../core/index.ts";

/** Joins small parts and cuts large ones, into pieces of exactly `limits.snapshotPieceBytesMax`, except for the last. */
export function* inPieces(parts: Iterable<Uint8Array>): Generator<Uint8Array, void, undefined> {
  const pieceBytesMax = limits.snapshotPieceBytesMax;
  let piece = new Uint8Array(pieceBytesMax);
  let filled = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      const taken = Math.min(part.length - at, pieceBytesMax - filled);
      piece.set(part.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled === pieceBytesMax) {
        yield piece;
        piece = new Uint8Array(pieceBytesMax);
        filled = 0;
      }
    }
  }
  // A copy: whoever keeps it keeps no more than it holds.
  if (filled > 0) yield piece.slice(0, filled);
}

/** The head of a frame; its bytes follow as a part of their own, so that they are copied only once. */
export function frameHead(byteLength: number): Uint8Array {
  const head = new Uint8Array(4);
  writeUint32(head, 0, byteLength);
  return head;
}

/** Reads frames from pieces, wherever these were cut. Throws {@link MalformedError} where the pieces end too early. */
export class FrameReader {
  readonly #pieces: Iterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Since the last pause. */
  #steps = 0;
  #pieceCount = 0;

  constructor(pieces: Iterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.iterator]();
  }

  /** The next frame. A view where it lies within one piece. */
  frame(): Uint8Array {
    return this.take(readUint32(this.take(4), 0));
  }

  take(byteLength: number): Uint8Array {
    if (this.#piece.length - this.#at >= byteLength) {
      const view = this.#piece.subarray(this.#at, this.#at + byteLength);
      this.#at += byteLength;
      return view;
    }
    // Gathered before the whole is allocated: a length that lies must not cost memory.
    const parts: Uint8Array[] = [];
    let missing = byteLength;
    while (missing > 0) {
      if (this.#at === this.#piece.length && !this.#next()) {
        throw new MalformedError("a snapshot ends in the middle");
      }
      const part = this.#piece.subarray(this.#at, this.#at + missing);
      parts.push(part);
      this.#at += part.length;
      missing -= part.length;
    }
    return concatBytes(parts);
  }

  /** Asked after each thing that was made of what was read: true where the next one should wait, so that others get a turn. */
  wantsPause(): boolean {
    this.#steps += 1;
    if (this.#steps < limits.restoreSliceEntriesMax && this.#pieceCount === 0) return false;
    this.#steps = 0;
    this.#pieceCount = 0;
    return true;
  }

  /** Refuses bytes left over. */
  end(): void {
    while (this.#at === this.#piece.length) if (!this.#next()) return;
    throw new MalformedError("bytes left over behind a snapshot");
  }

  #next(): boolean {
    const next = this.#pieces.next();
    if (next.done === true) return false;
    this.#piece = next.value;
    this.#at = 0;
    this.#pieceCount += 1;
    return true;
  }
}
