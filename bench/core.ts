/**
 * The Raft core alone: three members stepped in one thread, every message delivered and every record durable at once,
 * 256-byte values. What is left is the protocol itself. The peer's figure for the same set-up is in bench/README.md.
 */
import {
  type AgentId,
  type Micros,
  type Outbox,
  Prng,
  agentId,
  clearOutbox,
  createOutbox,
  encodeCommand,
  membersOf,
  recordNumber,
} from "../dist/core/index.js";
import { RaftCore, type RaftMessage, type RaftPromise, type RaftProtocol } from "../dist/raft/index.js";

interface Mail {
  readonly from: AgentId;
  readonly to: AgentId;
  readonly message: RaftMessage | RaftPromise;
}

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
  #mail: Mail[] = [];
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
    for (const member of this.#members) this.#step(member, () => member.core.wake(this.#now, this.#out));
    this.#step(this.#first, () => this.#first.core.campaign(this.#now, this.#out));
    this.#settle();
    if (this.#first.core.status().role !== "leader")
      throw new Error("the first member did not become leader");
  }

  propose(commands: readonly Uint8Array[]): void {
    this.#step(this.#first, () => {
      const answer = this.#first.core.propose(commands, this.#now, this.#out);
      if (answer.kind !== "accepted") throw new Error(`the leader refused: ${answer.kind}`);
    });
    this.#settle();
  }

  get #first(): Member {
    const first = this.#members[0];
    if (first === undefined) throw new Error("there are three members");
    return first;
  }

  /** Delivers until nobody has anything left to say. */
  #settle(): void {
    while (this.#mail.length > 0) {
      const mail = this.#mail;
      this.#mail = [];
      for (const { from, to, message } of mail) {
        const member = this.#byId.get(to);
        if (member === undefined) throw new Error("a message to nobody");
        this.#step(member, () => member.core.receive(from, message, this.#now, this.#out));
      }
    }
  }

  /** One input, and everything that follows from it at the same member. */
  #step(member: Member, input: () => void): void {
    const { id, core } = member;
    const out = this.#out;
    input();
    for (;;) {
      const records = out.records.count;
      const commits = out.commits.count;
      const last = commits === 0 ? undefined : out.commits.at(commits - 1).run.last;
      for (const lane of [out.sends, out.sendsOnceDurable]) {
        for (let at = 0; at < lane.count; at++) {
          const { to, message } = lane.at(at);
          this.#mail.push({ from: id, to: to as AgentId, message });
        }
      }
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
  let sequence = 0;
  const round = (): void => {
    const commands = Array.from({ length: batch }, () => {
      sequence += 1;
      return encodeCommand({ kind: "command", session: 1, sequence, unsettled: 1 }, payload);
    });
    cluster.propose(commands);
  };
  for (let warmUp = 0; warmUp < 20_000 / batch; warmUp++) round();

  const before = cluster.committed;
  const startedAt = performance.now();
  while (performance.now() - startedAt < seconds * 1000) for (let i = 0; i < 16; i++) round();
  const elapsed = (performance.now() - startedAt) / 1000;
  return { batch, commitsPerSecond: (cluster.committed - before) / elapsed };
}
