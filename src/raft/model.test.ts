/**
 * Random runs against what Raft promises. Each seed drives a group through losses, repeats, reordering, partitions, power
 * cuts with any part of the unsynced records surviving, hanging disks and sleeping processes; snapshots are taken, sent,
 * delayed, repeated and lost at any moment, and journals give a restart more than it needs. After each step the agents' own
 * invariants are checked, and across agents those that none of them can see alone. In the end the faults stop, and the
 * group must decide again and have everything that was ever acknowledged.
 */
import { describe, expect, test } from "vitest";
import { assert, everybody, isJoint, Prng, type AgentId, type LogIndex, type Ticket } from "../core/index.ts";
import {
  configurations,
  shown,
  TestCluster,
  texts,
  type ClusterOptions,
  type Entry,
  type Envelope,
  type TestAgent,
} from "./test-cluster.ts";
import type { SnapshotFile } from "./test-agent.ts";
import type { Shipment } from "./test-snapshots.ts";

/** Whether the first `count` entries of both are there and the same. */
function agree(left: readonly Entry[], right: readonly Entry[], count: number): boolean {
  for (let at = 0; at < count; at++) {
    if (left[at] === undefined || left[at]?.term !== right[at]?.term || left[at]?.text !== right[at]?.text)
      return false;
  }
  return true;
}

/** What no agent can see alone. */
class Oracle {
  readonly cluster: TestCluster;
  readonly leaders = new Map<number, AgentId>();
  readonly votes = new Map<string, AgentId>();
  readonly terms = new Map<AgentId, number>();
  /** Decided anywhere, from index 1 on. */
  readonly decided: Entry[] = [];
  readonly reads = new Map<string, number>();
  /** Who was asked to campaign, in the term of which leader. */
  readonly summoned = new Set<string>();
  /** Until when each voter's vote is pledged. */
  readonly pledged = new Map<AgentId, number>();
  readonly votesCast = new Set<string>();
  transfersSeen = 0;
  readsAnswered = 0;
  electionsSeen = 0;

  constructor(cluster: TestCluster) {
    this.cluster = cluster;
    cluster.onSent = (sent) => this.#sent(sent);
  }

