/**
 * Snapshots take the place of the log's older part. What the core knows of one is its name and its *anchor*: the term, the
 * logged time and the members as of its last entry. Two numbers matter: the base, where the state starts at a restart, and
 * the start of the log, at the base or before it (`keeping.ts`).
 */
import { assert, present, type AgentId, type Now, type Outbox, type Snapshot } from "../core/index.ts";
import { commitThrough } from "./committing.ts";
import { decodeAnchor, encodeAnchor, type Anchor } from "./fields.ts";
import { awaken } from "./hibernation.ts";
import { compact } from "./keeping.ts";
import type { RaftProtocol } from "./messages.ts";
import { hardStateOf, noteNeeded, persist } from "./records.ts";
import type { RaftState } from "./state.ts";
import { enterTerm, follow } from "./transitions.ts";

// ── the base ──

/** What belongs into a snapshot of the state as it is now. */
export function anchorNow(state: RaftState): Uint8Array {
  const { applied, log, configurations } = state;
  assert(applied >= state.base.index, "R33: nobody takes a snapshot of a state that is being replaced");
  const term = present(log.termAt(applied), "the applied entry has a term");
  return encodeAnchor({ term, time: log.lastTime(), members: configurations.at(applied) });
}

/** The snapshot that the newest base names. */
export function baseSnapshot({ base }: RaftState): Snapshot | undefined {
  const { index, snapshot } = base;
  return snapshot && { index, ...snapshot, anchor: encodeAnchor(base) };
}

function knowsNobody({ members }: Anchor): boolean {
  return members.voters.length === 0;
}

function persistBase(
  state: RaftState,
  { index, digest, byteLength }: Snapshot,
  { term, time, members }: Anchor,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const hardState = hardStateOf(state.term, state.votedFor, state.pledge);
  const snapshot = { digest, byteLength };
  persist(state, { kind: "base", index, term, time, members, snapshot, hardState }, now, out);
}

/** More is on the disk. If the newest base is, the state may be replaced by its snapshot, and the log may let go of entries. */
export function baseMayBeDurable(state: RaftState, out: Outbox<RaftProtocol>): void {
  const isNew = state.durableBase < state.base.index && state.baseRecord <= state.pending.durableRecord;
  if (isNew) {
    state.durableBase = state.base.index;
    if (state.installing) restore(state, out);
    compact(state);
  }
  noteNeeded(state);
}

// ── taken here ──

export function snapshotTaken(
  state: RaftState,
  snapshot: Snapshot,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  const { index } = snapshot;
  // A later one has arrived meanwhile.
  if (index <= state.base.index) return;
  assert(index <= state.applied, "R30: a snapshot is of what is applied");
  const anchor = present(decodeAnchor(snapshot.anchor), "a snapshot taken here brings the anchor of then");
  assert(anchor.term === state.log.termAt(index), "R30: a snapshot's last entry is the log's");
  // Whoever joins knows of nobody before the entry that lets it in, and must not write that down as the truth.
  if (knowsNobody(anchor)) return;
  persistBase(state, snapshot, anchor, now, out);
}

// ── arrived from a peer ──

export function snapshotArrived(
  state: RaftState,
  from: AgentId,
  snapshot: Snapshot,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  // A leader has every decided entry, so it needs none.
  if (!state.woken || state.role.kind === "leading") return;
  const anchor = decodeAnchor(snapshot.anchor);
  if (anchor === undefined || knowsNobody(anchor)) return;
  const { index } = snapshot;
  const ownTerm = state.log.termAt(index);
  if (ownTerm === anchor.term) {
    // The entries have caught up. That a snapshot has the entry says that it is decided.
    commitThrough(state, index);
  } else if (index > state.commitIndex) {
    install(state, snapshot, anchor, now, out);
  } else if (ownTerm !== undefined) {
    out.events.push({ kind: "diverged", index });
    return;
  }
  // What is decided here is in the log of whoever leads, and that may be another one by now than who sent it.
  const leader = state.role.kind === "following" ? state.role.leader : undefined;
  out.sendsOnceDurable.push({
    to: leader ?? from,
    channel: "urgent",
    message: { kind: "appendMatched", term: state.term, matched: state.commitIndex },
  });
}

function install(
  state: RaftState,
  snapshot: Snapshot,
  anchor: Anchor,
  now: Now,
  out: Outbox<RaftProtocol>,
): void {
  awaken(state, "other", now, out);
  if (anchor.term > state.term) enterTerm(state, anchor.term, undefined, now, out);
  persistBase(state, snapshot, anchor, now, out);
  state.installing = true;
  state.commitLoad = undefined;
  // Whoever stood did so with another log, and perhaps as one of other voters.
  if (state.role.kind !== "following") follow(state, undefined, now, out);
}

function restore(state: RaftState, out: Outbox<RaftProtocol>): void {
  const snapshot = present(baseSnapshot(state), "a base that was installed has a snapshot");
  state.installing = false;
  state.restoring = true;
  state.handedOut = snapshot.index;
  out.events.push({ kind: "restore", snapshot });
}
