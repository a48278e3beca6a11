/**
 * The driver against a scripted core, a journal in memory, and a scheduler that runs only when told to: each test sets
 * up one moment and looks at what left, in which order.
 */
import { describe, expect, it } from "vitest";
import type {
  Encoded,
  LogCore,
  LogStatus,
  Now,
  Outbox,
  ProtocolCodec,
  Recovered,
  Refusal,
} from "../core/boundary.ts";
import { concatBytes, emptyBytes } from "../core/bytes.ts";
import {
  encodeCommand,
  entryIndex,
  entryLength,
  entrySequence,
  stampEntry,
  type Run,
} from "../core/entry.ts";
import {
  agentId,
  groupName,
  logIndex,
  never,
  recordNumber,
  term,
  type AgentId,
  type GroupName,
  type LogIndex,
  type Micros,
  type RecordNumber,
  type Ticket,
} from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { Driver } from "./driver.ts";
import type { AppliedState, HostedGroup, LogEvent, QueryAnswer } from "./hosted.ts";
import type { DriverJournal, JournalCallbacks } from "./world.ts";

const self = agentId("a");
const peer = agentId("b");
const main = groupName("main");

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
  durable(through: RecordNumber): void {
    this.heard.push(`durable ${through}`);
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
      last: zero,
      durable: zero,
      committed: zero,
      applied: zero,
      members: { voters: [self], outgoing: [], learners: [] },
      peers: [],
    };
  }
  read(_now: Now, out: Outbox<TestProtocol>): { kind: "ticket"; ticket: Ticket } | Refusal {
    this.heard.push("read");
    return this.onRead(out);
  }
  changeMembers(): Refusal {
    return { kind: "notLeader" };
  }
  transferLeadership(): Refusal {
    return { kind: "notLeader" };
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
  apply(bytes: Uint8Array, offset: number): Uint8Array {
    this.log.push(entryIndex(bytes, offset));
    return emptyBytes;
  }
  query(question: Uint8Array): Uint8Array {
    return Uint8Array.of(question[0] ?? 0, this.log.length);
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
class World {
  time = 0;
  readonly soon: (() => void)[] = [];
  readonly timers: Timer[] = [];
  readonly sent: string[] = [];
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
        statusChanged: () => this.told.push(`status ${this.group.role} ${this.group.leader ?? "-"}`),
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
      expect(rounds).toBeLessThan(1000);
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

function command(sequence: number, bytes = 8): Uint8Array {
  return encodeCommand({ kind: "command", session: 7, sequence, unsettled: 1 }, new Uint8Array(bytes));
}

function runOf(first: number, last: number, inTerm = 1, payload = 8): Run {
  const entries: Uint8Array[] = [];
  for (let index = first; index <= last; index++) {
    const bytes = command(index, payload);
    stampEntry(bytes, 0, logIndex(index), term(inTerm), 0);
    entries.push(bytes);
  }
  return { first: logIndex(first), last: logIndex(last), bytes: concatBytes(entries) };
}

const promise = (text: string) =>
  ({ to: peer, channel: "stream", message: { kind: "promise", text } }) as const;
const hello = (text: string) => ({ to: peer, channel: "urgent", message: { kind: "hello", text } }) as const;

describe("a turn", () => {
  it("D1: inputs never run inside the call that brings them; one turn takes all that wait, in order", () => {
    const world = new World().host();
    world.settle();
    world.say("one");
    world.say("two");
    world.driver.linkChanged(peer, false);
    expect(world.core.heard).toEqual([]);
    expect(world.soon).toHaveLength(1);
    world.turn();
    expect(world.core.heard).toEqual(["receive one", "receive two", "link b down"]);
    expect(world.soon).toHaveLength(0);
  });

  it("D2: a turn of many inputs ends in one flush of the journal, then one of the network", () => {
    const world = new World().host();
    world.settle();
    const before = { journal: world.journal.flushes, network: world.flushes };
    world.core.onReceive = (text, out) => {
      out.records.push({ text });
      out.sends.push(hello(text));
    };
    for (const text of ["1", "2", "3"]) world.say(text);
    world.turn();
    expect(world.journal.records).toHaveLength(3);
    expect(world.sent).toEqual(["b: 1", "b: 2", "b: 3"]);
    expect(world.journal.flushes).toBe(before.journal + 1);
    expect(world.flushes).toBe(before.network + 1);
  });

  it("D1: takes no more inputs than its limit, and the rest in the next turn", () => {
    const world = new World().host();
    world.settle();
    for (let count = 0; count < limits.inputsPerTurnMax + 2; count++) world.say("x");
    world.turn();
    expect(world.core.heard).toHaveLength(limits.inputsPerTurnMax);
    world.turn();
    expect(world.core.heard).toHaveLength(limits.inputsPerTurnMax + 2);
  });

  it("D1: what an observer asks for within a turn waits for the next turn", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) =>
      out.events.push({ kind: "role", role: "leader", term: term(1), leader: self });
    world.say("elected");
    world.turn();
    world.group.propose([command(1)], { onlyAsLeader: true });
    expect(world.core.heard).toEqual(["receive elected"]);
    world.turn();
    expect(world.core.heard).toEqual(["receive elected", "propose 1"]);
  });

  it("drops a message for a group that is not hosted here", () => {
    const world = new World().host();
    world.settle();
    world.driver.receive(peer, groupName("other"), { kind: "hello", text: "?" });
    expect(world.soon).toHaveLength(0);
  });
});

describe("promises", () => {
  it("D3: leave only once every record pushed before them is durable, in order; messages leave at once", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => {
      out.records.push({ text });
      out.sendsOnceDurable.push(promise(`promise ${text}`));
      out.sends.push(hello(`message ${text}`));
    };
    world.say("1");
    world.say("2");
    world.turn();
    expect(world.sent).toEqual(["b: message 1", "b: message 2"]);
    world.journal.callbacks.onDurable(main, recordNumber(1));
    world.turn();
    expect(world.sent.slice(2)).toEqual(["b: promise 1"]);
    world.journal.callbacks.onDurable(main, recordNumber(2));
    world.turn();
    expect(world.sent.slice(3)).toEqual(["b: promise 2"]);
  });

  it("D3: a promise without a record of its own still waits for those in flight", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => {
      if (text === "record") out.records.push({ text });
      out.sendsOnceDurable.push(promise(text));
    };
    world.say("record");
    world.say("repeated");
    world.turn();
    expect(world.sent).toEqual([]);
    world.journal.callbacks.onDurable(main, recordNumber(1));
    world.turn();
    expect(world.sent).toEqual(["b: record", "b: repeated"]);
  });

  it("D3: a promise leaves at once where nothing is outstanding", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => out.sendsOnceDurable.push(promise(text));
    world.say("no");
    world.turn();
    expect(world.sent).toEqual(["b: no"]);
  });

  it("D4: promises leave before the core learns what is durable, and it learns it once", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => {
      out.records.push({ text });
      out.sendsOnceDurable.push(promise(text));
    };
    world.say("1");
    world.turn();
    const { callbacks } = world.journal;
    callbacks.onDurable(main, recordNumber(1));
    expect(world.core.heard).toEqual(["receive 1"]);
    world.turn();
    world.turn();
    expect(world.core.heard).toEqual(["receive 1", "durable 1"]);
  });

  it("D3: what was recovered is durable, so a promise about it waits for nothing", () => {
    const world = new World((journal) => {
      journal.records.push(new TextEncoder().encode("old"));
    }).host();
    expect(world.core.recovered).toEqual(["old"]);
    world.settle();
    world.core.onReceive = (text, out) => out.sendsOnceDurable.push(promise(text));
    world.say("kept");
    world.turn();
    expect(world.sent).toEqual(["b: kept"]);
  });
});

