/**
 * Messages and records as bytes. A head of a kind and its fields in the order of messages.ts, numbers little-endian; runs
 * and commands follow as they are, in the tail. A record is its head and tail behind one another. Decoding refuses, by
 * `MalformedError`, whatever encoding does not produce; entries bring checksums of their own, which it checks.
 */
import {
  ByteReader,
  ByteWriter,
  decodeRun,
  entryLength,
  entryPayload,
  entryTerm,
  hasMembersEntry,
  isMembersEntry,
  isProposable,
  limits,
  MalformedError,
  splitCommands,
  unreachable,
  type Encoded,
  type LogIndex,
  type Micros,
  type ProtocolCodec,
  type Run,
  type WireVersion,
} from "../core/index.ts";
import { has, hasMessage } from "./additions.ts";
import {
  decodeMembers,
  readAgentId,
  readBoolean,
  readFoundingMembers,
  readIndex,
  readMembers,
  readRefusal,
  readTerm,
  readTicket,
  writeBoolean,
  writeMembers,
  writeRefusal,
} from "./fields.ts";
import type {
  Append,
  BaseRecord,
  Checkpoint,
  CommandName,
  Forward,
  ForwardRefused,
  HardState,
  Heartbeat,
  HeartbeatAnswer,
  RaftMessage,
  RaftPromise,
  RaftProtocol,
  RaftRecord,
  ReadAnswer,
  VoteRequest,
} from "./messages.ts";

/** The numbers are on wires and disks: never change one. */
const messageKinds = {
  preVoteRequest: 1,
  preVoteAnswer: 2,
  voteRequest: 3,
  voteAnswer: 4,
  append: 5,
  appendMatched: 6,
  appendRejected: 7,
  heartbeat: 8,
  heartbeatAnswer: 9,
  commit: 10,
  forward: 11,
  forwardRefused: 12,
  readRequest: 13,
  readAnswer: 14,
  campaignNow: 15,
  hibernate: 16,
  hibernating: 17,
  wakeUp: 18,
} as const satisfies Record<(RaftMessage | RaftPromise)["kind"], number>;

/** The same of records. `foundingBase`: as the first version wrote it; read, and no longer written. */
const recordKinds = { foundingBase: 1, hardState: 2, entries: 3, base: 4 } as const satisfies Record<
  RaftRecord["kind"] | "foundingBase",
  number
>;

/** In place of a priority: none is told. */
const noPriority = 255;

/** What a hard state has besides its term. */
const hasVote = 1;
const hasPledge = 2;

const noTail: readonly Uint8Array[] = [];

export const raftCodec: ProtocolCodec<RaftProtocol> = {
  encodeMessage(message: RaftMessage | RaftPromise, version: WireVersion): Encoded | undefined {
    if (!canBeSaid(message, version)) return undefined;
    const writer = new ByteWriter().uint8(messageKinds[message.kind]);
    const tail = writeMessage(writer, message, version);
    return { head: writer.finish(), tail };
  },
  decodeMessage(head: Uint8Array, tail: Uint8Array, version: WireVersion): RaftMessage | RaftPromise {
    const reader = new ByteReader(head);
    const message = readMessage(reader, tail, version);
    reader.end();
    if (!canBeSaid(message, version)) throw new MalformedError("a message that its version does not have");
    if (tail.length > 0 && message.kind !== "append" && message.kind !== "forward") {
      throw new MalformedError("bytes behind a message that has none");
    }
    return message;
  },
  encodeRecord(record: RaftRecord): Encoded {
    const writer = new ByteWriter().uint8(recordKinds[record.kind]);
    const tail = writeRecord(writer, record);
    return { head: writer.finish(), tail };
  },
  decodeRecord(bytes: Uint8Array): RaftRecord {
    const reader = new ByteReader(bytes);
    const record = readRecord(reader);
    reader.end();
    return record;
  },
};

// ── messages ──

/** Whether peers of that version know the message and what it carries. */
function canBeSaid(message: RaftMessage | RaftPromise, version: WireVersion): boolean {
  if (!hasMessage(version, message.kind)) return false;
  return (
    message.kind !== "append" ||
    has(version, "entry.members") ||
    !message.runs.some(({ bytes }) => hasMembersEntry(bytes))
  );
}

