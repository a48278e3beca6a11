/**
 * Goal: a snapshot that was reported as stored, and is needed, outlasts whatever happens to agent and power; and whatever
 * has a snapshot's name after a crash is one. Method: one life, with a fault at each of its disk operations in turn.
 */
import { describe, expect, it } from "vitest";
import { equalBytes } from "../core/bytes.ts";
import { groupName, logIndex, type GroupName } from "../core/ids.ts";
import type { DiskFault } from "../simulator/disk.ts";
import { DiskError } from "./disk.ts";
import { snapshotOfFile } from "./snapshot-format.ts";
import { allPieces, main, nameOf, SnapshotStage, stateBytes } from "../../test/support/snapshots.ts";

const other = groupName("other");
const contents = new Map([3, 4, 7, 9].map((index) => [index, stateBytes(index, 250 + index * 40)]));
const bytesOf = (index: number): Uint8Array => contents.get(index) ?? new Uint8Array(0);

const peer = new SnapshotStage({ seed: 77 });
const offered = peer.take(nameOf(7), bytesOf(7));

/** What each group was told that it has, and has not let go since. */
type Needed = Map<GroupName, number>;

function live(stage: SnapshotStage, needed: Needed): void {
  const taken = (group: GroupName, index: number, kind: string | undefined): void => {
    if (kind !== "stored") return;
    needed.set(group, index);
    stage.store.keepOnly(group, new Set([logIndex(index)]));
  };
  const take = (group: GroupName, index: number): unknown =>
    stage.store.take(nameOf(index, group), [bytesOf(index)], ({ kind }) => taken(group, index, kind));
  take(main, 3);
  take(other, 4);
  stage.clock.run();
  if (stage.failures.length > 0) return;
  const arrival = stage.store.receive(offered, () => {
    if (arrival?.result !== undefined) taken(main, 7, arrival.result.kind);
  });
  stage.clock.run();
  if (stage.failures.length > 0 || arrival?.isOpen !== true) return;
  const from = peer.reader(7);
  for (const number of allPieces(offered)) {
    if (arrival.isOpen && stage.feed(arrival, from, [number])[0] === "full") return;
  }
  from.close();
  if (!arrival.isWhole) return;
  arrival.finish();
  stage.clock.run();
  if (stage.failures.length > 0) return;
  take(main, 9);
  stage.clock.run();
}

function expectKept(stage: SnapshotStage, needed: Needed): void {
  const expectWhole = (group: GroupName, index: number): void =>
    expect(equalBytes(stage.contents(index, group), bytesOf(index))).toBe(true);
  for (const [group, index] of needed) expectWhole(group, index);
  for (const name of stage.disk.list()) {
    const file = snapshotOfFile(name);
    expect(file?.kind).not.toBe("temporary");
    if (file?.kind === "whole") expectWhole(file.group, file.index);
  }
}

function lifeWithFault(operation: number, fault: DiskFault, seed: number): boolean {
  const stage = new SnapshotStage({ seed });
  const needed: Needed = new Map();
  stage.disk.failOperation(operation, fault);
  live(stage, needed);
  const hit = stage.disk.operations >= operation;
  stage.failures.length = 0;
  try {
    stage.kill();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    stage.open();
  }
  expectKept(stage, needed);
  expectKept(stage.crash(), needed);
  live(stage, needed);
  expect(stage.failures).toEqual([]);
  expect(Object.fromEntries(needed)).toEqual({ main: 9, other: 4 });
  expectKept(stage.crash(), needed);
  return hit;
}

describe("a crash or a failure at every operation of the disk", () => {
  const clean = new SnapshotStage();
  const needed: Needed = new Map();
  live(clean, needed);
  const { operations } = clean.disk;

  it("the life that is swept takes snapshots, receives one, and lets older ones go", () => {
    expect(operations).toBeGreaterThan(40);
    expect(Object.fromEntries(needed)).toEqual({ main: 9, other: 4 });
    expect(clean.files()).toEqual(["00000000000004@other.snapshot", "00000000000009@main.snapshot"]);
  });

  for (const fault of ["crash", "error", "full"] as const) {
    it(`J22, J25, J27: what is needed is kept, and nothing else looks like it, where the n-th operation meets: ${fault}`, () => {
      // What survives a crash is luck, so each is tried several times.
      const seeds = fault === "crash" ? 8 : 1;
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