describe("time", () => {
  it("D5: a core is woken at its deadline, not before, and again at the next", () => {
    const world = new World().host();
    world.settle();
    world.advance(999);
    expect(world.core.heard).toEqual([]);
    world.advance(1000);
    expect(world.core.heard).toEqual(["wake 1000"]);
    world.advance(2000);
    expect(world.core.heard).toEqual(["wake 1000", "wake 2000"]);
  });

  it("D6: a loop that stalled wakes its core late and once, with the true time, before the messages that waited", () => {
    const world = new World().host();
    world.settle();
    world.say("waited as long");
    world.time = 9000;
    world.turn();
    expect(world.core.heard).toEqual(["wake 9000", "receive waited as long"]);
    world.advance(9000);
    expect(world.core.heard).toHaveLength(2);
  });

  it("D5: a deadline that moves later leaves the timer alone; it fires early and is armed anew", () => {
    const world = new World().host();
    world.settle();
    expect(world.timers).toHaveLength(1);
    world.core.onReceive = () => {
      world.core.deadline = 5000 as Micros;
    };
    world.say("heartbeat");
    world.settle();
    expect(world.timers.filter((timer) => !timer.cancelled).map((timer) => timer.at)).toEqual([1000]);
    world.advance(1000);
    expect(world.core.heard).toEqual(["receive heartbeat"]);
    expect(world.timers.filter((timer) => !timer.cancelled).map((timer) => timer.at)).toEqual([5000]);
    world.advance(5000);
    expect(world.core.heard).toEqual(["receive heartbeat", "wake 5000"]);
  });

  it("D5: a deadline that moves earlier moves the timer", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = () => {
      world.core.deadline = 10 as Micros;
    };
    world.say("sooner");
    world.settle();
    expect(world.timers.filter((timer) => !timer.cancelled).map((timer) => timer.at)).toEqual([10]);
  });

  it("D5: a core without a deadline has no timer", () => {
    const world = new World().host();
    world.core.deadline = never;
    world.settle();
    world.advance(1e9);
    expect(world.core.heard.filter((line) => line.startsWith("wake"))).toEqual([]);
  });
});

