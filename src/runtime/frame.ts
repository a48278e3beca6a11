/**
 * Everything on a wire is a frame:
 *
 * ```
 * offset bytes
 *      0     4  length       of the whole frame, this field included
 *      4     4  checksum     CRC-32 of bytes 0–3, followed by byte 8 to the end of the head
 *      8     1  kind         see `frameKinds`
 *      9     1  group length g, bytes; 0 where the frame is not about a group
 *     10     2  zero
 *     12     4  head length  h, bytes
 *     16     g  group        its name
 *   16+g     h  head
 * 16+g+h        tail         to the end: a run of entries, each with a checksum of its own; empty in most kinds
 * ```
 * Numbers are little-endian. `docs/wire.md` has the head of every kind.
 */
import { assert } from "../core/assert.ts";
import { emptyBytes, readUint32, writeUint32, writeUint53 } from "../core/bytes.ts";
import { MalformedError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { encodeText } from "../core/text.ts";
import { wireVersionMax, type WireVersion } from "../core/wire-version.ts";
import { checksumRange } from "./checksum.ts";

/** What a frame is. The numbers are on the wire: never change one. */
export const frameKinds = {
  // both ways, on every connection
  hello: 1,
  welcome: 2,
  refuse: 3,
  ping: 4,
  pong: 5,
  // between agents
  message: 16,
  pulse: 17,
  // client to agent
  propose: 32,
  query: 33,
  changes: 34,
  entries: 35,
  campaign: 36,
  status: 37,
  cancel: 38,
  order: 39,
  backup: 40,
  backupPiece: 41,
  // agent to client
  answers: 48,
  refusals: 49,
  queryAnswer: 50,
  changesAnswer: 51,
  entriesAnswer: 52,
  campaignAnswer: 53,
  statusAnswer: 54,
  failed: 55,
  progress: 56,
  orderAnswer: 57,
  backupAnswer: 58,
  backupPieceAnswer: 59,
} as const;

export type FrameKind = keyof typeof frameKinds;

/**
 * Which version of the wire added a kind; those not named are as old as the first. One line each; `docs/wire.md` has the
 * same table, and a test compares them. A frame that the other side's version does not have is not sent to it.
 */
export const frameAddedIn: Readonly<Partial<Record<FrameKind, WireVersion>>> = {
  order: 2,
  orderAnswer: 2,
  backup: 2,
  backupPiece: 2,
  backupAnswer: 2,
  backupPieceAnswer: 2,
  pulse: 2,
};

export function hasFrame(version: WireVersion, kind: FrameKind): boolean {
  return version === wireVersionMax || version >= (frameAddedIn[kind] ?? 1);
}

const namesOfKinds: (FrameKind | undefined)[] = [];
for (const [name, kind] of Object.entries(frameKinds)) namesOfKinds[kind] = name as FrameKind;

/** The name of a kind that came from a wire; undefined where it is not known. */
export function frameKindName(kind: number): FrameKind | undefined {
  return namesOfKinds[kind];
}

export const frameHeaderBytes = 16;
/** The longest name of a group. */
const groupBytesMax = 64;

const at = { length: 0, checksum: 4, kind: 8, group: 9, zero: 10, head: 12 } as const;

/** A frame that arrived. Its bytes are views of what came from the socket. */
export interface Frame {
  readonly kind: FrameKind;
  /** Empty where the frame is not about a group. */
  readonly group: string;
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** A frame to send, in pieces that go out behind one another. */
export interface OutgoingFrame {
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;
}

const copiedBytesMax = 16 * 1024;

/** Heads and tails up to 16 KiB in all are copied behind the header, into one piece; larger ones are passed on as they are. */
export function encodeFrame(
  kind: FrameKind,
  group: string,
  head: Uint8Array,
  tail: readonly Uint8Array[] = [],
): OutgoingFrame {
  const name = encodeGroup(group);
  let tailBytes = 0;
  for (const piece of tail) tailBytes += piece.length;
  const byteLength = frameHeaderBytes + name.length + head.length + tailBytes;
  assert(byteLength <= limits.frameBytesMax, "a frame is within its limit");
  const headStart = frameHeaderBytes + name.length;
  const headEnd = headStart + head.length;
  const small = byteLength <= copiedBytesMax;
  const first = new Uint8Array(small ? byteLength : headEnd);
  writeUint32(first, at.length, byteLength);
  first[at.kind] = frameKinds[kind];
  first[at.group] = name.length;
  writeUint32(first, at.head, head.length);
  first.set(name, frameHeaderBytes);
  first.set(head, headStart);
  sealFrame(first, 0, headEnd);
  if (!small) return { parts: [first, ...tail], byteLength };
  let offset = headEnd;
  for (const piece of tail) {
    first.set(piece, offset);
    offset += piece.length;
  }
  return { parts: [first], byteLength };
}

/** Writes the checksum of the frame at `start`, whose head ends at `headEnd`. */
function sealFrame(bytes: Uint8Array, start: number, headEnd: number): void {
  writeUint32(bytes, start + at.checksum, frameChecksum(bytes, start, headEnd));
}

function frameChecksum(bytes: Uint8Array, start: number, headEnd: number): number {
  const ofLength = checksumRange(bytes, start, start + at.checksum);
  return checksumRange(bytes, start + at.kind, headEnd, ofLength);
}

const encodedGroups = new Map<string, Uint8Array>();

function encodeGroup(group: string): Uint8Array {
  const known = encodedGroups.get(group);
  if (known !== undefined) return known;
  const encoded = encodeText(group);
  assert(encoded.length <= groupBytesMax, "a group's name is at most 64 bytes");
  // A client's names come from outside, so the cache is emptied rather than left to grow.
  if (encodedGroups.size >= limits.encodedGroupsMax) encodedGroups.clear();
  encodedGroups.set(group, encoded);
  return encoded;
}

/** The length field of the frame that begins at `start`. Throws {@link MalformedError} where no frame is that long. */
export function frameLength(bytes: Uint8Array, start: number, frameBytesMax: number): number {
  const length = readUint32(bytes, start + at.length);
  if (length < frameHeaderBytes) throw new MalformedError("a frame is shorter than its header");
  if (length > frameBytesMax) throw new MalformedError(`a frame is longer than ${frameBytesMax} bytes`);
  return length;
}

/** Reads the whole frame `bytes[start … start + length)`. Throws {@link MalformedError}. */
export function decodeFrame(bytes: Uint8Array, start: number, length: number): Frame {
  const groupLength = bytes[start + at.group] ?? 0;
  const headStart = start + frameHeaderBytes + groupLength;
  const headEnd = headStart + readUint32(bytes, start + at.head);
  if (headEnd > start + length) throw new MalformedError("a frame ends in its head");
  if (frameChecksum(bytes, start, headEnd) !== readUint32(bytes, start + at.checksum)) {
    throw new MalformedError("a frame's checksum is wrong");
  }
  if (((bytes[start + at.zero] ?? 0) | (bytes[start + at.zero + 1] ?? 0)) !== 0) {
    throw new MalformedError("a frame's spare bytes are not zero");
  }
  const code = bytes[start + at.kind] ?? 0;
  const kind = frameKindName(code);
  if (kind === undefined) throw new MalformedError(`a frame of the unknown kind ${code}`);
  return {
    kind,
    group: decodeGroup(bytes, start + frameHeaderBytes, groupLength),
    head: bytes.subarray(headStart, headEnd),
    tail: bytes.subarray(headEnd, start + length),
  };
}

/** Names are ASCII, so a name is read character by character; whether such a group exists is for others to say. */
function decodeGroup(bytes: Uint8Array, from: number, length: number): string {
  if (length > groupBytesMax) throw new MalformedError("a group's name is longer than 64 bytes");
  let name = "";
  for (let offset = from; offset < from + length; offset++) {
    const code = bytes[offset] ?? 0;
    if (code < 0x21 || code > 0x7e) throw new MalformedError("a group's name is not of printable characters");
    name += String.fromCharCode(code);
  }
  return name;
}

const lengthGuessMax = 256 * 1024;

/** Memory of frames that have left, for whoever writes next: to make it anew costs more than what is written to it. */
const spare: Uint8Array[] = [];
const sparesMax = 16;

/** Not zeroed: of what is in it only what was written ever leaves. */
function memoryFor(byteLength: number): Uint8Array {
  const place = spare.findLastIndex((memory) => memory.length >= byteLength);
  if (place >= 0) return spare.splice(place, 1)[0] as Uint8Array;
  // A plain array: code that meets a Buffer as well is twice as slow for both.
  return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer);
}

/**
 * Many small frames, one behind the other in one piece of memory, so that the answers of a turn cost no object each
 * and leave as one write.
 */
export class FrameWriter {
  #bytes: Uint8Array = emptyBytes;
  /** The memory of what was taken last. */
  #taken: Uint8Array | undefined;
  #length = 0;
  #start = -1;
  #headStart = 0;
  #headEnd = -1;
  /** About what the last turn wrote: the next one begins with as much, rather than grow into it. */
  #lengthGuess = 0;

  /** Bytes of complete frames. */
  get byteLength(): number {
    return this.#start < 0 ? this.#length : this.#start;
  }

  /** Bytes of the frame that is open, header included. */
  get openBytes(): number {
    return this.#start < 0 ? 0 : this.#length - this.#start;
  }

  begin(kind: FrameKind, group: string): this {
    assert(this.#start < 0, "one frame is written at a time");
    const name = encodeGroup(group);
    const start = this.#length;
    this.#reserve(frameHeaderBytes + name.length);
    this.#start = start;
    this.#headStart = this.#length;
    this.#headEnd = -1;
    const bytes = this.#bytes;
    bytes[start + at.kind] = frameKinds[kind];
    bytes[start + at.group] = name.length;
    bytes[start + at.zero] = 0;
    bytes[start + at.zero + 1] = 0;
    bytes.set(name, start + frameHeaderBytes);
    return this;
  }

  uint8(value: number): this {
    const offset = this.#reserve(1);
    this.#bytes[offset] = value;
    return this;
  }

  uint16(value: number): this {
    const offset = this.#reserve(2);
    this.#bytes[offset] = value;
    this.#bytes[offset + 1] = value >>> 8;
    return this;
  }

  uint32(value: number): this {
    const offset = this.#reserve(4);
    writeUint32(this.#bytes, offset, value);
    return this;
  }

  uint53(value: number): this {
    const offset = this.#reserve(8);
    writeUint53(this.#bytes, offset, value);
    return this;
  }

  raw(value: Uint8Array): this {
    const offset = this.#reserve(value.length);
    this.#bytes.set(value, offset);
    return this;
  }

  /** Length (4 bytes), then the bytes. */
  sized(value: Uint8Array): this {
    return this.uint32(value.length).raw(value);
  }

  /** Length in bytes (2 bytes), then UTF-8. */
  text(value: string): this {
    const encoded = encodeText(value);
    return this.uint16(encoded.length).raw(encoded);
  }

  /** What follows is the tail. */
  tail(): this {
    this.#headEnd = this.#length;
    return this;
  }

  end(): void {
    assert(this.#start >= 0, "a frame was begun");
    const start = this.#start;
    const headEnd = this.#headEnd < 0 ? this.#length : this.#headEnd;
    assert(this.#length - start <= limits.frameBytesMax, "a frame is within its limit");
    writeUint32(this.#bytes, start + at.length, this.#length - start);
    writeUint32(this.#bytes, start + at.head, headEnd - this.#headStart);
    sealFrame(this.#bytes, start, headEnd);
    this.#start = -1;
  }

  /** The complete frames, which are the caller's until {@link reclaim}; undefined where there are none. */
  take(): Uint8Array | undefined {
    assert(this.#start < 0, "no frame is open");
    if (this.#length === 0) return undefined;
    const taken = this.#bytes.subarray(0, this.#length);
    this.#lengthGuess = Math.min(taken.length + (taken.length >> 2), lengthGuessMax);
    this.#taken = this.#bytes;
    this.#bytes = emptyBytes;
    this.#length = 0;
    return taken;
  }

  /** Nobody needs what was taken any more: its memory may be written to again. */
  reclaim(): void {
    const memory = this.#taken;
    this.#taken = undefined;
    if (memory === undefined || memory.length > lengthGuessMax || spare.length >= sparesMax) return;
    spare.push(memory);
  }

  #reserve(byteLength: number): number {
    const offset = this.#length;
    const end = offset + byteLength;
    if (end > this.#bytes.length) {
      const grown = memoryFor(Math.max(end, 1024, this.#lengthGuess, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#length = end;
    return offset;
  }
}
