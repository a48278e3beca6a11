/**
 * Idle groups sleep, so that a thousand of them cost no more than one: no heartbeats of their own, no deadline that comes
 * soon. Agents that have sleeping groups in common watch each other (`Hibernation` at the boundary); that stands for the
 * heartbeats of all of them. (The idea is CockroachDB's quiescence and TiKV's hibernating regions; that each member
 * agrees for itself, and that a sleep has an end, is ours.)
 *
 * It is a heartbeat that puts to sleep. A leader with nothing to do asks `hibernate` in place of a heartbeat. A follower that
 * has all of the log, decided, durable and applied, answers `hibernating` and sleeps; it gets no heartbeats then. Once
 * everybody who is there sleeps, the leader does, too. So one that lags, or joins, or is of an earlier version, has the
 * leader to itself, and an answer that is late or lost costs a heartbeat, not the sleep of the others.
 *
 * Nothing is lost by it. A sleeping leader has confirmed nothing since its last round, so reads need another one, and it
 * is deposed like any other. Whoever sleeps has all of the log; an entry more wakes it. And a sleep ends by itself: the
 * leader asks anew before a time that both know, so whatever went wrong, nobody sleeps on for long after it.
 */
import {
  assert,
  never,
  unreachable,
  type AgentId,
  type LogIndex,
  type Micros,
  type Now,
  type Outbox,
} from "../core/index.ts";
import { acceptLeader, commitMatched } from "./following.ts";
import { endLease, nextRound } from "./lease.ts";
import type {
  HeartbeatAnswer,
  Hibernate,
  Hibernating,
  RaftMessage,
  RaftPromise,
  RaftProtocol,
} from "./messages.ts";
import { patienceEnds } from "./patience.ts";
import { awaitsAnother } from "./priority.ts";
import type { Progress } from "./progress.ts";
import { sendHeartbeat, startRound } from "./reads.ts";
import { isMember, isQuorum, leaderOf, type Leading, type RaftState, type Rest } from "./state.ts";
import { waitForLeader } from "./transitions.ts";

/** One that answers nothing for so many beats is not waited for. */
const silentBeatsMax = 20;
const unaskedBeatsMax = 256;
const beatsToAnswerMax = 4;
/**
 * A pulse for each longest time-out, and so many in vain. That a process ended its links say at once; only where not even
 * they do, it takes so long, and only for groups that nobody uses: whoever wants something of a sleeping group wakes it, and
 * then the usual time-outs hold. Pulses as frequent as heartbeats would cost four agents 7 % of a core instead of 1.
 */
const silentPulsesMax = 3;
/** No heartbeat has this number, so it confirms nothing. */
const refusalRound = 0;

function quietBeatsMin(state: RaftState): number {
  return state.hibernationOptions?.quietBeats ?? Number.POSITIVE_INFINITY;
}

/** As a leader begins, and begins again when it wakes. */
export function restless(state: RaftState, last: LogIndex | undefined): Rest {
  const askAtBeat = quietBeatsMin(state);
  const rest = { quietBeats: 0, askAtBeat, last, round: 0, asleep: false };
  return { ...rest, asked: new Map(), sleepers: new Set() };
}

/** Whether this member sleeps. A leader can be awake for some while others sleep. */
export function isAsleep({ role, hibernation }: RaftState): boolean {
  return role.kind === "leading" ? role.rest.asleep : hibernation !== undefined;
}

// ── the leader falls asleep ──

/** A beat is due: a heartbeat for everybody, or for those who do not sleep, or the question whether they may. */
export function beat(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  leading.beat += 1;
  noteSilent(state, leading, now);
  const { rest } = leading;
  const isQuiet = rest.last === state.log.last && rest.round === leading.round && isIdle(state, leading);
  rest.last = state.log.last;
  if (isQuiet) quietBeat(state, leading, now, out);
  else if (rest.sleepers.size > 0) awaken(state, "other", now, out);
  else {
    rest.quietBeats = 0;
    startRound(state, leading, now, out);
  }
  leading.rest.round = leading.round;
}

