/**
 * What is durable changes in one way only: a record is folded into the state. Live steps fold a record and push it;
 * recovery folds what comes back. So a restart can't differ from the life before it.
 */
import {
  assert,
  entryKind,
  entryLength,
  entryPayload,
  isMembersEntry,
  mayFollow,
  unreachable,
  type AgentId,
  type LogIndex,
  type Now,
  type Outbox,
  type RecordNumber,
  type Recovered,
  type Run,
  type Term,
} from "../core/index.ts";
import { decodeMembers } from "./fields.ts";
import type { RaftProtocol, RaftRecord } from "./messages.ts";
import { PendingRecords } from "./pending-records.ts";
import type { RaftState } from "./state.ts";

function fold(state: RaftState, record: RaftRecord, number: RecordNumber): void {
  switch (record.kind) {
    case "base":
      state.log.startAt(record.index, record.term);
      state.configurations.startAt(record.index, record.members);
      state.baseRecord = number;
      return;
    case "hardState":
      assert(record.term >= state.term, "R2: terms never fall");
      assert(
        record.term > state.term || state.votedFor === undefined || state.votedFor === record.votedFor,
        "R3: one vote a term",
      );
      state.term = record.term;
      state.votedFor = record.votedFor;
      return;
    case "entries":
      if (record.run.first <= state.log.last) truncate(state, (record.run.first - 1) as LogIndex);
      state.log.append(record.run, number, state.term);
      noteMembers(state, record.run);
      return;
    default:
      unreachable(record);
  }
}

function truncate(state: RaftState, last: LogIndex): void {
  assert(last >= state.commitIndex, "R9: what is decided is never truncated");
  state.log.truncate(last);
  state.configurations.truncate(last);
  state.pending.truncate(last);
}

/** Members that the run's entries bring are in force from here on. It reads one byte of every entry: more only of those. */
function noteMembers(state: RaftState, run: Run): void {
  const { bytes } = run;
  let offset = 0;
  for (let index = run.first; index <= run.last; index++) {
    if (isMembersEntry(bytes, offset)) {
      const members = decodeMembers(entryPayload(bytes, offset));
      assert(
        mayFollow(state.members, members) || entryKind(bytes, offset) === "forcedMembers",
        "R24: majorities of neighbouring configurations share a voter",
      );
      state.configurations.add(index, members);
    }
    offset += entryLength(bytes, offset);
  }
}

/** Folds a record and pushes it. Gives its number: it is durable once that is. */
export function persist(
  state: RaftState,
  record: RaftRecord,
  now: Now,
  out: Outbox<RaftProtocol>,
): RecordNumber {
  assert(state.woken, "nothing is written before the first wake");
  const number = state.nextRecord;
  fold(state, record, number);
  out.records.push(record);
  state.nextRecord = (number + 1) as RecordNumber;
  state.pending.push(number, state.log.last, now.monotonic);
  return number;
}

/** Keeps the newest entries in memory, within a limit: what is on disk, and at a leader also decided, can be read again. */
export function trimTail(state: RaftState): void {
  const { log, limits } = state;
  if (log.tailBytes <= limits.logTailBytesMax) return;
  const durable = state.pending.durableIndex;
  const bound = state.role.kind === "leading" && state.commitIndex < durable ? state.commitIndex : durable;
  log.trim(limits.logTailBytesMax, bound);
}

/** Recovery: every record is on disk, the last one has the number before `next`. */
export function recover(state: RaftState, recovered: Recovered<RaftProtocol>): void {
  let count = 0;
  for (const record of recovered.records) {
    count += 1;
    fold(state, record, count as RecordNumber);
    if (state.log.tailBytes > state.limits.logTailBytesMax) {
      state.log.trim(state.limits.logTailBytesMax, state.log.last);
    }
  }
  assert(count === 0 || state.baseRecord > 0, "a group's records have a base among them");
  assert(count < recovered.next, "records are numbered from 1");
  const before = recovered.next - 1 - count;
  state.log.renumberRecords(before);
  if (count > 0) state.baseRecord = (state.baseRecord + before) as RecordNumber;
  state.nextRecord = recovered.next;
  state.pending = new PendingRecords(recovered.next - 1, state.log.last);
  const { baseIndex } = state.log;
  state.commitIndex = baseIndex;
  state.handedOut = baseIndex;
  state.applied = baseIndex;
}

/** The first record of a group's life. Whoever joins one claims nothing by it: it knows of nobody yet. */
export function foundGroup(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  const { baseIndex } = state.log;
  assert(state.nextRecord === 1, "only a group without records is founded");
  const { term, members } = state;
  persist(state, { kind: "base", index: baseIndex, term, time: 0, members }, now, out);
}

/** A higher term, and perhaps a vote in it. */
export function persistTerm(
  state: RaftState,
  term: Term,
  votedFor: AgentId | undefined,
  now: Now,
  out: Outbox<RaftProtocol>,
): RecordNumber {
  return persist(
    state,
    votedFor === undefined ? { kind: "hardState", term } : { kind: "hardState", term, votedFor },
    now,
    out,
  );
}
