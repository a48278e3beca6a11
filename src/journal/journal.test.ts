import { describe, expect, it } from "vitest";
import { filler, JournalStage, names, segmentBytes } from "../../test/support/journal.ts";
import { AssertionError } from "../core/assert.ts";
import { crc32 } from "../core/checksum.ts";
import { groupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { segmentSeed, examineBlock } from "./format.ts";
import { journalId } from "../../test/support/journal.ts";

describe("appending and flushing", () => {
  it("numbers each group's records 1, 2, 3 …", () => {
    const stage = new JournalStage().open();
    expect(stage.append("a", "one")).toBe(1);
    expect(stage.append("b", "one")).toBe(1);
    expect(stage.append("a", "two", "three")).toBe(3);
  });

  it("pitfalls 1 and 7: J1: reports nothing before the sync has returned, then each group once with its last record", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1", "2");
    stage.append("b", "1");
    stage.append("a", "3");
    stage.flush();
    expect(stage.reports).toEqual([]);
    stage.clock.run();
    expect(stage.reports).toEqual(["a:3", "b:1"]);
  });

  it("one sync covers all groups", () => {
    const stage = new JournalStage().open();
    for (let group = 0; group < 50; group++) stage.append(`group-${group}`, "vote");
    stage.flush();
    stage.clock.run();
    expect(stage.journal.status.syncs).toBe(1);
    expect(stage.reports).toHaveLength(50);
  });

  it("writes nothing unless it is asked to", () => {
    const stage = new JournalStage().open();
    const before = stage.disk.operations;
    stage.append("a", "1");
    stage.clock.run();
    expect(stage.disk.operations).toBe(before);
    expect(stage.journal.status.gatheredBytes).toBeGreaterThan(0);
  });

  it("copies: what the caller does with its bytes later changes nothing", () => {
    const stage = new JournalStage().open();
    const bytes = Uint8Array.from([1, 2, 3]);
    const tail = Uint8Array.from([4, 5]);
    stage.journal.append(groupName("a"), { head: bytes, tail: [tail, tail] });
    bytes.fill(9);
    tail.fill(9);
    stage.flush().clock.run();
    stage.kill();
    const [record] = stage.journal.recover(groupName("a")).records;
    expect([...record!]).toEqual([1, 2, 3, 4, 5, 4, 5]);
  });

  it("an empty record is a record", () => {
    const stage = new JournalStage().open();
    stage.store("a", "", "x", "");
    stage.kill();
    expect(stage.recovered("a")).toEqual(["", "x", ""]);
  });

  it("J2: the block after is written only once the sync of the one before has returned, and then by itself", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.flush();
    stage.append("a", "2");
    const written = stage.journal.status.blocks;
    stage.flush();
    expect(stage.journal.status).toMatchObject({ blocks: written, syncsInFlight: 1 });
    while (stage.reports.length === 0) stage.clock.step();
    expect(stage.reports).toEqual(["a:1"]);
    expect(stage.journal.status.blocks).toBe(written + 1);
    stage.clock.run();
    expect(stage.reports).toEqual(["a:1", "a:2"]);
  });

  it("J2: without a flush, what has gathered meanwhile waits", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.flush();
    stage.append("a", "2");
    stage.flush();
    stage.clock.run();
    stage.append("a", "3");
    stage.clock.run();
    expect(stage.reports.at(-1)).toBe("a:2");
  });

  it("J19: what exceeds a block follows in further ones, one sync each", () => {
    const stage = new JournalStage().open();
    for (let record = 1; record <= 20; record++) stage.append("a", filler(`${record}`, 1000));
    stage.flush();
    stage.clock.run();
    // 20 records of about 1,000 bytes in blocks of at most 8,192.
    expect(stage.reports).toEqual(["a:8", "a:16", "a:20"]);
    expect(stage.journal.status.syncs).toBe(3);
  });

  it("J19: a record that no block can hold is a bug of the caller", () => {
    const stage = new JournalStage().open();
    expect(() => stage.append("a", filler("x", 8192))).toThrow(AssertionError);
  });

  it("a flush from within a report does not overtake the reports still to come", () => {
    const stage = new JournalStage();
    stage.open();
    const order: string[] = [];
    let asked = false;
    const { reports } = stage;
    reports.push = (...items: string[]): number => {
      order.push(...items);
      if (!asked) {
        asked = true;
        stage.append("c", "more");
        stage.flush();
      }
      return order.length;
    };
    stage.append("a", "1");
    stage.append("b", "1");
    stage.flush();
    stage.clock.run();
    expect(order).toEqual(["a:1", "b:1", "c:1"]);
  });
});

