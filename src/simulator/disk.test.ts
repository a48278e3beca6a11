import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/support/journal.ts";
import { Prng } from "../core/prng.ts";
import type { DiskFile } from "../journal/disk.ts";
import { SimulatedDisk, type SimulatedDiskOptions } from "./disk.ts";

function stage(
  seed = 1,
  options: Partial<SimulatedDiskOptions> = {},
): { disk: SimulatedDisk; clock: TestClock } {
  const clock = new TestClock();
  return { clock, disk: new SimulatedDisk({ prng: new Prng(seed), after: clock.after, ...options }) };
}

/** A file of so many bytes, all of this value, durable with its name. */
function durableFile(disk: SimulatedDisk, name: string, byteLength: number, value: number): DiskFile {
  const file = disk.open(name, "create");
  file.write(0, new Uint8Array(byteLength).fill(value));
  file.syncNow();
  disk.syncDirectoryNow();
  return file;
}

describe("what is synced", () => {
  it("survives every crash", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { disk } = stage(seed);
      durableFile(disk, "a", 5000, 1);
      disk.crash();
      expect(disk.contents("a").every((byte) => byte === 1)).toBe(true);
      expect(disk.contents("a")).toHaveLength(5000);
    }
  });

  it("is what was written before the sync began, not what came while it ran", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const { disk, clock } = stage(seed);
      const file = durableFile(disk, "a", 2048, 0);
      file.write(0, Uint8Array.of(1));
      let synced = false;
      file.sync(() => (synced = true));
      file.write(0, Uint8Array.of(2));
      file.write(1024, Uint8Array.of(2));
      expect(synced).toBe(false);
      clock.run();
      expect(synced).toBe(true);
      disk.crash();
      seen.add(`${disk.contents("a")[0]} ${disk.contents("a")[1024]}`);
    }
    expect(seen).toEqual(new Set(["1 0", "2 0", "1 2", "2 2"]));
  });

  it("answers later, never at once, and after a time of its own", () => {
    const { disk, clock } = stage(3, { syncMicrosMin: 200, syncMicrosMean: 100 });
    const file = durableFile(disk, "a", 10, 0);
    const times = new Set<number>();
    for (let sync = 0; sync < 20; sync++) {
      const start = clock.now;
      file.sync(() => times.add(clock.now - start));
      clock.run();
    }
    expect(times.size).toBeGreaterThan(10);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(200);
  });

  it("takes far longer once in a while, if it is to", () => {
    const { disk, clock } = stage(3, { slowSyncChance: 0.2, slowSyncMicros: 30_000_000 });
    const file = durableFile(disk, "a", 10, 0);
    let slow = 0;
    for (let sync = 0; sync < 100; sync++) {
      const start = clock.now;
      file.sync(() => undefined);
      clock.run();
      if (clock.now - start > 1_000_000) slow += 1;
    }
    expect(slow).toBeGreaterThan(5);
    expect(slow).toBeLessThan(50);
  });
});

