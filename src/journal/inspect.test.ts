import { describe, expect, it } from "vitest";
import { blocksOf, filler, journalId, JournalStage, segmentBytes } from "../../test/support/journal.ts";
import { crc32 } from "../core/checksum.ts";
import { encodeLabel } from "./format.ts";
import { inspectJournal, type JournalReport } from "./inspect.ts";

function inspect(stage: JournalStage): JournalReport {
  const before = stage.disk.list().map((name) => `${name} ${stage.disk.contents(name).join()}`);
  const report = inspectJournal(stage.disk, journalId, crc32);
  // J20: an inspection changes nothing.
  expect(stage.disk.list().map((name) => `${name} ${stage.disk.contents(name).join()}`)).toEqual(before);
  return report;
}

describe("inspecting a journal", () => {
  it("J20: lists segments and groups, and changes nothing", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1", "2");
    stage.store("b", "1");
    stage.store("a", "3");
    stage.release("a", 3);
    expect(inspect(stage)).toEqual({
      segments: [
        {
          name: "journal-00000001.segment",
          number: 1,
          bytes: segmentBytes,
          blocks: 4,
          records: 4,
          firstBlock: 1,
          lastBlock: 4,
          needed: true,
          tornAt: [],
          corruptAt: [],
        },
        {
          name: "journal-00000002.segment",
          number: 2,
          bytes: segmentBytes,
          blocks: 0,
          records: 0,
          firstBlock: 0,
          lastBlock: 0,
          needed: false,
          tornAt: [],
          corruptAt: [],
        },
      ],
      // What is released is known on the disk from the next directory on.
      groups: [
        { name: "a", first: 1, last: 3, records: 3, damaged: false },
        { name: "b", first: 1, last: 1, records: 1, damaged: false },
      ],
      groupsLost: 0,
      left: "memory",
      sound: true,
    });
  });

  it("tells a torn block from a corrupt one, and where they are", () => {
    const stage = new JournalStage().open();
    for (const text of ["1", "2", "3"]) stage.store("a", text);
    stage.store("b", "1");
    const blocks = blocksOf(stage);
    stage.disk.flipBit(blocks.at(-1)!.segment.name, blocks.at(-1)!.offset + 20, 0);
    expect(inspect(stage)).toMatchObject({
      segments: [{ tornAt: [blocks.at(-1)!.offset], corruptAt: [] }, {}],
      sound: true,
    });
    stage.disk.flipBit(blocks[2]!.segment.name, blocks[2]!.offset + 20, 0);
    expect(inspect(stage)).toMatchObject({
      segments: [{ tornAt: [blocks.at(-1)!.offset], corruptAt: [blocks[2]!.offset] }, {}],
      groups: [{ name: "a", last: 3, records: 2, damaged: true }],
      sound: false,
    });
  });

  it("tells that a group is lost with its name", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    stage.store("b", "1");
    stage.store("a", "2");
    const block = blocksOf(stage)[2]!;
    stage.disk.flipBit(block.segment.name, block.offset + 20, 0);
    expect(inspect(stage)).toMatchObject({
      groupsLost: 1,
      sound: false,
      groups: [{ name: "a", damaged: false }],
    });
  });

  it("does not call a journal corrupt whose segments were recycled out of order", () => {
    const stage = new JournalStage({ segmentsKeptMax: 100 }).open();
    for (let record = 0; record < 9; record++) stage.store("heavy", filler(`${record}`, 6000));
    for (let record = 0; record < 60; record++) {
      const number = stage.store("busy", filler(`${record}`, 6000));
      if (number > 2) stage.release("busy", number - 2);
    }
    const report = inspect(stage);
    const numbers = report.segments.map((segment) => segment.number);
    expect(numbers[0]).toBe(1);
    expect(numbers.at(-1)! - numbers[0]!).toBeGreaterThan(numbers.length);
    expect(report.sound).toBe(true);
  });

  it("agrees with what the journal itself finds, and the journal gives the same", () => {
    const stage = new JournalStage().open();
    for (let record = 0; record < 20; record++) stage.store("a", filler(`${record}`, 3000));
    expect(stage.journal.check()).toEqual(inspect(stage));
    stage.kill();
    const [group] = inspect(stage).groups;
    expect(group).toEqual({ name: "a", first: 1, last: 20, records: 20, damaged: false });
    expect(stage.recovered("a")).toHaveLength(20);
  });

  it("of an empty folder finds nothing, and does not call that sound", () => {
    const nothing = { segments: [], groups: [], groupsLost: 0, left: "nothing", sound: false };
    expect(inspect(new JournalStage())).toEqual(nothing);
  });

  it("tells a journal that has only begun from one of which only rubble is left", () => {
    const stage = new JournalStage({ begun: true });
    expect(inspect(stage)).toMatchObject({ left: "memory", sound: true });
    stage.open();
    for (const name of stage.segments()) stage.disk.tamper(name, 4096, new Uint8Array(4096));
    expect(inspect(stage)).toMatchObject({ left: "rubble", sound: false });
  });

  it("refuses a folder with segments of two journals", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    stage.disk.tamper(stage.segments()[1]!, 0, encodeLabel(new Uint8Array(16).fill(9), crc32));
    expect(() => inspectJournal(stage.disk, journalId, crc32)).toThrow(
      expect.objectContaining({ code: "DATA_FOREIGN" }),
    );
  });
});
