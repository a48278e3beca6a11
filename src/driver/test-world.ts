/**
 * A world of one agent, for this folder's tests: the driver against a scripted core, a journal in memory, and a scheduler
 * that runs only when told to. Each test sets up one moment and looks at what left, in which order.
 */
import { assert } from "../core/assert.ts";
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
} from "../core/boundary.ts";
import { concatBytes, emptyBytes } from "../core/bytes.ts";
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
import { membersOf, type MemberChange } from "../core/members.ts";
import type { WireVersion } from "../core/wire-version.ts";
import { Driver } from "./driver.ts";
import type { AppliedState, HostedGroup, LogEvent } from "./hosted.ts";
import type { OrderResult } from "./orders.ts";
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
  readonly recovered: string[];

  constructor(recovered: Recovered<TestProtocol>) {
    this.recovered = [...recovered.records].map((record) => record.text);
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
      base: zero,
      first: logIndex(1),
      last: zero,
      durable: zero,
      committed: zero,
      applied: zero,
      hibernating: false,
      members: membersOf([self]),
      peers: [],
      successor: undefined,
      ...this.standing,
    };
  }
  read(_now: Now, out: Outbox<TestProtocol>): { kind: "ticket"; ticket: Ticket } | Refusal {
    this.heard.push("read");
    return this.onRead(out);
  }
  readonly base: undefined;
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
    this.onApplied(through, out);
  }
  loaded(_ticket: Ticket, run: Run | undefined): void {
    this.onLoaded(run);
  }
  recordOf(index: LogIndex): RecordNumber | undefined {
    return this.recordOfIndex.get(index) as RecordNumber | undefined;
  }
  anchor(): Uint8Array {
    return emptyBytes;
  }
  snapshotTaken(): void {}
  snapshotArrived(): void {}
  snapshotSent(): void {}
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
    return new Uint8Array(16);
  }
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
  readonly failures: Error[] = [];
  readonly told: string[] = [];
  flushes = 0;
  journal!: TestJournal;
  core!: ScriptedCore;
  state = new TestState();
  readonly driver: Driver;
  group!: HostedGroup;

  constructor(prepare: (journal: TestJournal) => void = () => {}) {
    this.driver = new Driver({
      self,
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
        send: (to, _group, _channel, message) =>
          this.sent.push(`${to}: ${(message as { text: string }).text}`),
        versionOf: (agent) => this.versions.get(agent),
        flush: () => {
          this.flushes += 1;
        },
      },
      journal: (callbacks) => {
        this.journal = new TestJournal(callbacks);
        prepare(this.journal);
        return this.journal;
      },
      onFailure: (error) => this.failures.push(error),
    });
  }

  host(): this {
    this.group = this.driver.host<TestProtocol>({
      name: main,
      mechanism: "scripted",
      codec,
      create: (recovered) => (this.core = new ScriptedCore(recovered)),
      state: this.state,
      observer: {
        applied: (bytes, offset) => this.told.push(`applied ${entryIndex(bytes, offset)}`),
        refused: (session, sequence, refusal) =>
          this.told.push(`refused ${session}/${sequence} ${refusal.kind}`),
        progressed: (session, sequence, state) => this.told.push(`${state} ${session}/${sequence}`),
        statusChanged: () => this.told.push(`status ${this.group.role} ${this.group.leader ?? "-"}`),
        membersChanged: ({ voters }) => this.told.push(`members ${voters.join(" ")}`),
        diverged: (index) => this.told.push(`diverged ${index}`),
      },
    });
    return this;
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
