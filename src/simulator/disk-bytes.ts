import { assert } from "../core/assert.ts";
import type { Prng } from "../core/prng.ts";

/** A sync of one file on its way. */
export interface SyncUnderWay {
  /** What was written before it began is on the disk. */
  complete(): void;
  /** What it was to write is not on the disk, and no later sync will bring it there; it can be read until a crash. */
  lose(): void;
}

/** One file as the page cache has it and as the disk has it. */
export class SimulatedBytes {
  readonly #sectorBytes: number;
  #cache: Uint8Array = new Uint8Array(0);
  #disk: Uint8Array = new Uint8Array(0);
  #byteLength = 0;
  #diskLength = 0;
  /** Sectors written since the last sync began. */
  #dirty: Set<number> = new Set();
  /** Of syncs under way and of failed ones: sectors as they were to be written. */
  readonly #unsynced: Set<Map<number, Uint8Array>> = new Set();

  constructor(sectorBytes: number) {
    this.#sectorBytes = sectorBytes;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  read(offset: number, into: Uint8Array): number {
    const there = Math.max(0, Math.min(into.length, this.#byteLength - offset));
    into.set(this.#cache.subarray(offset, offset + there));
    return there;
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    this.#cache = grown(this.#cache, end);
    this.#cache.set(bytes, offset);
    this.#byteLength = Math.max(this.#byteLength, end);
    const last = Math.ceil(end / this.#sectorBytes);
    for (let sector = Math.floor(offset / this.#sectorBytes); sector < last; sector++)
      this.#dirty.add(sector);
  }

  startSync(): SyncUnderWay {
    const writing = new Map<number, Uint8Array>();
    for (const sector of this.#dirty) writing.set(sector, this.#sector(sector));
    this.#dirty = new Set();
    const byteLength = this.#byteLength;
    this.#unsynced.add(writing);
    return {
      complete: () => {
        for (const earlier of this.#unsynced) {
          if (earlier === writing) break;
          // What an earlier, failed sync left undone is overwritten.
          for (const sector of writing.keys()) earlier.delete(sector);
        }
        this.#unsynced.delete(writing);
        for (const [sector, bytes] of writing) this.#store(sector, bytes);
        this.#diskLength = Math.max(this.#diskLength, byteLength);
      },
      lose: () => {
        assert(this.#unsynced.has(writing), "a sync ends once");
      },
    };
  }

  /** Of what is not synced, a random part reaches the disk; then the cache is what the disk has. */
  crash(prng: Prng): void {
    const pending: [number, Uint8Array][] = [];
    for (const writing of this.#unsynced) pending.push(...writing);
    for (const sector of this.#dirty) pending.push([sector, this.#sector(sector)]);
    // All, nothing, or each by its own luck: the ends are what random draws of many sectors never reach.
    const chance = prng.pick([0, 1, 0.5, prng.unit()]);
    for (const [sector, bytes] of pending) {
      if (!prng.chance(chance)) continue;
      this.#store(sector, bytes);
      const end = Math.min(sector * this.#sectorBytes + bytes.length, this.#byteLength);
      this.#diskLength = Math.max(this.#diskLength, end);
    }
    this.#dirty.clear();
    this.#unsynced.clear();
    this.#byteLength = this.#diskLength;
    this.#cache = this.#disk.slice(0, this.#diskLength);
  }

  flipBit(byteOffset: number, bit: number): void {
    assert(byteOffset < this.#byteLength, "the bit is within the file");
    this.tamper(byteOffset, Uint8Array.of(this.#cache[byteOffset]! ^ (1 << bit)));
  }

  tamper(offset: number, bytes: Uint8Array): void {
    assert(offset + bytes.length <= this.#byteLength, "what is tampered with is there");
    this.#cache.set(bytes, offset);
    this.#disk = grown(this.#disk, offset + bytes.length);
    this.#disk.set(bytes, offset);
  }

  copy(): Uint8Array {
    return this.#cache.slice(0, this.#byteLength);
  }

  #sector(sector: number): Uint8Array {
    const from = sector * this.#sectorBytes;
    return this.#cache.slice(from, Math.min(from + this.#sectorBytes, this.#byteLength));
  }

  #store(sector: number, bytes: Uint8Array): void {
    const from = sector * this.#sectorBytes;
    this.#disk = grown(this.#disk, from + bytes.length);
    this.#disk.set(bytes, from);
  }
}

/** The same bytes with room for `byteLength`, zeros behind them. */
function grown(bytes: Uint8Array, byteLength: number): Uint8Array {
  if (byteLength <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(byteLength, bytes.length * 2));
  larger.set(bytes);
  return larger;
}