/** One that answers nothing in this group for long is away, however well its agent is. */
function noteSilent(state: RaftState, { peers, rest, awakeSince }: Leading, now: Now): void {
  const heardSince = now.monotonic - silentBeatsMax * state.heartbeatInterval;
  if (awakeSince >= heardSince) return;
  for (const peer of peers.values()) {
    const isSilent = peer.heardAt < heardSince && !rest.sleepers.has(peer);
    if (isSilent && isMember(state, peer.id)) state.absent.add(peer.id);
  }
}

function quietBeat(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  const { rest } = leading;
  rest.quietBeats += 1;
  nextRound(state, leading, now);
  const asks = rest.quietBeats >= rest.askAtBeat;
  // Who is asked in vain gets heartbeats for ever longer: perhaps it does not know what it is asked.
  if (asks) rest.askAtBeat = Math.min(rest.askAtBeat * 2, rest.askAtBeat + unaskedBeatsMax);
  const answersBy = leading.beat - beatsToAnswer(state);
  for (const peer of leading.peers.values()) {
    const askedAt = rest.asked.get(peer) ?? Number.NEGATIVE_INFINITY;
    if (rest.sleepers.has(peer) || askedAt > answersBy) continue;
    if (asks && mayBeAsked(state, peer)) ask(state, leading, peer, out);
    else sendHeartbeat(state, leading, peer, out);
  }
  sleepIfAllDo(state, leading, now);
}

/** A question stands for the heartbeats of so many beats: where answers take longer than one, groups fall asleep all the same. */
function beatsToAnswer(state: RaftState): number {
  const beats = Math.floor(state.electionTimeoutMin / state.heartbeatInterval) - 1;
  return Math.min(Math.max(beats, 1), beatsToAnswerMax);
}

/** Here: all of the log is decided, durable and applied, and nothing is under way, with members neither. */
function isIdle(state: RaftState, leading: Leading): boolean {
  const { members } = state;
  if (!isSettled(state) || leading.gathering !== undefined || leading.confirming.length > 0) return false;
  if (leading.transfer !== undefined || awaitsAnother(state, leading)) return false;
  if (members.outgoing.length > 0 || members.next.length > 0) return false;
  // Whoever was removed is still told so.
  for (const id of leading.peers.keys()) if (!isMember(state, id)) return false;
  return true;
}

function isSettled(state: RaftState): boolean {
  const { log, pending, commitIndex, applied, settledReads, commitLoad } = state;
  return (
    commitIndex === log.last &&
    applied === log.last &&
    pending.durableIndex === log.last &&
    settledReads.length === 0 &&
    commitLoad === undefined
  );
}

function mayBeAsked(state: RaftState, peer: Progress): boolean {
  return peer.mode === "replicate" && peer.matched === state.log.last;
}

function ask(state: RaftState, leading: Leading, peer: Progress, out: Outbox<RaftProtocol>): void {
  leading.rest.asked.set(peer, leading.beat);
  const message = { kind: "hibernate", term: state.term, last: state.log.last } as const;
  out.sends.push({ to: peer.id, channel: "urgent", message });
}

export function receiveHibernating(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  message: Hibernating,
  now: Now,
): void {
  peer.heard(now.monotonic);
  const { rest } = leading;
  // Something was sent to it after the question: that wakes it.
  if (message.last !== state.log.last || !rest.asked.delete(peer) || !isIdle(state, leading)) return;
  rest.sleepers.add(peer);
  noteSleepers(state, rest);
  sleepIfAllDo(state, leading, now);
}

/** It does not sleep, and says so. */
export function noteRefusal(leading: Leading, peer: Progress, message: HeartbeatAnswer): void {
  if (message.round === refusalRound) leading.rest.asked.delete(peer);
}

/** Everybody but those who are away. */
function sleepIfAllDo(state: RaftState, leading: Leading, now: Now): void {
  const { rest } = leading;
  if (rest.quietBeats < quietBeatsMin(state)) return;
  for (const peer of leading.peers.values()) {
    if (!state.absent.has(peer.id) && !rest.sleepers.has(peer)) return;
  }
  if (!sleepersAreQuorum(state, leading)) return;
  rest.asleep = true;
  endLease(leading);
  noteSleepers(state, rest);
  // Leaders that fell asleep together do not ask anew together.
  const renewal = renewalInterval(state);
  state.deadline = (now.monotonic + state.prng.between(Math.ceil(renewal / 2), renewal)) as Micros;
}

