import { describe, expect, it } from "vitest";
import { blocksOf, expectPromisesKept, filler, journalId, JournalStage } from "../../test/support/journal.ts";
import { crc32 } from "../core/checksum.ts";
import { limits } from "../core/limits.ts";
import { examineBlock, segmentNumberOf, segmentSeed } from "./format.ts";

/** A group that appends `rounds` large records and needs only the newest few. */
function busy(stage: JournalStage, rounds: number, keep = 3): void {
  for (let round = 0; round < rounds; round++) {
    const number = stage.store("busy", filler(`${round}`, 6000));
    if (number > keep) stage.release("busy", number - keep);
  }
}

describe("recycling", () => {
  it("J11: a journal whose records are released stays as small as it is", () => {
    const stage = new JournalStage().open();
    busy(stage, 20);
    const files = stage.segments().length;
    busy(stage, 200);
    expect(stage.segments().length).toBe(files);
    expect(files).toBeLessThanOrEqual(5);
    stage.crash();
    // From the first one that was needed when the newest directory was written.
    expect(
      stage
        .recovered("busy")
        .slice(-4)
        .map((text) => Number.parseInt(text, 10)),
    ).toEqual([196, 197, 198, 199]);
    expect(stage.recovered("busy").length).toBeLessThan(16);
    expect(stage.next("busy")).toBe(221);
  });

  it("J11: nothing is recycled while somebody needs it", () => {
    const stage = new JournalStage({ segmentsKeptMax: 1000 }).open();
    stage.store("busy", "the first");
    for (let round = 0; round < 40; round++) stage.store("busy", filler(`${round}`, 6000));
    expect(stage.segments().length).toBeGreaterThan(4);
    expect(stage.segments()[0]).toBe("journal-00000001.segment");
    stage.crash();
    expect(stage.recovered("busy")[0]).toBe("the first");
    expect(stage.recovered("busy")).toHaveLength(41);
  });

  it("J11: what has been released only since the last directory is kept until the next one is durable", () => {
    const stage = new JournalStage({ segmentsKeptMax: 1000 }).open();
    for (let round = 0; round < 25; round++) stage.store("busy", filler(`${round}`, 6000));
    const before = stage.segments();
    stage.release("busy", 25);
    stage.flush().clock.run();
    expect(stage.segments()).toEqual(before);
    for (let round = 0; round < 12; round++) stage.store("busy", filler(`${round}`, 6000));
    expect(stage.segments()).not.toContain(before[0]);
    stage.crash();
    expect(stage.recovered("busy")).toHaveLength(13);
  });

  it("J11: nor is a segment recycled while the directory that frees it is still on its way to the disk", () => {
    const stage = new JournalStage().open();
    for (let record = 1; record <= 7; record++) stage.store("a", filler(`${record}`, 6000));
    stage.release("a", 8);
    stage.disk.hang(1_000_000);
    // Opens the second segment, whose directory no longer needs the first.
    stage.append("a", filler("8", 6000));
    for (let turn = 1; turn <= 5; turn++) stage.flush().clock.run(stage.clock.now + turn * 1000);
    expect(stage.segments()).toContain("journal-00000001.segment");
    stage.clock.run();
    expect(stage.segments()).not.toContain("journal-00000001.segment");
  });

  it("J11: nor one that has been released since the last directory, when the next segment is opened", () => {
    const stage = new JournalStage({ segmentsKeptMax: 100 }).open();
    for (let record = 1; record <= 8; record++) stage.store("a", filler(`${record}`, 6000));
    // The first segment is full, the second one has a directory that still needs it.
    stage.release("a", 9);
    for (let record = 9; record <= 14; record++) stage.store("a", filler(`${record}`, 6000));
    stage.disk.hang(1_000_000);
    stage.append("a", filler("15", 6000));
    for (let turn = 1; turn <= 5; turn++) stage.flush().clock.run(stage.clock.now + turn * 1000);
    expect(blocksOf(stage).at(-1)!.segment.number).toBe(3);
    expect(stage.segments()).toContain("journal-00000001.segment");
    stage.crash();
    expect(stage.isDamaged("a")).toBe(false);
  });

  it("J5: blocks of a file's earlier life still lie in it, and none of them is taken for a block", () => {
    const stage = new JournalStage().open();
    busy(stage, 60);
    let stale = 0;
    for (const name of stage.segments()) {
      const bytes = stage.disk.contents(name);
      const own = segmentNumberOf(name)!;
      for (let offset = limits.sectorBytes; offset < bytes.byteLength; offset += limits.sectorBytes) {
        for (let number = 1; number < own; number++) {
          const seed = segmentSeed(journalId, number, crc32);
          if (examineBlock(bytes, offset, number, seed, crc32).kind !== "valid") continue;
          stale += 1;
          const ownSeed = segmentSeed(journalId, own, crc32);
          expect(examineBlock(bytes, offset, own, ownSeed, crc32).kind).toBe("blank");
          // Even if its header named the new segment, the seed would give it away.
          bytes.set(Uint8Array.of(own & 255, own >>> 8, 0, 0), offset + 24);
          expect(examineBlock(bytes, offset, own, ownSeed, crc32).kind).toBe("broken");
        }
      }
    }
    expect(stale).toBeGreaterThan(5);
    expectPromisesKept(stage.crash(), new Map([["busy", 57]]));
    expect(stage.recovered("busy").at(-1)).toBe(filler("59", 6000));
  });

  it("J5: a block torn over a stale one is cut, at every sector", () => {
    const whole = new JournalStage().open();
    busy(whole, 60);
    const last = blocksOf(whole).at(-1)!;
    for (let torn = 0; torn < 2; torn++) {
      const stage = new JournalStage().open();
      busy(stage, 60);
      const at = last.offset + torn * 4096;
      // The block of an earlier life that began there: a whole one, of another segment.
      const stale = blocksOf(stage).find((block) => block.segment.name !== last.segment.name)!;
      const bytes = stage.disk.contents(stale.segment.name).slice(stale.offset, stale.offset + 4096);
      stage.disk.tamper(last.segment.name, at, bytes);
      stage.kill();
      expect(stage.next("busy")).toBe(60);
      expect(stage.isDamaged("busy")).toBe(false);
    }
  });

  it("files of another length are deleted rather than used again", () => {
    const stage = new JournalStage({ segmentBytes: 32 * 1024 }).open();
    busy(stage, 10);
    const larger = new JournalStage();
    for (const name of stage.disk.list()) {
      const file = larger.disk.open(name, "create");
      file.write(0, stage.disk.contents(name));
      file.syncNow();
    }
    larger.disk.syncDirectoryNow();
    larger.open();
    busy(larger, 40);
    const lengths = larger.segments().map((name) => larger.disk.contents(name).byteLength);
    expect(new Set(lengths)).toEqual(new Set([64 * 1024]));
    expect(larger.next("busy")).toBe(51);
  });
});