describe("a crash", () => {
  it("keeps any subset of the sectors that were not synced, and each whole", () => {
    for (const crashSectorBytes of [512, 4096] as const) {
      const subsets = new Set<string>();
      for (let seed = 0; seed < 200; seed++) {
        const { disk } = stage(seed, { crashSectorBytes });
        const file = durableFile(disk, "a", 3 * crashSectorBytes, 0);
        file.write(0, new Uint8Array(3 * crashSectorBytes).fill(1));
        disk.crash();
        const bytes = disk.contents("a");
        const sectors = [0, 1, 2].map((sector) => {
          const part = new Set(bytes.slice(sector * crashSectorBytes, (sector + 1) * crashSectorBytes));
          expect(part.size).toBe(1);
          return [...part][0];
        });
        subsets.add(sectors.join(""));
      }
      expect(subsets.size).toBe(8);
    }
  });

  it("leaves a file at least as long as it was synced", () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      const { disk } = stage(seed);
      const file = durableFile(disk, "a", 512, 1);
      file.write(512, new Uint8Array(1024).fill(2));
      disk.crash();
      lengths.add(disk.contents("a").byteLength);
    }
    expect(lengths).toEqual(new Set([512, 1024, 1536]));
  });

  it("undoes creations, renames and removals, from some point in their order on", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const { disk } = stage(seed);
      durableFile(disk, "old", 10, 1);
      disk.rename("old", "new");
      disk.open("created", "create");
      disk.remove("new");
      disk.crash();
      seen.add(disk.list().toSorted().join(" "));
    }
    expect(seen).toEqual(new Set(["old", "new", "created new", "created"]));
  });

  it("undoes no change of names made before the folder was synced", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { disk, clock } = stage(seed);
      durableFile(disk, "a", 10, 1);
      disk.rename("a", "b");
      let synced = false;
      disk.syncDirectory(() => (synced = true));
      disk.rename("b", "c");
      clock.run();
      expect(synced).toBe(true);
      disk.crash();
      expect(["b", "c"]).toContain(disk.list()[0]);
    }
  });

  it("silences what the process before it asked for, and its files are of no more use", () => {
    const { disk, clock } = stage();
    const file = durableFile(disk, "a", 10, 1);
    let answers = 0;
    file.sync(() => (answers += 1));
    disk.syncDirectory(() => (answers += 1));
    disk.crash();
    clock.run();
    expect(answers).toBe(0);
    expect(() => file.write(0, Uint8Array.of(1))).toThrow(expect.objectContaining({ code: "EBADF" }));
    expect(disk.open("a", "existing").byteLength()).toBe(10);
  });

  it("differs from the end of the process alone, after which all that was written is there", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk, clock } = stage(seed);
      const file = durableFile(disk, "a", 1024, 0);
      file.write(0, new Uint8Array(1024).fill(5));
      let answers = 0;
      file.sync(() => (answers += 1));
      disk.kill();
      clock.run();
      expect(answers).toBe(0);
      expect(disk.contents("a").every((byte) => byte === 5)).toBe(true);
    }
  });
});

