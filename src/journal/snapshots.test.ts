/**
 * Goal: a snapshot that is reported as stored is there, whole, whatever happens; and no other bytes are ever taken for it.
 * Method: stories over a disk that loses what was not synced, fills up, fails and rots.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../core/assert.ts";
import { MalformedError } from "../core/errors.ts";
import { groupName, logIndex } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { DiskFile } from "./disk.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { inspectSnapshots } from "./inspect-snapshots.ts";
import { crc32 } from "../core/checksum.ts";
import { SnapshotStore } from "./snapshots.ts";
import { snapshotFileName, snapshotOfFile } from "./snapshot-format.ts";
import type { TakeResult } from "./taking.ts";
import { main, nameOf, pieceBytes, SnapshotStage, stateBytes } from "../../test/support/snapshots.ts";

const other = groupName("Main");

/** Writes down what is written, and how much of it is not synced. */
class WatchedDisk extends MemoryDisk {
  readonly writes: number[] = [];
  unsyncedMax = 0;
  #unsynced = 0;

  constructor(soon: (task: () => void) => void) {
    super({ soon });
  }

  override open(name: string, mode: "create" | "existing"): DiskFile {
    const file = super.open(name, mode);
    return {
      name,
      byteLength: () => file.byteLength(),
      read: (offset, into) => file.read(offset, into),
      write: (offset, bytes) => {
        this.writes.push(bytes.length);
        this.#unsynced += bytes.length;
        this.unsyncedMax = Math.max(this.unsyncedMax, this.#unsynced);
        file.write(offset, bytes);
      },
      sync: (done) => {
        this.#unsynced = 0;
        file.sync(done);
      },
      syncNow: () => file.syncNow(),
      close: () => file.close(),
    };
  }
}

describe("a snapshot that is taken", () => {
  it("J22: is there after a crash, with just these bytes, however they were cut", () => {
    fc.assert(
      fc.property(fc.nat(5 * pieceBytes), fc.nat(), (byteLength, seed) => {
        const stage = new SnapshotStage({ seed });
        const bytes = stateBytes(seed, byteLength);
        const taken = stage.take(nameOf(7), bytes);
        expect(taken.byteLength).toBe(byteLength);
        stage.crash();
        expect(stage.contents(7)).toEqual(bytes);
        expect(stage.reader(7).snapshot).toEqual(taken);
      }),
      { numRuns: 60 },
    );
  });

  it("J22: is no snapshot, and not reported, before all of it is on the disk", () => {
    const stage = new SnapshotStage();
    const results = stage.begin(nameOf(7), stateBytes(1, 950));
    stage.disk.hang(1_000_000);
    stage.clock.run(900_000);
    expect(results).toEqual([]);
    expect(stage.files()).toEqual([snapshotFileName(main, logIndex(7), "temporary")]);
    stage.crash();
    expect(stage.files()).toEqual([]);
  });

  it("is of the state as it was: what the source gives is used at once, and never kept", () => {
    const stage = new SnapshotStage();
    const shared = new Uint8Array(30);
    const results: TakeResult[] = [];
    const source = (function* () {
      for (let part = 1; part <= 20; part++) yield shared.fill(part);
    })();
    stage.store.take(nameOf(1), source, (result) => results.push(result));
    stage.clock.run();
    expect(results.map(({ kind }) => kind)).toEqual(["stored"]);
    const expected = Array.from({ length: 600 }, (_, at) => Math.floor(at / 30) + 1);
    expect([...stage.contents(1)]).toEqual(expected);
  });

  it("J24: goes on one piece per step, and waits for the disk after every MiB", () => {
    const tasks: (() => void)[] = [];
    const disk = new WatchedDisk((task) => tasks.push(task));
    const store = new SnapshotStore({
      disk,
      checksum: crc32,
      schedule: (task) => tasks.push(task),
      onFailure: (error) => expect.unreachable(error.message),
    });
    const results: TakeResult[] = [];
    const state = (function* () {
      for (let part = 0; part < 40; part++) yield new Uint8Array(100_000).fill(part);
    })();
    store.take(nameOf(1), state, (result) => results.push(result));
    while (tasks.length > 0) {
      const before = disk.writes.length;
      tasks.shift()?.();
      const ofPieces = disk.writes.slice(before).filter((length) => length > 1000);
      expect(ofPieces.length).toBeLessThanOrEqual(1);
    }
    expect(results.map(({ kind }) => kind)).toEqual(["stored"]);
    expect(Math.max(...disk.writes)).toBe(limits.snapshotPieceBytesMax + 4);
    expect(disk.unsyncedMax).toBeLessThanOrEqual(limits.pieceBytesMax + 16 + 2000);
  });

  it("replaces what has its name: an unfinished one, or one that the group has no use for", () => {
    const stage = new SnapshotStage();
    stage.take(nameOf(7), stateBytes(1, 300));
    stage.take(nameOf(7), stateBytes(2, 500));
    expect(stage.contents(7)).toEqual(stateBytes(2, 500));
    expect(stage.files()).toHaveLength(1);
  });

  it("of one group is none of another, even where file systems take their names for one", () => {
    const stage = new SnapshotStage();
    stage.take(nameOf(7, main), stateBytes(1, 300));
    stage.take(nameOf(7, other), stateBytes(2, 300));
    expect(new Set(stage.files().map((name) => name.toLowerCase())).size).toBe(2);
    expect(stage.contents(7, main)).toEqual(stateBytes(1, 300));
    expect(stage.contents(7, other)).toEqual(stateBytes(2, 300));
    stage.store.keepOnly(main, new Set());
    expect(stage.contents(7, other)).toEqual(stateBytes(2, 300));
  });
});

describe("what is not needed", () => {
  it("J27: goes: all snapshots of the group but those that are kept", () => {
    const stage = new SnapshotStage();
    for (const index of [3, 5, 9]) stage.take(nameOf(index), stateBytes(index, 200));
    stage.store.keepOnly(main, new Set([logIndex(5), logIndex(9)]));
    expect(stage.indices()).toEqual([5, 9]);
  });

  it("J27: and at a start, what the last life was in the middle of taking", () => {
    const stage = new SnapshotStage();
    stage.take(nameOf(3), stateBytes(3, 200));
    stage.begin(nameOf(5), stateBytes(5, 2000));
    for (let steps = 0; steps < 5; steps++) stage.clock.step();
    expect(stage.files("temporary")).toHaveLength(1);
    stage.kill();
    expect(stage.files()).toEqual([snapshotFileName(main, logIndex(3), "whole")]);
  });

  it("may be read to the end by whoever has it open", () => {
    const stage = new SnapshotStage();
    stage.take(nameOf(3), stateBytes(3, 500));
    const reader = stage.reader(3);
    stage.store.keepOnly(main, new Set());
    expect([...reader.pieces()]).toHaveLength(5);
  });
});

describe("without room", () => {
  it("J25: a snapshot is given up, nothing of it is left, and nothing else is harmed", () => {
    const stage = new SnapshotStage({ disk: { capacityBytes: 1500 } });
    stage.take(nameOf(3), stateBytes(3, 600));
    const results = stage.begin(nameOf(5), stateBytes(5, 5000));
    stage.clock.run();
    expect(results.map(({ kind }) => kind)).toEqual(["failed"]);
    expect(stage.files()).toEqual([snapshotFileName(main, logIndex(3), "whole")]);
    expect(stage.contents(3)).toEqual(stateBytes(3, 600));
    expect(stage.failures).toEqual([]);
    stage.disk.setCapacity(100_000);
    stage.take(nameOf(5), stateBytes(5, 5000));
    expect(stage.contents(5)).toEqual(stateBytes(5, 5000));
  });

  it("J25: so is one that is refused at any single operation", () => {
    const clean = new SnapshotStage();
    clean.take(nameOf(3), stateBytes(3, 500));
    expect(clean.disk.operations).toBe(10);
    for (let operation = 1; operation <= 10; operation++) {
      const stage = new SnapshotStage();
      stage.disk.failOperation(operation, "full");
      const results = stage.begin(nameOf(3), stateBytes(3, 500));
      stage.clock.run();
      expect(results.map(({ kind }) => kind)).toEqual(["failed"]);
      expect(stage.files()).toEqual([]);
      expect(stage.failures).toEqual([]);
      stage.take(nameOf(3), stateBytes(3, 500));
      expect(stage.contents(3)).toEqual(stateBytes(3, 500));
    }
  });

  it("J25: one of a state that can't be written down is given up as well", () => {
    const stage = new SnapshotStage();
    const results: TakeResult[] = [];
    const source = (function* () {
      yield new Uint8Array(250);
      throw new RangeError("a machine of somebody's own");
    })();
    stage.store.take(nameOf(3), source, (result) => results.push(result));
    stage.clock.run();
    expect(results).toEqual([{ kind: "failed", error: new RangeError("a machine of somebody's own") }]);
    expect(stage.files()).toEqual([]);
    expect(stage.failures).toEqual([]);
  });

  it("J25: but a broken invariant ends the agent", () => {
    const stage = new SnapshotStage();
    const source = (function* (): Generator<Uint8Array> {
      yield new Uint8Array(30);
      throw new AssertionError("broken");
    })();
    stage.store.take(nameOf(3), source, () => expect.unreachable());
    stage.clock.run();
    expect(stage.failures.map(({ message }) => message)).toEqual(["broken"]);
  });
});

describe("a disk that fails", () => {
  it("J25: ends the agent: it is told once, and nothing is reported after it", () => {
    for (let operation = 1; operation <= 12; operation++) {
      const stage = new SnapshotStage();
      stage.disk.failOperation(operation, "error");
      const results = stage.begin(nameOf(3), stateBytes(3, 500));
      const others = stage.begin(nameOf(4, other), stateBytes(4, 500));
      stage.clock.run();
      expect(stage.failures).toHaveLength(1);
      const later = stage.begin(nameOf(5), stateBytes(5, 500));
      stage.clock.run();
      expect([...results, ...others, ...later]).toEqual([]);
    }
  });
});

describe("rot", () => {
  it("J23: of any one byte is found: no reader ever gets other bytes than were written", () => {
    const stage = new SnapshotStage();
    const bytes = stateBytes(1, 2 * pieceBytes + 30);
    stage.take(nameOf(7), bytes);
    const [name = ""] = stage.files();
    const { length } = stage.disk.contents(name);
    for (let at = 0; at < length; at++) {
      stage.disk.flipBit(name, at, at % 8);
      expect(() => stage.contents(7)).toThrow(/damaged|not its own/);
      stage.disk.flipBit(name, at, at % 8);
    }
    expect(stage.contents(7)).toEqual(bytes);
  });

  it("J23: pieces pass only in their own place, and only in their own snapshot", () => {
    const stage = new SnapshotStage();
    stage.take(nameOf(7), stateBytes(1, 4 * pieceBytes));
    stage.take(nameOf(8), stateBytes(1, 4 * pieceBytes));
    const [seventh = "", eighth = ""] = stage.files();
    const stride = pieceBytes + 4;
    const header = stage.disk.contents(seventh).length - 4 * stride;
    const piece = (name: string, number: number): Uint8Array =>
      stage.disk.contents(name).subarray(header + number * stride, header + (number + 1) * stride);
    const second = piece(seventh, 1).slice();
    stage.disk.tamper(seventh, header + 1 * stride, piece(seventh, 2));
    expect(() => stage.contents(7)).toThrow(MalformedError);
    stage.disk.tamper(seventh, header + 1 * stride, piece(eighth, 1));
    expect(() => stage.contents(7)).toThrow(MalformedError);
    stage.disk.tamper(seventh, header + 1 * stride, second);
    expect(stage.contents(7)).toEqual(stateBytes(1, 4 * pieceBytes));
  });

  it("J23: a file under another's name, one that is cut off, and one of a later format are refused", () => {
    const stage = new SnapshotStage();
    stage.take(nameOf(7), stateBytes(1, 300));
    const [name = ""] = stage.files();
    const whole = stage.disk.contents(name);
    const write = (index: number, bytes: Uint8Array): void => {
      const file = stage.disk.open(snapshotFileName(main, logIndex(index), "whole"), "create");
      file.write(0, bytes);
    };
    write(8, whole);
    expect(stage.store.read(main, logIndex(8)).kind).toBe("damaged");
    stage.disk.remove(name);
    write(7, whole.subarray(0, -1));
    expect(stage.store.read(main, logIndex(7)).kind).toBe("damaged");
    stage.disk.remove(name);
    const later = whole.slice();
    later[8] = 2;
    const headerBytes = whole.length - 3 * (pieceBytes + 4);
    new DataView(later.buffer).setUint32(4, crc32(later.subarray(8, headerBytes)), true);
    write(7, later);
    expect(stage.store.read(main, logIndex(7))).toMatchObject({ kind: "otherVersion", version: 2 });
    expect(stage.store.read(main, logIndex(6)).kind).toBe("missing");
  });
});

describe("names", () => {
  it("say which snapshot it is, and other files have none", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/),
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.constantFrom("whole" as const, "temporary" as const, "arriving" as const),
        (name, index, kind) => {
          const file = { group: groupName(name), index: logIndex(index), kind };
          const fileName = snapshotFileName(file.group, file.index, kind);
          expect(snapshotOfFile(fileName)).toEqual(file);
          expect(fileName).toBe(fileName.toLowerCase());
        },
      ),
    );
    for (const name of [
      "",
      "x.snapshot",
      "00000000000007@.snapshot",
      "00000000000007@a+9.snapshot",
      "7@a.snapshot",
    ])
      expect(snapshotOfFile(name)).toBeUndefined();
  });
});

