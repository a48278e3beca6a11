/**
 * Which agents suffice to decide. One idea carries all of it: a quorum is a set of voters that is *enough*, and any two
 * sets that are enough share a voter. So an index is committed when those who have reached it are enough; a vote is won
 * when those who said yes are enough, and lost when those who have not said no are no longer enough.
 *
 * What is enough: more than half (Raft, Multi-Paxos); a given count per phase, so that every replication quorum meets
 * every election quorum (Howard, Malkhi and Spiegelman, "Flexible Paxos", 2016); more than half of the weight (Gifford,
 * "Weighted Voting for Replicated Data", 1979); or enough of two sets at once while one replaces the other (Ongaro,
 * "Consensus: Bridging Theory and Practice", 2014, section 4.3).
 *
 * An empty set of voters has no objection to anything: it commits everything and wins every vote. That makes it
 * the neutral second half of a joint quorum.
 */
import { assert } from "./assert.ts";
import { QuorateError } from "./errors.ts";
import type { AgentId, LogIndex } from "./ids.ts";

export type VoteResult = "won" | "lost" | "pending";

/** How far an agent's log is known to match; undefined: nothing is known. It must not call back into this file. */
export type MatchedOf = (id: AgentId) => LogIndex | undefined;

/** What an agent answered; undefined: nothing yet. */
export type VoteOf = (id: AgentId) => boolean | undefined;

/** What an empty set of voters has committed: every index. */
export const everyIndex: LogIndex = Number.POSITIVE_INFINITY as LogIndex;

/** The smallest count that is more than half of `count`. */
export function majority(count: number): number {
  assert(Number.isSafeInteger(count) && count >= 0, "a count of voters is a whole number from 0");
  return Math.floor(count / 2) + 1;
}

/** Sorted anew at each call: an array per acknowledgement would be the costliest part of it. */
const descending: number[] = [];

/**
 * The highest index that at least `needed` of the (distinct) voters have reached: by default, more than half.
 * {@link everyIndex} where there are no voters. For few voters: it sorts by insertion.
 */
export function committedIndex(
  voters: readonly AgentId[],
  matchedOf: MatchedOf,
  needed: number = majority(voters.length),
): LogIndex {
  const count = voters.length;
  if (count === 0) return everyIndex;
  assert(needed >= 1 && needed <= count, "a quorum has at least one voter and at most all");
  for (let filled = 0; filled < count; filled++) {
    const matched = matchedOf(voters[filled]!) ?? 0;
    let at = filled;
    for (; at > 0 && descending[at - 1]! < matched; at--) descending[at] = descending[at - 1]!;
    descending[at] = matched;
  }
  return descending[needed - 1] as LogIndex;
}

/** The result of a vote that needs `needed` of the (distinct) voters: by default, more than half. Won where there are no voters. */
export function voteResult(
  voters: readonly AgentId[],
  voteOf: VoteOf,
  needed: number = majority(voters.length),
): VoteResult {
  if (voters.length === 0) return "won";
  assert(needed >= 1 && needed <= voters.length, "a quorum has at least one voter and at most all");
  let yes = 0;
  let open = 0;
  for (const voter of voters) {
    const vote = voteOf(voter);
    if (vote === true) yes += 1;
    else if (vote === undefined) open += 1;
  }
  return resultOf(yes, open, needed);
}

function resultOf(yes: number, open: number, needed: number): VoteResult {
  if (yes >= needed) return "won";
  return yes + open >= needed ? "pending" : "lost";
}

// ── joint quorums ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Two sets of voters of which both must agree; `outgoing` is empty except while members are being replaced. */
export interface JointVoters {
  readonly voters: readonly AgentId[];
  readonly outgoing: readonly AgentId[];
}

/** The highest index that a majority of `voters` AND a majority of `outgoing` have reached. */
export function jointCommittedIndex(members: JointVoters, matchedOf: MatchedOf): LogIndex {
  const incoming = committedIndex(members.voters, matchedOf);
  if (members.outgoing.length === 0) return incoming;
  const outgoing = committedIndex(members.outgoing, matchedOf);
  return incoming < outgoing ? incoming : outgoing;
}

