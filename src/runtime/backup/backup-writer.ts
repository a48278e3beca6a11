/**
 * Writes a backup: a snapshot of one group in a file, in the form that agents keep their own in (`journal/SPEC.md`). It has
 * another name until it is whole and on the disk.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { QuorateError } from "../../core/errors.ts";
import {
  encodeHeader,
  isAcceptable,
  PieceChecksums,
  pieceCount,
  pieceLength,
  type FiledSnapshot,
} from "../../journal/snapshot-format.ts";
import type { SnapshotPiece } from "../../journal/snapshot-reader.ts";
import { checksum } from "../checksum.ts";
import { unusable } from "../data-folder.ts";
import { syncFolder } from "../durable-file.ts";
import { damaged } from "./backup-file.ts";

/** Throws `DATA_EXISTS` where there is something at `path` already. */
export function refuseExisting(path: string): void {
  if (existsSync(path)) throw exists(path);
}

/** Writes one, piece by piece. Whatever goes wrong, `discard` leaves nothing behind. */
export class BackupWriter {
  /** Where it is until it is kept. */
  readonly temporary: string;
  readonly #path: string;
  readonly #snapshot: FiledSnapshot;
  readonly #checksums: PieceChecksums;
  readonly #file: number;
  #pieces = 0;
  #contents = 0;
  #isOpen = true;

  /** Throws `DENIED`, `DISK_FULL`, and `DATA_CORRUPT` where no snapshot can be like that. */
  constructor(path: string, snapshot: FiledSnapshot) {
    if (!isAcceptable(snapshot)) throw damaged("What the agent says of its snapshot");
    this.#path = resolve(path);
    this.temporary = `${this.#path}.part-${randomBytes(4).toString("hex")}`;
    this.#snapshot = snapshot;
    this.#checksums = new PieceChecksums(snapshot, snapshot.pieceBytes, checksum);
    this.#file = this.#attempt(() => openSync(this.temporary, "wx", 0o600));
    try {
      this.#write(encodeHeader(snapshot, checksum));
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** The next piece. Throws `DATA_CORRUPT` where it is not that one, `DISK_FULL`, `DENIED`. */
  write({ bytes, checksum: given }: SnapshotPiece): void {
    const number = this.#pieces;
    const isRight =
      number < pieceCount(this.#snapshot) &&
      bytes.length === pieceLength(this.#snapshot, number) &&
      this.#checksums.of(number, bytes) === given;
    if (!isRight) throw damaged(`Piece ${number} that came`);
    this.#pieces += 1;
    this.#contents = this.#checksums.contents(this.#contents, given);
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, given, true);
    this.#write(head);
    this.#write(bytes);
  }

  /** All pieces have come: they are on the disk, under the temporary name. Throws `DATA_CORRUPT` where some are missing. */
  complete(): void {
    const { contents } = this.#snapshot;
    if (this.#pieces !== pieceCount(this.#snapshot) || this.#contents !== contents)
      throw damaged("What came");
    this.#attempt(() => fdatasyncSync(this.#file));
    this.#close();
  }

  /** Gives it its name. `keep`: throws `DATA_EXISTS` rather than replace what has that name. */
  keep(existing: "keep" | "replace"): void {
    this.#attempt(() => {
      if (existing === "replace") renameSync(this.temporary, this.#path);
      else renameNew(this.temporary, this.#path);
      syncFolder(dirname(this.#path));
    });
  }

  /** Where it was not kept, nothing of it stays. Idempotent. */
  discard(): void {
    this.#close();
    rmSync(this.temporary, { force: true });
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#file);
  }

  #write(bytes: Uint8Array): void {
    this.#attempt(() => {
      for (let written = 0; written < bytes.length;) written += writeSync(this.#file, bytes, written);
    });
  }

  #attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw unusable(this.#path, error);
    }
  }
}

/** In one step, and never over another file. */
function renameNew(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw exists(to);
    // Some file systems have no links: there, nobody must make the same name in between.
    refuseExisting(to);
    renameSync(from, to);
    return;
  }
  unlinkSync(from);
}

function exists(path: string): QuorateError {
  return new QuorateError("DATA_EXISTS", `There is something at ${path} already.`, {
    outcome: "notDone",
    hint: "Name another file, or replace that one with --force. Nothing was changed.",
  });
}
