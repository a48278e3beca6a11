/** What a client and an agent say to each other about a backup, as heads of frames. `docs/wire.md` has the layouts. */
import type { Refusal } from "../../core/boundary.ts";
import { ByteReader, ByteWriter } from "../../core/bytes.ts";
import { MalformedError } from "../../core/errors.ts";
import type { WireVersion } from "../../core/wire-version.ts";
import { readOffer, writeOffer, type OfferedSnapshot } from "../../driver/transfer-messages.ts";
import type { SnapshotPiece } from "../../journal/snapshot-reader.ts";
import { readRefusal } from "../../raft/fields.ts";
import { writeRefusal } from "../client-wire.ts";
import type { FrameWriter } from "../frame.ts";

/** `linearizable`: with all that was acknowledged before; `local`: what that agent has applied. */
export type BackupAt = "linearizable" | "local";

export type BackupAnswer =
  | { readonly kind: "opened"; readonly snapshot: OfferedSnapshot }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** No entry has been applied, so there is nothing to back up. */
  | { readonly kind: "nothing" }
  /** The agent could not write it down. */
  | { readonly kind: "failed"; readonly why: string };

const answerKinds = { opened: 0, refused: 1, nothing: 2, failed: 3 } as const satisfies Record<
  BackupAnswer["kind"],
  number
>;

export function decodeBackup(head: Uint8Array): { readonly request: number; readonly at: BackupAt } {
  const reader = new ByteReader(head);
  const request = requestNumber(reader);
  const at = reader.uint8();
  reader.end();
  if (at > 1) throw new MalformedError("a backup of an unknown kind");
  return { request, at: at === 0 ? "linearizable" : "local" };
}

export function writeBackup(writer: FrameWriter, at: BackupAt): void {
  writer.uint8(at === "linearizable" ? 0 : 1);
}

export function writeBackupAnswer(writer: FrameWriter, answer: BackupAnswer, version: WireVersion): void {
  writer.uint8(answerKinds[answer.kind]);
  switch (answer.kind) {
    case "opened": {
      const bytes = new ByteWriter();
      writeOffer(bytes, answer.snapshot);
      writer.raw(bytes.finish());
      return;
    }
    case "refused":
      writeRefusal(writer, answer.refusal, version);
      return;
    case "failed":
      writer.text(answer.why);
      return;
    case "nothing":
  }
}

export function readBackupAnswer(reader: ByteReader, version: WireVersion): BackupAnswer {
  const answer = readAnyAnswer(reader, version);
  reader.end();
  return answer;
}

function readAnyAnswer(reader: ByteReader, version: WireVersion): BackupAnswer {
  switch (reader.uint8()) {
    case answerKinds.opened:
      return { kind: "opened", snapshot: readOffer(reader) };
    case answerKinds.refused:
      return { kind: "refused", refusal: readRefusal(reader, version) };
    case answerKinds.nothing:
      return { kind: "nothing" };
    case answerKinds.failed:
      return { kind: "failed", why: reader.text() };
    default:
      throw new MalformedError("an answer about a backup of an unknown kind");
  }
}

/** Of the backup that this connection opened last. */
export function decodeBackupPiece(head: Uint8Array): { readonly request: number; readonly number: number } {
  const reader = new ByteReader(head);
  const asked = { request: requestNumber(reader), number: reader.uint32() };
  reader.end();
  return asked;
}

/** Undefined: the backup is not open any more, or the piece can't be read as it was written. */
export function writeBackupPieceAnswer(writer: FrameWriter, piece: SnapshotPiece | undefined): void {
  if (piece === undefined) writer.uint8(1);
  else writer.uint8(0).uint32(piece.checksum).tail().raw(piece.bytes);
}

export function readBackupPieceAnswer(reader: ByteReader, tail: Uint8Array): SnapshotPiece | undefined {
  const kind = reader.uint8();
  if (kind > 1) throw new MalformedError("a piece of a backup of an unknown kind");
  const checksum = kind === 0 ? reader.uint32() : 0;
  reader.end();
  if (kind === 0) return { bytes: tail, checksum };
  if (tail.length > 0) throw new MalformedError("no piece of a backup, and its bytes all the same");
  return undefined;
}

function requestNumber(reader: ByteReader): number {
  const request = reader.uint32();
  if (request === 0) throw new MalformedError("a request has a number from 1");
  return request;
}