  #sent({ from, to, message }: Envelope): void {
    const sender = this.cluster.find(from);
    if (message.kind === "voteRequest") this.#voted(from, message.term, from);
    if (message.kind === "campaignNow") this.#summoned(from, to, message.term);
    if (message.kind === "heartbeatAnswer" && message.pledge !== undefined) {
      this.pledged.set(from, this.cluster.now.monotonic + message.pledge);
    }
    if (message.kind === "voteRequest" && message.transfer === true) {
      expect(this.summoned, "R41: only who was asked says so").toContain(`${from} in ${message.term - 1}`);
    }
    if (message.kind === "voteAnswer" && message.granted) this.#voted(from, message.term, to);
    if (message.kind === "voteRequest" || message.kind === "voteAnswer") {
      const { term, votedFor } = sender.durableHardState;
      if (term === message.term && message.kind === "voteRequest") expect(votedFor, "R3").toBe(from);
      expect(term, "R3: the term is on disk first").toBeGreaterThanOrEqual(message.term);
    }
    // What was acknowledged to an earlier leader may have been replaced since by a later one.
    if (message.kind === "appendMatched" && message.term === sender.core.term) {
      assert(sender.durableLength >= message.matched, "R5: what is acknowledged is on disk");
    }
  }

  #summoned(from: AgentId, to: AgentId, term: number): void {
    const { core, log } = this.cluster.find(from);
    expect([core.role, core.term], "R40: only a leader hands over").toEqual(["leader", term]);
    expect(core.status().successor, "R40: to one at a time").toBe(to);
    expect(this.cluster.find(to).durableLength, "R40: that has all of its log").toBeGreaterThanOrEqual(
      log.length,
    );
    this.summoned.add(`${to} in ${term}`);
  }

  #voted(voter: AgentId, term: number, candidate: AgentId): void {
    const key = `${voter} in ${term}`;
    expect(this.votes.get(key) ?? candidate, "R3: one vote a term").toBe(candidate);
    this.votes.set(key, candidate);
  }

  check(agent: TestAgent): void {
    if (agent.down) return;
    const { core, id } = agent;
    assert(core.term >= (this.terms.get(id) ?? 0), "R2: terms never fall");
    this.terms.set(id, agent.durableHardState.term);
    if (core.role === "leader") this.#leads(agent);
    this.#decides(agent);
  }

  /** After every step: when a vote is seen for the first time, it has just been given. */
  voted({ id, down, core: { term, votedFor } }: TestAgent): void {
    const vote = `${id} for ${votedFor} in ${term}`;
    if (down || votedFor === undefined || this.votesCast.has(vote)) return;
    this.votesCast.add(vote);
    const isFree = this.cluster.now.monotonic >= (this.pledged.get(id) ?? 0);
    assert(isFree || this.summoned.has(`${votedFor} in ${term - 1}`), "R43: a pledge is kept");
  }

  #leads(agent: TestAgent): void {
    const { term } = agent.core;
    const known = this.leaders.get(term);
    assert(known === undefined || known === agent.id, "R1: one leader a term");
    if (known !== undefined) return;
    this.leaders.set(term, agent.id);
    this.electionsSeen += 1;
    if (this.summoned.has(`${agent.id} in ${term - 1}`)) this.transfersSeen += 1;
    assert(agree(agent.log, this.decided, this.decided.length), "R18: a leader has all that is decided");
  }

  #decides(agent: TestAgent): void {
    const { commitIndex } = agent.core;
    if (commitIndex <= this.decided.length) return;
    this.decided.push(...agent.log.slice(this.decided.length, commitIndex));
  }

  /** Costly, so at intervals. */
  checkAll(): void {
    const { agents } = this.cluster;
    for (const agent of agents) {
      if (agent.down) continue;
      const log = agent.log;
      this.#checkMembers(agent);
      expect(agent.core.lastIndex, "R20: the core has the log that it wrote").toBe(log.length);
      const { first } = agent.core.status();
      const isOfTerm = ({ term }: Entry, at: number): boolean =>
        agent.core.termAt((at + 1) as LogIndex) === (at + 2 < first ? undefined : term);
      assert(log.every(isOfTerm), "R20: the core has the terms that it wrote");
      const { committed, core } = agent;
      assert(agree(log, this.decided, core.commitIndex), "R19: decided alike");
      assert(agree(committed, this.decided, committed.length), "R19: applied as decided");
      for (const other of agents) {
        const theirs = other.log;
        const shared = log.findLastIndex((entry, at) => theirs[at]?.term === entry.term);
        assert(agree(theirs, log, shared + 1), "R17: log matching");
      }
    }
  }

  #checkMembers({ log, core, founding }: TestAgent): void {
    // The group's founders are in no entry: who joins learns of them from a snapshot, or never.
    const founders = core.status().base > 0 ? this.cluster.members : founding;
    const newest = configurations(log).at(-1) ?? shown(founders);
    expect(shown(core.status().members), "R23: the newest in the log is in force").toBe(newest);
    const decided = configurations(this.decided);
    const all = configurations(log).slice(0, -1);
    expect(decided.slice(0, all.length), "R24: all but the newest are decided").toEqual(all);
  }

  asked(agent: TestAgent, ticket: Ticket): void {
    const key = `${agent.id} ${ticket}`;
    // A ticket stands for several reads: the latest asks for most.
    this.reads.set(key, this.decided.length);
  }

  answered(agent: TestAgent): void {
    for (const event of agent.events) {
      if (event.kind !== "readable") continue;
      const needed = this.reads.get(`${agent.id} ${event.ticket}`) ?? Number.POSITIVE_INFINITY;
      assert(agent.applied >= needed, "R14: a read sees all that was decided before it");
      this.readsAnswered += 1;
    }
    agent.events = [];
  }
}

class Chaos {
  readonly prng: Prng;
  readonly cluster: TestCluster;
  readonly oracle: Oracle;
  readonly loss: number;
  readonly repeat: number;
  readonly crashes: number;
  proposals = 0;
  /** Nobody wants anything for a while: then groups fall asleep. */
  isQuiet = false;
  sleeps = 0;
  readonly isChanging: boolean;
  readonly isBusy: boolean;
  readonly isLeasing: boolean;
  readsByLease = 0;
  /** Disturbances per step, and twice the ends of all that there are. An election takes some hundred steps. */
  readonly trouble: number;
  /** Messages that arrive in a step. */
  readonly deliveries: number;
  /** Per step: something is done about snapshots. */
  readonly snapshots: number;
  /** Those that are being written: a crash takes them. */
  writing: { readonly agent: TestAgent; readonly file: SnapshotFile }[] = [];
  restores = 0;

