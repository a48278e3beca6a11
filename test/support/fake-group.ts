/** A hosted group without a mechanism: the test decides what is applied, who leads and what is answered. */
import type { Refusal, Role } from "../../src/core/boundary.ts";
import type { ProgressState } from "../../src/core/decision.ts";
import { encodeCommand, stampEntry } from "../../src/core/entry.ts";
import type { AgentId, GroupName, LogIndex, Term } from "../../src/core/ids.ts";
import { membersOf, type Members } from "../../src/core/members.ts";
import type { Changes, MachineChange } from "../../src/core/machine.ts";
import type {
  AppliedEntries,
  GroupObserver,
  HostedGroup,
  HostedStatus,
  ProposeOptions,
  QueryAnswer,
  SnapshotTaken,
} from "../../src/driver/hosted.ts";
import type { Order, OrderResult } from "../../src/driver/orders.ts";
import type { SnapshotFound } from "../../src/journal/snapshots.ts";

export class FakeGroup implements HostedGroup {
  readonly name: GroupName;
  readonly self: AgentId;
  role: Role = "follower";
  term = 1;
  leader: AgentId | undefined;
  members: Members;
  applied = 0 as LogIndex;
  observer: GroupObserver | undefined;
  readonly proposals: ({ commands: Uint8Array[] } & ProposeOptions)[] = [];
  readonly untracked: number[] = [];
  readonly queries: { question: Uint8Array; at: string; done: (answer: QueryAnswer) => void }[] = [];
  readonly history: MachineChange[] = [];
  base = 0 as LogIndex;
  /** History and entries before it are gone. */
  earliest = 1;
  campaigns = 0;
  readonly orders: { order: Order; done: (result: OrderResult) => void }[] = [];
  /** At a leader that is handing over. */
  successor: AgentId | undefined;
  diskFull = false;
  closes = 0;
  /** Indices of entries that are said to have had no effect. */
  readonly withoutEffect = new Set<number>();
  readonly #entries = new Map<number, Uint8Array>();

  constructor(name = "main", self = "agent_1") {
    this.name = name as GroupName;
    this.self = self as AgentId;
    this.members = membersOf([this.self]);
  }

  // ── what the test does ──

  lead(role: Role, leader?: string, term = this.term): void {
    this.role = role;
    this.leader = leader as AgentId | undefined;
    this.term = term;
    this.observer?.statusChanged();
  }

  change(members: Members): void {
    this.members = members;
    this.observer?.membersChanged(members);
  }

  /** The next entry is applied: a command of that session. */
  apply(session: number, sequence: number, answer: Uint8Array, change?: Uint8Array): void {
    const index = this.applied + 1;
    const kind = sequence === 0 ? "openSession" : "command";
    const entry = encodeCommand({ kind, session, sequence, unsettled: 1 }, new Uint8Array(3));
    stampEntry(entry, 0, index as LogIndex, this.term as Term, 1);
    this.#entries.set(index, entry);
    this.applied = index as LogIndex;
    if (change !== undefined) this.history.push({ index, bytes: change });
    this.observer?.applied(entry, 0, answer);
  }

  /** The state is replaced by one of this index: entries and changes up to it are gone. */
  restore(index: number): void {
    this.applied = index as LogIndex;
    this.base = index as LogIndex;
    this.earliest = index + 1;
    this.observer?.restored(this.applied);
  }

  refuse(session: number, sequence: number, refusal: Refusal): void {
    this.observer?.refused(session, sequence, refusal);
  }

  progress(session: number, sequence: number, state: ProgressState): void {
    this.observer?.progressed(session, sequence, state);
  }

  // ── the group ──

  status(): HostedStatus {
    return {
      mechanism: "raft",
      self: this.self,
      role: this.role,
      term: this.term as Term,
      leader: this.leader,
      base: this.base,
      first: 1 as LogIndex,
      last: this.applied,
      durable: this.applied,
      committed: this.applied,
      applied: this.applied,
      hibernating: false,
      leaseEnds: undefined,
      holdsLease: false,
      electionPriority: 50,
      members: this.members,
      peers: [],
      successor: this.successor,
      lagMs: 1.6,
      diskFull: this.diskFull,
      baseBytes: this.base * 10,
    };
  }

  propose(commands: readonly Uint8Array[], options: ProposeOptions): void {
    this.proposals.push({ commands: [...commands], ...options });
  }

  untrack(session: number): void {
    this.untracked.push(session);
  }

  query(question: Uint8Array, at: "linearizable" | "local", done: (answer: QueryAnswer) => void): void {
    this.queries.push({ question, at, done });
  }

  entries(from: LogIndex): AppliedEntries | undefined {
    if (from < this.earliest) return { kind: "compacted", earliest: this.earliest as LogIndex };
    const bytes = this.#entries.get(from);
    if (bytes === undefined) return undefined;
    return { first: from, last: from, bytes, withoutEffect: this.withoutEffect.has(from) ? [from] : [] };
  }

  changes(_filter: Uint8Array, from: number, changesMax: number): Changes {
    if (from < this.earliest) return { kind: "compacted", earliest: this.earliest };
    const changes = this.history.filter(({ index }) => index >= from).slice(0, changesMax);
    return { kind: "changes", changes, through: this.applied };
  }

  campaign(): void {
    this.campaigns += 1;
  }

  order(order: Order, done: (result: OrderResult) => void): void {
    this.orders.push({ order, done });
  }

  takeSnapshot(done: (taken: SnapshotTaken) => void): void {
    done({ kind: "nothing" });
  }

  readSnapshot(): SnapshotFound {
    return { kind: "missing" };
  }

  digest(): Uint8Array {
    return Uint8Array.of(0xab, this.applied);
  }

  close(): void {
    this.closes += 1;
  }
}
