import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectPromisesKept, filler, JournalStage } from "../../test/support/journal.ts";
import { QuorateError } from "../core/errors.ts";
import { DiskError } from "./disk.ts";
import type { DiskFault } from "../simulator/disk.ts";

/**
 * A life of the journal in miniature: a busy group that releases what it has left behind, one that appends now and then,
 * and one that is idle after its first records; so segments fill up, are recycled, and records are copied forward.
 */
function live(stage: JournalStage, needed: Map<string, number>, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    if (stage.failures.length > 0) return;
    if (round === 0) stage.append("idle", "vote", "base");
    if (round % 3 === 0) stage.append("calm", filler(`calm ${round} `, 100));
    stage.append("busy", filler(`busy ${round} `, 5000), `small ${round}`);
    stage.flush();
    stage.append("busy", `meanwhile ${round}`);
    stage.flush();
    stage.clock.run();
    const keep = Math.max(1, (stage.durable.get("busy") ?? 0) - 5);
    if (stage.failures.length === 0) {
      needed.set("busy", keep);
      stage.release("busy", keep);
    }
  }
}

const small = { segmentBytes: 32 * 1024, blockBytesMax: 8 * 1024, segmentsKeptMax: 2 } as const;
const roundsInLife = 14;

function cleanLife(): { operations: number; stage: JournalStage; afterOpen: number } {
  const stage = new JournalStage(small).open();
  const afterOpen = stage.disk.operations;
  const needed = new Map<string, number>();
  live(stage, needed, roundsInLife);
  expectPromisesKept(stage.kill(), needed);
  return { operations: stage.disk.operations, stage, afterOpen };
}

/** A fault in the middle of `open` is thrown; one while it runs is told, and what is appended after it is refused. */
function endsTheAgent(error: unknown): boolean {
  if (error instanceof QuorateError) return error.code === "DISK_FULL" || error.code === "CLOSED";
  return error instanceof DiskError;
}

/** One life in which a fault befalls the n-th operation; then starts, a little more life, and power failures. */
function lifeWithFault(operation: number, fault: DiskFault, seed: number): boolean {
  const stage = new JournalStage({ ...small, seed });
  const needed = new Map<string, number>();
  stage.disk.failOperation(operation, fault);
  const struck = (): boolean => stage.disk.crashes > 0 || stage.failures.length > 0;
  try {
    stage.open();
    live(stage, needed, roundsInLife);
    if (!struck()) stage.kill();
  } catch (error) {
    if (!endsTheAgent(error)) throw error;
  }
  const hit = stage.disk.operations >= operation;
  stage.failures.length = 0;
  // First the process alone ends and starts again: it sees what the page cache has, even what no sync brought to the disk.
  expectPromisesKept(stage.kill(), needed);
  // Everything it found is a promise now, so it must outlast the power.
  expectPromisesKept(stage.crash(), needed);
  live(stage, needed, 3);
  expect(stage.failures).toEqual([]);
  expectPromisesKept(stage.crash(), needed);
  return hit;
}

describe("a crash or a failure at every operation of the disk", () => {
  const { operations, stage: clean, afterOpen } = cleanLife();

  it("the life that is swept has segments recycled, records copied forward, and a second start", () => {
    expect(operations).toBeGreaterThan(100);
    expect(afterOpen).toBeGreaterThan(3);
    const numbers = clean.segments().map((name) => Number.parseInt(name.slice(8), 16));
    // It has had far more segments than there are files, and the first one, which the idle group was in, is gone.
    expect(Math.max(...numbers)).toBeGreaterThan(numbers.length + 4);
    expect(Math.min(...numbers)).toBeGreaterThan(1);
    expect(clean.recovered("idle")).toEqual(["vote", "base"]);
  });

  for (const fault of ["crash", "error", "full"] as const) {
    it(`pitfalls 24 and 25: J3, J9, J10, J11, J13: every promise is kept where the n-th operation meets: ${fault}`, () => {
      // What survives a crash is luck, so each is tried several times.
      const seeds = fault === "crash" ? 4 : 1;
      for (let operation = 1; operation <= operations; operation++) {
        for (let seed = 1; seed <= seeds; seed++) {
          try {
            expect(lifeWithFault(operation, fault, seed)).toBe(true);
          } catch (error) {
            throw new Error(`operation ${operation}, ${fault}, seed ${seed}`, { cause: error });
          }
        }
      }
    });
  }
});

