/**
 * Decided entries on their way into the state. They are applied in slices, so that a long backlog (a restart, a burst)
 * never keeps the loop from its heartbeats.
 */
import { assert } from "../core/assert.ts";
import { entryIndex, entryLength, entryTime, type Run } from "../core/entry.ts";
import type { LogIndex } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { Queue } from "../core/queue.ts";
import type { AppliedState, GroupObserver } from "./hosted.ts";

export interface Commit {
  readonly run: Run;
  readonly digestAfter: boolean;
}

export class Applying {
  readonly #state: AppliedState;
  readonly #observer: GroupObserver;
  readonly #commits = new Queue<Commit>();
  readonly #recent = new Queue<Run>();
  #recentBytes = 0;
  /** Where the next entry of the first commit begins. */
  #offset = 0;
  #applied = 0;
  #queued = 0;
  #appliedBytes = 0;
  /** Logged time of the last applied entry, in microseconds. */
  #appliedTime = 0;
  #entriesLeft = 0;
  #bytesLeft = 0;

  constructor(state: AppliedState, observer: GroupObserver, applied: LogIndex) {
    this.#state = state;
    this.#observer = observer;
    this.#applied = applied;
    this.#queued = applied;
  }

  get applied(): LogIndex {
    return this.#applied as LogIndex;
  }

  get appliedTime(): number {
    return this.#appliedTime;
  }

  /** Of all entries applied in this life of the group. */
  get appliedBytes(): number {
    return this.#appliedBytes;
  }

  get waits(): boolean {
    return this.#commits.count > 0;
  }

  get budgetLeft(): boolean {
    return this.#entriesLeft > 0 && this.#bytesLeft > 0;
  }

  add(commit: Commit): void {
    assert(commit.run.first === this.#queued + 1, "commits come in order, without a gap");
    assert(commit.run.last >= commit.run.first, "a commit holds an entry");
    this.#queued = commit.run.last;
    this.#commits.push(commit);
  }

  /** What waits is not applied any more: the state is about to be replaced. */
  drop(): void {
    while (this.#commits.count > 0) this.#commits.take();
    this.#offset = 0;
    this.#queued = this.#applied;
  }

  /** The state is another one now, of this index; what comes next follows it. */
  restart(index: LogIndex): void {
    assert(this.#commits.count === 0, "nothing is decided between a restore and its end");
    assert(index > this.#applied, "a state is replaced by a later one");
    this.#applied = index;
    this.#queued = index;
    while (this.#recent.count > 0) this.#recent.take();
    this.#recentBytes = 0;
  }

  /** A new turn, a new slice. */
  refill(): void {
    this.#entriesLeft = limits.applySliceEntriesMax;
    this.#bytesLeft = limits.applySliceBytesMax;
  }

  /** Applies one commit, or as much of it as the slice still allows. True: all of it, and the core wants the digest now. */
  applySome(): boolean {
    const { run, digestAfter } = this.#commits.peek();
    let offset = this.#offset;
    while (this.budgetLeft && offset < run.bytes.length) {
      const index = entryIndex(run.bytes, offset);
      assert(index === this.#applied + 1, "entries are applied in order, each once");
      const answer = this.#state.apply(run.bytes, offset);
      this.#applied = index;
      this.#appliedTime = entryTime(run.bytes, offset);
      this.#observer.applied(run.bytes, offset, answer);
      const length = entryLength(run.bytes, offset);
      offset += length;
      this.#entriesLeft -= 1;
      this.#bytesLeft -= length;
      this.#appliedBytes += length;
    }
    this.#offset = offset;
    if (offset < run.bytes.length) return false;
    assert(this.#applied === run.last, "a run ends with its last entry");
    this.#commits.take();
    this.#offset = 0;
    this.#remember(run);
    return digestAfter;
  }

  /** The applied run at hand that holds `index`, if any. */
  recent(index: LogIndex): Run | undefined {
    let low = 0;
    let high = this.#recent.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const run = this.#recent.at(middle);
      if (index < run.first) high = middle - 1;
      else if (index > run.last) low = middle + 1;
      else return run;
    }
    return undefined;
  }

  #remember(run: Run): void {
    this.#recent.push(run);
    this.#recentBytes += run.bytes.length;
    while (this.#recent.count > 1 && this.#recentBytes > limits.recentEntriesBytesMax) {
      this.#recentBytes -= this.#recent.take().bytes.length;
    }
  }
}
