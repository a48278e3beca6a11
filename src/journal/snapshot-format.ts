/**
 * The form of a snapshot's file: its name, its header, and the checksums of its pieces. SPEC.md has the grammar. The header
 * stands in front and says everything of the file; it is written last where a snapshot is taken, and first where one
 * arrives.
 */
import { assert } from "../core/assert.ts";
import type { Snapshot } from "../core/boundary.ts";
import { ByteReader, ByteWriter, equalBytes, readUint32, writeUint32 } from "../core/bytes.ts";
import type { Checksum } from "../core/checksum.ts";
import { MalformedError, QuorateError } from "../core/errors.ts";
import { groupName, type GroupName, type LogIndex } from "../core/ids.ts";
import { limits } from "../core/limits.ts";

/** The format of headers and pieces. A file with another one is refused, never guessed at. */
export const snapshotFormatVersion = 1;
/** Before each piece's bytes: its checksum. */
export const pieceHeadBytes = 4;

const magic = 0x504e_5351; // "QSNP", read as a little-endian number
/** What every version of the format begins with: magic, checksum, version, length of the header. */
const prefixBytes = 16;
const headerBytesMax = limits.snapshotAnchorBytesMax + 1024;

/** Which snapshot it is: of which group, up to which entry, and what it says of itself. */
export interface SnapshotName extends Omit<Snapshot, "byteLength"> {
  readonly group: GroupName;
}

/** A snapshot as a file. Whoever has a file that is described by the same has the same bytes. */
export interface FiledSnapshot extends SnapshotName, Snapshot {
  /** Of every piece but the last, which has what is left. */
  readonly pieceBytes: number;
  /** CRC-32 of the checksums of all pieces, in order. */
  readonly contents: number;
}

// ── names ──

/** `whole`: a snapshot. `temporary`: one that is being taken. `arriving`: one of which a part has come from a peer. */
export type SnapshotFileKind = "whole" | "temporary" | "arriving";

const suffixes: Readonly<Record<SnapshotFileKind, string>> = {
  whole: "snapshot",
  temporary: "temporary",
  arriving: "arriving",
};
const namePattern = /^([0-9a-f]{14})@(.+)\.(snapshot|temporary|arriving)$/;
const kinds = ["whole", "temporary", "arriving"] as const;

/** Capitals are marked: there are file systems to which `Main` and `main` are one name. */
export function snapshotFileName(group: GroupName, index: LogIndex, kind: SnapshotFileKind): string {
  const safe = group.replaceAll(/[A-Z]/g, (capital) => `+${capital.toLowerCase()}`);
  return `${index.toString(16).padStart(14, "0")}@${safe}.${suffixes[kind]}`;
}

export interface SnapshotFileName {
  readonly group: GroupName;
  readonly index: LogIndex;
  readonly kind: SnapshotFileKind;
}

/** What a file's name says; undefined for any other file. */
export function snapshotOfFile(name: string): SnapshotFileName | undefined {
  const [, digits = "", safe = "", suffix = ""] = namePattern.exec(name) ?? [];
  const kind = kinds.find((each) => suffixes[each] === suffix);
  const index = Number.parseInt(digits, 16);
  if (kind === undefined || !Number.isSafeInteger(index)) return undefined;
  let group: GroupName;
  try {
    group = groupName(safe.replaceAll(/\+([a-z])/g, (_, letter: string) => letter.toUpperCase()));
  } catch (error) {
    if (error instanceof QuorateError) return undefined;
    throw error;
  }
  const found = { group, index: index as LogIndex, kind };
  return snapshotFileName(group, found.index, kind) === name ? found : undefined;
}

// ── the header ──

/** Bytes before the first piece. */
export function headerBytesOf({ group, digest, anchor }: SnapshotName): number {
  return prefixBytes + 4 + 4 + 8 + 8 + 2 + group.length + 4 + digest.length + 4 + anchor.length;
}

export function encodeHeader(snapshot: FiledSnapshot, checksum: Checksum): Uint8Array {
  const { group, index, digest, anchor, byteLength, pieceBytes, contents } = snapshot;
  const headerBytes = headerBytesOf(snapshot);
  assert(headerBytes <= headerBytesMax, "a snapshot's header is within its limit");
  const header = new ByteWriter(headerBytes)
    .uint32(magic)
    .uint32(0)
    .uint32(snapshotFormatVersion)
    .uint32(headerBytes)
    .uint32(pieceBytes)
    .uint32(contents)
    .uint53(byteLength)
    .uint53(index)
    .text(group)
    .bytes(digest)
    .bytes(anchor)
    .finish();
  assert(header.length === headerBytes, "a header is as long as it says");
  writeUint32(header, 4, checksum(header.subarray(8)));
  return header;
}

