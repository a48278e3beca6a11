/**
 * What the members of one Raft group say to each other, write down and report. Names follow the paper (Ongaro and
 * Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014; "the thesis" is Ongaro's of the same year).
 *
 * `RaftMessage` may leave at once. `RaftPromise` binds its sender after a crash too, so it leaves only once every record
 * pushed before it is durable. The two unions share no kind: a vote that leaves early does not compile.
 */
import type {
  AgentId,
  LogIndex,
  Members,
  Micros,
  Protocol,
  Refusal,
  Role,
  Run,
  Snapshot,
  Term,
  Ticket,
} from "../core/index.ts";

/** "Would you vote for me?" Changes nothing at anyone (thesis, section 9.6). */
export interface PreVoteRequest {
  readonly kind: "preVoteRequest";
  /** The term that the sender would stand in: one above its own. */
  readonly term: Term;
  /** Index of the last entry in the sender's log. */
  readonly lastIndex: LogIndex;
  /** Term of that entry. */
  readonly lastTerm: Term;
}

export interface PreVoteAnswer {
  readonly kind: "preVoteAnswer";
  /** Granted: the term asked for. Refused: the answerer's own, so that a sender left behind catches up. */
  readonly term: Term;
  readonly granted: boolean;
}

/** The leader's entries; without any it asks whether the logs agree at `prevIndex` (paper, figure 2: AppendEntries). */
export interface Append {
  readonly kind: "append";
  /** The leader's. */
  readonly term: Term;
  /** Index of the entry right before those in `runs`. */
  readonly prevIndex: LogIndex;
  /** Term of that entry. */
  readonly prevTerm: Term;
  /** What the leader knows to be decided; it counts only as far as this message reaches. */
  readonly commit: LogIndex;
  /** Runs that follow one another, the first from `prevIndex + 1` on: the very bytes of the leader's log. */
  readonly runs: readonly Run[];
}

/** The digest that a member's state has once the entry at `index` is applied: the same on every member, or agreement is broken. */
export interface Checkpoint {
  readonly index: LogIndex;
  readonly digest: Uint8Array;
}

/** "I still lead." Sent on time, whatever the logs do. */
export interface Heartbeat {
  readonly kind: "heartbeat";
  readonly term: Term;
  /** What is decided, never above what the receiver is known to have as the leader has it. */
  readonly commit: LogIndex;
  /** Counts the leader's rounds in this term. The answer brings it back, which confirms the reads that came before it. */
  readonly round: number;
  /** The leader's newest one, once it has passed one in this life. */
  readonly checkpoint?: Checkpoint;
  /** The highest priority among the other voters that are there: whoever has less gives them a head start. */
  readonly nextPriority?: number;
  /**
   * Some member needs the log from this entry on. Whoever hears that holds on to it as the leader does, within the same bound:
   * it may lead next. Absent where all have what is decided.
   */
  readonly heldFrom?: LogIndex;
}

export interface HeartbeatAnswer {
  readonly kind: "heartbeatAnswer";
  /** The answerer's: a higher one than the leader's deposes that. */
  readonly term: Term;
  /** As in the heartbeat. */
  readonly round: number;
  /** The answerer's. Absent in the first version, which knows no priorities. */
  readonly priority?: number;
  /** From when the heartbeat came, it votes for nobody for so long, by its own clock; see `lease.ts`. Absent: it pledges nothing. */
  readonly pledge?: Micros;
}

/** News of what is decided, as soon as it is; never answered, and a heartbeat makes up for a lost one. */
export interface Commit {
  readonly kind: "commit";
  readonly term: Term;
  /** As in a heartbeat. */
  readonly commit: LogIndex;
}

/** A leader that hands over asks its successor to stand at once, without a poll (thesis, section 3.10: TimeoutNow). */
export interface CampaignNow {
  readonly kind: "campaignNow";
  /** The leader's; in any other it means nothing. */
  readonly term: Term;
}

/** In place of a heartbeat, in an idle group: "You have all of the log, and all of it is decided: sleep." */
export interface Hibernate {
  readonly kind: "hibernate";
  readonly term: Term;
  /** The log's end. */
  readonly last: LogIndex;
}

/** "I sleep until I hear of you." Of a higher term than the leader's: it deposes that, and nobody sleeps. */
export interface Hibernating {
  readonly kind: "hibernating";
  /** The answerer's. */
  readonly term: Term;
  /** As in the question. */
  readonly last: LogIndex;
}

/** One who no longer sleeps, or comes back, to whoever leads: "Are you there?" Answered by a heartbeat. */
export interface WakeUp {
  readonly kind: "wakeUp";
  /** The sender's. */
  readonly term: Term;
}

/** Commands that reached a follower, on their way to the leader. */
export interface Forward {
  readonly kind: "forward";
  /** The follower's. A command belongs to no term, so a later leader may take it as well. */
  readonly term: Term;
  /** Each in the form of `encodeCommand`, not yet stamped. */
  readonly commands: readonly Uint8Array[];
}

/** Names one command of one session. */
export interface CommandName {
  readonly session: number;
  readonly sequence: number;
}

/** None of these forwarded commands has been or will be appended by this agent. */
export interface ForwardRefused {
  readonly kind: "forwardRefused";
  readonly commands: readonly CommandName[];
  readonly refusal: Refusal;
}

