/** The face of a group that the driver hosts, and what it tells whoever hosts it. */
import type {
  LogCore,
  LogStatus,
  Protocol,
  ProtocolCodec,
  Recovered,
  Refusal,
  Role,
  Snapshot,
} from "../core/boundary.ts";
import type { ProgressState } from "../core/decision.ts";
import type { Run } from "../core/entry.ts";
import type { QuorateError } from "../core/errors.ts";
import type { AgentId, GroupName, LogIndex, Term, Ticket } from "../core/ids.ts";
import type { Changes } from "../core/machine.ts";
import type { Members } from "../core/members.ts";
import type { Steps } from "../core/steps.ts";
import type { SnapshotFound } from "../journal/snapshots.ts";
import type { Order, OrderResult } from "./orders.ts";
import type { ArrivalNews } from "./receiving.ts";

/** The events of every ordered log. */
export type LogEvent =
  /** Role, term or leader changed. */
  | { readonly kind: "role"; readonly role: Role; readonly term: Term; readonly leader?: AgentId }
  /** Forwarded commands that have certainly not been appended. */
  | {
      readonly kind: "refused";
      readonly commands: readonly { readonly session: number; readonly sequence: number }[];
      readonly refusal: Refusal;
    }
  /** The reads behind this ticket may be answered from the state as it is now. */
  | { readonly kind: "readable"; readonly ticket: Ticket }
  | { readonly kind: "readRefused"; readonly ticket: Ticket; readonly refusal: Refusal }
  /** The state here is not the leader's after the same entries up to `index`. */
  | { readonly kind: "diverged"; readonly index: LogIndex }
  | { readonly kind: "restore"; readonly snapshot: Snapshot }
  /** Others take part than before, decided or not. */
  | { readonly kind: "members"; readonly members: Members };

/** A mechanism that the driver can host. A record that holds entries has them in a field `run`. */
export interface LogProtocol extends Protocol {
  event: LogEvent;
}

/** What decided entries are applied to; `ReplicatedState` in `state/` is the real one. */
export interface AppliedState {
  /** Applies the entry at `offset`, of any kind; gives the answer envelope, empty where nobody asked. */
  apply(bytes: Uint8Array, offset: number): Uint8Array;
  /** Answers a question (machine name and question bytes) with an answer envelope. */
  query(question: Uint8Array): Uint8Array;
  /** Of an applied entry: false for a repeat, and for what came out of order or was refused. */
  tookEffect(index: LogIndex): boolean;
  changes(filter: Uint8Array, from: number, changesMax: number): Changes;
  digest(): Uint8Array;
  /** The state as it is now, in pieces, whatever is applied while they are read. */
  snapshot(): Iterable<Uint8Array>;
  /**
   * Replaces the whole state by the one of this index and digest, whose snapshot it is: with the last of many short steps, and
   * until then the old state is in use. A step throws `MalformedError`, and the old state stays, where the pieces are not that.
   */
  restoring(pieces: Iterable<Uint8Array>, expected: Pick<Snapshot, "index" | "digest">): Steps<void>;
}

/** What becomes of a group's snapshots, for whoever writes it down. */
export type SnapshotNews =
  | ArrivalNews
  | { readonly kind: "taken"; readonly snapshot: Snapshot }
  /** It is tried again after a while. */
  | { readonly kind: "notTaken"; readonly index: LogIndex; readonly error: Error }
  /** What a restart would start from has rotted; the next one is taken at once. */
  | { readonly kind: "damaged"; readonly index: LogIndex };

export type SnapshotTaken =
  /** It was taken for this call, or was there as new. */
  | { readonly kind: "taken"; readonly snapshot: Snapshot }
  /** There is nothing to take one of: no entry has been applied. */
  | { readonly kind: "nothing" }
  | { readonly kind: "failed"; readonly error: Error }
  | { readonly kind: "closed" };

/** Called by the driver, within a turn. It may call the group back: that only queues. It must not throw. */
export interface GroupObserver {
  /** Every entry that is decided, in order of the log, once it is applied; after a restart from behind the base again. */
  applied(bytes: Uint8Array, offset: number, answer: Uint8Array): void;
  /** A command proposed here has certainly not been appended, now or later. */
  refused(session: number, sequence: number, refusal: Refusal): void;
  /**
   * A tracked command is in the leader's log and being written here (`proposed`), is on this agent's disk (`prepare`), is
   * decided and about to be applied here (`commit`). Each at most once, in this order; some may never be told.
   */
  progressed(session: number, sequence: number, state: ProgressState): void;
  /** Role, term or leader changed. */
  statusChanged(): void;
  /** Others take part than before. It is in force already, though perhaps not decided, and may still be taken back. */
  membersChanged(members: Members): void;
  /** The state has been replaced by a later one, of this index: what was applied in between is not told one by one. */
  restored(index: LogIndex): void;
  snapshotNews(news: SnapshotNews): void;
  /** The group can't go on here, and is hosted no more; the others are not concerned. The last call. */
  failed(error: QuorateError): void;
  /** An alarm: this agent's state is not the leader's after the same entries up to `index`. */
  diverged(index: LogIndex): void;
}

