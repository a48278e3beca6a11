/** What is said about backups survives the way, and nothing else comes out of bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader } from "../../core/bytes.ts";
import { MalformedError } from "../../core/errors.ts";
import type { AgentId } from "../../core/ids.ts";
import { decodeFrame, frameLength, FrameWriter, type Frame } from "../frame.ts";
import * as wire from "./backup-wire.ts";
import { sample } from "./test-backups.ts";

function sent(write: (writer: FrameWriter) => void): Frame {
  const writer = new FrameWriter();
  write(writer.begin("failed", "main"));
  writer.end();
  const bytes = writer.take() as Uint8Array;
  return decodeFrame(bytes, 0, frameLength(bytes, 0, 4_000_000));
}

/** `fine`: a value, or malformed. */
function outcomeOf(action: () => unknown): string {
  try {
    action();
    return "fine";
  } catch (error) {
    return error instanceof MalformedError ? "fine" : String(error);
  }
}

const { group: _group, ...offered } = sample(2).snapshot;
const answers: readonly wire.BackupAnswer[] = [
  { kind: "opened", snapshot: offered },
  { kind: "refused", refusal: { kind: "notLeader", leader: "b" as AgentId } },
  { kind: "nothing" },
  { kind: "failed", why: "the disk is full" },
];

describe("there and back", () => {
  test.each(answers)("an answer: $kind", (answer) => {
    const { head } = sent((writer) => wire.writeBackupAnswer(writer, answer, 2));
    expect(wire.readBackupAnswer(new ByteReader(head), 2)).toEqual(answer);
  });

  test.each(["linearizable", "local"] as const)("a request: %s", (at) => {
    const { head } = sent((writer) => wire.writeBackup(writer.uint32(9), at));
    expect(wire.decodeBackup(head)).toEqual({ request: 9, at });
  });

  test("a request for a piece, the piece, and that there is none", () => {
    const { head } = sent((writer) => writer.uint32(9).uint32(3));
    expect(wire.decodeBackupPiece(head)).toEqual({ request: 9, number: 3 });
    for (const piece of [{ bytes: Uint8Array.of(1, 2), checksum: 7 }, undefined]) {
      const frame = sent((writer) => wire.writeBackupPieceAnswer(writer, piece));
      expect(wire.readBackupPieceAnswer(new ByteReader(frame.head), new Uint8Array(frame.tail))).toEqual(
        piece,
      );
    }
  });
});

describe("nothing else", () => {
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
  test.each<[string, () => unknown]>([
    ["a backup of an unknown kind", () => wire.decodeBackup(bytes(9, 0, 0, 0, 2))],
    ["a backup without a number", () => wire.decodeBackup(bytes(0, 0, 0, 0, 1))],
    ["a backup and more", () => wire.decodeBackup(bytes(9, 0, 0, 0, 1, 1))],
    ["a piece without a number", () => wire.decodeBackupPiece(bytes(9, 0, 0, 0))],
    ["an answer of an unknown kind", () => wire.readBackupAnswer(new ByteReader(bytes(4)), 2)],
    ["an answer and more", () => wire.readBackupAnswer(new ByteReader(bytes(2, 0)), 2)],
    ["a piece of an unknown kind", () => wire.readBackupPieceAnswer(new ByteReader(bytes(2)), bytes())],
    ["no piece, with bytes", () => wire.readBackupPieceAnswer(new ByteReader(bytes(1)), bytes(1))],
    ["a piece without a checksum", () => wire.readBackupPieceAnswer(new ByteReader(bytes(0, 1)), bytes(1))],
  ])("%s", (_name, read) => {
    expect(read).toThrow(MalformedError);
  });

  test("any bytes: an answer, or malformed, never another error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (head) => {
        expect(outcomeOf(() => wire.readBackupAnswer(new ByteReader(head), 2))).toBe("fine");
      }),
      { numRuns: 1000 },
    );
  });
});