  constructor(seed: number, { options, isChanging = false, isBusy = false }: Group) {
    this.prng = new Prng(seed);
    this.isChanging = isChanging;
    this.isBusy = isBusy;
    this.isLeasing = options.leases !== undefined;
    this.deliveries = isBusy ? 20 : this.prng.pick([1, 3, 5]);
    const priorities = this.prng.chance(0.5)
      ? []
      : [1, 2, 3, 4, 5, 6, 7, 8].map(() => this.prng.pick([1, 50, 99]));
    this.cluster = new TestCluster({ ...options, seed, priorities });
    this.oracle = new Oracle(this.cluster);
    this.loss = this.prng.pick([0, 0.02, 0.2]);
    this.repeat = this.prng.pick([0, 0.05, 0.2]);
    this.crashes = this.prng.pick([0, 0.001, 0.004]);
    this.trouble = this.prng.pick([0.002, 0.006, 0.02]);
    this.snapshots = isBusy ? 1 : this.prng.pick([0, 0.05, 0.2]);
    this.cluster.snapshots.flow = false;
    for (const agent of this.cluster.agents) this.cluster.wake(agent);
  }

  step(): void {
    const { prng, cluster } = this;
    const agent = prng.pick(cluster.agents);
    if (cluster.hibernation !== undefined) this.#watch();
    if (prng.chance(this.trouble / 2)) this.#endFaults();
    // In quiet times most of what would be done is left, so that messages and time go on.
    const dice = this.isQuiet && !prng.chance(0.03) ? prng.between(200, 1000) / 1000 : prng.unit();
    if (dice < this.crashes) this.#power(agent);
    else if (dice < this.crashes + this.trouble) this.#disturb(agent);
    else if (dice < 0.19 && !this.isQuiet) this.#ask(agent, dice);
    else if (dice < 0.3) this.#sync(agent);
    else if (dice < 0.4) this.#applyOrLoad(agent);
    else if (dice < 0.5) this.#tick();
    else for (let count = 0; count < this.deliveries; count++) this.#deliver();
    if (prng.chance(this.snapshots)) this.#snapshot(agent);
    if (this.isBusy) this.#work();
    if (this.isLeasing && prng.chance(0.1)) this.#readAtLeaders();
    for (const one of cluster.agents) {
      this.oracle.check(one);
      this.oracle.voted(one);
      this.restores += one.eventsOf("restore").length;
      this.oracle.answered(one);
    }
  }

