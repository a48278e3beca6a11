/**
 * Idle groups sleep, so that a thousand of them cost no more than one: no heartbeats of their own, no deadline that comes
 * soon. Agents that have sleeping groups in common watch each other (`Hibernation` at the boundary); that stands for the
 * heartbeats of all of them. (The idea is CockroachDB's quiescence and TiKV's hibernating regions; that everybody agrees
 * first, and that a sleep has an end, is ours.)
 *
 * It is a heartbeat that puts to sleep. A leader whose group was idle for some beats asks `hibernate` in place of the next
 * one. A follower that has all of the log, decided, durable and applied, answers `hibernating` and sleeps. If everybody has
 * answered by the next beat, the leader sleeps as well; if not, that beat is a heartbeat again, which wakes those that do.
 *
 * Nothing is lost by it. A sleeping leader has confirmed nothing since its last round, so reads need another one, and it
 * is deposed like any other. Whoever sleeps has all of the log; an entry more wakes it. And a sleep ends by itself: the
 * leader asks anew before a time that both know, so whatever went wrong, nobody sleeps on for long after it.
 */
import {
  assert,
  jointVoteResult,
  never,
  unreachable,
  type AgentId,
  type Hibernation,
  type LogIndex,
  type Micros,
  type Now,
  type Outbox,
} from "../core/index.ts";
import { acceptLeader, commitMatched } from "./following.ts";
import type { Hibernate, Hibernating, RaftMessage, RaftPromise, RaftProtocol, WakeUp } from "./messages.ts";
import { awaitsAnother } from "./priority.ts";
import type { Progress } from "./progress.ts";
import { sendHeartbeat, startRound } from "./reads.ts";
import { isMember, leaderOf, patienceEnds, type Leading, type RaftState, type Rest } from "./state.ts";
import { enterTerm, waitForLeader } from "./transitions.ts";

/** A leader that was refused waits twice as long before it asks again, up to so many beats. */
const quietBeatsMax = 256;

/** As a leader begins, and begins again when it wakes. */
export function restless(state: RaftState): Rest {
  const quietBeatsNeeded = state.hibernationOptions?.quietBeats ?? Number.POSITIVE_INFINITY;
  return { quietBeats: 0, quietBeatsNeeded, last: 0 as LogIndex, round: 0, agreed: undefined };
}

// ── the leader falls asleep ──

/** A beat is due: a heartbeat for everybody, or the question whether all may sleep. */
export function beat(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  leading.beat += 1;
  if (restsAtBeat(state, leading, now)) ask(state, leading, now, out);
  else startRound(state, leading, out);
  leading.rest.round = leading.round;
}

function restsAtBeat(state: RaftState, leading: Leading, now: Now): boolean {
  const { rest } = leading;
  const wasQuiet =
    rest.last === state.log.last && rest.round === leading.round && isIdle(state, leading, now);
  const isRefused = rest.agreed !== undefined && wasQuiet;
  rest.agreed = undefined;
  rest.last = state.log.last;
  rest.quietBeats = wasQuiet && !isRefused ? rest.quietBeats + 1 : 0;
  if (isRefused) rest.quietBeatsNeeded = Math.min(rest.quietBeatsNeeded * 2, quietBeatsMax);
  return rest.quietBeats >= rest.quietBeatsNeeded;
}

/** Everybody who is there has all of the log, and nothing is under way. */
function isIdle(state: RaftState, leading: Leading, now: Now): boolean {
  if (!isSettled(state) || leading.gathering !== undefined || leading.confirming.length > 0) return false;
  if (leading.transfer !== undefined || awaitsAnother(state, leading)) return false;
  if (state.members.outgoing.length > 0 || state.members.next.length > 0) return false;
  const heardSince = now.monotonic - 2 * state.heartbeatInterval;
  for (const peer of leading.peers.values()) {
    // Whoever was removed is still told so.
    if (!isMember(state, peer.id)) return false;
    if (state.absent.has(peer.id)) continue;
    if (peer.mode !== "replicate" || peer.matched !== state.log.last || peer.heardAt < heardSince)
      return false;
  }
  return hasQuorumWithoutAbsent(state);
}

