/** The other side of the log: what a follower makes of its leader's messages. */
import {
  assert,
  entryLength,
  entryTerm,
  QuorateError,
  sliceRun,
  type AgentId,
  type LogIndex,
  type Now,
  type Outbox,
  type Run,
  type Term,
} from "../core/index.ts";
import { receiveCheckpoint } from "./checkpoints.ts";
import { commitThrough } from "./committing.ts";
import { holdFrom } from "./keeping.ts";
import { pledgeVote } from "./lease.ts";
import type { Append, Commit, Heartbeat, RaftProtocol } from "./messages.ts";
import { noteLeader } from "./patience.ts";
import { askAgain } from "./reads.ts";
import { persist } from "./records.ts";
import type { RaftState } from "./state.ts";
import { enterTerm, follow } from "./transitions.ts";

/** False where the term of `from` is over. Else it leads, and was just heard from. */
export function acceptLeader(
  state: RaftState,
  from: AgentId,
  term: Term,
  now: Now,
  out: Outbox<RaftProtocol>,
): boolean {
  if (term < state.term) return false;
  noteLeader(state, now);
  if (term > state.term) enterTerm(state, term, undefined, now, out);
  assert(state.role.kind !== "leading", "R1: at most one leader in a term");
  if (state.role.kind !== "following" || state.role.leader === undefined) {
    follow(state, from, now, out);
  } else {
    assert(state.role.leader === from, "R1: at most one leader in a term");
  }
  state.quietSince = now.monotonic;
  state.attempts = 0;
  state.leaderHeardAt = now.monotonic;
  return true;
}

export function receiveAppend(
  state: RaftState,
  from: AgentId,
  message: Append,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  // A leader whose term is over learns so, or one that came back with a higher term would never be led again.
  if (!acceptLeader(state, from, message.term, now, out)) {
    reject(state, from, message, out);
    return;
  }
  const { runs } = message;
  const last = runs.length === 0 ? message.prevIndex : runs[runs.length - 1]!.last;
  // What is decided is the same everywhere, so an old append that lies within it needs no comparison.
  if (last > state.commitIndex) {
    const isKnown = message.prevIndex < state.commitIndex;
    if (!isKnown && state.log.termAt(message.prevIndex) !== message.prevTerm) {
      reject(state, from, message, out);
      return;
    }
    for (const run of runs) takeRun(state, run, now, out);
    commitThrough(state, message.commit < last ? message.commit : last);
  }
  out.sendsOnceDurable.push({
    to: from,
    channel: "urgent",
    message: { kind: "appendMatched", term: state.term, matched: last },
  });
}

function reject(state: RaftState, to: AgentId, message: Append, out: Outbox<RaftProtocol>): void {
  const { prevIndex, prevTerm } = message;
  const agreeing = state.log.lastOfTermAtMost(prevTerm, prevIndex);
  // What is decided agrees with every later leader.
  const hintIndex = agreeing < state.commitIndex ? state.commitIndex : agreeing;
  const hintTerm = state.log.termAt(hintIndex);
  assert(hintTerm !== undefined, "the log reaches back to what is decided");
  out.sendsOnceDurable.push({
    to,
    channel: "urgent",
    message: { kind: "appendRejected", term: state.term, prevIndex, hintIndex, hintTerm },
  });
}

/** Takes what the log does not have yet; only an entry of another term makes anything in it go (paper, figure 2). */
function takeRun(state: RaftState, run: Run, now: Now, out: Outbox<RaftProtocol>): void {
  const { log } = state;
  if (run.first === log.last + 1) {
    persist(state, { kind: "entries", run }, now, out);
    return;
  }
  const first = firstDifference(state, run);
  if (first > run.last) return;
  assert(first > state.commitIndex, "R9: what is decided is never replaced");
  const rest = sliceRun(run, first, Number.POSITIVE_INFINITY);
  persist(state, { kind: "entries", run: rest }, now, out);
}

/** The first entry of `run` that the log does not have; behind its end where it has all. */
function firstDifference(state: RaftState, run: Run): LogIndex {
  let offset = 0;
  let index: number = run.first;
  while (index <= run.last) {
    const isDecided = index <= state.commitIndex;
    if (!isDecided && state.log.termAt(index as LogIndex) !== entryTerm(run.bytes, offset)) break;
    offset += entryLength(run.bytes, offset);
    index += 1;
  }
  return index as LogIndex;
}

export function receiveHeartbeat(
  state: RaftState,
  from: AgentId,
  message: Heartbeat,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const isLeader = acceptLeader(state, from, message.term, now, out);
  const pledge = isLeader ? pledgeVote(state, now, out) : undefined;
  out.sends.push({
    to: from,
    channel: "urgent",
    message: {
      kind: "heartbeatAnswer",
      term: state.term,
      round: message.round,
      priority: state.priority,
      ...(pledge !== undefined && { pledge }),
    },
  });
  if (!isLeader) return;
  state.nextPriority = message.nextPriority ?? 0;
  holdFrom(state, message.heldFrom);
  commitMatched(state, message.commit);
  if (message.checkpoint !== undefined) receiveCheckpoint(state, message.checkpoint, out);
  if (state.role.kind === "following") askAgain(state, state.role, now, out);
}

export function receiveCommit(
  state: RaftState,
  from: AgentId,
  message: Commit,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (acceptLeader(state, from, message.term, now, out)) commitMatched(state, message.commit);
}

/**
 * The leader counts on entries that this agent acknowledged: if they are gone, it must not go on as if nothing had happened.
 * Unless they went with the member that it was, to which the leader says farewell, or said this before it was removed.
 */
export function commitMatched(state: RaftState, commit: LogIndex): void {
  if (commit > state.log.last) {
    if (state.beginsAnew) return;
    throw forgotten(state.log.last, commit);
  }
  commitThrough(state, commit);
}

/** Not a broken invariant of this program: an older copy of the data folder was put back, or the end of the journal rotted. */
function forgotten(last: LogIndex, commit: LogIndex): QuorateError {
  return new QuorateError(
    "DATA_CORRUPT",
    `The journal ends at entry ${last}, but this member has acknowledged entries up to ${commit}.`,
    {
      outcome: "unknown",
      hint: "It has lost part of its memory and must not vote again: put the journal back as it last was (no older copy), or leave this member stopped.",
    },
  );
}