describe("blocks on the disk", () => {
  it("J4: start at sectors of their own, and no sector of a block is written twice", () => {
    const stage = new JournalStage().open();
    const before = new Map<number, string>();
    const name = stage.segments().at(-1)!;
    const number = 1;
    const seed = segmentSeed(journalId, number, crc32);
    for (let round = 0; round < 6; round++) {
      stage.store("a", filler(`${round}`, 300 + round * 900));
      const bytes = stage.disk.contents(name);
      for (let offset = limits.sectorBytes; offset < bytes.byteLength; offset += limits.sectorBytes) {
        const found = examineBlock(bytes, offset, number, seed, crc32);
        if (found.kind !== "valid") continue;
        const block = bytes.slice(offset, Math.ceil((offset + found.header.length) / 4096) * 4096).join();
        expect(before.get(offset) ?? block).toBe(block);
        before.set(offset, block);
      }
    }
    expect(before.size).toBe(7);
  });

  it("segments follow one another without anybody noticing", () => {
    const stage = new JournalStage({ segmentsKeptMax: 100 }).open();
    const texts: string[] = [];
    for (let record = 0; record < 60; record++) {
      const text = filler(`record ${record} `, 3000);
      texts.push(text);
      stage.store("a", text);
    }
    expect(stage.segments().length).toBeGreaterThan(3);
    expect(stage.reports).toHaveLength(60);
    stage.kill();
    expect(stage.recovered("a")).toEqual(texts);
    expect(stage.next("a")).toBe(61);
  });

  it("a block that does not fit waits for the next segment, and loses nothing", () => {
    const stage = new JournalStage({ segmentsKeptMax: 100, disk: { syncMicrosMin: 10 } }).open();
    // Faster than any segment can be prepared: all of it is asked for at once.
    for (let record = 0; record < 40; record++) {
      stage.append("a", filler(`${record}`, 7000));
    }
    stage.flush();
    stage.clock.run();
    expect(stage.durable.get("a")).toBe(40);
    stage.kill();
    expect(stage.recovered("a").map((text) => Number.parseInt(text, 10))).toEqual([...Array(40).keys()]);
  });

  it("knows how large it is", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    // The active segment and the one that is prepared.
    expect(stage.journal.status).toMatchObject({ segments: 2, bytes: 2 * segmentBytes, syncs: 1 });
  });
});

describe("a disk that fails", () => {
  it("J13: a failed write is told once, and nothing is durable any more", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    stage.append("a", "2");
    stage.disk.failOperation(stage.disk.operations + 1, "error");
    stage.flush();
    expect(stage.failures).toHaveLength(1);
    stage.flush();
    stage.clock.run();
    expect(stage.failures).toHaveLength(1);
    expect(stage.reports).toEqual(["a:1"]);
  });

  it("pitfall 24: J13: a failed sync is told once, and everything after is refused", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    stage.append("a", "2");
    stage.disk.failOperation(stage.disk.operations + 2, "error");
    stage.flush();
    stage.append("a", "3");
    stage.flush();
    stage.clock.run();
    expect(stage.failures).toHaveLength(1);
    expect(stage.reports).toEqual(["a:1"]);
    expect(() => stage.append("a", "4")).toThrow("The journal's disk has failed.");
    expect(() => stage.read("a", 1)).toThrow("The journal's disk has failed.");
    stage.release("a", 2);
    stage.flush();
    stage.clock.run();
    expect(stage.failures).toHaveLength(1);
  });

  it("a disk that hangs delays reports, and loses none", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.flush();
    stage.disk.hang(30_000_000);
    stage.append("a", "2");
    stage.flush();
    stage.clock.run(29_999_999);
    expect(stage.reports).toEqual([]);
    stage.clock.run();
    expect(stage.reports).toEqual(["a:1", "a:2"]);
  });
});