  #ask(agent: TestAgent, dice: number): void {
    if (dice < 0.12) this.#propose(agent);
    else if (dice < 0.16) this.#read(agent);
    else if (dice < 0.165) this.#transfer();
    else if (this.isChanging) this.#change(this.cluster.leader ?? agent);
  }

  #work(): void {
    const { prng, cluster } = this;
    if (prng.chance(0.2)) this.#tick();
    for (const agent of cluster.agents) {
      if (agent.core.role === "leader" && prng.chance(0.2)) this.#propose(agent);
      if (prng.chance(0.5)) this.#sync(agent);
      if (prng.chance(0.5)) this.#applyOrLoad(agent);
    }
  }

  /** What the drivers do for those who sleep, at times late or in vain. */
  #watch(): void {
    const { prng, cluster } = this;
    if (prng.chance(0.001)) this.#changePace();
    const agent = prng.pick(cluster.agents);
    const { hibernation } = agent.core;
    if (!agent.running || hibernation === undefined) return;
    this.sleeps += 1;
    const hears = (peer: TestAgent): boolean => peer.running && !cluster.cut.has(`${peer.id}>${agent.id}`);
    const gone = hibernation.present.map((id) => cluster.find(id)).find((peer) => !hears(peer));
    const back = cluster.agents.find((peer) => !hibernation.present.includes(peer.id) && hears(peer));
    if (gone !== undefined && prng.chance(0.1)) cluster.tellLink(agent, gone, false);
    else if (back !== undefined && prng.chance(0.1)) cluster.tellLink(agent, back, true);
  }

  #changePace(): void {
    this.isQuiet = !this.isQuiet;
    if (this.isQuiet) this.#endFaults();
  }

  #endFaults(): void {
    const { cluster } = this;
    cluster.heal();
    for (const agent of cluster.agents) {
      agent.diskHangs = false;
      agent.asleep = false;
      if (agent.down) this.#restart(agent);
    }
  }

  /** What a directory on the disk says to be needed may be old. */
  #restart(agent: TestAgent): void {
    const { prng, cluster } = this;
    // Who reads by lease is an option, and a restart may come with another one.
    if (this.isLeasing && prng.chance(0.2)) cluster.leases = cluster.agents.map(() => prng.chance(0.8));
    cluster.restart(agent, prng.chance(0.5) ? agent.needed.at(-1) : prng.pick(agent.needed));
  }

  #power(agent: TestAgent): void {
    if (agent.down) {
      this.#restart(agent);
      return;
    }
    this.writing = this.writing.filter((one) => one.agent !== agent);
    this.cluster.crash(agent, this.prng.between(0, agent.records.length - agent.durable));
  }

  #snapshot(agent: TestAgent): void {
    const { prng } = this;
    const { snapshots } = this.cluster;
    const dice = prng.unit();
    if (dice < 0.3) this.#take(agent);
    else if (dice < 0.5) snapshots.ship(agent);
    else if (dice < 0.7) snapshots.restore(agent);
    else if (dice < 0.75) snapshots.removeFiles(agent);
    else if (snapshots.underWay.length > 0) this.#land(prng.pick(snapshots.underWay));
  }

  /** It takes a while, and may come to nothing. */
  #take(agent: TestAgent): void {
    if (!agent.running || agent.applied === 0 || agent.applied < agent.core.status().base) return;
    const { snapshots } = this.cluster;
    const begun = this.writing.find((one) => one.agent === agent);
    this.writing = this.writing.filter((one) => one !== begun);
    if (begun === undefined) this.writing.push({ agent, file: snapshots.freeze(agent) });
    else if (this.prng.chance(0.9)) snapshots.store(agent, begun.file);
  }

  /** A transfer ends, or fails, or arrives although nobody will tell so. */
  #land(shipment: Shipment): void {
    const { snapshots } = this.cluster;
    const { from, to, file } = shipment;
    const receiver = this.cluster.find(to);
    const dice = this.prng.unit();
    if (dice < 0.2) snapshots.report(this.cluster.find(from), to, file.snapshot.index, "failed");
    else if (dice > 0.4) snapshots.land(shipment);
    else if (receiver.running) snapshots.arrive(receiver, from, file);
  }

  #disturb(agent: TestAgent): void {
    const { prng, cluster } = this;
    const dice = prng.between(0, 5);
    if (dice === 0) cluster.isolate(agent);
    else if (dice === 1) cluster.cut.add(`${agent.id}>${prng.pick(cluster.agents).id}`);
    else if (dice === 2) cluster.heal();
    else if (dice === 3) agent.asleep = !agent.asleep;
    else if (dice === 4) agent.diskHangs = !agent.diskHangs;
    else if (agent.running) {
      const peer = prng.pick(cluster.agents).id;
      cluster.step(agent, (core, out) => core.linkChanged(peer, prng.chance(0.5), cluster.now, out));
    }
  }

  #propose(agent: TestAgent): void {
    if (!agent.running) return;
    const count = this.prng.between(1, 3);
    const batch = Array.from({ length: count }, () => `c${(this.proposals += 1)}`);
    this.cluster.propose(agent, ...batch);
  }

  #read(agent: TestAgent): void {
    if (!agent.running) return;
    const result = this.cluster.step(agent, (core, out) => {
      const answer = core.read(this.cluster.now, out);
      if (answer.kind === "ticket") this.oracle.asked(agent, answer.ticket);
      // In a group of one everything is confirmed as it comes.
      const isConfirmed = out.events.toArray().some(({ kind }) => kind === "readable");
      if (isConfirmed && core.status().peers.length > 0) this.readsByLease += 1;
      return answer;
    });
    expect(["ticket", "notLeader", "overloaded"]).toContain(result.kind);
  }

  /** Whoever takes itself for one may have a lease. */
  #readAtLeaders(): void {
    for (const agent of this.cluster.agents) if (agent.core.role === "leader") this.#read(agent);
  }

  /** Up to three members at once become something else; at times one of them is new. */
  #change(agent: TestAgent): void {
    const { prng, cluster } = this;
    if (!agent.running) return;
    if (cluster.agents.length < agentsMax && prng.chance(0.2)) cluster.join();
    const steps = Array.from({ length: prng.between(1, 3) }, () => {
      return `${prng.pick(["+", "+", "~", "-"])}${prng.pick(cluster.agents).id}`;
    });
    const result = cluster.change(agent, steps.join(" "));
    expect(["accepted", "busy", "notLeader", "notReady", "badChange"]).toContain(result.kind);
  }

  /** Asks whoever leads to hand over: to anybody, or to the best. */
  #transfer(): void {
    const { leader } = this.cluster;
    if (leader === undefined) return;
    const to = this.prng.chance(0.6) ? this.prng.between(1, this.cluster.agents.length) : undefined;
    const { kind } = this.cluster.transfer(leader, to);
    expect(["accepted", "busy", "notReady"]).toContain(kind);
  }

  #sync(agent: TestAgent): void {
    if (!agent.running || agent.diskHangs || agent.durable === agent.records.length) return;
    this.cluster.sync(agent, this.prng.between(agent.durable + 1, agent.records.length));
  }

  #applyOrLoad(agent: TestAgent): void {
    if (this.prng.chance(0.3)) this.cluster.load(agent);
    else this.cluster.apply(agent);
  }

  #tick(): void {
    const { cluster, prng } = this;
    cluster.pass(prng.chance(0.004) ? 400 : prng.between(1, 12));
    for (const agent of prng.shuffled(cluster.agents)) {
      if (agent.running && agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
    }
  }

  #deliver(): void {
    const { cluster, prng } = this;
    if (cluster.wire.length === 0) return;
    // Mostly in order, so that pipelines work; at times any.
    const position = prng.chance(0.7) ? 0 : prng.between(0, cluster.wire.length - 1);
    const [sent] = cluster.wire.splice(position, 1);
    if (sent === undefined || prng.chance(this.loss)) return;
    if (prng.chance(this.repeat)) cluster.wire.push(sent);
    cluster.deliver(sent);
    if (cluster.wire.length > 400) cluster.wire.splice(prng.between(0, 300), 50);
  }

  /** Faults end: the group must come back to work. */
  recover(): void {
    const { cluster } = this;
    cluster.snapshots.flow = true;
    this.#endFaults();
    const before = this.oracle.decided.length;
    cluster.run(3000);
    const leader = cluster.leader;
    expect(leader, "a healed group has a leader").toBeDefined();
    cluster.propose(leader!, "last");
    cluster.run(200);
    const { members } = leader!.core.status();
    expect(isJoint(members), "R27: a change that was begun is finished").toBe(false);
    for (const agent of cluster.agents) {
      this.oracle.check(agent);
      if (!everybody(members).has(agent.id)) continue;
      expect(texts(agent.committed).at(-1), "every member applies what is decided now").toBe("last");
    }
    this.oracle.checkAll();
    expect(this.oracle.decided.length).toBeGreaterThan(before);
  }
}

