/**
 * The order of the log: where each term begins, where in the journal its entries are, and the newest of them in memory.
 * It never looks into an entry but for its length and term, and keeps runs as they came: the same bytes on every way.
 */
import {
  assert,
  entryIndex,
  entryLength,
  entryTerm,
  entryTime,
  limits,
  present,
  sliceRun,
  truncateRun,
  type LogIndex,
  type RecordNumber,
  type Run,
  type Term,
} from "../core/index.ts";

/** One point in the table from index to record for so many bytes of entries. */
const pointDistanceBytes = 4 * 1024;
/** Recovery may begin with entries before it comes to what they follow. */
const unknownTerm = -1;
/** Slots of dropped runs are given back in one go once there are so many and they are half of all. */
const droppedSlotsMax = 1024;

export class Log {
  readonly #pointDistance: number;
  /** The log starts behind this index; what the entry there and all before it did is in a snapshot, or they never were. */
  #start = 0;
  #startTerm = 0;
  /** No entry up to the start has a later logged time. */
  #startTime = 0;
  #last = 0;

  /** The tail: consecutive runs up to the log's end, from slot `#dropped` on. Once there is an entry, it is never empty. */
  #runs: Run[] = [];
  /** For each run, how many bytes were appended up to its end. */
  #ends: number[] = [];
  #dropped = 0;
  #tailBytes = 0;
  #bytesAppended = 0;

  /** Where each term begins, and which it is; both rise. */
  readonly #termStarts: number[] = [];
  readonly #terms: number[] = [];

  /**
   * Some indices, the record that each was appended by, and how many bytes were appended before it; all rise. What lies behind
   * an index is in that record or later.
   */
  readonly #pointIndices: number[] = [];
  readonly #pointRecords: number[] = [];
  readonly #pointBytes: number[] = [];
  #bytesSincePoint = 0;

  /** `keptBytesMax`: what `compact` is to keep. Where that is little, points are closer, so that it can be kept to. */
  constructor(keptBytesMax: number = limits.logKeptBytesMax) {
    this.#pointDistance = Math.min(keptBytesMax / 4, pointDistanceBytes);
  }

  get start(): LogIndex {
    return this.#start as LogIndex;
  }

  get last(): LogIndex {
    return this.#last as LogIndex;
  }

