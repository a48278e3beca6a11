/**
 * The disk as the journal sees it: one flat folder of files. Callback-based, so that `node:fs`, the memory and the
 * simulated disk all fit. The journal is its only user; a lock elsewhere keeps a second process out.
 */

/** Why the disk refused. `code` as the operating system names it: `ENOSPC`, `EDQUOT`, `EIO`, `EEXIST`, `ENOENT` … */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** One folder. Every method but the asynchronous `syncDirectory` throws {@link DiskError} where it fails. */
export interface Disk {
  /** Names of the files in the folder, in any order. */
  list(): readonly string[];
  /** `create` fails if the file exists (`EEXIST`), `existing` if it does not (`ENOENT`). */
  open(name: string, mode: "create" | "existing"): DiskFile;
  /**
   * The name is free at once; files that are open stay usable. The room comes back soon, and not within the call: to free a
   * large file takes longer than a loop may stand still.
   */
  remove(name: string): void;
  /** Files that are open stay usable. The new name must be free. */
  rename(from: string, to: string): void;
  /** Makes creations, renames and removals so far durable. Never calls back synchronously. */
  syncDirectory(done: (error?: Error) => void): void;
  /** The same, blocking: at start-up only. */
  syncDirectoryNow(): void;
}

export interface DiskFile {
  /** The name that it was opened by; a rename does not change it. */
  readonly name: string;
  byteLength(): number;
  /** Fills `into` from `offset` on; returns how many bytes were there. */
  read(offset: number, into: Uint8Array): number;
  /** Into the page cache: visible at once, durable after a `sync`. Copies the bytes. Writes beyond the end lengthen the file. */
  write(offset: number, bytes: Uint8Array): void;
  /** Makes everything written so far durable (`fdatasync`). Never calls back synchronously. */
  sync(done: (error?: Error) => void): void;
  /** The same, blocking: at start-up only. */
  syncNow(): void;
  /** Not while a `sync` is under way. */
  close(): void;
}

/** Whether an error says that there is no room, which passes, rather than that the disk is broken. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof DiskError && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
