import { AssertionError } from "../core/assert.ts";
import { limits } from "../core/limits.ts";
import type { Group } from "./group.ts";
import type { BlockReader, NumberedRecord } from "./reading.ts";
import type { Segment } from "./segment.ts";

export interface CopyForwardOptions {
  readonly reader: BlockReader;
  readonly schedule: (task: () => void) => void;
  readonly pieceBytesMax: number;
  readonly groups: () => Iterable<Group>;
  /** Adds a record to the block that gathers, under its original number. */
  readonly copy: (group: Group, record: NumberedRecord) => void;
  /** A piece has been added: it may be written. */
  readonly onPiece: () => void;
  /** All that the segment held has been added. */
  readonly onDone: () => void;
}

/** Only a segment of which at most this part is needed is worth copying. */
const copiedPartMax = 1 / 8;

/**
 * Frees a segment that groups hold which have been idle or lag: copies the few records that they need into the
 * present block, piece by piece.
 */
export class CopyForward {
  readonly #o: CopyForwardOptions;
  #busy = false;
  /** The next piece, once the one before is on its way to the disk. */
  #next: (() => void) | undefined;
  #stopped = false;

  constructor(options: CopyForwardOptions) {
    this.#o = options;
  }

  /** Starts with the oldest segment worth it among `candidates`, unless one is under way. `bytesMax`: what there is room for. */
  start(candidates: readonly Segment[], bytesMax: number): void {
    if (this.#busy || this.#stopped) return;
    for (const segment of candidates) {
      if (segment.liveRuns === 0 || segment.copiedForward) continue;
      if (segment.liveBytes > Math.min(bytesMax, segment.byteLength * copiedPartMax)) continue;
      this.#busy = true;
      // Once is enough: when its records have been written again, nobody needs it. If one can't be read, trying again won't help.
      segment.copiedForward = true;
      this.#o.schedule(() => this.#piece(segment, this.#recordsIn(segment)));
      return;
    }
  }

  /** A sync has returned and nothing waits: room for the next piece. */
  resume(): void {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    this.#o.schedule(next);
  }

  stop(): void {
    this.#stopped = true;
  }

  #piece(segment: Segment, records: Iterator<[Group, NumberedRecord]>): void {
    if (this.#stopped) return;
    let bytesLeft = Math.min(limits.pieceBytesMax, this.#o.pieceBytesMax);
    try {
      while (bytesLeft > 0) {
        const next = records.next();
        if (next.done === true) {
          this.#finish();
          return;
        }
        const [group, record] = next.value;
        this.#o.copy(group, record);
        bytesLeft -= record.bytes.length;
      }
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      // Rot: the segment stays as it is, and the next recovery will tell which groups are damaged.
      this.#finish();
      return;
    }
    this.#next = () => this.#piece(segment, records);
    this.#o.onPiece();
  }

  #finish(): void {
    this.#busy = false;
    this.#o.reader.forget();
    this.#o.onPiece();
    this.#o.onDone();
  }

  *#recordsIn(segment: Segment): Generator<[Group, NumberedRecord]> {
    for (const group of this.#o.groups()) {
      for (const run of group.index.within(segment)) {
        if (run.last < group.needed) continue;
        for (const record of this.#o.reader.records(run, group.needed)) yield [group, record];
      }
    }
  }
}