/** With the leader itself. */
function sleepersAreQuorum(state: RaftState, { peers, rest }: Leading): boolean {
  const isThere = (id: AgentId): boolean => {
    const peer = peers.get(id);
    return peer !== undefined && rest.sleepers.has(peer);
  };
  return isQuorum(state, isThere);
}

function noteSleepers(state: RaftState, { sleepers, asleep }: Rest): void {
  if (sleepers.size === 0 && !asleep) state.hibernation = undefined;
  else
    sleepWith(
      state,
      Array.from(sleepers, ({ id }) => id),
    );
}

function sleepWith(state: RaftState, present: readonly AgentId[]): void {
  const { electionTimeoutMax } = state;
  const silence = (electionTimeoutMax * silentPulsesMax) as Micros;
  state.hibernation = { present, pulseInterval: electionTimeoutMax, silence };
}

function renewalInterval(state: RaftState): Micros {
  assert(state.hibernationOptions !== undefined, "R50: only a group that may sleep sleeps");
  return state.hibernationOptions.renewalInterval;
}

// ── a follower falls asleep ──

/** Stands for a heartbeat that says that all up to `last` is decided. Whoever is not ready to sleep answers it as one. */
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
      const { term, priority } = state;
      const answer = { kind: "heartbeatAnswer", term, round: refusalRound, priority } as const;
      out.sends.push({ to: from, channel: "urgent", message: answer });
      return;
    }
    // The object of a sleep that goes on stays the same.
    if (state.hibernation === undefined) sleepWith(state, [from]);
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

