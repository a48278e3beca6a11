/** The agent's write-ahead log, one for all its groups, and their snapshots. SPEC.md beside this file has formats and rules. */
export { type Arrival, type ArrivalResult, type PieceResult } from "./arrival.ts";
export { beginJournal } from "./begin.ts";
export { DiskError, isDiskFull } from "./disk.ts";
export type { Disk, DiskFile } from "./disk.ts";
export { inspectJournal } from "./inspect.ts";
export type { GroupReport, JournalReport, SegmentReport } from "./inspect.ts";
export { inspectSnapshots } from "./inspect-snapshots.ts";
export type { SnapshotReport } from "./inspect-snapshots.ts";
export { Journal } from "./journal.ts";
export type { JournalOptions, JournalStatus, RecoveredRecords } from "./journal.ts";
export { MemoryDisk } from "./memory-disk.ts";
export type { NumberedRecord } from "./reading.ts";
export { type FiledSnapshot, type SnapshotName } from "./snapshot-format.ts";
export type { SnapshotPiece, SnapshotReader } from "./snapshot-reader.ts";
export { SnapshotStore } from "./snapshots.ts";
export type { SnapshotFound, SnapshotStoreOptions } from "./snapshots.ts";
export type { TakeResult } from "./taking.ts";
