/**
 * A world of one agent, for this folder's tests: the driver against a scripted core, a journal in memory, and a scheduler
 * that runs only when told to. Each test sets up one moment and looks at what left, in which order.
 */
import { assert, present } from "../core/assert.ts";
import type {
  Encoded,
  Hibernation,
  LogCore,
  LogStatus,
  Now,
  Outbox,
  ProtocolCodec,
  Recovered,
  Refusal,
  Snapshot,
} from "../core/boundary.ts";
import { concatBytes, emptyBytes, readUint53, writeUint53 } from "../core/bytes.ts";
import { crc32 } from "../core/checksum.ts";
import { encodeCommand, entryIndex, entryLength, stampEntry, type Run } from "../core/entry.ts";
import {
  agentId,
  groupName,
  logIndex,
  recordNumber,
  term,
  type AgentId,
  type GroupName,
  type LogIndex,
  type Micros,
  type RecordNumber,
  type Ticket,
} from "../core/ids.ts";
import { MalformedError } from "../core/errors.ts";
import { membersOf, type MemberChange } from "../core/members.ts";
import type { Steps } from "../core/steps.ts";
import type { WireVersion } from "../core/wire-version.ts";
import { encodeText } from "../core/text.ts";
import type { Disk } from "../journal/disk.ts";
import { MemoryDisk } from "../journal/memory-disk.ts";
import { SnapshotStore } from "../journal/snapshots.ts";
import { Driver } from "./driver.ts";
import type { AppliedState, HostedGroup, HostOptions, LogEvent } from "./hosted.ts";
import type { OrderResult } from "./orders.ts";
import { isTransfer, type TransferMessage } from "./transfer-messages.ts";
import type { DriverJournal, JournalCallbacks } from "./world.ts";

export const self = agentId("a");
export const peer = agentId("b");
export const main = groupName("main");

interface TestProtocol {
  message: { readonly kind: "hello"; readonly text: string };
  promise: { readonly kind: "promise"; readonly text: string };
  record: { readonly text: string; readonly run?: Run };
  event: LogEvent;
}

const codec: ProtocolCodec<TestProtocol> = {
  encodeMessage: () => ({ head: emptyBytes, tail: [] }),
  decodeMessage: () => ({ kind: "hello", text: "" }),
  encodeRecord: (record) => ({
    head: new TextEncoder().encode(record.text),
    tail: record.run === undefined ? [] : [record.run.bytes],
  }),
  decodeRecord: (bytes) => {
    const text = new TextDecoder().decode(bytes.subarray(0, 1));
    if (text !== "e") return { text: new TextDecoder().decode(bytes) };
    const run = bytes.subarray(1);
    const first = entryIndex(run, 0);
    let last = first;
    for (let at = 0; at < run.byteLength; at += entryLength(run, at)) last = entryIndex(run, at);
    return { text, run: { first, last, bytes: run } };
  },
};

type Step = (out: Outbox<TestProtocol>, now: Now) => void;

/** Does what each test tells it to do, and writes down what it was asked. */
class ScriptedCore implements LogCore<TestProtocol> {
  deadline: Micros = 1000 as Micros;
  neededFrom: RecordNumber = 1 as RecordNumber;
  readonly heard: string[] = [];
  readAt = 0;
  readonly recordOfIndex = new Map<number, number>();
  /** What of its status is not that of a follower who knows nothing. */
  standing: Partial<LogStatus> = {};
  onWake: Step = () => {};
  onReceive: (text: string, out: Outbox<TestProtocol>) => void = () => {};
  onApplied: (through: LogIndex, out: Outbox<TestProtocol>) => void = () => {};
  onPropose: (
    commands: readonly Uint8Array[],
    out: Outbox<TestProtocol>,
  ) => { kind: "accepted"; count: number } | Refusal = (commands) => ({
    kind: "accepted",
    count: commands.length,
  });
  onRead: (out: Outbox<TestProtocol>) => { kind: "ticket"; ticket: Ticket } | Refusal = () => ({
    kind: "notLeader",
  });
  onOrder: (out: Outbox<TestProtocol>) => OrderResult = () => ({ kind: "notLeader" });
  onDurable: (through: RecordNumber, out: Outbox<TestProtocol>) => void = () => {};
  onLoaded: (run: Run | undefined) => void = () => {};
  /** As a core does that has no reason to ignore it: the snapshot is its base from now on. */
  onTaken: (snapshot: Snapshot, out: Outbox<TestProtocol>) => void = (snapshot, out) => {
    this.base = snapshot;
    out.records.push({ text: `base ${snapshot.index}` });
  };
  /** The same; the state is replaced once that is on the disk. */
  onArrived: (snapshot: Snapshot, out: Outbox<TestProtocol>) => void = (snapshot, out) => {
    if (snapshot.index <= this.appliedTo) return;
    this.onTaken(snapshot, out);
    this.#installing = snapshot;
  };
  base: Snapshot | undefined;
  members = membersOf([self]);
  appliedTo = 0;
  #installing: Snapshot | undefined;
  readonly recovered: string[];

