import { assert } from "../core/assert.ts";
import type { Checksum } from "../core/checksum.ts";
import { isDiskFull, type Disk, type DiskFile } from "./disk.ts";

/** What all files of a store share. */
export interface StoreDisk {
  readonly disk: Disk;
  readonly checksum: Checksum;
  /** Runs a task soon, after what already waits; never once the store has ended. */
  schedule(task: () => void): void;
  /** Starts something asynchronous, which the store waits for before it closes. */
  await(start: (done: (error?: Error) => void) => void, then: (error?: Error) => void): void;
  /** The disk is broken: the agent must end. */
  fail(error: unknown): void;
  /** The draft's file is closed. */
  ended(draft: Draft): void;
}

/**
 * A file on its way to be a snapshot: it has another name until all of it is on the disk. Without room for it, it is
 * removed and its owner told; whatever else fails ends the agent.
 */
export class Draft {
  readonly #store: StoreDisk;
  readonly #file: DiskFile;
  readonly #onFull: (error: Error) => void;
  #name: string;
  #unsyncedBytes = 0;
  #waits = false;
  #isOver = false;

  constructor(store: StoreDisk, name: string, file: DiskFile, onFull: (error: Error) => void) {
    this.#store = store;
    this.#name = name;
    this.#file = file;
    this.#onFull = onFull;
  }

  /** Written since the last sync began. */
  get unsyncedBytes(): number {
    return this.#unsyncedBytes;
  }

  /** A sync is under way. */
  get waits(): boolean {
    return this.#waits;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** False: there was no room, and it is over. */
  write(offset: number, bytes: Uint8Array): boolean {
    assert(!this.#isOver, "nothing is written behind the end");
    return this.#attempt(() => {
      this.#file.write(offset, bytes);
      this.#unsyncedBytes += bytes.length;
    });
  }

  /** `then` comes once everything written so far is on the disk, unless it is over by then. */
  sync(then: () => void): void {
    this.#unsyncedBytes = 0;
    this.#await((done) => this.#file.sync(done), then);
  }

  /** Gives it the name, durably and with all that was written, and closes it; then comes `then`. */
  publish(name: string, then: () => void): void {
    this.sync(() => {
      const isNamed = this.#attempt(() => this.#store.disk.rename(this.#name, name));
      if (!isNamed) return;
      this.#name = name;
      this.#await(
        (done) => this.#store.disk.syncDirectory(done),
        () => {
          this.end("keep");
          then();
        },
      );
    });
  }

  /** It is over, whatever it is in the middle of. From now on its name is free, or what it holds may be gone on with. */
  end(how: "keep" | "remove"): void {
    if (this.isOver) return;
    this.#isOver = true;
    if (how === "remove") this.#remove();
    // A file is not closed under its sync.
    if (!this.#waits) this.#close();
  }

  #await(start: (done: (error?: Error) => void) => void, then: () => void): void {
    assert(!this.#waits, "a file waits for one thing at a time");
    this.#waits = true;
    this.#attempt(() =>
      this.#store.await(start, (error) => {
        this.#waits = false;
        if (this.#isOver) this.#close();
        else if (error === undefined) then();
        else this.#refused(error);
      }),
    );
  }

  #attempt(step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      this.#waits = false;
      this.#refused(error);
      return false;
    }
  }

  #refused(error: unknown): void {
    const isFull = isDiskFull(error);
    this.end(isFull ? "remove" : "keep");
    if (isFull) this.#onFull(error as Error);
    else this.#store.fail(error);
  }

  #close(): void {
    this.#file.close();
    this.#store.ended(this);
  }

  #remove(): void {
    try {
      this.#store.disk.remove(this.#name);
    } catch (error) {
      // Some disks need room to remove a file. It is removed at the next start, or when its name is needed again.
      if (!isDiskFull(error)) this.#store.fail(error);
    }
  }
}
