/**
 * Reads without a round of their own (thesis, section 6.4.1), where whoever hosts the group asks for it: they trust clocks to
 * run about equally fast, which nothing else here does.
 *
 * A voter that answers a heartbeat *pledges* its vote: for its shortest election time-out from when the heartbeat came, it
 * votes for nobody and stands for nothing. So a leader whose round a quorum answered with a pledge knows that nobody else is
 * elected before these pledges end. It counts them from when the round *left*, and shorter by what clocks may differ; until
 * then it has a *lease*, and answers reads at once (R43, R44).
 *
 * It is not enough that voters refuse candidates while they hear a leader, as they do anyway: that ends where they learn of a
 * higher term, or begin anew. A pledge does not. Before a voter pledges for the first time, its disk has for how long it
 * will, and after a restart it waits for as long: whatever its options say by then.
 *
 * A voter that its leader asks to stand, and those whom it then asks for their votes, break their pledges. So a leader has
 * no lease any more once it has asked somebody.
 */
import {
  jointCommittedIndex,
  limits,
  never,
  type AgentId,
  type LogIndex,
  type Micros,
  type Now,
  type Outbox,
} from "../core/index.ts";
import type { HeartbeatAnswer, RaftProtocol } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { hardStateOf, persist } from "./records.ts";
import { isQuorum, type Leading, type RaftState } from "./state.ts";

// ── the voter ──

/** Its vote is pledged: nobody gets it but whom its leader asked to stand. */
export function isPledged(state: RaftState, now: Micros): boolean {
  return state.pledgedUntil > now;
}

/** It begins a life: an earlier one may have pledged its vote right before it ended. */
export function keepEarlierPledge(state: RaftState, now: Micros): void {
  if (state.pledge === 0) return;
  state.earlierPledgeEnds = (now + state.pledge) as Micros;
  state.pledgedUntil = state.earlierPledgeEnds;
}

/** It is about to answer its leader's heartbeat: gives for how long it pledges its vote from now on, if it does. */
export function pledgeVote(state: RaftState, now: Now, out: Outbox<RaftProtocol>): Micros | undefined {
  const pledge = state.leaseReads ? state.electionTimeoutMin : (0 as Micros);
  if (pledge !== state.pledge && (pledge > state.pledge || now.monotonic >= state.earlierPledgeEnds)) {
    const record = { kind: "hardState", ...hardStateOf(state.term, state.votedFor, pledge) } as const;
    state.pledgeRecord = persist(state, record, now, out);
  }
  const isOnDisk = pledge <= state.pledge && state.pledgeRecord <= state.pending.durableRecord;
  if (pledge === 0 || !isOnDisk) return undefined;
  const until = (now.monotonic + pledge) as Micros;
  if (until > state.pledgedUntil) state.pledgedUntil = until;
  return pledge;
}

// ── the leader ──

/** Rounds of which it is known when they left. An answer to an earlier one confirms it, but is no pledge. */
const roundsMax = 64;

/** A voter's, as its leader counts on it. */
export interface Pledge {
  /** When the round left that it answered. */
  readonly from: Now;
  /** For so long it votes for nobody else, by whichever of the clocks that may be used. */
  readonly certain: Micros;
}

/** What a leader knows for its lease. */
export interface Lease {
  /** When each of the last rounds left, by `round % roundsMax`. */
  readonly leftAt: Now[];
  /** It has asked a voter to stand: from then on pledges may be broken. */
  isForfeited: boolean;
}

export function newLease(): Lease {
  return { leftAt: [], isForfeited: false };
}

/** The next round leaves: gives it its number. */
export function nextRound(state: RaftState, leading: Leading, now: Now): void {
  leading.round += 1;
  if (!state.leaseReads) return;
  leading.lease.leftAt[leading.round % roundsMax] = { monotonic: now.monotonic, wall: now.wall };
}

/** A peer has answered, perhaps with a pledge. No lease is longer than this agent's own shortest time-out, whatever that says. */
export function notePledge(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  { round, pledge }: HeartbeatAnswer,
): void {
  const left = leading.lease.leftAt[round % roundsMax];
  if (left === undefined || pledge === undefined || round <= leading.round - roundsMax) return;
  const certain = certainPart(Math.min(pledge, state.electionTimeoutMin));
  const ends = left.monotonic + certain;
  if (peer.pledge === undefined || peer.pledge.from.monotonic + peer.pledge.certain < ends)
    peer.pledge = { from: left, certain };
}

/** By a clock that runs slower than the voter's by as much as is allowed, the voter's time is over no earlier. */
function certainPart(pledge: number): Micros {
  return Math.floor((pledge * (100 - limits.clockDriftPercentMax)) / 100) as Micros;
}

function mayHaveLease({ leaseReads, commitIndex }: RaftState, { lease, firstIndex }: Leading): boolean {
  return leaseReads && !lease.isForfeited && commitIndex >= firstIndex;
}

/** For whoever asks how it is: by the monotonic clock alone. */
export function leaseEnds(state: RaftState, leading: Leading): Micros | undefined {
  if (!mayHaveLease(state, leading)) return undefined;
  // The quorum function speaks of indices; instants are ordered just as well.
  const endOf = (id: AgentId): LogIndex => {
    const pledge = leading.peers.get(id)?.pledge;
    const others = pledge === undefined ? 0 : pledge.from.monotonic + pledge.certain;
    const ends: number = id === state.self ? never : others;
    return ends as LogIndex;
  };
  const ends: number = jointCommittedIndex(state.members, endOf);
  return ends === 0 ? undefined : (ends as Micros);
}

/** By both clocks: one of them may stand still while a machine is suspended, and one may be set. */
function isInForce({ from, certain }: Pledge, { monotonic, wall }: Now): boolean {
  return monotonic < from.monotonic + certain && from.wall <= wall && wall < from.wall + certain;
}

/** The leader falls asleep: what it was told before counts no more when it wakes. */
export function endLease(leading: Leading): void {
  leading.lease.leftAt.length = 0;
  for (const peer of leading.peers.values()) peer.pledge = undefined;
}

/**
 * Whether nobody else leads, and nobody can before this instant is over. Only once an entry of its own is decided is that so:
 * before, others may know of another configuration that nobody has decided, with majorities of its own.
 */
export function holdsLease(state: RaftState, leading: Leading, now: Now): boolean {
  const { peers } = leading;
  if (!mayHaveLease(state, leading)) return false;
  const hasPledged = (id: AgentId): boolean => {
    const pledge = peers.get(id)?.pledge;
    return pledge !== undefined && isInForce(pledge, now);
  };
  return isQuorum(state, hasPledged);
}
