/** Snapshots on their way from one agent to another, seen from each end. */
import { describe, expect, it } from "vitest";
import { agentId, groupName, logIndex, type LogIndex, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { DiskError, type DiskFile } from "../journal/disk.ts";
import { MemoryDisk } from "../journal/memory-disk.ts";
import { peer, World } from "./test-world.ts";
import type {
  OfferedSnapshot,
  SnapshotOffer,
  SnapshotPieceMessage,
  TransferMessage,
} from "./transfer-messages.ts";

const third = agentId("c");
const answerMicros = limits.transferAnswerMsMax * 1000;
const silenceMicros = limits.transferSilenceMsMax * 1000;

/** An agent with a snapshot of ten entries, in ten pieces of ten bytes, as its base. */
function sender(index = 10): World {
  const world = new World({ snapshotLogBytes: 1e9 }).host();
  world.core.deadline = 1e12 as Micros;
  world.settle();
  take(world, index);
  return world;
}

function take(world: World, index: number): void {
  world.apply(index);
  world.state.contents = new Uint8Array(92).fill(index);
  world.group.takeSnapshot(() => {});
  world.settle();
  world.sync();
  expect(world.core.base?.index).toBe(index);
}

function offerOf(world: World, index = 10): OfferedSnapshot {
  world.transfer(peer, index);
  const [offer] = world.said() as SnapshotOffer[];
  return offer!.snapshot;
}

const ask = (offer: OfferedSnapshot, first: number, count: number): TransferMessage => ({
  kind: "snapshotAsk",
  index: offer.index,
  contents: offer.contents,
  first,
  count,
});

function piecesOf(world: World, offer: OfferedSnapshot): SnapshotPieceMessage[] {
  const pieces: SnapshotPieceMessage[] = [];
  for (let first = 0; first < 10; first += 4) {
    world.hear(ask(offer, first, 4));
    pieces.push(...(world.said() as SnapshotPieceMessage[]));
  }
  return pieces;
}

const short = (messages: readonly TransferMessage[]): string[] =>
  messages.map((message) => {
    switch (message.kind) {
      case "snapshotOffer":
        return `offer ${message.snapshot.index}`;
      case "snapshotAsk":
        return `ask ${message.index}: ${message.first} + ${message.count}`;
      case "snapshotPiece":
        return `piece ${message.index}: ${message.number}`;
      case "snapshotGone":
        return `gone ${message.index}`;
      case "snapshotEnded":
        return `${message.outcome} ${message.index}`;
    }
  });
const sentWords = (world: World): string[] => world.core.heard.filter((word) => word.startsWith("sent"));
const arrivedWords = (world: World): string[] =>
  world.core.heard.filter((word) => word.startsWith("arrived"));

describe("a sender", () => {
  it("offers what its core wants a peer to have, and gives what is asked for, a piece a turn", () => {
    const world = sender();
    world.transfer(peer, 10);
    const [message] = world.said();
    expect(message).toMatchObject({
      kind: "snapshotOffer",
      snapshot: { index: 10, byteLength: 100, pieceBytes: 10, digest: world.state.digest() },
    });
    const { snapshot } = message as SnapshotOffer;
    world.driver.receive(peer, groupName("main"), ask(snapshot, 3, 3));
    for (const number of [3, 4, 5]) {
      world.turn();
      expect(short(world.said())).toEqual([`piece 10: ${number}`]);
    }
    world.settle();
    expect(world.said()).toEqual([]);
  });

  it("D34: gives no more at a time than one may ask for, and nothing that is not there", () => {
    const world = sender();
    const offer = offerOf(world);
    world.hear(ask(offer, 0, 200));
    expect(world.said()).toHaveLength(limits.piecesAskedMax);
    world.hear(ask(offer, 9, 4));
    expect(short(world.said())).toEqual(["piece 10: 9"]);
    world.hear(ask(offer, 10, 1));
    world.hear(ask(offer, 4_000_000_000, 255));
    world.hear(ask(offer, 0, 0));
    expect(world.said()).toEqual([]);
  });

  it("D34: gives all that it was asked for, also where more of it is asked for meanwhile", () => {
    const world = sender();
    const offer = offerOf(world);
    const hear = (first: number, count: number): void =>
      world.driver.receive(peer, groupName("main"), ask(offer, first, count));
    hear(0, 3);
    world.turn();
    hear(3, 1);
    hear(0, 0);
    world.turn();
    hear(4, 1);
    world.settle();
    expect(short(world.said()), "in order, each once").toEqual([0, 1, 2, 3, 4].map((n) => `piece 10: ${n}`));

    hear(5, 4);
    world.turn();
    hear(5, 1);
    world.settle();
    expect(short(world.said()), "one that came to nothing is asked for anew").toEqual([
      "piece 10: 5",
      "piece 10: 5",
    ]);

    hear(0, 4);
    hear(4, 200);
    world.settle();
    expect(world.said(), "never more than may be under way").toHaveLength(limits.piecesAskedMax);
  });

  it("gives those who ask their pieces in turn", () => {
    const world = sender();
    const offer = offerOf(world);
    world.driver.receive(peer, groupName("main"), ask(offer, 0, 2));
    world.driver.receive(third, groupName("main"), ask(offer, 5, 2));
    world.settle();
    expect(world.transfers.map(({ to }) => to)).toEqual([peer, third, peer, third]);
  });

  it("D35: remembers nothing that a receiver would miss: after a restart it gives what is asked for", () => {
    const before = sender();
    const offer = offerOf(before);
    const world = new World({ snapshots: before.snapshots, base: before.core.base }).host();
    world.settle();
    world.hear(ask(offer, 7, 2));
    expect(short(world.said())).toEqual(["piece 10: 7", "piece 10: 8"]);
  });

  it("says that it is gone: what it no longer has, and what is another one of the same index", () => {
    const world = sender();
    const offer = offerOf(world);
    world.hear(ask({ ...offer, index: logIndex(9) }, 0, 1));
    world.hear(ask({ ...offer, contents: offer.contents ^ 1 }, 0, 1));
    expect(short(world.said())).toEqual(["gone 9", "gone 10"]);
  });

  it("D37: tells its core once that it is stored, or could not be", () => {
    const world = sender();
    const { index, contents } = offerOf(world);
    world.hear({ kind: "snapshotEnded", index, contents, outcome: "stored" });
    expect(sentWords(world)).toEqual([`sent 10 to ${peer}: stored`]);
    world.transfer(peer, 10);
    world.hear({ kind: "snapshotEnded", index, contents, outcome: "failed" });
    expect(sentWords(world).slice(1)).toEqual([`sent 10 to ${peer}: failed`]);
    world.advance(5 * silenceMicros);
    expect(sentWords(world)).toHaveLength(2);
  });

  it("D37: gives up a peer of which it hears nothing for too long, but none that is still at it", () => {
    const world = sender();
    const offer = offerOf(world);
    for (let at = answerMicros; at < 3 * silenceMicros; at += answerMicros) {
      world.hear(ask(offer, 0, 0));
      world.advance(at);
    }
    expect(sentWords(world)).toEqual([]);
    world.advance(4 * silenceMicros);
    expect(sentWords(world)).toEqual([`sent 10 to ${peer}: failed`]);
  });

  it("offers again when its core comes back to it, but not while it is under way", () => {
    const world = sender();
    const offer = offerOf(world);
    world.transfer(peer, 10);
    world.advance(answerMicros - 1000);
    world.transfer(peer, 10);
    expect(world.said()).toEqual([]);
    world.advance(answerMicros);
    world.transfer(peer, 10);
    expect(short(world.said())).toEqual(["offer 10"]);
    world.hear(ask(offer, 0, 1));
    world.said();
    world.advance(answerMicros * 1.5);
    world.transfer(peer, 10);
    expect(world.said()).toEqual([]);
  });

  it("D37: tells its core where it has no such file", () => {
    const world = sender();
    world.transfer(peer, 7);
    expect(world.said()).toEqual([]);
    expect(sentWords(world)).toEqual([`sent 7 to ${peer}: failed`]);
  });

  it("D31: keeps the file that a peer is getting, although its base is another one by now, and no longer", () => {
    const world = sender();
    const offer = offerOf(world);
    world.hear(ask(offer, 0, 1));
    take(world, 20);
    expect(world.files()).toHaveLength(2);
    world.hear(ask(offer, 1, 1));
    expect(short(world.said()).slice(-1)).toEqual(["piece 10: 1"]);
    const { index, contents } = offer;
    world.hear({ kind: "snapshotEnded", index, contents, outcome: "stored" });
    expect(world.files()).toEqual(["00000000000014@main.snapshot"]);
  });

  it("D31: of two such files it keeps the older one: whoever began first comes to an end", () => {
    const world = sender();
    const first = offerOf(world);
    take(world, 20);
    world.transfer(third, 20);
    const second = (world.said()[0] as SnapshotOffer).snapshot;
    take(world, 30);
    expect(world.files()).toEqual(["0000000000000a@main.snapshot", "0000000000001e@main.snapshot"]);
    expect(sentWords(world)).toEqual([`sent 20 to ${third}: failed`]);
    world.hear(ask(second, 0, 1), third);
    world.hear(ask(first, 0, 1));
    expect(short(world.said())).toEqual(["gone 20", "piece 10: 0"]);
    world.advance(2 * silenceMicros);
    expect(world.files()).toEqual(["0000000000001e@main.snapshot"]);
  });

  it("D37: finds rot before its peer does, gives it up, and takes another snapshot at once", () => {
    const world = sender();
    const offer = offerOf(world);
    world.snapshots.open("0000000000000a@main.snapshot", "existing").write(120, new Uint8Array(4));
    world.apply(11);
    for (const piece of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) world.hear(ask(offer, piece, 1));
    expect(short(world.said())).toContain("gone 10");
    expect(sentWords(world)).toEqual([`sent 10 to ${peer}: failed`]);
    expect(world.told).toContain("damaged 10");
    expect(world.core.base?.index).toBe(11);
    world.sync();
    expect(world.files()).toEqual(["0000000000000b@main.snapshot"]);
  });
});

describe("a receiver", () => {
  const source = sender();
  const offer = offerOf(source);
  const pieces = piecesOf(source, offer);
  const offered = { kind: "snapshotOffer", snapshot: offer } as const;

  function receiver(options: ConstructorParameters<typeof World>[0] = {}): World {
    const world = new World(options).host();
    world.core.deadline = 1e12 as Micros;
    world.settle();
    return world;
  }

  it("asks for what it is offered, a few pieces ahead, and tells core and sender when it has all of it", () => {
    const world = receiver();
    world.hear(offered);
    expect(short(world.said())).toEqual(["ask 10: 0 + 4"]);
    for (const piece of pieces.slice(0, 6)) world.hear(piece);
    expect(short(world.said())).toEqual([4, 5, 6, 7, 8, 9].map((first) => `ask 10: ${first} + 1`));
    for (const piece of pieces.slice(6)) world.hear(piece);
    expect(short(world.said())).toEqual(["stored 10"]);
    expect(arrivedWords(world)).toEqual([`arrived 10 from ${peer}`]);
    expect(world.told).toEqual(["receiving 10 with 0", "received 10"]);
    world.sync();
    expect(world.group.applied).toBe(10);
    expect(world.state.contents).toEqual(new Uint8Array(92).fill(10));
  });

  it("D35: asks again for what does not come, once it has waited long enough", () => {
    const world = receiver();
    world.hear(offered);
    world.said();
    for (const number of [1, 2, 3]) world.hear(pieces[number]!);
    expect(world.said()).toEqual([]);
    world.advance(answerMicros);
    expect(short(world.said())).toEqual(["ask 10: 0 + 4"]);
    world.hear(pieces[0]!);
    expect(short(world.said())).toEqual(["ask 10: 4 + 4"]);
  });

  it("D35: asks at once when there is a new link to its sender", () => {
    const world = receiver();
    world.hear(offered);
    world.hear(pieces[0]!);
    world.said();
    world.driver.linkChanged(third, true);
    world.settle();
    expect(world.said()).toEqual([]);
    world.driver.linkChanged(peer, true);
    world.settle();
    expect(short(world.said())).toEqual(["ask 10: 1 + 4"]);
  });

  it("D35: goes on with what is on its disk after a restart, and with another sender that has the same", () => {
    const before = receiver();
    before.hear(offered);
    for (const piece of pieces.slice(0, 3)) before.hear(piece);
    const world = receiver({ snapshots: before.snapshots });
    world.hear(offered, third);
    expect(world.transfers.map(({ to }) => to)).toEqual([third]);
    expect(short(world.said())).toEqual(["ask 10: 3 + 4"]);
    expect(world.told).toEqual([`receiving 10 with ${3 * offer.pieceBytes}`]);
    world.hear(offered, peer);
    expect(world.transfers.map(({ to }) => to)).toEqual([peer]);
    expect(short(world.said())).toEqual(["ask 10: 3 + 4"]);
    for (const piece of pieces.slice(3)) world.hear(piece);
    expect(arrivedWords(world)).toEqual([`arrived 10 from ${peer}`]);
  });

  it("D35: gives up a sender that is silent, keeps what came, and goes on when it is offered again", () => {
    const world = receiver();
    world.hear(offered);
    world.hear(pieces[0]!);
    for (let at = answerMicros; at <= silenceMicros + answerMicros; at += answerMicros) world.advance(at);
    expect(world.told.slice(-1)).toEqual(["notReceived 10"]);
    world.said();
    world.advance(5 * silenceMicros);
    expect(world.said()).toEqual([]);
    world.hear(offered);
    expect(short(world.said())).toEqual(["ask 10: 1 + 4"]);
  });

  it("D35: lets go of one that is gone, and takes the next that is offered", () => {
    const world = receiver();
    world.hear(offered);
    world.hear({ kind: "snapshotGone", index: offer.index, contents: offer.contents }, third);
    world.hear(pieces[0]!);
    expect(short(world.said())).toEqual(["ask 10: 0 + 4", "ask 10: 4 + 1"]);
    world.hear({ kind: "snapshotGone", index: offer.index, contents: offer.contents });
    const later = sender(20);
    world.arrive(later, 20);
    expect(arrivedWords(world)).toEqual([`arrived 20 from ${peer}`]);
    expect(world.files()).toEqual(["00000000000014@main.snapshot"]);
  });

  it("passes over other offers while one comes along, and takes one of them when it does no longer", () => {
    const later = sender(20);
    const laterOffer = { kind: "snapshotOffer", snapshot: offerOf(later, 20) } as const;
    const world = receiver();
    world.hear(offered);
    world.hear(laterOffer, third);
    expect(short(world.said())).toEqual(["ask 10: 0 + 4"]);
    world.advance(2 * answerMicros);
    world.said();
    world.hear(laterOffer, third);
    expect(short(world.said())).toEqual(["ask 20: 0 + 4"]);
  });

  it("says so where it is as far already, and its core hears of it, too", () => {
    const world = receiver();
    world.apply(10);
    world.hear(offered);
    expect(short(world.said())).toEqual(["stored 10"]);
    expect(arrivedWords(world)).toEqual([`arrived 10 from ${peer}`]);
    expect(world.files()).toEqual([]);
  });

  it("says so where it comes as far in the middle, by way of the log", () => {
    const world = receiver();
    world.hear(offered);
    world.hear(pieces[0]!);
    world.apply(12);
    expect(short(world.said()).slice(-1)).toEqual(["stored 10"]);
    expect(arrivedWords(world)).toEqual([`arrived 10 from ${peer}`]);
    expect(world.files()).toEqual([]);
    world.hear(pieces[1]!);
    expect(world.said()).toEqual([]);
  });

  it("D36: does not receive once more what it is about to begin from, and so keeps its file", () => {
    const world = receiver();
    world.arrive(source, 10);
    world.said();
    world.hear(offered);
    expect(short(world.said())).toEqual(["stored 10"]);
    world.sync();
    expect(world.group.applied).toBe(10);
  });

  it("D34: ignores pieces that it has not asked for, that it has, and that are not what they say", () => {
    const world = receiver();
    world.hear(pieces[0]!);
    expect(world.files()).toEqual([]);
    world.hear(offered);
    world.said();
    world.hear(pieces[7]!);
    world.hear({ ...pieces[0]!, number: 1 });
    world.hear({ ...pieces[0]!, bytes: new Uint8Array(10) });
    world.hear({ ...pieces[0]!, bytes: new Uint8Array(200_000) });
    world.hear({ ...pieces[0]!, index: 11 as LogIndex });
    world.hear({ ...pieces[0]!, contents: 1 });
    world.hear(pieces[1]!);
    world.hear(pieces[1]!);
    expect(world.said()).toEqual([]);
    world.advance(answerMicros);
    expect(short(world.said())).toEqual(["ask 10: 0 + 4"]);
    expect(world.failures).toEqual([]);
  });

  it.each([
    ["2^53 bytes", { byteLength: Number.MAX_SAFE_INTEGER }],
    ["no bytes in a piece", { pieceBytes: 0 }],
    ["pieces beyond the limit", { pieceBytes: limits.snapshotPieceBytesMax + 1 }],
    ["more pieces than the limit", { byteLength: 10 * limits.snapshotPiecesMax + 1 }],
    ["an anchor beyond the limit", { anchor: new Uint8Array(limits.snapshotAnchorBytesMax + 1) }],
  ])("D36: refuses an offer of %s", (_what, part) => {
    const world = receiver();
    world.hear({ kind: "snapshotOffer", snapshot: { ...offer, ...part } });
    expect(short(world.said())).toEqual(["failed 10"]);
    expect(world.files()).toEqual([]);
    expect(world.told).toEqual(["notReceived 10"]);
  });

  it("D36: whose sender lies about what the pieces are together gets nothing from it, and takes the true one", () => {
    const world = receiver();
    const lie = { ...offer, contents: offer.contents ^ 1 };
    world.hear({ kind: "snapshotOffer", snapshot: lie });
    for (const piece of pieces) world.hear({ ...piece, contents: lie.contents });
    expect(short(world.said()).slice(-1)).toEqual(["failed 10"]);
    expect(arrivedWords(world)).toEqual([]);
    expect(world.files()).toEqual([]);
    world.arrive(source, 10);
    expect(arrivedWords(world)).toEqual([`arrived 10 from ${peer}`]);
  });

  it("D36: receives so many at a time, of all groups of the agent; another offer is heard when it is repeated", () => {
    const world = receiver();
    const groups = ["one", "two", "three", "four"].map((name) => groupName(name));
    for (const name of groups) {
      const inner = new World().host();
      world.driver.host({ ...inner.hosting, name });
      world.driver.receive(peer, name, offered);
    }
    world.settle();
    expect(world.said()).toHaveLength(limits.arrivalsMax);
    world.hear(offered);
    expect(world.said()).toEqual([]);
    world.driver.receive(peer, groups[2]!, {
      kind: "snapshotGone",
      index: offer.index,
      contents: offer.contents,
    });
    world.settle();
    world.hear(offered);
    expect(short(world.said())).toEqual(["ask 10: 0 + 4"]);
  });

  it("D36: without room says so, lets what has come go, and hears no other offer for a while", () => {
    const disk = new (class extends MemoryDisk {
      isFull = false;
      override open(name: string, mode: "create" | "existing"): DiskFile {
        if (this.isFull) throw new DiskError("ENOSPC", "no room");
        const file = super.open(name, mode);
        return {
          name,
          byteLength: () => file.byteLength(),
          read: (offset, into) => file.read(offset, into),
          write: (offset, bytes) => {
            if (this.isFull) throw new DiskError("ENOSPC", "no room");
            file.write(offset, bytes);
          },
          sync: (done) => file.sync(done),
          syncNow: () => file.syncNow(),
          close: () => file.close(),
        };
      }
    })({ soon: (task) => world.soon.push(task) });
    const world: World = receiver({ snapshots: disk });
    world.hear(offered);
    world.hear(pieces[0]!);
    world.said();
    disk.isFull = true;
    world.hear(pieces[1]!);
    expect(short(world.said())).toEqual(["failed 10"]);
    expect(world.files()).toEqual([]);
    disk.isFull = false;
    world.hear(offered);
    expect(short(world.said())).toEqual(["failed 10"]);
    world.advance(limits.snapshotPausedMsMax * 1000);
    disk.isFull = true;
    world.hear(offered);
    disk.isFull = false;
    world.advance(2 * limits.snapshotPausedMsMax * 1000);
    world.said();
    world.hear(offered);
    expect(short(world.said())).toEqual(["ask 10: 0 + 4"]);
    expect(world.failures).toEqual([]);
  });

  it("says that it is still at it while its disk is slow, so that the sender keeps the file", () => {
    const held: (() => void)[] = [];
    const disk = new MemoryDisk({ soon: (task) => held.push(task) });
    const world = receiver({ snapshots: disk });
    world.hear(offered);
    for (const piece of pieces) world.hear(piece);
    world.said();
    for (let at = answerMicros; at <= 3 * silenceMicros; at += answerMicros) world.advance(at);
    expect(new Set(short(world.said()))).toEqual(new Set(["ask 10: 10 + 0"]));
    while (held.length > 0) held.shift()!();
    world.settle();
    while (held.length > 0) held.shift()!();
    world.settle();
    expect(short(world.said())).toEqual(["stored 10"]);
  });

  it("lets go of its place when its group is closed, and keeps what has come", () => {
    const world = receiver();
    world.hear(offered);
    world.hear(pieces[0]!);
    world.group.close();
    world.settle();
    world.said();
    world.host().settle();
    world.hear(offered);
    expect(short(world.said())).toEqual(["ask 10: 1 + 4"]);
  });
});