  constructor(recovered: Recovered<TestProtocol>, base: Snapshot | undefined) {
    this.recovered = [...recovered.records].map((record) => record.text);
    this.base = base;
    this.appliedTo = base?.index ?? 0;
  }

  wake(now: Now, out: Outbox<TestProtocol>): void {
    this.heard.push(`wake ${now.monotonic}`);
    this.deadline = (now.monotonic + 1000) as Micros;
    this.onWake(out, now);
  }
  receive(
    _from: AgentId | string,
    message: { readonly text: string },
    _now: Now,
    out: Outbox<TestProtocol>,
  ): void {
    this.heard.push(`receive ${message.text}`);
    this.onReceive(message.text, out);
  }
  durable(through: RecordNumber, _now: Now, out: Outbox<TestProtocol>): void {
    this.heard.push(`durable ${through}`);
    if (this.#installing !== undefined) out.events.push({ kind: "restore", snapshot: this.#installing });
    this.#installing = undefined;
    this.onDurable(through, out);
  }
  checked(): void {}
  linkChanged(id: AgentId, up: boolean): void {
    this.heard.push(`link ${id} ${up ? "up" : "down"}`);
  }
  checkInvariants(): void {}
  propose(
    commands: readonly Uint8Array[],
    _now: Now,
    out: Outbox<TestProtocol>,
  ): { kind: "accepted"; count: number } | Refusal {
    this.heard.push(`propose ${commands.length}`);
    return this.onPropose(commands, out);
  }
  campaign(): void {
    this.heard.push("campaign");
  }
  status(): LogStatus {
    const zero = logIndex(0);
    return {
      role: "follower",
      term: term(0),
      leader: undefined,
      base: this.base?.index ?? zero,
      first: logIndex((this.base?.index ?? 0) + 1),
      last: zero,
      durable: zero,
      committed: zero,
      applied: this.base?.index ?? zero,
      hibernating: false,
      leaseEnds: undefined,
      electionPriority: 50,
      members: this.members,
      peers: [],
      successor: undefined,
      ...this.standing,
    };
  }
  read(now: Now, out: Outbox<TestProtocol>): { kind: "ticket"; ticket: Ticket } | Refusal {
    this.heard.push("read");
    this.readAt = now.monotonic;
    return this.onRead(out);
  }
  hibernation: Hibernation | undefined;
  changeMembers(change: MemberChange, _now: Now, out: Outbox<TestProtocol>): OrderResult {
    this.heard.push(change.steps.map(({ kind, id }) => `${kind} ${id}`).join(", "));
    return this.onOrder(out);
  }
  transferLeadership(to: AgentId | undefined, _now: Now, out: Outbox<TestProtocol>): OrderResult {
    this.heard.push(`transfer to ${to ?? "anybody"}`);
    return this.onOrder(out);
  }
  applied(through: LogIndex, digest: Uint8Array | undefined, _now: Now, out: Outbox<TestProtocol>): void {
    this.heard.push(`applied ${through}${digest === undefined ? "" : " with digest"}`);
    this.appliedTo = through;
    this.onApplied(through, out);
  }
  loaded(_ticket: Ticket, run: Run | undefined): void {
    this.onLoaded(run);
  }
  recordOf(index: LogIndex): RecordNumber | undefined {
    return this.recordOfIndex.get(index) as RecordNumber | undefined;
  }
  anchor(): Uint8Array {
    return encodeText(`anchor of ${this.appliedTo}`);
  }
  snapshotTaken(snapshot: Snapshot, _now: Now, out: Outbox<TestProtocol>): void {
    this.heard.push(`taken ${snapshot.index}`);
    this.onTaken(snapshot, out);
  }
  snapshotArrived(from: AgentId, snapshot: Snapshot, _now: Now, out: Outbox<TestProtocol>): void {
    this.heard.push(`arrived ${snapshot.index} from ${from}`);
    this.onArrived(snapshot, out);
  }
  snapshotSent(to: AgentId, index: LogIndex, outcome: "stored" | "failed"): void {
    this.heard.push(`sent ${index} to ${to}: ${outcome}`);
  }
}

class TestJournal implements DriverJournal {
  diskFull = false;
  damaged = false;
  readonly records: Uint8Array[] = [];
  readonly released: number[] = [];
  flushes = 0;
  closed = false;
  readonly callbacks: JournalCallbacks;

