/**
 * The Raft core alone: three members stepped in one thread, every message delivered and every record durable at once,
 * 256-byte values. What is left is the protocol itself. The peer's figure for the same set-up is in bench/README.md.
 */
import {
  type AgentId,
  type Lane,
  type Micros,
  type Outbox,
  Prng,
  type Send,
  agentId,
  clearOutbox,
  createOutbox,
  encodeCommand,
  membersOf,
  recordNumber,
} from "../dist/core/index.js";
import { RaftCore, type RaftMessage, type RaftPromise, type RaftProtocol } from "../dist/raft/index.js";

/** Messages on their way, the oldest first; nothing is made for one, so that what is measured is the cores. */
class Mail {
  readonly #senders: Member[] = [];
  readonly #receivers: Member[] = [];
  readonly #messages: (RaftMessage | RaftPromise)[] = [];

  push(from: Member, to: Member, message: RaftMessage | RaftPromise): void {
    this.#senders.push(from);
    this.#receivers.push(to);
    this.#messages.push(message);
  }

  /** Hands out each, also those that are pushed meanwhile. */
  deliver(receive: (from: Member, to: Member, message: RaftMessage | RaftPromise) => void): void {
    for (let at = 0; at < this.#messages.length; at++) {
      receive(
        this.#senders[at] as Member,
        this.#receivers[at] as Member,
        this.#messages[at] as RaftMessage | RaftPromise,
      );
    }
    for (const list of [this.#senders, this.#receivers, this.#messages]) list.length = 0;
  }
}

type Outgoing = Send<RaftMessage> | Send<RaftPromise>;

interface Member {
  readonly id: AgentId;
  readonly core: RaftCore;
  /** Records pushed so far. */
  records: number;
}

class CoreCluster {
  readonly #members: Member[];
  readonly #byId: ReadonlyMap<AgentId, Member>;
  readonly #out: Outbox<RaftProtocol> = createOutbox<RaftProtocol>();
  readonly #now = { monotonic: 0 as Micros, wall: 1 as Micros };
  readonly #mail = new Mail();
  readonly #receive = (from: Member, to: Member, message: RaftMessage | RaftPromise): void => {
    to.core.receive(from.id, message, this.#now, this.#out);
    this.#finish(to);
  };
  committed = 0;

  constructor() {
    const voters = ["a", "b", "c"].map(agentId);
    this.#members = voters.map((id, position) => ({
      id,
      records: 0,
      core: new RaftCore(
        {
          self: id,
          members: membersOf(voters),
          prng: new Prng(position + 1),
          electionTimeoutMs: [150, 300],
          heartbeatMs: 50,
        },
        { records: [], next: recordNumber(1) },
      ),
    }));
    this.#byId = new Map(this.#members.map((member) => [member.id, member]));
  }

  elect(): void {
    for (const member of this.#members) {
      member.core.wake(this.#now, this.#out);
      this.#finish(member);
    }
    this.#first.core.campaign(this.#now, this.#out);
    this.#finish(this.#first);
    this.#mail.deliver(this.#receive);
    if (this.#first.core.status().role !== "leader")
      throw new Error("the first member did not become leader");
  }

  propose(commands: readonly Uint8Array[]): void {
    const answer = this.#first.core.propose(commands, this.#now, this.#out);
    if (answer.kind !== "accepted") throw new Error(`the leader refused: ${answer.kind}`);
    this.#finish(this.#first);
    this.#mail.deliver(this.#receive);
  }

  get #first(): Member {
    const first = this.#members[0];
    if (first === undefined) throw new Error("there are three members");
    return first;
  }

  /** Everything that follows at the member from what it was just given. */
  #finish(member: Member): void {
    const { core } = member;
    const out = this.#out;
    for (;;) {
      const records = out.records.count;
      const commits = out.commits.count;
      const last = commits === 0 ? undefined : out.commits.at(commits - 1).run.last;
      this.#post(member, out.sends);
      this.#post(member, out.sendsOnceDurable);
      clearOutbox(out);
      if (records > 0) {
        member.records += records;
        core.durable(recordNumber(member.records), this.#now, out);
      }
      if (last !== undefined) {
        if (member === this.#first) this.committed = last;
        core.applied(last, undefined, this.#now, out);
      }
      if (records === 0 && last === undefined) return;
    }
  }

  #post(from: Member, lane: Lane<Outgoing>): void {
    for (let at = 0; at < lane.count; at++) {
      const { to, message } = lane.at(at);
      const receiver = this.#byId.get(to as AgentId);
      if (receiver === undefined) throw new Error("a message to nobody");
      this.#mail.push(from, receiver, message);
    }
  }
}

export interface CoreResult {
  readonly batch: number;
  readonly commitsPerSecond: number;
}

/** Entries committed on all three members per second, `batch` proposals a round. */
export function benchCore(batch: number, seconds: number): CoreResult {
  const cluster = new CoreCluster();
  cluster.elect();
  const payload = new Uint8Array(256).fill(120);
  // Made once: the core copies what it is given.
  const commands = Array.from({ length: batch }, (_, place) =>
    encodeCommand({ kind: "command", session: 1, sequence: place + 1, unsettled: 1 }, payload),
  );
  const round = (): void => cluster.propose(commands);
  for (let warmUp = 0; warmUp < 20_000 / batch; warmUp++) round();

  const before = cluster.committed;
  const startedAt = performance.now();
  while (performance.now() - startedAt < seconds * 1000) for (let i = 0; i < 16; i++) round();
  const elapsed = (performance.now() - startedAt) / 1000;
  return { batch, commitsPerSecond: (cluster.committed - before) / elapsed };
}