/** Called before whatever concerns everybody. A leader tells them all at once that it is there. */
export function awaken(state: RaftState, by: Rouser, now: Now, out: Outbox<RaftProtocol>): void {
  if (state.hibernation === undefined) return;
  state.hibernation = undefined;
  const { role } = state;
  if (role.kind === "leading") {
    role.rest = restless(state, undefined);
    leaderWakes(state, role, now);
    startRound(state, role, now, out);
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

/** Until now nobody owed it an answer. */
function leaderWakes(state: RaftState, leading: Leading, now: Now): void {
  leading.awakeSince = now.monotonic;
  leading.heartbeatAt = (now.monotonic + state.heartbeatInterval) as Micros;
  state.deadline = leading.heartbeatAt;
}

/** The leader is awake for one peer, at once; the others sleep on. */
function attend(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const { rest } = leading;
  if (rest.asleep) {
    rest.asleep = false;
    leaderWakes(state, leading, now);
  }
  rest.sleepers.delete(peer);
  noteSleepers(state, rest);
  rest.askAtBeat = quietBeatsMin(state);
  rest.quietBeats = Math.min(rest.quietBeats, rest.askAtBeat - 1);
  sendHeartbeat(state, leading, peer, out);
}

/** Before a message is passed on to whom it concerns. */
export function awakenFor(
  state: RaftState,
  from: AgentId,
  message: RaftMessage | RaftPromise,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (state.absent.size > 0) state.absent.delete(from);
  if (state.hibernation === undefined) return;
  const { role } = state;
  if (role.kind === "leading") awakenLeaderFor(state, role, from, message, now, out);
  else {
    const rouser = rouserOfFollower(state, from, message);
    if (rouser !== undefined) awaken(state, rouser, now, out);
  }
}

/**
 * Who wants something of the leader wakes all; who wants nothing but its attention gets that alone. So does one that was away,
 * whatever it says, since a leader sleeps only while nobody else is there. Of a sleeper, anything else is an answer that is late.
 */
function awakenLeaderFor(
  state: RaftState,
  leading: Leading,
  from: AgentId,
  { kind }: RaftMessage | RaftPromise,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const peer = isMember(state, from) ? leading.peers.get(from) : undefined;
  if (peer === undefined) return;
  const { asleep, sleepers } = leading.rest;
  const wasAway = asleep && !sleepers.has(peer);
  if (kind === "forward" || kind === "readRequest") awaken(state, "other", now, out);
  else if (kind === "preVoteRequest" || kind === "voteRequest" || wasAway)
    attend(state, leading, peer, now, out);
}

/** Undefined where the sleep goes on: it tells nothing new, or is of somebody who takes no part as far as is known here. */
function rouserOfFollower(
  state: RaftState,
  from: AgentId,
  message: RaftMessage | RaftPromise,
): Rouser | undefined {
  const isFromLeader = leaderOf(state) === from;
  switch (message.kind) {
    case "append":
    case "heartbeat":
    case "campaignNow":
      return isFromLeader ? "leader" : "other";
    case "commit":
      // One that took its time may come after the question, which said as much.
      if (message.term === state.term && message.commit <= state.commitIndex) return undefined;
      return isFromLeader ? "leader" : "other";
    case "hibernate":
      return message.term > state.term ? "other" : undefined;
    case "preVoteRequest":
    case "voteRequest":
      if (!isMember(state, from)) return undefined;
      return isFromLeader ? "leaderGone" : "other";
    case "wakeUp":
      // Whoever asks in its own term who leads that does not lead it any more. Of others, it is for a leader.
      return isFromLeader && message.term === state.term ? "leaderGone" : undefined;
    case "forward":
    case "readRequest":
      // For a leader.
      return undefined;
    case "hibernating":
    case "heartbeatAnswer":
    case "preVoteAnswer":
    case "voteAnswer":
    case "appendMatched":
    case "appendRejected":
    case "forwardRefused":
    case "readAnswer":
      // It asked nothing, so it is an answer that is late.
      return undefined;
    default:
      return unreachable(message);
  }
}

/** One who was woken, or begins anew, asks whether somebody leads. Whoever does is heard of by a heartbeat. */
export function receiveWakeUp(state: RaftState, from: AgentId, now: Now, out: Outbox<RaftProtocol>): void {
  if (state.role.kind !== "leading" || !isMember(state, from)) return;
  const peer = state.role.peers.get(from);
  if (peer !== undefined) attend(state, state.role, peer, now, out);
}

/** A member that comes back to its group: if that sleeps, nobody would say who leads it. */
export function askWhoLeads(state: RaftState, out: Outbox<RaftProtocol>): void {
  if (state.hibernationOptions === undefined || state.term === 0) return;
  const message = { kind: "wakeUp", term: state.term } as const;
  for (const to of new Set([...state.members.voters, ...state.members.outgoing])) {
    if (to !== state.self) out.sends.push({ to, channel: "urgent", message });
  }
}

/**
 * A follower counts on its leader alone; a leader on a quorum. A link that is up says only that the agent is there: it is
 * probed then like by any leader, and what it answers in this group wakes.
 */
export function peerLinkWatched(
  state: RaftState,
  id: AgentId,
  up: boolean,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  if (!up && isMember(state, id)) state.absent.add(id);
  const { role, hibernation } = state;
  if (hibernation === undefined || !hibernation.present.includes(id)) return;
  if (role.kind !== "leading") {
    awaken(state, up ? "other" : "leaderGone", now, out);
    return;
  }
  const peer = role.peers.get(id);
  assert(peer !== undefined, "R51: a leader sleeps with its peers");
  if (up) {
    attend(state, role, peer, now, out);
    return;
  }
  const { rest } = role;
  rest.sleepers.delete(peer);
  // What it owes, it owes from now on.
  if (!rest.asleep) role.awakeSince = now.monotonic;
  if (rest.asleep && !sleepersAreQuorum(state, role)) awaken(state, "other", now, out);
  else noteSleepers(state, rest);
}

/**
 * The deadline of a sleeper has come. A leader asks everybody anew, in a beat like any other; whoever is away is shown that beat,
 * too: if it is there all the same, it answers.
 */
export function sleepEnds(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  const { role } = state;
  if (role.kind !== "leading") {
    awaken(state, "other", now, out);
    return;
  }
  const { rest } = role;
  rest.asleep = false;
  rest.sleepers.clear();
  rest.asked.clear();
  rest.askAtBeat = rest.quietBeats;
  noteSleepers(state, rest);
  leaderWakes(state, role, now);
  beat(state, role, now, out);
}