/** Won once both sets have won, lost as soon as one has lost. */
export function jointVoteResult(members: JointVoters, voteOf: VoteOf): VoteResult {
  const incoming = voteResult(members.voters, voteOf);
  if (members.outgoing.length === 0) return incoming;
  const outgoing = voteResult(members.outgoing, voteOf);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}

// ── flexible quorums ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Sizes for the third argument of {@link committedIndex} (replication) and of {@link voteResult} (election). */
export interface FlexibleQuorum {
  readonly count: number;
  readonly replicationQuorum: number;
  readonly electionQuorum: number;
}

/** Checks that every replication quorum meets every election quorum. Throws `BAD_OPTION` where two could miss each other. */
export function flexible(sizes: FlexibleQuorum): FlexibleQuorum {
  const { count, replicationQuorum, electionQuorum } = sizes;
  if (!Number.isSafeInteger(count) || count < 1) throw badQuorum("A group has at least one voter.");
  for (const quorum of [replicationQuorum, electionQuorum]) {
    if (!Number.isSafeInteger(quorum) || quorum < 1 || quorum > count) {
      throw badQuorum(`A quorum of ${quorum} is not from 1 to all ${count} voters.`);
    }
  }
  if (replicationQuorum + electionQuorum <= count) {
    throw badQuorum(
      `${replicationQuorum} and ${electionQuorum} of ${count} voters need not share one, so a new leader could miss what was decided.`,
    );
  }
  return { count, replicationQuorum, electionQuorum };
}

// ── weighted quorums ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Voters with a weight each (a whole number, so that sums are exact in any order), and how much weight is enough. */
export interface WeightedQuorum {
  readonly weights: ReadonlyMap<AgentId, number>;
  readonly threshold: number;
}

/** Checks that two sets that reach the threshold always share a voter. Throws `BAD_OPTION` where they need not. */
export function weighted(quorum: WeightedQuorum): WeightedQuorum {
  let total = 0;
  for (const [voter, weight] of quorum.weights) {
    if (!Number.isSafeInteger(weight) || weight < 0) {
      throw badQuorum(`The weight ${weight} of ${voter} is not a whole number from 0.`);
    }
    total += weight;
  }
  if (!Number.isSafeInteger(total))
    throw badQuorum("The weights add up to more than can be counted exactly.");
  const { threshold } = quorum;
  if (!Number.isSafeInteger(threshold) || threshold * 2 <= total || threshold > total) {
    throw badQuorum(`A threshold of ${threshold} is not more than half of the total weight ${total}.`);
  }
  return { weights: new Map(quorum.weights), threshold };
}

/** The highest index that voters of enough weight have reached. */
export function weightedCommittedIndex(quorum: WeightedQuorum, matchedOf: MatchedOf): LogIndex {
  if (quorum.weights.size === 0) return everyIndex;
  let committed = 0;
  for (const candidate of quorum.weights.keys()) {
    const index = matchedOf(candidate) ?? 0;
    if (index <= committed) continue;
    let weight = 0;
    for (const [voter, share] of quorum.weights) {
      if ((matchedOf(voter) ?? 0) >= index) weight += share;
    }
    if (weight >= quorum.threshold) committed = index;
  }
  return committed as LogIndex;
}

/** Won once the voters who said yes weigh enough, lost once those who have not said no weigh too little. */
export function weightedVoteResult(quorum: WeightedQuorum, voteOf: VoteOf): VoteResult {
  if (quorum.weights.size === 0) return "won";
  let yes = 0;
  let open = 0;
  for (const [voter, weight] of quorum.weights) {
    const vote = voteOf(voter);
    if (vote === true) yes += weight;
    else if (vote === undefined) open += weight;
  }
  return resultOf(yes, open, quorum.threshold);
}

function badQuorum(message: string): QuorateError {
  return new QuorateError("BAD_OPTION", message, {
    outcome: "notDone",
    hint: "Choose sizes of which any two that must meet add up to more than the whole.",
  });
}
