import { assert } from "../core/assert.ts";
import { limits } from "../core/limits.ts";
import type { DiskFile } from "./disk.ts";
import { alignToSector } from "./format.ts";

/** One file of the journal, under its present number. */
export class Segment {
  readonly number: number;
  readonly name: string;
  readonly file: DiskFile;
  /** What the checksums of its blocks start from. */
  readonly seed: number;
  readonly byteLength: number;
  #liveRuns = 0;
  #liveBytes = 0;
  /** What is needed of it has been written again, or could not be read. */
  copiedForward = false;
  /** Where the next block goes. */
  #end: number = limits.sectorBytes;

  constructor(number: number, name: string, file: DiskFile, seed: number) {
    this.number = number;
    this.name = name;
    this.file = file;
    this.seed = seed;
    this.byteLength = file.byteLength();
  }

  /** Entries of the groups' indices that point here. None: nobody needs the segment. */
  get liveRuns(): number {
    return this.#liveRuns;
  }

  /** At most so many bytes of it are needed. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** A group's index points here. */
  hold(byteLength: number): void {
    this.#liveRuns += 1;
    this.#liveBytes += byteLength;
  }

  /** It does no longer. */
  drop(byteLength: number): void {
    this.#liveRuns -= 1;
    this.#liveBytes -= byteLength;
    assert(this.#liveRuns >= 0, "a segment counts every run that is needed of it");
    assert(this.#liveBytes >= 0, "a segment counts the bytes of every run that is needed of it");
  }

  get end(): number {
    return this.#end;
  }

  /** Whether a block of this length still fits. */
  fits(byteLength: number): boolean {
    return this.#end + alignToSector(byteLength) <= this.byteLength;
  }

  /** Writes a block, padded to whole sectors, behind the last one; returns its offset. Throws `DiskError`. */
  append(padded: Uint8Array): number {
    const offset = this.#end;
    assert(offset % limits.sectorBytes === 0, "J4: a block starts at a sector that no other block touches");
    assert(padded.length % limits.sectorBytes === 0, "J4: a block ends where a sector ends");
    assert(offset + padded.length <= this.byteLength, "a block lies within its segment");
    // Raised first: after a failed write nobody knows what these sectors hold.
    this.#end = offset + padded.length;
    this.file.write(offset, padded);
    return offset;
  }
}
