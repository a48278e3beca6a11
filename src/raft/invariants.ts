/** What must hold after every input, as far as one agent can see it. O(members): it runs after every simulated step. */
import { assert, never, type Hibernation } from "../core/index.ts";
import { peersMax } from "./options.ts";
import type { Progress } from "./progress.ts";
import { isQuorum, isVoter, leaderOf, mayCampaign, type Leading, type RaftState } from "./state.ts";

export function checkInvariants(state: RaftState): void {
  const { log, pending, commitIndex, handedOut, applied, term } = state;
  assert(log.lastTerm <= term, "R4: no entry is of a later term than its holder");
  assert(pending.durableIndex <= log.last, "R6: only what the log has is durable");
  assert(commitIndex >= state.base.index, "R8: what a snapshot holds is decided");
  assert(commitIndex <= log.last, "R8: what is decided is in the log");
  assert(handedOut <= commitIndex, "R10: only what is decided is handed out");
  assert(handedOut <= pending.durableIndex, "R10: nothing is handed out ahead of the disk");
  assert(applied <= handedOut, "R10: only what was handed out is applied");
  assert(log.start <= state.base.index, "R30: the log starts at the base or before it");
  assert(state.durableBase <= state.base.index, "R30: a base only moves on");
  assert(state.neededFrom <= pending.durableRecord + 1, "R31: only what is durable replaces a record");
  if (!state.installing && !state.restoring) {
    assert(applied >= state.base.index, "R33: the state starts from the base");
  }
  assert(state.votedFor === undefined || term > 0, "R3: a vote is of a term");
  assert(state.configurations.newestIndex <= log.last, "R23: the configuration in force is in the log");
  const { role } = state;
  if (role.kind === "following") assert(role.leader !== state.self, "R1: nobody follows itself");
  else {
    const isHandingOver = role.kind === "leading" && role.transfer !== undefined;
    assert(
      mayCampaign(state) || isHandingOver,
      "R12: only who may vote campaigns and leads, or is handing over",
    );
  }
  if (role.kind === "standing" || role.kind === "leading") {
    assert(state.votedFor === state.self, "R3: a candidate has its own vote");
  }
  if (role.kind !== "polling" && leaderOf(state) !== undefined) {
    assert(state.pollsUnheard === 0, "R96: whoever leads, or is led, does not wait in vain");
  }
  if (role.kind === "leading") checkLeading(state, role);
  if (state.hibernation !== undefined) checkSleep(state, state.hibernation);
}

function checkSleep(state: RaftState, { present }: Hibernation): void {
  const { last } = state.log;
  assert(state.commitIndex === last, "R50: whoever sleeps knows all of its log to be decided");
  assert(state.pending.durableIndex === last, "R50: whoever sleeps has all of its log on disk");
  assert(state.applied === last, "R50: whoever sleeps has applied all of its log");
  assert(state.deadline !== never, "R52: a sleep ends by itself");
  if (state.role.kind === "leading") {
    const { peers, transfer, rest } = state.role;
    assert(transfer === undefined, "R40: nobody sleeps over a hand-over");
    for (const id of present)
      assert(peers.get(id)?.matched === last, "R51: those who sleep have all of the log");
    assert(present.length === rest.sleepers.size, "R51: a leader has an eye on all who sleep");
    const vouched = isQuorum(state, (id) => present.includes(id));
    assert(!rest.asleep || vouched, "R51: a leader sleeps while a quorum does");
    const areAway = [...peers.values()].every((peer) => rest.sleepers.has(peer) || state.absent.has(peer.id));
    assert(!rest.asleep || areAway, "R51: a leader sleeps while all others sleep or are away");
  } else {
    const leader = leaderOf(state);
    assert(leader !== undefined, "R50: whoever sleeps leads, or follows a leader");
    assert(present.length === 1 && present[0] === leader, "R51: a follower has an eye on its leader");
  }
}

function checkLeading(state: RaftState, leading: Leading): void {
  const { log } = state;
  assert(log.lastTerm === state.term, "R7: a leader's log ends with entries of its term");
  if (leading.firstIndex > log.start) {
    assert(log.termAt(leading.firstIndex) === state.term, "R7: a leader's first entry is of its term");
  }
  for (const peer of leading.peers.values()) checkPeer(state, leading, peer);
  assert(leading.peers.size <= peersMax, "R16: a leader has no more peers than it has room for sends");
  for (const id of state.members.voters) {
    assert(id === state.self || leading.peers.has(id), "R23: a leader knows every other voter");
  }
  const { transfer } = leading;
  if (transfer === undefined) return;
  assert(isVoter(state, transfer.to), "R40: only a voter succeeds a leader");
  assert(transfer.to !== state.self, "R40: nobody succeeds itself");
  assert(transfer.last === log.last, "R40: a leader that hands over appends nothing");
}

function checkPeer(state: RaftState, leading: Leading, peer: Progress): void {
  const { last } = state.log;
  assert(peer.matched < peer.next, "R13: what is matched is not sent again");
  assert(peer.next <= last + 1, "R13: only what is in the log is sent");
  assert(peer.roundAnswered <= leading.round, "R14: only rounds that left are answered");
  assert(peer.window.count <= state.limits.inFlightAppendsMax, "R16: the window is bounded in messages");
  if (peer.mode !== "snapshot") {
    assert(peer.next > state.log.start, "R35: whoever needs what the log no longer has gets the snapshot");
  }
  if (peer.mode === "replicate") return;
  assert(peer.window.count === 0, "R16: only a peer that replicates has a window");
}
