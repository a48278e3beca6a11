/** A disk in memory, for groups that live in one process: what is written is there until the process ends. */
import { DiskError, type Disk, type DiskFile } from "./disk.ts";

const chunkBytes = 64 * 1024;

/** Bytes by chunks. A chunk that has only ever held zeros takes no memory: segments are zero-filled ahead of use. */
class MemoryBytes {
  length = 0;
  readonly #chunks: Map<number, Uint8Array> = new Map();

  write(offset: number, bytes: Uint8Array): void {
    this.length = Math.max(this.length, offset + bytes.length);
    for (let from = 0; from < bytes.length;) {
      const number = Math.floor((offset + from) / chunkBytes);
      const within = (offset + from) % chunkBytes;
      const part = bytes.subarray(from, from + chunkBytes - within);
      from += part.length;
      let chunk = this.#chunks.get(number);
      if (chunk === undefined) {
        if (isZero(part)) continue;
        chunk = new Uint8Array(chunkBytes);
        this.#chunks.set(number, chunk);
      }
      chunk.set(part, within);
    }
  }

  read(offset: number, into: Uint8Array): number {
    const there = Math.max(0, Math.min(into.length, this.length - offset));
    for (let from = 0; from < there;) {
      const within = (offset + from) % chunkBytes;
      const count = Math.min(there - from, chunkBytes - within);
      const chunk = this.#chunks.get(Math.floor((offset + from) / chunkBytes));
      if (chunk === undefined) into.fill(0, from, from + count);
      else into.set(chunk.subarray(within, within + count), from);
      from += count;
    }
    return there;
  }
}

/** By words of four bytes: whole segments of zeros come through here. */
function isZero(bytes: Uint8Array): boolean {
  const head = Math.min(bytes.length, -bytes.byteOffset & 3);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >> 2);
  for (let at = 0; at < head; at++) if (bytes[at] !== 0) return false;
  for (let at = 0; at < words.length; at++) if (words[at] !== 0) return false;
  for (let at = head + words.byteLength; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

export class MemoryDisk implements Disk {
  readonly #soon: (task: () => void) => void;
  readonly #files: Map<string, MemoryBytes> = new Map();

  /** `soon` runs a task after the caller has returned: syncs answer that way. */
  constructor(options: { readonly soon: (task: () => void) => void }) {
    this.#soon = options.soon;
  }

  list(): readonly string[] {
    return [...this.#files.keys()];
  }

  open(name: string, mode: "create" | "existing"): DiskFile {
    let bytes = this.#files.get(name);
    if (mode === "create") {
      if (bytes !== undefined) throw new DiskError("EEXIST", `${name} exists`);
      bytes = new MemoryBytes();
      this.#files.set(name, bytes);
    }
    if (bytes === undefined) throw new DiskError("ENOENT", `${name} does not exist`);
    return new MemoryFile(name, bytes, this.#soon);
  }

  remove(name: string): void {
    if (!this.#files.delete(name)) throw new DiskError("ENOENT", `${name} does not exist`);
  }

  rename(from: string, to: string): void {
    const bytes = this.#files.get(from);
    if (bytes === undefined) throw new DiskError("ENOENT", `${from} does not exist`);
    if (this.#files.has(to)) throw new DiskError("EEXIST", `${to} exists`);
    this.#files.delete(from);
    this.#files.set(to, bytes);
  }

  syncDirectory(done: (error?: Error) => void): void {
    this.#soon(() => done());
  }

  syncDirectoryNow(): void {
    // Memory has nothing more durable than itself.
  }
}

class MemoryFile implements DiskFile {
  readonly name: string;
  readonly #bytes: MemoryBytes;
  readonly #soon: (task: () => void) => void;

  constructor(name: string, bytes: MemoryBytes, soon: (task: () => void) => void) {
    this.name = name;
    this.#bytes = bytes;
    this.#soon = soon;
  }

  byteLength(): number {
    return this.#bytes.length;
  }

  read(offset: number, into: Uint8Array): number {
    return this.#bytes.read(offset, into);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#bytes.write(offset, bytes);
  }

  sync(done: (error?: Error) => void): void {
    this.#soon(() => done());
  }

  syncNow(): void {
    // Memory has nothing more durable than itself.
  }

  close(): void {
    // The bytes stay: they belong to the folder.
  }
}
