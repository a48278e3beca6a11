/**
 * Who should lead, where several could: a number that whoever runs an agent gives it. It only moves instants at which
 * something may happen anyway, so it can be wrong, or differ from agent to agent, and nothing but taste is hurt (R42).
 *
 * The leader tells its followers the highest priority among the other voters that it hears. When the leader is gone, those
 * with less give that voter a head start, and a shorter one with every attempt, so nobody waits long for one that is gone
 * as well. And a leader hands over to a voter of higher priority once that has been caught up for a while.
 */
import { type Micros, type Now, type Outbox } from "../core/index.ts";
import { isCaughtUp } from "./membership.ts";
import type { RaftProtocol } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { isVoter, type Leading, type RaftState } from "./state.ts";
import { transferLeadership } from "./transfer.ts";

/** A voter is caught up for so many longest time-outs before leadership goes to it: one that comes and goes never gets it. */
const settledTimeouts = 10;

/** At a beat: who should lead next, and whether that is due. */
export function preferAtBeat(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  leading.nextPriority = 0;
  let heir: Progress | undefined;
  for (const peer of leading.peers.values()) {
    if (!isVoter(state, peer.id)) continue;
    const isThere = leading.rest.sleepers.has(peer) || isCaughtUp(state, leading, peer, now);
    const priority = peer.priority ?? 0;
    if (isThere && priority > leading.nextPriority) leading.nextPriority = priority;
    if (!isThere || priority <= state.priority) peer.settlesAt = undefined;
    else peer.settlesAt ??= settledFrom(state, now);
    const isSettled = peer.settlesAt !== undefined && peer.settlesAt <= now.monotonic;
    if (isSettled && (heir === undefined || priority > (heir.priority ?? 0))) heir = peer;
  }
  if (heir === undefined) return;
  // Whatever comes of it, not again soon.
  heir.settlesAt = settledFrom(state, now);
  transferLeadership(state, heir.id, now, out);
}

function settledFrom(state: RaftState, now: Now): Micros {
  return (now.monotonic + settledTimeouts * state.electionTimeoutMax) as Micros;
}

/** A group does not sleep while it waits for somebody who should lead. */
export function awaitsAnother(state: RaftState, leading: Leading): boolean {
  for (const peer of leading.peers.values()) {
    if (isVoter(state, peer.id) && !state.absent.has(peer.id) && (peer.priority ?? 0) > state.priority)
      return true;
  }
  return false;
}
