/**
 * How snapshots go from agent to agent: messages of the drivers, not of a mechanism, so every ordered log has the same.
 * They travel like the mechanism's own, and their kinds begin where those end. docs/wire.md has the layouts.
 */
import { unreachable } from "../core/assert.ts";
import type { Encoded, Protocol, ProtocolCodec } from "../core/boundary.ts";
import { ByteReader, ByteWriter } from "../core/bytes.ts";
import { MalformedError } from "../core/errors.ts";
import type { LogIndex } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { WireVersion } from "../core/wire-version.ts";
import type { FiledSnapshot } from "../journal/snapshot-format.ts";

/** A snapshot that a peer has, without the group's name, which goes with every message. */
export type OfferedSnapshot = Omit<FiledSnapshot, "group">;

/** "I have this for you." */
export interface SnapshotOffer {
  readonly kind: "snapshotOffer";
  readonly snapshot: OfferedSnapshot;
}

/** Names the snapshot of an offer: both are as there. */
interface OfOffer {
  readonly index: LogIndex;
  readonly contents: number;
}

/** "Send me these pieces." None: "I am still at it, so keep the file." */
export interface SnapshotAsk extends OfOffer {
  readonly kind: "snapshotAsk";
  /** Number of the first piece. */
  readonly first: number;
  readonly count: number;
}

export interface SnapshotPieceMessage extends OfOffer {
  readonly kind: "snapshotPiece";
  readonly number: number;
  /** As its taker wrote it: it passes only as this piece of this snapshot. */
  readonly checksum: number;
  readonly bytes: Uint8Array;
}

/** "I no longer have what you ask for." */
export interface SnapshotGone extends OfOffer {
  readonly kind: "snapshotGone";
}

/** "I have it, or need it no more" (`stored`), or "I can't take it" (`failed`). */
export interface SnapshotEnded extends OfOffer {
  readonly kind: "snapshotEnded";
  readonly outcome: "stored" | "failed";
}

export type TransferMessage =
  | SnapshotOffer
  | SnapshotAsk
  | SnapshotPieceMessage
  | SnapshotGone
  | SnapshotEnded;

/** The numbers are on wires: never change one. A mechanism's own are below the first. */
const transferKinds = {
  snapshotOffer: 64,
  snapshotAsk: 65,
  snapshotPiece: 66,
  snapshotGone: 67,
  snapshotEnded: 68,
} as const satisfies Record<TransferMessage["kind"], number>;

/** The version of the wire that added each. To a peer of an earlier one they can't be said: it stays as far behind as it is. */
export const transferAddedIn: Readonly<Record<TransferMessage["kind"], WireVersion>> = {
  snapshotOffer: 2,
  snapshotAsk: 2,
  snapshotPiece: 2,
  snapshotGone: 2,
  snapshotEnded: 2,
};

const firstKind = Math.min(...Object.values(transferKinds));
const outcomes = ["stored", "failed"] as const;
const noTail: readonly Uint8Array[] = [];

export function isTransfer(message: object): message is TransferMessage {
  return Object.hasOwn(transferKinds, (message as TransferMessage).kind);
}

/** A codec for messages of whatever mechanism. */
export type MessageCodec = Pick<ProtocolCodec<Protocol>, "encodeMessage" | "decodeMessage">;

/** A mechanism's codec that knows these messages as well. */
export function withTransfers(inner: MessageCodec): MessageCodec {
  return {
    encodeMessage: (message, version) => {
      if (!isTransfer(message)) return inner.encodeMessage(message, version);
      return version < transferAddedIn[message.kind] ? undefined : encodeTransfer(message);
    },
    decodeMessage: (head, tail, version) => {
      if ((head[0] ?? 0) < firstKind) return inner.decodeMessage(head, tail, version);
      const reader = new ByteReader(head);
      const message = decodeTransfer(reader, tail);
      reader.end();
      if (version >= transferAddedIn[message.kind]) return message;
      throw new MalformedError("a message that its version does not have");
    },
  };
}

function encodeTransfer(message: TransferMessage): Encoded {
  const writer = new ByteWriter().uint8(transferKinds[message.kind]);
  switch (message.kind) {
    case "snapshotOffer":
      writeOffer(writer, message.snapshot);
      break;
    case "snapshotAsk":
      writeName(writer, message).uint32(message.first).uint8(message.count);
      break;
    case "snapshotPiece":
      writeName(writer, message).uint32(message.number).uint32(message.checksum);
      return { head: writer.finish(), tail: [message.bytes] };
    case "snapshotGone":
      writeName(writer, message);
      break;
    case "snapshotEnded":
      writeName(writer, message).uint8(outcomes.indexOf(message.outcome));
      break;
    default:
      return unreachable(message);
  }
  return { head: writer.finish(), tail: noTail };
}

function decodeTransfer(reader: ByteReader, tail: Uint8Array): TransferMessage {
  const kind = reader.uint8();
  if (kind !== transferKinds.snapshotPiece && tail.length > 0) {
    throw new MalformedError("bytes behind a message that has none");
  }
  switch (kind) {
    case transferKinds.snapshotOffer:
      return { kind: "snapshotOffer", snapshot: readOffer(reader) };
    case transferKinds.snapshotAsk:
      return { kind: "snapshotAsk", ...readName(reader), first: reader.uint32(), count: reader.uint8() };
    case transferKinds.snapshotPiece:
      if (tail.length > limits.snapshotPieceBytesMax) throw new MalformedError("a piece beyond the limit");
      return {
        kind: "snapshotPiece",
        ...readName(reader),
        number: reader.uint32(),
        checksum: reader.uint32(),
        bytes: tail,
      };
    case transferKinds.snapshotGone:
      return { kind: "snapshotGone", ...readName(reader) };
    case transferKinds.snapshotEnded: {
      const name = readName(reader);
      const outcome = outcomes[reader.uint8()];
      if (outcome === undefined) throw new MalformedError("a transfer with an unknown end");
      return { kind: "snapshotEnded", ...name, outcome };
    }
    default:
      throw new MalformedError("a message of an unknown kind");
  }
}

function writeName(writer: ByteWriter, { index, contents }: OfOffer): ByteWriter {
  return writer.uint53(index).uint32(contents);
}

function readName(reader: ByteReader): OfOffer {
  return { index: reader.uint53() as LogIndex, contents: reader.uint32() };
}

export function writeOffer(writer: ByteWriter, snapshot: OfferedSnapshot): void {
  const { byteLength, pieceBytes, digest, anchor } = snapshot;
  writeName(writer, snapshot).uint53(byteLength).uint32(pieceBytes).bytes(digest).bytes(anchor);
}

/** With copies: an offer is kept for longer than the frame that it came in. */
export function readOffer(reader: ByteReader): OfferedSnapshot {
  const name = readName(reader);
  const byteLength = reader.uint53();
  const pieceBytes = reader.uint32();
  const digest = new Uint8Array(reader.bytes());
  const anchor = new Uint8Array(reader.bytes());
  if (digest.length > limits.digestBytesMax || anchor.length > limits.snapshotAnchorBytesMax) {
    throw new MalformedError("an offer beyond the limits");
  }
  return { ...name, byteLength, pieceBytes, digest, anchor };
}
