/**
 * Who leads. First a poll that changes nothing (pre-vote: thesis, section 9.6), then the vote. A vote binds, so whoever
 * asks or answers does so only once term and vote are on its disk; its own vote counts from then on, too.
 */
import {
  assert,
  jointVoteResult,
  type AgentId,
  type LogIndex,
  type Now,
  type Outbox,
  type Term,
} from "../core/index.ts";
import { takeOffice } from "./leadership.ts";
import { isPledged } from "./lease.ts";
import type {
  CampaignNow,
  PreVoteAnswer,
  PreVoteRequest,
  RaftProtocol,
  VoteAnswer,
  VoteRequest,
} from "./messages.ts";
import { losesPatience, notePoll, patienceEnds, restartPatience } from "./patience.ts";
import { refuseReads } from "./reads.ts";
import { persistTerm } from "./records.ts";
import {
  diskStalls,
  following,
  hearsLeader,
  isMember,
  isVoter,
  leaderOf,
  mayCampaign,
  type RaftState,
} from "./state.ts";
import { enterTerm, waitForLeader } from "./transitions.ts";

/** The deadline of whoever does not lead has come. */
export function patienceMayEnd(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  if (!losesPatience(state)) {
    waitForLeader(state, now);
    return;
  }
  const ends = patienceEnds(state);
  if (ends > now.monotonic) {
    // The leader was heard from meanwhile. Its messages do not move the deadline: this does, once per time-out.
    state.deadline = ends;
    return;
  }
  // After a sleep the leader's messages still wait to be read; with a disk that hangs no vote could ever leave.
  const asleep = now.monotonic - state.deadline > state.electionTimeoutMin;
  if (asleep || diskStalls(state, now.monotonic)) {
    restartPatience(state, now.monotonic);
    return;
  }
  if (isPledged(state, now.monotonic)) {
    state.deadline = state.pledgedUntil;
    return;
  }
  poll(state, now, out);
}

/** Campaigns at once. Leaders, and whoever does not vote or has pledged its vote, stay what they are. */
export function campaign(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  if (state.role.kind === "leading" || !mayCampaign(state) || isPledged(state, now.monotonic)) return;
  poll(state, now, out);
}

function poll(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  refuseReads(state, undefined, out);
  state.attempts += 1;
  notePoll(state);
  restartPatience(state, now.monotonic);
  state.role = { kind: "polling", votes: new Map([[state.self, true]]) };
  const { last, lastTerm } = state.log;
  const term = (state.term + 1) as Term;
  for (const to of otherVoters(state)) {
    out.sends.push({
      to,
      channel: "urgent",
      message: { kind: "preVoteRequest", term, lastIndex: last, lastTerm },
    });
  }
  countPoll(state, now, out);
}

function countPoll(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  assert(state.role.kind === "polling", "a poll is counted while it goes on");
  const { votes } = state.role;
  const result = jointVoteResult(state.members, (id) => votes.get(id));
  if (result === "won") stand(state, "poll", now, out);
  else if (result === "lost") state.role = following(undefined);
}

/**
 * The leader hands over to this agent: it stands at once, for a poll would fail where the leader is heard. What comes late
 * or twice is of an office that is over (thesis, section 3.10).
 */
export function receiveCampaignNow(
  state: RaftState,
  from: AgentId,
  message: CampaignNow,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (message.term !== state.term || !isVoter(state, state.self)) return;
  const leader = leaderOf(state);
  if (leader !== undefined && leader !== from) return;
  refuseReads(state, undefined, out);
  stand(state, "transfer", now, out);
}

/** A candidate in a term of its own. */
function stand(state: RaftState, because: "poll" | "transfer", now: Now, out: Outbox<RaftProtocol>): void {
  assert(because === "transfer" || !isPledged(state, now.monotonic), "R43: a pledged vote is not one's own");
  const term = (state.term + 1) as Term;
  const voteRecord = persistTerm(state, term, state.self, now, out);
  state.role = { kind: "standing", votes: new Map(), voteRecord };
  restartPatience(state, now.monotonic);
  const { last, lastTerm } = state.log;
  for (const to of otherVoters(state)) {
    out.sendsOnceDurable.push({
      to,
      channel: "urgent",
      message: {
        kind: "voteRequest",
        term,
        lastIndex: last,
        lastTerm,
        ...(because === "transfer" && { transfer: true }),
      },
    });
  }
}

