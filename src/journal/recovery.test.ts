import { describe, expect, it } from "vitest";
import { blocksOf, cloned, filler, journalId, JournalStage, names } from "../../test/support/journal.ts";
import { groupName } from "../core/ids.ts";
import { crc32 } from "../core/checksum.ts";
import { writeUint32 } from "../core/bytes.ts";
import { Prng } from "../core/prng.ts";
import { encodeLabel } from "./format.ts";
import { inspectJournal } from "./inspect.ts";
import type { BlockScan } from "./scan.ts";

/** One block each: a story in the order of its blocks. */
function story(stage: JournalStage, blocks: readonly Readonly<Record<string, string[]>>[]): JournalStage {
  for (const block of blocks) {
    for (const [group, texts] of Object.entries(block)) stage.append(group, ...texts);
    stage.flush().clock.run();
  }
  return stage;
}

function rot(stage: JournalStage, block: BlockScan, within = 40): void {
  stage.disk.flipBit(block.segment.name, block.offset + within, 3);
}

describe("a torn tail", () => {
  it("J6: is cut at whatever byte the write was torn, and nobody is damaged", () => {
    const whole = new JournalStage().open();
    story(whole, [{ a: ["1", "2"], b: ["1"] }, { a: ["3"] }, { a: ["4", "5"], b: ["2"] }]);
    const last = blocksOf(whole).at(-1)!;
    const { name } = last.segment;
    const bytes = whole.disk.contents(name);
    const end = last.offset + last.header.length;
    for (let torn = last.offset; torn <= end; torn++) {
      const stage = cloned(whole);
      stage.disk.tamper(name, torn, new Uint8Array(end - torn));
      stage.open();
      // A block that ends in zeros is whole a little before its end.
      const isWhole = bytes.subarray(torn, end).every((byte) => byte === 0);
      expect(stage.recovered("a")).toEqual(isWhole ? ["1", "2", "3", "4", "5"] : ["1", "2", "3"]);
      expect(stage.recovered("b")).toEqual(isWhole ? ["1", "2"] : ["1"]);
      expect([stage.isDamaged("a"), stage.isDamaged("b"), stage.isDamaged("new")]).toEqual([
        false,
        false,
        false,
      ]);
      expect(stage.next("a")).toBe(isWhole ? 6 : 4);
    }
  });

  it("J6: over what the file held in an earlier life, too", () => {
    const whole = new JournalStage().open();
    story(whole, [{ a: ["1"] }, { a: [filler("2", 6000)] }]);
    const last = blocksOf(whole).at(-1)!;
    const prng = new Prng(5);
    for (let sector = 0; sector < 2; sector++) {
      const stage = cloned(whole);
      const stale = Uint8Array.from({ length: 512 }, () => prng.uint32() & 255);
      stage.disk.tamper(last.segment.name, last.offset + sector * 4096 + 512, stale);
      stage.open();
      expect(stage.recovered("a")).toEqual(["1"]);
      expect(stage.isDamaged("a")).toBe(false);
    }
  });

  it("J6: that an earlier start cut stays cut, and harms nobody at later starts", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"] }, { a: ["2"] }]);
    rot(stage, blocksOf(stage).at(-1)!);
    stage.kill();
    expect(stage.recovered("a")).toEqual(["1"]);
    stage.store("a", "again 2");
    for (let start = 0; start < 3; start++) {
      stage.crash();
      expect(stage.recovered("a")).toEqual(["1", "again 2"]);
      expect(stage.isDamaged("a")).toBe(false);
    }
  });

  it("J6: even if the block that was cut should come back", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"] }, { a: ["2"] }, { a: ["3", "4"] }]);
    const cut = blocksOf(stage).at(-1)!;
    rot(stage, cut);
    stage.kill();
    stage.store("a", "another 3");
    rot(stage, cut);
    stage.kill();
    expect(stage.recovered("a")).toEqual(["1", "2", "another 3"]);
    expect(stage.next("a")).toBe(4);
    expect(stage.isDamaged("a")).toBe(false);
  });

  it("cannot be told from rot in the last block, which therefore takes durable records with it", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"] }, { a: ["2"] }]);
    expect(stage.durable.get("a")).toBe(2);
    rot(stage, blocksOf(stage).at(-1)!);
    stage.kill();
    expect(stage.recovered("a")).toEqual(["1"]);
    expect(stage.isDamaged("a")).toBe(false);
  });
});

