/** What a block holds: runs of records, and perhaps a directory. SPEC.md has the grammar. */
import { ByteReader, ByteWriter } from "../core/bytes.ts";
import { MalformedError } from "../core/errors.ts";
import type { GroupName } from "../core/ids.ts";
import { decodeText } from "../core/text.ts";
import { blockHeaderBytes, type BlockHeader } from "./format.ts";
import type { Group } from "./group.ts";

/** A run as found on the disk. */
export interface RunFound {
  readonly name: GroupName;
  readonly copied: boolean;
  readonly first: number;
  readonly count: number;
  /** Offset in the block of the first record. */
  readonly at: number;
  readonly byteLength: number;
}

/** What a directory says of one group. */
export interface DirectoryLine {
  readonly name: GroupName;
  readonly damaged: boolean;
  readonly needed: number;
  readonly last: number;
}

export interface BlockBody {
  readonly runs: readonly RunFound[];
  readonly directory: readonly DirectoryLine[] | undefined;
}

/** Bytes before the first record of a run of this group. */
export function runHeaderBytes(group: Group): number {
  return group.encodedName.length + 17;
}

/** Bytes that this group takes in a directory. */
export function directoryLineBytes(group: Group): number {
  return group.encodedName.length + 17;
}

/** All groups that have records, as of the end of the block that is being written. */
export function encodeDirectory(groups: Iterable<Group>): Uint8Array {
  const lines = [...groups].filter((group) => group.written > 0);
  const writer = new ByteWriter(4 + lines.length * 40);
  writer.uint32(lines.length);
  for (const group of lines) {
    writer.raw(group.encodedName);
    writer.uint8(group.damaged ? 1 : 0);
    writer.uint53(group.needed);
    writer.uint53(group.written);
  }
  return writer.finish();
}

/** Reads a block whose checksum is right. Throws `MalformedError` on what {@link Gather} does not produce. */
export function decodeBody(block: Uint8Array, header: BlockHeader): BlockBody {
  const runsEnd = header.directoryAt === 0 ? header.length : header.directoryAt;
  if (runsEnd < blockHeaderBytes || runsEnd > header.length) throw new MalformedError("a directory outside");
  const runs: RunFound[] = [];
  for (let at = blockHeaderBytes; at < runsEnd;) {
    const reader = new ByteReader(block.subarray(at, runsEnd));
    const name = readName(reader);
    const copied = readFlag(reader);
    const first = reader.uint53();
    const count = reader.uint32();
    const byteLength = reader.uint32();
    const recordsAt = runsEnd - reader.remaining;
    const records = new ByteReader(reader.raw(byteLength));
    if (first < 1 || count < 1) throw new MalformedError("a run without records");
    for (let record = 0; record < count; record++) records.bytes();
    records.end();
    runs.push({ name, copied, first, count, at: recordsAt, byteLength });
    at = recordsAt + byteLength;
  }
  if (header.directoryAt === 0) return { runs, directory: undefined };
  return { runs, directory: decodeDirectory(block.subarray(runsEnd, header.length)) };
}

function decodeDirectory(bytes: Uint8Array): DirectoryLine[] {
  const reader = new ByteReader(bytes);
  const lines: DirectoryLine[] = [];
  for (let left = reader.uint32(); left > 0; left--) {
    const name = readName(reader);
    const damaged = readFlag(reader);
    const needed = reader.uint53();
    const last = reader.uint53();
    if (needed < 1 || last < 1) throw new MalformedError("a directory line without numbers");
    lines.push({ name, damaged, needed, last });
  }
  reader.end();
  return lines;
}

function readName(reader: ByteReader): GroupName {
  const byteLength = reader.uint8();
  if (byteLength === 0) throw new MalformedError("a group without a name");
  return decodeText(reader.raw(byteLength)) as GroupName;
}

function readFlag(reader: ByteReader): boolean {
  const flags = reader.uint8();
  if (flags > 1) throw new MalformedError("an unknown flag");
  return flags === 1;
}

/** The records of a run, in order: views of `bytes`, which begin at the record with number `base`. */
export function* recordsOf(
  bytes: Uint8Array,
  base: number,
  first: number,
  last: number,
): Generator<{ readonly number: number; readonly bytes: Uint8Array }> {
  const reader = new ByteReader(bytes);
  for (let number = base; number <= last; number++) {
    const record = reader.bytes();
    if (number >= first) yield { number, bytes: record };
  }
}