/** More records are on disk: the own vote may be among them. */
export function ownVoteMayCount(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  if (state.role.kind !== "standing" || state.role.voteRecord > state.pending.durableRecord) return;
  if (state.role.votes.has(state.self)) return;
  state.role.votes.set(state.self, true);
  countVotes(state, now, out);
}

function countVotes(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  assert(state.role.kind === "standing", "votes are counted for a candidate");
  const { votes } = state.role;
  const result = jointVoteResult(state.members, (id) => votes.get(id));
  if (result === "won") takeOffice(state, now, out);
  else if (result === "lost") state.role = following(undefined);
}

function otherVoters(state: RaftState): Set<AgentId> {
  const voters = new Set([...state.members.voters, ...state.members.outgoing]);
  voters.delete(state.self);
  return voters;
}

/** Whether a log that ends so holds everything that this one has decided (paper, section 5.4.1). */
function isUpToDate(state: RaftState, lastTerm: Term, lastIndex: LogIndex): boolean {
  const { log } = state;
  if (lastTerm !== log.lastTerm) return lastTerm > log.lastTerm;
  return lastIndex >= log.last;
}

// ── asked ──

/** Anybody is answered, members or not: whoever asks may know of newer members (thesis, section 4.1). */
export function receivePreVoteRequest(
  state: RaftState,
  from: AgentId,
  message: PreVoteRequest,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const granted =
    message.term > state.term &&
    !hearsLeader(state, now.monotonic) &&
    !isPledged(state, now.monotonic) &&
    isUpToDate(state, message.lastTerm, message.lastIndex);
  const term = granted ? message.term : state.term;
  out.sends.push({ to: from, channel: "urgent", message: { kind: "preVoteAnswer", term, granted } });
}

export function receiveVoteRequest(
  state: RaftState,
  from: AgentId,
  message: VoteRequest,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const isNewTerm = message.term > state.term;
  // Whoever lost touch, or was removed, does not depose a leader that the others hear; a successor that it asked does.
  const isTaken = isPledged(state, now.monotonic) || (isNewTerm && hearsLeader(state, now.monotonic));
  if (isTaken && message.transfer !== true) return;
  const isFree = isNewTerm || state.votedFor === from || mayStillVote(state, message.term);
  const granted =
    isFree && message.term >= state.term && isUpToDate(state, message.lastTerm, message.lastIndex);
  if (isNewTerm) {
    enterTerm(state, message.term, granted ? from : undefined, now, out);
  } else if (granted) {
    if (state.votedFor === undefined) persistTerm(state, state.term, from, now, out);
    if (state.role.kind === "polling") state.role = following(undefined);
  }
  if (granted) waitForLeader(state, now);
  out.sendsOnceDurable.push({
    to: from,
    channel: "urgent",
    message: { kind: "voteAnswer", term: state.term, granted },
  });
}

/** Nobody has this agent's vote in `term`, and nobody leads it yet. */
function mayStillVote(state: RaftState, term: Term): boolean {
  return term === state.term && state.votedFor === undefined && leaderOf(state) === undefined;
}

// ── answered ──

export function receivePreVoteAnswer(
  state: RaftState,
  from: AgentId,
  message: PreVoteAnswer,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (!isMember(state, from)) return;
  if (!message.granted && message.term > state.term) {
    enterTerm(state, message.term, undefined, now, out);
    return;
  }
  if (state.role.kind !== "polling" || state.role.votes.has(from)) return;
  if (message.granted && message.term !== state.term + 1) return;
  state.role.votes.set(from, message.granted);
  countPoll(state, now, out);
}

export function receiveVoteAnswer(
  state: RaftState,
  from: AgentId,
  message: VoteAnswer,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (!isMember(state, from)) return;
  if (message.term > state.term) {
    enterTerm(state, message.term, undefined, now, out);
    return;
  }
  if (state.role.kind !== "standing" || message.term !== state.term || state.role.votes.has(from)) return;
  state.role.votes.set(from, message.granted);
  countVotes(state, now, out);
}