describe("a block that is corrupt in the middle", () => {
  it("J7: damages the groups whose numbers it breaks", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"], b: ["1"] }, { a: ["2"] }, { a: ["3"], b: ["2"] }]);
    rot(stage, blocksOf(stage)[2]!);
    stage.kill();
    expect(stage.isDamaged("a")).toBe(true);
    expect(stage.isDamaged("b")).toBe(false);
    expect(stage.recovered("b")).toEqual(["1", "2"]);
    expect(stage.next("a")).toBe(4);
  });

  it("pitfall 25: J7: damages a group of which nothing later tells the last number", () => {
    const stage = new JournalStage().open();
    story(stage, [{ quiet: ["1"], a: ["1"] }, { a: ["2"] }, { b: ["1"] }, { a: ["3"] }]);
    // The third block holds a record of b; as far as anybody can tell, one of `quiet` might have been in it.
    rot(stage, blocksOf(stage)[3]!);
    stage.kill();
    expect(stage.isDamaged("quiet")).toBe(true);
    expect(stage.isDamaged("a")).toBe(false);
  });

  it("J7: old records copied forward tell nothing of what came after them", () => {
    const stage = new JournalStage({ segmentsKeptMax: 1 }).open();
    stage.store("quiet", "1");
    // While the block that opens a segment is synced, `quiet` speaks up; behind that its first record is copied.
    while (!blocksOf(stage).some(({ body }) => body.runs.some((run) => run.copied))) {
      const number = stage.append("a", filler("x", 7000));
      const before = stage.journal.status.blocks;
      stage.flush();
      if (stage.journal.status.blocks > before && blocksOf(stage).at(-1)!.body.directory !== undefined) {
        stage.append("quiet", "spoken");
      }
      stage.flush().clock.run();
      stage.release("a", number);
    }
    const blocks = blocksOf(stage);
    const copy = blocks.findIndex(({ body }) => body.runs.some((run) => run.copied));
    const spoken = blocks.findLastIndex(({ body }) =>
      body.runs.some((run) => run.name === "quiet" && !run.copied),
    );
    expect(copy).toBeGreaterThan(spoken);
    expect(blocks.slice(spoken).some(({ body }) => body.directory !== undefined)).toBe(false);
    rot(stage, blocks[spoken]!);
    stage.kill();
    expect(stage.isDamaged("quiet")).toBe(true);
  });

  it("J7: damages any name, if a group may have been in it whose name is nowhere else", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"] }, { b: ["1"] }, { a: ["2"] }]);
    rot(stage, blocksOf(stage)[2]!);
    stage.kill();
    expect(stage.journal.groups()).toEqual(names("a"));
    expect([stage.isDamaged("a"), stage.isDamaged("b"), stage.isDamaged("c")]).toEqual([false, true, true]);
    expect(() => stage.append("c", "x")).toThrow("J8");
  });

  it("J7: damages nobody else: a later directory proves that a quiet group lost nothing", () => {
    const stage = new JournalStage({ segmentsKeptMax: 100 }).open();
    story(stage, [{ quiet: ["1"] }, { a: ["1"] }, { b: ["1"] }]);
    for (let round = 0; round < 12; round++) story(stage, [{ b: [filler(`${round}`, 7000)] }]);
    expect(stage.segments().length).toBeGreaterThan(2);
    rot(stage, blocksOf(stage)[2]!);
    stage.kill();
    expect(["quiet", "a", "b", "new"].map((group) => stage.isDamaged(group))).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  it("J7: a lost write, which left zeros, is corrupt too", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"] }, { a: ["2"] }, { a: ["3"] }]);
    const lost = blocksOf(stage)[2]!;
    stage.disk.tamper(lost.segment.name, lost.offset, new Uint8Array(4096));
    stage.kill();
    expect(stage.isDamaged("a")).toBe(true);
  });

  it("pitfall 25: J7: a block written over another one is corrupt too", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"] }, { a: ["2"] }, { a: ["3"] }]);
    const [, first, second] = blocksOf(stage) as [BlockScan, BlockScan, BlockScan];
    const { name } = first.segment;
    stage.disk.tamper(
      name,
      second.offset,
      stage.disk.contents(name).slice(first.offset, first.offset + 4096),
    );
    expect(inspectJournal(stage.disk, journalId, crc32).segments[0]!.corruptAt).toEqual([second.offset]);
    stage.kill();
    expect(stage.isDamaged("a")).toBe(true);
  });

  it("J7: a whole segment gone damages those who had records in it", () => {
    const stage = new JournalStage({ segmentsKeptMax: 100 }).open();
    story(stage, [{ early: ["1"] }]);
    for (let round = 0; round < 24; round++) story(stage, [{ a: [filler(`${round}`, 7000)] }]);
    const middle = stage.segments()[1]!;
    stage.disk.remove(middle);
    stage.kill();
    expect(stage.isDamaged("a")).toBe(true);
    expect(stage.isDamaged("early")).toBe(false);
    expect(stage.recovered("early")).toEqual(["1"]);
  });

  it("J28: a damaged group begins anew, and nothing of its old life comes back", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"], b: ["1"] }, { a: ["2"] }, { a: ["3"], b: ["2"] }]);
    rot(stage, blocksOf(stage)[2]!);
    stage.kill();
    expect([stage.isDamaged("a"), stage.isDamaged("b")]).toEqual([true, false]);
    const next = stage.next("a");
    stage.journal.restart(groupName("a"));
    expect([stage.isDamaged("a"), stage.recovered("a"), stage.next("a")]).toEqual([false, [], next]);
    // The power fails before anything new is durable: the group is as it was.
    const early = cloned(stage);
    early.open();
    expect(early.isDamaged("a")).toBe(true);
    expect(stage.store("a", "new")).toBe(next);
    for (let life = 0; life < 3; life++) {
      stage.kill();
      expect([stage.isDamaged("a"), stage.recovered("a"), stage.next("a")]).toEqual([
        false,
        life === 0 ? ["new"] : ["new", ...Array.from({ length: life }, (_, at) => `life ${at}`)],
        next + 1 + life,
      ]);
      stage.store("a", `life ${life}`);
    }
    expect(stage.recovered("b")).toEqual(["1", "2"]);
    expect(() => {
      stage.append("b", "3");
      stage.journal.restart(groupName("b"));
    }).toThrow("J28");
  });

  it("J7, J8: whichever block rots, exactly the groups are damaged that the rule names, and they stay so", () => {
    const universe = ["a", "b", "c", "d", "e"];
    for (let seed = 1; seed <= 6; seed++) {
      const prng = new Prng(seed);
      const whole = new JournalStage({ segmentsKeptMax: 100, seed }).open();
      for (let block = 0; block < 26; block++) {
        // Groups come one after the other, some speak seldom, and some blocks are large, so that segments change.
        for (const group of universe.slice(0, 1 + Math.floor(block / 4))) {
          if (prng.chance(group === "a" ? 0.8 : 0.25))
            whole.append(group, filler(`${block}`, prng.pick([10, 10, 1200])));
        }
        whole.flush().clock.run();
        if (block === 15) whole.kill();
      }
      const blocks = blocksOf(whole);
      expect(whole.segments().length).toBeGreaterThan(2);
      for (let rotten = 0; rotten < blocks.length; rotten++) {
        const stage = cloned(whole, { segmentsKeptMax: 100 });
        const { header } = blocks[rotten]!;
        rot(stage, blocks[rotten]!, prng.between(4, header.length - 1));
        const expected = rotten === blocks.length - 1 ? [] : damagedBy(blocks, rotten, universe);
        stage.open();
        const where = `seed ${seed}, block ${rotten} of ${blocks.length}`;
        expect({ where, damaged: universe.filter((group) => stage.isDamaged(group)) }).toEqual({
          where,
          damaged: expected,
        });
        for (const group of universe)
          if (!expected.includes(group) && stage.next(group) > 1) stage.store(group, "more");
        for (let start = 0; start < 2; start++) {
          stage.crash();
          expect(universe.filter((group) => stage.isDamaged(group))).toEqual(expected);
        }
        for (const group of expected) expect(() => stage.append(group, "x")).toThrow("J8");
      }
    }
  });
});

