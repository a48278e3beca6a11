/** The agent's write-ahead log, shared by all its groups: one sync covers them all. */
import type { Encoded } from "../core/boundary.ts";
import type { Checksum } from "../core/checksum.ts";
import type { GroupName, RecordNumber } from "../core/ids.ts";
import type { Disk } from "./disk.ts";

export interface JournalOptions {
  readonly disk: Disk;
  /** 16 random bytes, made with the data folder. Segments with another id are `DATA_FOREIGN`. */
  readonly id: Uint8Array;
  readonly checksum: Checksum;
  /** Runs a task soon, after what already waits: pieces of zeroing and copying. */
  readonly schedule: (task: () => void) => void;
  readonly segmentBytes?: number;
  readonly blockBytesMax?: number;
  /** With more segments than this, those that hold little are copied forward and recycled. */
  readonly segmentsKeptMax?: number;
  /** The group's records up to and including `through` are durable. */
  readonly onDurable: (group: GroupName, through: RecordNumber) => void;
  /** A write or sync failed: called once, after which nothing is durable any more and the agent must end. */
  readonly onFailure: (error: Error) => void;
}

/** One group's records as found by {@link Journal.open}. */
export interface RecoveredRecords {
  /** In order of their numbers, from the first needed one on. Read from the disk while iterated: use it at once. */
  readonly records: Iterable<Uint8Array>;
  /** The number that the next record appended will have. */
  readonly next: RecordNumber;
  /** Records are missing or may be: the group must neither vote nor acknowledge, and appends to it are refused. */
  readonly damaged: boolean;
}

export interface JournalStatus {
  readonly segments: number;
  readonly bytes: number;
  readonly blocks: number;
  readonly syncs: number;
  readonly syncsInFlight: number;
  readonly gatheredBytes: number;
}

export declare class Journal {
  static open(options: JournalOptions): Journal;
  readonly diskFull: boolean;
  readonly status: JournalStatus;
  groups(): readonly GroupName[];
  recover(group: GroupName): RecoveredRecords;
  append(group: GroupName, record: Encoded): RecordNumber;
  flush(): void;
  read(group: GroupName, from: RecordNumber): Iterable<{ readonly number: RecordNumber; readonly bytes: Uint8Array }>;
  release(group: GroupName, neededFrom: RecordNumber): void;
  close(done: () => void): void;
}
