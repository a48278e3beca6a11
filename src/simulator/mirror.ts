/**
 * What one agent has written down, read off its records on their way into the journal, in two states: as the core has it
 * now, and as far as the disk was reported to hold it. The checks compare the agent's words and deeds with this, so they
 * believe neither the core nor the journal.
 */
import { entryIndex, entryLength, entryPayload, entryTerm, isMembersEntry } from "../core/entry.ts";
import { present } from "../core/assert.ts";
import type { Members } from "../core/members.ts";
import { decodeMembers } from "../raft/fields.ts";
import type { BaseRecord, RaftRecord } from "../raft/messages.ts";
import { Violation } from "./violation.ts";

/** The term of an entry that the records no longer have. */
const unknown = -1;

/** Who takes part from the entry at `index` on. */
export interface Configuration {
  readonly index: number;
  readonly members: Members;
}

/** What a record brings to the log. */
interface Entries {
  readonly terms: readonly number[];
  readonly configurations: readonly Configuration[];
}

const noEntries: Entries = { terms: [], configurations: [] };

/** Term, vote, log and members as folded from records. */
export class Folded {
  term = 0;
  vote: string | undefined;
  /** Term of the entry at each index, as far as the records have it; the place 0 stands for the base of an empty log. */
  terms: number[] = [0];
  /** The state starts from the snapshot at this index; 0: from nothing. */
  base = 0;
  /** Rising; the first is where the log starts, the last is in force. */
  #configurations: Configuration[];

  /** `founding`: as the agent knows them before it has any record. */
  constructor(founding: Members) {
    this.#configurations = [{ index: 0, members: founding }];
  }

  get last(): number {
    return this.terms.length - 1;
  }

  /** The newest configuration in the log, decided or not. */
  get configuration(): Configuration {
    return present(this.#configurations.at(-1), "a log starts from some members");
  }

  /** The configuration before that; undefined: the log starts from the newest. */
  get previousConfiguration(): Configuration | undefined {
    return this.#configurations.at(-2);
  }

  /** Those that the entries from `first` to `last` bring. */
  configurationsBetween(first: number, last: number): readonly Configuration[] {
    return this.#configurations.filter(({ index }) => index >= first && index <= last);
  }

  fold(record: RaftRecord, entries: Entries): void {
    switch (record.kind) {
      case "base":
        this.#foldBase(record);
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
        for (const term of entries.terms) this.terms.push(term);
        while (this.configuration.index >= record.run.first) this.#configurations.pop();
        this.#configurations.push(...entries.configurations);
        return;
    }
  }

  /** A log that has the base's entry, or begins behind it, stays as it is. Any other begins anew: what was before is unknown. */
  #foldBase({ index, term, members }: BaseRecord): void {
    const there = this.terms[index];
    if (there !== term && there !== unknown) {
      this.terms = new Array<number>(index).fill(unknown);
      this.terms.push(term);
      this.#configurations = [];
    }
    this.terms[index] = term;
    this.base = index;
    const later = this.#configurations.filter((configuration) => configuration.index > index);
    this.#configurations = [{ index, members }, ...later];
  }
}

interface Pending {
  readonly record: RaftRecord;
  readonly entries: Entries;
}

export class Mirror {
  /** As the core has it: every record pushed. */
  pushed: Folded;
  /** As the disk has it, by what the journal reported. */
  durable: Folded;
  durableThrough = 0;
  readonly #founding: Members;
  /** Checksum of each record, by its number. */
  readonly #checksums: number[] = [0];
  #pending: Pending[] = [];

  /** `founding`: as the agent is told them when it starts for the first time. */
  constructor(founding: Members) {
    this.#founding = founding;
    this.pushed = new Folded(founding);
    this.durable = new Folded(founding);
  }

  /** A record on its way into the journal. */
  push(record: RaftRecord, number: number, checksum: number): void {
    const entries = entriesOf(record);
    this.pushed.fold(record, entries);
    this.#checksums[number] = checksum;
    this.#pending.push({ record, entries });
  }

  /** Calls `each` with every record that is durable now and was not before. */
  reportedDurable(through: number, each: (record: RaftRecord) => void): void {
    const count = through - this.durableThrough;
    for (const { record, entries } of this.#pending.splice(0, count)) {
      this.durable.fold(record, entries);
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
    const folded = new Folded(this.#founding);
    const durable = new Folded(this.#founding);
    for (const record of records) {
      const entries = entriesOf(record);
      folded.fold(record, entries);
      durable.fold(record, entries);
    }
    this.pushed = folded;
    this.durable = durable;
    this.#checksums.length = next;
    this.#pending = [];
    this.durableThrough = next - 1;
  }
}

function entriesOf(record: RaftRecord): Entries {
  if (record.kind !== "entries") return noEntries;
  const { bytes } = record.run;
  const terms: number[] = [];
  const configurations: Configuration[] = [];
  for (let offset = 0; offset < bytes.length; offset += entryLength(bytes, offset)) {
    terms.push(entryTerm(bytes, offset));
    if (!isMembersEntry(bytes, offset)) continue;
    configurations.push({
      index: entryIndex(bytes, offset),
      members: decodeMembers(entryPayload(bytes, offset)),
    });
  }
  return { terms, configurations };
}
