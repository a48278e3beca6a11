/** The agent's write-ahead log. The journal is one for all groups of an agent; SPEC.md beside this file has its rules. */
export { DiskError, isDiskFull } from "./disk.ts";
export type { Disk, DiskFile } from "./disk.ts";
export { Journal } from "./journal.ts";
export type { JournalOptions, JournalStatus, RecoveredRecords } from "./journal.ts";
