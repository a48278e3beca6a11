/**
 * The snapshot that a group gets from a peer: one at a time, piece by piece, each asked for. What is on the disk of it
 * survives a broken link, another sender with the same one, and a restart of either side; its sender has to remember
 * nothing. A sender repeats what it offers, so an offer that does not suit at the moment is simply passed over.
 */
import type { Now, Snapshot } from "../core/boundary.ts";
import {
  microsFromMs,
  never,
  type AgentId,
  type GroupName,
  type LogIndex,
  type Micros,
} from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { Arrival } from "../journal/arrival.ts";
import { isAcceptable, isSameSnapshot, type FiledSnapshot } from "../journal/snapshot-format.ts";
import type { Slots } from "./slots.ts";
import type {
  OfferedSnapshot,
  SnapshotEnded,
  SnapshotGone,
  SnapshotPieceMessage,
  TransferMessage,
} from "./transfer-messages.ts";

const answerMicros = microsFromMs(limits.transferAnswerMsMax);
const silenceMicros = microsFromMs(limits.transferSilenceMsMax);
const pausedMicros = microsFromMs(limits.snapshotPausedMsMax);

export interface ReceivingHost {
  readonly group: GroupName;
  readonly now: Now;
  /** Of the agent: how many it receives at a time. */
  readonly arrivals: Slots;
  send(to: AgentId, message: TransferMessage): void;
  /** The state here is as far, or about to be. */
  isLate(index: LogIndex): boolean;
  /** Undefined: there is no room for it. `changed`: see `Arrival`. */
  receive(snapshot: FiledSnapshot, changed: () => void): Arrival | undefined;
  /** It is worth another visit. */
  touch(): void;
  /** It lies on the disk, or has come too late. */
  arrived(from: AgentId, snapshot: Snapshot): void;
  news(news: ArrivalNews): void;
}

export type ArrivalNews =
  | {
      readonly kind: "receiving";
      readonly from: AgentId;
      readonly snapshot: Snapshot;
      /** So much of it was here already, from before. */
      readonly bytesHere: number;
    }
  | { readonly kind: "received"; readonly from: AgentId; readonly snapshot: Snapshot }
  | {
      readonly kind: "notReceived";
      readonly from: AgentId;
      readonly snapshot: Snapshot;
      readonly because: "noRoom" | "tooLarge" | "damaged" | "silence";
    };

interface Current {
  from: AgentId;
  readonly arrival: Arrival;
  /** Every piece before this one has been asked for. */
  asked: number;
  heardAt: number;
  /** When to ask again, or to say that this agent is still at it. */
  askAt: number;
  /** It has been told that this one is arriving. */
  isTold: boolean;
}

export class Receiving {
  readonly #host: ReceivingHost;
  #current: Current | undefined;
  /** Until then there was no room lately. */
  #pausedUntil = 0;

  constructor(host: ReceivingHost) {
    this.#host = host;
  }

