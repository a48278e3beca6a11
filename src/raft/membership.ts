/**
 * Members that come and go while the group goes on (joint consensus: paper, section 6; thesis, chapter 4). The leader plans a
 * change, waits until the newcomers have caught up, has the old voters and the new agree together, and then leaves the old ones
 * out. Each step is an entry of the log, so every later leader finds where the change stands and carries on.
 *
 * A configuration is in force as soon as its entry is in a log, and only one is undecided at a time: so there are never
 * two majorities without a voter in common (R24).
 */
import {
  assert,
  enterJoint,
  everybody,
  isJoint,
  isSameMembers,
  leaveJoint,
  limits,
  majority,
  planMembers,
  type AgentId,
  type LogIndex,
  type MemberChange,
  type Members,
  type Now,
  type Outbox,
  type Refusal,
} from "../core/index.ts";
import { encodeMembers } from "./fields.ts";
import type { RaftProtocol } from "./messages.ts";
import { Progress } from "./progress.ts";
import { appendOwn } from "./proposals.ts";
import { notLeader } from "./reads.ts";
import { replicate } from "./replication.ts";
import { isMember, isVoter, type Leading, type RaftState } from "./state.ts";
import { transferLeadership } from "./transfer.ts";
import { follow } from "./transitions.ts";

/** Beats for which whoever was removed is still told so. */
const farewellBeatsMax = 10;
/** Agents that were removed and are still told so. */
const leaversMax = limits.votersMax;

// ── a change is asked for ──

export function changeMembers(
  state: RaftState,
  change: MemberChange,
  now: Now,
  out: Outbox<RaftProtocol>,
): { kind: "accepted" } | Refusal {
  const { role, members, configurations, commitIndex } = state;
  if (role.kind !== "leading") return notLeader(state);
  if (role.transfer !== undefined) return { kind: "busy", because: "transfer" };
  // What earlier leaders left is not settled before the own first entry is (Ongaro, raft-dev, 2015: pitfall 9).
  if (commitIndex < role.firstIndex) return { kind: "busy", because: "election" };
  // Once a joint configuration is decided, the next one is in the log at once: so this covers it, too.
  if (commitIndex < configurations.newestIndex) return { kind: "busy", because: "memberChange" };
  const result = planMembers(members, change);
  if (result.kind === "fault") return { kind: "badChange", fault: result.fault };
  const planned = result.members;
  if (isSameMembers(planned, members)) return { kind: "accepted" };
  const silent = silentMajority(state, role, planned.next, now);
  if (silent.length > 0) return { kind: "notReady", agents: silent };
  // Where nobody has to catch up, the plan need not be written first.
  const isDue = mayEnterJoint(state, role, planned, now);
  appendMembers(state, role, isDue ? enterJoint(planned) : planned, now, out);
  return { kind: "accepted" };
}

/** Voters to be that are not heard, if too few are. Strangers don't count as silent: they are waited for. */
function silentMajority(
  state: RaftState,
  leading: Leading,
  next: readonly AgentId[],
  now: Now,
): readonly AgentId[] {
  const since = now.monotonic - state.electionTimeoutMax;
  if (leading.awakeSince >= since) return [];
  const silent = next.filter((id) => {
    const peer = isMember(state, id) ? leading.peers.get(id) : undefined;
    return peer !== undefined && peer.heardAt < since;
  });
  return next.length - silent.length >= majority(next.length) ? [] : silent;
}

// ── a change goes on ──

/** After every input of a leader: the next step of a change that was begun, by this leader or an earlier one (pitfall 14). */
export function carryOn(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  const { members, configurations, commitIndex } = state;
  // Whoever takes over carries on; if nobody does, this leader.
  if (leading.transfer !== undefined) return;
  if (commitIndex < leading.firstIndex || commitIndex < configurations.newestIndex) return;
  if (!isVoter(state, state.self)) retire(state, leading, now, out);
  else if (isJoint(members)) appendMembers(state, leading, leaveJoint(members), now, out);
  else if (members.next.length > 0 && mayEnterJoint(state, leading, members, now))
    appendMembers(state, leading, enterJoint(members), now, out);
}

/** From here on the new voters decide, too: so those who come must have caught up, and enough of all must be there. */
function mayEnterJoint(state: RaftState, leading: Leading, { voters, next }: Members, now: Now): boolean {
  if (next.length === 0) return false;
  let ready = 0;
  for (const id of next) {
    const peer = leading.peers.get(id);
    const isReady = id === state.self || (peer !== undefined && isCaughtUp(state, leading, peer, now));
    if (isReady) ready += 1;
    else if (!voters.includes(id)) return false;
  }
  return ready >= majority(next.length);
}