export type HeaderFound =
  | { readonly kind: "header"; readonly snapshot: FiledSnapshot }
  | { readonly kind: "otherVersion"; readonly version: number }
  | { readonly kind: "unreadable" };

/** Judges the beginning of a file. `read` gives so many bytes of it, or fewer where it ends. */
export function decodeHeader(read: (byteLength: number) => Uint8Array, checksum: Checksum): HeaderFound {
  const prefix = read(prefixBytes);
  if (prefix.length < prefixBytes || readUint32(prefix, 0) !== magic) return { kind: "unreadable" };
  const headerBytes = readUint32(prefix, 12);
  if (headerBytes < prefixBytes || headerBytes > headerBytesMax) return { kind: "unreadable" };
  const header = read(headerBytes);
  if (header.length < headerBytes) return { kind: "unreadable" };
  if (readUint32(header, 4) !== checksum(header.subarray(8))) return { kind: "unreadable" };
  const version = readUint32(header, 8);
  if (version !== snapshotFormatVersion) return { kind: "otherVersion", version };
  try {
    return { kind: "header", snapshot: decodeFields(header.subarray(prefixBytes)) };
  } catch (error) {
    if (error instanceof MalformedError || error instanceof QuorateError) return { kind: "unreadable" };
    throw error;
  }
}

function decodeFields(bytes: Uint8Array): FiledSnapshot {
  const reader = new ByteReader(bytes);
  const pieceBytes = reader.uint32();
  const contents = reader.uint32();
  const byteLength = reader.uint53();
  const index = reader.uint53() as LogIndex;
  const group = groupName(reader.text());
  const digest = new Uint8Array(reader.bytes());
  const anchor = new Uint8Array(reader.bytes());
  reader.end();
  const snapshot = { group, index, digest, anchor, byteLength, pieceBytes, contents };
  if (!isAcceptable(snapshot)) throw new MalformedError("a snapshot beyond the limits");
  return snapshot;
}

/** Whether a snapshot, also a peer's, is within what is read, written and kept. */
export function isAcceptable({ digest, anchor, byteLength, pieceBytes }: FiledSnapshot): boolean {
  return (
    digest.length <= limits.digestBytesMax &&
    anchor.length <= limits.snapshotAnchorBytesMax &&
    pieceBytes >= 1 &&
    pieceBytes <= limits.snapshotPieceBytesMax &&
    byteLength <= pieceBytes * limits.snapshotPiecesMax
  );
}

export function isSameSnapshot(a: FiledSnapshot, b: FiledSnapshot): boolean {
  return (
    a.group === b.group &&
    a.index === b.index &&
    a.contents === b.contents &&
    a.byteLength === b.byteLength &&
    a.pieceBytes === b.pieceBytes &&
    equalBytes(a.digest, b.digest) &&
    equalBytes(a.anchor, b.anchor)
  );
}

// ── pieces ──

export function pieceCount({ byteLength, pieceBytes }: FiledSnapshot): number {
  return Math.ceil(byteLength / pieceBytes);
}

/** How many bytes the piece with this number has; they count from 0. */
export function pieceLength({ byteLength, pieceBytes }: FiledSnapshot, number: number): number {
  return Math.min(pieceBytes, byteLength - number * pieceBytes);
}

/** Where in the file the piece's checksum stands; its bytes follow. */
export function pieceOffset(headerBytes: number, pieceBytes: number, number: number): number {
  return headerBytes + number * (pieceHeadBytes + pieceBytes);
}

/**
 * What the checksum of each piece starts from: it differs for any two pieces of one snapshot, since the CRC-32 of two
 * numbers always does, and almost certainly for two snapshots. So a piece passes only in its own place.
 */
export class PieceChecksums {
  readonly #checksum: Checksum;
  readonly #seed: number;
  readonly #word = new Uint8Array(4);

  constructor({ group, index, digest, anchor }: SnapshotName, pieceBytes: number, checksum: Checksum) {
    this.#checksum = checksum;
    this.#seed = checksum(
      new ByteWriter(256).uint32(pieceBytes).uint53(index).text(group).bytes(digest).bytes(anchor).finish(),
    );
  }

  of(number: number, bytes: Uint8Array): number {
    return this.#checksum(bytes, this.#ofWord(number, this.#seed));
  }

  /** Of all checksums up to this one, from that of those before it; 0 at the start. */
  contents(before: number, ofPiece: number): number {
    return this.#ofWord(ofPiece, before);
  }

  #ofWord(word: number, seed: number): number {
    writeUint32(this.#word, 0, word);
    return this.#checksum(this.#word, seed);
  }
}
