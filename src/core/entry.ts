/**
 * One log entry: encoded once, where it is proposed, and from then on the same bytes on every agent, disk and wire.
 *
 * ```
 * offset bytes
 *      0     4  length       of the whole entry, this header included
 *      4     4  checksum     CRC-32 of bytes 8 to the end
 *      8     8  index        ┐
 *     16     8  term         ├ stamped by the leader; zero in a command that is still on its way to one
 *     24     8  time         ┘ the leader's wall clock in microseconds: the logged time, never falling along the log
 *     32     8  session      who asks: the index of the entry that opened the session (for `openSession`: a nonce)
 *     40     8  sequence     1, 2, 3 … in that session
 *     48     4  unsettled    the session may still ask for the answers of so many sequences up to this one
 *     52     1  kind         see `entryKinds`
 *     53     3  zero
 *     56        payload
 * ```
 * A *run* is consecutive entries behind one another. Numbers are little-endian.
 */
import { assert } from "./assert.ts";
import { readUint32, readUint53, writeUint32, writeUint53 } from "./bytes.ts";
import { crc32Range } from "./checksum.ts";
import type { LogIndex, Term } from "./ids.ts";
import { limits } from "./limits.ts";
import { MalformedError } from "./errors.ts";

/** What an entry is for. The numbers are on disks and wires: never change one. */
export const entryKinds = {
  /** A new leader's first entry: it commits what earlier leaders left. Nothing to apply. */
  noop: 0,
  /** A command for a state machine. */
  command: 1,
  /** Opens a session; its answer is the session's number, which is this entry's index. */
  openSession: 2,
  /** Closes a session: its answers are forgotten. */
  closeSession: 3,
  /** The group's new members; the mechanism's, not the state machine's. */
  members: 4,
  /** The same, put there by a person because too few of the old voters were left to agree. */
  forcedMembers: 5,
} as const;

export type EntryKind = keyof typeof entryKinds;

const kindNames: readonly EntryKind[] = [
  "noop",
  "command",
  "openSession",
  "closeSession",
  "members",
  "forcedMembers",
];
const at = {
  checksum: 4,
  index: 8,
  term: 16,
  time: 24,
  session: 32,
  sequence: 40,
  unsettled: 48,
  kind: 52,
  zero: 53,
} as const;

/** Bytes before the payload. */
export const entryHeaderBytes = 56;

/** Consecutive encoded entries, identical on every agent, disk and wire. Immutable: the bytes are never recycled while referenced. */
export interface Run {
  readonly first: LogIndex;
  readonly last: LogIndex;
  readonly bytes: Uint8Array;
}

/** What the proposer knows of an entry. */
export interface CommandHeader {
  readonly kind: EntryKind;
  readonly session: number;
  readonly sequence: number;
  readonly unsettled: number;
}

/** A command in the form of an entry whose index, term, time and checksum are still zero. */
export function encodeCommand(header: CommandHeader, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(entryHeaderBytes + payload.length);
  bytes.set(payload, entryHeaderBytes);
  writeCommandHeader(bytes, header);
  return bytes;
}

/** Completes a command whose payload is in place and whose other header bytes are zero. The bytes must not be shared yet. */
export function writeCommandHeader(bytes: Uint8Array, header: CommandHeader): void {
  writeUint32(bytes, 0, bytes.length);
  writeUint53(bytes, at.session, header.session);
  writeUint53(bytes, at.sequence, header.sequence);
  writeUint32(bytes, at.unsettled, header.unsettled);
  bytes[at.kind] = entryKinds[header.kind];
}

/** The leader's stamp: makes the command at `offset` the entry at `index`. The bytes must not be shared yet. */
export function stampEntry(
  bytes: Uint8Array,
  offset: number,
  index: LogIndex,
  term: Term,
  timeMicros: number,
): void {
  writeUint53(bytes, offset + at.index, index);
  writeUint53(bytes, offset + at.term, term);
  writeUint53(bytes, offset + at.time, timeMicros);
  const end = offset + entryLength(bytes, offset);
  writeUint32(bytes, offset + at.checksum, crc32Range(bytes, offset + at.index, end));
}

/**
 * Bytes of the entry at `offset`, header included. Read as a signed number, in which an engine adds faster: one that seems
 * negative is no entry's, which {@link checkEntryForm} finds.
 */
export function entryLength(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24);
}

export function entryIndex(bytes: Uint8Array, offset: number): LogIndex {
  return readUint53(bytes, offset + at.index) as LogIndex;
}

export function entryTerm(bytes: Uint8Array, offset: number): Term {
  return readUint53(bytes, offset + at.term) as Term;
}

/** The logged time, in microseconds since 1970. */
export function entryTime(bytes: Uint8Array, offset: number): number {
  return readUint53(bytes, offset + at.time);
}

export function entrySession(bytes: Uint8Array, offset: number): number {
  return readUint53(bytes, offset + at.session);
}

export function entrySequence(bytes: Uint8Array, offset: number): number {
  return readUint53(bytes, offset + at.sequence);
}

export function entryUnsettled(bytes: Uint8Array, offset: number): number {
  return readUint32(bytes, offset + at.unsettled);
}

