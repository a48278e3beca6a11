/**
 * The beginning of a journal. A folder is given one when it is made, so that a journal that is gone is never taken for one
 * that is new: its agent would vote again, having forgotten whom it voted for.
 */
import { assert } from "../core/assert.ts";
import type { Checksum } from "../core/checksum.ts";
import { QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { Disk } from "./disk.ts";
import { encodeLabel, segmentFileName, segmentNumberOf, temporaryFileName } from "./format.ts";
import type { Loaded } from "./load.ts";

/** Writes a first segment, which is its label and nothing else; blocking. The first start replaces it. Throws `DiskError`. */
export function beginJournal(disk: Disk, id: Uint8Array, checksum: Checksum): void {
  assert(!hasSegment(disk.list()), "J21: a journal begins once");
  const temporary = temporaryFileName(1);
  const file = disk.open(temporary, "create");
  try {
    file.write(0, encodeLabel(id, checksum));
    file.syncNow();
  } finally {
    file.close();
  }
  disk.rename(temporary, segmentFileName(1));
  disk.syncDirectoryNow();
}

/** Whether any of these files is a segment. */
export function hasSegment(names: readonly string[]): boolean {
  return names.some((name) => segmentNumberOf(name) !== undefined);
}

/**
 * What is left of a journal that was begun. From its first start on it always holds a valid block, and before that its
 * beginning: with neither, nobody knows what its agent promised.
 */
export function whatIsLeft({ scans, survey }: Loaded): "memory" | "nothing" | "rubble" {
  if (scans.length === 0) return "nothing";
  const begins = scans.some(
    ({ segment, isLabelled }) => isLabelled && segment.byteLength === limits.sectorBytes,
  );
  return survey.blocks.length > 0 || begins ? "memory" : "rubble";
}

/** A journal that was begun, of which nothing is left. */
export function journalMissing(path = "its folder"): QuorateError {
  return lost("DATA_MISSING", `The journal is gone: there is nothing of it in ${path}.`);
}

/** A journal that was begun, whose segments hold nothing that can be read. */
export function journalUnreadable(): QuorateError {
  return lost("DATA_CORRUPT", "The journal can't be read: no block of it is valid.");
}

function lost(code: "DATA_MISSING" | "DATA_CORRUPT", message: string): QuorateError {
  return new QuorateError(code, message, {
    outcome: "notDone",
    hint: "This member has lost its memory and must not vote again. Put the journal back as it last was (no older copy), or leave this member stopped and add a new one under another name.",
  });
}
