/** A stage for stories about snapshots: a store over a simulated disk, and a clock that only tests move. */
import { TestClock } from "./journal.ts";
import { concatBytes } from "../../src/core/bytes.ts";
import { crc32 } from "../../src/core/checksum.ts";
import { groupName, logIndex, type GroupName } from "../../src/core/ids.ts";
import { Prng } from "../../src/core/prng.ts";
import { encodeText } from "../../src/core/text.ts";
import { SimulatedDisk, type SimulatedDiskOptions } from "../../src/simulator/disk.ts";
import type { Arrival } from "../../src/journal/arrival.ts";
import { pieceCount, type FiledSnapshot, type SnapshotName } from "../../src/journal/snapshot-format.ts";
import type { SnapshotPiece, SnapshotReader } from "../../src/journal/snapshot-reader.ts";
import { SnapshotStore } from "../../src/journal/snapshots.ts";
import type { TakeResult } from "../../src/journal/taking.ts";

export const main: GroupName = groupName("main");
export const pieceBytes = 100;

export class SnapshotStage {
  readonly clock: TestClock = new TestClock();
  readonly disk: SimulatedDisk;
  readonly failures: Error[] = [];
  store!: SnapshotStore;
  #life = 0;

  constructor(options: { seed?: number; disk?: Partial<SimulatedDiskOptions> } = {}) {
    const prng = new Prng(options.seed ?? 1);
    this.disk = new SimulatedDisk({ prng, after: this.clock.after, ...options.disk });
    this.open();
  }

  /** The process starts (again). */
  open(ownPieceBytes: number = pieceBytes): this {
    this.#life += 1;
    const life = this.#life;
    this.store = new SnapshotStore({
      disk: this.disk,
      checksum: crc32,
      schedule: (task) => this.clock.after(0, () => life === this.#life && task()),
      pieceBytes: ownPieceBytes,
      onFailure: (error) => this.failures.push(error),
    });
    return this;
  }

  /** The power fails, and the agent starts again. */
  crash(): this {
    this.disk.crash();
    return this.open();
  }

  /** The process ends, the machine runs on, and the agent starts again. */
  kill(): this {
    this.disk.kill();
    return this.open();
  }

  begin(name: SnapshotName, bytes: Uint8Array): TakeResult[] {
    const results: TakeResult[] = [];
    this.store.take(name, cut(bytes, 64), (result) => results.push(result));
    return results;
  }

  /** Takes a snapshot, and waits until it is there. */
  take(name: SnapshotName, bytes: Uint8Array): FiledSnapshot {
    const results = this.begin(name, bytes);
    this.clock.run();
    const [result] = results;
    if (result?.kind !== "stored") throw new Error("the snapshot was not taken", { cause: result?.error });
    return result.snapshot;
  }

  reader(index: number, group: GroupName = main): SnapshotReader {
    const found = this.store.read(group, logIndex(index));
    if (found.kind !== "found") throw new Error(`snapshot ${index} is ${found.kind}`);
    return found.reader;
  }

  /** What a snapshot holds. Throws where it is not what was written. */
  contents(index: number, group: GroupName = main): Uint8Array {
    const reader = this.reader(index, group);
    try {
      return concatBytes([...reader.pieces()]);
    } finally {
      reader.close();
    }
  }

  /** The indices of the snapshots that are there, or seem to be. */
  indices(): number[] {
    return this.files("snapshot").map((name) => Number.parseInt(name, 16));
  }

  files(suffix = ""): string[] {
    return this.disk
      .list()
      .filter((name) => name.endsWith(suffix))
      .toSorted();
  }

  /** An arrival that has read what was there. */
  receive(snapshot: FiledSnapshot): Arrival {
    const arrival = this.store.receive(snapshot, () => {});
    if (arrival === undefined) throw new Error("there was no room for it");
    this.clock.run();
    return arrival;
  }

  /** Gives an arrival these pieces of a snapshot that another stage has. */
  feed(arrival: Arrival, from: SnapshotReader, numbers: readonly number[]): string[] {
    return numbers.map((number) => {
      const { bytes, checksum } = from.piece(number) as SnapshotPiece;
      return arrival.add(number, bytes, checksum);
    });
  }
}

export function nameOf(index: number, group: GroupName = main): SnapshotName {
  const digest = encodeText(`digest of ${index}`);
  return { group, index: logIndex(index), digest, anchor: encodeText("term 1, members a b c") };
}

/** Bytes that differ from place to place and from label to label. */
export function stateBytes(label: number, byteLength: number): Uint8Array {
  const prng = new Prng(label);
  return Uint8Array.from({ length: byteLength }, () => prng.between(0, 255));
}

export function* cut(bytes: Uint8Array, partBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += partBytes) yield bytes.subarray(at, at + partBytes);
}

export function allPieces(snapshot: FiledSnapshot): number[] {
  return Array.from({ length: pieceCount(snapshot) }, (_, number) => number);
}