describe("proposals", () => {
  it("D7: all commands that wait are proposed in one call, in order", () => {
    const world = new World().host();
    world.settle();
    const sequences: number[] = [];
    world.core.onPropose = (commands) => {
      for (const each of commands) sequences.push(entrySequence(each, 0));
      return { kind: "accepted", count: commands.length };
    };
    for (let sequence = 1; sequence <= 10; sequence++)
      world.group.propose([command(sequence)], { onlyAsLeader: false });
    world.turn();
    expect(world.core.heard).toEqual(["propose 10"]);
    expect(sequences).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("D7: more commands than a batch may hold go in several calls, by count and by bytes", () => {
    const world = new World().host();
    world.settle();
    world.group.propose(
      Array.from({ length: limits.batchEntriesMax + 1 }, (_, at) => command(at)),
      { onlyAsLeader: false },
    );
    world.turn();
    expect(world.core.heard).toEqual([`propose ${limits.batchEntriesMax}`, "propose 1"]);
    const half = limits.batchBytesMax / 2;
    world.group.propose([command(1, half), command(2, half), command(3, 10)], { onlyAsLeader: false });
    world.turn();
    expect(world.core.heard.slice(2)).toEqual(["propose 1", "propose 2"]);
  });

  it("D8: a batch that is refused is refused command by command; a part that was accepted is not", () => {
    const world = new World().host();
    world.settle();
    let room = 2;
    world.core.onPropose = (commands) => {
      if (room === 0) return { kind: "overloaded", inFlight: 2, inFlightMax: 2 };
      const count = Math.min(room, commands.length);
      room -= count;
      return { kind: "accepted", count };
    };
    world.group.propose([command(1), command(2), command(3), command(4)], { onlyAsLeader: false });
    world.turn();
    expect(world.told).toEqual(["refused 7/3 overloaded", "refused 7/4 overloaded"]);
  });

  it("D8: a follower refuses what is for the leader only, and forwards the rest", () => {
    const world = new World().host();
    world.settle();
    world.group.propose([command(1)], { onlyAsLeader: true });
    world.group.propose([command(2)], { onlyAsLeader: false });
    world.turn();
    expect(world.told).toEqual(["refused 7/1 notLeader"]);
    expect(world.core.heard).toEqual(["propose 1"]);
  });

  it("D8: nothing is proposed while the disk is full", () => {
    const world = new World().host();
    world.settle();
    world.journal.diskFull = true;
    world.group.propose([command(1)], { onlyAsLeader: false });
    world.turn();
    expect(world.told).toEqual(["refused 7/1 diskFull"]);
    expect(world.core.heard).toEqual([]);
  });

  it("passes on the fate of a forwarded command", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) =>
      out.events.push({
        kind: "refused",
        commands: [
          { session: 7, sequence: 9 },
          { session: 8, sequence: 1 },
        ],
        refusal: { kind: "overloaded", inFlight: 1, inFlightMax: 1 },
      });
    world.say("forwardRefused");
    world.turn();
    expect(world.told).toEqual(["refused 7/9 overloaded", "refused 8/1 overloaded"]);
  });
});

