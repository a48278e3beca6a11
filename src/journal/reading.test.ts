import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { blocksOf, filler, JournalStage } from "../../test/support/journal.ts";

describe("reading back", () => {
  it("J17: gives a group's records from any number on, across blocks and segments", () => {
    const stage = new JournalStage({ segmentsKeptMax: 100 }).open();
    for (let record = 1; record <= 40; record++) {
      stage.append("a", filler(`${record}`, 3000));
      if (record % 3 === 0) stage.append("b", `b${record}`);
      if (record % 2 === 0) stage.flush().clock.run();
    }
    expect(stage.segments().length).toBeGreaterThan(2);
    const all = [...stage.appended.get("a")!].map(([number, text]) => `${number}:${text}`);
    for (const from of [1, 2, 17, 40]) expect(stage.read("a", from)).toEqual(all.slice(from - 1));
    expect(stage.read("a", 41)).toEqual([]);
    expect(stage.read("nobody", 1)).toEqual([]);
  });

  it("J17: gives what is written though not yet durable, and not what still gathers", () => {
    const stage = new JournalStage().open();
    stage.append("a", "1");
    stage.flush();
    stage.append("a", "2");
    expect(stage.read("a", 1)).toEqual(["1:1"]);
    expect(stage.reports).toEqual([]);
  });

  it("J17: begins later where records have been released", () => {
    const stage = new JournalStage().open();
    for (let record = 1; record <= 5; record++) stage.store("a", `${record}`);
    stage.release("a", 4);
    expect(stage.read("a", 1)).toEqual(["4:4", "5:5"]);
  });

  it("J17: reports rot instead of giving rotten records", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1");
    stage.store("b", "1");
    const [, block] = blocksOf(stage);
    stage.disk.flipBit(block!.segment.name, block!.offset + block!.header.length - 1, 0);
    expect(() => stage.read("a", 1)).toThrow(expect.objectContaining({ code: "DATA_CORRUPT" }));
    expect(stage.read("b", 1)).toEqual(["1:1"]);
  });

  it("goes on while records are appended and released in the middle of it", () => {
    const stage = new JournalStage().open();
    for (let record = 1; record <= 6; record++) stage.store("a", `${record}`);
    const found: string[] = [];
    for (const { number, bytes } of stage.journal.read("a" as never, 1 as never)) {
      found.push(`${number}:${String.fromCharCode(...bytes)}`);
      if (number === 2) stage.store("a", "7");
      if (number === 3) stage.release("a", 6);
    }
    expect(found).toEqual(["1:1", "2:2", "3:3", "6:6", "7:7"]);
  });

  it("gives bytes that stay as they are, whatever is read or written later", () => {
    const stage = new JournalStage().open();
    stage.store("a", "first");
    const [record] = [...stage.journal.read("a" as never, 1 as never)];
    for (let more = 0; more < 30; more++) stage.store("a", filler("x", 6000));
    stage.read("a", 1);
    expect(String.fromCharCode(...record!.bytes)).toBe("first");
  });

  it("J17: and recovery agree, before and after a start, whatever was appended and released", () => {
    const append = fc.record({
      group: fc.constantFrom("a", "b"),
      bytes: fc.constantFrom(0, 20, 2000),
      flush: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(append, { minLength: 1, maxLength: 60 }), fc.nat(20), (appends, released) => {
        const stage = new JournalStage().open();
        for (const [at, { group, bytes, flush }] of appends.entries()) {
          stage.append(group, filler(`${at}`, bytes));
          if (flush) stage.flush().clock.run();
        }
        stage.flush().clock.run();
        const durable = stage.durable.get("a") ?? 0;
        const needed = Math.max(1, Math.min(released, durable));
        if (durable > 0) stage.release("a", needed);
        for (const group of ["a", "b"]) {
          const texts = [...(stage.appended.get(group) ?? [])].map(([number, text]) => `${number}:${text}`);
          expect(stage.read(group, group === "a" ? needed : 1)).toEqual(
            texts.slice(group === "a" ? needed - 1 : 0),
          );
        }
        const before = [stage.read("a", needed), stage.read("b", 1)];
        stage.crash();
        expect([stage.read("a", needed), stage.read("b", 1)]).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });
});
