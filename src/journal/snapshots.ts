/** The snapshots of an agent's groups, each in a file of its own, in a folder of their own. SPEC.md has format and rules. */
import { assert } from "../core/assert.ts";
import type { Checksum } from "../core/checksum.ts";
import type { GroupName, LogIndex } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { Arrival } from "./arrival.ts";
import { isDiskFull, type Disk } from "./disk.ts";
import type { Draft, StoreDisk } from "./draft.ts";
import {
  snapshotFileName,
  snapshotOfFile,
  type FiledSnapshot,
  type SnapshotFileName,
  type SnapshotName,
} from "./snapshot-format.ts";
import { fileBytesOf, openSnapshotFile, SnapshotReader } from "./snapshot-reader.ts";
import { Taking, type TakeResult } from "./taking.ts";

export interface SnapshotStoreOptions {
  /** A folder for nothing else. */
  readonly disk: Disk;
  readonly checksum: Checksum;
  /** Runs a task soon, after what already waits: writing and reading go on piece by piece. */
  readonly schedule: (task: () => void) => void;
  /** Of the snapshots that are taken here. Default `limits.snapshotPieceBytesMax`. */
  readonly pieceBytes?: number;
  /** The disk is broken, or an assertion failed: called once, after which nothing goes on, and the agent must end. */
  readonly onFailure: (error: Error) => void;
}

/** What there is under a snapshot's name. */
export type SnapshotFound =
  | { readonly kind: "found"; readonly reader: SnapshotReader }
  | { readonly kind: "missing" }
  /** Its header, or its length, is not what was written. Its pieces are judged when they are read. */
  | { readonly kind: "damaged" }
  | { readonly kind: "otherVersion"; readonly version: number };

export class SnapshotStore {
  readonly #o: SnapshotStoreOptions;
  readonly #access: StoreDisk;
  readonly #drafts = new Set<Draft>();
  readonly #readers = new Set<SnapshotReader>();
  #state: "open" | "closing" | "failed" = "open";
  #waitsFor = 0;
  #closed: (() => void) | undefined;

  /** Removes what the last life was in the middle of taking. Throws `DiskError`. */
  constructor(options: SnapshotStoreOptions) {
    this.#o = options;
    this.#access = {
      disk: options.disk,
      checksum: options.checksum,
      schedule: (task) =>
        options.schedule(() => {
          if (this.#state === "open") task();
        }),
      await: (start, then) => this.#await(start, then),
      fail: (error) => this.#fail(error),
      ended: (draft) => this.#drafts.delete(draft),
    };
    for (const name of options.disk.list()) {
      if (snapshotOfFile(name)?.kind === "temporary") options.disk.remove(name);
    }
  }

  /**
   * Writes a snapshot down in the background, from a view of the state that does not change. Never calls `done` at once,
   * nor after `close`. A file that has the name already is replaced by it, so it must not be needed.
   */
  take(
    name: SnapshotName,
    pieces: Iterable<Uint8Array>,
    done: (result: TakeResult) => void,
  ): Taking | undefined {
    let taking: Taking | undefined;
    this.#attempt(
      () => {
        this.#removeFile(name.group, name.index, "whole");
        this.#removeFile(name.group, name.index, "temporary");
        const pieceBytes = this.#o.pieceBytes ?? limits.snapshotPieceBytesMax;
        taking = new Taking(this.#access, name, pieces, pieceBytes, done);
        this.#drafts.add(taking.draft);
      },
      (error) => this.#access.schedule(() => done({ kind: "failed", error })),
    );
    return taking;
  }

  /**
   * Makes room for a snapshot that a peer sends, or goes on with what is there of it; what is there of another one goes.
   * Undefined: there is no room for it. `changed`: see {@link Arrival}.
   */
  receive(snapshot: FiledSnapshot, changed: () => void): Arrival | undefined {
    let arrival: Arrival | undefined;
    this.#attempt(
      () => {
        this.#removeFile(snapshot.group, snapshot.index, "whole");
        this.#removeAll((file) => {
          return file.group === snapshot.group && file.kind === "arriving" && file.index !== snapshot.index;
        });
        arrival = new Arrival(this.#access, snapshot, changed);
        this.#drafts.add(arrival.draft);
      },
      () => {},
    );
    return arrival;
  }

  /** Throws `DiskError` where the disk does not let it be read. */
  read(group: GroupName, index: LogIndex): SnapshotFound {
    const { disk, checksum } = this.#o;
    const found = openSnapshotFile(disk, snapshotFileName(group, index, "whole"), checksum);
    if (found.kind === "unreadable") return { kind: "damaged" };
    if (found.kind !== "open") return found;
    const { file, snapshot } = found;
    if (snapshot.group !== group || snapshot.index !== index || file.byteLength() !== fileBytesOf(snapshot)) {
      file.close();
      return { kind: "damaged" };
    }
    const reader = new SnapshotReader(snapshot, file, checksum, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return { kind: "found", reader };
  }

  /** Removes the group's snapshots but these. What is arriving, or being taken, stays. */
  keepOnly(group: GroupName, indices: ReadonlySet<LogIndex>): void {
    this.#attempt(
      () =>
        this.#removeAll((file) => file.group === group && file.kind === "whole" && !indices.has(file.index)),
      (error) => this.#fail(error),
    );
  }

  /** Stops where it is, waits for what the disk still works on, closes all files, then calls `done`. */
  close(done: () => void): void {
    assert(this.#closed === undefined, "a store is closed once");
    this.#closed = done;
    if (this.#state === "open") this.#stop("closing");
    this.#closeIfQuiet();
  }

  #stop(state: "closing" | "failed"): void {
    this.#state = state;
    for (const draft of this.#drafts) draft.end("keep");
    for (const reader of this.#readers) reader.close();
  }

  #await(start: (done: (error?: Error) => void) => void, then: (error?: Error) => void): void {
    start((error) => {
      this.#waitsFor -= 1;
      then(error);
      this.#closeIfQuiet();
    });
    this.#waitsFor += 1;
  }

  #closeIfQuiet(): void {
    const done = this.#closed;
    if (done === undefined || this.#waitsFor > 0) return;
    this.#closed = () => {};
    this.#o.schedule(done);
  }

  #removeFile(group: GroupName, index: LogIndex, kind: SnapshotFileName["kind"]): void {
    this.#removeAll((file) => file.group === group && file.index === index && file.kind === kind);
  }

  #removeAll(isMeant: (file: SnapshotFileName) => boolean): void {
    const { disk } = this.#o;
    for (const name of disk.list()) {
      const file = snapshotOfFile(name);
      if (file !== undefined && isMeant(file)) disk.remove(name);
    }
  }

  #attempt(step: () => void, full: (error: Error) => void): void {
    assert(this.#state !== "closing", "a store that is closed takes nothing more");
    if (this.#state === "failed") return;
    try {
      step();
    } catch (error) {
      if (isDiskFull(error)) full(error as Error);
      else this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#state !== "open") return;
    this.#stop("failed");
    this.#o.onFailure(
      error instanceof Error ? error : new Error("the disk threw something", { cause: error }),
    );
  }
}
