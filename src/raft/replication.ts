/**
 * The leader's side of the log: what each peer gets next, what its answers tell, and what is decided by them. Progress
 * per peer is an automaton (progress.ts); here is when it moves.
 */
import {
  assert,
  jointCommittedIndex,
  limits,
  type LogIndex,
  type Now,
  type Outbox,
  type Run,
  type Ticket,
  sliceRun,
  unreachable,
} from "../core/index.ts";
import { commitThrough } from "./committing.ts";
import type { AppendMatched, AppendRejected, RaftProtocol } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { isMember, newTicket, type Leading, type PackedAppend, type RaftState } from "./state.ts";
import { successorDown, successorMatched } from "./transfer.ts";

/** Heartbeats that leave while an append stays unanswered; if the peer answers them, the append counts as lost. */
const quietBeatsMax = 2;
/** Heartbeats from one request for a snapshot's transfer to the next, if nothing comes of the first. */
const transferBeats = 20;

// ── sending ──

/** Sends every peer what its window has room for. */
export function replicate(state: RaftState, leading: Leading, out: Outbox<RaftProtocol>): void {
  for (const peer of leading.peers.values()) replicateTo(state, leading, peer, out);
}

function replicateTo(state: RaftState, leading: Leading, peer: Progress, out: Outbox<RaftProtocol>): void {
  switch (peer.mode) {
    case "probe":
      if (!peer.asked) probe(state, leading, peer, out);
      return;
    case "replicate":
      while (peer.next <= state.log.last && peer.windowOpen(state.limits) && peer.load === undefined) {
        if (!sendEntries(state, leading, peer, out)) return;
      }
      return;
    case "snapshot":
      return;
    default:
      unreachable(peer.mode);
  }
}

/** Asks whether the logs agree right before `next`, and brings along the entries from there if they are at hand. */
function probe(state: RaftState, leading: Leading, peer: Progress, out: Outbox<RaftProtocol>): void {
  if (state.log.termAt((peer.next - 1) as LogIndex) === undefined) {
    sendSnapshot(state, leading, peer, out);
    return;
  }
  const packed = peer.next <= state.log.last ? packFrom(state, leading, peer.next) : undefined;
  if (packed === undefined) {
    askWhetherMatched(state, peer, out);
    peer.asked = true;
    peer.quietSinceBeat = leading.beat;
  } else {
    sendPacked(state, leading, peer, packed, "stream", out);
  }
}

/** False where the entries are not at hand now. */
function sendEntries(state: RaftState, leading: Leading, peer: Progress, out: Outbox<RaftProtocol>): boolean {
  const packed = packFrom(state, leading, peer.next);
  if (packed === undefined) {
    peer.load = { ticket: newTicket(state), first: peer.next };
    out.loads.push({ ...peer.load, bytesMax: state.limits.appendBytesMax });
    return false;
  }
  // The bulk connection may be slow: entries on another would overtake those on it and be rejected.
  if (peer.bulk) return false;
  sendPacked(state, leading, peer, packed, "stream", out);
  return true;
}

function sendPacked(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  packed: PackedAppend,
  channel: "stream" | "bulk",
  out: Outbox<RaftProtocol>,
): void {
  if (peer.window.count === 0) peer.quietSinceBeat = leading.beat;
  out.sends.push({ to: peer.id, channel, message: packed.message });
  peer.sent(packed.last, packed.byteLength);
  if (channel === "bulk") peer.bulkThrough = packed.last;
  noteCommitTold(state, peer, packed.last);
}

/** An append without entries: its answer tells whether everything before `next` has arrived. */
function askWhetherMatched(state: RaftState, peer: Progress, out: Outbox<RaftProtocol>): void {
  const prevIndex = (peer.next - 1) as LogIndex;
  const prevTerm = state.log.termAt(prevIndex);
  assert(prevTerm !== undefined, "the leader's log reaches back to what it probes");
  out.sends.push({
    to: peer.id,
    channel: peer.bulk ? "bulk" : "stream",
    message: { kind: "append", term: state.term, prevIndex, prevTerm, commit: state.commitIndex, runs: [] },
  });
}

