/**
 * One hosted group: its core, and what waits for it. Every step ends with a drain of the outbox, and the effects are
 * carried out in the one order that is safe: messages, records, promises behind the records, commits.
 */
import { assert, present, unreachable } from "../core/assert.ts";
import {
  clearOutbox,
  type Hibernation,
  type LogCore,
  type Now,
  type Outbox,
  type Refusal,
  type Role,
  type Snapshot,
} from "../core/boundary.ts";
import { QuorateError } from "../core/errors.ts";
import { entrySequence, entrySession, sliceRun, truncateRun, type Run } from "../core/entry.ts";
import {
  never,
  type Address,
  type AgentId,
  type GroupName,
  type LogIndex,
  type Micros,
  type RecordNumber,
  type Ticket,
} from "../core/ids.ts";
import type { Changes } from "../core/machine.ts";
import { Applying } from "./applying.ts";
import type { Timed } from "./heap.ts";
import type { SnapshotFound } from "../journal/snapshots.ts";
import type {
  AppliedEntries,
  AppliedRun,
  HostedGroup,
  HostedStatus,
  HostOptions,
  LogEvent,
  LogProtocol,
  ProposeOptions,
  QueryAnswer,
  SnapshotTaken,
} from "./hosted.ts";
import { Orders, type Order, type OrderResult } from "./orders.ts";
import { PromiseGate } from "./promise-gate.ts";
import { batchEnd, Proposals } from "./proposals.ts";
import { limits } from "../core/limits.ts";
import { Queue } from "../core/queue.ts";
import type { Steps } from "../core/steps.ts";
import { Reads } from "./reads.ts";
import { RunGatherer, runOf } from "./reading.ts";
import { restoringState } from "./restoring.ts";
import { GroupSnapshots, type SnapshotSharing } from "./snapshots.ts";
import { Tracking } from "./tracking.ts";
import { isTransfer } from "./transfer-messages.ts";
import type { DriverJournal, Network } from "./world.ts";

/** What a group needs of its driver. */
export interface GroupHost<P extends LogProtocol> {
  readonly self: AgentId;
  readonly now: Now;
  /** Both clocks anew, into `now`. */
  readClock(): void;
  readonly out: Outbox<P>;
  readonly journal: DriverJournal;
  readonly network: Network;
  soon(task: () => void): void;
  readonly snapshots: SnapshotSharing;
  /** Puts the group on the list of those that the next turn visits. */
  touch(group: AnyRunner): void;
  /** The same; and it begins now, if it has not. */
  use(group: AnyRunner): void;
  /** It sleeps, no longer sleeps, or counts on other peers than before. */
  hibernated(group: AnyRunner, before: Hibernation | undefined, after: Hibernation | undefined): void;
  removed(group: AnyRunner): void;
}

/** What the driver needs of a group, whatever its mechanism. */
export interface AnyRunner extends Timed {
  readonly name: GroupName;
  touched: boolean;
  readonly nextDeadline: Micros;
  readonly leader: AgentId | undefined;
  readonly hibernation: Hibernation | undefined;
  wake(): void;
  receive(from: AgentId | Address, message: object): void;
  linkChanged(peer: AgentId, up: boolean): void;
  durable(through: RecordNumber): void;
  /** The turn's work besides single inputs: what became durable, proposals, reads, loads, commits. True: some of it is left. */
  work(): boolean;
  settle(): void;
  abandon(): void;
}

interface Load {
  readonly ticket: Ticket;
  readonly first: LogIndex;
  readonly bytesMax: number;
}

interface Restoring {
  readonly snapshot: Snapshot;
  readonly steps: Steps<void>;
}

export class GroupRunner<P extends LogProtocol> implements HostedGroup, AnyRunner {
  readonly name: GroupName;
  deadline: Micros = never;
  heapPosition = -1;
  touched = false;
  role: Role;
  leader: AgentId | undefined;