describe("commits", () => {
  it("D9: are applied in order, told to the observer, and then to the core, with the digest where it asks", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) => {
      out.commits.push({ run: runOf(1, 2), digestAfter: false });
      out.commits.push({ run: runOf(3, 3), digestAfter: true });
    };
    world.say("commit");
    world.turn();
    expect(world.told).toEqual(["applied 1", "applied 2", "applied 3"]);
    expect(world.core.heard).toEqual(["receive commit", "applied 2", "applied 3 with digest"]);
    expect(world.group.applied).toBe(3);
  });

  it("D9: a long backlog is applied in slices, with the loop free between them", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 5000), digestAfter: true });
    world.say("backlog");
    world.turn();
    expect(world.state.log).toHaveLength(4096);
    expect(world.core.heard.at(-1)).toBe("applied 4096");
    world.turn();
    expect(world.state.log).toHaveLength(5000);
    expect(world.core.heard.at(-1)).toBe("applied 5000 with digest");
  });

  it("D9: what the core commits while it hears of progress is applied too", () => {
    const world = new World().host();
    world.settle();
    world.core.onApplied = (through, out) => {
      if (through < 5) out.commits.push({ run: runOf(through + 1, through + 1), digestAfter: false });
    };
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 1), digestAfter: false });
    world.say("first");
    world.turn();
    expect(world.state.log).toEqual([1, 2, 3, 4, 5]);
  });

  it("D9: a gap between commits is a bug, and ends the agent", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(2, 2), digestAfter: false });
    world.say("gap");
    world.turn();
    expect(world.failures.map((error) => error.name)).toEqual(["AssertionError"]);
    expect(world.state.log).toEqual([]);
  });
});