function writeMessage(
  writer: ByteWriter,
  message: RaftMessage | RaftPromise,
  version: WireVersion,
): readonly Uint8Array[] {
  switch (message.kind) {
    case "preVoteRequest":
      writer.uint53(message.term).uint53(message.lastIndex).uint53(message.lastTerm);
      return noTail;
    case "voteRequest":
      writer.uint53(message.term).uint53(message.lastIndex).uint53(message.lastTerm);
      if (has(version, "voteRequest.transfer")) writeBoolean(writer, message.transfer === true);
      return noTail;
    case "preVoteAnswer":
    case "voteAnswer":
      writeBoolean(writer.uint53(message.term), message.granted);
      return noTail;
    case "append":
      writer.uint53(message.term).uint53(message.prevIndex).uint53(message.prevTerm).uint53(message.commit);
      return message.runs.map((run) => run.bytes);
    case "appendMatched":
      writer.uint53(message.term).uint53(message.matched);
      return noTail;
    case "appendRejected":
      writer
        .uint53(message.term)
        .uint53(message.prevIndex)
        .uint53(message.hintIndex)
        .uint53(message.hintTerm);
      return noTail;
    case "heartbeat":
      writer.uint53(message.term).uint53(message.commit).uint53(message.round);
      writeCheckpoint(writer, message.checkpoint);
      if (has(version, "heartbeat.nextPriority")) writer.uint8(message.nextPriority ?? 0);
      if (has(version, "heartbeat.heldFrom")) writer.uint53(message.heldFrom ?? 0);
      return noTail;
    case "heartbeatAnswer":
      writer.uint53(message.term).uint53(message.round);
      if (has(version, "heartbeatAnswer.priority")) writer.uint8(message.priority ?? noPriority);
      if (has(version, "heartbeatAnswer.pledge")) writer.uint53(message.pledge ?? 0);
      return noTail;
    case "commit":
      writer.uint53(message.term).uint53(message.commit);
      return noTail;
    case "hibernate":
    case "hibernating":
      writer.uint53(message.term).uint53(message.last);
      return noTail;
    case "wakeUp":
    case "campaignNow":
      writer.uint53(message.term);
      return noTail;
    case "forward":
      writer.uint53(message.term);
      return message.commands;
    case "forwardRefused":
      writeForwardRefused(writer, message, version);
      return noTail;
    case "readRequest":
      writer.uint53(message.ticket);
      return noTail;
    case "readAnswer":
      writeReadAnswer(writer, message, version);
      return noTail;
    default:
      return unreachable(message);
  }
}

function readMessage(reader: ByteReader, tail: Uint8Array, version: WireVersion): RaftMessage | RaftPromise {
  const kind = reader.uint8();
  switch (kind) {
    case messageKinds.preVoteRequest:
      return { kind: "preVoteRequest", ...readLogEnd(reader) };
    case messageKinds.voteRequest:
      return readVoteRequest(reader, version);
    case messageKinds.preVoteAnswer:
      return { kind: "preVoteAnswer", term: readTerm(reader), granted: readBoolean(reader) };
    case messageKinds.voteAnswer:
      return { kind: "voteAnswer", term: readTerm(reader), granted: readBoolean(reader) };
    case messageKinds.append:
      return readAppend(reader, tail);
    case messageKinds.appendMatched:
      return { kind: "appendMatched", term: readTerm(reader), matched: readIndex(reader) };
    case messageKinds.appendRejected:
      return {
        kind: "appendRejected",
        term: readTerm(reader),
        prevIndex: readIndex(reader),
        hintIndex: readIndex(reader),
        hintTerm: readTerm(reader),
      };
    case messageKinds.heartbeat:
      return readHeartbeat(reader, version);
    case messageKinds.heartbeatAnswer:
      return readHeartbeatAnswer(reader, version);
    case messageKinds.commit:
      return { kind: "commit", term: readTerm(reader), commit: readIndex(reader) };
    case messageKinds.campaignNow:
      return { kind: "campaignNow", term: readTerm(reader) };
    case messageKinds.hibernate:
      return { kind: "hibernate", term: readTerm(reader), last: readIndex(reader) };
    case messageKinds.hibernating:
      return { kind: "hibernating", term: readTerm(reader), last: readIndex(reader) };
    case messageKinds.wakeUp:
      return { kind: "wakeUp", term: readTerm(reader) };
    case messageKinds.forward:
      return readForward(reader, tail);
    case messageKinds.forwardRefused:
      return readForwardRefused(reader, version);
    case messageKinds.readRequest:
      return { kind: "readRequest", ticket: readTicket(reader) };
    case messageKinds.readAnswer:
      return readReadAnswer(reader, version);
    default:
      throw new MalformedError("a message of an unknown kind");
  }
}

