/**
 * What a group does with snapshots: takes one when enough was applied since the last, sends them to its peers and gets them
 * from there, and keeps the files that a restart or a peer needs. What it learns for the core waits for its turn.
 */
import type { LogCore, Now, Outbox, Snapshot } from "../core/boundary.ts";
import {
  microsFromMs,
  never,
  type AgentId,
  type GroupName,
  type LogIndex,
  type Micros,
} from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { everybody } from "../core/members.ts";
import type { WireVersion } from "../core/wire-version.ts";
import { unreachable } from "../core/assert.ts";
import { DiskError } from "../journal/disk.ts";
import type { SnapshotFound } from "../journal/snapshots.ts";
import type { Taking, TakeResult } from "../journal/taking.ts";
import type { Applying } from "./applying.ts";
import type { AppliedState, LogProtocol, SnapshotNews, SnapshotTaken } from "./hosted.ts";
import { Receiving } from "./receiving.ts";
import { Sending } from "./sending.ts";
import type { Slots } from "./slots.ts";
import { transferAddedIn, type TransferMessage } from "./transfer-messages.ts";
import type { DriverSnapshots } from "./world.ts";

const pausedMicros = microsFromMs(limits.snapshotPausedMsMax);
const askAgainMicros = microsFromMs(limits.transferAnswerMsMax);
const versionNeeded = transferAddedIn.snapshotOffer;

/** What all groups of an agent share. */
export interface SnapshotSharing {
  readonly store: DriverSnapshots;
  /** How many are taken at a time: each holds on to a state of then. */
  readonly takings: Slots;
  /** How many arrive at a time. */
  readonly arrivals: Slots;
}

export interface SnapshotsHost<P extends LogProtocol> extends SnapshotSharing {
  readonly name: GroupName;
  readonly now: Now;
  readonly core: LogCore<P>;
  readonly state: AppliedState;
  readonly applying: Applying;
  /** See `HostOptions`. */
  readonly logBytes: number;
  /** The last record on the disk, and the last one pushed; 0: none. */
  durable(): number;
  pushed(): number;
  /** Whether the state is about to be replaced. */
  restores(): boolean;
  /** Of the wire, between this agent and that one; undefined while that is not known. */
  versionOf(peer: AgentId): WireVersion | undefined;
  /** Gives the core an input, and carries out what comes of it. */
  step(input: (now: Now, out: Outbox<P>) => void): void;
  send(to: AgentId, message: TransferMessage): void;
  touch(): void;
  news(news: SnapshotNews): void;
}

/** What the core is to hear. */
type Told =
  | { readonly kind: "arrived"; readonly from: AgentId; readonly snapshot: Snapshot }
  | {
      readonly kind: "sent";
      readonly to: AgentId;
      readonly index: LogIndex;
      readonly outcome: "stored" | "failed";
    };

interface Asker {
  /** As much as was applied when it asked. */
  readonly index: LogIndex;
  readonly done: (taken: SnapshotTaken) => void;
}

export class GroupSnapshots<P extends LogProtocol> {
  readonly #host: SnapshotsHost<P>;
  readonly #sending: Sending;
  readonly #receiving: Receiving;
  readonly #told: Told[] = [];
  readonly #askers: Asker[] = [];
  #taking:
    | { readonly handle: Taking | undefined; readonly index: LogIndex; readonly appliedBytes: number }
    | undefined;
  #taken: TakeResult | undefined;
  #base: LogIndex;
  /** Bases of before: each is needed until the records pushed when it was replaced are on the disk. */
  #held: { readonly index: LogIndex; readonly until: number }[] = [];
  /** As much had been applied at the base. */
  #appliedBytes = 0;
  /** Until then nothing is tried again. */
  #pausedUntil = 0;
  /** The base can't be read: another snapshot is due at once. */
  #damaged = false;
  /** Not needed here any more, but by a peer. */
  #older: LogIndex | undefined;
  readonly #touch = (): void => this.#host.touch();

