/**
 * The only loop. A turn takes all inputs that wait, steps the cores, writes one journal block for everything, lets the
 * network send, and arms one timer for the earliest deadline. It runs free of `await`, and never inside a call from
 * outside: inputs queue, and the next turn takes them.
 */
import { assert } from "../core/assert.ts";
import { createOutbox, type Outbox, type Protocol } from "../core/boundary.ts";
import { MalformedError, QuorateError } from "../core/errors.ts";
import {
  never,
  type Address,
  type AgentId,
  type GroupName,
  type Micros,
  type RecordNumber,
} from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { GroupRunner, type AnyRunner, type GroupHost } from "./group.ts";
import { DeadlineHeap } from "./heap.ts";
import { Pulse } from "./pulse.ts";
import type { HostedGroup, HostOptions, LogProtocol } from "./hosted.ts";
import type { DriverOptions } from "./options.ts";
import { Queue } from "../core/queue.ts";
import { restoringState } from "./restoring.ts";
import { runToEnd } from "../core/steps.ts";
import { Searches, type Search } from "./searches.ts";
import { Slots } from "./slots.ts";
import type { SnapshotSharing } from "./snapshots.ts";
import type { Clock, DriverJournal, Network, Scheduler } from "./world.ts";

interface Input {
  readonly group: AnyRunner;
  readonly from: AgentId | Address;
  readonly message: object;
}

interface LinkChange {
  readonly group: AnyRunner;
  readonly peer: AgentId;
  readonly up: boolean;
}

export class Driver {
  readonly self: AgentId;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #journal: DriverJournal;
  readonly #snapshots: SnapshotSharing;
  readonly #onFailure: (error: Error) => void;
  readonly #groups = new Map<GroupName, AnyRunner>();
  readonly #deadlines = new DeadlineHeap<AnyRunner>();
  readonly #inputs = new Queue<Input>();
  readonly #linkChanges = new Queue<LinkChange>();
  readonly #pulse: Pulse<AnyRunner>;
  readonly #searches = new Searches();
  /** Those whose core is not woken yet, and their places among the searches. */
  readonly #unbegun = new Map<AnyRunner, Search>();
  /** Groups that the next turn visits, each once. */
  #touched: AnyRunner[] = [];
  /** One outbox for all cores: it is drained after each step, so two never share it. */
  readonly #out: Outbox<Protocol> = createOutbox();
  readonly #now: { monotonic: Micros; wall: Micros };
  readonly #turn = (): void => this.#runTurn();
  readonly #timer = (): void => this.#timerFired();
  #turnRequested = false;
  #inTurn = false;
  #timerAt: Micros = never;
  #cancelTimer: (() => void) | undefined;
  #state: "running" | "closed" | "failed" = "running";