/** The message with the entries from `first` on. Peers that are equally far share it. */
function packFrom(state: RaftState, leading: Leading, first: LogIndex): PackedAppend | undefined {
  const { log, commitIndex } = state;
  const before = leading.lastAppend;
  if (
    before !== undefined &&
    before.message.prevIndex === first - 1 &&
    before.message.commit === commitIndex &&
    before.logLast === log.last
  ) {
    return before;
  }
  const runs: Run[] = [];
  let next = first;
  let byteLength = 0;
  while (next <= log.last && runs.length < limits.appendRunsMax) {
    const held = log.runAt(next);
    if (held === undefined) break;
    const room = state.limits.appendBytesMax - byteLength;
    const run =
      held.first === next && held.bytes.length <= room ? held : sliceRun(held, next, Math.max(room, 0));
    if (runs.length > 0 && run.bytes.length > room) break;
    runs.push(run);
    byteLength += run.bytes.length;
    next = (run.last + 1) as LogIndex;
  }
  if (runs.length === 0) return undefined;
  const packed = pack(state, first, runs, byteLength);
  leading.lastAppend = packed;
  return packed;
}

function pack(state: RaftState, first: LogIndex, runs: readonly Run[], byteLength: number): PackedAppend {
  const prevIndex = (first - 1) as LogIndex;
  const prevTerm = state.log.termAt(prevIndex);
  const last = runs.at(-1)?.last;
  assert(prevTerm !== undefined, "the entry before those that are sent has a term");
  assert(last !== undefined, "an append with entries has entries");
  return {
    message: { kind: "append", term: state.term, prevIndex, prevTerm, commit: state.commitIndex, runs },
    last,
    byteLength,
    logLast: state.log.last,
  };
}

/** The newest snapshot, or the one that is on its way already and still leads into the log. Not too often. */
function sendSnapshot(state: RaftState, leading: Leading, peer: Progress, out: Outbox<RaftProtocol>): void {
  if (peer.mode !== "snapshot") peer.snapshotNeeded();
  // Whoever was removed is worth some entries, not a snapshot.
  if (!isMember(state, peer.id)) return;
  if (leading.beat - peer.transferBeat < transferBeats) return;
  const { base, log } = state;
  assert(base.snapshot !== undefined, "a log that starts behind an entry has a snapshot of it");
  if (peer.transfer === undefined || peer.transfer < log.start) peer.transfer = base.index;
  peer.transferBeat = leading.beat;
  out.transfers.push({ to: peer.id, index: peer.transfer });
}

function noteCommitTold(state: RaftState, peer: Progress, reaches: LogIndex): void {
  const told = reaches < state.commitIndex ? reaches : state.commitIndex;
  if (peer.commitTold < told) peer.commitTold = told;
}

/**
 * Tells a peer what is decided, unless an append that has just left does. Under load the next append is never far, and the
 * news is better taken along than a reason to wake the peer; but its own callers must not wait for that.
 */
function tellCommit(state: RaftState, peer: Progress, out: Outbox<RaftProtocol>): void {
  const commit = peer.matched < state.commitIndex ? peer.matched : state.commitIndex;
  if (commit <= peer.commitTold) return;
  const channel = peer.forwardedThrough > peer.commitTold ? "urgent" : "lazy";
  peer.commitTold = commit;
  out.sends.push({ to: peer.id, channel, message: { kind: "commit", term: state.term, commit } });
}

// ── deciding ──

/** True where more is decided than before. Counting decides only entries of the own term (paper, section 5.4.2). */
function countMatches(state: RaftState, leading: Leading): boolean {
  const index = jointCommittedIndex(state.members, leading.matchedOf);
  if (index <= state.commitIndex || index < leading.firstIndex) return false;
  assert(state.log.termAt(index) === state.term, "R7: counting decides only entries of the own term");
  commitThrough(state, index);
  leading.committedBytes = state.log.bytesThrough(index);
  return true;
}

