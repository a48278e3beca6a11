/**
 * Linearizable reads without a log entry (thesis, section 6.4). The leader notes what is decided, and makes sure with one
 * round of heartbeats that it still leads; then every agent whose state has reached that index may answer.
 *
 * The leader numbers the rounds itself, per term, and an answer confirms only the reads that came before its round left.
 * (Where whoever asks chooses the number that comes back, a leader that was paused can serve a stale read: etcd #20418.)
 * Reads that come while a round is on its way gather for the next: one round at a time serves any number of them.
 *
 * With a lease (`lease.ts`) the leader knows without a round of its own that it still leads.
 */
import {
  jointCommittedIndex,
  limits,
  type AgentId,
  type LogIndex,
  type Now,
  type Outbox,
  type Refusal,
  type Ticket,
} from "../core/index.ts";
import { neededBehind } from "./keeping.ts";
import { holdsLease, nextRound } from "./lease.ts";
import type { RaftProtocol, ReadAnswer } from "./messages.ts";
import type { Progress } from "./progress.ts";
import {
  isMember,
  leaderOf,
  newTicket,
  type Following,
  type Leading,
  type RaftState,
  type ReadBatch,
} from "./state.ts";

export function read(
  state: RaftState,
  now: Now,
  out: Outbox<RaftProtocol>,
): { kind: "ticket"; ticket: Ticket } | Refusal {
  const { role } = state;
  if (role.kind !== "leading" && (role.kind !== "following" || role.leader === undefined)) {
    return { kind: "notLeader" };
  }
  // A leader answers members only.
  if (role.kind === "following" && !isMember(state, state.self)) return notLeader(state);
  const inFlight = state.settledReads.length + (role.kind === "leading" ? role.confirming.length : 0);
  if (inFlight >= limits.readTicketsMax)
    return { kind: "overloaded", inFlight, inFlightMax: limits.readTicketsMax };
  if (role.kind === "following") return { kind: "ticket", ticket: gatherAtFollower(state, role, now, out) };
  if (holdsLease(state, role, now)) return { kind: "ticket", ticket: readByLease(state, role, out) };
  const batch = gatherAtLeader(role);
  const ticket = (batch.ticket ??= newTicket(state));
  startRoundIfIdle(state, role, now, out);
  return { kind: "ticket", ticket };
}

// ── at the leader ──

/** Confirmed as it comes, from what is decided now on. Reads that wait for the same share a ticket. */
function readByLease(state: RaftState, leading: Leading, out: Outbox<RaftProtocol>): Ticket {
  const index = confirmedByLease(state, leading);
  const waiting = state.settledReads.at(-1);
  if (waiting?.index === index) return waiting.ticket;
  const ticket = newTicket(state);
  state.settledReads.push({ ticket, index });
  releaseReads(state, out);
  return ticket;
}

/** Nothing leaves for such a read, so it has to be said that the group is in use, and no time to sleep. */
function confirmedByLease(state: RaftState, leading: Leading): LogIndex {
  leading.rest.last = undefined;
  return state.commitIndex;
}

function gatherAtLeader(leading: Leading): ReadBatch {
  leading.gathering ??= { ticket: undefined, requests: new Map(), index: 0 as LogIndex, round: 0 };
  return leading.gathering;
}

function startRoundIfIdle(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  if (leading.gathering === undefined || leading.confirming.length > 0) return;
  startRound(state, leading, now, out);
}

/** "I still lead", as part of the last round that left. */
export function sendHeartbeat(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  out: Outbox<RaftProtocol>,
): void {
  const checkpoint = state.checkpoints.at(-1);
  const heldBehind = neededBehind(leading);
  const commit = peer.matched < state.commitIndex ? peer.matched : state.commitIndex;
  if (peer.commitTold < commit) peer.commitTold = commit;
  // If it was asked whether it may sleep, this wakes it.
  leading.rest.asked.delete(peer);
  out.sends.push({
    to: peer.id,
    channel: "urgent",
    message: {
      kind: "heartbeat",
      term: state.term,
      commit,
      round: leading.round,
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(leading.nextPriority > 0 && { nextPriority: leading.nextPriority }),
      ...(heldBehind < state.commitIndex && { heldFrom: (heldBehind + 1) as LogIndex }),
    },
  });
}

/** The next heartbeat leaves, and with it the question behind every read that gathered. */
export function startRound(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  nextRound(state, leading, now);
  for (const peer of leading.peers.values()) sendHeartbeat(state, leading, peer, out);
  const batch = leading.gathering;
  if (batch === undefined) return;
  leading.gathering = undefined;
  batch.round = leading.round;
  // Only once its own first entry is decided does a leader know all that is (thesis, section 6.4, step 1).
  batch.index = state.commitIndex > leading.firstIndex ? state.commitIndex : leading.firstIndex;
  leading.confirming.push(batch);
  settleConfirmed(state, leading, now, out);
}

