/** Reads a whole journal as it lies on the disk, and changes nothing: for `Journal.open` and for `inspectJournal`. */
import { equalBytes } from "../core/bytes.ts";
import type { Checksum } from "../core/checksum.ts";
import { QuorateError } from "../core/errors.ts";
import type { Disk } from "./disk.ts";
import { fold, type Folded } from "./fold.ts";
import { formatVersion } from "./format.ts";
import { listSegments, scanSegment, type SegmentFile, type SegmentScan } from "./scan.ts";
import { survey, type Survey } from "./survey.ts";

export interface Loaded {
  /** By rising numbers; their files are open. */
  readonly scans: readonly SegmentScan[];
  readonly survey: Survey;
  readonly folded: Folded;
}

/** Throws `DATA_FOREIGN` or `DATA_VERSION` if a segment is not of this journal. */
export function loadJournal(disk: Disk, id: Uint8Array, checksum: Checksum): Loaded {
  const files = listSegments(disk, checksum);
  for (const file of files) refuseForeign(file, id);
  const scans: SegmentScan[] = [];
  try {
    for (const { name, number } of files) scans.push(scanSegment(disk, name, number, id, checksum));
  } catch (error) {
    for (const scan of scans) scan.segment.file.close();
    throw error;
  }
  const found = survey(scans);
  return { scans, survey: found, folded: fold(found) };
}

function refuseForeign(file: SegmentFile, id: Uint8Array): void {
  const { label, name } = file;
  if (label.kind === "unreadable") return;
  if (label.version !== formatVersion) {
    throw new QuorateError(
      "DATA_VERSION",
      `${name} has journal format ${label.version}, and this version reads format ${formatVersion}.`,
      { outcome: "notDone", hint: "Start the agent with the version of Quorate that wrote its data folder." },
    );
  }
  if (!equalBytes(label.id, id)) {
    throw new QuorateError("DATA_FOREIGN", `${name} belongs to the journal of another agent.`, {
      outcome: "notDone",
      hint: "Don't copy journals between data folders: an agent with another's records would break its promises.",
    });
  }
}