describe("an inspection", () => {
  it("J20: tells whole snapshots from damaged and unfinished ones, and changes nothing", () => {
    const stage = new SnapshotStage();
    stage.take(nameOf(7), stateBytes(7, 300));
    stage.take(nameOf(8), stateBytes(8, 300));
    const [, eighth = ""] = stage.files();
    stage.disk.flipBit(eighth, 200, 1);
    stage.begin(nameOf(9), stateBytes(9, 1000));
    for (let steps = 0; steps < 5; steps++) stage.clock.step();
    const { operations } = stage.disk;
    const reports = inspectSnapshots(stage.disk, crc32);
    expect(reports.map(({ index, state }) => [index, state])).toEqual([
      [7, "whole"],
      [8, "damaged"],
      [9, "unfinished"],
    ]);
    // Opening three files.
    expect(stage.disk.operations - operations).toBe(3);
  });
});

describe("a store that is closed", () => {
  it("waits for its syncs, closes its files, and calls nobody back but whoever closed it", () => {
    const stage = new SnapshotStage();
    const results = stage.begin(nameOf(3), stateBytes(3, 500));
    for (let steps = 0; steps < 6; steps++) stage.clock.step();
    const events: string[] = [];
    stage.store.close(() => events.push("closed"));
    expect(events).toEqual([]);
    stage.clock.run();
    expect(events).toEqual(["closed"]);
    expect(results).toEqual([]);
    expect(stage.open().files()).toEqual([]);
  });
});