function play(seed: number, steps: number, group: Group): Chaos {
  const chaos = new Chaos(seed, group);
  for (let step = 0; step < steps; step++) {
    chaos.step();
    if (step % 100 === 99) chaos.oracle.checkAll();
  }
  chaos.recover();
  return chaos;
}

const small = {
  appendBytesMax: 200,
  inFlightAppendsMax: 3,
  inFlightBytesMax: 500,
  uncommittedBytesMax: 4000,
  applyBytesMax: 300,
  logTailBytesMax: 600,
  logKeptBytesMax: 1,
  logHeldBytesMax: 400,
};

const hibernation = { quietBeats: 1, renewalMs: 500 };

/** With each seed, and every plan of a group. Many more are played by the simulator, without end by `npm run soak`. */
const runs = 8;

/** Agents that a group with changing members has at most; not all of them take part at a time. */
const agentsMax = 7;

interface Group {
  readonly name: string;
  readonly options: ClusterOptions;
  readonly isChanging?: boolean;
  /** Much is decided, and somebody is left behind. */
  readonly isBusy?: boolean;
}

const groups: readonly Group[] = [
  { name: "three voters", options: { voters: 3 } },
  { name: "three voters with tiny windows and tails", options: { voters: 3, limits: small } },
  {
    name: "five voters",
    options: { voters: 5, limits: { ...small, logKeptBytesMax: 300, logHeldBytesMax: 900 } },
  },
  { name: "four voters and a learner", options: { voters: 4, learners: 1 } },
  { name: "one voter", options: { voters: 1, limits: small } },
  { name: "two voters", options: { voters: 2 } },
  { name: "three voters that sleep when idle", options: { voters: 3, hibernation } },
  {
    name: "four voters and a learner that sleep when idle",
    options: { voters: 4, learners: 1, hibernation },
  },
  { name: "three voters under load", options: { voters: 3, limits: small }, isBusy: true },
  {
    name: "four voters and a learner under load",
    options: { voters: 4, learners: 1, limits: small },
    isBusy: true,
  },
  {
    name: "members that come and go under load",
    options: { voters: 3, learners: 1, limits: small },
    isBusy: true,
    isChanging: true,
  },
  { name: "one voter, and others that come and go", options: { voters: 1 }, isChanging: true },
  { name: "three voters that come and go", options: { voters: 3, limits: small }, isChanging: true },
  {
    name: "members that come and go and sleep when idle",
    options: { voters: 3, learners: 2, hibernation },
    isChanging: true,
  },
  { name: "three voters that read by lease", options: { voters: 3, leases: "all" } },
  {
    name: "members that come and go, sleep when idle and read by lease",
    options: { voters: 3, learners: 1, leases: "all", hibernation },
    isChanging: true,
  },
  {
    name: "members that come and go under load and read by lease",
    options: { voters: 3, learners: 1, limits: small, leases: "all" },
    isBusy: true,
    isChanging: true,
  },
];

