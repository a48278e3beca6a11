/**
 * A group in memory, for this folder's tests: several cores stepped by hand. A test decides which messages arrive, what
 * becomes durable, who sleeps, and who loses power. It keeps a log of its own from the records that go by, so that what a
 * core says of itself can be checked against what it wrote.
 */
import {
  agentId,
  assert,
  clearOutbox,
  concatBytes,
  createOutbox,
  encodeCommand,
  encodeText,
  membersOf,
  entryLength,
  present,
  Prng,
  stampEntry,
  unknownMembers,
  type AgentId,
  type LogIndex,
  type MemberChange,
  type Members,
  type Micros,
  type Outbox,
  type RecordNumber,
  type Run,
  type Send,
  type Term,
} from "../core/index.ts";
import type { RaftProtocol, RaftRecord } from "./messages.ts";
import type { HibernationOptions, RaftLimits } from "./options.ts";
import { RaftCore } from "./raft.ts";
import { digestOf, entriesOf, TestAgent, type Entry, type Envelope, type Word } from "./test-agent.ts";
import { TestSnapshots } from "./test-snapshots.ts";

export { shown, type Entry, type Envelope, type TestAgent, type Word } from "./test-agent.ts";

export interface ClusterOptions {
  readonly voters?: number;
  readonly learners?: number;
  readonly seed?: number;
  readonly limits?: Partial<RaftLimits>;
  readonly hibernation?: HibernationOptions;
  readonly priorities?: readonly number[];
  /** Which agents read by lease, and pledge; of those that are not named, none. */
  readonly leases?: readonly boolean[] | "all";
}

export const electionTimeoutMs = [150, 300] as const;
export const heartbeatMs = 50;

/** As in "+a4 ~a3 -a2": a4 a voter, a3 a learner, a2 removed. */
export function changeOf(text: string): MemberChange {
  const kinds = { "+": "voter", "~": "learner", "-": "removed" } as const;
  const steps = text.split(" ").map((step) => {
    return { kind: kinds[step[0] as keyof typeof kinds], id: agentId(step.slice(1)) };
  });
  return { steps };
}

export function command(text: string, sequence = 1): Uint8Array {
  return encodeCommand({ kind: "command", session: 7, sequence, unsettled: 0 }, encodeText(text));
}

/** Entries of these terms, as their leaders would have made them: the n-th says `t<term>i<index>`. */
export function runOf(first: number, ...terms: number[]): Run {
  const entries = terms.map((term, position) => {
    const entry = command(`t${term}i${first + position}`);
    stampEntry(entry, 0, (first + position) as LogIndex, term as Term, first + position);
    return entry;
  });
  return {
    first: first as LogIndex,
    last: (first + terms.length - 1) as LogIndex,
    bytes: concatBytes(entries),
  };
}

export class TestCluster {
  readonly members: Members;
  readonly agents: TestAgent[] = [];
  readonly now: { monotonic: Micros; wall: Micros } = {
    monotonic: 1_000_000 as Micros,
    wall: 5_000_000 as Micros,
  };
  readonly prng: Prng;
  readonly limits: Partial<RaftLimits> | undefined;
  readonly hibernation: HibernationOptions | undefined;
  /** Of agent 1, 2, …; those that are not named have the usual one. */
  readonly priorities: readonly number[];
  /** Who reads by lease, and pledges; a restart may find others here. */
  leases: readonly boolean[] | "all";
  /** Messages on their way. */
  wire: Envelope[] = [];
  /** What is done with snapshots. */
  readonly snapshots: TestSnapshots = new TestSnapshots(this);
  /** Pairs `from>to` between which nothing arrives. */
  readonly cut: Set<string> = new Set();
  /** Called with every message that leaves. */
  onSent: (envelope: Envelope) => void = () => {};
  readonly #out: Outbox<RaftProtocol> = createOutbox();

  constructor(options: ClusterOptions = {}) {
    const { voters = 3, learners = 0, seed = 1, limits, hibernation } = options;
    const { priorities = [], leases = [] } = options;
    const names = Array.from({ length: voters + learners }, (_, position) => agentId(`a${position + 1}`));
    this.members = membersOf(names.slice(0, voters), names.slice(voters));
    this.prng = new Prng(seed);
    this.limits = limits;
    this.hibernation = hibernation;
    this.priorities = priorities;
    this.leases = leases;
    for (const id of names) this.#add(id, this.members);
  }

