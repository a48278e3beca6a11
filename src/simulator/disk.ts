/**
 * A disk that fails as disks do, from a seed: syncs take their time, a crash keeps any part of what was not synced, names
 * fall back unless the folder was synced, and the n-th operation does what the test wants.
 */
import { assert } from "../core/assert.ts";
import type { Prng } from "../core/prng.ts";
import { DiskError, type Disk, type DiskFile } from "../journal/disk.ts";
import { SimulatedBytes } from "./disk-bytes.ts";

export interface SimulatedDiskOptions {
  readonly prng: Prng;
  /** Runs a task later on the simulated clock. */
  readonly after: (delayMicros: number, task: () => void) => void;
  /** A sync takes at least so long … */
  readonly syncMicrosMin?: number;
  /** … plus an exponentially distributed time with this mean … */
  readonly syncMicrosMean?: number;
  /** … and once in a while far longer. */
  readonly slowSyncChance?: number;
  readonly slowSyncMicros?: number;
  /** What the disk writes whole or not at all. */
  readonly crashSectorBytes?: 512 | 4096;
  /** Room for all files together. More: `ENOSPC`. */
  readonly capacityBytes?: number;
}

/**
 * What befalls an operation. `error`: it fails with `EIO`, and a sync that fails loses what it was to sync, although
 * that can be read until the next crash. `full`: it fails with `ENOSPC`. `crash`: it is done, and then the power fails,
 * so that it survives whole, in part or not at all. `lie`: a sync says that it succeeded, and did nothing.
 */
export type DiskFault = "error" | "full" | "crash" | "lie";

type NameChange =
  | { readonly kind: "create"; readonly name: string; readonly bytes: SimulatedBytes }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string };

const defaults = {
  syncMicrosMin: 100,
  syncMicrosMean: 50,
  slowSyncChance: 0,
  slowSyncMicros: 30_000_000,
  crashSectorBytes: 512,
  capacityBytes: Number.POSITIVE_INFINITY,
} as const;

export class SimulatedDisk implements Disk {
  readonly #o: Required<SimulatedDiskOptions>;
  readonly #faults: Map<number, DiskFault> = new Map();
  #nextSync: DiskFault | undefined;
  #capacityBytes: number;
  #visible: Map<string, SimulatedBytes> = new Map();
  #durable: Map<string, SimulatedBytes> = new Map();
  /** Since the folder was synced, in order. */
  #changes: NameChange[] = [];
  #operations = 0;
  /** Counts lives: what a process before the last crash or kill started never answers. */
  #life = 0;
  #waiting: (() => void)[] | undefined;
  #hangs = 0;
  #crashes = 0;

  constructor(options: SimulatedDiskOptions) {
    this.#o = { ...defaults, ...options };
    this.#capacityBytes = this.#o.capacityBytes;
  }

  /** Creations, opens, writes, syncs, renames and removals so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Power failures so far. */
  get crashes(): number {
    return this.#crashes;
  }

  /** Lets a fault befall the operation with this number, counted as {@link operations} counts. */
  failOperation(number: number, fault: DiskFault): void {
    assert(number > this.#operations, "a fault lies ahead");
    this.#faults.set(number, fault);
  }

  /** The same for the next sync of a file that is asked for. */
  failNextSync(fault: DiskFault): void {
    this.#nextSync = fault;
  }

  /** From now on there is room for so much; less than is used means full. */
  setCapacity(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes;
  }

  /** Nothing that is asynchronous answers for so long. */
  hang(micros: number): void {
    this.#waiting ??= [];
    this.#hangs += 1;
    const hang = this.#hangs;
    this.#o.after(micros, () => {
      // A later hang takes over what waits.
      if (hang !== this.#hangs) return;
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      for (const task of waiting) task();
    });
  }

  /** The process ends; what it wrote stays visible, synced or not. Its open files are of no more use. */
  kill(): void {
    this.#life += 1;
  }

