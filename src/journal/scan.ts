/** Reads one segment as it lies on the disk. Judges nothing yet: that takes the segments around it. */
import type { Checksum } from "../core/checksum.ts";
import { MalformedError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { decodeBody, type BlockBody } from "./body.ts";
import type { Disk } from "./disk.ts";
import {
  alignToSector,
  blockHeaderBytes,
  decodeLabel,
  examineBlock,
  segmentNumberOf,
  segmentSeed,
  type BlockHeader,
  type Label,
} from "./format.ts";
import { Segment } from "./segment.ts";

export interface BlockScan {
  readonly kind: "block";
  readonly segment: Segment;
  readonly offset: number;
  readonly header: BlockHeader;
  readonly body: BlockBody;
}

/** Sectors without a valid block, where one may have been. */
export interface InvalidScan {
  readonly kind: "invalid";
  readonly offset: number;
  readonly place: "misplaced" | "broken" | "blank";
}

export interface SegmentScan {
  readonly segment: Segment;
  /** Its label can be read. */
  readonly isLabelled: boolean;
  /** In the order of the offsets; block numbers rise. */
  readonly entries: readonly (BlockScan | InvalidScan)[];
}

/** A segment's file and its label. */
export interface SegmentFile {
  readonly name: string;
  readonly number: number;
  readonly label: Label;
}

/** The journal's files, by rising numbers. Other files in the folder are not its own. */
export function listSegments(disk: Disk, checksum: Checksum): SegmentFile[] {
  const found: SegmentFile[] = [];
  for (const name of disk.list()) {
    const number = segmentNumberOf(name);
    if (number === undefined) continue;
    const file = disk.open(name, "existing");
    const sector = new Uint8Array(limits.sectorBytes);
    const byteLength = file.read(0, sector);
    file.close();
    found.push({ name, number, label: decodeLabel(sector.subarray(0, byteLength), checksum) });
  }
  return found.sort((a, b) => a.number - b.number);
}

/** Finds every valid block of one segment. The file stays open. */
export function scanSegment(
  disk: Disk,
  name: string,
  number: number,
  id: Uint8Array,
  checksum: Checksum,
): SegmentScan {
  const file = disk.open(name, "existing");
  const segment = new Segment(number, name, file, segmentSeed(id, number, checksum));
  const bytes = new Uint8Array(segment.byteLength);
  const there = file.read(0, bytes);
  const entries: (BlockScan | InvalidScan)[] = [];
  let before = 0;
  let invalid = false;
  // The scan does not trust the length of an invalid block: the next block may begin at any sector behind it.
  for (let offset = limits.sectorBytes; offset + blockHeaderBytes <= there;) {
    const found = examine(bytes.subarray(0, there), offset, segment, checksum);
    if (found.kind === "block" && found.header.number > before) {
      entries.push(found);
      before = found.header.number;
      invalid = false;
      offset += alignToSector(found.header.length);
      continue;
    }
    // Of several invalid sectors behind one another the first tells what was to be there.
    if (!invalid) {
      const place = found.kind === "block" ? "misplaced" : found.place;
      entries.push({ kind: "invalid", offset, place });
    }
    invalid = true;
    offset += limits.sectorBytes;
  }
  const label = decodeLabel(bytes.subarray(0, Math.min(there, limits.sectorBytes)), checksum);
  return { segment, isLabelled: label.kind === "label", entries };
}

function examine(
  bytes: Uint8Array,
  offset: number,
  segment: Segment,
  checksum: Checksum,
): BlockScan | InvalidScan {
  const found = examineBlock(bytes, offset, segment.number, segment.seed, checksum);
  if (found.kind !== "valid") return { kind: "invalid", offset, place: found.kind };
  const { header } = found;
  try {
    const body = decodeBody(bytes.subarray(offset, offset + header.length), header);
    return { kind: "block", segment, offset, header, body };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { kind: "invalid", offset, place: "broken" };
  }
}
