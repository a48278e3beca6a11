/** Snapshots that a group takes, starts from, and is set back to. */
import { describe, expect, it } from "vitest";
import type { Snapshot } from "../core/boundary.ts";
import { groupName, logIndex } from "../core/ids.ts";
import { membersOf } from "../core/members.ts";
import { limits } from "../core/limits.ts";
import { DiskError, type DiskFile } from "../journal/disk.ts";
import { MemoryDisk } from "../journal/memory-disk.ts";
import type { SnapshotTaken } from "./hosted.ts";
import { command, peer, runOf, self, World } from "./test-world.ts";

const entryBytes = command(1).length;
const file = (index: number, suffix = "snapshot"): string =>
  `${index.toString(16).padStart(14, "0")}@main.${suffix}`;

function worldOf(options: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World({ snapshotLogBytes: 10 * entryBytes, ...options }).host();
  world.settle();
  return world;
}

/** A world with a snapshot of so many entries as its durable base. */
function worldWithBase(index: number): World {
  const world = worldOf();
  world.apply(index);
  world.group.takeSnapshot(() => {});
  world.settle();
  world.sync();
  expect(world.files()).toEqual([file(index)]);
  return world;
}

describe("a snapshot", () => {
  it("D30: is taken once enough was applied since the last, and the core hears of it once it is on the disk", () => {
    const world = worldOf();
    world.apply(9);
    expect(world.files()).toEqual([]);
    world.apply(10);
    expect(world.files()).toEqual([file(10)]);
    expect(world.core.heard.filter((word) => word.startsWith("taken"))).toEqual(["taken 10"]);
    expect(world.core.base).toMatchObject({ index: 10, byteLength: 28 });
    expect(world.told).toContain("taken 10");
    world.apply(19);
    world.apply(20);
    expect(world.core.base?.index).toBe(20);
  });

  it("D30: is of the state and with the anchor as they were, whatever is applied while it is written", () => {
    const world = worldOf();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 10), digestAfter: false });
    world.say("commit");
    world.turn();
    expect(world.files()).toEqual([file(10, "temporary")]);
    world.state.contents = new Uint8Array(20).fill(8);
    world.apply(15);
    expect(world.core.base?.index).toBe(10);
    expect(world.core.base?.anchor).toEqual(new TextEncoder().encode("anchor of 10"));
    const again = new World({ snapshots: world.snapshots, base: world.core.base }).host();
    expect(again.state.applied).toBe(10);
    expect(again.state.contents).toEqual(new Uint8Array(20).fill(7));
  });

  it("D30: waits until no less than its own size was applied: a large state is not written over and over", () => {
    const world = worldOf();
    world.state.contents = new Uint8Array(20 * entryBytes);
    world.apply(10);
    expect(world.core.base?.index).toBe(10);
    world.apply(25);
    expect(world.core.base?.index).toBe(10);
    world.apply(31);
    expect(world.core.base?.index).toBe(31);
  });

  it("D30: is taken by hand, too, unless there is one as new", () => {
    const world = worldOf();
    const taken: SnapshotTaken[] = [];
    world.group.takeSnapshot((result) => taken.push(result));
    expect(taken).toEqual([]);
    world.settle();
    expect(taken).toEqual([{ kind: "nothing" }]);
    world.apply(3);
    world.group.takeSnapshot((result) => taken.push(result));
    world.group.takeSnapshot((result) => taken.push(result));
    world.settle();
    world.group.takeSnapshot((result) => taken.push(result));
    world.settle();
    expect(taken.slice(1)).toMatchObject([3, 3, 3].map((index) => ({ kind: "taken", snapshot: { index } })));
    expect(world.core.heard.filter((word) => word.startsWith("taken"))).toEqual(["taken 3"]);
  });

  it("D30: by hand during another: the one under way does not do, as what was applied since is not in it", () => {
    const world = worldOf();
    const taken: SnapshotTaken[] = [];
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 10), digestAfter: false });
    world.say("commit");
    world.turn();
    world.apply(12);
    world.group.takeSnapshot((result) => taken.push(result));
    world.settle();
    expect(taken).toMatchObject([{ kind: "taken", snapshot: { index: 12 } }]);
  });

  it("D30: is not taken, by hand neither, while a member is not yet upgraded and can't be sent it", () => {
    const world = worldOf();
    const taken: SnapshotTaken[] = [];
    world.core.members = membersOf([self, peer]);
    world.versions.set(peer, 1);
    world.apply(15);
    world.group.takeSnapshot((result) => taken.push(result));
    world.settle();
    expect(taken.map(({ kind }) => kind)).toEqual(["failed"]);
    expect(world.files()).toEqual([]);
    world.versions.set(peer, 2);
    world.advance(2_000_000);
    expect(world.core.base?.index).toBe(15);
  });

  it("D30: is one at a time, of all groups of an agent, and the others follow", () => {
    const world = worldOf();
    const other = new World().host();
    const second = world.driver.host({
      ...other.hosting,
      name: groupName("second"),
      snapshotLogBytes: entryBytes,
    });
    world.settle();
    other.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 3), digestAfter: false });
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 10), digestAfter: false });
    world.say("commit");
    world.driver.receive(peer, groupName("second"), { kind: "hello", text: "commit" });
    world.turn();
    expect(second.applied).toBe(3);
    expect(world.files()).toEqual([file(10, "temporary")]);
    world.settle();
    expect(world.files()).toEqual(["00000000000003@second.snapshot", file(10)]);
  });
});

