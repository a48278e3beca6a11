/** The types of handles: what users hold in their hands. */
import type { Json } from "../../state/index.ts";
import type { GroupStatus } from "../gateway.ts";
import type { DecidedEntry } from "./decided-entries.ts";
import type { Decision } from "./decision.ts";
import type { MemberOptions, MemberRoles } from "./member-changes.ts";
import type { Call } from "./options.ts";
import type { Faces, NoState } from "./state-kinds.ts";

/** The built-in mechanisms, and what a handle of each can do. */
export interface Mechanisms<S = NoState> {
  raft: Log<S>;
}

export type Mechanism = keyof Mechanisms;

/** A group as one agent sees it. */
export interface Status extends Omit<GroupStatus, "mechanism"> {
  readonly mechanism: Mechanism;
}

export interface WatchStatusOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What every handle of a group can do, whatever its mechanism. Handles are made at once and do no I/O by themselves. */
export interface Group extends AsyncDisposable {
  readonly name: string;
  /** Resolves once the group can decide. Rejects with `NO_QUORUM` or `TIMEOUT`. */
  ready(call?: Call): Promise<void>;
  /** What is known without asking. */
  status(): Status;
  /** The status now, and again whenever role, term or leader changed; a slow reader sees the newest one only. */
  watch(options?: WatchStatusOptions): AsyncIterable<Status>;
  /** The handle of another member; in-process groups only. Throws `BAD_OPTION` for one that is none. */
  peer(id: string): this;
  /** Closes the handle; in an in-process group this stops its member, which hands over first what it leads. Idempotent; later calls reject with `CLOSED`. */
  close(): Promise<void>;
}

export interface EntriesOptions {
  /** The first index wanted; 1 by default. */
  readonly from?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A group that keeps an ordered log (Raft). */
export interface Log<S = NoState> extends Group {
  /** The replicated state machines, by the names they were given. */
  readonly state: Faces<S>;
  /** Has the value decided, and gives it back. Rejects with `REJECTED` where the request id was used for another value. */
  propose<V extends Json>(value: V, call?: Call): Promise<V>;
  /** The same, watched on its way. */
  submit<V extends Json>(value: V, call?: Call): Decision<V>;
  /**
   * Every decided value in order of the log, each once from whatever index it is read; goes on with new ones. The log
   * also holds repeats and refused commands, which are left out: an agent remembers the newest 65,536 of a group
   * (`skippedEntriesMax`). Further back it takes them for decided: there a value may come twice, or one that was refused.
   * Rejects with `COMPACTED` where the history is gone.
   */
  entries(options?: EntriesOptions): AsyncIterable<DecidedEntry>;
  /** Campaigns now; true if this agent leads when that is over. Rejects with `NO_QUORUM` where nobody can win. */
  startElection(call?: Call): Promise<boolean>;
  /**
   * Appends all or none. True: all are decided. False: this agent does not lead, and nothing was appended. Rejects
   * where neither could be found out; asking again with the error's request id appends nothing twice.
   */
  appendEntries(entries: readonly Json[], call?: Call): Promise<boolean>;
  /**
   * Says what agents become: `{ d: "voter", a: "removed" }`. A newcomer is a learner until it has caught up; then the old
   * voters and the new decide together for a moment, and the new ones from then on. Resolves once that is decided. Rejects
   * with `BAD_OPTION` where the group can't be so, with `NO_QUORUM` where it did not begin, and with `TIMEOUT` where it has
   * begun and goes on by itself.
   */
  changeMembers(members: MemberRoles, options?: MemberOptions): Promise<void>;
  /**
   * Hands leadership over: to that voter, or to the one that is furthest. Resolves to who leads then; nothing waits for an
   * election meanwhile. Rejects with `NOT_READY` where nobody can take over, with `BUSY` during a change of members, and with
   * `TIMEOUT` where it did not happen in time.
   */
  transferLeadership(to?: string, call?: Call): Promise<string>;
  /** The value decided under that request id (a list, where there were several); undefined if there is none. */
  learnDecision(id: string, call?: Call): Promise<Json | undefined>;
}