function readVoteRequest(reader: ByteReader, version: WireVersion): VoteRequest {
  const request: VoteRequest = { kind: "voteRequest", ...readLogEnd(reader) };
  const isAskedFor = has(version, "voteRequest.transfer") && readBoolean(reader);
  return isAskedFor ? { ...request, transfer: true } : request;
}

function readLogEnd(reader: ByteReader): Pick<VoteRequest, "term" | "lastIndex" | "lastTerm"> {
  return { term: readTerm(reader), lastIndex: readIndex(reader), lastTerm: readTerm(reader) };
}

function writeCheckpoint(writer: ByteWriter, checkpoint: Checkpoint | undefined): void {
  writeBoolean(writer, checkpoint !== undefined);
  if (checkpoint !== undefined) writer.uint53(checkpoint.index).bytes(checkpoint.digest);
}

function readHeartbeat(reader: ByteReader, version: WireVersion): Heartbeat {
  const term = readTerm(reader);
  const commit = readIndex(reader);
  const round = reader.uint53();
  const checkpoint = readCheckpoint(reader);
  const nextPriority = has(version, "heartbeat.nextPriority") ? readPriority(reader) : 0;
  const heldFrom = has(version, "heartbeat.heldFrom") ? readIndex(reader) : (0 as LogIndex);
  return {
    kind: "heartbeat",
    term,
    commit,
    round,
    ...(checkpoint !== undefined && { checkpoint }),
    ...(nextPriority > 0 && { nextPriority }),
    ...(heldFrom > 0 && { heldFrom }),
  };
}

function readHeartbeatAnswer(reader: ByteReader, version: WireVersion): HeartbeatAnswer {
  const term = readTerm(reader);
  const round = reader.uint53();
  const priority = has(version, "heartbeatAnswer.priority") ? readPriority(reader, noPriority) : noPriority;
  const pledge = has(version, "heartbeatAnswer.pledge") ? reader.uint53() : 0;
  return {
    kind: "heartbeatAnswer",
    term,
    round,
    ...(priority !== noPriority && { priority }),
    ...(pledge > 0 && { pledge: pledge as Micros }),
  };
}

function readPriority(reader: ByteReader, absent = 0): number {
  const priority = reader.uint8();
  if (priority > limits.priorityMax && priority !== absent)
    throw new MalformedError("a priority beyond the limit");
  return priority;
}

function readCheckpoint(reader: ByteReader): Checkpoint | undefined {
  if (!readBoolean(reader)) return undefined;
  const index = readIndex(reader);
  const digest = reader.bytes();
  if (digest.length > limits.digestBytesMax) throw new MalformedError("a digest is longer than the limit");
  // A copy: the digest may be kept for longer than the bytes that it arrived with.
  return { index, digest: new Uint8Array(digest) };
}

/** However many runs were sent, they arrive as one. */
function readAppend(reader: ByteReader, tail: Uint8Array): Append {
  const term = readTerm(reader);
  const prevIndex = readIndex(reader);
  const prevTerm = readTerm(reader);
  const commit = readIndex(reader);
  if (prevTerm > term) throw new MalformedError("an append goes on from a later term than its own");
  const runs: Run[] = [];
  if (tail.length > 0) {
    if (tail.length > limits.batchBytesMax) throw new MalformedError("an append is longer than the limit");
    const run = readRun(tail, (prevIndex + 1) as LogIndex);
    checkTerms(run, prevTerm, term);
    runs.push(run);
  }
  return { kind: "append", term, prevIndex, prevTerm, commit, runs };
}

/** A run whose entries of kind `members` can be taken into force unseen. */
function readRun(bytes: Uint8Array, first?: LogIndex): Run {
  const run = decodeRun(bytes, first);
  if (!hasMembersEntry(bytes)) return run;
  for (let offset = 0; offset < bytes.length; offset += entryLength(bytes, offset)) {
    if (isMembersEntry(bytes, offset)) decodeMembers(entryPayload(bytes, offset));
  }
  return run;
}

/** That terms do not fall within the run is known already. */
function checkTerms(run: Run, lowest: number, highest: number): void {
  if (entryTerm(run.bytes, 0) < lowest)
    throw new MalformedError("an entry is of an earlier term than the one before");
  let offset = 0;
  for (let index: number = run.first; index < run.last; index++) offset += entryLength(run.bytes, offset);
  if (entryTerm(run.bytes, offset) > highest)
    throw new MalformedError("an entry is of a later term than its leader");
}