  constructor(host: SnapshotsHost<P>) {
    this.#host = host;
    this.#base = host.core.base?.index ?? (0 as LogIndex);
    host.store.keepOnly(host.name, new Set([this.#base]));
    const { name: group, now, arrivals, store } = host;
    const send = (to: AgentId, message: TransferMessage): void => host.send(to, message);
    this.#sending = new Sending({
      now,
      send,
      read: (index) => this.read(index),
      failed: (to, index) => this.#tell({ kind: "sent", to, index, outcome: "failed" }),
      damaged: (index) => this.#noteDamaged(index),
    });
    this.#receiving = new Receiving({
      group,
      now,
      arrivals,
      send,
      receive: (snapshot, changed) => store.receive(snapshot, changed),
      touch: () => host.touch(),
      isLate: (index) => index <= host.applying.applied || index <= this.#base,
      arrived: (from, snapshot) => this.#tell({ kind: "arrived", from, snapshot }),
      news: (news) => host.news(news),
    });
  }

  /** When it wants to be woken. */
  get deadline(): Micros {
    const paused = this.#pausedUntil > this.#host.now.monotonic ? this.#pausedUntil : never;
    return Math.min(this.#sending.deadline, this.#receiving.deadline, paused) as Micros;
  }

  // ── inputs ──

  receive(from: AgentId, message: TransferMessage): void {
    switch (message.kind) {
      case "snapshotOffer":
        this.#receiving.offered(from, message.snapshot);
        return;
      case "snapshotAsk":
        this.#sending.asked(from, message);
        return;
      case "snapshotPiece":
        this.#receiving.piece(message);
        return;
      case "snapshotGone":
        this.#receiving.gone(from, message);
        return;
      case "snapshotEnded":
        this.#sending.ended(from, message.index);
        this.#tell({ kind: "sent", to: from, index: message.index, outcome: message.outcome });
        return;
      default:
        unreachable(message);
    }
  }

  /** The core wants a peer to have this one. */
  transfer(to: AgentId, index: LogIndex): void {
    this.#sending.offer(to, index);
  }

  linkUp(peer: AgentId): void {
    this.#receiving.linkUp(peer);
  }

  wake(): void {
    this.#sending.wake();
    this.#receiving.wake();
  }

  /** Takes one now, or says which is as new. Tells so later, never at once. */
  take(done: (taken: SnapshotTaken) => void): void {
    this.#askers.push({ index: this.#host.applying.applied, done });
    this.#host.touch();
  }

  /** The state has been replaced by the base's. */
  restored(): void {
    this.#appliedBytes = this.#host.applying.appliedBytes;
  }

  /** One piece for a peer, at most; what there is for the core; and whether another one is due. True: something is left. */
  work(): boolean {
    this.#endTaking();
    this.#receiving.work();
    this.#sending.sendOne();
    for (let told = this.#told.shift(); told !== undefined; told = this.#told.shift()) this.#pass(told);
    this.#letGo();
    this.#answerAskers();
    if (this.#isDue() && !this.#waitsForUpgrade()) this.#take();
    return this.#sending.waits;
  }

  close(): void {
    this.#taking?.handle?.end();
    if (this.#taking !== undefined) this.#host.takings.give();
    this.#taking = undefined;
    this.#sending.close();
    this.#receiving.close();
    for (const { done } of this.#askers.splice(0)) done({ kind: "closed" });
  }

  // ── taking ──

  #isDue(): boolean {
    const { core, applying, logBytes, now } = this.#host;
    if (this.#taking !== undefined || this.#host.restores() || applying.applied <= this.#base) return false;
    if (this.#askers.length > 0) return true;
    if (now.monotonic < this.#pausedUntil) return false;
    if (this.#damaged) return true;
    const bytes = applying.appliedBytes - this.#appliedBytes;
    return bytes >= Math.max(logBytes, core.base?.byteLength ?? 0);
  }

  /**
   * A member that can't be sent a snapshot has to get along by the log alone. So while one is known that is not upgraded, the log
   * is kept, and nothing is taken, by hand neither.
   */
  #waitsForUpgrade(): boolean {
    const isTooOld = (id: AgentId): boolean => (this.#host.versionOf(id) ?? versionNeeded) < versionNeeded;
    const old = [...everybody(this.#host.core.status().members)].find(isTooOld);
    if (old === undefined) return false;
    this.#pausedUntil = this.#host.now.monotonic + askAgainMicros;
    const error = new Error(
      `the member ${old} is of a version that can't be sent snapshots: upgrade it first`,
    );
    for (const { done } of this.#askers.splice(0)) done({ kind: "failed", error });
    return true;
  }

  #take(): void {
    const { name: group, takings, store, core, state, applying } = this.#host;
    if (!takings.take(this.#touch)) return;
    const { applied: index, appliedBytes } = applying;
    const done = (result: TakeResult): void => {
      this.#taken = result;
      this.#host.touch();
    };
    let handle: Taking | undefined;
    try {
      const pieces = state.snapshot();
      handle = store.take({ group, index, digest: state.digest(), anchor: core.anchor() }, pieces, done);
    } catch (thrown) {
      // A machine of somebody's own may fail to write down its state, and the group does without the snapshot.
      done({
        kind: "failed",
        error: thrown instanceof Error ? thrown : new Error("a machine threw something"),
      });
    }
    this.#taking = { handle, index, appliedBytes };
  }

  #endTaking(): void {
    const taking = this.#taking;
    const result = this.#taken;
    if (taking === undefined || result === undefined) return;
    this.#taking = undefined;
    this.#taken = undefined;
    this.#host.takings.give();
    if (result.kind === "failed") {
      this.#pausedUntil = this.#host.now.monotonic + pausedMicros;
      this.#host.news({ kind: "notTaken", index: taking.index, error: result.error });
      for (const { done } of this.#askers.splice(0)) done(result);
      return;
    }
    const { snapshot } = result;
    this.#stepWithBase((now, out) => this.#host.core.snapshotTaken(snapshot, now, out));
    this.#appliedBytes = Math.max(this.#appliedBytes, taking.appliedBytes);
    // The core does without it where one that is newer has arrived.
    if (this.#base !== snapshot.index) return;
    this.#damaged = false;
    this.#host.news({ kind: "taken", snapshot });
  }

  #answerAskers(): void {
    const { base } = this.#host.core;
    for (let asker = this.#askers[0]; asker !== undefined; asker = this.#askers[0]) {
      const isEmpty = asker.index === 0;
      if (isEmpty) asker.done({ kind: "nothing" });
      else if (base !== undefined && base.index >= asker.index) asker.done({ kind: "taken", snapshot: base });
      else return;
      this.#askers.shift();
    }
  }

  // ── what the core is told ──

  #tell(told: Told): void {
    this.#told.push(told);
    this.#host.touch();
  }

  #pass(told: Told): void {
    const { core } = this.#host;
    switch (told.kind) {
      case "arrived":
        this.#stepWithBase((now, out) => core.snapshotArrived(told.from, told.snapshot, now, out));
        return;
      case "sent":
        this.#host.step((now, out) => core.snapshotSent(told.to, told.index, told.outcome, now, out));
        return;
      default:
        unreachable(told);
    }
  }

  #stepWithBase(input: (now: Now, out: Outbox<P>) => void): void {
    const before = this.#base;
    this.#host.step(input);
    this.#base = this.#host.core.base?.index ?? before;
    if (this.#base !== before && before > 0) {
      this.#held.push({ index: before, until: this.#host.pushed() });
    }
    this.#keepNeeded();
  }

  // ── files ──

  /** Bases that a crash can't bring back any more, and files that no peer gets any more. */
  #letGo(): void {
    const durable = this.#host.durable();
    const held = this.#held.filter(({ until }) => until > durable);
    const isOlderDone = this.#older !== undefined && !this.#sending.inUse.has(this.#older);
    if (held.length === this.#held.length && !isOlderDone) return;
    this.#held = held;
    this.#keepNeeded();
  }

  /**
   * Besides the base, those that a crash may bring back, and those of which the core has yet to hear, one: the oldest that a
   * peer is getting. Whoever began first comes to an end, so that no peer is sent one snapshot after the other.
   */
  #keepNeeded(): void {
    const needed = new Set([this.#base, ...this.#held.map(({ index }) => index)]);
    for (const index of [this.#taking?.index, this.#receiving.index]) {
      if (index !== undefined) needed.add(index);
    }
    for (const told of this.#told) if (told.kind === "arrived") needed.add(told.snapshot.index);
    const others = [...this.#sending.inUse].filter((index) => !needed.has(index));
    this.#older = others.length === 0 ? undefined : (Math.min(...others) as LogIndex);
    if (this.#older !== undefined) needed.add(this.#older);
    this.#sending.keepOnly(needed);
    this.#host.store.keepOnly(this.#host.name, needed);
  }

  /** Of this group, by index. */
  read(index: LogIndex): SnapshotFound {
    try {
      return this.#host.store.read(this.#host.name, index);
    } catch (error) {
      // Too many open files, or a sector that can't be read: what was sent from it can't be, and the group goes on.
      if (error instanceof DiskError) return { kind: "damaged" };
      throw error;
    }
  }

  /** The state is as it should be, so a new snapshot of it mends this. */
  #noteDamaged(index: LogIndex): void {
    if (index !== this.#base || this.#damaged) return;
    this.#damaged = true;
    this.#host.news({ kind: "damaged", index });
    this.#host.touch();
  }
}