  constructor(callbacks: JournalCallbacks) {
    this.callbacks = callbacks;
  }
  recover() {
    return { records: [...this.records], next: recordNumber(this.records.length + 1), damaged: this.damaged };
  }
  append(_group: GroupName, record: Encoded): RecordNumber {
    this.records.push(concatBytes([record.head, ...record.tail]));
    return recordNumber(this.records.length);
  }
  flush(): void {
    this.flushes += 1;
  }
  *read(_group: GroupName, from: RecordNumber) {
    for (let at: number = from; at <= this.records.length; at++)
      yield { number: recordNumber(at), bytes: this.records[at - 1]! };
  }
  restart(): void {
    this.damaged = false;
    this.records.length = 0;
  }
  release(_group: GroupName, neededFrom: RecordNumber): void {
    this.released.push(neededFrom);
  }
  close(done: () => void): void {
    this.closed = true;
    done();
  }
}

class TestState implements AppliedState {
  readonly log: number[] = [];
  /** Entries that the test wants to have had no effect. */
  readonly withoutEffect = new Set<number>();
  apply(bytes: Uint8Array, offset: number): Uint8Array {
    this.log.push(entryIndex(bytes, offset));
    return emptyBytes;
  }
  query(question: Uint8Array): Uint8Array {
    return Uint8Array.of(question[0] ?? 0, this.log.length);
  }
  tookEffect(index: number): boolean {
    return !this.withoutEffect.has(index);
  }
  changes() {
    return { kind: "changes", changes: [], through: this.log.length } as const;
  }
  digest(): Uint8Array {
    const digest = new Uint8Array(16);
    writeUint53(digest, 0, this.applied);
    return digest;
  }
  get applied(): number {
    return this.log.at(-1) ?? 0;
  }
  /** What a snapshot of it holds, besides the index: as much as a test wants. */
  contents: Uint8Array = new Uint8Array(20).fill(7);
  snapshot(): Iterable<Uint8Array> {
    const head = new Uint8Array(8);
    writeUint53(head, 0, this.applied);
    return [head, this.contents];
  }
  /** Set by a test: so many steps come before the last. */
  restoreSteps = 0;
  *restoring(pieces: Iterable<Uint8Array>, expected: Pick<Snapshot, "index" | "digest">): Steps<void> {
    const bytes = concatBytes([...pieces]);
    for (let step = 0; step < this.restoreSteps; step++) yield;
    if (readUint53(bytes, 0) !== expected.index) throw new MalformedError("a snapshot of another index");
    this.log.push(expected.index);
    this.contents = bytes.slice(8);
  }
}

/** A disk in memory that outlives its world, and answers in whichever uses it now. */
export class WorldDisk extends MemoryDisk {
  queue: (() => void)[] = [];

