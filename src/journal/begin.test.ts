/**
 * Goal: a journal that is gone is never taken for a new one, and no crash or failed operation makes one look gone. Method:
 * journals that were begun lose what people and file systems make them lose; then each operation of a first start fails.
 */
import { describe, expect, it } from "vitest";
import { expectPromisesKept, journalId, JournalStage } from "../../test/support/journal.ts";
import { crc32 } from "../core/checksum.ts";
import { AssertionError } from "../core/assert.ts";
import { limits } from "../core/limits.ts";
import { QuorateError } from "../core/errors.ts";
import { beginJournal, hasSegment } from "./begin.ts";
import { DiskError } from "./disk.ts";

/** All files and what they hold. */
function image(stage: JournalStage): string[] {
  return stage.disk.list().map((name) => `${name} ${stage.disk.contents(name).join()}`);
}

function refusal(stage: JournalStage): { code: string; changed: boolean } {
  const before = image(stage);
  try {
    stage.open();
  } catch (error) {
    if (!(error instanceof QuorateError) || !error.hint.includes("must not vote again")) throw error;
    return { code: error.code, changed: image(stage).join() !== before.join() };
  }
  return { code: "none", changed: true };
}

/** One that has voted, and ended. */
function lived(): JournalStage {
  const stage = new JournalStage({ begun: true }).open();
  stage.store("a", "vote");
  stage.disk.kill();
  return stage;
}

describe("a journal that has begun", () => {
  it("is one label long, and its first start makes segments of the full length", () => {
    const stage = new JournalStage({ begun: true });
    expect(stage.segments()).toEqual(["journal-00000001.segment"]);
    expect(stage.disk.contents("journal-00000001.segment")).toHaveLength(limits.sectorBytes);
    stage.open();
    expect(stage.segments()).toEqual(["journal-00000002.segment"]);
    stage.store("a", "vote");
    expect(stage.crash().recovered("a")).toEqual(["vote"]);
  });

  it("J21: begins once: what is there is never covered by a beginning", () => {
    for (const stage of [new JournalStage({ begun: true }), lived()]) {
      const before = image(stage);
      expect(() => beginJournal(stage.disk, journalId, crc32)).toThrow(AssertionError);
      expect(image(stage)).toEqual(before);
    }
  });

  it("J21: is refused, and nothing is made, where its files were removed", () => {
    const stage = lived();
    for (const name of stage.disk.list()) stage.disk.remove(name);
    expect(refusal(stage)).toEqual({ code: "DATA_MISSING", changed: false });
    // Half-made segments and other people's files are no memory either.
    stage.disk.open("journal-00000007.temporary", "create");
    stage.disk.open("notes.txt", "create");
    expect(hasSegment(stage.disk.list())).toBe(false);
    expect(refusal(stage)).toEqual({ code: "DATA_MISSING", changed: false });
  });

  it("J21: is refused where its files are there and hold nothing", () => {
    const stage = lived();
    for (const name of stage.segments()) {
      const { length } = stage.disk.contents(name);
      stage.disk.tamper(name, limits.sectorBytes, new Uint8Array(length - limits.sectorBytes));
    }
    expect(refusal(stage)).toEqual({ code: "DATA_CORRUPT", changed: false });
    for (const name of stage.segments()) stage.disk.tamper(name, 0, new Uint8Array(limits.sectorBytes));
    expect(refusal(stage)).toEqual({ code: "DATA_CORRUPT", changed: false });
  });

  it("J21: is refused where the beginning itself can't be read", () => {
    const stage = new JournalStage({ begun: true });
    stage.disk.flipBit("journal-00000001.segment", 14, 1);
    expect(refusal(stage)).toEqual({ code: "DATA_CORRUPT", changed: false });
  });

  it("J21: goes on where one block is left", () => {
    const stage = lived();
    const [first = "", ...rest] = stage.segments();
    for (const name of rest) stage.disk.remove(name);
    expect(stage.segments()).toEqual([first]);
    expect(stage.open().recovered("a")).toEqual(["vote"]);
  });
});

describe("the first start", () => {
  const operationsOfStart = ((): { before: number; after: number } => {
    const stage = new JournalStage({ begun: true });
    const before = stage.disk.operations;
    stage.open();
    stage.store("a", "vote");
    return { before, after: stage.disk.operations };
  })();

  for (const fault of ["crash", "error", "full"] as const) {
    it(`J21, J3: finds the journal there again, whichever of its operations meets: ${fault}`, () => {
      const { before, after } = operationsOfStart;
      expect(after - before).toBeGreaterThan(8);
      for (let operation = before + 1; operation <= after; operation++) {
        for (let seed = 1; seed <= (fault === "crash" ? 20 : 1); seed++) {
          const stage = new JournalStage({ begun: true, seed });
          stage.disk.failOperation(operation, fault);
          try {
            stage.open().store("a", "vote");
          } catch (error) {
            const isItsEnd = error instanceof QuorateError && ["DISK_FULL", "CLOSED"].includes(error.code);
            if (!isItsEnd && !(error instanceof DiskError)) throw error;
          }
          stage.failures.length = 0;
          expectPromisesKept(stage.kill(), new Map());
          expectPromisesKept(stage.crash(), new Map());
          stage.store("a", "again");
          expectPromisesKept(stage.crash(), new Map());
        }
      }
    });
  }
});