describe("a snapshot that can't be taken", () => {
  it("D30: is told once, harms nothing, and is tried again after a while", () => {
    const disk = new (class extends MemoryDisk {
      isFull = true;
      override open(name: string, mode: "create" | "existing"): DiskFile {
        if (this.isFull && mode === "create") throw new DiskError("ENOSPC", "no room");
        return super.open(name, mode);
      }
    })({ soon: (task) => world.soon.push(task) });
    const world = worldOf({ snapshots: disk });
    world.apply(10);
    world.apply(30);
    expect(world.told.filter((word) => word.startsWith("notTaken"))).toEqual(["notTaken 10"]);
    const taken: SnapshotTaken[] = [];
    world.group.takeSnapshot((result) => taken.push(result));
    world.settle();
    expect(taken.map(({ kind }) => kind)).toEqual(["failed"]);
    disk.isFull = false;
    world.advance(limits.snapshotPausedMsMax * 1000 - 1000);
    expect(world.core.base).toBeUndefined();
    world.advance(limits.snapshotPausedMsMax * 1000);
    expect(world.core.base?.index).toBe(30);
    expect(world.failures).toEqual([]);
  });

  it("D30: because a machine does not write down its state, leaves the group as it is", () => {
    const world = worldOf();
    world.state.snapshot = () => {
      throw new RangeError("a machine of somebody's own");
    };
    world.apply(10);
    world.apply(12);
    expect(world.told.filter((word) => word.startsWith("notTaken"))).toEqual(["notTaken 10"]);
    expect(world.failures).toEqual([]);
    expect(world.group.applied).toBe(12);
  });

  it("D14: but a disk that fails ends the agent", () => {
    const disk = new (class extends MemoryDisk {
      override rename(): void {
        throw new DiskError("EIO", "broken");
      }
    })({ soon: (task) => world.soon.push(task) });
    const world = worldOf({ snapshots: disk });
    world.apply(10);
    expect(world.failures.map(({ message }) => message)).toEqual(["broken"]);
  });
});

describe("the files of a group", () => {
  it("D31: are the base's, and the one's before it until the records of the new one are on the disk", () => {
    const world = worldWithBase(5);
    world.apply(15);
    expect(world.files()).toEqual([file(5), file(15)]);
    world.sync();
    expect(world.files()).toEqual([file(15)]);
  });

  it("D31: more than one before it, where the disk is that slow", () => {
    const world = worldWithBase(5);
    world.apply(15);
    world.apply(25);
    expect(world.files()).toEqual([file(5), file(15), file(25)]);
    world.sync();
    expect(world.files()).toEqual([file(25)]);
  });

  it("D31: are also that of a snapshot which has its name already, while that is on its way to the disk", () => {
    const world = worldWithBase(5);
    const take = (): void => {
      world.apply(world.group.applied + 1);
      world.group.takeSnapshot(() => {});
    };
    // At every moment of a snapshot's taking, the base before the last one is let go of.
    for (let turns = 0; turns < 12; turns++) {
      take();
      world.settle();
      take();
      for (let count = 0; count < turns; count++) world.turn();
      world.sync();
      expect(world.files()).toContain(file(world.core.base?.index ?? 0));
      world.sync();
      expect(world.files()).toEqual([file(world.group.applied)]);
    }
  });

  it("D31: are not that of a snapshot that the core does without", () => {
    const world = worldWithBase(5);
    world.core.onTaken = () => {};
    world.apply(15);
    expect(world.core.heard).toContain("taken 15");
    expect(world.files()).toEqual([file(5)]);
    world.apply(16);
    expect(world.core.heard.filter((word) => word.startsWith("taken"))).toEqual(["taken 5", "taken 15"]);
  });

  it("D31: and at a start the base's alone", () => {
    const world = worldWithBase(5);
    world.apply(15);
    const again = new World({ snapshots: world.snapshots, base: world.core.base }).host();
    expect(again.files()).toEqual([file(15)]);
  });
});

