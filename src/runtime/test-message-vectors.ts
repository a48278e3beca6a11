/** One of every message between the members of a group, with everything that the newest version has. */
import { encodeCommand, stampEntry, type Run } from "../core/entry.ts";
import type { LogIndex, Micros, Term, Ticket } from "../core/ids.ts";
import { encodeText } from "../core/text.ts";
import type { TransferMessage } from "../driver/transfer-messages.ts";
import type { RaftMessage, RaftPromise } from "../raft/messages.ts";

export const command: Uint8Array = encodeCommand(
  { kind: "command", session: 5, sequence: 3, unsettled: 1 },
  encodeText("payload"),
);
export const entry: Uint8Array = command.slice();
stampEntry(entry, 0, 7 as LogIndex, 2 as Term, 1_700_000_000_000_000);
const run: Run = { first: 7 as LogIndex, last: 7 as LogIndex, bytes: entry };

/** One message about snapshots of every kind. */
export const transferMessages: readonly TransferMessage[] = [
  {
    kind: "snapshotOffer",
    snapshot: {
      index: 7 as LogIndex,
      contents: 0x0102_0304,
      byteLength: 9,
      pieceBytes: 8,
      digest: Uint8Array.of(0xd1, 0x9e, 0x57),
      anchor: Uint8Array.of(0xa0, 0xc0),
    },
  },
  { kind: "snapshotAsk", index: 7 as LogIndex, contents: 0x0102_0304, first: 1, count: 4 },
  {
    kind: "snapshotPiece",
    index: 7 as LogIndex,
    contents: 0x0102_0304,
    number: 1,
    checksum: 0x0506_0708,
    bytes: Uint8Array.of(0x2a),
  },
  { kind: "snapshotGone", index: 7 as LogIndex, contents: 0x0102_0304 },
  { kind: "snapshotEnded", index: 7 as LogIndex, contents: 0x0102_0304, outcome: "stored" },
];

const term = 2 as Term;
const index = (value: number): LogIndex => value as LogIndex;
/** One Raft message of every kind, with everything that the newest version has. */
export const raftMessages: readonly (RaftMessage | RaftPromise)[] = [
  { kind: "preVoteRequest", term, lastIndex: index(7), lastTerm: 1 as Term },
  { kind: "preVoteAnswer", term, granted: true },
  { kind: "voteRequest", term, lastIndex: index(7), lastTerm: 1 as Term, transfer: true },
  { kind: "voteAnswer", term, granted: false },
  { kind: "append", term, prevIndex: index(6), prevTerm: 1 as Term, commit: index(5), runs: [run] },
  { kind: "appendMatched", term, matched: index(7) },
  { kind: "appendRejected", term, prevIndex: index(6), hintIndex: index(4), hintTerm: 1 as Term },
  {
    kind: "heartbeat",
    term,
    commit: index(7),
    round: 3,
    checkpoint: { index: index(5), digest: Uint8Array.of(0xd1, 0x9e, 0x57) },
    nextPriority: 60,
    heldFrom: index(6),
  },
  { kind: "heartbeatAnswer", term, round: 3, priority: 50, pledge: 150_000 as Micros },
  { kind: "commit", term, commit: index(7) },
  { kind: "forward", term, commands: [command] },
  {
    kind: "forwardRefused",
    refusal: { kind: "overloaded", inFlight: 8, inFlightMax: 8 },
    commands: [{ session: 5, sequence: 3 }],
  },
  { kind: "readRequest", ticket: 4 as Ticket },
  { kind: "readAnswer", ticket: 4 as Ticket, outcome: { kind: "index", index: index(7) } },
  { kind: "campaignNow", term },
  { kind: "hibernate", term, last: index(7) },
  { kind: "hibernating", term, last: index(7) },
  { kind: "wakeUp", term },
];