/** More is durable here, or at a peer: decide, and let everybody know. */
export function decide(state: RaftState, leading: Leading, out: Outbox<RaftProtocol>): void {
  if (!countMatches(state, leading)) return;
  for (const peer of leading.peers.values()) {
    replicateTo(state, leading, peer, out);
    tellCommit(state, peer, out);
  }
}

// ── answers ──

export function receiveMatched(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  message: AppendMatched,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  peer.heard(now.monotonic);
  peer.quietSinceBeat = leading.beat;
  const { last, start } = state.log;
  if (message.matched > last || !peer.acknowledged(message.matched, start)) return;
  if (peer.matched > state.commitIndex) decide(state, leading, out);
  replicateTo(state, leading, peer, out);
  tellCommit(state, peer, out);
  successorMatched(state, leading, peer, out);
}

export function receiveRejected(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  message: AppendRejected,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  peer.heard(now.monotonic);
  peer.quietSinceBeat = leading.beat;
  const agreeing = state.log.lastOfTermAtMost(message.hintTerm, message.hintIndex);
  if (peer.rejected(message.prevIndex, agreeing)) replicateTo(state, leading, peer, out);
}

/** The peer is there. If it answers heartbeats but no append, then the append is lost (pitfall 22). */
export function noteHeartbeatAnswered(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  out: Outbox<RaftProtocol>,
): void {
  if (peer.mode === "snapshot") {
    sendSnapshot(state, leading, peer, out);
    return;
  }
  if (leading.beat - peer.quietSinceBeat < quietBeatsMax) return;
  peer.quietSinceBeat = leading.beat;
  if (peer.mode === "probe") {
    peer.asked = false;
    replicateTo(state, leading, peer, out);
  } else if (peer.mode === "replicate" && peer.matched < peer.next - 1) {
    askWhetherMatched(state, peer, out);
  }
}

// ── links, loads and snapshots ──

/** Down: what is on its way is lost, so wait until the peer is heard from. Up: probe at once. */
export function peerLinkChanged(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  up: boolean,
  out: Outbox<RaftProtocol>,
): void {
  const { last, start } = state.log;
  // Where the log no longer has what it acknowledged last, only its answer can tell what it has by now.
  const behind = peer.matched < start ? last : peer.matched;
  if (peer.mode !== "snapshot") peer.probeFrom((behind + 1) as LogIndex);
  peer.asked = !up;
  if (!up) successorDown(leading, peer.id);
  replicateTo(state, leading, peer, out);
}

/** The journal's answer to a read for a peer; an outdated one is ignored. */
export function entriesLoaded(
  state: RaftState,
  leading: Leading,
  ticket: Ticket,
  run: Run | undefined,
  out: Outbox<RaftProtocol>,
): void {
  for (const peer of leading.peers.values()) {
    if (peer.load?.ticket !== ticket) continue;
    const { first } = peer.load;
    peer.load = undefined;
    // What was asked for may be gone from the log if the peer has shown meanwhile that it has it.
    assert(run !== undefined || first <= state.log.start, "the journal has every entry that the log has");
    if (run === undefined || peer.next > run.last) {
      replicateTo(state, leading, peer, out);
      return;
    }
    const piece = state.log.agreeingPart(run, peer.next);
    assert(piece !== undefined, "the journal gives back the leader's own entries");
    const packed = pack(state, piece.first, [piece], piece.bytes.length);
    sendPacked(state, leading, peer, packed, "bulk", out);
    replicateTo(state, leading, peer, out);
    return;
  }
}

/** A peer has the snapshot up to `index`, or did not get it: then the next heartbeats come back to it. */
export function snapshotDelivered(
  state: RaftState,
  leading: Leading,
  peer: Progress,
  index: LogIndex,
  outcome: "stored" | "failed",
  out: Outbox<RaftProtocol>,
): void {
  if (peer.transfer !== index) return;
  if (outcome === "failed") {
    peer.transfer = undefined;
    return;
  }
  peer.probeFrom((peer.neededBehind + 1) as LogIndex);
  replicateTo(state, leading, peer, out);
}
