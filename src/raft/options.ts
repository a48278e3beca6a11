/** What a member of a Raft group is told at construction. */
import { assert, limits, type AgentId, type Members, type Prng } from "../core/index.ts";

/** The limits that a simulation makes small, so that windows fill and tails are cut within a short run. */
export interface RaftLimits {
  /** Entries in one message to a follower, and in one run of the leader's log. */
  readonly appendBytesMax: number;
  readonly inFlightAppendsMax: number;
  readonly inFlightEntriesMax: number;
  readonly inFlightBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly applyBytesMax: number;
  readonly logTailBytesMax: number;
  readonly logKeptBytesMax: number;
  readonly logHeldBytesMax: number;
  readonly checkpointEntriesMax: number;
}

export interface RaftOptions {
  readonly self: AgentId;
  /**
   * Who founds the group; `unknownMembers` where this agent joins one. Ignored where the records have a base: then they say
   * who takes part.
   */
  readonly members: Members;
  readonly prng: Prng;
  /** Each wait for a leader is drawn anew from this range, both ends included. */
  readonly electionTimeoutMs: readonly [number, number];
  /** A leader is heard from at least so often. At most half of the shortest election time-out. */
  readonly heartbeatMs: number;
  /** 0 to `limits.priorityMax`, 50 by default: among voters that could lead, the highest should. 0: it never campaigns by itself. */
  readonly priority?: number | undefined;
  /**
   * False by default. A leader answers reads by lease, and a voter pledges its vote for it; see `lease.ts` for what that asks of
   * clocks. Each member says so for itself: a lease counts on those that pledge.
   */
  readonly leaseReads?: boolean | undefined;
  /**
   * False by default. Its memory is empty on purpose: it was taken out of the group, so nothing counts that it ever promised.
   * Messages to the member that it was may still arrive in this life.
   */
  readonly beginsAnew?: boolean | undefined;
  readonly limits?: Partial<RaftLimits>;
  /** Absent: an idle group goes on with its heartbeats. Else whoever hosts it watches its peers while it sleeps (`Hibernation`). */
  readonly hibernation?: HibernationOptions | undefined;
}

export interface HibernationOptions {
  /** A leader puts its group to sleep after so many heartbeats without anything else to do. */
  readonly quietBeats: number;
  /** A sleep that its leader does not renew ends after twice this time; it renews it within this time. */
  readonly renewalMs: number;
}

export const priorityDefault = 50;

/** What the paper suggests for networks where a message takes well under 15 ms (section 9.3). */
export const raftTimings = { electionTimeoutMs: [150, 300], heartbeatMs: 50 } as const;

/** To fall asleep and to wake costs a group about as much as two heartbeats do, so it should be idle for longer than that. */
export const raftHibernation: HibernationOptions = { quietBeats: 1, renewalMs: 60_000 };

/** The limits in force. Asserts that they fit together: wrong ones are a bug of whoever hosts the group. */
export function raftLimits(given: Partial<RaftLimits> = {}): RaftLimits {
  const chosen: RaftLimits = {
    appendBytesMax: limits.appendBytesMax,
    inFlightAppendsMax: limits.inFlightAppendsMax,
    inFlightEntriesMax: limits.inFlightEntriesMax,
    inFlightBytesMax: limits.inFlightBytesMax,
    uncommittedBytesMax: limits.uncommittedBytesMax,
    applyBytesMax: limits.applyBytesMax,
    logTailBytesMax: limits.logTailBytesMax,
    logKeptBytesMax: limits.logKeptBytesMax,
    logHeldBytesMax: limits.logHeldBytesMax,
    checkpointEntriesMax: limits.checkpointEntriesMax,
    ...given,
  };
  for (const value of Object.values(chosen) as number[]) {
    assert(Number.isSafeInteger(value) && value > 0, "a limit is a whole number above zero");
  }
  assert(
    chosen.inFlightAppendsMax <= limits.inFlightAppendsMax,
    "the sends of one input fit into their lane",
  );
  assert(chosen.appendBytesMax <= limits.batchBytesMax, "a run fits into a record");
  return chosen;
}

// One input can fill every follower's window and tell each of them a commit, a heartbeat and a read's answer besides. Those
// who were removed and are still told so are never more than the voters that a joint configuration has besides.
export const peersMax: number = 2 * limits.votersMax + limits.learnersMax;
assert(peersMax * (limits.inFlightAppendsMax + 4) <= limits.laneEffectsMax, "the sends of one input fit");
assert(limits.appendRunsMax + 4 <= limits.laneEffectsMax, "the records of one input fit");
assert(limits.applyRunsMax <= limits.laneEffectsMax, "the commits of one input fit");
assert(2 * limits.readTicketsMax + 4 <= limits.laneEffectsMax, "the events of one input fit");