  #add(id: AgentId, founding: Members): TestAgent {
    const agent = new TestAgent(id, founding, this.#core(id, founding, [], 1));
    this.agents.push(agent);
    return agent;
  }

  #core(self: AgentId, members: Members, records: readonly RaftRecord[], next: number): RaftCore {
    return new RaftCore(
      {
        self,
        members,
        prng: this.prng.fork(),
        electionTimeoutMs,
        heartbeatMs,
        hibernation: this.hibernation,
        priority: this.priorities[Number(self.slice(1)) - 1],
        leaseReads: this.leases === "all" || this.leases[Number(self.slice(1)) - 1],
        ...(this.limits === undefined ? {} : { limits: this.limits }),
      },
      { records, next: next as RecordNumber },
    );
  }

  /** By number, from 1: agent 1 is "a1". */
  agent(number: number): TestAgent {
    return present(this.agents[number - 1], "a cluster has that agent");
  }

  find(id: AgentId): TestAgent {
    return present(
      this.agents.find((agent) => agent.id === id),
      "a cluster has that agent",
    );
  }

  get leader(): TestAgent | undefined {
    return this.agents.findLast((agent) => agent.running && agent.core.role === "leader");
  }

  // ── single steps ──

  /** One input to one core, and what comes of it. */
  step<T>(agent: TestAgent, input: (core: RaftCore, out: Outbox<RaftProtocol>) => T): T {
    assert(!agent.down, "an agent without power takes no input");
    const result = input(agent.core, this.#out);
    this.#drain(agent);
    agent.core.checkInvariants();
    return result;
  }

  #drain(agent: TestAgent): void {
    const out = this.#out;
    for (const send of out.sends.toArray()) this.#send(agent.id, send);
    agent.write(out.records.toArray());
    for (const send of out.sendsOnceDurable.toArray()) {
      agent.promises.push({ after: agent.records.length, envelope: envelope(agent.id, send) });
    }
    assert(out.commits.count === 0 || agent.restoring === undefined, "R33: nothing comes before the state");
    agent.commits.push(...out.commits.toArray());
    agent.loads.push(...out.loads.toArray());
    agent.transfers.push(...out.transfers.toArray());
    for (const event of out.events.toArray()) {
      agent.events.push(event);
      if (event.kind !== "restore") continue;
      agent.restoring = event.snapshot;
      agent.commits = [];
    }
    clearOutbox(out);
    this.#noteNeeded(agent);
    this.#release(agent);
  }

  #noteNeeded(agent: TestAgent): void {
    const { neededFrom } = agent.core;
    const before = agent.needed.at(-1) ?? 1;
    if (neededFrom === before) return;
    assert(neededFrom > before, "R31: what recovery no longer needed it never needs again");
    assert(neededFrom <= agent.durable + 1, "R31: only durable records take the place of others");
    agent.needed.push(neededFrom);
  }

  #send(from: AgentId, send: Send<Word>): void {
    const sent = envelope(from, send);
    this.onSent(sent);
    this.wire.push(sent);
  }

  #release(agent: TestAgent): void {
    while (agent.promises[0] !== undefined && agent.promises[0].after <= agent.durable) {
      const { envelope: sent } = agent.promises.shift()!;
      this.onSent(sent);
      this.wire.push(sent);
    }
  }

  wake(agent: TestAgent): void {
    this.step(agent, (core, out) => core.wake(this.now, out));
    assert(agent.core.deadline > this.now.monotonic, "whoever was woken states a later deadline");
  }

  /** The disk finishes the records up to number `through`. */
  sync(agent: TestAgent, through: number = agent.records.length): void {
    if (agent.down || through <= agent.durable) return;
    agent.durable = through;
    this.#release(agent);
    this.step(agent, (core, out) => core.durable(through as RecordNumber, this.now, out));
  }

  /** Gives a message to its receiver, if there is one, unless the way is cut. */
  deliver({ from, to, message }: Envelope): void {
    const receiver = this.agents.find(({ id }) => id === to);
    if (receiver === undefined || !receiver.running || this.cut.has(`${from}>${to}`)) return;
    this.step(receiver, (core, out) => core.receive(from, message, this.now, out));
  }

  /** What somebody says who may not even be a member. */
  tell(to: TestAgent, from: string, message: Word): void {
    this.step(to, (core, out) => core.receive(agentId(from), message, this.now, out));
  }

  /** What its driver tells it of its link to another. */
  tellLink(agent: TestAgent, peer: TestAgent, up: boolean): void {
    this.step(agent, (core, out) => core.linkChanged(peer.id, up, this.now, out));
  }

  apply(agent: TestAgent): void {
    const commit = agent.running ? agent.commits.shift() : undefined;
    if (commit === undefined) return;
    const { run } = commit;
    assert(run.first === agent.applied + 1, "R10: runs come in order");
    agent.committed.push(...entriesOf(run));
    agent.applied = run.last;
    const digest = commit.digestAfter
      ? digestOf(agent.committed, agent.wrongState ? ", or so" : "")
      : undefined;
    this.step(agent, (core, out) => core.applied(run.last, digest, this.now, out));
  }

  /** Answers the oldest read from the journal, by folding records as a driver does. */
  load(agent: TestAgent): void {
    const asked = agent.running ? agent.loads.shift() : undefined;
    if (asked === undefined) return;
    const run = this.readJournal(agent, asked.first, asked.bytesMax);
    this.step(agent, (core, out) => core.loaded(asked.ticket, run, this.now, out));
  }

  readJournal(agent: TestAgent, first: LogIndex, bytesMax: number): Run | undefined {
    const from = agent.core.recordOf(first);
    if (from === undefined) return undefined;
    assert(from >= agent.core.neededFrom, "R31: the journal may be without the records before");
    const held: Uint8Array[] = [];
    for (const record of agent.records.slice(from - 1)) {
      if (record.kind !== "entries") continue;
      const { run } = record;
      held.length = Math.min(held.length, Math.max(0, run.first - first));
      let index: number = run.first;
      for (let offset = 0; offset < run.bytes.byteLength; index++) {
        const end = offset + entryLength(run.bytes, offset);
        if (index === first + held.length) held.push(run.bytes.subarray(offset, end));
        offset = end;
      }
    }
    let byteLength = 0;
    const chosen = held.filter((bytes, position) => {
      byteLength += bytes.byteLength;
      return position === 0 || byteLength <= bytesMax;
    });
    if (chosen.length === 0) return undefined;
    return { first, last: (first + chosen.length - 1) as LogIndex, bytes: concatBytes(chosen) };
  }

  // ── faults ──

  /** Power off: of the records that were not durable, the first `surviving` happen to be on the disk all the same. */
  crash(agent: TestAgent, surviving = 0): void {
    agent.down = true;
    agent.keepRecords(agent.durable + surviving);
    agent.durable = agent.records.length;
    agent.promises = [];
    agent.commits = [];
    agent.loads = [];
    agent.transfers = [];
    agent.restoring = undefined;
    agent.events = [];
    agent.committed = [];
    agent.applied = 0 as LogIndex;
  }

  /** `from`: the first record that the journal gives; see `TestAgent.needed`. */
  restart(agent: TestAgent, from: number = agent.needed.at(-1) ?? 1): void {
    const { records } = agent;
    agent.core = this.#core(agent.id, agent.founding, records.slice(from - 1), records.length + 1);
    agent.needed = [agent.core.neededFrom];
    assert(agent.core.neededFrom >= from, "R31: recovery needs nothing that it did not get");
    const { base } = agent.core;
    if (base !== undefined) this.snapshots.become(agent, base);
    agent.down = false;
    agent.asleep = false;
    this.wake(agent);
  }

  /** Nothing passes between this agent and the others. */
  isolate(agent: TestAgent): void {
    for (const other of this.agents) {
      if (other === agent) continue;
      this.cut.add(`${agent.id}>${other.id}`);
      this.cut.add(`${other.id}>${agent.id}`);
    }
  }

  heal(): void {
    this.cut.clear();
  }

  // ── in larger steps ──

  /** Delivers, syncs, applies and loads until nothing is left to do; time stands still. */
  settle(): void {
    for (let rounds = 0; rounds < 10_000; rounds++) {
      let busy = false;
      const arriving = this.wire;
      this.wire = [];
      for (const sent of arriving) {
        busy = true;
        this.deliver(sent);
      }
      for (const agent of this.agents) {
        if (!agent.running) continue;
        if (!agent.diskHangs && agent.durable < agent.records.length) {
          busy = true;
          this.sync(agent);
        }
        for (; agent.commits.length > 0; busy = true) this.apply(agent);
        for (; agent.loads.length > 0; busy = true) this.load(agent);
        for (; this.snapshots.flow && agent.transfers.length > 0; busy = true) this.snapshots.ship(agent);
        for (; agent.restoring !== undefined; busy = true) this.snapshots.restore(agent);
      }
      for (; this.snapshots.flow && this.snapshots.underWay.length > 0; busy = true) this.snapshots.land();
      if (!busy) return;
    }
    assert(false, "a cluster comes to rest");
  }

  /** Lets time pass in steps of a millisecond; everything else happens at once. */
  run(milliseconds: number): void {
    for (let passed = 0; passed < milliseconds; passed++) {
      this.pass(1);
      for (const agent of this.agents) {
        if (agent.running && agent.core.deadline <= this.now.monotonic) this.wake(agent);
      }
      this.settle();
    }
  }

  /** The clocks move on and nobody notices. */
  pass(milliseconds: number): void {
    this.now.monotonic = (this.now.monotonic + milliseconds * 1000) as Micros;
    this.now.wall = (this.now.wall + milliseconds * 1000) as Micros;
  }

  /** First wakes, and an election that agent 1 wins. */
  start(): this {
    for (const agent of this.agents) this.wake(agent);
    this.settle();
    this.elect(this.agent(1));
    return this;
  }

  elect(agent: TestAgent): void {
    this.step(agent, (core, out) => core.campaign(this.now, out));
    this.settle();
  }

  /** One more agent, which knows nothing of the group that it is about to join. */
  join(): TestAgent {
    const agent = this.#add(agentId(`a${this.agents.length + 1}`), unknownMembers);
    this.wake(agent);
    return agent;
  }

  change(agent: TestAgent, text: string): ReturnType<RaftCore["changeMembers"]> {
    return this.step(agent, (core, out) => core.changeMembers(changeOf(text), this.now, out));
  }

  propose(agent: TestAgent, ...values: string[]): ReturnType<RaftCore["propose"]> {
    const commands = values.map((text, position) => command(text, position + 1));
    return this.step(agent, (core, out) => core.propose(commands, this.now, out));
  }

  /** To agent number `to`, or to the best one. */
  transfer(agent: TestAgent, to?: number): ReturnType<RaftCore["transferLeadership"]> {
    const target = to === undefined ? undefined : this.agent(to).id;
    return this.step(agent, (core, out) => core.transferLeadership(target, this.now, out));
  }

  read(agent: TestAgent): ReturnType<RaftCore["read"]> {
    return this.step(agent, (core, out) => core.read(this.now, out));
  }

  /** Takes the messages off the wire that fit, and leaves the others. */
  take(fits: (sent: Envelope) => boolean): Envelope[] {
    const taken = this.wire.filter((sent) => fits(sent));
    this.wire = this.wire.filter((sent) => !fits(sent));
    return taken;
  }
}

function envelope(from: AgentId, send: Send<Word>): Envelope {
  return { from, to: send.to as AgentId, channel: send.channel, message: send.message };
}

/** The commands in a log, without the leaders' own entries. */
export function texts(log: readonly Entry[]): string[] {
  return log.map(({ text }) => text).filter((text) => text !== "" && !text.startsWith("members "));
}

/** The configurations in a log. */
export function configurations(log: readonly Entry[]): string[] {
  return log.flatMap(({ text }) => (text.startsWith("members ") ? [text.slice("members ".length)] : []));
}
