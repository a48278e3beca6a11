/**
 * Goal: what a peer sends becomes the very file that the peer has, in whatever order and however often pieces come, over any
 * number of lives; and nothing else ever becomes a snapshot. Method: two stages, one of which has the snapshot.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalBytes } from "../core/bytes.ts";
import { logIndex } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { FiledSnapshot } from "./snapshot-format.ts";
import type { SnapshotReader } from "./snapshot-reader.ts";
import { allPieces, nameOf, pieceBytes, SnapshotStage, stateBytes } from "../../test/support/snapshots.ts";

const index = 7;
const bytes = stateBytes(1, 8 * pieceBytes + 30);

function senderWith(content: Uint8Array): { snapshot: FiledSnapshot; reader: SnapshotReader } {
  const stage = new SnapshotStage({ seed: 99 });
  const snapshot = stage.take(nameOf(index), content);
  return { snapshot, reader: stage.reader(index) };
}

const { snapshot, reader } = senderWith(bytes);

describe("an arriving snapshot", () => {
  it("is the sender's, in whatever order its pieces come, and however often", () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...allPieces(snapshot), ...allPieces(snapshot)], { minLength: 18 }),
        (numbers) => {
          const stage = new SnapshotStage();
          const arrival = stage.receive(snapshot);
          const seen = new Set<number>();
          for (const number of numbers) {
            const expected = seen.has(number) ? "known" : "taken";
            expect(stage.feed(arrival, reader, [number])).toEqual([expected]);
            seen.add(number);
            const missing = allPieces(snapshot).find((each) => !seen.has(each));
            expect(arrival.next).toBe(missing ?? 9);
          }
          arrival.finish();
          stage.clock.run();
          expect(arrival.result).toEqual({ kind: "stored" });
          expect(stage.crash().contents(index)).toEqual(bytes);
          expect(stage.reader(index).snapshot).toEqual(snapshot);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("J23: takes no piece of another place, of another length, or with a bit that flipped on its way", () => {
    const stage = new SnapshotStage();
    const arrival = stage.receive(snapshot);
    const { bytes: second = new Uint8Array(0), checksum = 0 } = reader.piece(1) ?? {};
    expect(arrival.add(2, second, checksum)).toBe("refused");
    expect(arrival.add(1, second.subarray(1), checksum)).toBe("refused");
    expect(arrival.add(9, second, checksum)).toBe("refused");
    expect(arrival.add(1e15, second, checksum)).toBe("refused");
    expect(arrival.add(1, second, checksum ^ 1)).toBe("refused");
    const flipped = second.slice();
    flipped[50]! ^= 4;
    expect(arrival.add(1, flipped, checksum)).toBe("refused");
    expect(arrival.add(1, second, checksum)).toBe("taken");
  });

  it("J23: is refused where every piece passes, but they are of two files that say the same of themselves", () => {
    const another = senderWith(stateBytes(2, bytes.length));
    expect(another.snapshot).not.toEqual(snapshot);
    const stage = new SnapshotStage();
    const arrival = stage.receive(snapshot);
    expect(stage.feed(arrival, reader, [0, 1, 2, 3])).not.toContain("refused");
    expect(stage.feed(arrival, another.reader, [4, 5, 6, 7, 8])).not.toContain("refused");
    arrival.finish();
    stage.clock.run();
    expect(arrival.result).toEqual({ kind: "mixed" });
    expect(stage.files()).toEqual([]);
  });

  it("J22: is no snapshot before all of it is on the disk", () => {
    const stage = new SnapshotStage();
    const arrival = stage.receive(snapshot);
    stage.feed(arrival, reader, allPieces(snapshot));
    stage.disk.hang(1_000_000);
    arrival.finish();
    stage.clock.run(900_000);
    expect(arrival.result).toBeUndefined();
    expect(stage.files("snapshot")).toEqual([]);
  });

  it("may have no pieces at all", () => {
    const empty = senderWith(new Uint8Array(0));
    const stage = new SnapshotStage();
    const arrival = stage.receive(empty.snapshot);
    expect(arrival.isWhole).toBe(true);
    arrival.finish();
    stage.clock.run();
    expect(stage.contents(index)).toEqual(new Uint8Array(0));
  });

  it("says what to look at again: once it is open, and once there is a result", () => {
    const stage = new SnapshotStage();
    let changes = 0;
    const arrival = stage.store.receive(snapshot, () => {
      changes += 1;
    });
    expect([changes, arrival?.isOpen]).toEqual([0, false]);
    stage.clock.run();
    expect([changes, arrival?.isOpen]).toEqual([1, true]);
    stage.feed(arrival!, reader, allPieces(snapshot));
    arrival?.finish();
    stage.clock.run();
    expect([changes, arrival?.result?.kind]).toEqual([2, "stored"]);
  });
});

describe("what is there of it", () => {
  it("J26: is gone on with by a later life, up to the first piece that is missing", () => {
    const stage = new SnapshotStage();
    stage.feed(stage.receive(snapshot), reader, [0, 1, 2, 5]);
    stage.kill();
    expect(stage.files("arriving")).toHaveLength(1);
    const arrival = stage.receive(snapshot);
    expect(arrival.next).toBe(3);
    stage.feed(arrival, reader, [3, 4, 5, 6, 7, 8]);
    arrival.finish();
    stage.clock.run();
    expect(stage.contents(index)).toEqual(bytes);
  });

  it("J26: as far as it is what was written, after a power failure at any moment", () => {
    const kept = new Set<number>();
    for (let seed = 1; seed <= 60; seed++) {
      const stage = new SnapshotStage({ seed });
      stage.feed(stage.receive(snapshot), reader, [0, 1, 2, 3, 4, 5]);
      stage.crash();
      const arrival = stage.receive(snapshot);
      kept.add(arrival.next);
      stage.feed(
        arrival,
        reader,
        allPieces(snapshot).filter((number) => number >= arrival.next),
      );
      arrival.finish();
      stage.clock.run();
      expect(stage.crash().contents(index)).toEqual(bytes);
    }
    // What a power failure leaves differs, and so does where to go on.
    expect(kept.size).toBeGreaterThan(2);
  });

  it("pitfall 24: J26: is written again: after a sync that failed, the page cache may show what no later sync would write", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const stage = new SnapshotStage({ seed });
      const first = stage.receive(snapshot);
      stage.feed(first, reader, allPieces(snapshot));
      stage.disk.failNextSync("error");
      first.finish();
      stage.clock.run();
      expect(stage.failures).toHaveLength(1);
      stage.kill();
      const second = stage.receive(snapshot);
      expect(second.isWhole).toBe(true);
      second.finish();
      stage.clock.run();
      expect(stage.crash().contents(index)).toEqual(bytes);
    }
  });

  it("J26: is not believed where it has rotted", () => {
    const stage = new SnapshotStage();
    stage.feed(stage.receive(snapshot), reader, [0, 1, 2, 3]);
    const [name = ""] = stage.files("arriving");
    const header = stage.disk.contents(name).length - 4 * (pieceBytes + 4);
    stage.disk.flipBit(name, header + 2 * (pieceBytes + 4) + 50, 3);
    stage.kill();
    expect(stage.receive(snapshot).next).toBe(2);
    stage.disk.flipBit(name, 20, 3);
    stage.kill();
    expect(stage.receive(snapshot).next).toBe(0);
  });

  it("J26: goes where another snapshot comes, even one of the same index", () => {
    const stage = new SnapshotStage();
    const first = stage.receive(snapshot);
    stage.feed(first, reader, [0, 1, 2]);
    first.end("keep");
    const another = senderWith(stateBytes(2, bytes.length));
    expect(stage.receive(another.snapshot).next).toBe(0);
    stage.kill();
    stage.receive({ ...snapshot, index: logIndex(9) });
    expect(stage.files()).toEqual(["00000000000009@main.arriving"]);
  });
});

describe("without room", () => {
  it("J25: it is given up: nothing of it is left, and a later one finds room again", () => {
    const stage = new SnapshotStage({ disk: { capacityBytes: 600 } });
    const arrival = stage.receive(snapshot);
    expect(stage.feed(arrival, reader, [0, 1, 2, 3, 4])).toEqual([
      "taken",
      "taken",
      "taken",
      "taken",
      "full",
    ]);
    expect(arrival.result?.kind).toBe("full");
    stage.clock.run();
    expect(stage.files()).toEqual([]);
    expect(stage.failures).toEqual([]);
    stage.disk.setCapacity(5000);
    const again = stage.receive(snapshot);
    stage.feed(again, reader, allPieces(snapshot));
    again.finish();
    stage.clock.run();
    expect(stage.contents(index)).toEqual(bytes);
  });

  it("J25: not even for its file: there is no arrival", () => {
    const stage = new SnapshotStage();
    stage.disk.failOperation(2, "full");
    expect(stage.store.receive(snapshot, () => {})).toBeUndefined();
    expect(stage.failures).toEqual([]);
  });

  it("J25: for its last sync", () => {
    const stage = new SnapshotStage();
    const arrival = stage.receive(snapshot);
    stage.feed(arrival, reader, allPieces(snapshot));
    stage.disk.failOperation(stage.disk.operations + 1, "full");
    arrival.finish();
    stage.clock.run();
    expect(arrival.result?.kind).toBe("full");
    expect(stage.files()).toEqual([]);
  });
});

describe("a large snapshot", () => {
  const large = new SnapshotStage({ seed: 4 }).open(limits.snapshotPieceBytesMax);
  const content = new Uint8Array(40 * limits.snapshotPieceBytesMax + 5).map((_, at) => at % 251);
  const taken = large.take(nameOf(index), content);
  const source = large.reader(index);

  it("J24: is synced as it comes, and says when the disk is behind", () => {
    const stage = new SnapshotStage();
    const arrival = stage.receive(taken);
    let behind = 0;
    for (const number of allPieces(taken)) {
      expect(stage.feed(arrival, source, [number])).toEqual(["taken"]);
      if (!arrival.isBehind) continue;
      behind += 1;
      stage.clock.run();
      expect(arrival.isBehind).toBe(false);
    }
    // While one MiB is on its way to the disk, two more may come.
    expect(behind).toBe(3);
    arrival.finish();
    stage.clock.run();
    expect(equalBytes(stage.contents(index), content)).toBe(true);
  });

  it("of which the last piece comes while a sync is under way ends all the same", () => {
    const stage = new SnapshotStage();
    const arrival = stage.receive(taken);
    stage.feed(arrival, source, allPieces(taken));
    expect(arrival.draft.waits).toBe(true);
    arrival.finish();
    stage.clock.run();
    expect(arrival.result).toEqual({ kind: "stored" });
    expect(equalBytes(stage.crash().contents(index), content)).toBe(true);
  });
});
