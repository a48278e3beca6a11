import { assert } from "../core/assert.ts";
import type { Segment } from "./segment.ts";

/** Where consecutive records of one group lie: one entry per run of a block, none per record. */
export interface RunPlace {
  readonly segment: Segment;
  readonly blockAt: number;
  readonly blockLength: number;
  /** Offset in the segment of the run's first record. */
  readonly at: number;
  readonly byteLength: number;
  /** Number of the record at `at`. */
  readonly base: number;
  /** Which records of the run count: the others have been released, or have a later copy. */
  readonly first: number;
  readonly last: number;
}

/** Finds a group's records by their numbers. Keeps count, in each segment, of how many of its runs are still needed. */
export class RunIndex {
  // Invariant: from #head on, ordered by number, no two overlap.
  #runs: RunPlace[] = [];
  #head = 0;
  /** Records below are released, even where a run that holds them is still needed for others. */
  #needed = 1;

  get count(): number {
    return this.#runs.length - this.#head;
  }

  /** Adds a run. Of a record that is there already the new place counts. */
  place(run: RunPlace): void {
    assert(run.first <= run.last, "a run has a record");
    assert(run.base <= run.first, "a run's records begin at its base");
    // Released since it was gathered.
    if (run.last < this.#needed) return;
    run.segment.hold(run.byteLength);
    const newest = this.#runs.at(-1);
    if (this.count === 0 || newest === undefined || newest.last < run.first) {
      this.#runs.push(run);
      return;
    }
    const from = this.#positionOf(run.first);
    let to = from;
    while (to < this.#runs.length && this.#runs[to]!.first <= run.last) to += 1;
    const kept: RunPlace[] = [];
    if (from < to) {
      const before = this.#runs[from]!;
      const after = this.#runs[to - 1]!;
      if (before.first < run.first && this.#needed < run.first) kept.push({ ...before, last: run.first - 1 });
      kept.push(run);
      if (after.last > run.last) kept.push({ ...after, first: run.last + 1 });
    } else {
      kept.push(run);
    }
    for (const rest of kept) if (rest !== run) rest.segment.hold(rest.byteLength);
    for (let position = from; position < to; position++) {
      const replaced = this.#runs[position]!;
      replaced.segment.drop(replaced.byteLength);
    }
    this.#runs.splice(from, to - from, ...kept);
  }

  /** Forgets the runs that hold no record from `needed` on. */
  dropBelow(needed: number): void {
    this.#needed = Math.max(this.#needed, needed);
    while (this.#head < this.#runs.length && this.#runs[this.#head]!.last < needed) {
      const run = this.#runs[this.#head]!;
      run.segment.drop(run.byteLength);
      this.#head += 1;
    }
    if (this.#head > 64 && this.#head * 2 > this.#runs.length) {
      this.#runs = this.#runs.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Runs with records from `number` on, in order. */
  *from(number: number): Generator<RunPlace> {
    for (let due = number; ;) {
      const run = this.#runs[this.#positionOf(due)];
      if (run === undefined) return;
      yield run;
      due = run.last + 1;
    }
  }

  /** The runs that lie in this segment. */
  within(segment: Segment): RunPlace[] {
    const found: RunPlace[] = [];
    for (let position = this.#head; position < this.#runs.length; position++) {
      if (this.#runs[position]!.segment === segment) found.push(this.#runs[position]!);
    }
    return found;
  }

  /** Whether every record from `first` to `last` is there. */
  holds(first: number, last: number): boolean {
    let due = first;
    for (let position = this.#positionOf(first); due <= last; position++) {
      const run = this.#runs[position];
      if (run === undefined || run.first > due) return false;
      due = run.last + 1;
    }
    return true;
  }

  /** Of the first run that ends at `number` or later. */
  #positionOf(number: number): number {
    let low = this.#head;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#runs[middle]!.last < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