describe("a start", () => {
  it("D32: begins from the base's snapshot: what is applied next follows it", () => {
    const before = worldWithBase(5);
    const world = new World({ snapshots: before.snapshots, base: before.core.base }).host();
    expect(world.group.applied).toBe(5);
    expect(world.group.status()).toMatchObject({ applied: 5, base: 5, baseBytes: 28 });
    world.settle();
    world.apply(7);
    expect(world.state.log).toEqual([5, 6, 7]);
    expect(world.told).toEqual(["applied 6", "applied 7"]);
  });

  it.each([
    ["is not there", (world: World, name: string) => world.snapshots.remove(name)],
    [
      "has rotted",
      (world: World, name: string) => world.snapshots.open(name, "existing").write(100, new Uint8Array(1)),
    ],
    [
      "has a header that has rotted",
      (world: World, name: string) =>
        world.snapshots.open(name, "existing").write(20, new Uint8Array(1).fill(9)),
    ],
  ])("D13: does not happen where the snapshot %s", (_what, spoil) => {
    const before = worldWithBase(5);
    spoil(before, file(5));
    const world = new World({ snapshots: before.snapshots, base: before.core.base });
    expect(() => world.host()).toThrow(expect.objectContaining({ code: "DATA_CORRUPT" }));
  });

  it("D13: nor where it is of another state than the base says", () => {
    const before = worldWithBase(5);
    const base = { ...(before.core.base as Snapshot), digest: new Uint8Array(16) };
    const world = new World({ snapshots: before.snapshots, base });
    expect(() => world.host()).toThrow(expect.objectContaining({ code: "DATA_CORRUPT" }));
  });
});

