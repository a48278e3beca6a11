import { assert, type LogIndex, type Members } from "../core/index.ts";

/**
 * Who takes part as of each index of the log: the configuration that the log starts from, and those that its entries bring.
 * The newest one is in force from the moment when its entry is in the log, decided or not (thesis, section 4.1); if that entry
 * is truncated, the one before is in force again.
 */
export class Configurations {
  /** Rising, beside `#members`; the first is where the log starts. Never empty. */
  readonly #indices: LogIndex[] = [0 as LogIndex];
  readonly #members: Members[];
  #newest: Members;

  constructor(founding: Members) {
    this.#members = [founding];
    this.#newest = founding;
  }

  /** The one in force. */
  get newest(): Members {
    return this.#newest;
  }

  /** Where its entry is in the log, or where the log starts. */
  get newestIndex(): LogIndex {
    return this.#indices[this.#indices.length - 1]!;
  }

  /** The one before; undefined where the log starts from the newest. */
  get previous(): Members | undefined {
    return this.#members[this.#members.length - 2];
  }

  /** The one as of `index`: of the entry there, or the last one before it. */
  at(index: LogIndex): Members {
    const position = this.#indices.findLastIndex((start) => start <= index);
    assert(position >= 0, "nobody asks who took part before the log starts");
    return this.#members[position]!;
  }

  /** The entry at `index`, behind all others, brings another one. */
  add(index: LogIndex, members: Members): void {
    assert(index > this.newestIndex, "configurations come in the order of the log");
    this.#indices.push(index);
    this.#members.push(members);
    this.#newest = members;
  }

  /** Forgets those behind `last`: their entries are gone. */
  truncate(last: LogIndex): void {
    while (this.#indices.length > 1 && this.newestIndex > last) {
      this.#indices.pop();
      this.#members.pop();
    }
    this.#newest = this.#members[this.#members.length - 1]!;
  }

  /** The log starts behind `index` now, and `members` take part there. Later configurations stay. */
  startAt(index: LogIndex, members: Members): void {
    const later = this.#indices.findIndex((start) => start > index);
    const superseded = later === -1 ? this.#indices.length : later;
    this.#indices.splice(0, superseded, index);
    this.#members.splice(0, superseded, members);
    this.#newest = this.#members[this.#members.length - 1]!;
  }
}
