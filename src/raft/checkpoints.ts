/**
 * The same commands in the same order give the same state, or agreement was for nothing. At every checkpoint each member
 * takes the digest of its state; heartbeats carry the leader's newest one, and a follower that finds its own to be
 * another raises an alarm. It can't tell who is wrong, nor repair it: a state machine is not deterministic, or memory lies.
 */
import { assert, equalBytes, limits, type LogIndex, type Outbox } from "../core/index.ts";
import type { Checkpoint, RaftProtocol } from "./messages.ts";
import type { RaftState } from "./state.ts";

/** The first checkpoint at or behind `index`. */
export function checkpointFrom(state: RaftState, index: LogIndex): LogIndex {
  const { checkpointEntriesMax } = state.limits;
  return (Math.ceil(index / checkpointEntriesMax) * checkpointEntriesMax) as LogIndex;
}

/** The state has just passed a checkpoint. */
export function checkpointPassed(
  state: RaftState,
  index: LogIndex,
  digest: Uint8Array,
  out: Outbox<RaftProtocol>,
): void {
  assert(index === checkpointFrom(state, index), "R21: digests are taken at checkpoints");
  const own: Checkpoint = { index, digest };
  state.checkpoints.push(own);
  if (state.checkpoints.length > limits.checkpointsKeptMax) state.checkpoints.shift();
  const awaited = state.awaitedCheckpoint;
  if (awaited === undefined || awaited.index > index) return;
  state.awaitedCheckpoint = undefined;
  if (awaited.index === index) compare(own, awaited, out);
}

/** The leader tells of a checkpoint. One that is still to come here is waited for, and later ones must not push it aside. */
export function receiveCheckpoint(state: RaftState, theirs: Checkpoint, out: Outbox<RaftProtocol>): void {
  if (theirs.index > state.applied) {
    state.awaitedCheckpoint ??= theirs;
    return;
  }
  if (theirs.index <= state.comparedThrough) return;
  const own = state.checkpoints.find(({ index }) => index === theirs.index);
  if (own === undefined) return;
  state.comparedThrough = theirs.index;
  compare(own, theirs, out);
}

function compare(own: Checkpoint, theirs: Checkpoint, out: Outbox<RaftProtocol>): void {
  if (equalBytes(own.digest, theirs.digest)) return;
  out.events.push({ kind: "diverged", index: own.index });
}
