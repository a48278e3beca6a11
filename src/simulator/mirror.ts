/**
 * What one agent has written down, read off its records on their way into the journal, in two states: as the core has it
 * now, and as far as the disk was reported to hold it. The checks compare the agent's words and deeds with this, so they
 * believe neither the core nor the journal.
 */
import type { RaftRecord } from "../raft/messages.ts";
import { entryLength, entryTerm } from "../core/entry.ts";
import { Violation } from "./violation.ts";

/** The term of an entry that the records no longer have. */
const unknown = -1;

/** Term, vote and log as folded from records. */
export class Folded {
  term = 0;
  vote: string | undefined;
  /** Term of the entry at each index, as far as the records have it; the place 0 stands for the base of an empty log. */
  terms: number[] = [0];
  /** The state starts from the snapshot at this index; 0: from nothing. */
  base = 0;

  get last(): number {
    return this.terms.length - 1;
  }

  fold(record: RaftRecord, termsOfRun: readonly number[]): void {
    switch (record.kind) {
      case "base":
        this.#foldBase(record.index, record.term);
        if (record.hardState !== undefined) {
          this.term = record.hardState.term;
          this.vote = record.hardState.votedFor;
        }
        return;
      case "hardState":
        this.term = record.term;
        this.vote = record.votedFor;
        return;
      case "entries":
        for (let index = this.terms.length; index < record.run.first; index++) this.terms.push(unknown);
        this.terms.length = record.run.first;
        for (const term of termsOfRun) this.terms.push(term);
        return;
    }
  }

  /** A log that has the base's entry, or begins behind it, stays as it is. Any other begins anew: what was before is unknown. */
  #foldBase(index: number, term: number): void {
    const there = this.terms[index];
    if (there !== term && there !== unknown) {
      this.terms = new Array<number>(index).fill(unknown);
      this.terms.push(term);
    }
    this.terms[index] = term;
    this.base = index;
  }
}

interface Pending {
  readonly record: RaftRecord;
  readonly terms: readonly number[];
}

export class Mirror {
  /** As the core has it: every record pushed. */
  pushed: Folded = new Folded();
  /** As the disk has it, by what the journal reported. */
  durable: Folded = new Folded();
  durableThrough = 0;
  /** Checksum of each record, by its number. */
  readonly #checksums: number[] = [0];
  #pending: Pending[] = [];

  /** A record on its way into the journal; the terms of its entries. */
  push(record: RaftRecord, number: number, checksum: number): readonly number[] {
    const terms = record.kind === "entries" ? termsOf(record.run.bytes) : [];
    this.pushed.fold(record, terms);
    this.#checksums[number] = checksum;
    this.#pending.push({ record, terms });
    return terms;
  }

  /** Calls `each` with every record that is durable now and was not before. */
  reportedDurable(through: number, each: (record: RaftRecord) => void): void {
    const count = through - this.durableThrough;
    for (const { record, terms } of this.#pending.splice(0, count)) {
      this.durable.fold(record, terms);
      each(record);
    }
    this.durableThrough = through;
  }

  /**
   * What a restart finds. Throws a {@link Violation} unless everything reported durable is there as it was written. What
   * was not yet reported may be there or not, as a whole prefix.
   */
  recover(agent: string, records: readonly RaftRecord[], checksums: readonly number[], next: number): void {
    const first = next - records.length;
    if (next - 1 < this.durableThrough) {
      throw new Violation(
        "journalDurability",
        `${agent} had ${this.durableThrough} durable records and restarts with ${next - 1}`,
      );
    }
    for (let at = 0; at < checksums.length; at++) {
      if (checksums[at] === this.#checksums[first + at]) continue;
      throw new Violation(
        "journalDurability",
        `${agent} restarts with a record ${first + at} that it never wrote`,
      );
    }
    const folded = new Folded();
    const durable = new Folded();
    for (const record of records) {
      const terms = record.kind === "entries" ? termsOf(record.run.bytes) : [];
      folded.fold(record, terms);
      durable.fold(record, terms);
    }
    this.pushed = folded;
    this.durable = durable;
    this.#checksums.length = next;
    this.#pending = [];
    this.durableThrough = next - 1;
  }
}

function termsOf(bytes: Uint8Array): number[] {
  const terms: number[] = [];
  for (let offset = 0; offset < bytes.length; offset += entryLength(bytes, offset)) {
    terms.push(entryTerm(bytes, offset));
  }
  return terms;
}