describe("a failed sync", () => {
  it("J9: whose block can still be read is written again before anybody is promised anything", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const stage = new JournalStage({ seed }).open();
      stage.store("a", "1");
      stage.append("a", "2", "3");
      stage.disk.failOperation(stage.disk.operations + 2, "error");
      stage.flush();
      stage.clock.run();
      expect(stage.failures).toHaveLength(1);
      stage.kill();
      // The page cache shows it, although the disk may lack it.
      expect(stage.recovered("a")).toEqual(["1", "2", "3"]);
      stage.crash();
      expect(stage.recovered("a")).toEqual(["1", "2", "3"]);
      expect(stage.isDamaged("a")).toBe(false);
    }
  });

  it("J9: and whose block the power takes away was promised to nobody", () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 40; seed++) {
      const stage = new JournalStage({ seed }).open();
      stage.store("a", "1");
      stage.append("a", "2", "3");
      stage.disk.failOperation(stage.disk.operations + 2, "error");
      stage.flush();
      stage.clock.run();
      stage.crash();
      expect(stage.reports).toEqual(["a:1"]);
      expect(stage.isDamaged("a")).toBe(false);
      lengths.add(stage.recovered("a").length);
    }
    expect(lengths).toEqual(new Set([1, 3]));
  });
});

describe("starts in a row", () => {
  it("neither lose records nor use up the disk", () => {
    const stage = new JournalStage().open();
    stage.store("a", "1", "2");
    const files = new Set<number>();
    for (let start = 0; start < 30; start++) {
      if (start % 2 === 0) stage.kill();
      else stage.crash();
      expect(stage.recovered("a")).toEqual(["1", "2"]);
      if (start > 3) files.add(stage.segments().length);
    }
    expect(Math.max(...files)).toBeLessThanOrEqual(4);
  });

  it("number records on from where the last one left off", () => {
    const stage = new JournalStage().open();
    for (let start = 1; start <= 10; start++) {
      expect(stage.next("a")).toBe(start);
      expect(stage.store("a", `${start}`)).toBe(start);
      stage.kill();
    }
  });
});

describe("whatever happens", () => {
  const groups = ["a", "b", "c"] as const;
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("append" as const),
        group: fc.constantFrom(...groups),
        bytes: fc.constantFrom(0, 10, 300, 3000, 7000),
      }),
    },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("flush" as const) }) },
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("wait" as const), steps: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("settle" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("release" as const),
        group: fc.constantFrom(...groups),
        keep: fc.nat(4),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("crash" as const, "kill" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("fault" as const),
        ahead: fc.integer({ min: 1, max: 12 }),
        fault: fc.constantFrom("crash" as const, "error" as const),
      }),
    },
  );

  it("J1, J3, J12: what was reported durable is there, in order, once; and nothing that was never appended", () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 10, maxLength: 120 }),
        fc.nat(1_000_000),
        fc.constantFrom(512 as const, 4096 as const),
        (steps, seed, crashSectorBytes) => {
          const stage = new JournalStage({ ...small, seed, disk: { crashSectorBytes } }).open();
          const needed = new Map<string, number>();
          const restart = (power: boolean): void => {
            const crashed = stage.disk.crashes;
            for (let attempt = 0; ; attempt++) {
              try {
                if (power) stage.crash();
                else stage.kill();
                break;
              } catch (error) {
                // A fault that was still ahead has struck the start.
                if (attempt > 20 || !endsTheAgent(error)) throw error;
              }
            }
            expect(stage.disk.crashes).toBeGreaterThanOrEqual(crashed);
            stage.failures.length = 0;
            expectPromisesKept(stage, needed);
          };
          let crashes = stage.disk.crashes;
          let serial = 0;
          for (const now of steps) {
            if (stage.failures.length > 0 || stage.disk.crashes > crashes) restart(now.kind === "wait");
            crashes = stage.disk.crashes;
            switch (now.kind) {
              case "append":
                serial += 1;
                stage.append(now.group, filler(`${now.group} ${serial} `, now.bytes));
                break;
              case "flush":
                stage.flush();
                break;
              case "wait":
                for (let left = now.steps; left > 0 && stage.clock.step(); left--);
                break;
              case "settle":
                stage.flush();
                stage.clock.run();
                break;
              case "release": {
                const keep = (stage.durable.get(now.group) ?? 0) - now.keep;
                if (keep <= (needed.get(now.group) ?? 1)) break;
                needed.set(now.group, keep);
                stage.release(now.group, keep);
                break;
              }
              case "crash":
              case "kill":
                restart(now.kind === "crash");
                crashes = stage.disk.crashes;
                break;
              case "fault":
                stage.disk.failOperation(stage.disk.operations + now.ahead, now.fault);
            }
          }
          restart(true);
        },
      ),
      { numRuns: 250 },
    );
  });
});
