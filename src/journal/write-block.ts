import type { Checksum } from "../core/checksum.ts";
import { sealBlock } from "./format.ts";
import type { Gather } from "./gather.ts";
import type { Segment } from "./segment.ts";

export interface BlockToWrite {
  readonly gather: Gather;
  readonly segment: Segment;
  readonly number: number;
  /** How many groups have records, as of the end of this block. */
  readonly groups: number;
  readonly directory: Uint8Array | undefined;
  readonly checksum: Checksum;
}

/** Seals the block, writes it into the page cache, and notes where its records lie. Throws `DiskError`. */
export function writeBlock(block: BlockToWrite): void {
  const { gather, segment, number, groups, directory, checksum } = block;
  const { padded, length, directoryAt } = gather.finish(directory);
  sealBlock(padded, { length, directoryAt, number, groups }, segment.number, segment.seed, checksum);
  const blockAt = segment.append(padded);
  for (const run of gather.runs) {
    const last = run.first + run.count - 1;
    run.group.index.place({
      segment,
      blockAt,
      blockLength: length,
      at: blockAt + run.at,
      byteLength: run.byteLength,
      base: run.first,
      first: run.first,
      last,
    });
  }
}