export function entryKind(bytes: Uint8Array, offset: number): EntryKind {
  const name = kindNames[bytes[offset + at.kind]!];
  if (name === undefined) throw new MalformedError("an entry of an unknown kind");
  return name;
}

/** Whether the entry brings other members. */
export function isMembersEntry(bytes: Uint8Array, offset: number): boolean {
  const kind = bytes[offset + at.kind];
  return kind === entryKinds.members || kind === entryKinds.forcedMembers;
}

/** Whether any of the entries behind one another does. Every entry passes through here on every agent, so it does no more. */
export function hasMembersEntry(bytes: Uint8Array): boolean {
  const end = bytes.length;
  for (let offset = 0; offset < end; offset += entryLength(bytes, offset)) {
    if (isMembersEntry(bytes, offset)) return true;
  }
  return false;
}

/** Whether a client may ask for it. The other kinds are a mechanism's own: who could smuggle one in would change the members. */
export function isProposable(bytes: Uint8Array, offset: number): boolean {
  const kind = bytes[offset + at.kind];
  return kind !== entryKinds.noop && !isMembersEntry(bytes, offset);
}

/** A view, not a copy. */
export function entryPayload(bytes: Uint8Array, offset: number): Uint8Array {
  return bytes.subarray(offset + entryHeaderBytes, offset + entryLength(bytes, offset));
}

/**
 * Checks the outer form of the command or entry at `offset`: its length fits what is there and the limit, its kind is
 * known, its numbers are below 2^53, its spare bytes are zero. Throws {@link MalformedError}. Returns the offset behind it.
 */
export function checkEntryForm(bytes: Uint8Array, offset: number): number {
  if (offset + entryHeaderBytes > bytes.length) throw new MalformedError("an entry ends in its header");
  const length = entryLength(bytes, offset);
  if (length < entryHeaderBytes) throw new MalformedError("an entry is shorter than its header");
  if (length > limits.entryBytesMax) throw new MalformedError("an entry is longer than the limit");
  if (offset + length > bytes.length) throw new MalformedError("an entry ends in its payload");
  if (bytes[offset + at.kind]! >= kindNames.length) throw new MalformedError("an entry of an unknown kind");
  // Read here once, so that nobody meets a number that can't be counted exactly in an entry that is already decided.
  for (let field = at.index; field < at.unsettled; field += 8) readUint53(bytes, offset + field);
  const zero = offset + at.zero;
  if ((bytes[zero]! | bytes[zero + 1]! | bytes[zero + 2]!) !== 0)
    throw new MalformedError("an entry's spare bytes are not zero");
  return offset + length;
}

/** Cuts bytes that hold commands behind one another into single ones (views). Throws {@link MalformedError}. */
export function splitCommands(bytes: Uint8Array): Uint8Array[] {
  const commands: Uint8Array[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const end = checkEntryForm(bytes, offset);
    commands.push(bytes.subarray(offset, end));
    offset = end;
  }
  return commands;
}

/**
 * Reads a run that came from a disk or a wire: every entry whole, checksum right, indices consecutive from `first`
 * where it is given, terms not falling. Throws {@link MalformedError}. The bytes are kept, not copied.
 */
export function decodeRun(bytes: Uint8Array, first?: LogIndex): Run {
  if (bytes.length === 0) throw new MalformedError("a run holds at least one entry");
  let offset = 0;
  let index = 0;
  let lastTerm = 0;
  while (offset < bytes.length) {
    const end = checkEntryForm(bytes, offset);
    if (crc32Range(bytes, offset + at.index, end) !== readUint32(bytes, offset + at.checksum)) {
      throw new MalformedError("an entry's checksum is wrong");
    }
    const found = entryIndex(bytes, offset);
    const expected = offset === 0 ? (first ?? found) : index + 1;
    if (found !== expected || found < 1) throw new MalformedError("an entry's index is not the next one");
    const foundTerm = entryTerm(bytes, offset);
    if (foundTerm < lastTerm || foundTerm < 1)
      throw new MalformedError("an entry's term is lower than the one before");
    lastTerm = foundTerm;
    index = found;
    offset = end;
  }
  return { first: entryIndex(bytes, 0), last: index as LogIndex, bytes };
}

/** The part of a run from `first` on, of at most `bytesMax` bytes but at least one entry: a view, not a copy. */
export function sliceRun(run: Run, first: LogIndex, bytesMax: number): Run {
  assert(first >= run.first && first <= run.last, "a slice begins within its run");
  let from = 0;
  for (let index: number = run.first; index < first; index++) from += entryLength(run.bytes, from);
  let to = from;
  let last = first - 1;
  while (last < run.last) {
    const length = entryLength(run.bytes, to);
    if (to > from && to + length - from > bytesMax) break;
    to += length;
    last += 1;
  }
  if (from === 0 && to === run.bytes.length) return run;
  return { first, last: last as LogIndex, bytes: run.bytes.subarray(from, to) };
}

/** The run without what lies behind `last`. */
export function truncateRun(run: Run, last: LogIndex): Run {
  assert(last >= run.first && last <= run.last, "a run is cut within itself");
  if (last === run.last) return run;
  let to = 0;
  for (let index: number = run.first; index <= last; index++) to += entryLength(run.bytes, to);
  return { first: run.first, last, bytes: run.bytes.subarray(0, to) };
}
