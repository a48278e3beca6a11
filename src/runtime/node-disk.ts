/**
 * The journal's disk over `node:fs`: one folder. Writes go into the page cache at once, and one `fdatasync` in the
 * thread pool makes them durable, so the event loop never waits for the disk. Measured, this is the fastest form that
 * does not block heartbeats. What is removed loses its name at once, and its bytes in the thread pool.
 */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { assert } from "../core/assert.ts";
import { DiskError, type Disk, type DiskFile } from "../journal/disk.ts";
import { SyncTimes } from "./sync-times.ts";

const hasFolderSync = process.platform !== "win32";
/** On Windows a file keeps its name for as long as somebody has it open. */
const removesWhatIsOpen = process.platform !== "win32";

export class NodeDisk implements Disk {
  readonly #path: string;
  readonly #access: "readAndWrite" | "read";
  readonly #folder: number | undefined;
  readonly #open = new Set<NodeDiskFile>();
  readonly #freeing = new Freeing();
  readonly syncTimes: SyncTimes = new SyncTimes();
  #closed = false;

  /**
   * `path`: a folder, which is never made here: a journal that is gone must be missed. `read`: nothing can be written,
   * nor has to be possible to write. Throws {@link DiskError}.
   */
  constructor(path: string, access: "readAndWrite" | "read" = "readAndWrite") {
    this.#path = path;
    this.#access = access;
    this.#folder = hasFolderSync ? attempt(() => openSync(path, "r")) : undefined;
  }

  list(): readonly string[] {
    return attempt(() =>
      readdirSync(this.#path, { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name),
    );
  }

  open(name: string, mode: "create" | "existing"): DiskFile {
    const reads = this.#access === "read";
    assert(!reads || mode === "existing", "a disk that is only to be read makes no file");
    const access = reads ? constants.O_RDONLY : constants.O_RDWR;
    const flags = mode === "create" ? access | constants.O_CREAT | constants.O_EXCL : access;
    const descriptor = attempt(() => openSync(join(this.#path, name), flags, 0o600));
    const file = new NodeDiskFile(name, descriptor, this.syncTimes, () => {
      this.#open.delete(file);
      if (fstatSync(descriptor).nlink === 0) this.#freeing.add(descriptor);
      else closeSync(descriptor);
    });
    this.#open.add(file);
    return file;
  }

  remove(name: string): void {
    const path = join(this.#path, name);
    if (!removesWhatIsOpen) {
      attempt(() => unlinkSync(path));
      return;
    }
    const descriptor = attempt(() => openSync(path, "r"));
    try {
      attempt(() => unlinkSync(path));
    } finally {
      this.#freeing.add(descriptor);
    }
  }

  rename(from: string, to: string): void {
    attempt(() => renameSync(join(this.#path, from), join(this.#path, to)));
  }

  syncDirectory(done: (error?: Error) => void): void {
    if (this.#folder === undefined) setImmediate(done);
    else fsync(this.#folder, (error) => finish(error, done));
  }

  syncDirectoryNow(): void {
    const folder = this.#folder;
    if (folder !== undefined) attempt(() => fsyncSync(folder));
  }

  /** Closes whatever is open. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const file of this.#open) file.close();
    this.#freeing.now();
    if (this.#folder !== undefined) closeSync(this.#folder);
  }
}

/**
 * Files without a name. The last close of one frees its bytes: a millisecond for each MiB, measured, which a loop that has
 * dozens of segments to remove does not have. So the thread pool does it, and one after the other: several at once take its
 * threads, and the file system, from the syncs that decisions wait for.
 */
class Freeing {
  readonly #descriptors: number[] = [];
  #busy = false;

  add(descriptor: number): void {
    this.#descriptors.push(descriptor);
    if (!this.#busy) this.#next();
  }

  /** Blocking, for the end: but for the one that the pool is at. */
  now(): void {
    for (const descriptor of this.#descriptors.splice(0)) closeSync(descriptor);
  }

  #next(): void {
    const descriptor = this.#descriptors.shift();
    this.#busy = descriptor !== undefined;
    if (descriptor === undefined) return;
    // Nobody wants what was in it, so there is nobody to tell of an error.
    close(descriptor, () => this.#next());
  }
}

class NodeDiskFile implements DiskFile {
  readonly name: string;
  readonly #descriptor: number;
  readonly #syncTimes: SyncTimes;
  /** Closes the descriptor. */
  readonly #onClose: () => void;
  #byteLength: number;
  #syncs = 0;
  #state: "open" | "closing" | "closed" = "open";

  constructor(name: string, descriptor: number, syncTimes: SyncTimes, onClose: () => void) {
    this.name = name;
    this.#descriptor = descriptor;
    this.#syncTimes = syncTimes;
    this.#onClose = onClose;
    this.#byteLength = attempt(() => fstatSync(descriptor).size);
  }

  byteLength(): number {
    return this.#byteLength;
  }

  read(offset: number, into: Uint8Array): number {
    return attempt(() => {
      let have = 0;
      while (have < into.length) {
        const count = readSync(this.#descriptor, into, have, into.length - have, offset + have);
        if (count === 0) break;
        have += count;
      }
      return have;
    });
  }

  write(offset: number, bytes: Uint8Array): void {
    attempt(() => {
      // A disk that fills up in the middle takes a part and says so only at the next call.
      for (let written = 0; written < bytes.length;) {
        written += writeSync(this.#descriptor, bytes, written, bytes.length - written, offset + written);
      }
    });
    this.#byteLength = Math.max(this.#byteLength, offset + bytes.length);
  }

  sync(done: (error?: Error) => void): void {
    this.#syncs += 1;
    const ended = this.#syncTimes.begin(performance.now());
    fdatasync(this.#descriptor, (error) => {
      this.#syncs -= 1;
      ended(performance.now());
      if (this.#state === "closing" && this.#syncs === 0) this.#close();
      finish(error, done);
    });
  }

  syncNow(): void {
    attempt(() => fdatasyncSync(this.#descriptor));
  }

  /** While a sync runs in the pool the descriptor stays open: its number must not go to another file before. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    if (this.#syncs === 0) this.#close();
  }

  #close(): void {
    this.#state = "closed";
    this.#onClose();
  }
}

function finish(error: NodeJS.ErrnoException | null, done: (error?: Error) => void): void {
  if (error === null) done();
  else done(diskError(error));
}

function attempt<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw diskError(error);
  }
}

function diskError(cause: unknown): DiskError {
  const error = cause as NodeJS.ErrnoException;
  return new DiskError(error.code ?? "EIO", error.message, { cause });
}