export interface HostOptions<P extends LogProtocol> {
  readonly name: GroupName;
  /** For people: `raft`, `paxos` or `pbft`. */
  readonly mechanism: string;
  readonly codec: ProtocolCodec<P>;
  /** Makes the core from what the journal holds of it. */
  readonly create: (recovered: Recovered<P>) => LogCore<P>;
  /**
   * Forget all that the disk has of it: it is damaged, and whoever hosts it has made sure that nothing that this member ever
   * promised counts any more.
   */
  readonly anew?: boolean;
  /** As it was before the first entry. */
  readonly state: AppliedState;
  readonly observer: GroupObserver;
  /** A snapshot is taken when so much was applied since the last. Default `limits.snapshotLogBytes`. */
  readonly snapshotLogBytes?: number | undefined;
}

export interface HostedStatus extends LogStatus {
  readonly mechanism: string;
  readonly self: AgentId;
  /** Milliseconds since this agent last heard from whoever leads; 0 at the leader itself. */
  readonly lagMs: number;
  /** It leads, and answers reads by lease at the moment. */
  readonly holdsLease: boolean;
  readonly diskFull: boolean;
  /** Of the snapshot at `base`; 0 where there is none. */
  readonly baseBytes: number;
}

export type QueryAnswer =
  | { readonly kind: "reply"; /** An answer envelope. */ readonly bytes: Uint8Array }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface AppliedRun extends Run {
  /** Rising: those of its entries that had no effect, as far as the state still knows. Mostly there are none. */
  readonly withoutEffect: readonly LogIndex[];
}

export type AppliedEntries =
  | AppliedRun
  | { readonly kind: "compacted"; /** The earliest index still known. */ readonly earliest: LogIndex };

export interface ProposeOptions {
  /** Refuse rather than forward. */
  readonly onlyAsLeader: boolean;
  /** Report the progress of these commands, as far as `limits.trackedCommandsMax` allows. */
  readonly tracked?: boolean;
}

export interface HostedGroup {
  readonly name: GroupName;
  /** Made anew at each call, so not for the hot path. */
  status(): HostedStatus;
  /** Cheap: as of the last turn. */
  readonly role: Role;
  readonly leader: AgentId | undefined;
  readonly applied: LogIndex;
  /**
   * Queues commands; all that wait are proposed in one turn, in order. Each command's fate is told by the observer:
   * `applied` with its session and sequence, or `refused`; neither, if its leader is lost, so callers repeat it.
   */
  propose(commands: readonly Uint8Array[], options: ProposeOptions): void;
  /** Nobody wants to hear of the progress of that session's commands any more. */
  untrack(session: number): void;
  /** `linearizable`: reflects every command that was acknowledged anywhere before the call. `done` is called exactly once, later. */
  query(question: Uint8Array, at: "linearizable" | "local", done: (answer: QueryAnswer) => void): void;
  /** Applied entries from `from` on, of at most `bytesMax` bytes but at least one; undefined where `from` is not applied yet. */
  entries(from: LogIndex, bytesMax: number): AppliedEntries | undefined;
  changes(filter: Uint8Array, from: number, changesMax: number): Changes;
  /** Campaign at once, by hand. */
  campaign(): void;
  /** Asks the leader for something, which this agent has to be. `done` is called exactly once, later. */
  order(order: Order, done: (result: OrderResult) => void): void;
  /** Takes a snapshot of what is applied by now, unless there is one as new. `done` is called exactly once, later. */
  takeSnapshot(done: (taken: SnapshotTaken) => void): void;
  /** A snapshot that was taken or has arrived here, for as long as it is needed here; whoever reads it closes it. */
  readSnapshot(index: LogIndex): SnapshotFound;
  /** Of the state at `applied`. */
  digest(): Uint8Array;
  /** Stops hosting it: queries are refused as `closed`, nothing is called back after. Its records stay in the journal. */
  close(): void;
}
