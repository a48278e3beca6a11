import { assert } from "../core/assert.ts";
import { readUint32 } from "../core/bytes.ts";
import type { Checksum } from "../core/checksum.ts";
import { MalformedError } from "../core/errors.ts";
import { DiskError, type Disk, type DiskFile } from "./disk.ts";
import {
  decodeHeader,
  headerBytesOf,
  pieceCount,
  pieceHeadBytes,
  pieceLength,
  pieceOffset,
  PieceChecksums,
  type FiledSnapshot,
  type HeaderFound,
} from "./snapshot-format.ts";

/** A piece of a snapshot as it is on the disk: found to be what was written there. */
export interface SnapshotPiece {
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

/** Reads a snapshot's file, one that is whole or one of which a part has arrived. */
export class SnapshotReader {
  readonly snapshot: FiledSnapshot;
  readonly #file: DiskFile;
  readonly #headerBytes: number;
  readonly #checksums: PieceChecksums;
  readonly #onClose: () => void;
  #closed = false;

  constructor(snapshot: FiledSnapshot, file: DiskFile, checksum: Checksum, onClose: () => void) {
    this.snapshot = snapshot;
    this.#file = file;
    this.#onClose = onClose;
    this.#headerBytes = headerBytesOf(snapshot);
    this.#checksums = new PieceChecksums(snapshot, snapshot.pieceBytes, checksum);
  }

  get pieceCount(): number {
    return pieceCount(this.snapshot);
  }

  /** The piece with this number; undefined where it is not what was written. */
  piece(number: number): SnapshotPiece | undefined {
    assert(!this.#closed, "a file that is closed is not read");
    const bytes = new Uint8Array(pieceHeadBytes + pieceLength(this.snapshot, number));
    const offset = pieceOffset(this.#headerBytes, this.snapshot.pieceBytes, number);
    if (!this.#fill(offset, bytes)) return undefined;
    const checksum = readUint32(bytes, 0);
    const piece = bytes.subarray(pieceHeadBytes);
    return this.#checksums.of(number, piece) === checksum ? { bytes: piece, checksum } : undefined;
  }

  /** All pieces, in order. Throws {@link MalformedError} where one, or all together, are not what was written. */
  *pieces(): Generator<Uint8Array, void, undefined> {
    let contents = 0;
    for (let number = 0; number < this.pieceCount; number++) {
      const piece = this.piece(number);
      if (piece === undefined) throw new MalformedError(`piece ${number} of a snapshot is damaged`);
      contents = this.#checksums.contents(contents, piece.checksum);
      yield piece.bytes;
    }
    if (contents !== this.snapshot.contents) throw new MalformedError("a snapshot's pieces are not its own");
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
    this.#onClose();
  }

  /** A sector that can't be read is as good as one that has rotted. */
  #fill(offset: number, bytes: Uint8Array): boolean {
    try {
      return this.#file.read(offset, bytes) === bytes.length;
    } catch (error) {
      if (error instanceof DiskError) return false;
      throw error;
    }
  }
}

export type OpenedSnapshot =
  | { readonly kind: "open"; readonly file: DiskFile; readonly snapshot: FiledSnapshot }
  | { readonly kind: "missing" }
  | (Exclude<HeaderFound, { readonly kind: "header" }> & { readonly bytes: number });

/** Opens a file and reads its header. Throws `DiskError` where the disk does not let it. */
export function openSnapshotFile(disk: Disk, name: string, checksum: Checksum): OpenedSnapshot {
  let file: DiskFile;
  try {
    file = disk.open(name, "existing");
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return { kind: "missing" };
    throw error;
  }
  const found = decodeHeader((byteLength) => {
    const bytes = new Uint8Array(byteLength);
    return bytes.subarray(0, file.read(0, bytes));
  }, checksum);
  if (found.kind === "header") return { kind: "open", file, snapshot: found.snapshot };
  const bytes = file.byteLength();
  file.close();
  return { ...found, bytes };
}

/** Bytes of a whole file. */
export function fileBytesOf(snapshot: FiledSnapshot): number {
  return headerBytesOf(snapshot) + pieceCount(snapshot) * pieceHeadBytes + snapshot.byteLength;
}
