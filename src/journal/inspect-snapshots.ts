/** Looks over the snapshots in a folder and changes nothing: what `quorate journal check` shows of them. */
import type { Checksum } from "../core/checksum.ts";
import { MalformedError } from "../core/errors.ts";
import type { GroupName, LogIndex } from "../core/ids.ts";
import type { Disk } from "./disk.ts";
import { snapshotOfFile } from "./snapshot-format.ts";
import { fileBytesOf, openSnapshotFile, SnapshotReader } from "./snapshot-reader.ts";

export interface SnapshotReport {
  readonly name: string;
  readonly group: GroupName;
  /** Of the last entry that is in it. */
  readonly index: LogIndex;
  /** Of the file. */
  readonly bytes: number;
  /** `unfinished`: it is being taken or received, or was when the agent ended; harmless. */
  readonly state: "whole" | "damaged" | "unfinished" | "otherVersion";
}

/** Every snapshot, by group and index; reads all of them. */
export function inspectSnapshots(disk: Disk, checksum: Checksum): SnapshotReport[] {
  const reports: SnapshotReport[] = [];
  for (const name of disk.list()) {
    const file = snapshotOfFile(name);
    if (file === undefined) continue;
    const { group, index, kind } = file;
    const { bytes, state } = look(disk, name, checksum);
    reports.push({ name, group, index, bytes, state: kind === "whole" ? state : "unfinished" });
  }
  return reports.sort((a, b) => (a.group === b.group ? a.index - b.index : a.group < b.group ? -1 : 1));
}

function look(disk: Disk, name: string, checksum: Checksum): Pick<SnapshotReport, "bytes" | "state"> {
  const found = openSnapshotFile(disk, name, checksum);
  if (found.kind === "otherVersion") return { bytes: found.bytes, state: "otherVersion" };
  if (found.kind === "unreadable") return { bytes: found.bytes, state: "damaged" };
  if (found.kind === "missing") return { bytes: 0, state: "unfinished" };
  const { file, snapshot } = found;
  const bytes = file.byteLength();
  const reader = new SnapshotReader(snapshot, file, checksum, () => {});
  try {
    for (const _ of reader.pieces());
    return { bytes, state: bytes === fileBytesOf(snapshot) ? "whole" : "damaged" };
  } catch (error) {
    if (error instanceof MalformedError) return { bytes, state: "damaged" };
    throw error;
  } finally {
    reader.close();
  }
}