  /** The power fails: of what was not synced, a random part survives, sector by sector. Open files are of no more use. */
  crash(): void {
    this.#life += 1;
    this.#crashes += 1;
    const { prng } = this.#o;
    // As a journaling file system does: changes of names survive up to some point in their order.
    const surviving = prng.between(0, this.#changes.length);
    for (const change of this.#changes.slice(0, surviving)) applyChange(this.#durable, change);
    this.#changes = [];
    this.#visible = new Map(this.#durable);
    for (const bytes of this.#visible.values()) bytes.crash(prng);
  }

  /** Flips one bit of what is on the disk and in the page cache: rot. */
  flipBit(name: string, byteOffset: number, bit: number): void {
    this.#bytesOf(name).flipBit(byteOffset, bit);
  }

  /** Overwrites bytes on the disk and in the page cache, past the process: for tests that tear writes by hand. */
  tamper(name: string, offset: number, bytes: Uint8Array): void {
    this.#bytesOf(name).tamper(offset, bytes);
  }

  /** A copy of a file as a process sees it. */
  contents(name: string): Uint8Array {
    return this.#bytesOf(name).copy();
  }

  list(): readonly string[] {
    return [...this.#visible.keys()];
  }

  open(name: string, mode: "create" | "existing"): DiskFile {
    const fault = this.#operation();
    this.#refuse(fault, "open", name);
    if (mode === "create") {
      if (this.#visible.has(name)) throw new DiskError("EEXIST", `${name} exists`);
      this.#change({ kind: "create", name, bytes: new SimulatedBytes(this.#o.crashSectorBytes) });
    }
    const bytes = this.#bytesOf(name);
    this.#crashIf(fault);
    return new SimulatedFile(this, name, bytes, this.#life);
  }

  remove(name: string): void {
    const fault = this.#operation();
    this.#refuse(fault, "remove", name);
    this.#bytesOf(name);
    this.#change({ kind: "remove", name });
    this.#crashIf(fault);
  }

  rename(from: string, to: string): void {
    const fault = this.#operation();
    this.#refuse(fault, "rename", from);
    this.#bytesOf(from);
    if (this.#visible.has(to)) throw new DiskError("EEXIST", `${to} exists`);
    this.#change({ kind: "rename", from, to });
    this.#crashIf(fault);
  }

  syncDirectory(done: (error?: Error) => void): void {
    const fault = this.#operation();
    const asked = this.#changes.length;
    this.#later(fault, (error) => {
      if (error === undefined && fault !== "lie") this.#settleNames(asked);
      done(error);
    });
  }

  syncDirectoryNow(): void {
    const fault = this.#operation();
    this.#crashIf(fault);
    this.#refuse(fault, "sync the folder of", "the journal");
    if (fault !== "lie") this.#settleNames(this.#changes.length);
  }

  // ── for its files ──

  /** Counts an operation of a file; throws if the file was opened in an earlier life. */
  fileOperation(life: number): DiskFault | undefined {
    if (life !== this.#life) throw new DiskError("EBADF", "this file was opened before the crash");
    return this.#operation();
  }

  /** Room for so many more bytes, or `ENOSPC`. */
  takeRoom(byteLength: number): void {
    if (byteLength <= 0) return;
    let used = 0;
    for (const bytes of this.#visible.values()) used += bytes.byteLength;
    if (used + byteLength > this.#capacityBytes) throw new DiskError("ENOSPC", "no room on the disk");
  }

  writeWith(fault: DiskFault | undefined, name: string, write: () => void): void {
    this.#refuse(fault, "write", name);
    write();
    this.#crashIf(fault);
  }

  syncWith(planned: DiskFault | undefined, bytes: SimulatedBytes, done: (error?: Error) => void): void {
    const fault = planned ?? this.#nextSync;
    this.#nextSync = undefined;
    const sync = bytes.startSync();
    this.#later(fault, (error) => {
      if (error !== undefined || fault === "lie") sync.lose();
      else sync.complete();
      done(error);
    });
  }

  syncNowWith(fault: DiskFault | undefined, name: string, bytes: SimulatedBytes): void {
    const sync = bytes.startSync();
    this.#crashIf(fault);
    if (fault === undefined) {
      sync.complete();
      return;
    }
    sync.lose();
    this.#refuse(fault, "sync", name);
  }

  // ── inside ──

  #operation(): DiskFault | undefined {
    this.#operations += 1;
    const fault = this.#faults.get(this.#operations);
    this.#faults.delete(this.#operations);
    return fault;
  }

  #refuse(fault: DiskFault | undefined, what: string, name: string): void {
    if (fault === "error") throw new DiskError("EIO", `cannot ${what} ${name}`);
    if (fault === "full") throw new DiskError("ENOSPC", `no room to ${what} ${name}`);
  }

  #crashIf(fault: DiskFault | undefined): void {
    if (fault !== "crash") return;
    this.crash();
    throw new DiskError("EBADF", "the power failed");
  }

  /** Answers an asynchronous operation, unless the process has ended by then. */
  #later(fault: DiskFault | undefined, done: (error?: Error) => void): void {
    const life = this.#life;
    const answer = (): void => {
      if (life !== this.#life) return;
      if (this.#waiting !== undefined) this.#waiting.push(answer);
      else if (fault === "crash") this.crash();
      else if (fault === "error") done(new DiskError("EIO", "a sync failed"));
      else if (fault === "full") done(new DiskError("ENOSPC", "no room for what was to be synced"));
      else done();
    };
    this.#o.after(this.#syncMicros(), answer);
  }

  #syncMicros(): number {
    const { prng, syncMicrosMin, syncMicrosMean, slowSyncChance, slowSyncMicros } = this.#o;
    const slow = slowSyncChance > 0 && prng.chance(slowSyncChance) ? slowSyncMicros : 0;
    return Math.round(syncMicrosMin + prng.exponential(syncMicrosMean) + slow);
  }

  #change(change: NameChange): void {
    applyChange(this.#visible, change);
    this.#changes.push(change);
  }

  #settleNames(count: number): void {
    for (const change of this.#changes.splice(0, count)) applyChange(this.#durable, change);
  }

  #bytesOf(name: string): SimulatedBytes {
    const bytes = this.#visible.get(name);
    if (bytes === undefined) throw new DiskError("ENOENT", `${name} does not exist`);
    return bytes;
  }
}

function applyChange(names: Map<string, SimulatedBytes>, change: NameChange): void {
  switch (change.kind) {
    case "create":
      names.set(change.name, change.bytes);
      return;
    case "remove":
      names.delete(change.name);
      return;
    case "rename": {
      const bytes = names.get(change.from);
      assert(bytes !== undefined, "a file that is renamed exists");
      names.delete(change.from);
      names.set(change.to, bytes);
    }
  }
}

class SimulatedFile implements DiskFile {
  readonly name: string;
  readonly #disk: SimulatedDisk;
  readonly #bytes: SimulatedBytes;
  readonly #life: number;

  constructor(disk: SimulatedDisk, name: string, bytes: SimulatedBytes, life: number) {
    this.name = name;
    this.#disk = disk;
    this.#bytes = bytes;
    this.#life = life;
  }

  byteLength(): number {
    return this.#bytes.byteLength;
  }

  read(offset: number, into: Uint8Array): number {
    return this.#bytes.read(offset, into);
  }

  write(offset: number, bytes: Uint8Array): void {
    const fault = this.#disk.fileOperation(this.#life);
    this.#disk.takeRoom(offset + bytes.length - this.#bytes.byteLength);
    this.#disk.writeWith(fault, this.name, () => this.#bytes.write(offset, bytes));
  }

  sync(done: (error?: Error) => void): void {
    this.#disk.syncWith(this.#disk.fileOperation(this.#life), this.#bytes, done);
  }

  syncNow(): void {
    this.#disk.syncNowWith(this.#disk.fileOperation(this.#life), this.name, this.#bytes);
  }

  close(): void {
    // Nothing is buffered here.
  }
}