describe("queries", () => {
  const ask = (world: World, at: "linearizable" | "local", answers: QueryAnswer[]) =>
    world.group.query(Uint8Array.of(42), at, (answer) => answers.push(answer));

  it("D10: a local one is answered in the next turn, from the state as applied", () => {
    const world = new World().host();
    world.settle();
    const answers: QueryAnswer[] = [];
    ask(world, "local", answers);
    expect(answers).toEqual([]);
    world.turn();
    expect(answers).toEqual([{ kind: "reply", bytes: Uint8Array.of(42, 0) }]);
  });

  it("D10: one ticket stands for all of a turn; they are answered when the core says so, and not before", () => {
    const world = new World().host();
    world.settle();
    world.core.onRead = () => ({ kind: "ticket", ticket: 5 as Ticket });
    const answers: QueryAnswer[] = [];
    ask(world, "linearizable", answers);
    ask(world, "linearizable", answers);
    world.turn();
    ask(world, "linearizable", answers);
    world.turn();
    expect(world.core.heard).toEqual(["read", "read"]);
    expect(answers).toEqual([]);
    world.core.onReceive = (_, out) => out.events.push({ kind: "readable", ticket: 5 as Ticket });
    world.say("confirmed");
    world.turn();
    expect(answers).toHaveLength(3);
  });

  it("D10: a core that finds it readable within the call is heard too", () => {
    const world = new World().host();
    world.settle();
    world.core.onRead = (out) => {
      out.events.push({ kind: "readable", ticket: 1 as Ticket });
      return { kind: "ticket", ticket: 1 as Ticket };
    };
    const answers: QueryAnswer[] = [];
    ask(world, "linearizable", answers);
    world.turn();
    expect(answers).toHaveLength(1);
  });

  it("D10: refusals reach the caller: at once, later, or because the group closes", () => {
    const world = new World().host();
    world.settle();
    const answers: QueryAnswer[] = [];
    ask(world, "linearizable", answers);
    world.turn();
    expect(answers).toEqual([{ kind: "refused", refusal: { kind: "notLeader" } }]);
    world.core.onRead = () => ({ kind: "ticket", ticket: 2 as Ticket });
    ask(world, "linearizable", answers);
    world.turn();
    world.core.onReceive = (_, out) =>
      out.events.push({
        kind: "readRefused",
        ticket: 2 as Ticket,
        refusal: { kind: "notLeader", leader: peer },
      });
    world.say("stepped down");
    world.turn();
    expect(answers[1]).toEqual({ kind: "refused", refusal: { kind: "notLeader", leader: peer } });
    ask(world, "linearizable", answers);
    ask(world, "local", answers);
    world.group.close();
    ask(world, "local", answers);
    expect(answers).toHaveLength(2);
    world.settle();
    expect(answers.slice(2)).toEqual(
      Array.from({ length: 3 }, () => ({ kind: "refused", refusal: { kind: "closed" } })),
    );
  });
});

describe("entries out of the journal", () => {
  function withRecords(runs: readonly Run[]): World {
    const world = new World((journal) => {
      for (const run of runs) journal.records.push(concatBytes([new TextEncoder().encode("e"), run.bytes]));
    }).host();
    runs.forEach((run, at) => {
      for (let index: number = run.first; index <= run.last; index++)
        world.core.recordOfIndex.set(index, at + 1);
    });
    return world;
  }

  function load(world: World, first: number, bytesMax: number): Run | undefined {
    let loaded: Run | undefined;
    world.core.onLoaded = (run) => {
      loaded = run;
    };
    world.core.onReceive = (_, out) =>
      out.loads.push({ ticket: 1 as Ticket, first: logIndex(first), bytesMax });
    world.say("load");
    world.settle();
    return loaded;
  }

  it("D11: a load gives the entries from the first one asked for, over several records, within its bytes", () => {
    const world = withRecords([runOf(1, 3), runOf(4, 6), runOf(7, 9)]);
    const entryBytes = command(1).byteLength;
    const run = load(world, 2, entryBytes * 4);
    expect([run?.first, run?.last]).toEqual([2, 5]);
    expect(run?.bytes.byteLength).toBe(entryBytes * 4);
    expect(load(world, 9, 1)?.last).toBe(9);
    expect(load(world, 10, 1)).toBeUndefined();
  });

  it("D11: a later record replaces what it overlaps, even where enough was read before it", () => {
    const world = withRecords([runOf(1, 5, 1), runOf(3, 4, 2)]);
    world.core.recordOfIndex.delete(5);
    const run = load(world, 1, command(1).byteLength * 3);
    expect([run?.first, run?.last]).toEqual([1, 3]);
    expect(run?.bytes).toEqual(concatBytes([runOf(1, 2, 1).bytes, runOf(3, 3, 2).bytes]));
    expect(load(world, 1, 1e6)?.last).toBe(4);
  });

  it("gives applied entries to those who follow the log: from memory, from the journal, or says that they are gone", () => {
    const world = withRecords([runOf(1, 3)]);
    expect(world.group.entries(logIndex(1), 1e6)).toBeUndefined();
    world.core.onReceive = (_, out) => out.commits.push({ run: runOf(1, 2), digestAfter: false });
    world.say("commit");
    world.settle();
    expect(world.group.entries(logIndex(2), 1e6)).toMatchObject({ first: 2, last: 2 });
    expect(world.group.entries(logIndex(3), 1e6)).toBeUndefined();
  });
});

