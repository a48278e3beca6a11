/**
 * One agent of a simulated cluster: the same driver, journal, core and state as in production, over a simulated clock,
 * disk and network. It crashes and restarts from its disk, and it can be paused as by SIGSTOP: its clock goes on, and
 * what arrives meanwhile waits.
 */
import { assert, AssertionError, present } from "../core/assert.ts";
import { crc32 } from "../core/checksum.ts";
import type { Channel } from "../core/boundary.ts";
import { entryIndex, entryKind, entrySequence, entrySession } from "../core/entry.ts";
import { QuorateError } from "../core/errors.ts";
import type { AgentId, GroupName, Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { membersOf, unknownMembers, type MemberChange } from "../core/members.ts";
import type { Prng } from "../core/prng.ts";
import { decodeText } from "../core/text.ts";
import { wireVersionMax, wireVersionMin, type WireVersion } from "../core/wire-version.ts";
import { Driver } from "../driver/driver.ts";
import type { AppliedState, GroupObserver, HostedGroup, QueryAnswer } from "../driver/hosted.ts";
import type { OrderResult } from "../driver/orders.ts";
import { isTransfer, type TransferMessage } from "../driver/transfer-messages.ts";
import type { DriverJournal, DriverSnapshots, JournalCallbacks } from "../driver/world.ts";
import { raftCodec } from "../raft/codec.ts";
import type { RaftMessage, RaftPromise, RaftProtocol } from "../raft/messages.ts";
import { mapMachine } from "../state/map.ts";
import { AgentClock } from "./agent-clock.ts";
import type { SimulatedCore } from "./parts.ts";
import type { Stage } from "./stage.ts";
import { SimulatedDisk } from "./disk.ts";
import { hashMessage, type SimulatedMessage } from "./message-facts.ts";
import type { Scheduled } from "./event-queue.ts";
import { Violation } from "./violation.ts";
import { watchMachine, WatchedCore, WatchedJournal, WatchedState, type InputKind } from "./watched.ts";

const segmentBytes = 64 * 1024;
const blockBytesMax = 32 * 1024;
/** From one piece of a snapshot to the next. Mean. */
const snapshotStepMicros = 300;
/** Digests are compared at every so many entries. */
const digestEvery = 8;
/** `lazy` is `urgent` in no hurry, and every message here takes its time. */
const channelNumbers: Readonly<Record<Channel, number>> = {
  urgent: 0,
  lazy: 0,
  stream: 1,
  bulk: 2,
  datagram: 3,
};
const promiseKinds: ReadonlySet<string> = new Set([
  "voteRequest",
  "voteAnswer",
  "appendMatched",
  "appendRejected",
]);
const inputNumbers: Readonly<Record<InputKind, number>> = {
  wake: 1,
  receive: 2,
  durable: 3,
  checked: 4,
  link: 5,
  propose: 6,
  campaign: 7,
  read: 8,
  changeMembers: 9,
  transferLeadership: 10,
  applied: 11,
  loaded: 12,
  snapshot: 13,
};
/** Beside those of the core's inputs. */
const transferNumber = 14;

/** Whoever proposed through this agent, and hears what became of it. */
export interface ClientLink {
  answered(agent: number, session: number, sequence: number, answer: Uint8Array): void;
  refused(agent: number, session: number, sequence: number, leader: AgentId | undefined): void;
}

type Condition = "running" | "paused" | "down";

export class SimulatedAgent {
  readonly index: number;
  readonly name: AgentId;
  readonly clock: AgentClock;
  /** Where its journal is. */
  readonly disk: SimulatedDisk;
  /** Where its snapshots are: of the same make, and it fails with the other. */
  readonly snapshots: SimulatedDisk;
  crashes = 0;
  /** Of the wire; the newest once it has started anew. */
  version: WireVersion;
  /** Its journal is damaged: it refuses to start. */
  rotten = false;
  readonly #stage: Stage;
  readonly #prng: Prng;
  readonly #died: (agent: SimulatedAgent) => void;
  readonly #links = new Map<number, ClientLink>();
  #condition: Condition = "down";
  /** Counts the lives of the process: what an earlier one asked for never happens to a later one. */
  #life = 0;
  #suspendedAt: number | undefined;
  /** What reached it while it was paused. */
  #held: (() => void)[] = [];
  /** The same of its disk, which knows by itself what a crash makes void. */
  #heldDisk: (() => void)[] = [];
  #driver: Driver | undefined;
  #journal: WatchedJournal | undefined;
  #group: HostedGroup | undefined;
  #core: SimulatedCore | undefined;

  /** `died`: called where the agent ends by itself, because its disk failed. */
  constructor(stage: Stage, index: number, died: (agent: SimulatedAgent) => void) {
    this.#stage = stage;
    this.index = index;
    this.name = present(stage.names[index], "every agent has a name");
    this.#prng = stage.prng.fork();
    this.#died = died;
    const drift = stage.options.clockDriftMillionths / 1_000_000;
    this.clock = new AgentClock(stage.events, {
      rate: 1 + (this.#prng.unit() * 2 - 1) * drift,
      origin: this.#prng.between(0, 1_000_000_000),
      wallOffset: this.#prng.between(-1_000_000, 1_000_000),
    });
    this.disk = this.#makeDisk();
    this.version = index < stage.options.earlierAgents ? wireVersionMin : wireVersionMax;
    this.snapshots = this.#makeDisk();
  }

  get condition(): Condition {
    return this.#condition;
  }

  get core(): SimulatedCore | undefined {
    return this.#core;
  }

  get applied(): number {
    return this.#group?.applied ?? 0;
  }

  digest(): Uint8Array | undefined {
    return this.#group?.digest();
  }

  leads(): boolean {
    return this.#core?.role === "leader";
  }

  /** For a report: how it is, in a line. */
  describe(): string {
    const core = this.#core;
    const mirror = present(this.#stage.checker.mirrors[this.index], "every agent has a mirror");
    if (core === undefined)
      return `${this.name}: ${this.#condition}, on disk: term ${mirror.durable.term}, log up to ${mirror.durable.last}`;
    const vote = core.votedFor === undefined ? "no vote" : `vote for ${core.votedFor}`;
    return (
      `${this.name}: ${this.#condition}, ${core.role} in term ${core.term}, ${vote}, log up to ${core.lastIndex} ` +
      `(on disk: ${mirror.durable.last}), committed ${core.commitIndex}, applied ${this.applied}`
    );
  }

  // ── life and death ──

  start(): void {
    this.#condition = "running";
    this.#stage.history.restarted(this.index);
    try {
      this.#driver = new Driver({
        self: this.name,
        clock: this.clock,
        scheduler: {
          soon: (task) => this.#later(this.#turnDelay(), task),
          at: (instant, task) => this.#at(instant, task),
        },
        network: {
          send: (to, _group, channel, message) =>
            this.#send(to as AgentId, channel, message as SimulatedMessage),
          pulse: (to) => this.#stage.network.pulse(this.index, this.#stage.names.indexOf(to)),
          versionOf: (to) => this.#stage.network.versionBetween(this.index, this.#stage.names.indexOf(to)),
          flush: () => {},
        },
        journal: (callbacks) => this.#openJournal(callbacks),
        snapshots: (callbacks) => this.#openSnapshots(callbacks),
        onFailure: (error) => this.#failed(error),
      });
      this.#group = this.#host(this.#driver);
    } catch (error) {
      this.#failed(error instanceof Error ? error : new Error("not an error", { cause: error }));
    }
  }

  /**
   * The process is gone, at whatever it was doing. `kill`: what it wrote stays, synced or not. `powerFailure`: of what was
   * not synced, a random part stays.
   */
  crash(how: "kill" | "powerFailure"): void {
    this.crashes += 1;
    this.version = wireVersionMax;
    this.#condition = "down";
    this.#life += 1;
    this.#held = [];
    this.#driver = undefined;
    this.#journal = undefined;
    this.#group = undefined;
    this.#core = undefined;
    this.#links.clear();
    for (const disk of [this.disk, this.snapshots]) {
      if (how === "kill") disk.kill();
      else disk.crash();
    }
    this.#releaseDisk();
  }

  /** Its process stands still, or all of its machine: of that, only the wall clock tells afterwards. */
  pause(what: "process" | "machine"): void {
    this.#condition = "paused";
    this.#suspendedAt = what === "machine" ? this.#stage.events.now : undefined;
  }

  resume(): void {
    this.#condition = "running";
    if (this.#suspendedAt !== undefined) this.clock.wasSuspended(this.#stage.events.now - this.#suspendedAt);
    this.#suspendedAt = undefined;
    const held = this.#held;
    this.#held = [];
    for (const task of held) this.#stage.events.after(0, task);
    this.#releaseDisk();
  }

  /** One bit flips, in the middle of what its journal has written. */
  rot(): void {
    assert(this.#condition === "down", "the disk of a running agent is its own");
    this.rotten = true;
    this.disk.flipBit(...middleOfJournal(this.disk), 0);
  }

  #releaseDisk(): void {
    const held = this.#heldDisk;
    this.#heldDisk = [];
    for (const task of held) this.#stage.events.after(0, task);
  }

  #failed(error: Error): void {
    if (this.rotten && error instanceof QuorateError && error.code === "DATA_CORRUPT") {
      this.crash("kill");
      return;
    }
    if (error instanceof Violation || error instanceof AssertionError || error.name !== "DiskError") {
      this.#stage.fail(error);
      return;
    }
    this.crash(this.#prng.chance(0.5) ? "kill" : "powerFailure");
    this.#died(this);
  }

  // ── what reaches it ──

  receive(from: AgentId, message: object): void {
    this.#run(() => {
      if (isTransfer(message)) this.#transferReceived(from, message);
      this.#driver?.receive(from, this.#stage.group, message);
    });
  }

  heard(from: AgentId): void {
    this.#run(() => this.#driver?.heard(from));
  }

  linkChanged(peer: AgentId, up: boolean): void {
    this.#run(() => this.#driver?.linkChanged(peer, up));
  }

  propose(link: ClientLink, commands: readonly Uint8Array[], onlyAsLeader: boolean): void {
    this.#run(() => {
      for (const command of commands) this.#links.set(entrySession(command, 0), link);
      this.#group?.propose(commands, { onlyAsLeader });
    });
  }

  campaign(): void {
    this.#run(() => this.#group?.campaign());
  }

  transferLeadership(to: AgentId | undefined): void {
    this.#run(() => this.#group?.order({ kind: "transfer", to }, () => {}));
  }

  changeMembers(change: MemberChange, accepted: () => void): void {
    const done = (result: OrderResult): void => {
      if (result.kind === "accepted") accepted();
    };
    this.#run(() => this.#group?.order({ kind: "members", change }, done));
  }

  query(question: Uint8Array, done: (answer: QueryAnswer) => void): void {
    this.#run(() => this.#group?.query(question, "linearizable", done));
  }

  #run(task: () => void): void {
    if (this.#condition === "down") return;
    if (this.#condition === "paused") this.#held.push(this.#mine(task));
    else task();
  }

  // ── its world ──

  #turnDelay(): number {
    const { turnDelayMicros } = this.#stage.options;
    return turnDelayMicros === 0 ? 0 : this.#prng.exponential(turnDelayMicros);
  }

  /** `task`, unless this life has ended by then; while the agent is paused it waits. */
  #mine(task: () => void): () => void {
    const life = this.#life;
    return () => {
      if (life !== this.#life) return;
      if (this.#condition === "paused") this.#held.push(this.#mine(task));
      else task();
    };
  }

  #later(delayMicros: number, task: () => void): Scheduled {
    return this.#stage.events.after(delayMicros, this.#mine(task));
  }

  #at(instant: Micros, task: () => void): () => void {
    let cancelled = false;
    const event = this.#later(this.clock.delayUntil(instant), () => {
      if (!cancelled) task();
    });
    return () => {
      cancelled = true;
      this.#stage.events.cancel(event);
    };
  }

  /** No input of the core: its driver takes it. */
  #transferReceived(from: AgentId, message: TransferMessage): void {
    const { hash, names, events, trace } = this.#stage;
    hash.add(events.now);
    hash.add(this.index * 16 + transferNumber);
    hash.add(names.indexOf(from));
    hashMessage(hash, message);
    if (this.#core !== undefined) trace?.received(from, this.name, message, this.#core);
  }

  #send(to: AgentId, channel: Channel, message: SimulatedMessage): void {
    const stage = this.#stage;
    if (promiseKinds.has(message.kind)) stage.checker.promiseSent(this.index, to, message as RaftPromise);
    const core = present(this.#core, "only an agent with a core sends");
    stage.trace?.sent(this.name, to, message, core);
    stage.network.send(this.index, stage.names.indexOf(to), channelNumbers[channel], message);
  }

  #makeDisk(): SimulatedDisk {
    const { syncMeanMicros, crashSectorBytes } = this.#stage.options.disk;
    return new SimulatedDisk({
      prng: this.#prng.fork(),
      after: (delayMicros, task) => {
        this.#stage.events.after(delayMicros, () => {
          if (this.#condition === "paused") this.#heldDisk.push(task);
          else task();
        });
      },
      syncMicrosMin: Math.ceil(syncMeanMicros / 2),
      syncMicrosMean: syncMeanMicros / 2,
      crashSectorBytes,
    });
  }

  #openJournal(callbacks: JournalCallbacks): DriverJournal {
    const { checker, parts } = this.#stage;
    const id = new Uint8Array(16).fill(this.index + 1);
    const life = this.#life;
    const journal = parts.openJournal({
      disk: this.disk,
      id,
      checksum: crc32,
      schedule: (task) => this.#later(1, task),
      segmentBytes,
      blockBytesMax,
      onDurable: (group: GroupName, through) => {
        if (life !== this.#life) return;
        checker.reportedDurable(this.index, through);
        callbacks.onDurable(group, through);
      },
      onFailure: (error) => {
        if (life === this.#life) callbacks.onFailure(error);
      },
    });
    this.#journal = new WatchedJournal(journal, raftCodec, {
      pushed: (record, number, checksum) => checker.recordPushed(this.index, record, number, checksum),
      recovered: (records, checksums, next) => checker.recovered(this.index, records, checksums, next),
    });
    return this.#journal;
  }

  #openSnapshots(callbacks: Pick<JournalCallbacks, "onFailure">): DriverSnapshots {
    const life = this.#life;
    return this.#stage.parts.openSnapshots({
      disk: this.snapshots,
      checksum: crc32,
      schedule: (task) => this.#later(this.#prng.exponential(snapshotStepMicros), task),
      pieceBytes: this.#stage.options.snapshots.pieceBytes,
      onFailure: (error) => {
        if (life === this.#life) callbacks.onFailure(error);
      },
    });
  }

  // ── its group ──

  #host(driver: Driver): HostedGroup {
    const { options, parts, names, group } = this.#stage;
    const founders = names.slice(0, names.length - options.joiners);
    const journal = present(this.#journal, "the driver opens its journal before it hosts");
    return driver.host<RaftProtocol>({
      name: group,
      mechanism: "raft",
      codec: journal.watchCodec(parts.codec),
      create: (recovered) => {
        const core = parts.createCore(
          {
            self: this.name,
            members: founders.includes(this.name) ? membersOf(founders) : unknownMembers,
            prng: this.#prng.fork(),
            ...options.raft,
            priority: options.priorities[this.index],
            leaseReads: options.leases[this.index],
          },
          recovered,
        );
        this.#core = core;
        this.#stage.checker.restarted(this.index, core);
        this.#stage.trace?.started(this.name, core);
        return new WatchedCore(core, this.#beforeInput, () => this.#afterInput(core));
      },
      state: this.#state(),
      observer: this.#observer(),
      snapshotLogBytes: options.snapshots.logBytes,
    });
  }

  readonly #beforeInput = (
    kind: InputKind,
    from: AgentId | undefined,
    message: RaftMessage | RaftPromise | undefined,
  ): void => {
    const { hash, events, names, trace } = this.#stage;
    hash.add(events.now);
    hash.add(this.index * 16 + inputNumbers[kind]);
    if (from !== undefined) hash.add(names.indexOf(from));
    if (message === undefined) return;
    hashMessage(hash, message);
    if (trace !== undefined && from !== undefined && this.#core !== undefined)
      trace.received(from, this.name, message, this.#core);
  };

  #afterInput(core: SimulatedCore): void {
    if (this.#stage.checker.stepped(this.index, core)) {
      const { hash } = this.#stage;
      hash.add(core.term);
      hash.add(core.commitIndex);
      hash.add(core.role.length);
    }
    this.#stage.trace?.stepped(this.name, core);
  }

  #state(): AppliedState {
    const { checker, history, hash, trace, parts } = this.#stage;
    let applying = { index: 0, entry: checker.decided(0) };
    let ran: { readonly command: Uint8Array; readonly answer: Uint8Array } | undefined;
    const map = watchMachine(mapMachine(), (command, answer) => {
      ran = { command, answer };
    });
    return new WatchedState(parts.createState({ map }), {
      before: (bytes, offset) => {
        const entry = checker.applying(this.index, bytes, offset);
        applying = { index: entryIndex(bytes, offset), entry };
        ran = undefined;
        hash.add(entry.checksum);
        trace?.applied(this.name, applying.index, entry.term, entry.session, entry.sequence);
      },
      after: (answer, digest) => {
        const { index, entry } = applying;
        history.applied(this.index, index, present(entry, "an entry is being applied"), answer, ran);
        if (index % digestEvery === 0 || history.hasDigest(index))
          history.digest(this.index, index, digest());
      },
      frozen: (digest) => history.digest(this.index, applying.index, digest),
      restored: (index, digest) => {
        applying = { index, entry: undefined };
        hash.add(index);
        trace?.restored(this.name, index);
        checker.restored(this.index, index);
        history.restored(this.index, index, digest);
      },
    });
  }

  #observer(): GroupObserver {
    return {
      applied: (bytes, offset, answer) => {
        const kind = entryKind(bytes, offset);
        if (kind !== "command" && kind !== "openSession") return;
        const session = entrySession(bytes, offset);
        this.#links.get(session)?.answered(this.index, session, entrySequence(bytes, offset), answer);
      },
      refused: (session, sequence, refusal) => {
        const leader = refusal.kind === "notLeader" ? refusal.leader : undefined;
        this.#links.get(session)?.refused(this.index, session, sequence, leader);
      },
      // No simulated client asks for it.
      progressed: () => {},
      statusChanged: () => {},
      membersChanged: () => {},
      restored: () => {},
      snapshotNews: (news) => this.#stage.checker.snapshotNews(news),
      failed: (error) => {
        throw error;
      },
      diverged: (index) => {
        throw new Violation(
          "equalDigests",
          `agent ${this.index} hears that its state at ${index} is not its leader's`,
        );
      },
    };
  }
}

/** A byte within a block that has others before and behind it. */
function middleOfJournal(disk: SimulatedDisk): [file: string, byteOffset: number] {
  const blocks: [string, number][] = [];
  for (const file of disk
    .list()
    .filter((name) => name.endsWith(".segment"))
    .toSorted()) {
    const bytes = disk.contents(file);
    for (let at = 0; at < bytes.length; at += limits.sectorBytes) {
      if (decodeText(bytes.subarray(at, at + 4)) === "QJBK") blocks.push([file, at]);
    }
  }
  const [file, at] = present(blocks[blocks.length >> 1], "the journal has blocks");
  return [file, at + 8];
}