  /** Throws what opening the journal throws. */
  constructor(options: DriverOptions) {
    this.self = options.self;
    this.#clock = options.clock;
    this.#scheduler = options.scheduler;
    this.#network = options.network;
    this.#onFailure = options.onFailure;
    this.#now = { monotonic: options.clock.monotonic(), wall: options.clock.wall() };
    this.#pulse = new Pulse({
      send: (peer) => options.network.pulse(peer),
      fellSilent: (group, peer) => this.#fellSilent(group, peer),
    });
    this.#journal = options.journal({
      onDurable: (group, through) => this.#durable(group, through),
      onFailure: (error) => this.#fail(error),
    });
    this.#snapshots = {
      store: options.snapshots({ onFailure: (error) => this.#fail(error) }),
      takings: new Slots(limits.takingsMax),
      arrivals: new Slots(limits.arrivalsMax),
    };
  }

  /** There is no room for another journal segment. */
  get diskFull(): boolean {
    return this.#journal.diskFull;
  }

  /**
   * Brings a group up from what the disk holds of it, its snapshot and its records; blocking. Its core is woken in a turn to
   * come. Throws `DATA_CORRUPT` where either is damaged, and `DATA_VERSION` where a later program wrote the snapshot; other
   * groups are not concerned.
   */
  host<P extends LogProtocol>(options: HostOptions<P>): HostedGroup {
    assert(this.#state === "running", "a driver that has ended hosts nothing");
    assert(!this.#groups.has(options.name), "a group is hosted once");
    assert(this.#groups.size < limits.groupsPerAgentMax, "an agent hosts no more groups than its limit");
    this.#readClock();
    if (options.anew === true) this.#journal.restart(options.name);
    const recovered = this.#journal.recover(options.name);
    if (recovered.damaged) throw corrupt(options.name);
    const core = options.create({ records: decoded(options, recovered.records), next: recovered.next });
    if (core.base !== undefined) {
      runToEnd(restoringState(this.#snapshots.store, options.name, core.base, options.state));
    }
    const group = new GroupRunner<P>(this.#hostOf<P>(), options, core, recovered.next);
    this.#groups.set(options.name, group);
    const search = { group, lost: undefined, begin: (): boolean => this.#begin(group) };
    this.#unbegun.set(group, search);
    this.#searches.add(search, this.#now.monotonic);
    return group;
  }

  /** Its core is woken from now on. False: it was already, or the group has been closed. */
  #begin(group: AnyRunner): boolean {
    if (!this.#unbegun.delete(group)) return false;
    this.#deadlines.set(group, Math.max(group.nextDeadline, this.#now.monotonic) as Micros);
    this.#touch(group);
    return true;
  }

  /** A message for a group; one that is not hosted here is dropped, as the network might have done. */
  receive(from: AgentId | Address, group: GroupName, message: object): void {
    if (this.#state !== "running") return;
    this.#pulse.heard(from as AgentId);
    const runner = this.#groups.get(group);
    if (runner === undefined) return;
    this.#inputs.push({ group: runner, from, message });
    this.#requestTurn();
  }

  /** Something came of that agent that is for no group: its pulse. */
  heard(from: AgentId): void {
    if (this.#state === "running") this.#pulse.heard(from);
  }

  /** The link to a peer broke (down), or a new one is there (up). */
  linkChanged(peer: AgentId, up: boolean): void {
    if (this.#state !== "running") return;
    for (const group of this.#groups.values()) {
      const { hibernation } = group;
      const change = { group, peer, up };
      // Whoever woke while it waited to be told knows by itself whether its leader is there.
      if (!up && isLost(group, peer)) this.#search(change, () => group.hibernation === hibernation);
      else this.#tellLink(change);
    }
  }

  #fellSilent(group: AnyRunner, peer: AgentId): void {
    const { hibernation } = group;
    assert(hibernation !== undefined, "only who sleeps is told of a silence");
    // Whoever waits for long to be told may have woken meanwhile, or the peer is heard again.
    const goesOn = (): boolean =>
      group.hibernation === hibernation && this.#pulse.isSilent(peer, hibernation.silence);
    const change = { group, peer, up: false };
    if (isLost(group, peer)) this.#search(change, goesOn);
    else this.#tellLink(change);
  }

  /** A group is to hear that its leader is gone, once there is room for one more that looks for another. */
  #search(change: LinkChange, isDue: () => boolean): void {
    const { group, peer } = change;
    const begin = (): boolean => {
      if (!this.#hosts(group) || !isDue()) return false;
      this.#tellLink(change);
      return true;
    };
    this.#searches.add({ group, lost: peer, begin }, this.#now.monotonic);
  }

  /** Ends all groups, then the journal. Inputs that still wait are dropped. */
  close(done: (error?: Error) => void): void {
    if (this.#state !== "running") {
      this.#scheduler.soon(() => done());
      return;
    }
    this.#state = "closed";
    this.#stop();
    this.#journal.close((error) => this.#snapshots.store.close(() => done(error)));
  }

  // ── the turn ──

  #runTurn(): void {
    this.#turnRequested = false;
    if (this.#state !== "running") return;
    assert(!this.#inTurn, "a turn never runs inside another");
    this.#inTurn = true;
    try {
      this.#readClock();
      this.#wakeDue();
      this.#takeInputs();
      this.#takeLinkChanges();
      this.#visitTouched();
      // Only now does it know of every group whether that still sleeps.
      if (this.#pulse.deadline <= this.#now.monotonic) this.#pulse.beat(this.#now.monotonic);
      this.#searches.admit(this.#now.monotonic);
      this.#journal.flush();
      this.#network.flush();
      this.#armTimer();
    } catch (error) {
      this.#fail(
        error instanceof Error ? error : new Error("a turn threw what is no error", { cause: error }),
      );
    } finally {
      this.#inTurn = false;
    }
  }

  /**
   * Before any message: a loop that stalled wakes its cores late, and each must learn so from its own deadline, not
   * have it moved by a message that waited just as long.
   */
  #wakeDue(): void {
    const now = this.#now.monotonic;
    this.#searches.wasLate(now - this.#deadlines.earliest, now);
    for (
      let due = this.#deadlines.first();
      due !== undefined && due.deadline <= now;
      due = this.#deadlines.first()
    ) {
      due.wake();
      this.#deadlines.set(due, due.nextDeadline);
      this.#mark(due);
    }
  }

  #takeInputs(): void {
    for (let taken = 0; taken < limits.inputsPerTurnMax && this.#inputs.count > 0; taken++) {
      const { group, from, message } = this.#inputs.take();
      // It may have been closed meanwhile.
      if (!this.#hosts(group)) continue;
      const search = this.#unbegun.get(group);
      if (search !== undefined) this.#searches.hurry(search);
      group.receive(from, message);
      this.#mark(group);
    }
    if (this.#inputs.count > 0) this.#requestTurn();
  }

  /** One agent that goes may concern every group, and each has a lot to say then. */
  #takeLinkChanges(): void {
    for (let taken = 0; taken < limits.linkChangesPerTurnMax && this.#linkChanges.count > 0; taken++) {
      const { group, peer, up } = this.#linkChanges.take();
      if (!this.#hosts(group)) continue;
      group.linkChanged(peer, up);
      this.#mark(group);
    }
    if (this.#linkChanges.count > 0) this.#requestTurn();
  }

  #tellLink(change: LinkChange): void {
    this.#linkChanges.push(change);
    this.#requestTurn();
  }

  #visitTouched(): void {
    const touched = this.#touched;
    this.#touched = [];
    for (const group of touched) {
      group.touched = false;
      if (!this.#hosts(group)) continue;
      const isLeft = group.work();
      // It may have ended in the middle.
      if (!this.#hosts(group)) continue;
      if (isLeft) this.#touch(group);
      group.settle();
      if (!this.#unbegun.has(group)) this.#deadlines.set(group, group.nextDeadline);
    }
  }

  #hosts(group: AnyRunner): boolean {
    return this.#groups.get(group.name) === group;
  }

  #touch(group: AnyRunner): void {
    this.#mark(group);
    this.#requestTurn();
  }

  #mark(group: AnyRunner): void {
    if (group.touched) return;
    group.touched = true;
    this.#touched.push(group);
  }

  #requestTurn(): void {
    if (this.#turnRequested || this.#state !== "running") return;
    this.#turnRequested = true;
    this.#scheduler.soon(this.#turn);
  }

  #readClock(): void {
    const monotonic = this.#clock.monotonic();
    assert(monotonic >= this.#now.monotonic, "the monotonic clock never goes back");
    this.#now.monotonic = monotonic;
    this.#now.wall = this.#clock.wall();
  }

  // ── the timer ──

  /** Deadlines mostly move later (each heartbeat does it), so an armed timer stays where it is unless it would fire too late. */
  #armTimer(): void {
    const earliest = this.#earliest;
    if (earliest >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = earliest;
    this.#cancelTimer = this.#scheduler.at(earliest, this.#timer);
  }

  #timerFired(): void {
    this.#timerAt = never;
    this.#cancelTimer = undefined;
    if (this.#state !== "running") return;
    if (this.#earliest <= this.#clock.monotonic()) this.#requestTurn();
    else this.#armTimer();
  }

  get #earliest(): Micros {
    return Math.min(this.#deadlines.earliest, this.#pulse.deadline, this.#searches.deadline) as Micros;
  }

  // ── the journal, and the end ──

  #durable(name: GroupName, through: RecordNumber): void {
    if (this.#state === "running") this.#groups.get(name)?.durable(through);
  }

  #fail(error: Error): void {
    if (this.#state === "failed") return;
    const wasRunning = this.#state === "running";
    this.#state = "failed";
    if (wasRunning) this.#stop();
    this.#onFailure(error);
  }

  #stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (const group of this.#groups.values()) group.abandon();
    this.#groups.clear();
  }

  #hostOf<P extends LogProtocol>(): GroupHost<P> {
    return {
      self: this.self,
      now: this.#now,
      readClock: () => this.#readClock(),
      // The lanes carry whatever the core in its turn pushes, and are empty whenever another core gets them.
      out: this.#out as unknown as Outbox<P>,
      journal: this.#journal,
      network: this.#network,
      snapshots: this.#snapshots,
      soon: (task) => this.#scheduler.soon(task),
      touch: (group) => this.#touch(group),
      use: (group) => {
        this.#begin(group);
        this.#touch(group);
      },
      hibernated: (group, before, after) => this.#pulse.replace(group, before, after, this.#now.monotonic),
      removed: (group) => {
        this.#groups.delete(group.name);
        this.#unbegun.delete(group);
        this.#deadlines.remove(group);
      },
    };
  }
}

/** It sleeps, and counts on that one to lead it. */
function isLost(group: AnyRunner, peer: AgentId): boolean {
  return group.hibernation !== undefined && group.leader === peer;
}

function* decoded<P extends LogProtocol>(
  options: HostOptions<P>,
  records: Iterable<Uint8Array>,
): Iterable<P["record"]> {
  for (const record of records) {
    try {
      yield options.codec.decodeRecord(record);
    } catch (error) {
      if (error instanceof MalformedError) throw corrupt(options.name, error);
      throw error;
    }
  }
}

function corrupt(group: GroupName, cause?: Error): QuorateError {
  return new QuorateError("DATA_CORRUPT", `The journal of the group ${group} is damaged in the middle.`, {
    outcome: "notDone",
    hint: "Leave this member stopped: the others go on while they are a majority. `quorate journal check` shows the damage.",
    cause,
  });
}