describe("the journal", () => {
  it("D12: records that are no longer needed are released, once the core says so", () => {
    const world = new World().host();
    world.settle();
    expect(world.journal.released).toEqual([1]);
    world.core.onReceive = () => {
      world.core.neededFrom = recordNumber(4);
    };
    world.say("compacted");
    world.settle();
    expect(world.journal.released).toEqual([1, 4]);
  });

  it("D13: a group whose records are damaged is not hosted", () => {
    const world = new World((journal) => {
      journal.damaged = true;
    });
    expect(() => world.host()).toThrow(expect.objectContaining({ code: "DATA_CORRUPT" }));
  });

  it("D14: a failed write ends the driver: nothing is stepped or sent after it", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (text, out) => out.sends.push(hello(text));
    world.say("too late");
    world.journal.callbacks.onFailure(new Error("EIO"));
    world.settle();
    expect(world.sent).toEqual([]);
    expect(world.failures).toHaveLength(1);
    world.journal.callbacks.onFailure(new Error("EIO"));
    world.advance(1e6);
    expect(world.failures).toHaveLength(1);
    expect(world.core.heard).toEqual([]);
  });

  it("D14: a core that breaks an invariant ends the driver, and what it pushed is not flushed", () => {
    const world = new World().host();
    world.settle();
    const { flushes } = world.journal;
    world.core.onReceive = (_, out) => {
      out.sendsOnceDurable.push(promise("never"));
      throw new Error("broken");
    };
    world.say("break");
    world.settle();
    expect(world.failures.map((error) => error.message)).toEqual(["broken"]);
    expect(world.sent).toEqual([]);
    expect(world.journal.flushes).toBe(flushes);
  });

  it("D14: a core whose deadline does not move on would spin, and ends the driver instead", () => {
    const world = new World().host();
    world.core.onWake = () => {
      world.core.deadline = 0 as Micros;
    };
    world.settle();
    world.advance(1000);
    expect(world.failures.map((error) => error.name)).toEqual(["AssertionError"]);
  });
});

describe("the end", () => {
  it("closes the journal, refuses queries and runs nothing after", () => {
    const world = new World().host();
    world.settle();
    const answers: QueryAnswer[] = [];
    world.group.query(Uint8Array.of(1), "local", (answer) => answers.push(answer));
    let closed = 0;
    world.driver.close(() => (closed += 1));
    world.driver.close(() => (closed += 1));
    world.say("late");
    world.advance(1e6);
    expect(closed).toBe(2);
    expect(world.journal.closed).toBe(true);
    expect(answers).toEqual([{ kind: "refused", refusal: { kind: "closed" } }]);
    expect(world.core.heard).toEqual([]);
  });

  it("tells how a group is, and how long its leader has been silent", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) =>
      out.events.push({ kind: "role", role: "follower", term: term(3), leader: peer });
    world.say("append");
    world.settle();
    expect(world.told).toEqual(["status follower b"]);
    world.core.onReceive = () => {};
    world.core.deadline = 1e6 as Micros;
    world.advance(5000);
    world.driver.receive(agentId("c"), main, { kind: "hello", text: "from another" });
    world.settle();
    expect(world.group.status()).toMatchObject({ mechanism: "scripted", self, lagMs: 5, diskFull: false });
    world.say("from the leader");
    world.settle();
    expect(world.group.status().lagMs).toBe(0);
  });

  it("campaigns by hand, and gives digest and changes of the state", () => {
    const world = new World().host();
    world.group.campaign();
    world.settle();
    expect(world.core.heard).toEqual(["campaign"]);
    expect(world.group.digest()).toHaveLength(16);
    expect(world.group.changes(emptyBytes, 1, 10)).toEqual({ kind: "changes", changes: [], through: 0 });
  });
});
