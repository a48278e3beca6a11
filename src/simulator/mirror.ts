/**
 * What one agent has written down, read off its records on their way into the journal, in two states: as the core has it
 * now, and as far as the disk was reported to hold it. The checks compare the agent's words and deeds with this, so they
 * believe neither the core nor the journal.
 */
import type { RaftRecord } from "../raft/messages.ts";
import { entryLength, entryTerm } from "../core/entry.ts";
import { Violation } from "./violation.ts";

/** Term, vote and log as folded from records. */
export class Folded {
  term = 0;
  vote: string | undefined;
  /** Term of the entry at each index; the place 0 stands for the base of an empty log. */
  terms: number[] = [0];
  /** The state starts from the snapshot at this index; 0: from nothing. */
  base = 0;

  get last(): number {
    return this.terms.length - 1;
  }

  fold(record: RaftRecord, termsOfRun: readonly number[]): void {
    switch (record.kind) {
      case "base":
        // Where the log has the base's entry it stays as it is; else it begins anew behind the base, and what was before it is unknown.
        if (this.terms[record.index] !== record.term) {
          this.terms = new Array<number>(record.index).fill(-1);
          this.terms.push(record.term);
        }
        this.base = record.index;
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
        this.terms.length = record.run.first;
        for (const term of termsOfRun) this.terms.push(term);
        return;
    }
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
