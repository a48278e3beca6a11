import { assert } from "../core/assert.ts";
import { writeUint32 } from "../core/bytes.ts";
import { limits } from "../core/limits.ts";
import { Draft, type StoreDisk } from "./draft.ts";
import {
  encodeHeader,
  headerBytesOf,
  isSameSnapshot,
  pieceCount,
  pieceHeadBytes,
  pieceLength,
  pieceOffset,
  PieceChecksums,
  snapshotFileName,
  type FiledSnapshot,
} from "./snapshot-format.ts";
import { openSnapshotFile, SnapshotReader } from "./snapshot-reader.ts";

/** What became of a piece that came. `full`: there is no room for it, and nothing is left of the snapshot. */
export type PieceResult = "taken" | "known" | "refused" | "full";

export type ArrivalResult =
  /** It is on the disk, under its name, and all of it is what its sender has. */
  | { readonly kind: "stored" }
  /** There was no room for it: nothing of it is left. */
  | { readonly kind: "full"; readonly error: Error }
  /** Each piece passes, but not all together: nothing of it is left. */
  | { readonly kind: "mixed" };

/**
 * A snapshot that comes from a peer, in pieces of any order. What is there of it outlives this agent: a later arrival of
 * the same snapshot reads it, and goes on where the first piece is missing.
 */
export class Arrival {
  readonly snapshot: FiledSnapshot;
  /** How many pieces there are in all. */
  readonly pieces: number;
  readonly #store: StoreDisk;
  readonly #draft: Draft;
  readonly #changed: () => void;
  readonly #headerBytes: number;
  readonly #pieceChecksums: PieceChecksums;
  /** Of each piece that is here. */
  readonly #checksums: Uint32Array;
  /** Every piece before this one is here … */
  #next = 0;
  /** … and these behind it. */
  readonly #beyond = new Set<number>();
  #state: "checking" | "open" | "over" = "checking";
  #result: ArrivalResult | undefined;

  /**
   * `changed` is called when it is worth another look: it has read what was there, a sync has returned, or there is a
   * result. That may be within `add`. Throws `DiskError` where its file can't even be made.
   */
  constructor(store: StoreDisk, snapshot: FiledSnapshot, changed: () => void) {
    this.snapshot = snapshot;
    this.pieces = pieceCount(snapshot);
    this.#store = store;
    this.#changed = changed;
    this.#headerBytes = headerBytesOf(snapshot);
    this.#pieceChecksums = new PieceChecksums(snapshot, snapshot.pieceBytes, store.checksum);
    this.#checksums = new Uint32Array(this.pieces);
    const name = snapshotFileName(snapshot.group, snapshot.index, "arriving");
    const full = (error: Error): void => this.#over({ kind: "full", error });
    const there = openSnapshotFile(store.disk, name, store.checksum);
    if (there.kind === "open" && isSameSnapshot(there.snapshot, snapshot)) {
      this.#draft = new Draft(store, name, there.file, full);
      const reader = new SnapshotReader(snapshot, there.file, store.checksum, () => {});
      this.#begin(() => this.#check(reader));
      return;
    }
    if (there.kind === "open") there.file.close();
    if (there.kind !== "missing") store.disk.remove(name);
    this.#draft = new Draft(store, name, store.disk.open(name, "create"), full);
    this.#begin(() => this.#opened());
  }

  /** Writes the header, unless it is over by then or there is no room. */
  #begin(then: () => void): void {
    this.#store.schedule(() => {
      if (this.#state !== "checking") return;
      if (this.#draft.write(0, encodeHeader(this.snapshot, this.#store.checksum))) then();
    });
  }

  get draft(): Draft {
    return this.#draft;
  }

  /** It may be given pieces; not while it reads what was there. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Undefined until it is over. */
  get result(): ArrivalResult | undefined {
    return this.#result;
  }

  /** The first piece that is not here. */
  get next(): number {
    return this.#next;
  }

  get isWhole(): boolean {
    return this.isOpen && this.#next === this.pieces;
  }

  /** So much waits for the disk that nothing further should be asked for. */
  get isBehind(): boolean {
    return this.#draft.unsyncedBytes >= 2 * limits.pieceBytesMax;
  }

  has(number: number): boolean {
    return number < this.#next || this.#beyond.has(number);
  }

  /** Writes a piece in its place, if it is what the snapshot's taker wrote there. */
  add(number: number, bytes: Uint8Array, checksum: number): PieceResult {
    assert(this.isOpen, "pieces are given to an arrival that is open");
    if (number >= this.pieces || bytes.length !== pieceLength(this.snapshot, number)) return "refused";
    if (this.has(number)) return "known";
    if (this.#pieceChecksums.of(number, bytes) !== checksum) return "refused";
    return this.#write(number, bytes, checksum) ? "taken" : "full";
  }

  #write(number: number, bytes: Uint8Array, checksum: number): boolean {
    const piece = new Uint8Array(pieceHeadBytes + bytes.length);
    writeUint32(piece, 0, checksum);
    piece.set(bytes, pieceHeadBytes);
    const offset = pieceOffset(this.#headerBytes, this.snapshot.pieceBytes, number);
    if (!this.#draft.write(offset, piece)) return false;
    this.#here(number, checksum);
    this.#syncIfDue();
    return true;
  }

  /** All pieces are here: makes it a snapshot, durably. */
  finish(): void {
    assert(this.isWhole, "an arrival ends with its last piece");
    this.#state = "over";
    let contents = 0;
    for (const checksum of this.#checksums) contents = this.#pieceChecksums.contents(contents, checksum);
    if (contents !== this.snapshot.contents) {
      this.#draft.end("remove");
      this.#store.schedule(() => this.#over({ kind: "mixed" }));
      return;
    }
    if (!this.#draft.waits) this.#publish();
  }

  /** `keep`: a later arrival goes on with it. */
  end(how: "keep" | "remove"): void {
    this.#state = "over";
    this.#draft.end(how);
  }

  /**
   * One piece of what was there per step, up to the first that is not what was written. Each is written again: if a sync
   * failed in the life before, the page cache shows what the disk lacks, and no later sync would write it.
   */
  #check(reader: SnapshotReader): void {
    if (this.#state !== "checking") return;
    const piece = this.#next < this.pieces ? reader.piece(this.#next) : undefined;
    if (piece === undefined) {
      this.#opened();
      return;
    }
    if (!this.#write(this.#next, piece.bytes, piece.checksum)) return;
    this.#store.schedule(() => this.#check(reader));
  }

  #opened(): void {
    this.#state = "open";
    this.#changed();
  }

  #here(number: number, checksum: number): void {
    this.#checksums[number] = checksum;
    this.#beyond.add(number);
    while (this.#beyond.delete(this.#next)) this.#next += 1;
  }

  #syncIfDue(): void {
    if (this.#draft.waits || this.#draft.unsyncedBytes < limits.pieceBytesMax) return;
    this.#draft.sync(() => {
      if (this.#state === "over") {
        this.#publish();
        return;
      }
      this.#syncIfDue();
      this.#changed();
    });
  }

  #publish(): void {
    const { group, index } = this.snapshot;
    this.#draft.publish(snapshotFileName(group, index, "whole"), () => this.#over({ kind: "stored" }));
  }

  #over(result: ArrivalResult): void {
    this.#state = "over";
    this.#result = result;
    this.#changed();
  }
}
