/**
 * From decided to applied: entries go to the state machine in order, once, never ahead of this agent's own disk, and at
 * most a window ahead of what is applied. What is no longer in memory is read from the journal.
 */
import {
  assert,
  limits as houseLimits,
  present,
  sliceRun,
  truncateRun,
  type LogIndex,
  type Outbox,
  type Run,
  type Ticket,
} from "../core/index.ts";
import { checkpointFrom, checkpointPassed } from "./checkpoints.ts";
import type { RaftProtocol } from "./messages.ts";
import { newTicket, type RaftState } from "./state.ts";

/** Everything up to `index` is decided. */
export function commitThrough(state: RaftState, index: LogIndex): void {
  if (index <= state.commitIndex) return;
  assert(index <= state.log.last, "R8: nothing is decided that this log does not have");
  state.commitIndex = index;
}

/** Hands on what is decided and durable here, as far as the window reaches. */
export function handOut(state: RaftState, out: Outbox<RaftProtocol>): void {
  if (state.installing || state.restoring) return;
  const durable = state.pending.durableIndex;
  const bound = state.commitIndex < durable ? state.commitIndex : durable;
  while (state.handedOut < bound && !state.applying.full) {
    const first = (state.handedOut + 1) as LogIndex;
    const held = state.log.runAt(first);
    if (held === undefined) {
      loadDecided(state, first, out);
      return;
    }
    const piece = cut(state, held, bound);
    const bytesAfter = state.applying.bytes + piece.bytes.length;
    if (state.applying.count > 0 && bytesAfter > state.limits.applyBytesMax) return;
    deliver(state, piece, out);
  }
}

/** What comes next of a run, to at most `bound` and the next checkpoint; mostly that is all of it. */
function cut(state: RaftState, run: Run, bound: LogIndex): Run {
  const first = (state.handedOut + 1) as LogIndex;
  const { applyBytesMax } = state.limits;
  const checkpoint = checkpointFrom(state, first);
  const end = bound < checkpoint ? bound : checkpoint;
  if (run.first === first && run.last <= end && run.bytes.length <= applyBytesMax) return run;
  return sliceRun(run.last > end ? truncateRun(run, end) : run, first, applyBytesMax);
}

function deliver(state: RaftState, run: Run, out: Outbox<RaftProtocol>): void {
  assert(run.first === state.handedOut + 1, "R10: decided entries come in order, each once");
  assert(run.last <= state.pending.durableIndex, "R10: nothing is handed out ahead of the disk");
  assert(run.last <= state.commitIndex, "R10: only what is decided is handed out");
  state.handedOut = run.last;
  state.applying.push(run.last, run.bytes.length);
  out.commits.push({ run, digestAfter: run.last === checkpointFrom(state, run.last) });
}

/** One read at a time, and only once all before it is applied: so what comes back always fits into the window. */
function loadDecided(state: RaftState, first: LogIndex, out: Outbox<RaftProtocol>): void {
  if (state.commitLoad !== undefined || state.applying.count > 0) return;
  state.commitLoad = newTicket(state);
  const bytesMax = Math.min(houseLimits.batchBytesMax, state.limits.applyBytesMax);
  out.loads.push({ ticket: state.commitLoad, first, bytesMax });
}

/** The journal's answer. False where the ticket is not of a read for commits. */
export function decidedLoaded(
  state: RaftState,
  ticket: Ticket,
  run: Run | undefined,
  out: Outbox<RaftProtocol>,
): boolean {
  if (ticket !== state.commitLoad) return false;
  state.commitLoad = undefined;
  const first = (state.handedOut + 1) as LogIndex;
  const read = present(run, "R10: the journal has every decided entry above the base");
  const agreeing = present(
    state.log.agreeingPart(read, first),
    "R10: the journal gives decided entries as they were decided",
  );
  const durable = state.pending.durableIndex;
  const bound = state.commitIndex < durable ? state.commitIndex : durable;
  deliver(state, cut(state, agreeing, bound), out);
  return true;
}

/** The state machine has caught up to `through`; with its digest, where that is a checkpoint. */
export function applyThrough(
  state: RaftState,
  through: LogIndex,
  digest: Uint8Array | undefined,
  out: Outbox<RaftProtocol>,
): void {
  assert(through >= state.applied, "what is applied stays applied");
  assert(through <= state.handedOut, "only what was handed out is applied");
  if (state.restoring) restored(state, through);
  state.applied = through;
  state.applying.settle(through);
  if (digest !== undefined) checkpointPassed(state, through, digest, out);
}

/** The state is that of the snapshot now. */
function restored(state: RaftState, through: LogIndex): void {
  assert(through === state.handedOut, "R33: what is applied next to a restore is its snapshot");
  state.restoring = false;
  // It is passed without a digest.
  const awaited = state.awaitedCheckpoint;
  if (awaited !== undefined && awaited.index <= through) state.awaitedCheckpoint = undefined;
}
