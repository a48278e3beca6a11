/** What the running hash and the trace say of a message. */
import { readUint32 } from "../core/bytes.ts";
import { entryIndex, entryLength, entryTerm } from "../core/entry.ts";
import { unreachable } from "../core/assert.ts";
import type { Run } from "../core/entry.ts";
import { isTransfer, type TransferMessage } from "../driver/transfer-messages.ts";
import type { RaftMessage, RaftPromise } from "../raft/messages.ts";
import type { RunningHash } from "./running-hash.ts";

/** What travels between simulated agents. */
export type SimulatedMessage = RaftMessage | RaftPromise | TransferMessage;

const kindNumbers: Readonly<Record<SimulatedMessage["kind"], number>> = {
  preVoteRequest: 1,
  preVoteAnswer: 2,
  append: 3,
  heartbeat: 4,
  heartbeatAnswer: 5,
  commit: 6,
  forward: 7,
  forwardRefused: 8,
  readRequest: 9,
  readAnswer: 10,
  voteRequest: 11,
  voteAnswer: 12,
  appendMatched: 13,
  appendRejected: 14,
  campaignNow: 15,
  hibernate: 16,
  hibernating: 17,
  wakeUp: 18,
  snapshotOffer: 64,
  snapshotAsk: 65,
  snapshotPiece: 66,
  snapshotGone: 67,
  snapshotEnded: 68,
};

/** Everything that a message says; entries, and pieces of snapshots, by their checksums. */
export function hashMessage(hash: RunningHash, message: SimulatedMessage): void {
  hash.add(kindNumbers[message.kind]);
  if (isTransfer(message)) hashTransfer(hash, message);
  else hashRaft(hash, message);
}

function hashRaft(hash: RunningHash, message: RaftMessage | RaftPromise): void {
  if ("term" in message) hash.add(message.term);
  switch (message.kind) {
    case "preVoteRequest":
    case "voteRequest":
      hash.add(message.lastIndex);
      hash.add(message.lastTerm);
      hash.add(Number("transfer" in message));
      return;
    case "preVoteAnswer":
    case "voteAnswer":
      hash.add(Number(message.granted));
      return;
    case "append":
      hash.add(message.prevIndex);
      hash.add(message.prevTerm);
      hash.add(message.commit);
      for (const run of message.runs) hashRun(hash, run);
      return;
    case "heartbeat":
      hash.add(message.commit);
      hash.add(message.round);
      hash.add(message.nextPriority ?? 0);
      hash.add(message.heldFrom ?? 0);
      return;
    case "heartbeatAnswer":
      hash.add(message.round);
      hash.add(message.priority ?? -1);
      hash.add(message.pledge ?? 0);
      return;
    case "commit":
      hash.add(message.commit);
      return;
    case "hibernate":
    case "hibernating":
      hash.add(message.last);
      return;
    case "wakeUp":
    case "campaignNow":
      return;
    case "forward":
      hash.add(message.commands.length);
      return;
    case "forwardRefused":
      for (const { session, sequence } of message.commands) hash.add(session + sequence);
      return;
    case "readRequest":
      hash.add(message.ticket);
      return;
    case "readAnswer":
      hash.add(message.ticket);
      hash.add(message.outcome.kind === "index" ? message.outcome.index : -1);
      return;
    case "appendMatched":
      hash.add(message.matched);
      return;
    case "appendRejected":
      hash.add(message.prevIndex);
      hash.add(message.hintIndex);
      hash.add(message.hintTerm);
      return;
    default:
      unreachable(message);
  }
}

function hashTransfer(hash: RunningHash, message: TransferMessage): void {
  switch (message.kind) {
    case "snapshotOffer":
      hash.add(message.snapshot.index);
      hash.add(message.snapshot.contents);
      return;
    case "snapshotAsk":
      hash.add(message.index);
      hash.add(message.first);
      hash.add(message.count);
      return;
    case "snapshotPiece":
      hash.add(message.index);
      hash.add(message.number);
      hash.add(message.checksum);
      return;
    case "snapshotGone":
      hash.add(message.index);
      return;
    case "snapshotEnded":
      hash.add(message.index);
      hash.add(message.outcome === "stored" ? 1 : 0);
      return;
    default:
      unreachable(message);
  }
}