/** The rule in its plainest form, for a journal in which nothing has been released: without block `rotten`, who is damaged? */
function damagedBy(blocks: readonly BlockScan[], rotten: number, universe: readonly string[]): string[] {
  const rest = blocks.filter((_, position) => position !== rotten);
  const numbersIn = (block: BlockScan, group: string): number[] =>
    block.body.runs
      .filter((run) => run.name === group)
      .flatMap((run) => Array.from({ length: run.count }, (_, at) => run.first + at));
  const isKnown = (group: string): boolean =>
    rest.some(
      ({ body }) =>
        numbersIn({ body } as BlockScan, group).length > 0 || body.directory?.some((l) => l.name === group),
    );
  const everKnown = universe.filter((group) => blocks.some((block) => numbersIn(block, group).length > 0));
  const somebodyLost = everKnown.some((group) => !isKnown(group));
  return universe.filter((group) => {
    if (!isKnown(group)) return somebodyLost;
    const present = new Set(rest.flatMap((block) => numbersIn(block, group)));
    const missing = numbersIn(blocks[rotten]!, group).some((number) => !present.has(number));
    const later = blocks.slice(rotten + 1);
    const told = later.some(
      ({ body }) =>
        body.directory !== undefined || body.runs.some((run) => run.name === group && !run.copied),
    );
    return missing || !told;
  });
}