/** Here: all of the log is decided, durable and applied, and no read waits. */
function isSettled(state: RaftState): boolean {
  const { log, pending, commitIndex, applied, settledReads, commitLoad } = state;
  return (
    commitIndex === log.last &&
    applied === log.last &&
    pending.count === 0 &&
    settledReads.length === 0 &&
    commitLoad === undefined
  );
}

function hasQuorumWithoutAbsent(state: RaftState): boolean {
  return jointVoteResult(state.members, (id) => !state.absent.has(id)) === "won";
}

/** Those that are away are shown a heartbeat: whoever of them is there all the same answers, and that wakes the leader. */
function ask(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  leading.rest.agreed = new Set();
  const message = { kind: "hibernate", term: state.term, last: state.log.last } as const;
  for (const peer of leading.peers.values()) {
    if (state.absent.has(peer.id)) sendHeartbeat(state, leading, peer, out);
    else out.sends.push({ to: peer.id, channel: "urgent", message });
  }
  // In a group of one nobody else is asked.
  sleepIfAllAgreed(state, leading, now);
}

export function receiveHibernating(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  message: Hibernating,
  now: Now,
): void {
  peer.heard(now.monotonic);
  if (message.last !== state.log.last) return;
  leading.rest.agreed?.add(peer.id);
  sleepIfAllAgreed(state, leading, now);
}

function sleepIfAllAgreed(state: RaftState, leading: Leading, now: Now): void {
  const { agreed } = leading.rest;
  if (agreed === undefined || !isIdle(state, leading, now)) return;
  for (const id of leading.peers.keys()) if (!agreed.has(id) && !state.absent.has(id)) return;
  leading.rest.agreed = undefined;
  leaderSleeps(state, leading);
  state.deadline = (now.monotonic + renewalDraw(state)) as Micros;
}

/** Leaders that fell asleep together do not ask anew together. */
function renewalDraw(state: RaftState): number {
  const renewal = renewalInterval(state);
  return state.prng.between(Math.ceil(renewal / 2), renewal);
}

function renewalInterval(state: RaftState): Micros {
  assert(state.hibernationOptions !== undefined, "R50: only a group that may sleep sleeps");
  return state.hibernationOptions.renewalInterval;
}

function leaderSleeps(state: RaftState, leading: Leading): void {
  const present: AgentId[] = [];
  const absent: AgentId[] = [];
  for (const id of leading.peers.keys()) (state.absent.has(id) ? absent : present).push(id);
  state.hibernation = hibernation(state, present, absent);
}

function hibernation(state: RaftState, present: readonly AgentId[], absent: readonly AgentId[]): Hibernation {
  return {
    present,
    absent,
    pulseInterval: state.heartbeatInterval,
    silence: state.electionTimeoutMin,
  };
}

// ── a follower falls asleep ──

/** Stands for a heartbeat that says that all up to `last` is decided. Whoever is not ready to sleep says nothing. */
export function receiveHibernate(
  state: RaftState,
  from: AgentId,
  message: Hibernate,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const isLeader = acceptLeader(state, from, message.term, now, out);
  if (isLeader) {
    commitMatched(state, message.last);
    if (!mayFollowerSleep(state, message.last)) {
      awaken(state, "leader", now, out);
      return;
    }
    // The object of a sleep that goes on stays the same.
    state.hibernation ??= hibernation(state, [from], []);
    state.deadline = (now.monotonic + 2 * renewalInterval(state)) as Micros;
  }
  out.sends.push({
    to: from,
    channel: "urgent",
    message: { kind: "hibernating", term: state.term, last: message.last },
  });
}

function mayFollowerSleep(state: RaftState, last: LogIndex): boolean {
  const { role } = state;
  return (
    state.hibernationOptions !== undefined &&
    role.kind === "following" &&
    role.asked === undefined &&
    role.gathering === undefined &&
    state.log.last === last &&
    isSettled(state)
  );
}

// ── what wakes ──

/** `leader`: it said something. `leaderGone`: its agent is not heard of, or it asks for votes itself. `other`: anything else. */
export type Rouser = "leader" | "leaderGone" | "other";