function hashRun(hash: RunningHash, run: Run): void {
  for (let offset = 0; offset < run.bytes.length; offset += entryLength(run.bytes, offset)) {
    hash.add(readUint32(run.bytes, offset + 4));
  }
}

/** One entry in a trace. */
export interface EntryFacts {
  readonly index: number;
  readonly term: number;
}

/** A message's fields in a trace; the names are those of docs/trace.md. */
export function messageFacts(message: SimulatedMessage): Readonly<Record<string, unknown>> {
  if (isTransfer(message)) return transferFacts(message);
  switch (message.kind) {
    case "preVoteRequest":
    case "voteRequest":
      return {
        kind: message.kind,
        term: message.term,
        logTerm: message.lastTerm,
        index: message.lastIndex,
        ...("transfer" in message && { transfer: true }),
      };
    case "campaignNow":
      return { kind: message.kind, term: message.term };
    case "preVoteAnswer":
    case "voteAnswer":
      return { kind: message.kind, term: message.term, refused: !message.granted };
    case "append":
      return {
        kind: message.kind,
        term: message.term,
        logTerm: message.prevTerm,
        index: message.prevIndex,
        commit: message.commit,
        entries: message.runs.flatMap(entriesOf),
      };
    case "heartbeat":
      return { kind: message.kind, term: message.term, commit: message.commit, round: message.round };
    case "heartbeatAnswer":
      return { kind: message.kind, term: message.term, round: message.round };
    case "commit":
      return { kind: message.kind, term: message.term, commit: message.commit };
    case "hibernate":
    case "hibernating":
      return { kind: message.kind, term: message.term, index: message.last };
    case "wakeUp":
      return { kind: message.kind, term: message.term };
    case "appendMatched":
      return { kind: message.kind, term: message.term, index: message.matched, refused: false };
    case "appendRejected":
      return {
        kind: message.kind,
        term: message.term,
        index: message.prevIndex,
        refused: true,
        hintIndex: message.hintIndex,
        hintTerm: message.hintTerm,
      };
    case "forward":
      return { kind: message.kind, term: message.term, commands: message.commands.length };
    case "forwardRefused":
      return { kind: message.kind, commands: message.commands.length, refusal: message.refusal.kind };
    case "readRequest":
      return { kind: message.kind, ticket: message.ticket };
    case "readAnswer":
      return message.outcome.kind === "index"
        ? { kind: message.kind, ticket: message.ticket, index: message.outcome.index, refused: false }
        : { kind: message.kind, ticket: message.ticket, refused: true };
    default:
      return unreachable(message);
  }
}

function transferFacts(message: TransferMessage): Readonly<Record<string, unknown>> {
  const { kind } = message;
  switch (kind) {
    case "snapshotOffer":
      return { kind, index: message.snapshot.index, bytes: message.snapshot.byteLength };
    case "snapshotAsk":
      return { kind, index: message.index, first: message.first, count: message.count };
    case "snapshotPiece":
      return { kind, index: message.index, number: message.number };
    case "snapshotGone":
      return { kind, index: message.index };
    case "snapshotEnded":
      return { kind, index: message.index, refused: message.outcome === "failed" };
    default:
      return unreachable(kind);
  }
}

function entriesOf(run: Run): EntryFacts[] {
  const entries: EntryFacts[] = [];
  for (let offset = 0; offset < run.bytes.length; offset += entryLength(run.bytes, offset)) {
    entries.push({ index: entryIndex(run.bytes, offset), term: entryTerm(run.bytes, offset) });
  }
  return entries;
}