describe("closing", () => {
  it("finishes what was flushed, then calls back", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.flush();
    stage.append("a", "2");
    stage.flush();
    let closed = false;
    stage.journal.close(() => (closed = true));
    expect(closed).toBe(false);
    stage.clock.run();
    expect(closed).toBe(true);
    expect(stage.reports).toEqual(["a:1", "a:2"]);
    expect(() => stage.append("a", "3")).toThrow("The journal is closed.");
    stage.flush();
    stage.open();
    expect(stage.recovered("a")).toEqual(["1", "2"]);
  });

  it("finishes what was flushed even if it has to wait for segments", () => {
    const stage = new JournalStage().open();
    for (let record = 0; record < 30; record++) stage.append("a", filler(`${record}`, 7000));
    stage.flush();
    let closed = false;
    stage.journal.close(() => (closed = true));
    stage.clock.run();
    expect(closed).toBe(true);
    expect(stage.durable.get("a")).toBe(30);
  });

  it("does not write what nobody flushed", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    stage.append("a", "2");
    stage.journal.close(() => undefined);
    stage.clock.run();
    stage.open();
    expect(stage.recovered("a")).toEqual(["1"]);
  });

  it("waits for a segment that is being prepared, and leaves no half-made one behind", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.flush();
    let closed = false;
    stage.journal.close(() => (closed = true));
    stage.clock.run();
    expect(closed).toBe(true);
    stage.open();
    expect(stage.disk.list().filter((name) => name.endsWith(".temporary"))).toEqual([]);
  });

  it("closes after a failure too", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.disk.failOperation(stage.disk.operations + 3, "error");
    stage.flush();
    let closed = false;
    stage.journal.close(() => (closed = true));
    stage.clock.run();
    expect(closed).toBe(true);
    expect(stage.failures).toHaveLength(1);
  });
});

describe("groups", () => {
  it("are known once they have a record", () => {
    const stage = new JournalStage().open();
    expect(stage.journal.groups()).toEqual([]);
    expect(stage.journal.recover(groupName("a"))).toEqual({ records: [], next: 1, damaged: false });
    stage.store("b", "1");
    stage.store("a", "1");
    expect(stage.journal.groups()).toEqual(names("b", "a"));
    stage.kill();
    expect(new Set(stage.journal.groups())).toEqual(new Set(names("a", "b")));
  });

  it("that share blocks keep their records apart", () => {
    const stage = new JournalStage().open();
    for (let turn = 0; turn < 30; turn++) {
      for (const group of ["a", "b", "c"])
        if (turn % 3 !== 0 || group !== "b") stage.append(group, `${group}${turn}`);
      if (turn % 4 === 0) stage.flush().clock.run();
    }
    stage.flush().clock.run();
    stage.kill();
    for (const group of ["a", "b", "c"]) {
      expect(stage.recovered(group)).toEqual([...stage.appended.get(group)!.values()]);
    }
  });

  it("can be so many that only the limit of the directory stops them", () => {
    const stage = new JournalStage().open();
    for (let group = 0; group < 200; group++) stage.append(`g${group}`, "x");
    stage.flush().clock.run();
    stage.crash();
    expect(stage.journal.groups()).toHaveLength(200);
    expect(() => {
      for (let group = 200; group < 5000; group++) stage.append(`g${group}`, "x");
    }).toThrow("a directory of all groups fits into a segment beside a block");
  });
});