/** A follower asks from which index on its state is fresh enough for its reads. */
export interface ReadRequest {
  readonly kind: "readRequest";
  /** The follower's own number; it comes back with the answer. */
  readonly ticket: Ticket;
}

export interface ReadAnswer {
  readonly kind: "readAnswer";
  /** As in the request. */
  readonly ticket: Ticket;
  /** The index to wait for, confirmed by a quorum after the request arrived; or why there is none. */
  readonly outcome: { readonly kind: "index"; readonly index: LogIndex } | Refusal;
}

/** A candidate asks for votes. A promise, for it binds the candidate: it has voted for itself and can't vote again. */
export interface VoteRequest {
  readonly kind: "voteRequest";
  /** The term that the candidate stands in. */
  readonly term: Term;
  /** Index of the last entry in the candidate's log. */
  readonly lastIndex: LogIndex;
  /** Term of that entry. */
  readonly lastTerm: Term;
  /** The leader of the term before asked the candidate to stand: whoever hears that leader may vote all the same. */
  readonly transfer?: true;
}

export interface VoteAnswer {
  readonly kind: "voteAnswer";
  /** The answerer's. */
  readonly term: Term;
  readonly granted: boolean;
}

/** The log is the leader's up to `matched`, on this disk. */
export interface AppendMatched {
  readonly kind: "appendMatched";
  readonly term: Term;
  readonly matched: LogIndex;
}

/**
 * The log is not the leader's at `prevIndex`, or the leader's term is over. The hint lets the leader skip a whole term
 * at each probe (paper, end of section 5.3).
 */
export interface AppendRejected {
  readonly kind: "appendRejected";
  /** The answerer's. */
  readonly term: Term;
  /** As in the append that is rejected: tells an outdated rejection from a fresh one. */
  readonly prevIndex: LogIndex;
  /** The highest index at which the logs may still agree. */
  readonly hintIndex: LogIndex;
  /** Term of the entry there. */
  readonly hintTerm: Term;
}

export type RaftMessage =
  | PreVoteRequest
  | PreVoteAnswer
  | Append
  | Heartbeat
  | HeartbeatAnswer
  | Commit
  | CampaignNow
  | Hibernate
  | Hibernating
  | WakeUp
  | Forward
  | ForwardRefused
  | ReadRequest
  | ReadAnswer;

export type RaftPromise = VoteRequest | VoteAnswer | AppendMatched | AppendRejected;

/** What the state starts from: nothing (index 0, term 0), or a snapshot up to `index`. A group's first record is one. */
export interface BaseRecord {
  readonly kind: "base";
  readonly index: LogIndex;
  /** Term of the entry at `index`. */
  readonly term: Term;
  /** No entry up to `index` has a later logged time, in microseconds; so entries behind it go on from here. */
  readonly time: number;
  /** Who takes part as of `index`. */
  readonly members: Members;
  /** Absent where there is nothing up to `index`. */
  readonly snapshot?: { readonly digest: Uint8Array; readonly byteLength: number };
  /** Term and vote as of this record, so that it replaces every hard state before it. Absent in a group's first record. */
  readonly hardState?: HardState;
}

export interface HardState {
  readonly term: Term;
  /** Who has this agent's vote in `term`. */
  readonly votedFor?: AgentId;
  /** It pledges its vote for so long at a time; see `lease.ts`. Absent: it does not. */
  readonly pledge?: Micros;
}

/** Replaces the one before. */
export interface HardStateRecord extends HardState {
  readonly kind: "hardState";
}

/** Entries of the log; whatever it held from `run.first` on is gone. */
export interface EntriesRecord {
  readonly kind: "entries";
  readonly run: Run;
}

export type RaftRecord = BaseRecord | HardStateRecord | EntriesRecord;

export type RaftEvent =
  | {
      /** After every input that changed the role, the term or the known leader. */
      readonly kind: "role";
      readonly role: Role;
      readonly term: Term;
      readonly leader?: AgentId;
    }
  | {
      /** The fate of forwarded commands: certainly not appended by the leader that was asked. */
      readonly kind: "refused";
      readonly commands: readonly CommandName[];
      readonly refusal: Refusal;
    }
  | {
      /** The reads of this ticket may be answered from this agent's state now. */
      readonly kind: "readable";
      readonly ticket: Ticket;
    }
  | {
      /** The reads of this ticket can't be answered; ask again. */
      readonly kind: "readRefused";
      readonly ticket: Ticket;
      readonly refusal: Refusal;
    }
  | {
      /** This agent's state is not the leader's, after the same entries up to `index`. */
      readonly kind: "diverged";
      readonly index: LogIndex;
    }
  | {
      /**
       * This snapshot, which has arrived, takes the place of the state at hand and of all that was handed out and is not yet
       * applied; see `LogCore.snapshotArrived`.
       */
      readonly kind: "restore";
      readonly snapshot: Snapshot;
    }
  | {
      /** The configuration in force has changed: another one is in the log, or the last one is no longer. */
      readonly kind: "members";
      readonly members: Members;
    };

export interface RaftProtocol extends Protocol {
  message: RaftMessage;
  promise: RaftPromise;
  record: RaftRecord;
  event: RaftEvent;
}
