/** Reads records back from the segments. */
import type { Checksum } from "../core/checksum.ts";
import { QuorateError } from "../core/errors.ts";
import type { RecordNumber } from "../core/ids.ts";
import { recordsOf } from "./body.ts";
import { examineBlock } from "./format.ts";
import type { Group } from "./group.ts";
import type { RunPlace } from "./run-index.ts";

export interface NumberedRecord {
  readonly number: RecordNumber;
  /** A view of bytes that are read for it and never used again. */
  readonly bytes: Uint8Array;
}

/**
 * A group's records from `from` on, right after recovery has checked all blocks: reads the runs alone, so that many
 * groups in one block don't read it many times.
 */
export function* recoveredRecords(group: Group, from: number): Generator<Uint8Array> {
  for (const run of group.index.from(from)) {
    const bytes = new Uint8Array(run.byteLength);
    run.segment.file.read(run.at, bytes);
    for (const record of recordsOf(bytes, run.base, Math.max(run.first, from), run.last)) yield record.bytes;
  }
}

/** Reads blocks again while the journal runs. Remembers the last one, since runs often share a block. */
export class BlockReader {
  readonly #checksum: Checksum;
  #bytes: Uint8Array = new Uint8Array(0);
  #of: RunPlace | undefined;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  /** The run's records that count, from `from` on. Throws `DATA_CORRUPT` where the block has rotted. */
  *records(run: RunPlace, from: number): Generator<NumberedRecord> {
    const block = this.#block(run);
    const at = run.at - run.blockAt;
    const records = recordsOf(
      block.subarray(at, at + run.byteLength),
      run.base,
      Math.max(run.first, from),
      run.last,
    );
    for (const { number, bytes } of records) yield { number: number as RecordNumber, bytes };
  }

  /** Forgets the block, so that its bytes don't stay in memory. */
  forget(): void {
    this.#of = undefined;
    this.#bytes = new Uint8Array(0);
  }

  #block(run: RunPlace): Uint8Array {
    if (this.#of?.segment === run.segment && this.#of.blockAt === run.blockAt) return this.#bytes;
    const bytes = new Uint8Array(run.blockLength);
    run.segment.file.read(run.blockAt, bytes);
    const found = examineBlock(bytes, 0, run.segment.number, run.segment.seed, this.#checksum);
    if (found.kind !== "valid" || found.header.length !== run.blockLength) {
      throw new QuorateError("DATA_CORRUPT", `A block of ${run.segment.name} at ${run.blockAt} has rotted.`, {
        outcome: "unknown",
        hint: "Check the disk. `quorate journal check` lists what is damaged.",
      });
    }
    this.#of = run;
    this.#bytes = bytes;
    return bytes;
  }
}
