/** One agent of a group in memory, for this folder's tests: its core, its disk, and what an independent reader makes of that. */
import {
  assert,
  ByteWriter,
  crc32,
  decodeText,
  encodeText,
  entryLength,
  entryPayload,
  entryTerm,
  isMembersEntry,
  type AgentId,
  type LogIndex,
  type Members,
  type Run,
  type Send,
  type Snapshot,
  type Ticket,
} from "../core/index.ts";
import { decodeMembers } from "./fields.ts";
import type { BaseRecord, RaftEvent, RaftMessage, RaftPromise, RaftRecord } from "./messages.ts";
import type { RaftCore } from "./raft.ts";

export type Word = RaftMessage | RaftPromise;

export interface Envelope {
  readonly from: AgentId;
  readonly to: AgentId;
  readonly channel: Send<Word>["channel"];
  readonly message: Word;
}

/** One entry as the tests see it. */
export interface Entry {
  readonly term: number;
  readonly text: string;
}

/** A snapshot on a disk, or still being written: its name, and all entries up to its index. */
export interface SnapshotFile {
  readonly snapshot: Snapshot;
  readonly entries: readonly Entry[];
}

/** One agent: its core, its disk, and the promises that wait for it. */
export class TestAgent {
  readonly id: AgentId;
  /** What its core is told at the start of each life. */
  readonly founding: Members;
  core: RaftCore;
  /** All records pushed in this life and those it began with; the first `durable` of them survive a crash. */
  records: RaftRecord[] = [];
  durable = 0;
  promises: { readonly after: number; readonly envelope: Envelope }[] = [];
  /** What was handed out in this life, and how much of it is applied. */
  committed: Entry[] = [];
  commits: { readonly run: Run; readonly digestAfter: boolean }[] = [];
  /** Its state machine is not deterministic: its state is not what the entries make of it. */
  wrongState = false;
  applied = 0 as LogIndex;
  events: RaftEvent[] = [];
  loads: { readonly ticket: Ticket; readonly first: LogIndex; readonly bytesMax: number }[] = [];
  transfers: { readonly to: AgentId; readonly index: LogIndex }[] = [];
  /** Its snapshots, by index. They are durable: those that are still being written are elsewhere. */
  files: Map<number, SnapshotFile> = new Map();
  /** What the core said that it needs records from, in this life; the journal may give more at a restart, never fewer. */
  needed: number[] = [1];
  /** The core has asked for this state, and it is not there yet. */
  restoring: Snapshot | undefined;
  /** Powered off. */
  down = false;
  /** Its process is stopped: it is not woken and gets no messages, and goes on as if nothing had happened. */
  asleep = false;
  /** Its disk finishes nothing. */
  diskHangs = false;

  constructor(id: AgentId, founding: Members, core: RaftCore) {
    this.id = id;
    this.founding = founding;
    this.core = core;
  }

  get running(): boolean {
    return !this.down && !this.asleep;
  }

  /** The log according to all records and the snapshots that they name, from index 1 on. */
  log: Entry[] = [];
  /** After each record: the log's length by then, and how much of the log before is still in it. */
  readonly #lengths: { readonly length: number; readonly kept: number }[] = [];
  /** The entries of each snapshot that a base has named. */
  readonly #snapshotsSeen = new Map<number, readonly Entry[]>();

  write(records: readonly RaftRecord[]): void {
    for (const record of records) {
      let kept = this.log.length;
      if (record.kind === "entries") {
        kept = record.run.first - 1;
        this.log.length = kept;
        this.log.push(...entriesOf(record.run));
      } else if (record.kind === "base" && this.log[record.index - 1]?.term !== record.term) {
        const entries = this.#entriesOf(record);
        kept = commonLength(this.log, entries);
        this.log = [...entries];
      }
      this.records.push(record);
      this.#lengths.push({ length: this.log.length, kept });
    }
  }

  /** Of a snapshot whose file may be gone since: records are read again from the first one on. */
  #entriesOf({ index }: BaseRecord): readonly Entry[] {
    const entries = this.files.get(index)?.entries ?? this.#snapshotsSeen.get(index) ?? [];
    assert(entries.length === index, "a base names a snapshot that is on the disk");
    this.#snapshotsSeen.set(index, entries);
    return entries;
  }

  /** Loses the records behind the first `count`. */
  keepRecords(count: number): void {
    const kept = this.records.slice(0, count);
    this.records = [];
    this.log = [];
    this.#lengths.length = 0;
    this.write(kept);
  }

  /** How much of the log as it is now is on disk. */
  get durableLength(): number {
    const pending = this.#lengths.slice(this.durable).map(({ kept }) => kept);
    return Math.min(this.#lengths[this.durable - 1]?.length ?? 0, ...pending);
  }

  get durableHardState(): { term: number; votedFor: AgentId | undefined } {
    for (let at = this.durable - 1; at >= 0; at--) {
      const record = this.records[at];
      const state = record?.kind === "base" ? record.hardState : record;
      if (state !== undefined && "term" in state) return { term: state.term, votedFor: state.votedFor };
    }
    return { term: 0, votedFor: undefined };
  }

  eventsOf<K extends RaftEvent["kind"]>(kind: K): Extract<RaftEvent, { kind: K }>[] {
    return this.events.filter((event): event is Extract<RaftEvent, { kind: K }> => event.kind === kind);
  }
}

function commonLength(left: readonly Entry[], right: readonly Entry[]): number {
  const differs = left.findIndex(({ term, text }, at) => right[at]?.term !== term || right[at].text !== text);
  return differs === -1 ? left.length : differs;
}

export function entriesOf(run: Run): Entry[] {
  const entries: Entry[] = [];
  for (let offset = 0; offset < run.bytes.byteLength; offset += entryLength(run.bytes, offset)) {
    const payload = entryPayload(run.bytes, offset);
    const isMembers = isMembersEntry(run.bytes, offset);
    const text = isMembers ? `members ${shown(decodeMembers(payload))}` : decodeText(payload);
    entries.push({ term: entryTerm(run.bytes, offset), text });
  }
  return entries;
}

/** As in "a1 a2 | outgoing a1 | learners a3 | next a1 a3", without the parts that are empty. */
export function shown({ voters, outgoing, learners, next }: Members): string {
  const parts = Object.entries({ outgoing, learners, next }).filter(([, ids]) => ids.length > 0);
  return [voters.join(" "), ...parts.map(([name, ids]) => `${name} ${ids.toSorted().join(" ")}`)].join(" | ");
}

/** Of the state that these entries make. */
export function digestOf(entries: readonly Entry[], suffix = ""): Uint8Array {
  const state = entries.map(({ term, text }) => `${term} ${text}`).join("\n");
  const sum = crc32(encodeText(state + suffix));
  return new ByteWriter().uint32(sum).finish();
}
