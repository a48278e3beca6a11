/** Opens a journal's segments: recovery, and a fresh segment in which everything recovered is durable. */
import { QuorateError } from "../core/errors.ts";
import type { GroupName } from "../core/ids.ts";
import { journalMissing, journalUnreadable, whatIsLeft } from "./begin.ts";
import { encodeDirectory, recordsOf } from "./body.ts";
import { isDiskFull } from "./disk.ts";
import { isTemporaryName } from "./format.ts";
import { Gather } from "./gather.ts";
import type { Group } from "./group.ts";
import { loadJournal, type Loaded } from "./load.ts";
import type { BlockScan } from "./scan.ts";
import type { Segment } from "./segment.ts";
import { SegmentStore, type SegmentStoreOptions } from "./segments.ts";
import { writeBlock } from "./write-block.ts";

export interface StartOptions extends SegmentStoreOptions {
  readonly begun: boolean;
  readonly blockBytesMax: number;
}

export interface StartedJournal {
  readonly store: SegmentStore;
  readonly groups: Map<GroupName, Group>;
  readonly groupsLost: number;
  /** Number of the last block written. */
  readonly blockNumber: number;
}

/** Throws `DATA_FOREIGN`, `DATA_VERSION`, `DATA_MISSING`, `DATA_CORRUPT`, `DISK_FULL`, or a `DiskError`. */
export function startJournal(options: StartOptions): StartedJournal {
  const { disk, id, checksum, blockBytesMax } = options;
  const loaded = loadJournal(disk, id, checksum);
  if (options.begun) refuseIfLost(loaded);
  const { groups, groupsLost } = loaded.folded;
  const { used, empty } = sortSegments(options, loaded);
  let isStarted = false;
  const onError = (error: Error): void => {
    // Until `open` has returned there is nobody to tell but its caller.
    if (!isStarted) throw error;
    options.onError(error);
  };
  const highest = loaded.scans.at(-1)?.segment.number ?? 0;
  const store = new SegmentStore({ ...options, onError }, used, highest);
  const newest = loaded.survey.blocks.at(-1);
  const gather = new Gather(Math.max(blockBytesMax, newest?.header.length ?? 0));
  if (newest !== undefined) copyBlock(newest, groups, gather);
  try {
    store.startFresh(empty);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new QuorateError("DISK_FULL", "The disk has no room for a journal segment.", {
      outcome: "notDone",
      hint: "Make room on the disk of the data folder and start the agent again.",
      cause: error,
    });
  }
  const blockNumber = (newest?.header.number ?? 0) + 1;
  writeBlock({
    gather,
    segment: store.active,
    number: blockNumber,
    groups: groups.size + groupsLost,
    directory: encodeDirectory(groups.values()),
    checksum,
  });
  store.active.file.syncNow();
  store.condemn();
  store.freeCondemned();
  store.recycleNow();
  isStarted = true;
  return { store, groups, groupsLost, blockNumber };
}

function refuseIfLost(loaded: Loaded): void {
  const left = whatIsLeft(loaded);
  if (left === "memory") return;
  for (const { segment } of loaded.scans) segment.file.close();
  throw left === "nothing" ? journalMissing() : journalUnreadable();
}

/**
 * Removes what an interrupted preparation left behind, and finds a segment that was prepared and never used. One of
 * another length, such as a beginning, stays until what is recovered is durable elsewhere.
 */
function sortSegments(
  { disk, segmentBytes }: StartOptions,
  loaded: Loaded,
): { used: Segment[]; empty: Segment | undefined } {
  for (const name of disk.list()) if (isTemporaryName(name)) disk.remove(name);
  const used: Segment[] = [];
  let empty: Segment | undefined;
  for (const { segment, entries } of loaded.scans) {
    if (entries.some((entry) => entry.kind === "block") || segment.byteLength !== segmentBytes) {
      used.push(segment);
    } else if (empty === undefined) {
      empty = segment;
    } else {
      segment.file.close();
      disk.remove(segment.name);
    }
  }
  return { used, empty };
}

/** The records of the last valid block, which may never have been synced: the page cache can show what the disk lacks. */
function copyBlock(block: BlockScan, groups: Map<GroupName, Group>, gather: Gather): void {
  for (const run of block.body.runs) {
    const bytes = new Uint8Array(run.byteLength);
    block.segment.file.read(block.offset + run.at, bytes);
    const group = groups.get(run.name)!;
    for (const record of recordsOf(bytes, run.first, run.first, run.first + run.count - 1)) {
      gather.add(group, record.number, true, { head: record.bytes, tail: [] }, record.bytes.length);
    }
  }
}