  constructor() {
    super({ soon: (task) => this.queue.push(task) });
  }
}

export interface WorldOptions {
  readonly self?: AgentId;
  readonly prepare?: (journal: TestJournal) => void;
  /** Outlives the world: what one leaves there the next one finds. */
  readonly snapshots?: Disk;
  readonly base?: Snapshot | undefined;
  /** Of the snapshots that are taken here. */
  readonly pieceBytes?: number;
  readonly snapshotLogBytes?: number;
}

interface Timer {
  readonly at: number;
  readonly task: () => void;
  cancelled: boolean;
}

/** A world of one agent: time stands still and nothing runs, unless a test says so. */
export class World {
  time = 0;
  readonly soon: (() => void)[] = [];
  readonly timers: Timer[] = [];
  readonly sent: string[] = [];
  /** Of the wire, as the network knows it. */
  readonly versions = new Map<AgentId, WireVersion>();
  /** The drivers' own messages. */
  readonly transfers: { readonly to: AgentId; readonly message: TransferMessage }[] = [];
  readonly failures: Error[] = [];
  readonly told: string[] = [];
  flushes = 0;
  journal!: TestJournal;
  core!: ScriptedCore;
  state = new TestState();
  readonly snapshots: Disk;
  readonly driver: Driver;
  group!: HostedGroup;

  readonly #options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    const soon = (task: () => void): unknown => this.soon.push(task);
    this.snapshots = options.snapshots ?? new WorldDisk();
    if (this.snapshots instanceof WorldDisk) this.snapshots.queue = this.soon;
    this.driver = new Driver({
      self: options.self ?? self,
      clock: { monotonic: () => this.time as Micros, wall: () => (this.time + 1e15) as Micros },
      scheduler: {
        soon: (task) => this.soon.push(task),
        at: (at, task) => {
          const timer = { at, task, cancelled: false };
          this.timers.push(timer);
          return () => {
            timer.cancelled = true;
          };
        },
      },
      network: {
        send: (to, _group, _channel, message) => {
          if (isTransfer(message)) this.transfers.push({ to: to as AgentId, message });
          else this.sent.push(`${to}: ${(message as { text: string }).text}`);
        },
        pulse: (to) => this.sent.push(`${to}: pulse`),
        versionOf: (agent) => this.versions.get(agent),
        flush: () => {
          this.flushes += 1;
        },
      },
      journal: (callbacks) => {
        this.journal = new TestJournal(callbacks);
        options.prepare?.(this.journal);
        return this.journal;
      },
      snapshots: (callbacks) =>
        new SnapshotStore({
          disk: this.snapshots,
          checksum: crc32,
          schedule: soon,
          pieceBytes: options.pieceBytes ?? 10,
          ...callbacks,
        }),
      onFailure: (error) => this.failures.push(error),
    });
  }

  host(): this {
    this.group = this.driver.host(this.hosting);
    return this;
  }