describe("whatever happens to a group", () => {
  const seen = {
    elections: 0,
    transfers: 0,
    reads: 0,
    readsByLease: 0,
    decided: 0,
    sleeps: 0,
    configurations: 0,
  };
  const snapshots = { restored: 0, entriesGone: 0 };
  for (const [position, group] of groups.entries()) {
    const { name } = group;
    test(`${name}: R1 R2 R3 R5 R14 R17 R18 R19 R20 R23 R24 R31 R33 R40 R41 R43 R44 R53 R54 hold in every run, and it recovers`, () => {
      for (let run = 0; run < runs; run++) {
        const seed = position * 1000 + run;
        try {
          const { oracle, cluster, sleeps, restores, readsByLease } = play(seed, 2500, group);
          seen.configurations += configurations(oracle.decided).length;
          seen.sleeps += sleeps;
          seen.elections += oracle.electionsSeen;
          seen.transfers += oracle.transfersSeen;
          seen.reads += oracle.readsAnswered;
          seen.readsByLease += readsByLease;
          seen.decided += oracle.decided.length;
          snapshots.restored += restores;
          for (const { core } of cluster.agents) snapshots.entriesGone += core.status().first - 1;
        } catch (cause) {
          throw new Error(`seed ${seed} of ${name}`, { cause });
        }
      }
    }, 240_000);
  }

  test("the runs did something: they elected, handed over, decided, read, slept and changed their members", () => {
    expect(seen.elections).toBeGreaterThan(400);

    expect(seen.transfers).toBeGreaterThan(50);
    expect(seen.decided).toBeGreaterThan(15_000);
    expect(seen.reads).toBeGreaterThan(1000);
    expect(seen.readsByLease).toBeGreaterThan(500);
    expect(seen.sleeps).toBeGreaterThan(200);
    expect(seen.configurations).toBeGreaterThan(200);
  });

  test("they cut their logs, and replaced states by snapshots", () => {
    expect(snapshots.restored).toBeGreaterThan(50);
    expect(snapshots.entriesGone).toBeGreaterThan(10_000);
  });
});