/** Called before whatever may change something. A leader tells everybody at once that it is there. */
export function awaken(state: RaftState, by: Rouser, now: Now, out: Outbox<RaftProtocol>): void {
  if (state.hibernation === undefined) return;
  state.hibernation = undefined;
  const { role } = state;
  if (role.kind === "leading") {
    role.rest = restless(state);
    role.awakeSince = now.monotonic;
    role.heartbeatAt = (now.monotonic + state.heartbeatInterval) as Micros;
    state.deadline = role.heartbeatAt;
    startRound(state, role, out);
    return;
  }
  const leader = leaderOf(state);
  assert(leader !== undefined, "R50: whoever sleeps leads, or follows a leader");
  waitForLeader(state, now);
  if (by === "leader") return;
  if (by === "leaderGone") {
    // The silence that was noticed counts: it takes no longer than if it had been awake all the time.
    state.quietSince = (now.monotonic - state.electionTimeoutMin) as Micros;
    if (state.deadline !== never) state.deadline = patienceEnds(state);
  } else {
    // Up to now the leader's agent was there. So nobody is voted for until the leader had its time to say that it is, too.
    state.leaderHeardAt = now.monotonic;
  }
  out.sends.push({ to: leader, channel: "urgent", message: { kind: "wakeUp", term: state.term } });
}

/** Before a message is passed on to whom it concerns. */
export function awakenFor(
  state: RaftState,
  from: AgentId,
  message: RaftMessage | RaftPromise,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const wasAbsent = state.absent.size > 0 && state.absent.delete(from);
  if (state.hibernation === undefined) return;
  const rouser = rouserOf(state, from, message, wasAbsent);
  if (rouser !== undefined) awaken(state, rouser, now, out);
}

/** Undefined where the sleep goes on: the message tells nothing new, or is of somebody who takes no part as far as is known here. */
function rouserOf(
  state: RaftState,
  from: AgentId,
  message: RaftMessage | RaftPromise,
  wasAbsent: boolean,
): Rouser | undefined {
  const isFromLeader = leaderOf(state) === from;
  switch (message.kind) {
    case "append":
    case "heartbeat":
    case "commit":
    case "campaignNow":
      return isFromLeader ? "leader" : "other";
    case "hibernate":
      return message.term > state.term ? "other" : undefined;
    case "hibernating":
    case "heartbeatAnswer":
      return isMember(state, from) && (wasAbsent || message.term > state.term) ? "other" : undefined;
    case "preVoteRequest":
    case "voteRequest":
      if (!isMember(state, from)) return undefined;
      return isFromLeader ? "leaderGone" : "other";
    case "preVoteAnswer":
    case "voteAnswer":
    case "appendMatched":
    case "appendRejected":
    case "wakeUp":
    case "forward":
    case "forwardRefused":
    case "readRequest":
    case "readAnswer":
      return isMember(state, from) ? "other" : undefined;
    default:
      return unreachable(message);
  }
}

/** A follower wonders whether its leader is there. The leader is awake by now and has said so; a higher term deposes it. */
export function receiveWakeUp(state: RaftState, message: WakeUp, now: Now, out: Outbox<RaftProtocol>): void {
  if (message.term > state.term) enterTerm(state, message.term, undefined, now, out);
}

/** A follower counts on its leader alone; a leader on a quorum. */
export function peerLinkWatched(
  state: RaftState,
  peer: AgentId,
  up: boolean,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (up) state.absent.delete(peer);
  else if (isMember(state, peer)) state.absent.add(peer);
  if (state.hibernation === undefined) return;
  if (state.role.kind !== "leading") {
    if (leaderOf(state) === peer) awaken(state, up ? "other" : "leaderGone", now, out);
  } else if (state.role.peers.has(peer)) {
    if (up || !hasQuorumWithoutAbsent(state)) awaken(state, "other", now, out);
    else leaderSleeps(state, state.role);
  }
}

/** The deadline of a sleeper has come. */
export function sleepEnds(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  const { role } = state;
  const isRenewal = role.kind === "leading" && role.rest.agreed === undefined;
  if (!isRenewal) {
    awaken(state, "other", now, out);
    return;
  }
  state.deadline = (now.monotonic + state.heartbeatInterval) as Micros;
  ask(state, role, now, out);
}
