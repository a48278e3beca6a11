/** From one role to the next. */
import { assert, never, type AgentId, type Micros, type Now, type Outbox, type Term } from "../core/index.ts";
import type { RaftProtocol } from "./messages.ts";
import { losesPatience, restartPatience } from "./patience.ts";
import { refuseReads } from "./reads.ts";
import { persistTerm } from "./records.ts";
import { following, isMember, type RaftState } from "./state.ts";

/** A word of a higher term: that term it is now, perhaps with this agent's vote in it. */
export function enterTerm(
  state: RaftState,
  term: Term,
  votedFor: AgentId | undefined,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  assert(term > state.term, "R2: terms only rise");
  persistTerm(state, term, votedFor, now, out);
  state.leaderHeardAt = Number.NEGATIVE_INFINITY as Micros;
  follow(state, undefined, now, out);
}

/** Follows whoever leads the current term, or waits to learn who does. */
export function follow(
  state: RaftState,
  leader: AgentId | undefined,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  assert(leader !== state.self, "nobody follows itself");
  refuseReads(state, leader, out);
  // A mere follower's patience goes on: a candidate that it refuses must not keep it from standing itself.
  const isImpatient = state.role.kind === "following" && state.hibernation === undefined;
  state.role = following(leader);
  state.hibernation = undefined;
  if (!isImpatient) waitForLeader(state, now);
}

/** Patience starts anew, for those who ever lose it. */
export function waitForLeader(state: RaftState, now: Now): void {
  restartPatience(state, now.monotonic);
  if (!losesPatience(state)) state.deadline = never;
}

/** Another configuration is in force, and it may make a voter of this agent, or none. A leader keeps to its own time. */
export function membersChanged(state: RaftState, now: Now): void {
  for (const id of state.absent) if (!isMember(state, id)) state.absent.delete(id);
  if (state.role.kind === "leading") return;
  assert(state.role.kind === "following", "the log of whoever campaigns does not change");
  if (!losesPatience(state)) state.deadline = never;
  else if (state.deadline === never) waitForLeader(state, now);
}