describe("copying forward", () => {
  it("J12: an idle group's few records don't hold a segment, and keep their numbers", () => {
    const stage = new JournalStage({ segmentsKeptMax: 1 }).open();
    stage.store("idle", "base", "vote", "entry");
    stage.release("idle", 2);
    busy(stage, 120);
    expect(stage.segments()).not.toContain("journal-00000001.segment");
    expect(stage.segments().length).toBeLessThan(8);
    expect(stage.read("idle", 1)).toEqual(["2:vote", "3:entry"]);
    stage.crash();
    expect(stage.recovered("idle")).toEqual(["vote", "entry"]);
    expect(stage.next("idle")).toBe(4);
    expect(stage.store("idle", "awake")).toBe(4);
    stage.kill();
    expect(stage.recovered("idle")).toEqual(["vote", "entry", "awake"]);
  });

  it("J12: fifty idle groups neither", () => {
    const stage = new JournalStage().open();
    for (let group = 0; group < 50; group++) stage.append(`idle-${group}`, `vote ${group}`, `entry ${group}`);
    stage.flush();
    busy(stage, 120);
    expect(stage.segments().length).toBeLessThan(8);
    stage.crash();
    for (let group = 0; group < 50; group++) {
      expect(stage.recovered(`idle-${group}`)).toEqual([`vote ${group}`, `entry ${group}`]);
    }
  });

  it("J12: a group that lags and appends now and then keeps its records in order, each once", () => {
    const stage = new JournalStage().open();
    for (let round = 0; round < 60; round++) {
      if (round % 6 === 0) stage.store("calm", `calm ${round}`);
      busy(stage, 2);
    }
    stage.crash();
    expect(stage.recovered("calm")).toEqual(
      [0, 6, 12, 18, 24, 30, 36, 42, 48, 54].map((round) => `calm ${round}`),
    );
    expect(stage.segments().length).toBeLessThan(8);
  });

  it("J18: comes in pieces of at most a block, so that others get their turn", () => {
    const stage = new JournalStage({
      segmentBytes: 1024 * 1024,
      blockBytesMax: 16 * 1024,
      segmentsKeptMax: 1,
    }).open();
    for (let record = 0; record < 20; record++) stage.store("idle", filler(`${record}`, 4000));
    let worst = 0;
    for (let round = 0; round < 1000; round++) {
      stage.append("busy", filler(`${round}`, 12_000));
      stage.flush();
      do worst = Math.max(worst, stage.journal.status.gatheredBytes);
      while (stage.clock.step());
      const number = stage.durable.get("busy")!;
      if (number > 3) stage.release("busy", number - 3);
    }
    // 80 kB were copied; never did more than two pieces wait to be written.
    expect(stage.segments()).not.toContain("journal-00000001.segment");
    expect(worst).toBeGreaterThan(12_000);
    expect(worst).toBeLessThan(3 * 20_000);
    stage.crash();
    expect(stage.recovered("idle")).toHaveLength(20);
  });

  it("a group with many needed records is not copied: its segments stay", () => {
    const stage = new JournalStage({ segmentsKeptMax: 2 }).open();
    for (let record = 0; record < 8; record++) stage.store("heavy", filler(`${record}`, 6000));
    busy(stage, 60);
    expect(stage.segments()[0]).toBe("journal-00000001.segment");
    stage.crash();
    expect(stage.recovered("heavy")).toHaveLength(8);
  });

  it("rot in a record that was to be copied stops the copying, and is told at the next start", () => {
    const stage = new JournalStage().open();
    stage.store("idle", "vote");
    const [, block] = blocksOf(stage);
    busy(stage, 10);
    stage.disk.flipBit(block!.segment.name, block!.offset + 40, 1);
    busy(stage, 100);
    expect(stage.failures).toEqual([]);
    expect(stage.segments()[0]).toBe("journal-00000001.segment");
    stage.kill();
    expect(stage.isDamaged("idle")).toBe(true);
    expect(stage.isDamaged("busy")).toBe(false);
  });

  it("what is released between two pieces is copied no more", () => {
    const stage = new JournalStage({ segmentBytes: 256 * 1024, segmentsKeptMax: 1 }).open();
    for (let record = 1; record <= 4; record++) stage.store("idle", filler(`${record}`, 7000));
    const copies = (): number[] =>
      blocksOf(stage).flatMap(({ body }) =>
        body.runs.filter((run) => run.copied && run.name === "idle").map((run) => run.first),
      );
    while (copies().length === 0) {
      const number = stage.append("busy", filler("x", 6000));
      stage.flush();
      while (stage.clock.step()) if (copies().length > 0) stage.release("idle", 5);
      if (number > 3) stage.release("busy", number - 3);
    }
    expect(copies().length).toBeLessThan(3);
    stage.crash();
    expect(stage.next("idle")).toBe(5);
    expect(stage.isDamaged("idle")).toBe(false);
  });

  it("what is released while it is copied need not be copied", () => {
    const stage = new JournalStage().open();
    stage.store("idle", "1", "2", "3");
    for (let round = 0; round < 120; round++) {
      const number = stage.append("busy", filler(`${round}`, 6000));
      stage.flush();
      stage.clock.step();
      if (round === 40) stage.release("idle", 3);
      stage.clock.run();
      if (number > 3) stage.release("busy", number - 3);
    }
    stage.crash();
    expect(stage.recovered("idle")).toEqual(["3"]);
  });
});