function readForward(reader: ByteReader, tail: Uint8Array): Forward {
  const term = readTerm(reader);
  if (tail.length > limits.batchBytesMax) throw new MalformedError("more bytes of commands than the limit");
  const commands = splitCommands(tail);
  if (commands.length > limits.batchEntriesMax) throw new MalformedError("more commands than the limit");
  if (!commands.every((command) => isProposable(command, 0)))
    throw new MalformedError("a follower sends on what no client may propose");
  return { kind: "forward", term, commands };
}

function writeForwardRefused(writer: ByteWriter, message: ForwardRefused, version: WireVersion): void {
  writeRefusal(writer, message.refusal, version);
  writer.uint16(message.commands.length);
  for (const { session, sequence } of message.commands) writer.uint53(session).uint53(sequence);
}

function readForwardRefused(reader: ByteReader, version: WireVersion): ForwardRefused {
  const refusal = readRefusal(reader, version);
  const count = reader.uint16();
  const commands: CommandName[] = [];
  while (commands.length < count) commands.push({ session: reader.uint53(), sequence: reader.uint53() });
  return { kind: "forwardRefused", commands, refusal };
}

function writeReadAnswer(writer: ByteWriter, { ticket, outcome }: ReadAnswer, version: WireVersion): void {
  writer.uint53(ticket);
  writeBoolean(writer, outcome.kind === "index");
  if (outcome.kind === "index") writer.uint53(outcome.index);
  else writeRefusal(writer, outcome, version);
}

function readReadAnswer(reader: ByteReader, version: WireVersion): ReadAnswer {
  const ticket = readTicket(reader);
  const isConfirmed = readBoolean(reader);
  const outcome: ReadAnswer["outcome"] = isConfirmed
    ? { kind: "index", index: readIndex(reader) }
    : readRefusal(reader, version);
  return { kind: "readAnswer", ticket, outcome };
}

// ── records ──

function writeRecord(writer: ByteWriter, record: RaftRecord): readonly Uint8Array[] {
  switch (record.kind) {
    case "base":
      writer.uint53(record.index).uint53(record.term).uint53(record.time);
      writeMembers(writer, record.members);
      writeBoolean(writer, record.snapshot !== undefined);
      if (record.snapshot !== undefined)
        writer.bytes(record.snapshot.digest).uint53(record.snapshot.byteLength);
      writeBoolean(writer, record.hardState !== undefined);
      if (record.hardState !== undefined) writeHardState(writer, record.hardState);
      return noTail;
    case "hardState":
      writeHardState(writer, record);
      return noTail;
    case "entries":
      return [record.run.bytes];
    default:
      return unreachable(record);
  }
}

function writeHardState(writer: ByteWriter, { term, votedFor, pledge }: HardState): void {
  writer.uint53(term);
  writer.uint8((votedFor === undefined ? 0 : hasVote) | (pledge === undefined ? 0 : hasPledge));
  if (votedFor !== undefined) writer.text(votedFor);
  if (pledge !== undefined) writer.uint53(pledge);
}

function readHardState(reader: ByteReader): HardState {
  const term = readTerm(reader);
  const parts = reader.uint8();
  if (parts > (hasVote | hasPledge)) throw new MalformedError("a hard state has parts that nobody knows");
  const votedFor = (parts & hasVote) === 0 ? undefined : readAgentId(reader);
  const pledge = (parts & hasPledge) === 0 ? undefined : (reader.uint53() as Micros);
  return { term, ...(votedFor !== undefined && { votedFor }), ...(pledge !== undefined && { pledge }) };
}

function readRecord(reader: ByteReader): RaftRecord {
  const kind = reader.uint8();
  switch (kind) {
    case recordKinds.foundingBase:
      return {
        kind: "base",
        index: readIndex(reader),
        term: readTerm(reader),
        time: 0,
        members: readFoundingMembers(reader),
      };
    case recordKinds.base:
      return readBase(reader);
    case recordKinds.hardState:
      return { kind: "hardState", ...readHardState(reader) };
    case recordKinds.entries:
      return { kind: "entries", run: readRun(reader.rest()) };
    default:
      throw new MalformedError("a record of an unknown kind");
  }
}

function readBase(reader: ByteReader): BaseRecord {
  const index = readIndex(reader);
  const term = readTerm(reader);
  const time = reader.uint53();
  const members = readMembers(reader);
  const snapshot = readBoolean(reader)
    ? { digest: reader.bytes().slice(), byteLength: reader.uint53() }
    : undefined;
  const hardState = readBoolean(reader) ? readHardState(reader) : undefined;
  return {
    kind: "base",
    index,
    term,
    time,
    members,
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(hardState === undefined ? {} : { hardState }),
  };
}
