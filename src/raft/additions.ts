/**
 * What later versions of the wire added to Raft's messages; whatever is not here is as old as the first. One line each:
 * `message` or `message.field`, `refusal.kind`, `entry.kind`. `docs/wire.md` has the same table, and a test compares them.
 *
 * Towards a peer of an earlier version a message that it does not have is not sent, and counts as lost; a field is left
 * out, and reads as its absence; an append with an entry of a kind that it does not have is not sent, so the peer stays
 * before that entry, safe, until it is upgraded; a refusal becomes one that it has.
 *
 * A field is written where `has(version, "message.field")`, and read as its absence elsewhere.
 */
import { wireVersionMax, type WireVersion } from "../core/index.ts";

export const addedIn = {
  "refusal.badChange": 2,
  "refusal.notReady": 2,
  "refusal.busy.election": 2,
  "entry.members": 2,
  campaignNow: 2,
  "voteRequest.transfer": 2,
  "heartbeat.nextPriority": 2,
  "heartbeat.heldFrom": 2,
  "heartbeatAnswer.priority": 2,
  "heartbeatAnswer.pledge": 2,
  hibernate: 2,
  hibernating: 2,
  wakeUp: 2,
} as const;

export type Addition = keyof typeof addedIn;

const byName: ReadonlyMap<string, WireVersion> = new Map(Object.entries(addedIn));

/** Whether that version has an addition. */
export function has(version: WireVersion, addition: Addition): boolean {
  return version >= addedIn[addition];
}

/** The same for a kind of message, which may be as old as the first version. */
export function hasMessage(version: WireVersion, kind: string): boolean {
  // The newest has everything: nobody looks anything up between agents of the same program.
  return version === wireVersionMax || version >= (byName.get(kind) ?? 1);
}
