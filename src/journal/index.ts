/** The agent's write-ahead log, one for all its groups. SPEC.md beside this file has format and rules. */
export { beginJournal } from "./begin.ts";
export { DiskError, isDiskFull } from "./disk.ts";
export type { Disk, DiskFile } from "./disk.ts";
export { inspectJournal } from "./inspect.ts";
export type { GroupReport, JournalReport, SegmentReport } from "./inspect.ts";
export { Journal } from "./journal.ts";
export type { JournalOptions, JournalStatus, RecoveredRecords } from "./journal.ts";
export { MemoryDisk } from "./memory-disk.ts";
export type { NumberedRecord } from "./reading.ts";