describe("damage", () => {
  it("J8: is not healed by later records or directories, nor by more starts", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"], b: ["1"] }, { a: ["2"] }, { b: ["2"] }]);
    rot(stage, blocksOf(stage)[2]!);
    for (let start = 0; start < 4; start++) {
      stage.kill();
      expect([stage.isDamaged("a"), stage.isDamaged("b")]).toEqual([true, false]);
      stage.store("b", "more");
    }
    expect(() => stage.append("a", "x")).toThrow("J8: a damaged group appends nothing");
  });

  it("J8: of a name that is lost stays, too, while the groups that are known go on", () => {
    const stage = new JournalStage().open();
    story(stage, [{ a: ["1"] }, { lost: ["1"] }, { a: ["2"] }]);
    rot(stage, blocksOf(stage)[2]!);
    for (let start = 0; start < 3; start++) {
      stage.kill();
      expect([stage.isDamaged("a"), stage.isDamaged("lost")]).toEqual([false, true]);
      stage.store("a", "more");
    }
    expect(stage.recovered("a")).toEqual(["1", "2", "more", "more", "more"]);
  });

  it("of one group does not keep the others from recycling segments", () => {
    const stage = new JournalStage({ segmentsKeptMax: 2 }).open();
    story(stage, [{ a: ["1"], b: ["1"] }, { a: ["2"] }, { b: ["2"] }]);
    rot(stage, blocksOf(stage)[2]!);
    stage.kill();
    for (let round = 0; round < 60; round++) {
      const number = stage.store("b", filler(`${round}`, 7000));
      stage.release("b", number);
    }
    expect(stage.segments().length).toBeLessThan(8);
    stage.crash();
    expect([stage.isDamaged("a"), stage.isDamaged("b")]).toEqual([true, false]);
    // What could be read of it has been kept, for whoever repairs it.
    expect(stage.recovered("a")).toEqual(["1"]);
  });
});

describe("a folder that is not ours", () => {
  const foreign = Uint8Array.from({ length: 16 }, () => 99);

  function refusal(stage: JournalStage): { code: string; changed: boolean } {
    const before = stage.disk.list().map((name) => [name, stage.disk.contents(name).join()]);
    let code = "opened";
    try {
      stage.open();
    } catch (error) {
      code = (error as { code: string }).code;
    }
    const after = stage.disk.list().map((name) => [name, stage.disk.contents(name).join()]);
    return { code, changed: JSON.stringify(before) !== JSON.stringify(after) };
  }

  it("J16: is refused if it is another agent's, and not touched", () => {
    const theirs = new JournalStage({ id: foreign }).open();
    theirs.store("a", "1");
    expect(refusal(cloned(theirs))).toEqual({ code: "DATA_FOREIGN", changed: false });
  });

  it("J16: is refused if only one segment is another agent's", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    stage.disk.tamper(stage.segments()[0]!, 0, encodeLabel(foreign, crc32));
    expect(refusal(stage)).toEqual({ code: "DATA_FOREIGN", changed: false });
  });

  it("J16: is refused if a later version wrote it", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    const label = encodeLabel(journalId, crc32);
    writeUint32(label, 8, 2);
    writeUint32(label, 4, crc32(label.subarray(8, 28)));
    stage.disk.tamper(stage.segments()[0]!, 0, label);
    expect(refusal(stage)).toEqual({ code: "DATA_VERSION", changed: false });
  });

  it("a label that has rotted costs nothing: the blocks speak for themselves", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1", "2");
    for (const name of stage.segments()) stage.disk.flipBit(name, 14, 1);
    stage.kill();
    expect(stage.recovered("a")).toEqual(["1", "2"]);
  });

  it("other files in the folder are left alone, half-made segments are removed", () => {
    const stage = new JournalStage();
    stage.disk.open("notes.txt", "create");
    stage.disk.open("journal-00000007.temporary", "create");
    stage.open();
    expect(stage.disk.list().toSorted()).toEqual(["journal-00000001.segment", "notes.txt"]);
  });

  it("blocks longer than this start allows are read and written again all the same", () => {
    const stage = new JournalStage({ blockBytesMax: 16 * 1024 }).open();
    stage.store("a", filler("long", 15_000));
    const shorter = cloned(stage, { blockBytesMax: 8 * 1024 }).open();
    expect(shorter.recovered("a")).toEqual([filler("long", 15_000)]);
    shorter.crash();
    expect(shorter.recovered("a")).toEqual([filler("long", 15_000)]);
  });

  it("an empty folder becomes a journal", () => {
    const stage = new JournalStage().open();
    expect(stage.journal.groups()).toEqual([]);
    expect(stage.segments()).toEqual(["journal-00000001.segment"]);
  });
});
