/**
 * The outer form of what is on the disk: segment names, the label of a segment, the header of a block. SPEC.md has the
 * grammar.
 */
import { assert } from "../core/assert.ts";
import { readUint32, writeUint32, writeUint53 } from "../core/bytes.ts";
import type { Checksum } from "../core/checksum.ts";
import { limits } from "../core/limits.ts";

/** The format of labels and blocks. A journal with another one is refused, never guessed at. */
export const formatVersion = 1;
/** Bytes of a journal's id. */
export const journalIdBytes = 16;
/** Bytes of a block before its first run. */
export const blockHeaderBytes = 32;

const labelMagic = 0x4c53_4a51; // "QJSL", read as a little-endian number
const blockMagic = 0x4b42_4a51; // "QJBK"
const labelBytes = 28;
const numberMax = 0xffff_ffff;
const highWordMax = 0x1f_ffff;

const at = {
  checksum: 4,
  length: 8,
  directoryAt: 12,
  number: 16,
  segment: 24,
  groups: 28,
} as const;

const segmentName = /^journal-([0-9a-f]{8,13})\.segment$/;
const temporaryName = /^journal-[0-9a-f]{8,13}\.temporary$/;

/** The name of the segment with this number. */
export function segmentFileName(number: number): string {
  assert(number >= 1 && number <= numberMax, "segments are numbered from 1 and below 2^32");
  return `journal-${number.toString(16).padStart(8, "0")}.segment`;
}

/** The name under which a segment is filled with zeros, before it may be used. */
export function temporaryFileName(number: number): string {
  return segmentFileName(number).replace(".segment", ".temporary");
}

export function isTemporaryName(name: string): boolean {
  return temporaryName.test(name);
}

/** The number in a segment's name; undefined for any other file. */
export function segmentNumberOf(name: string): number | undefined {
  const digits = segmentName.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const number = Number.parseInt(digits, 16);
  return number >= 1 && number <= numberMax && segmentFileName(number) === name ? number : undefined;
}

/** The least multiple of the sector that is not below `byteLength`. */
export function alignToSector(byteLength: number): number {
  return Math.ceil(byteLength / limits.sectorBytes) * limits.sectorBytes;
}

/** The first sector of every segment of the journal with this id. */
export function encodeLabel(id: Uint8Array, checksum: Checksum): Uint8Array {
  assert(id.length === journalIdBytes, "a journal's id has 16 bytes");
  const sector = new Uint8Array(limits.sectorBytes);
  writeUint32(sector, 0, labelMagic);
  writeUint32(sector, 8, formatVersion);
  sector.set(id, 12);
  writeUint32(sector, 4, checksum(sector.subarray(8, labelBytes)));
  return sector;
}

export type Label =
  | { readonly kind: "label"; readonly version: number; readonly id: Uint8Array }
  /** Rotten or missing: it says nothing, and the blocks are judged by themselves. */
  | { readonly kind: "unreadable" };

export function decodeLabel(sector: Uint8Array, checksum: Checksum): Label {
  if (sector.length < labelBytes || readUint32(sector, 0) !== labelMagic) return { kind: "unreadable" };
  if (readUint32(sector, 4) !== checksum(sector.subarray(8, labelBytes))) return { kind: "unreadable" };
  return { kind: "label", version: readUint32(sector, 8), id: sector.slice(12, labelBytes) };
}

/**
 * What the checksums of this segment's blocks start from. Differs for any two segments of one journal, since the
 * CRC-32 of two messages that differ in at most 32 consecutive bits always differs.
 */
export function segmentSeed(id: Uint8Array, segment: number, checksum: Checksum): number {
  assert(id.length === journalIdBytes, "a journal's id has 16 bytes");
  const message = new Uint8Array(journalIdBytes + 4);
  message.set(id);
  writeUint32(message, journalIdBytes, segment);
  return checksum(message);
}

export interface BlockHeader {
  /** Header included, padding excluded. */
  readonly length: number;
  /** Where the directory begins; 0 if the block has none. */
  readonly directoryAt: number;
  readonly number: number;
  /** How many groups have records, as of the end of this block. */
  readonly groups: number;
}

/** Writes the header before the runs, which are there already, and the checksum over it all. */
export function sealBlock(
  bytes: Uint8Array,
  header: BlockHeader,
  segment: number,
  seed: number,
  checksum: Checksum,
): void {
  assert(header.length >= blockHeaderBytes, "a block has at least its header");
  assert(header.directoryAt < header.length, "a block's directory begins within it");
  writeUint32(bytes, 0, blockMagic);
  writeUint32(bytes, at.length, header.length);
  writeUint32(bytes, at.directoryAt, header.directoryAt);
  writeUint53(bytes, at.number, header.number);
  writeUint32(bytes, at.segment, segment);
  writeUint32(bytes, at.groups, header.groups);
  writeUint32(bytes, at.checksum, checksum(bytes.subarray(at.length, header.length), seed));
}

/**
 * What lies where a block may begin. `broken`: it was written as a block of this segment, yet is not valid. `blank`:
 * anything else, such as zeros, or bytes of the file's earlier life under another number.
 */
export type BlockFound =
  | { readonly kind: "valid"; readonly header: BlockHeader }
  | { readonly kind: "broken" }
  | { readonly kind: "blank" };

/** Judges the bytes at `offset` by their form and checksum alone. */
export function examineBlock(
  bytes: Uint8Array,
  offset: number,
  segment: number,
  seed: number,
  checksum: Checksum,
): BlockFound {
  if (offset + blockHeaderBytes > bytes.length) return { kind: "blank" };
  if (readUint32(bytes, offset) !== blockMagic) return { kind: "blank" };
  if (readUint32(bytes, offset + at.segment) !== segment) return { kind: "blank" };
  const length = readUint32(bytes, offset + at.length);
  if (length < blockHeaderBytes || offset + length > bytes.length) return { kind: "broken" };
  const sum = checksum(bytes.subarray(offset + at.length, offset + length), seed);
  if (readUint32(bytes, offset + at.checksum) !== sum) return { kind: "broken" };
  const high = readUint32(bytes, offset + at.number + 4);
  if (high > highWordMax) return { kind: "broken" };
  return {
    kind: "valid",
    header: {
      length,
      directoryAt: readUint32(bytes, offset + at.directoryAt),
      number: high * 0x1_0000_0000 + readUint32(bytes, offset + at.number),
      groups: readUint32(bytes, offset + at.groups),
    },
  };
}
