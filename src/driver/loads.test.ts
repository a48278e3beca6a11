/** Entries that left memory, read back from the journal. */
import { describe, expect, it } from "vitest";
import { concatBytes } from "../core/bytes.ts";
import type { Run } from "../core/entry.ts";
import { logIndex, type Ticket } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { command, runOf, World } from "./test-world.ts";

describe("entries out of the journal", () => {
  function withRecords(runs: readonly Run[]): World {
    const world = new World({
      prepare: (journal) => {
        for (const run of runs) journal.records.push(concatBytes([new TextEncoder().encode("e"), run.bytes]));
      },
    }).host();
    runs.forEach((run, at) => {
      for (let index: number = run.first; index <= run.last; index++)
        world.core.recordOfIndex.set(index, at + 1);
    });
    return world;
  }

  function load(world: World, first: number, bytesMax: number): Run | undefined {
    let loaded: Run | undefined;
    world.core.onLoaded = (run) => {
      loaded = run;
    };
    world.core.onReceive = (_, out) =>
      out.loads.push({ ticket: 1 as Ticket, first: logIndex(first), bytesMax });
    world.say("load");
    world.settle();
    return loaded;
  }

  it("D11: a load gives the entries from the first one asked for, over several records, within its bytes", () => {
    const world = withRecords([runOf(1, 3), runOf(4, 6), runOf(7, 9)]);
    const entryBytes = command(1).byteLength;
    const run = load(world, 2, entryBytes * 4);
    expect([run?.first, run?.last]).toEqual([2, 5]);
    expect(run?.bytes.byteLength).toBe(entryBytes * 4);
    expect(load(world, 9, 1)?.last).toBe(9);
    expect(load(world, 10, 1)).toBeUndefined();
  });

  it("D11: a later record replaces what it overlaps, even where enough was read before it", () => {
    const world = withRecords([runOf(1, 5, 1), runOf(3, 4, 2)]);
    world.core.recordOfIndex.delete(5);
    const run = load(world, 1, command(1).byteLength * 3);
    expect([run?.first, run?.last]).toEqual([1, 3]);
    expect(run?.bytes).toEqual(concatBytes([runOf(1, 2, 1).bytes, runOf(3, 3, 2).bytes]));
    expect(load(world, 1, 1e6)?.last).toBe(4);
  });

  it("gives applied entries to those who follow the log: from memory, from the journal, or says that they are gone", () => {
    const world = withRecords([runOf(1, 3)]);
    expect(world.group.entries(logIndex(1), 1e6)).toBeUndefined();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 2), digestAfter: false });
    world.say("commit");
    world.settle();
    expect(world.group.entries(logIndex(2), 1e6)).toMatchObject({ first: 2, last: 2 });
    expect(world.group.entries(logIndex(3), 1e6)).toBeUndefined();
  });

  it("names the entries without effect, of those it gives and no others: from memory and from the journal", () => {
    const world = withRecords([runOf(1, 6)]);
    for (const index of [2, 4, 5]) world.state.withoutEffect.add(index);
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 3), digestAfter: false });
    world.say("commit");
    world.settle();
    const large = limits.recentEntriesBytesMax;
    expect(world.group.entries(logIndex(1), large)).toMatchObject({ last: 3, withoutEffect: [2] });
    expect(world.group.entries(logIndex(3), large)).toMatchObject({ last: 3, withoutEffect: [] });
    // So much that the first entries leave memory.
    world.core.onReceive = (_, out) => {
      out.commits.push({ run: runOf(4, 6), digestAfter: false });
      out.commits.push({ run: runOf(7, 7, 1, large), digestAfter: false });
    };
    world.say("commit");
    world.settle();
    expect(world.group.entries(logIndex(1), large)).toMatchObject({ last: 6, withoutEffect: [2, 4, 5] });
    const two = command(1).byteLength * 2;
    expect(world.group.entries(logIndex(4), two)).toMatchObject({ last: 5, withoutEffect: [4, 5] });
    expect(world.group.entries(logIndex(3), two)).toMatchObject({ last: 4, withoutEffect: [4] });
  });
});
