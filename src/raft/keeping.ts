/** What the log keeps in front of the base, so that members which lag get entries and no snapshot. */
import type { LogIndex } from "../core/index.ts";
import { noteNeeded } from "./records.ts";
import type { Leading, RaftState } from "./state.ts";

/**
 * Entries in front of the durable base go, but for a tail; and, within a second bound, but for those that some peer of the
 * leader needs next. So a follower that lags gets entries, and one that gets a snapshot finds those behind it when it is
 * there: it does not run into the next snapshot, also where another one leads by then, for followers hold what the leader
 * does. The second bound is no less than the snapshot's own size. A peer that in the time of its transfer falls behind by
 * more than that has a link that carries less than is written: it can't catch up.
 */
export function compact(state: RaftState): void {
  const { log, limits, role, durableBase } = state;
  const kept = log.startKeeping(limits.logKeptBytesMax, durableBase);
  if (kept <= log.start) return;
  const heldBytesMax = Math.max(limits.logHeldBytesMax, state.base.snapshot?.byteLength ?? 0);
  const needed = role.kind === "leading" ? neededBehind(role) : state.heldBehind;
  const held = Math.max(log.startKeeping(heldBytesMax, durableBase), needed);
  log.compact(Math.min(kept, held) as LogIndex);
  if (role.kind === "leading") {
    for (const peer of role.peers.values()) {
      if (peer.mode !== "snapshot" && peer.next <= log.start) peer.snapshotNeeded();
    }
  }
  noteNeeded(state);
}

/** Some peer needs every entry behind this index. */
export function neededBehind(leading: Leading): LogIndex {
  let lowest: number = Number.POSITIVE_INFINITY;
  for (const peer of leading.peers.values()) lowest = Math.min(lowest, peer.neededBehind);
  return lowest as LogIndex;
}

/** What the leader says that members which lag need; undefined: all have what is decided. */
export function holdFrom(state: RaftState, first: LogIndex | undefined): void {
  state.heldBehind = first === undefined ? state.commitIndex : ((first - 1) as LogIndex);
  compact(state);
}
