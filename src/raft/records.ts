/**
 * What is durable changes in one way only: a record is folded into the state. Live steps fold a record and push it;
 * recovery folds what comes back. So a restart can't differ from the life before it.
 */
import {
  assert,
  entryKind,
  entryLength,
  entryPayload,
  hasMembersEntry,
  isMembersEntry,
  mayFollow,
  unreachable,
  type AgentId,
  type LogIndex,
  type Micros,
  type Now,
  type Outbox,
  type RecordNumber,
  type Recovered,
  type Run,
  type Term,
} from "../core/index.ts";
import { decodeMembers } from "./fields.ts";
import type { BaseRecord, HardState, RaftProtocol, RaftRecord } from "./messages.ts";
import { PendingRecords } from "./pending-records.ts";
import type { RaftState } from "./state.ts";

function fold(state: RaftState, record: RaftRecord, number: RecordNumber): void {
  switch (record.kind) {
    case "base":
      foldBase(state, record, number);
      return;
    case "hardState":
      foldHardState(state, record);
      return;
    case "entries":
      foldEntries(state, record.run, number);
      return;
    default:
      unreachable(record);
  }
}

/**
 * A log that has the base's entry keeps all that it has: both say the same up to there. So does one that starts behind it,
 * which only recovery meets, in bases from before the last compaction. Any other begins anew.
 */
function foldBase(state: RaftState, record: BaseRecord, number: RecordNumber): void {
  const { log, configurations } = state;
  const { index, term } = record;
  assert(index >= state.base.index, "R30: a base only moves on");
  if (record.hardState !== undefined) foldHardState(state, record.hardState);
  if (index === log.start) {
    log.startsWith(term);
  } else if (index > log.start && log.termAt(index) !== term) {
    // What is still on its way to the disk counts only as far as it was decided: the snapshot says the same up to there.
    state.pending.truncate(state.commitIndex);
    log.startAnew(index, term, record.time);
    configurations.truncate(index);
  }
  configurations.startAt(index, record.members);
  state.base = record;
  state.baseRecord = number;
  state.baseEndsLog = log.last === index;
  if (state.commitIndex < index) state.commitIndex = index;
}

function foldHardState(state: RaftState, { term, votedFor, pledge }: HardState): void {
  assert(term >= state.term, "R2: terms never fall");
  assert(
    term > state.term || state.votedFor === undefined || state.votedFor === votedFor,
    "R3: one vote a term",
  );
  state.term = term;
  state.votedFor = votedFor;
  state.pledge = pledge ?? (0 as Micros);
}

function foldEntries(state: RaftState, run: Run, number: RecordNumber): void {
  const { log } = state;
  // Recovery may begin with entries that are kept from before the base: of terms it is known then only that they don't fall.
  const isBeforeBase = state.baseRecord === 0;
  if (isBeforeBase && log.last === 0 && run.first > 1) log.startBefore(run.first);
  if (run.first <= log.last) truncate(state, (run.first - 1) as LogIndex);
  log.append(run, number, isBeforeBase ? (Number.POSITIVE_INFINITY as Term) : state.term);
  noteMembers(state, run);
}

function truncate(state: RaftState, last: LogIndex): void {
  assert(last >= state.commitIndex, "R9: what is decided is never truncated");
  state.log.truncate(last);
  state.configurations.truncate(last);
  state.pending.truncate(last);
}

/** Members that the run's entries bring are in force from here on. */
function noteMembers(state: RaftState, run: Run): void {
  const { bytes } = run;
  if (!hasMembersEntry(bytes)) return;
  let offset = 0;
  for (let index = run.first; index <= run.last; index++) {
    if (isMembersEntry(bytes, offset)) {
      const members = decodeMembers(entryPayload(bytes, offset));
      // Before the base has come that the log starts from, it is not known which ones they follow.
      const isUnknown = state.baseRecord === 0 || state.base.index < state.log.start;
      const isFree = isUnknown || entryKind(bytes, offset) === "forcedMembers";
      assert(
        isFree || mayFollow(state.members, members),
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
  const { log, base } = state;
  log.settleStart();
  assert(log.start <= base.index, "R31: the journal gives every record that the newest base builds on");
  assert(log.lastTerm <= state.term, "R4: no entry is of a later term than its holder");
  const before = recovered.next - 1 - count;
  log.renumberRecords(before);
  if (count > 0) state.baseRecord = (state.baseRecord + before) as RecordNumber;
  state.nextRecord = recovered.next;
  state.pending = new PendingRecords(recovered.next - 1, log.last);
  state.durableBase = base.index;
  state.handedOut = base.index;
  state.applied = base.index;
  state.neededFrom = (before + 1) as RecordNumber;
  if (count > 0) noteNeeded(state);
}

/** The first record of a group's life. Whoever joins one claims nothing by it: it knows of nobody yet. */
export function foundGroup(state: RaftState, now: Now, out: Outbox<RaftProtocol>): void {
  assert(state.baseRecord === 0 && state.log.last === 0, "only a group without records is founded");
  persist(state, state.base, now, out);
}

/**
 * More is durable, or the log has let go of entries: recovery may need fewer records. It begins with the record of the log's
 * first entry; or with the base's own, if the log had nothing behind the base then. Otherwise records of entries follow that
 * one which can't be understood without those before it, even where all of them were replaced since: then nothing changes.
 */
export function noteNeeded(state: RaftState): void {
  const { log, baseRecord, baseEndsLog } = state;
  // Until it is durable, a crash brings back the base before, and all that belongs to it.
  if (baseRecord > state.pending.durableRecord) return;
  const { firstRecord } = log;
  const isInFront = firstRecord !== undefined && firstRecord < baseRecord;
  if (!isInFront && !baseEndsLog) return;
  const needed = isInFront ? firstRecord : baseRecord;
  assert(needed >= state.neededFrom, "R31: what recovery no longer needed it never needs again");
  state.neededFrom = needed;
}

/** A higher term, and perhaps a vote in it. */
export function persistTerm(
  state: RaftState,
  term: Term,
  votedFor: AgentId | undefined,
  now: Now,
  out: Outbox<RaftProtocol>,
): RecordNumber {
  return persist(state, { kind: "hardState", ...hardStateOf(term, votedFor, state.pledge) }, now, out);
}

export function hardStateOf(term: Term, votedFor: AgentId | undefined, pledge: Micros): HardState {
  return { term, ...(votedFor !== undefined && { votedFor }), ...(pledge > 0 && { pledge }) };
}
