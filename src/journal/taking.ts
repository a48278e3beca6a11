import { AssertionError } from "../core/assert.ts";
import { limits } from "../core/limits.ts";
import { Draft, type StoreDisk } from "./draft.ts";
import {
  encodeHeader,
  headerBytesOf,
  isAcceptable,
  pieceHeadBytes,
  pieceOffset,
  PieceChecksums,
  snapshotFileName,
  type FiledSnapshot,
  type SnapshotName,
} from "./snapshot-format.ts";
import { writeUint32 } from "../core/bytes.ts";

export type TakeResult =
  /** It is on the disk, under its name. */
  | { readonly kind: "stored"; readonly snapshot: FiledSnapshot }
  /** There was no room for it, or the state could not be written down: nothing of it is left. */
  | { readonly kind: "failed"; readonly error: Error };

/** Writes down a frozen state: one piece per step, and no further ahead of the disk than `limits.pieceBytesMax`. */
export class Taking {
  readonly #store: StoreDisk;
  readonly #name: SnapshotName;
  readonly #draft: Draft;
  readonly #source: Iterator<Uint8Array>;
  readonly #done: (result: TakeResult) => void;
  readonly #pieceBytes: number;
  readonly #headerBytes: number;
  readonly #checksums: PieceChecksums;
  /** The piece that is being filled, behind room for its checksum; used again for each. */
  readonly #piece: Uint8Array;
  #filled = 0;
  /** What the source gave last, and how much of it has been used. */
  #part: Uint8Array = new Uint8Array(0);
  #at = 0;
  #pieces = 0;
  #byteLength = 0;
  #contents = 0;

  /** Throws `DiskError` where not even its file can be made. */
  constructor(
    store: StoreDisk,
    name: SnapshotName,
    pieces: Iterable<Uint8Array>,
    pieceBytes: number,
    done: (result: TakeResult) => void,
  ) {
    this.#store = store;
    this.#name = name;
    this.#source = pieces[Symbol.iterator]();
    this.#done = done;
    this.#pieceBytes = pieceBytes;
    this.#headerBytes = headerBytesOf(name);
    this.#checksums = new PieceChecksums(name, pieceBytes, store.checksum);
    this.#piece = new Uint8Array(pieceHeadBytes + pieceBytes);
    const temporary = snapshotFileName(name.group, name.index, "temporary");
    const file = store.disk.open(temporary, "create");
    this.#draft = new Draft(store, temporary, file, (error) => this.#failed(error));
    store.schedule(() => this.#step());
  }

  get draft(): Draft {
    return this.#draft;
  }

  /** Gives it up: nobody is called back. */
  end(): void {
    this.#draft.end("remove");
  }

  #step(): void {
    if (this.#draft.isOver) return;
    let isFull: boolean;
    try {
      isFull = this.#fill();
    } catch (thrown) {
      this.#stateThrew(thrown);
      return;
    }
    if (this.#filled > 0 && !this.#write()) return;
    if (!isFull) this.#finish();
    else if (this.#draft.unsyncedBytes < limits.pieceBytesMax) this.#store.schedule(() => this.#step());
    else this.#draft.sync(() => this.#store.schedule(() => this.#step()));
  }

  /** A machine of somebody's own may fail to write down its state, and the group does without the snapshot. */
  #stateThrew(thrown: unknown): void {
    if (thrown instanceof AssertionError) {
      this.#store.fail(thrown);
      return;
    }
    this.#draft.end("remove");
    this.#failed(
      thrown instanceof Error ? thrown : new Error("the state threw something", { cause: thrown }),
    );
  }

  /** Fills the piece; false: the source is at its end. */
  #fill(): boolean {
    while (this.#filled < this.#pieceBytes) {
      if (this.#at === this.#part.length) {
        const next = this.#source.next();
        if (next.done === true) return false;
        this.#part = next.value;
        this.#at = 0;
        continue;
      }
      const taken = this.#part.subarray(this.#at, this.#at + this.#pieceBytes - this.#filled);
      this.#piece.set(taken, pieceHeadBytes + this.#filled);
      this.#filled += taken.length;
      this.#at += taken.length;
    }
    return true;
  }

  #write(): boolean {
    const bytes = this.#piece.subarray(0, pieceHeadBytes + this.#filled);
    const checksum = this.#checksums.of(this.#pieces, bytes.subarray(pieceHeadBytes));
    writeUint32(bytes, 0, checksum);
    const offset = pieceOffset(this.#headerBytes, this.#pieceBytes, this.#pieces);
    this.#contents = this.#checksums.contents(this.#contents, checksum);
    this.#byteLength += this.#filled;
    this.#pieces += 1;
    this.#filled = 0;
    if (!isAcceptable(this.#snapshot)) {
      this.#draft.end("remove");
      this.#failed(new Error(`the state has more than ${limits.snapshotPiecesMax} pieces`));
      return false;
    }
    return this.#draft.write(offset, bytes);
  }

  #finish(): void {
    const snapshot = this.#snapshot;
    if (!this.#draft.write(0, encodeHeader(snapshot, this.#store.checksum))) return;
    this.#draft.publish(snapshotFileName(snapshot.group, snapshot.index, "whole"), () =>
      this.#done({ kind: "stored", snapshot }),
    );
  }

  get #snapshot(): FiledSnapshot {
    return {
      ...this.#name,
      byteLength: this.#byteLength,
      pieceBytes: this.#pieceBytes,
      contents: this.#contents,
    };
  }

  #failed(error: Error): void {
    this.#done({ kind: "failed", error });
  }
}