describe("faults", () => {
  it("befall the operation with their number, once", () => {
    const { disk } = stage();
    const file = durableFile(disk, "a", 10, 0);
    disk.failOperation(disk.operations + 2, "error");
    file.write(0, Uint8Array.of(1));
    expect(() => file.write(0, Uint8Array.of(2))).toThrow(expect.objectContaining({ code: "EIO" }));
    file.write(0, Uint8Array.of(3));
    expect(disk.contents("a")[0]).toBe(3);
  });

  it("can befall every kind of operation", () => {
    const kinds: ((disk: SimulatedDisk, file: DiskFile) => void)[] = [
      (disk) => disk.open("b", "create"),
      (disk) => disk.open("a", "existing"),
      (disk) => disk.rename("a", "c"),
      (disk) => disk.remove("a"),
      (disk) => disk.syncDirectoryNow(),
      (_, file) => file.write(0, Uint8Array.of(1)),
      (_, file) => file.syncNow(),
    ];
    for (const kind of kinds) {
      for (const [fault, code] of [
        ["error", "EIO"],
        ["full", "ENOSPC"],
        ["crash", "EBADF"],
      ] as const) {
        const { disk } = stage();
        const file = durableFile(disk, "a", 10, 0);
        disk.failOperation(disk.operations + 1, fault);
        expect(() => kind(disk, file)).toThrow(expect.objectContaining({ code }));
        expect(disk.crashes).toBe(fault === "crash" ? 1 : 0);
      }
    }
  });

  it("a sync that fails says so, and its data looks fine until the crash, even after a later sync", () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const { disk, clock } = stage(seed);
      const file = durableFile(disk, "a", 10, 0);
      file.write(0, Uint8Array.of(7));
      const answers: unknown[] = [];
      disk.failOperation(disk.operations + 1, "error");
      file.sync((error) => answers.push(error?.message));
      clock.run();
      file.sync((error) => answers.push(error?.message));
      clock.run();
      expect(answers).toEqual(["a sync failed", undefined]);
      expect(disk.contents("a")[0]).toBe(7);
      disk.crash();
      seen.add(disk.contents("a")[0]!);
    }
    expect(seen).toEqual(new Set([0, 7]));
  });

  it("can wait for the next sync of a file, whatever comes before it", () => {
    const { disk, clock } = stage();
    const file = durableFile(disk, "a", 10, 0);
    const answers: unknown[] = [];
    disk.failNextSync("error");
    file.write(0, Uint8Array.of(7));
    file.sync((error) => answers.push(error?.message));
    file.sync((error) => answers.push(error?.message));
    clock.run();
    expect(answers).toEqual(expect.arrayContaining(["a sync failed", undefined]));
    expect(answers).toHaveLength(2);
  });

  it("what a failed sync lost is durable once it is written and synced again", () => {
    for (let seed = 0; seed < 40; seed++) {
      const { disk, clock } = stage(seed);
      const file = durableFile(disk, "a", 10, 0);
      file.write(0, Uint8Array.of(7));
      disk.failOperation(disk.operations + 1, "error");
      file.sync(() => undefined);
      clock.run();
      file.write(0, Uint8Array.of(8));
      file.sync(() => undefined);
      clock.run();
      disk.crash();
      expect(disk.contents("a")[0]).toBe(8);
    }
  });

  it("a sync that lies says it succeeded", () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const { disk, clock } = stage(seed);
      const file = durableFile(disk, "a", 10, 0);
      file.write(0, Uint8Array.of(7));
      disk.failOperation(disk.operations + 1, "lie");
      let answer: unknown = "none";
      file.sync((error) => (answer = error));
      clock.run();
      expect(answer).toBeUndefined();
      disk.crash();
      seen.add(disk.contents("a")[0]!);
    }
    expect(seen).toEqual(new Set([0, 7]));
  });

  it("the power can fail during a sync", () => {
    const { disk, clock } = stage();
    const file = durableFile(disk, "a", 10, 0);
    disk.failOperation(disk.operations + 1, "crash");
    let answers = 0;
    file.sync(() => (answers += 1));
    expect(disk.crashes).toBe(0);
    clock.run();
    expect([disk.crashes, answers]).toEqual([1, 0]);
  });

  it("a full disk refuses what makes a file longer, and nothing else", () => {
    const { disk } = stage(1, { capacityBytes: 1000 });
    const file = durableFile(disk, "a", 900, 0);
    expect(() => file.write(800, new Uint8Array(201))).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    file.write(800, new Uint8Array(200));
    file.write(0, new Uint8Array(1000));
    disk.setCapacity(1200);
    file.write(1000, new Uint8Array(200));
    disk.remove("a");
    disk.open("b", "create").write(0, new Uint8Array(1200));
  });

  it("a disk that hangs answers nothing until the time is over", () => {
    const { disk, clock } = stage();
    const file = durableFile(disk, "a", 10, 0);
    const answers: number[] = [];
    file.sync(() => answers.push(clock.now));
    disk.hang(1_000_000);
    disk.syncDirectory(() => answers.push(clock.now));
    // A second hang, in the middle of the first, prolongs it.
    clock.after(500_000, () => disk.hang(2_000_000));
    clock.run();
    expect(answers).toHaveLength(2);
    expect(Math.min(...answers)).toBeGreaterThanOrEqual(2_000_000);
  });

  it("rot can be put anywhere, and outlasts a crash", () => {
    const { disk } = stage();
    durableFile(disk, "a", 10, 0);
    disk.flipBit("a", 3, 5);
    disk.tamper("a", 5, Uint8Array.of(9, 9));
    disk.crash();
    expect([...disk.contents("a")]).toEqual([0, 0, 0, 32, 0, 9, 9, 0, 0, 0]);
  });
});

describe("from one seed", () => {
  it("everything happens again", () => {
    const life = (seed: number): string => {
      const { disk, clock } = stage(seed);
      const file = durableFile(disk, "a", 8192, 0);
      const story: number[] = [];
      for (let round = 0; round < 10; round++) {
        file.write(round * 600, new Uint8Array(700).fill(round));
        if (round % 3 === 0) file.sync(() => story.push(clock.now));
      }
      clock.step();
      disk.crash();
      return `${story.join()} ${disk.contents("a").join()}`;
    };
    fc.assert(fc.property(fc.nat(1000), (seed) => life(seed) === life(seed)));
    expect(life(1)).not.toBe(life(2));
  });

  it("names behave as in a folder", () => {
    const { disk } = stage();
    disk.open("a", "create");
    expect(() => disk.open("a", "create")).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect(() => disk.open("b", "existing")).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(() => disk.remove("b")).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(() => disk.rename("b", "c")).toThrow(expect.objectContaining({ code: "ENOENT" }));
    disk.open("b", "create");
    expect(() => disk.rename("a", "b")).toThrow(expect.objectContaining({ code: "EEXIST" }));
  });
});