  get deadline(): Micros {
    return (this.#current?.askAt ?? never) as Micros;
  }

  /** Of the snapshot that is arriving. */
  get index(): LogIndex | undefined {
    return this.#current?.arrival.snapshot.index;
  }

  // ── what a sender says ──

  offered(from: AgentId, offer: OfferedSnapshot): void {
    const { group, now } = this.#host;
    const snapshot = { ...offer, group };
    if (this.#host.isLate(snapshot.index)) {
      // Too late: the mechanism tells the sender how far this agent is.
      this.#host.arrived(from, snapshot);
      this.#end(from, snapshot, "stored");
      return;
    }
    if (!isAcceptable(snapshot)) {
      this.#host.news({ kind: "notReceived", from, snapshot, because: "tooLarge" });
      this.#end(from, snapshot, "failed");
      return;
    }
    const current = this.#current;
    if (current !== undefined && isSameSnapshot(current.arrival.snapshot, snapshot)) {
      if (current.from !== from) this.#goOnWith(current, from);
      return;
    }
    if (current !== undefined) {
      const isAlive = now.monotonic - current.heardAt < 2 * answerMicros;
      if (isAlive || current.arrival.isWhole || !current.arrival.isOpen) return;
      this.#giveUp(current);
    }
    if (now.monotonic < this.#pausedUntil) this.#end(from, snapshot, "failed");
    else this.#begin(from, snapshot);
  }

  piece(message: SnapshotPieceMessage): void {
    const current = this.#named(message);
    if (current === undefined || !current.arrival.isOpen || message.number >= current.asked) return;
    const result = current.arrival.add(message.number, message.bytes, message.checksum);
    if (result !== "taken") return;
    const now = this.#host.now.monotonic;
    current.heardAt = now;
    current.askAt = now + answerMicros;
  }

  gone(from: AgentId, message: SnapshotGone): void {
    const current = this.#named(message);
    if (current?.from === from) this.#giveUp(current);
  }

  /** A link that is new knows nothing of what was asked on the last one. */
  linkUp(peer: AgentId): void {
    const current = this.#current;
    if (current?.from === peer) this.#goOnWith(current, peer);
  }

  // ── what its group has it do ──

  /** Asks for what is missing, or ends what is whole. */
  work(): void {
    const current = this.#current;
    if (current === undefined) return;
    const { arrival } = current;
    if (arrival.isOpen && !current.isTold) this.#tellReceiving(current);
    if (arrival.result !== undefined) this.#over(current);
    else if (this.#host.isLate(arrival.snapshot.index)) this.#tooLate(current);
    else if (arrival.isWhole) arrival.finish();
    else if (arrival.isOpen && !arrival.isBehind) this.#ask(current);
  }

  wake(): void {
    const current = this.#current;
    const now = this.#host.now.monotonic;
    if (current === undefined || now < current.askAt) return;
    const { arrival, from } = current;
    const isWaiting = arrival.isOpen && !arrival.isBehind && !arrival.isWhole;
    if (!isWaiting) current.heardAt = now;
    if (now - current.heardAt >= silenceMicros) {
      const { snapshot } = arrival;
      this.#giveUp(current);
      this.#host.news({ kind: "notReceived", from, snapshot, because: "silence" });
      return;
    }
    current.askAt = now + answerMicros;
    if (isWaiting) {
      current.asked = arrival.next;
      this.#ask(current);
    } else this.#say(current, arrival.next, 0);
  }

  /** What is on the disk stays there. */
  close(): void {
    if (this.#current !== undefined) this.#giveUp(this.#current);
  }

  // ── inside ──

  #named({ index, contents }: { index: LogIndex; contents: number }): Current | undefined {
    const { snapshot } = this.#current?.arrival ?? {};
    return snapshot?.index === index && snapshot.contents === contents ? this.#current : undefined;
  }

  #begin(from: AgentId, snapshot: FiledSnapshot): void {
    const { arrivals, now } = this.#host;
    if (!arrivals.take()) return;
    const arrival = this.#host.receive(snapshot, () => this.#host.touch());
    if (arrival === undefined) {
      arrivals.give();
      this.#noRoom(from, snapshot);
      return;
    }
    const at = now.monotonic;
    this.#current = { from, arrival, asked: 0, heardAt: at, askAt: at + answerMicros, isTold: false };
  }

  /** Only now is it known how much of it was here. */
  #tellReceiving(current: Current): void {
    const { from, arrival } = current;
    const { snapshot } = arrival;
    current.isTold = true;
    const bytesHere = Math.min(arrival.next * snapshot.pieceBytes, snapshot.byteLength);
    this.#host.news({ kind: "receiving", from, snapshot, bytesHere });
  }

  #goOnWith(current: Current, from: AgentId): void {
    const now = this.#host.now.monotonic;
    current.from = from;
    current.asked = current.arrival.next;
    current.heardAt = now;
    current.askAt = now + answerMicros;
    this.#host.touch();
  }

  #ask(current: Current): void {
    const { arrival } = current;
    const from = Math.max(current.asked, arrival.next);
    const to = Math.min(arrival.next + limits.piecesAskedMax, arrival.pieces);
    if (from >= to) return;
    current.asked = to;
    this.#say(current, from, to - from);
  }

  #say({ from, arrival }: Current, first: number, count: number): void {
    const { index, contents } = arrival.snapshot;
    this.#host.send(from, { kind: "snapshotAsk", index, contents, first, count });
  }

  #over(current: Current): void {
    const { from, arrival } = current;
    const { snapshot, result } = arrival;
    this.#drop();
    switch (result?.kind) {
      case "stored":
        this.#host.news({ kind: "received", from, snapshot });
        this.#host.arrived(from, snapshot);
        this.#end(from, snapshot, "stored");
        return;
      case "full":
        this.#noRoom(from, snapshot);
        return;
      case "mixed":
        this.#host.news({ kind: "notReceived", from, snapshot, because: "damaged" });
        this.#end(from, snapshot, "failed");
        return;
      case undefined:
    }
  }

  /** The state has come as far by other ways. */
  #tooLate(current: Current): void {
    const { from, arrival } = current;
    arrival.end("remove");
    this.#drop();
    this.#host.arrived(from, arrival.snapshot);
    this.#end(from, arrival.snapshot, "stored");
  }

  #noRoom(from: AgentId, snapshot: FiledSnapshot): void {
    this.#pausedUntil = this.#host.now.monotonic + pausedMicros;
    this.#host.news({ kind: "notReceived", from, snapshot, because: "noRoom" });
    this.#end(from, snapshot, "failed");
  }

  #giveUp({ arrival }: Current): void {
    arrival.end("keep");
    this.#drop();
  }

  #drop(): void {
    this.#current = undefined;
    this.#host.arrivals.give();
  }

  #end(to: AgentId, { index, contents }: FiledSnapshot, outcome: SnapshotEnded["outcome"]): void {
    this.#host.send(to, { kind: "snapshotEnded", index, contents, outcome });
  }
}
