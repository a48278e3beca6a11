/**
 * Handing leadership over (thesis, section 3.10): the leader takes no more commands, brings its successor up to the end of
 * its log, and asks it to campaign at once. What the successor does then is in election.ts; until it is elected, this
 * agent leads on.
 */
import {
  isJoint,
  present,
  type AgentId,
  type Micros,
  type Now,
  type Outbox,
  type Refusal,
} from "../core/index.ts";
import type { RaftProtocol } from "./messages.ts";
import { priorityDefault } from "./options.ts";
import type { Progress } from "./progress.ts";
import { notLeader } from "./reads.ts";
import { isVoter, type Leading, type RaftState } from "./state.ts";

/** To that voter, or to the best one. To itself: it leads already. */
export function transferLeadership(
  state: RaftState,
  to: AgentId | undefined,
  now: Now,
  out: Outbox<RaftProtocol>,
): { kind: "accepted" } | Refusal {
  const { role } = state;
  if (role.kind !== "leading") return notLeader(state);
  if (role.transfer !== undefined) return { kind: "busy", because: "transfer" };
  if (isJoint(state.members)) return { kind: "busy", because: "memberChange" };
  if (to === state.self) return { kind: "accepted" };
  const target = to === undefined ? bestSuccessor(state, role, now) : role.peers.get(to);
  if (target === undefined || !maySucceed(state, role, target, now)) {
    return { kind: "notReady", agents: to === undefined ? otherVoters(state) : [to] };
  }
  const endsAt = (now.monotonic + state.electionTimeoutMax) as Micros;
  role.transfer = { to: target.id, endsAt, last: state.log.last };
  summonIfCaughtUp(state, role, target, out);
  return { kind: "accepted" };
}

function otherVoters(state: RaftState): AgentId[] {
  return state.members.voters.filter((id) => id !== state.self);
}

/** Of those that may succeed, the one with the most of the log, and then of the highest priority; one of priority 0 last. */
function bestSuccessor(state: RaftState, leading: Leading, now: Now): Progress | undefined {
  let best: Progress | undefined;
  for (const peer of leading.peers.values()) {
    if (maySucceed(state, leading, peer, now) && (best === undefined || isBetter(peer, best))) best = peer;
  }
  return best;
}

function isBetter(peer: Progress, other: Progress): boolean {
  const [priority = priorityDefault, othersPriority = priorityDefault] = [peer.priority, other.priority];
  if ((priority === 0) !== (othersPriority === 0)) return priority > 0;
  return peer.matched === other.matched ? priority > othersPriority : peer.matched > other.matched;
}

/** A voter that is there, and that needs no snapshot first. While the group slept, its driver had an eye on it. */
function maySucceed(state: RaftState, leading: Leading, peer: Progress, now: Now): boolean {
  const heardAt = Math.max(peer.heardAt, leading.awakeSince);
  const isHeard = peer.hasAnswered && heardAt + state.electionTimeoutMin > now.monotonic;
  return isHeard && !state.absent.has(peer.id) && peer.mode !== "snapshot" && isVoter(state, peer.id);
}

/** It has acknowledged more of the log. */
export function successorMatched(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  out: Outbox<RaftProtocol>,
): void {
  if (leading.transfer?.to === peer.id) summonIfCaughtUp(state, leading, peer, out);
}

/** Voters break their pledges for whom their leader summons: so that ends its lease, for all of its term (R44). */
function summonIfCaughtUp(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  out: Outbox<RaftProtocol>,
): void {
  if (peer.matched < state.log.last) return;
  leading.lease.isForfeited = true;
  out.sends.push({ to: peer.id, channel: "urgent", message: { kind: "campaignNow", term: state.term } });
}

/** A heartbeat is due: the summons may be lost, so it is repeated; a successor that takes too long is given up. */
export function transferAtBeat(
  state: RaftState,
  leading: Leading,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const { transfer } = leading;
  if (transfer === undefined) return;
  if (now.monotonic >= transfer.endsAt) {
    leading.transfer = undefined;
    return;
  }
  summonIfCaughtUp(state, leading, present(leading.peers.get(transfer.to), "a successor is a peer"), out);
}

/** Nobody waits for a successor that can't be reached. If it was summoned, it may still take over. */
export function successorDown(leading: Leading, peer: AgentId): void {
  if (leading.transfer?.to === peer) leading.transfer = undefined;
}
