/**
 * The form of a whole state's snapshot: a stream of frames (`pieces.ts`).
 *
 * ```
 * head            magic, form, applied index, digest, how many sessions, request ids and machines
 * session …       from the quietest to the liveliest
 * request id …    from the oldest to the newest
 * machine …       [name][version][digest], then its own pieces, then an empty frame; in the order of the names
 * ```
 */
import { ByteReader, ByteWriter, MalformedError } from "../core/index.ts";
import { type FrameReader, frameHead } from "./pieces.ts";
import { encodeRequest, type RequestRecord } from "./request-ids.ts";
import { encodeSession, type FrozenSession } from "./sessions.ts";

const magic = 0x5351_5251;
export const snapshotForm = 1;

/** What a state's digest says of one machine. */
export interface MachineDigest {
  readonly name: string;
  readonly version: number;
  readonly digest: Uint8Array;
}

export interface FrozenMachine extends MachineDigest {
  readonly pieces: Iterable<Uint8Array>;
}

/** A state as it was at one index: nothing in it changes any more. */
export interface FrozenState {
  readonly applied: number;
  readonly digest: Uint8Array;
  readonly sessions: readonly FrozenSession[];
  readonly requests: readonly RequestRecord[];
  readonly machines: readonly FrozenMachine[];
}

export interface SnapshotHead {
  readonly applied: number;
  readonly digest: Uint8Array;
  readonly sessions: number;
  readonly requests: number;
  readonly machines: number;
}

/** The parts of a snapshot, made one by one as they are read. */
export function* snapshotParts(state: FrozenState): Generator<Uint8Array, void, undefined> {
  yield* frame(
    new ByteWriter()
      .uint32(magic)
      .uint8(snapshotForm)
      .uint53(state.applied)
      .raw(state.digest)
      .uint32(state.sessions.length)
      .uint32(state.requests.length)
      .uint32(state.machines.length)
      .finish(),
  );
  for (const session of state.sessions) yield* frame(encodeSession(session));
  for (const request of state.requests) yield* frame(encodeRequest(request));
  for (const { name, version, digest, pieces } of state.machines) {
    yield* frame(new ByteWriter().text(name).uint32(version).bytes(digest).finish());
    for (const piece of pieces) if (piece.length > 0) yield* frame(piece);
    yield frameHead(0);
  }
}

function* frame(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  yield frameHead(bytes.length);
  yield bytes;
}

/** Throws {@link MalformedError}. */
export function readHead(reader: FrameReader): SnapshotHead {
  const head = new ByteReader(reader.frame());
  if (head.uint32() !== magic) throw new MalformedError("these are not the bytes of a snapshot");
  if (head.uint8() !== snapshotForm) throw new MalformedError("a snapshot of an unknown form");
  const found = {
    applied: head.uint53(),
    digest: head.raw(16),
    sessions: head.uint32(),
    requests: head.uint32(),
    machines: head.uint32(),
  };
  head.end();
  return found;
}

/** Throws {@link MalformedError}. */
export function readMachineHead(reader: FrameReader): MachineDigest {
  const head = new ByteReader(reader.frame());
  const found = { name: head.text(), version: head.uint32(), digest: head.bytes() };
  head.end();
  return found;
}

/**
 * One machine's own pieces, as it wrote them, up to the empty frame. An iterator without `return`: a machine that stops
 * early does not end it, so that what it left can be seen.
 */
export function machinePieces(reader: FrameReader): IterableIterator<Uint8Array> {
  let ended = false;
  return {
    [Symbol.iterator]() {
      return this;
    },
    next(): IteratorResult<Uint8Array, undefined> {
      const piece = ended ? undefined : reader.frame();
      ended = piece === undefined || piece.length === 0;
      return ended || piece === undefined ? { done: true, value: undefined } : { done: false, value: piece };
    },
  };
}