describe("a restore", () => {
  function peerWith(index: number): World {
    const sender = worldOf({ snapshotLogBytes: 1e9 });
    sender.apply(index);
    sender.group.takeSnapshot(() => {});
    sender.settle();
    return sender;
  }

  /** A group at index 3 to which a peer has sent the snapshot of a later one; its base record is not yet on the disk. */
  function arrived(index: number): World {
    const world = worldOf();
    world.apply(3);
    world.arrive(peerWith(index), index);
    expect(world.core.base?.index).toBe(index);
    expect(world.group.applied).toBe(3);
    return world;
  }

  /** With the next message, its core has the state replaced by a snapshot of this index, which is on the disk. */
  function restores(world: World, index: number): void {
    const other = peerWith(index);
    world.core.base = other.core.base;
    world.core.onReceive = (_, out) =>
      out.events.push({ kind: "restore", snapshot: world.core.base as Snapshot });
    const from = other.snapshots.open(file(index), "existing");
    const bytes = new Uint8Array(from.byteLength());
    from.read(0, bytes);
    world.snapshots.open(file(index), "create").write(0, bytes);
  }

  it("D33: replaces the state, tells the core of it, with nothing but the index, and the observer", () => {
    const world = arrived(20);
    world.core.heard.length = 0;
    world.sync();
    expect(world.state.applied).toBe(20);
    expect(world.group.applied).toBe(20);
    expect(world.core.heard).toEqual(["durable 1", "applied 20"]);
    expect(world.told.slice(-1)).toEqual(["restored 20"]);
    world.apply(22);
    expect(world.state.log).toEqual([1, 2, 3, 20, 21, 22]);
  });

  it("D54: goes on step by step: between them the group and its old state are in use, and nothing is taken", () => {
    const world = arrived(20);
    world.state.restoreSteps = 2;
    world.synced();
    for (let step = 0; step < 2; step++) {
      world.turn();
      world.say("between");
      world.group.takeSnapshot(() => {});
      expect(world.group.applied).toBe(3);
      expect(world.state.applied).toBe(3);
      expect(world.core.heard).not.toContain("applied 20");
    }
    expect(world.core.heard.at(-1)).toBe("receive between");
    expect(world.files()).toEqual([file(20)]);
    world.settle();
    expect(world.group.applied).toBe(20);
    expect(world.state.log).toEqual([1, 2, 3, 20]);
    expect(world.told.filter((word) => word.startsWith("restored"))).toEqual(["restored 20"]);
  });

  it("D54: is left in the middle where the group is closed, or a later one takes its place", () => {
    const closed = arrived(20);
    closed.state.restoreSteps = 5;
    closed.synced();
    closed.turn();
    closed.group.close();
    closed.settle();
    expect(closed.state.log).toEqual([1, 2, 3]);

    const world = arrived(20);
    world.state.restoreSteps = 5;
    world.synced();
    world.turn();
    restores(world, 30);
    world.say("restore");
    world.settle();
    expect(world.state.log).toEqual([1, 2, 3, 30]);
    expect(world.group.applied).toBe(30);
  });

  it("D33: drops what was decided before it and is not applied", () => {
    const world = worldOf();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 800), digestAfter: true });
    world.say("backlog");
    world.turn();
    const { applied } = world.group;
    expect(applied).toBe(limits.applySliceEntriesMax);
    restores(world, 1000);
    world.say("restore");
    world.settle();
    expect(world.group.applied).toBe(1000);
    expect(world.state.log.slice(applied)).toEqual([1000]);
    expect(world.core.heard.filter((word) => word.includes("digest"))).toEqual([]);
  });

  it("D33: leaves entries before it to those who kept them: they are compacted here", () => {
    const world = arrived(20);
    expect(world.group.entries(logIndex(2), 1000)).toMatchObject({ first: 2 });
    world.sync();
    expect(world.group.entries(logIndex(2), 1000)).toEqual({ kind: "compacted", earliest: 21 });
    expect(world.group.entries(logIndex(21), 1000)).toBeUndefined();
    world.apply(22);
    expect(world.group.entries(logIndex(21), 1000)).toMatchObject({ first: 21 });
  });

  it("D33: starts the count towards the next snapshot anew", () => {
    const world = arrived(20);
    world.sync();
    world.apply(29);
    expect(world.files()).toEqual([file(20)]);
    world.apply(30);
    expect(world.core.heard).toContain("taken 30");
  });

  it("D33: whose snapshot can't be used ends the group, and nobody else", () => {
    const world = arrived(20);
    world.snapshots.open(file(20), "existing").write(100, new Uint8Array(1));
    world.sync();
    expect(world.told.slice(-1)).toEqual(["failed DATA_CORRUPT"]);
    expect(world.failures).toEqual([]);
    const { length } = world.core.heard;
    world.say("anybody there?");
    world.advance(5_000_000);
    expect(world.core.heard).toHaveLength(length);
  });

  it("D30: nothing is taken of a state that is about to be replaced", () => {
    const world = arrived(20);
    world.apply(15);
    const taken: SnapshotTaken[] = [];
    world.group.takeSnapshot((result) => taken.push(result));
    world.settle();
    expect(world.core.heard.filter((word) => word.startsWith("taken"))).toEqual([]);
    expect(taken).toMatchObject([{ kind: "taken", snapshot: { index: 20 } }]);
  });
});

describe("a group that is closed", () => {
  it("gives up what it is taking, and the next one may", () => {
    const world = worldOf();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 10), digestAfter: false });
    world.say("commit");
    world.turn();
    const taken: SnapshotTaken[] = [];
    world.group.takeSnapshot((result) => taken.push(result));
    world.group.close();
    world.group.takeSnapshot((result) => taken.push(result));
    world.settle();
    expect(taken).toEqual([{ kind: "closed" }, { kind: "closed" }]);
    expect(world.files()).toEqual([]);
    world.host().settle();
    world.apply(10);
    expect(world.core.base?.index).toBe(10);
  });
});
