import { assert, present } from "../core/assert.ts";
import type { Checksum } from "../core/checksum.ts";
import { limits } from "../core/limits.ts";
import { isDiskFull, type Disk, type DiskFile } from "./disk.ts";
import { encodeLabel, segmentFileName, segmentSeed, temporaryFileName } from "./format.ts";
import { Segment } from "./segment.ts";

export interface SegmentStoreOptions {
  readonly disk: Disk;
  readonly id: Uint8Array;
  readonly checksum: Checksum;
  readonly segmentBytes: number;
  /** A segment is ready to be used. */
  readonly onReady: () => void;
  /** There is no room for another segment. */
  readonly onFull: () => void;
  readonly onError: (error: Error) => void;
}

/** After a refusal for want of room, only every so many-th request tries the disk again. */
const requestsBetweenAttempts = 64;

/**
 * The segments' lives: made ahead, used, kept while a group needs them, and recycled.
 *
 * ```
 * new file ─┬─> prepared ──> active ──> kept ──(nobody needs it)──> condemned ──(a directory that says so is durable)──> free
 *           └──────────────────────────────────────(renamed)─────────────────────────────────────────────────────────────┘
 * ```
 */
export class SegmentStore {
  readonly #o: SegmentStoreOptions;
  readonly #label: Uint8Array;
  #highest: number;
  #active: Segment | undefined;
  #prepared: Segment | undefined;
  #kept: Segment[] = [];
  #condemned: Segment[] = [];
  #free: Segment[] = [];
  #zeros: Uint8Array | undefined;
  #preparing = false;
  #diskFull = false;
  #requestsLeft = 0;
  #asynchronous = 0;
  #closed: (() => void) | undefined;
  #isClosed = false;

  /** `existing`: what recovery found, but for segments that can be used as they are. */
  constructor(options: SegmentStoreOptions, existing: readonly Segment[], highestNumber: number) {
    assert(options.segmentBytes % limits.sectorBytes === 0, "a segment is whole sectors");
    this.#o = options;
    this.#label = encodeLabel(options.id, options.checksum);
    this.#kept = [...existing];
    this.#highest = highestNumber;
  }

