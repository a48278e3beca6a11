/**
 * The way into one group, wherever it is: over a group hosted in this process (`LocalGateway`) or over a client link to
 * an agent (`RemoteGateway`). Both are callback-based and keep no state of a call beyond its answer: sessions, repeats,
 * time-outs and promises are built on top, once for both.
 *
 * No callback runs inside the call that caused it.
 */
import type { Refusal, Role } from "../core/boundary.ts";
import type { ProgressState } from "../core/decision.ts";
import type { QuorateError } from "../core/errors.ts";
import type { GroupName } from "../core/ids.ts";
import type { Changes } from "../core/machine.ts";
import type { Order, OrderResult } from "../driver/orders.ts";

/** What people and pages are shown of a group, as one agent sees it. */
export interface GroupStatus {
  readonly mechanism: string;
  readonly group: string;
  /** The agent that says so. */
  readonly self: string;
  readonly role: Role;
  readonly term: number;
  readonly leader?: string;
  /** At a leader that is handing over: to whom. */
  readonly successor?: string;
  /** Those who vote. */
  readonly members: readonly string[];
  /** Those whom `members` replace, as long as both sets must agree; absent where there are none. */
  readonly outgoing?: readonly string[];
  readonly learners: readonly string[];
  /** Those who will vote once all of them have caught up; absent where no change is planned. */
  readonly next?: readonly string[];
  /** The last index in its log, durable or not. */
  readonly last: number;
  readonly committed: number;
  readonly applied: number;
  /** Idle and complete, and asleep until something happens. Absent where the agent's program does not say it. */
  readonly hibernating?: boolean;
  /** It leads, and answers reads by lease at the moment. Absent where it does not. */
  readonly holdsLease?: true;
  /** How much it is preferred as a leader. Absent where the agent's program does not say it. */
  readonly electionPriority?: number;
  /** The snapshot that it would begin from, and how large that is; absent where it has none. */
  readonly base?: { readonly index: number; readonly bytes: number };
  /** Milliseconds since it last heard from whoever leads; 0 at the leader. */
  readonly lagMs: number;
  /** Of the state at `applied`, in hexadecimal digits. */
  readonly digest: string;
  /** The disk has no room, so nothing more is decided there. Absent where the agent's program does not say it. */
  readonly diskFull?: boolean;
  /** At the leader: how far it knows the others to be. */
  readonly peers: readonly { readonly id: string; readonly matched: number; readonly mode: string }[];
}

/** Whether the agent that says so is a member: not one that was removed, or that waits to be taken in. */
export function takesPart({ self, members, outgoing = [], learners }: GroupStatus): boolean {
  return [members, outgoing, learners].some((ids) => ids.includes(self));
}

export type QueryResult =
  | { readonly kind: "reply"; /** An answer envelope. */ readonly bytes: Uint8Array }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "lost" };

export type ChangesResult = Changes | { readonly kind: "lost" };

export type EntriesResult =
  | {
      readonly kind: "entries";
      /** A run of applied entries, as it is in the log. */ readonly bytes: Uint8Array;
      /** Rising: the indices in it at which nothing took effect (repeats, what came out of order or was refused). */
      readonly withoutEffect: readonly number[];
    }
  | { readonly kind: "compacted"; /** The earliest index still known. */ readonly earliest: number }
  | { readonly kind: "lost" };

export type CampaignResult =
  | { readonly kind: "over"; readonly leading: boolean }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "lost" };

/** `tooOld`: the agent's program has no such order. */
export type OrderOutcome = OrderResult | { readonly kind: "lost" } | { readonly kind: "tooOld" };

export type StatusResult =
  | { readonly kind: "status"; readonly status: GroupStatus }
  | { readonly kind: "lost" };

/** Takes back a question: its `done` is not called any more. Calling it twice, or too late, does nothing. */
export type Cancel = () => void;

/** How commands are handed in. */
export interface ProposeOptions {
  /** Refuse rather than forward. */
  readonly onlyAsLeader?: boolean;
  /** Tell the listeners how far these commands come (`progressed`), besides their fate. */
  readonly tracked?: boolean;
}

export interface Gateway {
  readonly group: GroupName;
  /**
   * Hands in commands (each in the form of an entry, `core/entry.ts`), fire and forget: their fate comes to the
   * listeners, or never. Order is kept; commands that belong to one session must be given in the order of their sequence.
   */
  propose(commands: readonly Uint8Array[], options?: ProposeOptions): void;
  /** `lost`: the question may not have arrived; ask again. */
  query(question: Uint8Array, at: "linearizable" | "local", done: (result: QueryResult) => void): Cancel;
  /**
   * Long poll: answers once there is at least one change from index `from` on, or the history there is gone; without a
   * change where much has happened to other keys, so that the next question is not for what is gone by then.
   */
  changes(filter: Uint8Array, from: number, done: (result: ChangesResult) => void): Cancel;
  /** Long poll: answers once an entry at index `from` is applied; a run of at least one entry. */
  entries(from: number, done: (result: EntriesResult) => void): Cancel;
  /** Campaigns at once, and says whether that agent leads when it is over. */
  campaign(done: (result: CampaignResult) => void): Cancel;
  /** Asks the leader for something; `notLeader` where it was not found this time. `lost`: it may have been done. */
  order(order: Order, done: (result: OrderOutcome) => void): Cancel;
  /** The newest status known without asking. */
  status(): GroupStatus | undefined;
  refreshStatus(done: (result: StatusResult) => void): Cancel;
  /** The last index that is applied now; undefined where that has to be asked (`refreshStatus`). */
  appliedNow(): number | undefined;
  /** Why nothing comes through at the moment (no agent answers, no agent has the group): the cause to name in a time-out. */
  problem(): QuorateError | undefined;
  /** Returns how to stop listening. */
  listen(listener: GatewayListener): Cancel;
  /** Idempotent. What is under way ends as `lost`, and listeners hear `closed`. */
  close(): void;
}

export interface GatewayListener {
  /** A command of that session was applied; `answer` is its answer envelope. */
  answered(session: number, sequence: number, answer: Uint8Array): void;
  /** That command was certainly not appended by whoever refused it. */
  refused(session: number, sequence: number, refusal: Refusal): void;
  /**
   * How far a command has come that was handed in as `tracked`, as one agent saw it. Any may be missing, and after a
   * repeat or a change of the agent an earlier one may come again.
   */
  progressed(session: number, sequence: number, state: ProgressState): void;
  /** What is unanswered may be lost: hand it in again, in order. */
  interrupted(): void;
  statusChanged(status: GroupStatus): void;
  /** The last call. With an error where it was not the owner who closed. */
  closed(error?: QuorateError): void;
}