  readonly #host: GroupHost<P>;
  readonly #options: HostOptions<P>;
  readonly #core: LogCore<P>;
  readonly #promises: PromiseGate<P["promise"]>;
  readonly #applying: Applying;
  readonly #orders = new Orders();
  readonly #proposals = new Proposals();
  readonly #reads: Reads;
  readonly #tracking: Tracking;
  readonly #snapshots: GroupSnapshots<P>;
  /** The state is being replaced. */
  #restoring: Restoring | undefined;
  readonly #loads = new Queue<Load>();
  /** The last record pushed, and the last known to be on disk; 0: none. */
  #pushed: number;
  #durableThrough: number;
  #durableTold: number;
  #released = 0;
  #leaderHeardAt: number;
  /** As the driver knows of it. */
  #hibernated: Hibernation | undefined;
  #campaigns = false;
  #closed = false;
  readonly #refuseNotLeader = (command: Uint8Array): void => this.#refuse(command, this.#notLeader());

  constructor(host: GroupHost<P>, options: HostOptions<P>, core: LogCore<P>, next: RecordNumber) {
    this.name = options.name;
    this.#host = host;
    this.#options = options;
    this.#core = core;
    this.#pushed = next - 1;
    this.#durableThrough = next - 1;
    this.#durableTold = next - 1;
    this.#promises = new PromiseGate(next - 1, ({ to, channel, message }) =>
      host.network.send(to, options.name, channel, message),
    );
    const status = core.status();
    this.role = status.role;
    this.leader = status.leader;
    this.#leaderHeardAt = host.now.monotonic;
    this.#applying = new Applying(options.state, options.observer, status.applied);
    this.#reads = new Reads(options.state);
    this.#tracking = new Tracking(options.observer);
    this.#snapshots = this.#makeSnapshots();
  }

  // ── as its users see it ──

  get applied(): LogIndex {
    return this.#applying.applied;
  }

  status(): HostedStatus {
    const status = this.#core.status();
    const now = this.#host.now.monotonic;
    const silentMicros = now - this.#leaderHeardAt;
    return {
      ...status,
      applied: this.applied,
      mechanism: this.#options.mechanism,
      self: this.#host.self,
      // Of a sleeper the driver makes sure that its leader is there.
      lagMs: status.role === "leader" || status.hibernating ? 0 : Math.max(0, silentMicros / 1000),
      holdsLease: status.leaseEnds !== undefined && status.leaseEnds > now,
      diskFull: this.#host.journal.diskFull,
      baseBytes: this.#core.base?.byteLength ?? 0,
    };
  }

  propose(commands: readonly Uint8Array[], options: ProposeOptions): void {
    if (this.#closed) return;
    if (options.tracked === true) this.#tracking.add(commands);
    this.#proposals.add(commands, options.onlyAsLeader);
    this.#host.use(this);
  }

  untrack(session: number): void {
    this.#tracking.dropSession(session);
  }

  query(question: Uint8Array, at: "linearizable" | "local", done: (answer: QueryAnswer) => void): void {
    this.#reads.add(question, at, done);
    if (this.#closed) this.#host.soon(() => this.#reads.refuseAll({ kind: "closed" }));
    else this.#host.use(this);
  }

  entries(from: LogIndex, bytesMax: number): AppliedEntries | undefined {
    if (from > this.applied) return undefined;
    const recent = this.#applying.recent(from);
    if (recent !== undefined) return this.#withEffects(sliceRun(recent, from, bytesMax));
    const read = this.#core.recordOf(from) === undefined ? undefined : this.#readRun(from, bytesMax);
    if (read === undefined) return { kind: "compacted", earliest: this.#core.status().first };
    return this.#withEffects(read.last <= this.applied ? read : truncateRun(read, this.applied));
  }

  changes(filter: Uint8Array, from: number, changesMax: number): Changes {
    return this.#options.state.changes(filter, from, changesMax);
  }

  campaign(): void {
    this.#campaigns = true;
    this.#host.use(this);
  }

  order(order: Order, done: (result: OrderResult) => void): void {
    this.#orders.add(order, done);
    if (this.#closed) this.#host.soon(() => this.#orders.refuseAll({ kind: "closed" }));
    else this.#host.use(this);
  }

  takeSnapshot(done: (taken: SnapshotTaken) => void): void {
    if (this.#closed) this.#host.soon(() => done({ kind: "closed" }));
    else this.#snapshots.take(done);
  }

  readSnapshot(index: LogIndex): SnapshotFound {
    return this.#closed ? { kind: "missing" } : this.#snapshots.read(index);
  }

  digest(): Uint8Array {
    return this.#options.state.digest();
  }

  close(): void {
    if (this.#closed) return;
    this.abandon();
    this.#host.removed(this);
  }

  // ── as its driver sees it ──

  get nextDeadline(): Micros {
    return Math.min(this.#core.deadline, this.#snapshots.deadline) as Micros;
  }

  get hibernation(): Hibernation | undefined {
    return this.#core.hibernation;
  }

  wake(): void {
    const now = this.#host.now.monotonic;
    if (this.#core.deadline <= now) {
      this.#core.wake(this.#host.now, this.#out);
      this.#drain();
    }
    this.#snapshots.wake();
    assert(this.nextDeadline > now, "whoever was woken states a later deadline");
  }

  receive(from: AgentId | Address, message: object): void {
    if (from === this.leader) this.#leaderHeardAt = this.#host.now.monotonic;
    if (isTransfer(message)) {
      this.#snapshots.receive(from as AgentId, message);
      return;
    }
    this.#core.receive(from, message, this.#host.now, this.#out);
    this.#drain();
  }

  linkChanged(peer: AgentId, up: boolean): void {
    this.#core.linkChanged(peer, up, this.#host.now, this.#out);
    this.#drain();
    if (up) this.#snapshots.linkUp(peer);
  }

  durable(through: RecordNumber): void {
    assert(through <= this.#pushed, "only what was pushed becomes durable");
    assert(through >= this.#durableThrough, "what is durable stays durable");
    this.#durableThrough = through;
    this.#host.touch(this);
  }

  work(): boolean {
    this.#tellDurable();
    if (this.#restoring !== undefined && !this.#restore(this.#restoring)) return false;
    if (this.#campaigns) {
      this.#campaigns = false;
      this.#core.campaign(this.#host.now, this.#out);
      this.#drain();
    }
    if (this.#orders.wait) {
      this.#orders.give(this.#core, this.#host.network, this.#host.now, this.#out, () => this.#drain());
    }
    if (this.#proposals.count > 0) this.#propose();
    if (this.#reads.freshWait) this.#read();
    for (let count = 0; count < limits.loadsPerTurnMax && this.#loads.count > 0; count++)
      this.#load(this.#loads.take());
    this.#apply();
    if (this.#reads.localWait) this.#reads.answerLocal();
    const sends = this.#snapshots.work();
    if (sends || this.#restoring !== undefined) return true;
    return this.#loads.count > 0 || this.#applying.waits || this.#proposals.count > 0;
  }

  settle(): void {
    this.#noteHibernation(this.#core.hibernation);
    const neededFrom = this.#core.neededFrom;
    assert(neededFrom >= this.#released, "a core never needs again what it let go");
    if (neededFrom === this.#released) return;
    this.#released = neededFrom;
    this.#host.journal.release(this.name, neededFrom);
  }

  #noteHibernation(hibernation: Hibernation | undefined): void {
    const before = this.#hibernated;
    if (hibernation === before) return;
    this.#hibernated = hibernation;
    this.#leaderHeardAt = this.#host.now.monotonic;
    this.#host.hibernated(this, before, hibernation);
  }

  abandon(): void {
    this.#closed = true;
    this.#noteHibernation(undefined);
    this.#leaveRestoring();
    this.#snapshots.close();
    this.#host.soon(() => {
      this.#reads.refuseAll({ kind: "closed" });
      this.#orders.refuseAll({ kind: "closed" });
    });
  }

  // ── the steps ──

  get #out(): Outbox<P> {
    return this.#host.out;
  }

  /**
   * Promises first: they have waited for this, and what the core answers comes after them. What is tracked hears of the
   * disk before the core may decide it.
   */
  #tellDurable(): void {
    const through = this.#durableThrough;
    if (through === this.#durableTold) return;
    this.#durableTold = through;
    this.#promises.durable(through as RecordNumber);
    this.#tracking.durable(through);
    this.#core.durable(through as RecordNumber, this.#host.now, this.#out);
    this.#drain();
  }

  #propose(): void {
    const commands = this.#proposals.take(this.role === "leader", this.#refuseNotLeader);
    // Whoever only forwards writes nothing.
    if (this.role === "leader" && this.#host.journal.diskFull) {
      for (const command of commands) this.#refuse(command, { kind: "diskFull" });
      return;
    }
    for (let from = 0; from < commands.length;) {
      const to = batchEnd(commands, from);
      const batch = from === 0 && to === commands.length ? commands : commands.slice(from, to);
      const result = this.#core.propose(batch, this.#host.now, this.#out);
      this.#drain();
      if (result.kind === "accepted") {
        assert(
          result.count >= 1 && result.count <= batch.length,
          "a core accepts some of a batch, or refuses it",
        );
        from += result.count;
      } else {
        for (const command of batch) this.#refuse(command, result);
        from = to;
      }
    }
  }

  /** Some were asked since the turn began, and a core that has a lease answers as of now (D19). */
  #read(): void {
    this.#host.readClock();
    const result = this.#core.read(this.#host.now, this.#out);
    // The ticket comes before the drain: a group of one may find it readable at once.
    if (result.kind === "ticket") this.#reads.ticketed(result.ticket);
    this.#drain();
    if (result.kind !== "ticket") this.#reads.refuseFresh(result);
  }

  #load({ ticket, first, bytesMax }: Load): void {
    const run = this.#core.recordOf(first) === undefined ? undefined : this.#readRun(first, bytesMax);
    this.#core.loaded(ticket, run, this.#host.now, this.#out);
    this.#drain();
  }

  #apply(): void {
    const applying = this.#applying;
    applying.refill();
    while (applying.waits && applying.budgetLeft) {
      const wantsDigest = applying.applySome();
      const digest = wantsDigest ? this.#options.state.digest() : undefined;
      this.#core.applied(applying.applied, digest, this.#host.now, this.#out);
      this.#drain();
    }
  }

  /**
   * Reads on in the snapshot; at its end, that is the state. False: the group can't go on. Its record says that the snapshot is
   * its base, so a restart finds the same.
   */
  #restore({ snapshot, steps }: Restoring): boolean {
    const { observer } = this.#options;
    try {
      if (steps.next().done !== true) return true;
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      this.close();
      observer.failed(error);
      return false;
    }
    this.#restoring = undefined;
    this.#applying.restart(snapshot.index);
    this.#snapshots.restored();
    this.#core.applied(snapshot.index, undefined, this.#host.now, this.#out);
    this.#drain();
    observer.restored(snapshot.index);
    return true;
  }

  #restoringFrom(snapshot: Snapshot): Steps<void> {
    return restoringState(this.#host.snapshots.store, this.name, snapshot, this.#options.state);
  }

  /** In the middle: the state stays as it is. */
  #leaveRestoring(): void {
    this.#restoring?.steps.return();
    this.#restoring = undefined;
  }

  // ── what the core wants done ──

  #drain(): void {
    const out = this.#out;
    const { network } = this.#host;
    for (let at = 0; at < out.sends.count; at++) {
      const { to, channel, message } = out.sends.at(at);
      network.send(to, this.name, channel, message);
    }
    for (let at = 0; at < out.records.count; at++) this.#push(out.records.at(at));
    for (let at = 0; at < out.sendsOnceDurable.count; at++) {
      this.#promises.add(out.sendsOnceDurable.at(at), this.#pushed);
    }
    for (let at = 0; at < out.commits.count; at++) {
      const commit = out.commits.at(at);
      this.#applying.add(commit);
      if (this.#tracking.isWatching) this.#tracking.committed(commit.run);
    }
    for (let at = 0; at < out.loads.count; at++) this.#loads.push(out.loads.at(at));
    assert(out.checks.count === 0, "a signature check needs a verifier, and none was given");
    for (let at = 0; at < out.transfers.count; at++) {
      const { to, index } = out.transfers.at(at);
      this.#snapshots.transfer(to, index);
    }
    for (let at = 0; at < out.events.count; at++) this.#happened(out.events.at(at));
    clearOutbox(out);
  }

  #push(record: P["record"]): void {
    const number = this.#host.journal.append(this.name, this.#options.codec.encodeRecord(record));
    assert(number === this.#pushed + 1, "the journal numbers a group's records without a gap");
    this.#pushed = number;
    if (!this.#tracking.isWatching) return;
    const run = runOf(record);
    if (run !== undefined) this.#tracking.pushed(run, number);
  }

  #happened(event: LogEvent): void {
    switch (event.kind) {
      case "role":
        if (event.leader !== this.leader) this.#leaderHeardAt = this.#host.now.monotonic;
        this.role = event.role;
        this.leader = event.leader;
        this.#options.observer.statusChanged();
        return;
      case "refused":
        for (const { session, sequence } of event.commands) {
          this.#refused(session, sequence, event.refusal);
        }
        return;
      case "readable":
        this.#reads.readable(event.ticket);
        return;
      case "readRefused":
        this.#reads.readRefused(event.ticket, event.refusal);
        return;
      case "diverged":
        this.#options.observer.diverged(event.index);
        return;
      case "restore":
        this.#applying.drop();
        this.#leaveRestoring();
        this.#restoring = { snapshot: event.snapshot, steps: this.#restoringFrom(event.snapshot) };
        this.#host.touch(this);
        return;
      case "members":
        this.#options.observer.membersChanged(event.members);
        return;
      default:
        unreachable(event);
    }
  }

  #refuse(command: Uint8Array, refusal: Refusal): void {
    this.#refused(entrySession(command, 0), entrySequence(command, 0), refusal);
  }

  #refused(session: number, sequence: number, refusal: Refusal): void {
    this.#tracking.drop(session, sequence);
    this.#options.observer.refused(session, sequence, refusal);
  }

  #notLeader(): Refusal {
    return this.leader === undefined ? { kind: "notLeader" } : { kind: "notLeader", leader: this.leader };
  }

  #withEffects(run: Run): AppliedRun {
    const withoutEffect: LogIndex[] = [];
    for (let index = run.first; index <= run.last; index++) {
      if (!this.#options.state.tookEffect(index)) withoutEffect.push(index);
    }
    return { ...run, withoutEffect };
  }

  // ── the journal ──

  /**
   * Entries as they are now. A record further on may replace what an earlier one holds, so reading goes on until nothing
   * that was gathered can be replaced any more.
   */
  #readRun(first: LogIndex, bytesMax: number): Run | undefined {
    const from = present(this.#core.recordOf(first), "the caller knows that a record holds the entry");
    const gatherer = new RunGatherer(first, bytesMax);
    let readTo = Number.POSITIVE_INFINITY;
    let readToFor: LogIndex | undefined;
    for (const { number, bytes } of this.#host.journal.read(this.name, from)) {
      const run = runOf(this.#options.codec.decodeRecord(bytes));
      if (run !== undefined) gatherer.add(run);
      const last = gatherer.enoughUpTo;
      if (last !== readToFor) {
        readToFor = last;
        readTo = last === undefined ? Number.POSITIVE_INFINITY : this.#writtenBy(last);
      }
      if (number >= readTo) break;
    }
    return gatherer.finish();
  }

  /**
   * A record by which every entry up to `last` was written as the log has it. The core names records by rough points; a
   * later point bounds the ones before it. Without one, everything has to be read.
   */
  #writtenBy(last: LogIndex): number {
    const near = this.#core.recordOf(last) ?? Number.POSITIVE_INFINITY;
    for (let step = 1; near < Number.POSITIVE_INFINITY; step *= 2) {
      const further = this.#core.recordOf((last + step) as LogIndex) ?? Number.POSITIVE_INFINITY;
      if (further > near) return further;
    }
    return near;
  }

  #makeSnapshots(): GroupSnapshots<P> {
    const { now, network, snapshots } = this.#host;
    return new GroupSnapshots<P>({
      ...snapshots,
      name: this.name,
      now,
      core: this.#core,
      state: this.#options.state,
      applying: this.#applying,
      logBytes: this.#options.snapshotLogBytes ?? limits.snapshotLogBytes,
      durable: () => this.#durableThrough,
      pushed: () => this.#pushed,
      restores: () => this.#restoring !== undefined,
      versionOf: (peer) => network.versionOf(peer),
      step: (input) => {
        input(now, this.#out);
        this.#drain();
      },
      send: (to, message) => network.send(to, this.name, "bulk", message),
      touch: () => this.#host.touch(this),
      news: (news) => this.#options.observer.snapshotNews(news),
    });
  }
}
