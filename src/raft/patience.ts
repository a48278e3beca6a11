/**
 * How long whoever does not lead waits for a leader before it polls. It is drawn at random, is longer where somebody else should
 * lead rather (priority.ts), and is stretched where polls are in vain: an agent that is left alone with its groups would else
 * ask thousands of times a second whether others are back, and be told so by the first that is.
 */
import { limits, never, type AgentId, type Micros, type Now } from "../core/index.ts";
import { isQuorum, isSoleVoter, isVoter, mayCampaign, type RaftState } from "./state.ts";

/** A message is lost, an agent stands still for a moment: so many polls in vain say nothing yet. */
const usualPolls = 4;
const stretchMax = 8;

/** Whether its patience ends at all. One of priority 0 waits until it is asked; once it campaigns, it goes on like any other. */
export function losesPatience(state: RaftState): boolean {
  if (!mayCampaign(state)) return false;
  return state.priority > 0 || state.role.kind !== "following" || isSoleVoter(state);
}

/** Patience starts anew, for a length drawn at random: two agents that collided once rarely do so again (paper, section 5.2). */
export function restartPatience(state: RaftState, now: Micros): void {
  const { electionTimeoutMin, electionTimeoutMax } = state;
  state.quietSince = now;
  state.electionTimeout = (state.prng.between(electionTimeoutMin, electionTimeoutMax) *
    stretch(state)) as Micros;
  state.deadline = patienceEnds(state);
}

export function patienceEnds(state: RaftState): Micros {
  return (state.quietSince + state.electionTimeout + headStart(state)) as Micros;
}

/** For somebody of higher priority: at most one longest time-out, and half as long with every attempt. */
function headStart(state: RaftState): number {
  const distance = state.nextPriority - state.priority;
  if (distance <= 0) return 0;
  return Math.floor((state.electionTimeoutMax * distance) / limits.priorityMax / 2 ** state.attempts);
}

// ── polls in vain ──

/** Doubles with every poll in vain, up to a bound: where nothing tells that others are back, it is found out all the same. */
function stretch(state: RaftState): number {
  const beyond = state.pollsUnheard - usualPolls;
  return beyond <= 0 ? 1 : Math.min(2 ** beyond, stretchMax);
}

/** A poll begins: it is in vain until a quorum is heard of. */
export function notePoll(state: RaftState): void {
  state.heardSincePoll.clear();
  state.pollsUnheard = hearsQuorum(state) ? 0 : state.pollsUnheard + 1;
}

/** Something came of that agent, whatever it says. Of those who do not vote nothing is noted: they may be anybody. */
export function noteHeard(state: RaftState, from: AgentId, now: Now): void {
  if (state.pollsUnheard === 0 || !isVoter(state, from)) return;
  state.heardSincePoll.add(from);
  if (hearsQuorum(state)) endStretch(state, now);
}

/** Somebody leads: others have heard of a quorum. */
export function noteLeader(state: RaftState, now: Now): void {
  if (state.pollsUnheard > 0) endStretch(state, now);
}

/** With one more within reach there may be a quorum. */
export function noteLinkUp(state: RaftState, peer: AgentId, now: Now): void {
  if (state.pollsUnheard > 0 && isVoter(state, peer)) endStretch(state, now);
}

function hearsQuorum(state: RaftState): boolean {
  return isQuorum(state, (id) => state.heardSincePoll.has(id));
}

/** From now on as if no poll had been in vain: a group that can have a leader has one as soon as ever. */
function endStretch(state: RaftState, now: Now): void {
  const isStretched = stretch(state) > 1;
  state.pollsUnheard = 0;
  state.heardSincePoll.clear();
  if (isStretched && state.deadline !== never) restartPatience(state, now.monotonic);
}
