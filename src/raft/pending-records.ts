import { assert, never, type LogIndex, type Micros, type RecordNumber } from "../core/index.ts";

const columns = 3;

/**
 * The records that were pushed and are not yet known to be durable, oldest first, and how far the log reaches on disk
 * once each of them is. It is what makes durability safe against ABA: a completion speaks of record numbers, which are
 * never reused, while the entry at an index may have been replaced since (pitfall 7).
 */
export class PendingRecords {
  /** Three numbers per record: its number, the log's end with it, when it was pushed. */
  #ring = new Float64Array(64 * columns);
  #oldest = 0;
  #count = 0;
  /** Every record up to this one is on disk. */
  #durableRecord: number;
  /** Every entry up to here is on disk as the log has it now. Never above the log's end. */
  #durableIndex: number;

  constructor(durableRecord: number, durableIndex: LogIndex) {
    this.#durableRecord = durableRecord;
    this.#durableIndex = durableIndex;
  }

  get count(): number {
    return this.#count;
  }

  get durableRecord(): RecordNumber {
    return this.#durableRecord as RecordNumber;
  }

  get durableIndex(): LogIndex {
    return this.#durableIndex as LogIndex;
  }

  /** When the oldest of them was pushed; {@link never} where there is none. */
  get oldestPushedAt(): Micros {
    return this.#count === 0 ? never : (this.#ring[this.#oldest * columns + 2]! as Micros);
  }

  /** `last`: the log's end once this record is folded in. */
  push(record: RecordNumber, last: LogIndex, now: Micros): void {
    assert(record === this.#durableRecord + this.#count + 1, "records are numbered without a gap");
    if (this.#count * columns === this.#ring.length) this.#grow();
    const at = this.#slot(this.#count);
    this.#ring[at] = record;
    this.#ring[at + 1] = last;
    this.#ring[at + 2] = now;
    this.#count += 1;
  }

  /** The log is cut behind `last`: what older records hold there no longer counts, even once they are durable. */
  truncate(last: LogIndex): void {
    if (this.#durableIndex > last) this.#durableIndex = last;
    for (let back = this.#count - 1; back >= 0; back--) {
      const at = this.#slot(back) + 1;
      if (this.#ring[at]! <= last) return;
      this.#ring[at] = last;
    }
  }

  /** Every record up to `through` is on disk. */
  durable(through: RecordNumber): void {
    assert(through >= this.#durableRecord, "what is durable stays durable");
    assert(through <= this.#durableRecord + this.#count, "only what was pushed becomes durable");
    while (this.#count > 0 && this.#ring[this.#oldest * columns]! <= through) {
      this.#durableIndex = this.#ring[this.#oldest * columns + 1]!;
      this.#oldest = (this.#oldest + 1) % (this.#ring.length / columns);
      this.#count -= 1;
    }
    this.#durableRecord = through;
  }

  #slot(position: number): number {
    return ((this.#oldest + position) % (this.#ring.length / columns)) * columns;
  }

  #grow(): void {
    const grown = new Float64Array(this.#ring.length * 2);
    const split = this.#oldest * columns;
    grown.set(this.#ring.subarray(split));
    grown.set(this.#ring.subarray(0, split), this.#ring.length - split);
    this.#ring = grown;
    this.#oldest = 0;
  }
}