/** Some rounds may have been answered by a quorum: their reads are confirmed. */
export function settleConfirmed(
  state: RaftState,
  leading: Leading,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (leading.confirming.length === 0) return;
  const confirmed: number = jointCommittedIndex(state.members, leading.roundOf);
  let settled = 0;
  for (const batch of leading.confirming) {
    if (batch.round > confirmed) break;
    settled += 1;
    for (const [from, ticket] of batch.requests) {
      answer(from, { kind: "readAnswer", ticket, outcome: { kind: "index", index: batch.index } }, out);
    }
    if (batch.ticket !== undefined) state.settledReads.push({ ticket: batch.ticket, index: batch.index });
  }
  if (settled === 0) return;
  leading.confirming.splice(0, settled);
  releaseReads(state, out);
  startRoundIfIdle(state, leading, now, out);
}

export function receiveReadRequest(
  state: RaftState,
  from: AgentId,
  ticket: Ticket,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (state.role.kind !== "leading" || !isMember(state, from)) {
    answer(from, { kind: "readAnswer", ticket, outcome: notLeader(state) }, out);
    return;
  }
  if (holdsLease(state, state.role, now)) {
    const outcome = { kind: "index", index: confirmedByLease(state, state.role) } as const;
    answer(from, { kind: "readAnswer", ticket, outcome }, out);
    return;
  }
  gatherAtLeader(state.role).requests.set(from, ticket);
  startRoundIfIdle(state, state.role, now, out);
}

function answer(to: AgentId, message: ReadAnswer, out: Outbox<RaftProtocol>): void {
  out.sends.push({ to, channel: "urgent", message });
}

// ── at a follower ──

function gatherAtFollower(state: RaftState, role: Following, now: Now, out: Outbox<RaftProtocol>): Ticket {
  const ticket = (role.gathering ??= newTicket(state));
  askLeader(role, now, out);
  return ticket;
}

function askLeader(role: Following, now: Now, out: Outbox<RaftProtocol>): void {
  if (role.leader === undefined || role.asked !== undefined || role.gathering === undefined) return;
  role.asked = role.gathering;
  role.gathering = undefined;
  sendRequest(role, now, out);
}

function sendRequest(role: Following, now: Now, out: Outbox<RaftProtocol>): void {
  if (role.leader === undefined || role.asked === undefined) return;
  role.askedAt = now.monotonic;
  out.sends.push({
    to: role.leader,
    channel: "urgent",
    message: { kind: "readRequest", ticket: role.asked },
  });
}

/** A request or its answer may be lost: with a heartbeat comes the time to ask again. */
export function askAgain(state: RaftState, role: Following, now: Now, out: Outbox<RaftProtocol>): void {
  if (role.asked === undefined || now.monotonic - role.askedAt < 2 * state.heartbeatInterval) return;
  sendRequest(role, now, out);
}

export function receiveReadAnswer(
  state: RaftState,
  message: ReadAnswer,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const { role } = state;
  if (role.kind !== "following" || role.asked !== message.ticket) return;
  role.asked = undefined;
  const { outcome } = message;
  if (outcome.kind === "index") {
    state.settledReads.push({ ticket: message.ticket, index: outcome.index });
    releaseReads(state, out);
  } else {
    out.events.push({ kind: "readRefused", ticket: message.ticket, refusal: outcome });
  }
  askLeader(role, now, out);
}

// ── at either ──

/** This agent's state may have reached the index that some reads wait for. */
export function releaseReads(state: RaftState, out: Outbox<RaftProtocol>): void {
  const waiting = state.settledReads;
  let released = 0;
  while (released < waiting.length && waiting[released]!.index <= state.applied) {
    out.events.push({ kind: "readable", ticket: waiting[released]!.ticket });
    released += 1;
  }
  if (released > 0) waiting.splice(0, released);
}

/** The role ends: its reads that are not confirmed never will be. Those that are stay good. */
export function refuseReads(state: RaftState, leader: AgentId | undefined, out: Outbox<RaftProtocol>): void {
  const refusal: Refusal = leader === undefined ? { kind: "notLeader" } : { kind: "notLeader", leader };
  const refuse = (ticket: Ticket | undefined): void => {
    if (ticket !== undefined) out.events.push({ kind: "readRefused", ticket, refusal });
  };
  const { role } = state;
  if (role.kind === "leading") {
    for (const batch of role.confirming) refuse(batch.ticket);
    refuse(role.gathering?.ticket);
  } else if (role.kind === "following") {
    refuse(role.asked);
    refuse(role.gathering);
  }
}

export function notLeader(state: RaftState): Refusal {
  const leader = leaderOf(state);
  return leader === undefined ? { kind: "notLeader" } : { kind: "notLeader", leader };
}