  /** The segment that blocks go to. */
  get active(): Segment {
    return present(this.#active, "a journal that is open has a segment to write to");
  }

  /** Segments with records that may be needed, the active one included. */
  get kept(): readonly Segment[] {
    return this.#kept;
  }

  get count(): number {
    const prepared = this.#prepared === undefined ? 0 : 1;
    return this.#kept.length + this.#condemned.length + this.#free.length + prepared;
  }

  get byteLength(): number {
    const all = [...this.#kept, ...this.#condemned, ...this.#free];
    if (this.#prepared !== undefined) all.push(this.#prepared);
    return all.reduce((total, segment) => total + segment.byteLength, 0);
  }

  /** The last attempt to make another segment failed for want of room. */
  get diskFull(): boolean {
    return this.#diskFull;
  }

  /** Whether a segment could be freed by a directory. */
  get hasDead(): boolean {
    return this.#kept.some((segment) => segment !== this.#active && segment.liveRuns === 0);
  }

  // ── at start-up, blocking ──

  /** Makes a fresh segment active: `empty` (one that was prepared and never used) renamed, or a new file. Throws `DiskError`. */
  startFresh(empty: Segment | undefined): void {
    const segment = empty === undefined ? this.#createNow() : this.#rename(empty);
    this.#o.disk.syncDirectoryNow();
    this.#activate(segment);
  }

  /** Prepares the next segment from a free one, if there is any: so that restarts in a row don't use up the disk. */
  recycleNow(): void {
    const free = this.#free.shift();
    if (free === undefined) return;
    this.#prepared = this.#rename(free);
    this.#o.disk.syncDirectoryNow();
  }

  #createNow(): Segment {
    this.#highest += 1;
    const temporary = temporaryFileName(this.#highest);
    const file = this.#o.disk.open(temporary, "create");
    try {
      for (let offset = 0; offset < this.#o.segmentBytes;) offset = this.#zero(file, offset);
      file.syncNow();
    } catch (error) {
      file.close();
      this.#o.disk.remove(temporary);
      throw error;
    }
    return this.#named(temporary, file);
  }

  // ── while it runs ──

  /** Makes the prepared segment active, if there is one. */
  advance(): boolean {
    const prepared = this.#prepared;
    if (prepared === undefined) return false;
    this.#prepared = undefined;
    this.#activate(prepared);
    return true;
  }

  /** Segments that nobody needs: to be freed once the directory of the block being written is durable. */
  condemn(): void {
    const dead = this.#kept.filter((segment) => segment !== this.#active && segment.liveRuns === 0);
    if (dead.length === 0) return;
    this.#kept = this.#kept.filter((segment) => !dead.includes(segment));
    this.#condemned.push(...dead);
  }

  /** The directory is durable. */
  freeCondemned(): void {
    if (this.#condemned.length === 0) return;
    for (const segment of this.#condemned) {
      assert(segment.liveRuns === 0, "J11: nobody needs a segment that is freed");
      // After a change of the segment size, old files are not used again.
      const fits = segment.byteLength === this.#o.segmentBytes;
      if (fits && this.#free.length < limits.freeSegmentsMax) this.#free.push(segment);
      else this.#remove(segment);
    }
    this.#condemned = [];
    if (this.#diskFull) this.#requestsLeft = 0;
  }

  /** Sees to it that the next segment is prepared. `urgent`: a block waits for it. */
  prepare(urgent: boolean): void {
    if (this.#prepared !== undefined || this.#preparing || this.#closed !== undefined) return;
    if (this.#diskFull && this.#requestsLeft > 0 && !urgent) {
      this.#requestsLeft -= 1;
      return;
    }
    // A segment is about to become free: better than a new file.
    if (this.#condemned.length > 0 && !urgent) return;
    this.#preparing = true;
    const free = this.#free.shift();
    if (free === undefined) this.#startFile();
    else this.#attempt(() => this.#settle(this.#rename(free)));
  }

  /** Waits for what the disk still works on, closes all files, then calls `done`. */
  close(done: () => void): void {
    assert(this.#closed === undefined, "segments are closed once");
    this.#closed = done;
    this.#closeIfQuiet();
  }

  #startFile(): void {
    this.#highest += 1;
    const temporary = temporaryFileName(this.#highest);
    let file: DiskFile;
    try {
      file = this.#o.disk.open(temporary, "create");
    } catch (error) {
      this.#refused(error);
      return;
    }
    this.#fill(file, temporary, 0);
  }

  /** Zeroes piece after piece, each once the last is on disk: a sync of all at once would keep the log's own syncs waiting. */
  #fill(file: DiskFile, temporary: string, from: number): void {
    if (this.#closed !== undefined) {
      file.close();
      return;
    }
    let end: number;
    try {
      end = this.#zero(file, from);
    } catch (error) {
      this.#abandon(file, temporary, error);
      return;
    }
    this.#await(
      (done) => file.sync(done),
      (error) => {
        if (error !== undefined) this.#abandon(file, temporary, error);
        else if (end < this.#o.segmentBytes) this.#fill(file, temporary, end);
        else if (this.#closed !== undefined) file.close();
        else this.#attempt(() => this.#settle(this.#named(temporary, file)));
      },
    );
  }

  #abandon(file: DiskFile, temporary: string, cause: unknown): void {
    file.close();
    if (this.#closed !== undefined) return;
    try {
      this.#o.disk.remove(temporary);
    } catch (error) {
      this.#broken(error);
      return;
    }
    this.#refused(cause);
  }

  /** The name becomes durable; then the segment is ready. */
  #settle(segment: Segment): void {
    this.#await(
      (done) => this.#o.disk.syncDirectory(done),
      (error) => {
        if (error !== undefined || this.#closed !== undefined) {
          segment.file.close();
          if (error !== undefined) this.#refused(error);
          return;
        }
        assert(segment.end === limits.sectorBytes, "J10: nothing is written to a segment before it is ready");
        this.#prepared = segment;
        this.#preparing = false;
        this.#diskFull = false;
        this.#o.onReady();
      },
    );
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#broken(error);
    }
  }

  #refused(error: unknown): void {
    if (!isDiskFull(error)) {
      this.#broken(error);
      return;
    }
    this.#preparing = false;
    this.#diskFull = true;
    this.#requestsLeft = requestsBetweenAttempts;
    this.#o.onFull();
  }

  #broken(error: unknown): void {
    // It stays in preparation: nothing more is tried on a broken disk.
    this.#o.onError(error instanceof Error ? error : new Error("the disk threw something", { cause: error }));
  }

  // ── steps that both share ──

  #activate(segment: Segment): void {
    this.#kept.push(segment);
    this.#active = segment;
  }

  /** Writes one piece of zeros, and the label into the first; returns where the next piece begins. */
  #zero(file: DiskFile, from: number): number {
    this.#zeros ??= new Uint8Array(Math.min(limits.pieceBytesMax, this.#o.segmentBytes));
    const byteLength = Math.min(this.#zeros.length, this.#o.segmentBytes - from);
    file.write(from, this.#zeros.subarray(0, byteLength));
    if (from === 0) file.write(0, this.#label);
    return from + byteLength;
  }

  #named(temporary: string, file: DiskFile): Segment {
    const name = segmentFileName(this.#highest);
    this.#o.disk.rename(temporary, name);
    return this.#segment(name, file);
  }

  /** Gives a segment that nobody needs a new number, which makes invalid what it holds. */
  #rename(old: Segment): Segment {
    assert(old.liveRuns === 0, "J11: nobody needs a segment that is renamed");
    this.#highest += 1;
    const name = segmentFileName(this.#highest);
    // The same bytes again, unless the label has rotted.
    old.file.write(0, this.#label);
    this.#o.disk.rename(old.name, name);
    return this.#segment(name, old.file);
  }

  #segment(name: string, file: DiskFile): Segment {
    const { id, checksum } = this.#o;
    return new Segment(this.#highest, name, file, segmentSeed(id, this.#highest, checksum));
  }

  #remove(segment: Segment): void {
    segment.file.close();
    this.#attempt(() => this.#o.disk.remove(segment.name));
  }

  /** Starts something asynchronous, and keeps files open until it has come back. */
  #await(start: (done: (error?: Error) => void) => void, then: (error?: Error) => void): void {
    this.#asynchronous += 1;
    start((error) => {
      this.#asynchronous -= 1;
      then(error);
      this.#closeIfQuiet();
    });
  }

  #closeIfQuiet(): void {
    const done = this.#closed;
    if (done === undefined || this.#asynchronous > 0 || this.#isClosed) return;
    this.#isClosed = true;
    for (const segment of [...this.#kept, ...this.#condemned, ...this.#free]) segment.file.close();
    this.#prepared?.file.close();
    this.#kept = [];
    this.#condemned = [];
    this.#free = [];
    this.#prepared = undefined;
    done();
  }
}