/**
 * Whether a peer could vote without holding up decisions for longer than an election would: it is heard, and has what the log
 * held an election time-out ago (thesis, section 4.2.1: the last round takes no longer). A distance in entries would
 * be too much for a slow group and never reached in a fast one; so however heavy the load, whoever keeps up is caught up.
 */
export function isCaughtUp(state: RaftState, leading: Leading, peer: Progress, now: Now): boolean {
  return (
    peer.mode === "replicate" &&
    peer.heardAt + state.electionTimeoutMin >= now.monotonic &&
    peer.matched >= leading.earlierEnd
  );
}

/** At a beat: notes the log's end, so that it is known later where that was about an election time-out ago. */
export function markLogEnd(state: RaftState, leading: Leading, now: Now): void {
  if (now.monotonic - leading.markedAt < state.electionTimeoutMin / 2) return;
  leading.earlierEnd = leading.markedEnd;
  leading.markedEnd = state.log.last;
  leading.markedAt = now.monotonic;
}

function appendMembers(
  state: RaftState,
  leading: Leading,
  members: Members,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const { configurations, commitIndex } = state;
  assert(commitIndex >= leading.firstIndex, "R24: a leader changes members once its first entry is decided");
  assert(commitIndex >= configurations.newestIndex, "R24: one configuration is undecided at a time");
  const before = state.members;
  appendOwn(state, leading, "members", encodeMembers(members), now, out);
  followMembers(state, leading, before, now);
  replicate(state, leading, out);
}

// ── whom the leader sends to ──

/** The peers of a new leader: everybody, and whoever the newest configuration leaves out, while that is undecided. */
export function peersOf(state: RaftState, now: Now): Map<AgentId, Progress> {
  const { configurations, members, commitIndex, self } = state;
  const peers = new Map<AgentId, Progress>();
  const before = commitIndex < configurations.newestIndex ? configurations.previous : undefined;
  const leavers = before === undefined ? [] : leaversOf(before, members);
  for (const id of [...everybody(members), ...leavers]) {
    if (id !== self) peers.set(id, newProgress(state, id, now));
  }
  return peers;
}

/** The leader has other peers than before: newcomers, and leavers who are to learn that they are (the last change's only). */
function followMembers(state: RaftState, leading: Leading, before: Members, now: Now): void {
  const { members, self } = state;
  const earlier = everybody(before);
  const leavers = new Set(leaversOf(before, members));
  for (const id of leading.peers.keys()) {
    if (!isMember(state, id) && !leavers.has(id)) leading.peers.delete(id);
  }
  for (const id of everybody(members)) {
    // Even for somebody who has only just left: what is known of an earlier membership is not relied on.
    if (id !== self && !earlier.has(id)) leading.peers.set(id, newProgress(state, id, now));
  }
}

function leaversOf(before: Members, members: Members): AgentId[] {
  const remaining = everybody(members);
  return [...everybody(before)].filter((id) => !remaining.has(id)).slice(0, leaversMax);
}

function newProgress(state: RaftState, id: AgentId, now: Now): Progress {
  const next = (state.log.last + 1) as LogIndex;
  return new Progress(id, next, now.monotonic, state.limits.inFlightAppendsMax);
}

/**
 * At a beat: whoever was removed gets the entry that removes it and the news that it is decided for some beats more, so that
 * it does not campaign in vain; then it is on its own. One that lacks so much that it would need a snapshot is so at once.
 */
export function dismissLeavers(state: RaftState, leading: Leading): void {
  if (state.commitIndex < state.configurations.newestIndex) return;
  for (const peer of leading.peers.values()) {
    if (isMember(state, peer.id)) continue;
    peer.dismissedAtBeat ??= leading.beat + farewellBeatsMax;
    if (leading.beat >= peer.dismissedAtBeat || peer.mode === "snapshot") leading.peers.delete(peer.id);
  }
}

/**
 * The leader is no voter any more, and that is decided (thesis, section 4.2.2). It hands over, so that nobody has to lose
 * patience first; if nobody is there to take over, or does not, it lays down its office all the same.
 */
function retire(state: RaftState, leading: Leading, now: Now, out: Outbox<RaftProtocol>): void {
  const isHandingOver =
    !leading.isRetiring && transferLeadership(state, undefined, now, out).kind === "accepted";
  leading.isRetiring = true;
  if (!isHandingOver) follow(state, undefined, now, out);
}