  get hosting(): HostOptions<TestProtocol> {
    return {
      name: main,
      mechanism: "scripted",
      codec,
      create: (recovered) => (this.core = new ScriptedCore(recovered, this.#options.base)),
      state: this.state,
      snapshotLogBytes: this.#options.snapshotLogBytes,
      observer: {
        applied: (bytes, offset) => this.told.push(`applied ${entryIndex(bytes, offset)}`),
        refused: (session, sequence, refusal) =>
          this.told.push(`refused ${session}/${sequence} ${refusal.kind}`),
        progressed: (session, sequence, state) => this.told.push(`${state} ${session}/${sequence}`),
        statusChanged: () => this.told.push(`status ${this.group.role} ${this.group.leader ?? "-"}`),
        membersChanged: ({ voters }) => this.told.push(`members ${voters.join(" ")}`),
        restored: (index) => this.told.push(`restored ${index}`),
        snapshotNews: (news) => {
          const index = "index" in news ? news.index : news.snapshot.index;
          const here = news.kind === "receiving" ? ` with ${news.bytesHere}` : "";
          this.told.push(`${news.kind} ${index}${here}`);
        },
        failed: (error) => this.told.push(`failed ${error.code}`),
        diverged: (index) => this.told.push(`diverged ${index}`),
      },
    };
  }

  /** What `soon` was asked for; new requests wait for the next call. */
  turn(): void {
    for (const task of this.soon.splice(0)) task();
  }

  settle(): void {
    for (let rounds = 0; this.soon.length > 0; rounds++) {
      assert(rounds < 1000, "the world comes to rest");
      this.turn();
    }
  }

  advance(to: number): void {
    this.time = to;
    for (const timer of this.timers.splice(0)) {
      if (timer.cancelled) continue;
      if (timer.at <= to) timer.task();
      else this.timers.push(timer);
    }
    this.settle();
  }

  say(text: string): void {
    this.driver.receive(peer, main, { kind: "hello", text });
  }

  /** Entries up to this one are decided and applied. */
  apply(through: number, payload = 8): void {
    const { onReceive } = this.core;
    this.core.onReceive = (_, out) =>
      out.commits.push({ run: runOf(this.group.applied + 1, through, 1, payload), digestAfter: false });
    this.say("commit");
    this.settle();
    this.core.onReceive = onReceive;
  }

  /** What the core wants for a peer: that snapshot. */
  transfer(to: AgentId, index: number): void {
    this.core.onReceive = (_, out) => out.transfers.push({ to, index: logIndex(index) });
    this.say("transfer");
    this.settle();
    this.core.onReceive = () => {};
  }

  /** All that was pushed is on the disk. */
  sync(): void {
    this.synced();
    this.settle();
  }

  /** The same, and no turn has begun yet. */
  synced(): void {
    this.journal.callbacks.onDurable(main, recordNumber(this.journal.records.length));
  }

  /** A peer whose snapshot is on that disk sends all of it, and this agent's disk takes it. */
  arrive(from: World, index: number): void {
    const found = new SnapshotStore({
      disk: from.snapshots,
      checksum: crc32,
      schedule: () => {},
      onFailure: () => {},
    }).read(main, logIndex(index));
    assert(found.kind === "found", "the peer has it");
    const { reader } = found;
    const { group: _, ...snapshot } = reader.snapshot;
    const { contents } = snapshot;
    this.hear({ kind: "snapshotOffer", snapshot });
    for (let asks = this.said(); asks.length > 0; asks = this.said()) {
      for (const ask of asks) {
        if (ask.kind !== "snapshotAsk") continue;
        for (let number = ask.first; number < ask.first + ask.count; number++) {
          const piece = present(reader.piece(number), "the peer's is whole");
          this.hear({ kind: "snapshotPiece", index: snapshot.index, contents, number, ...piece });
        }
      }
    }
  }

  /** A message of a peer's driver. */
  hear(message: TransferMessage, from: AgentId = peer): void {
    this.driver.receive(from, main, message);
    this.settle();
  }

  /** The drivers' messages since the last look. */
  said(): TransferMessage[] {
    return this.transfers.splice(0).map(({ message }) => message);
  }

  files(): string[] {
    return this.snapshots.list().toSorted();
  }
}

export function command(sequence: number, bytes = 8): Uint8Array {
  return encodeCommand({ kind: "command", session: 7, sequence, unsettled: 1 }, new Uint8Array(bytes));
}

export function runOf(first: number, last: number, inTerm = 1, payload = 8): Run {
  const entries: Uint8Array[] = [];
  for (let index = first; index <= last; index++) {
    const bytes = command(index, payload);
    stampEntry(bytes, 0, logIndex(index), term(inTerm), 0);
    entries.push(bytes);
  }
  return { first: logIndex(first), last: logIndex(last), bytes: concatBytes(entries) };
}

export const promise = (text: string) =>
  ({ to: peer, channel: "stream", message: { kind: "promise", text } }) as const;
export const hello = (text: string) =>
  ({ to: peer, channel: "urgent", message: { kind: "hello", text } }) as const;
