/**
 * Entries out of the journal. Records are folded as a core folds them at a restart: a later run replaces everything from
 * its first index on.
 */
import { concatBytes } from "../core/bytes.ts";
import { sliceRun, truncateRun, type Run } from "../core/entry.ts";
import type { LogIndex } from "../core/ids.ts";

/** The entries in a record, if it holds any: by convention in a field `run`. */
export function runOf(record: object): Run | undefined {
  return (record as { readonly run?: Run }).run;
}

/** Gathers consecutive entries from `first` on while records go by. */
export class RunGatherer {
  readonly #first: LogIndex;
  readonly #bytesMax: number;
  #pieces: Run[] = [];
  #bytes = 0;

  constructor(first: LogIndex, bytesMax: number) {
    this.#first = first;
    this.#bytesMax = bytesMax;
  }

  /** The last entry gathered, once there are enough of them. */
  get enoughUpTo(): LogIndex | undefined {
    return this.#bytes >= this.#bytesMax ? this.#pieces.at(-1)?.last : undefined;
  }

  /** The next record's entries. */
  add(run: Run): void {
    this.#cut(run.first);
    if (this.#bytes >= this.#bytesMax) return;
    const next = this.#pieces.at(-1)?.last ?? this.#first - 1;
    if (run.last <= next || run.first > next + 1) return;
    const piece = sliceRun(run, (next + 1) as LogIndex, Number.POSITIVE_INFINITY);
    this.#pieces.push(piece);
    this.#bytes += piece.bytes.length;
  }

  /** What was gathered, within `bytesMax` but at least one entry; undefined: the entry at `first` did not go by. */
  finish(): Run | undefined {
    const head = this.#pieces[0];
    const tail = this.#pieces.at(-1);
    if (head === undefined || tail === undefined) return undefined;
    const bytes =
      this.#pieces.length === 1 ? head.bytes : concatBytes(this.#pieces.map((piece) => piece.bytes));
    return sliceRun({ first: head.first, last: tail.last, bytes }, this.#first, this.#bytesMax);
  }

  /** Forgets the entries from `from` on: a later record replaces them. */
  #cut(from: LogIndex): void {
    for (
      let piece = this.#pieces.at(-1);
      piece !== undefined && piece.last >= from;
      piece = this.#pieces.at(-1)
    ) {
      this.#pieces.pop();
      this.#bytes -= piece.bytes.length;
      if (piece.first >= from) continue;
      const kept = truncateRun(piece, (from - 1) as LogIndex);
      this.#pieces.push(kept);
      this.#bytes += kept.bytes.length;
    }
  }
}
