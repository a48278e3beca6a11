import { assert } from "../core/assert.ts";
import type { Encoded } from "../core/boundary.ts";
import { writeUint32, writeUint53 } from "../core/bytes.ts";
import { limits } from "../core/limits.ts";
import { runHeaderBytes } from "./body.ts";
import { alignToSector, blockHeaderBytes } from "./format.ts";
import type { Group } from "./group.ts";

/** Consecutive records of one group in the block that gathers. */
export interface GatheredRun {
  readonly group: Group;
  readonly first: number;
  /** Copied forward from an older segment, under the original numbers. */
  readonly copied: boolean;
  /** Offset in the block of the first record. */
  readonly at: number;
  count: number;
  byteLength: number;
}

const initialBytes = 16 * limits.sectorBytes;

/** A block in the making: records are copied behind one another into a buffer that is used again for the next block. */
export class Gather {
  readonly #bytesMax: number;
  #bytes: Uint8Array;
  #length = blockHeaderBytes;
  #runs: GatheredRun[] = [];

  /** `bytesMax`: of the block, header included, its directory excluded. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#bytes = new Uint8Array(Math.min(initialBytes, alignToSector(bytesMax)));
  }

  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }

  /** Header and runs so far. */
  get byteLength(): number {
    return this.#length;
  }

  get runs(): readonly GatheredRun[] {
    return this.#runs;
  }

  /** Whether a record of so many bytes still fits, even if it begins a run. */
  fits(group: Group, recordBytes: number): boolean {
    return this.#length + runHeaderBytes(group) + 4 + recordBytes <= this.#bytesMax;
  }

  /** Copies one record in. */
  add(group: Group, number: number, copied: boolean, record: Encoded, recordBytes: number): void {
    const run = this.#runFor(group, number, copied);
    const at = this.#reserve(4 + recordBytes);
    assert(this.#length <= this.#bytesMax, "J19: a block is no longer than its limit");
    const bytes = this.#bytes;
    writeUint32(bytes, at, recordBytes);
    bytes.set(record.head, at + 4);
    let next = at + 4 + record.head.length;
    for (const part of record.tail) {
      bytes.set(part, next);
      next += part.length;
    }
    assert(next === at + 4 + recordBytes, "a record's parts make up its length");
    run.count += 1;
    run.byteLength += 4 + recordBytes;
  }

  /**
   * Completes the runs' headers and adds the directory, if any. The header is still to be sealed. Returns the block's
   * buffer, padded with zeros to whole sectors; valid until {@link clear}.
   */
  finish(directory: Uint8Array | undefined): { padded: Uint8Array; length: number; directoryAt: number } {
    for (const run of this.#runs) {
      writeUint32(this.#bytes, run.at - 8, run.count);
      writeUint32(this.#bytes, run.at - 4, run.byteLength);
    }
    let directoryAt = 0;
    if (directory !== undefined) {
      directoryAt = this.#reserve(directory.length);
      this.#bytes.set(directory, directoryAt);
    }
    const length = this.#length;
    const end = alignToSector(length);
    this.#grow(end);
    this.#bytes.fill(0, length, end);
    return { padded: this.#bytes.subarray(0, end), length, directoryAt };
  }

  /** Empty again. The runs handed out before stay as they are. */
  clear(): void {
    this.#length = blockHeaderBytes;
    this.#runs = [];
  }

  #runFor(group: Group, number: number, copied: boolean): GatheredRun {
    const open = this.#runs.at(-1);
    if (open !== undefined && open.group === group && open.copied === copied) {
      if (open.first + open.count === number) return open;
    }
    const at = this.#reserve(runHeaderBytes(group));
    const bytes = this.#bytes;
    bytes.set(group.encodedName, at);
    let next = at + group.encodedName.length;
    bytes[next] = copied ? 1 : 0;
    next += 1;
    writeUint53(bytes, next, number);
    // Count and byte length follow once they are known.
    const run = { group, first: number, copied, at: this.#length, count: 0, byteLength: 0 };
    assert(run.at === next + 16, "a run's records begin behind its header");
    this.#runs.push(run);
    return run;
  }

  #reserve(byteLength: number): number {
    const at = this.#length;
    this.#grow(at + byteLength);
    this.#length = at + byteLength;
    return at;
  }

  #grow(byteLength: number): void {
    if (byteLength <= this.#bytes.length) return;
    const grown = new Uint8Array(alignToSector(Math.max(byteLength, this.#bytes.length * 2)));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
