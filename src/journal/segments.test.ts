import { describe, expect, it } from "vitest";
import { filler, JournalStage, segmentBytes } from "../../test/support/journal.ts";

/** Room for so many segments. */
const room = (segments: number): { capacityBytes: number } => ({ capacityBytes: segments * segmentBytes });

describe("the next segment", () => {
  it("pitfall 25: J10: is zeroed and synced under a temporary name, then renamed, then the folder is synced", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.flush();
    // Whatever the moment, a segment under its final name has its full length.
    const seen = new Set<string>();
    do {
      for (const name of stage.disk.list()) seen.add(name);
      for (const name of stage.segments()) {
        expect(stage.disk.contents(name).byteLength).toBe(segmentBytes);
      }
    } while (stage.clock.step());
    expect([...seen].toSorted()).toEqual([
      "journal-00000001.segment",
      "journal-00000002.segment",
      "journal-00000002.temporary",
    ]);
  });

  it("J18: is zeroed in pieces of at most a mebibyte, and other things happen in between", () => {
    const stage = new JournalStage({
      segmentBytes: 4 * 1024 * 1024,
      disk: { syncMicrosMin: 0, syncMicrosMean: 0 },
    });
    stage.open();
    stage.append("a", "1");
    stage.flush();
    const lengths: number[] = [];
    do {
      const temporary = stage.disk.list().find((name) => name.endsWith(".temporary"));
      if (temporary !== undefined) lengths.push(stage.disk.contents(temporary).byteLength / (1024 * 1024));
    } while (stage.clock.step());
    expect([...new Set(lengths)]).toEqual([1, 2, 3, 4]);
    expect(stage.reports).toEqual(["a:1"]);
  });

  it("is not made before anything has been written", () => {
    const stage = new JournalStage().open();
    stage.clock.run();
    expect(stage.segments()).toHaveLength(1);
  });

  it("that cannot be made for another reason than room ends the agent", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.disk.failOperation(stage.disk.operations + 1, "error");
    stage.flush();
    expect(stage.failures).toHaveLength(1);
  });
});

describe("a full disk", () => {
  it("J14: is told, and what must be said still fits into what is left of the segment", () => {
    const stage = new JournalStage({ disk: room(1) }).open();
    expect(stage.journal.diskFull).toBe(false);
    stage.store("a", "vote 1");
    expect(stage.journal.diskFull).toBe(true);
    for (let vote = 2; vote <= 10; vote++) stage.store("a", `vote ${vote}`);
    expect(stage.failures).toEqual([]);
    expect(stage.durable.get("a")).toBe(10);
    expect(stage.disk.list()).toEqual(["journal-00000001.segment"]);
  });

  it("J14: fails only when the last sector is used up, and loses nothing that was promised", () => {
    const stage = new JournalStage({ disk: room(1) }).open();
    let votes = 0;
    while (stage.failures.length === 0) stage.store("a", `vote ${(votes += 1)}`);
    // 16 sectors: a label, the block that `open` wrote, and one for each vote.
    expect(stage.durable.get("a")).toBe(14);
    expect(stage.failures[0]).toMatchObject({ code: "DISK_FULL" });
    stage.disk.setCapacity(10 * segmentBytes);
    stage.crash();
    expect(stage.recovered("a")).toHaveLength(14);
  });

  it("J14: is tried again now and then, and passes", () => {
    const stage = new JournalStage({ disk: room(1) }).open();
    stage.store("a", "1");
    expect(stage.journal.diskFull).toBe(true);
    stage.disk.setCapacity(10 * segmentBytes);
    const before = stage.disk.operations;
    stage.flush();
    stage.clock.run();
    // Not at once, lest every turn hammers a disk that is full.
    expect(stage.disk.operations).toBe(before);
    for (let turn = 0; turn < 70; turn++) stage.flush().clock.run();
    expect(stage.journal.diskFull).toBe(false);
    for (let record = 0; record < 30; record++) stage.store("a", filler(`${record}`, 6000));
    expect(stage.failures).toEqual([]);
  });

  it("J14: a block that needs the next segment tries at once", () => {
    const stage = new JournalStage({ disk: room(1) }).open();
    stage.store("a", "1");
    stage.disk.setCapacity(10 * segmentBytes);
    for (let record = 0; record < 12; record++) stage.append("a", filler(`${record}`, 7000));
    stage.flush();
    stage.clock.run();
    expect(stage.failures).toEqual([]);
    expect(stage.durable.get("a")).toBe(13);
  });

  it("J14: passes without more room once records are released: their segments are freed", () => {
    const stage = new JournalStage({ disk: room(3) }).open();
    let record = 0;
    while (!stage.journal.diskFull) stage.store("a", filler(`${(record += 1)}`, 6000));
    stage.release("a", record);
    stage.clock.run();
    expect(stage.journal.diskFull).toBe(false);
    for (let more = 0; more < 30; more++) {
      const number = stage.store("a", filler("more", 6000));
      stage.release("a", number);
    }
    expect(stage.failures).toEqual([]);
    stage.crash();
    expect(stage.recovered("a").at(-1)).toBe(filler("more", 6000));
    expect(stage.next("a")).toBe(record + 31);
  });

  it("J14: passes when idle groups hold the segments: they are copied forward", () => {
    const stage = new JournalStage({ disk: room(4), segmentsKeptMax: 100 }).open();
    let record = 0;
    while (!stage.journal.diskFull) {
      stage.append(`idle-${record}`, "vote");
      stage.store("a", filler(`${(record += 1)}`, 6000));
    }
    stage.release("a", record);
    for (let turn = 0; turn < 70; turn++) stage.flush().clock.run();
    expect(stage.journal.diskFull).toBe(false);
    stage.crash();
    for (let group = 0; group < record; group++) expect(stage.recovered(`idle-${group}`)).toEqual(["vote"]);
  });

  it("at the start is a refusal with a reason, and leaves nothing half-made", () => {
    const stage = new JournalStage({ disk: { capacityBytes: segmentBytes - 1 } });
    expect(() => stage.open()).toThrow("The disk has no room for a journal segment.");
    expect(stage.disk.list()).toEqual([]);
    stage.disk.setCapacity(segmentBytes);
    stage.open();
    expect(stage.segments()).toHaveLength(1);
  });

  it("at a restart is no hindrance as long as a segment had been prepared", () => {
    const stage = new JournalStage({ disk: room(2) }).open();
    stage.store("a", "1");
    for (let start = 0; start < 5; start++) {
      stage.crash();
      expect(stage.recovered("a")).toEqual(["1"]);
    }
  });

  it("a sync that finds no room while a segment is prepared is a full disk, not a broken one", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    // Create, zeros, label, the block's write and sync; then the sync of the new file.
    stage.disk.failOperation(stage.disk.operations + 4, "full");
    stage.flush();
    stage.clock.run();
    expect(stage.failures).toEqual([]);
    expect(stage.journal.diskFull).toBe(true);
    expect(stage.reports).toEqual(["a:1"]);
  });
});
