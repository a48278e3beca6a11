/** Taking office, keeping it on time, and laying it down when nobody is there to lead. */
import {
  assert,
  emptyBytes,
  type AgentId,
  type LogIndex,
  type Micros,
  type Now,
  type Outbox,
} from "../core/index.ts";
import { beat, noteRefusal, restless } from "./hibernation.ts";
import { compact } from "./keeping.ts";
import { newLease, notePledge } from "./lease.ts";
import { dismissLeavers, markLogEnd, peersOf } from "./membership.ts";
import type { HeartbeatAnswer, RaftProtocol } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { preferAtBeat } from "./priority.ts";
import { appendOwn } from "./proposals.ts";
import { settleConfirmed } from "./reads.ts";
import { noteHeartbeatAnswered, replicate } from "./replication.ts";
import { diskStalls, isQuorum, isSoleVoter, type Leading, type RaftState } from "./state.ts";
import { transferAtBeat } from "./transfer.ts";
import { follow } from "./transitions.ts";

/** Elected. The first entry is one without a command: it decides what earlier leaders left (thesis, section 6.4). */
export function takeOffice(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  assert(state.role.kind === "standing", "only a candidate is elected");
  assert(state.votedFor === state.self, "R3: a leader has its own vote");
  const leading = leadingFrom(state, now);
  state.role = leading;
  appendOwn(state, leading, "noop", emptyBytes, now, out);
  state.deadline = leading.heartbeatAt;
  replicate(state, leading, out);
}

function leadingFrom(state: RaftState, now: Now): Leading {
  const { log, self } = state;
  const firstIndex = (log.last + 1) as LogIndex;
  const peers = peersOf(state, now);
  const leading: Leading = {
    kind: "leading",
    firstIndex,
    peers,
    heartbeatAt: (now.monotonic + state.heartbeatInterval) as Micros,
    beat: 0,
    round: 0,
    gathering: undefined,
    confirming: [],
    rest: restless(state, firstIndex),
    awakeSince: now.monotonic,
    // What an earlier office left undecided counts: it waits for a quorum just the same.
    committedBytes: log.bytesThrough(state.commitIndex),
    markedEnd: firstIndex,
    markedAt: now.monotonic,
    earlierEnd: firstIndex,
    lastTime: Math.max(log.lastTime(), now.wall),
    nextPriority: 0,
    lease: newLease(),
    transfer: undefined,
    isRetiring: false,
    lastAppend: undefined,
    matchedOf: (id) => (id === self ? state.pending.durableIndex : peers.get(id)?.matched),
    // The quorum function speaks of indices; rounds are counted just as well.
    roundOf: (id) => (id === self ? leading.round : peers.get(id)?.roundAnswered) as LogIndex | undefined,
  };
  return leading;
}

/**
 * A heartbeat is due. It does not leave if this agent was asleep for longer than an election takes, if its own disk hangs,
 * or if it is alone: then others have a better claim, and must not be told to wait.
 */
export function keepOffice(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  const lateness = now.monotonic - state.deadline;
  const asleep = lateness > state.electionTimeoutMax && !isSoleVoter(state);
  if (asleep || diskStalls(state, now.monotonic) || !hearsQuorum(state, leading, now)) {
    follow(state, undefined, now, out);
    return;
  }
  leading.heartbeatAt = nextOnGrid(leading.heartbeatAt, state.heartbeatInterval, now.monotonic);
  state.deadline = leading.heartbeatAt;
  markLogEnd(state, leading, now);
  dismissLeavers(state, leading);
  compact(state);
  transferAtBeat(state, leading, now, out);
  preferAtBeat(state, leading, now, out);
  beat(state, leading, now, out);
}

/** The grid's first instant after `now`: beats that were missed are not made up for. */
function nextOnGrid(due: Micros, interval: Micros, now: Micros): Micros {
  const missed = Math.floor((now - due) / interval);
  return (due + (missed + 1) * interval) as Micros;
}

/** Whether enough voters have answered within an election time-out. */
function hearsQuorum(state: RaftState, leading: Leading, now: Now): boolean {
  const since = now.monotonic - state.electionTimeoutMax;
  if (leading.awakeSince >= since) return true;
  const hears = (id: AgentId): boolean => {
    const peer = leading.peers.get(id);
    // The driver makes sure that sleepers are there.
    return peer !== undefined && (peer.heardAt >= since || leading.rest.sleepers.has(peer));
  };
  return isQuorum(state, hears);
}

export function receiveHeartbeatAnswer(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  message: HeartbeatAnswer,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (message.round > leading.round) return;
  peer.heard(now.monotonic);
  peer.priority = message.priority;
  if (peer.roundAnswered < message.round) peer.roundAnswered = message.round;
  notePledge(state, leading, peer, message);
  noteRefusal(leading, peer, message);
  settleConfirmed(state, leading, now, out);
  noteHeartbeatAnswered(state, leading, peer, out);
}