  /** Term of the last entry. */
  get lastTerm(): Term {
    return (this.#terms.length === 0 ? this.#startTerm : this.#terms[this.#terms.length - 1]!) as Term;
  }

  get tailBytes(): number {
    return this.#tailBytes;
  }

  /** Bytes appended in this life of the process, less what was truncated. Only differences mean something. */
  get bytesAppended(): number {
    return this.#bytesAppended;
  }

  /** Begins anew, without an entry, behind the one at `index`. */
  startAnew(index: LogIndex, term: Term, time: number): void {
    this.#start = index;
    this.#startTerm = term;
    this.#startTime = time;
    this.#last = index;
    this.#runs = [];
    this.#ends = [];
    this.#dropped = 0;
    this.#tailBytes = 0;
    for (const table of [this.#termStarts, this.#terms]) table.length = 0;
    for (const table of [this.#pointIndices, this.#pointRecords, this.#pointBytes]) table.length = 0;
  }

  /** The same where the term of that entry is yet to be learnt, or never is: see `settleStart`. */
  startBefore(first: LogIndex): void {
    assert(this.#last === 0, "only the first entries of a recovery come before what they follow");
    this.startAnew((first - 1) as LogIndex, unknownTerm as Term, 0);
  }

  /** The entry that the log starts behind is of this term. */
  startsWith(term: Term): void {
    assert(this.#startTerm === unknownTerm || this.#startTerm === term, "an entry has one term");
    this.#startTerm = term;
  }

  /** Nobody has said of which term the entry is that the log starts behind: so it starts one later, where it is known. */
  settleStart(): void {
    if (this.#startTerm !== unknownTerm) return;
    assert(this.#last > this.#start, "a log that starts somewhere has an entry there");
    this.#start += 1;
    this.#startTerm = this.#terms[0]!;
  }

  /**
   * Lets go of the entries up to `through`, or of fewer: what stays begins with a whole record. Never of the last record.
   */
  compact(through: LogIndex): void {
    const point = lastAtMost(this.#pointIndices, through + 1);
    const start = point < 0 ? 0 : this.#pointIndices[point]! - 1;
    if (start <= this.#start) return;
    this.#startTerm = present(this.termAt(start as LogIndex), "an entry that goes has a term");
    this.#start = start;
    const segment = lastAtMost(this.#termStarts, start + 1);
    for (const table of [this.#termStarts, this.#terms]) table.splice(0, segment);
    for (const table of [this.#pointIndices, this.#pointRecords, this.#pointBytes]) table.splice(0, point);
    while (this.#dropped < this.#runs.length && this.#runs[this.#dropped]!.last <= start) this.#dropOldest();
    this.#giveSlotsBack();
  }

  /** Where the log would start if it kept at most `bytesMax` in front of `through`, to within a run and the distance of points. */
  startKeeping(bytesMax: number, through: LogIndex): LogIndex {
    const end = lastAtMost(this.#pointIndices, through + 1);
    if (end < 0) return this.start;
    const point = lastAtMost(this.#pointBytes, this.#pointBytes[end]! - bytesMax - 1) + 1;
    return Math.max(this.#start, this.#pointIndices[point]! - 1) as LogIndex;
  }

  /**
   * Adds a run behind the end. `record` holds it; `currentTerm` is the highest that an entry can have, so a run that
   * begins with it is all of one term and need not be read through.
   */
  append(run: Run, record: RecordNumber, currentTerm: Term): void {
    assert(run.first === this.#last + 1, "a run follows the log's end");
    assert(run.last >= run.first, "a run is not empty");
    this.#noteTerms(run, currentTerm);
    this.#notePoint(run, record);
    this.#last = run.last;
    this.#bytesAppended += run.bytes.length;
    this.#tailBytes += run.bytes.length;
    this.#runs.push(run);
    this.#ends.push(this.#bytesAppended);
  }

  #noteTerms(run: Run, currentTerm: Term): void {
    let newest: number = this.lastTerm;
    let offset = 0;
    for (let index: number = run.first; index <= run.last; index++) {
      const term = entryTerm(run.bytes, offset);
      assert(term >= newest, "terms never fall along the log");
      assert(term <= currentTerm, "no entry is of a term still to come");
      if (term > newest || this.#terms.length === 0) {
        this.#termStarts.push(index);
        this.#terms.push(term);
        newest = term;
      }
      if (term === currentTerm) return;
      offset += entryLength(run.bytes, offset);
    }
  }

  #notePoint(run: Run, record: RecordNumber): void {
    const newest = this.#pointRecords[this.#pointRecords.length - 1];
    assert(newest === undefined || record >= newest, "records are appended in their order");
    if (newest === undefined || this.#bytesSincePoint >= this.#pointDistance) {
      this.#pointIndices.push(run.first);
      this.#pointRecords.push(record);
      this.#pointBytes.push(this.#bytesAppended);
      this.#bytesSincePoint = 0;
    }
    this.#bytesSincePoint += run.bytes.length;
  }

  /** Forgets every entry behind `last`. */
  truncate(last: LogIndex): void {
    assert(last >= this.#start, "what a snapshot holds is never truncated");
    if (last >= this.#last) return;
    this.#last = last;
    popAbove(this.#termStarts, last, this.#terms);
    popAbove(this.#pointIndices, last, this.#pointRecords, this.#pointBytes);
    while (this.#runs.length > this.#dropped) {
      const run = this.#runs[this.#runs.length - 1]!;
      if (run.last <= last) return;
      this.#runs.pop();
      this.#ends.pop();
      this.#tailBytes -= run.bytes.length;
      this.#bytesAppended -= run.bytes.length;
      if (run.first > last) continue;
      const kept = truncateRun(run, last);
      this.#tailBytes += kept.bytes.length;
      this.#bytesAppended += kept.bytes.length;
      this.#runs.push(kept);
      this.#ends.push(this.#bytesAppended);
      return;
    }
  }

  /** Term of the entry at `index`; undefined before the start and behind the end. */
  termAt(index: LogIndex): Term | undefined {
    if (index > this.#last || index < this.#start) return undefined;
    if (index === this.#start) return this.#startTerm === unknownTerm ? undefined : (this.#startTerm as Term);
    return this.#terms[lastAtMost(this.#termStarts, index)]! as Term;
  }

  /**
   * The highest index up to `index` whose term is at most `term`: whoever holds the entry (`index`, `term`) can't agree
   * with this log further up. One below the start where nothing in the log qualifies.
   */
  lastOfTermAtMost(term: Term, index: LogIndex): LogIndex {
    const from = Math.min(index, this.#last);
    if (from < this.#start || this.#startTerm > term) return (this.#start - 1) as LogIndex;
    const position = lastAtMost(this.#terms, term);
    const following = this.#termStarts[position + 1] ?? Number.POSITIVE_INFINITY;
    return Math.max(Math.min(from, following - 1), this.#start) as LogIndex;
  }

  /** The run in memory that holds the entry at `index`; undefined: it is in the journal, or nowhere. */
  runAt(index: LogIndex): Run | undefined {
    const newest = this.#runs[this.#runs.length - 1];
    if (newest === undefined || index > newest.last) return undefined;
    const position = this.#position(index);
    return position < this.#dropped ? undefined : this.#runs[position];
  }

  /** How many bytes were appended up to the end of the run that holds `index`; where that is not in memory, up to the tail. */
  bytesThrough(index: LogIndex): number {
    const position = this.#position(index);
    return position < this.#dropped ? this.#bytesAppended - this.#tailBytes : this.#ends[position]!;
  }

  /** The position of the last run that begins at or before `index`; below `#dropped` where that is not in memory. */
  #position(index: LogIndex): number {
    let low = this.#dropped;
    let high = this.#runs.length;
    if (high > low && this.#runs[high - 1]!.first <= index) return high - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#runs[middle]!.first <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** No entry has a later logged time, in microseconds. Reads through the last run. */
  lastTime(): number {
    if (this.#runs.length === this.#dropped) return this.#startTime;
    const run = this.#runs[this.#runs.length - 1]!;
    let offset = 0;
    for (let index: number = run.first; index < run.last; index++) offset += entryLength(run.bytes, offset);
    return entryTime(run.bytes, offset);
  }

  /** Drops the oldest runs until the tail is within `bytesMax`; none that reaches beyond `through`, never the last one. */
  trim(bytesMax: number, through: LogIndex): void {
    while (this.#tailBytes > bytesMax && this.#runs.length - this.#dropped > 1) {
      const oldest = this.#runs[this.#dropped]!;
      if (oldest.last > through) break;
      this.#dropOldest();
    }
    this.#giveSlotsBack();
  }

  #dropOldest(): void {
    this.#tailBytes -= this.#runs[this.#dropped]!.bytes.length;
    this.#runs[this.#dropped] = droppedRun;
    this.#dropped += 1;
  }

  #giveSlotsBack(): void {
    if (this.#dropped < droppedSlotsMax || this.#dropped * 2 < this.#runs.length) return;
    this.#runs = this.#runs.slice(this.#dropped);
    this.#ends = this.#ends.slice(this.#dropped);
    this.#dropped = 0;
  }

  /** A record that holds the entry at `index` or an earlier one near it; undefined where the log has no such entry. */
  recordOf(index: LogIndex): RecordNumber | undefined {
    if (index <= this.#start || index > this.#last) return undefined;
    return this.#pointRecords[lastAtMost(this.#pointIndices, index)] as RecordNumber | undefined;
  }

  /** Every entry is in this record or a later one; undefined where there is none. */
  get firstRecord(): RecordNumber | undefined {
    return this.#pointRecords[0] as RecordNumber | undefined;
  }

  /** Recovery counts records from 1 and learns only at the end which number the first one had. */
  renumberRecords(by: number): void {
    for (const [point, record] of this.#pointRecords.entries()) this.#pointRecords[point] = record + by;
  }

  /** The part of `run` that the log has too, from `first` on; undefined where they differ there. Reads through the run. */
  agreeingPart(run: Run, first: LogIndex): Run | undefined {
    if (first < run.first || first > run.last) return undefined;
    let agreed = first - 1;
    let offset = 0;
    for (let index = run.first; index <= run.last; index = (index + 1) as LogIndex) {
      if (index >= first) {
        if (this.termAt(index) !== entryTerm(run.bytes, offset)) break;
        assert(entryIndex(run.bytes, offset) === index, "a run's entries carry their own indices");
        agreed = index;
      }
      offset += entryLength(run.bytes, offset);
    }
    if (agreed < first) return undefined;
    return sliceRun(truncateRun(run, agreed as LogIndex), first, Number.POSITIVE_INFINITY);
  }
}

/** What stands in a slot whose run was dropped, so that its bytes can go. */
const droppedRun: Run = { first: 0 as LogIndex, last: 0 as LogIndex, bytes: new Uint8Array(0) };

/** The position of the last number that is at most `value`, in numbers that rise; -1 where all are above. */
function lastAtMost(rising: readonly number[], value: number): number {
  const end = rising.length - 1;
  if (end >= 0 && rising[end]! <= value) return end;
  let low = 0;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rising[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Takes away what lies above `bound` from numbers that rise, and as many from the lists beside them. */
function popAbove(rising: number[], bound: number, ...beside: readonly number[][]): void {
  while (rising.length > 0 && rising[rising.length - 1]! > bound) {
    rising.pop();
    for (const list of beside) list.pop();
  }
}
