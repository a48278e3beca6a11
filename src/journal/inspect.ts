/** Looks a journal over and changes nothing: what `quorate journal check` shows. */
import type { Checksum } from "../core/checksum.ts";
import type { GroupName } from "../core/ids.ts";
import { whatIsLeft } from "./begin.ts";
import type { Disk } from "./disk.ts";
import { loadJournal, type Loaded } from "./load.ts";
import type { SegmentScan } from "./scan.ts";
import type { Segment } from "./segment.ts";

export interface SegmentReport {
  readonly name: string;
  readonly number: number;
  readonly bytes: number;
  readonly blocks: number;
  readonly records: number;
  /** Numbers of its first and last valid block; 0 if it has none. */
  readonly firstBlock: number;
  readonly lastBlock: number;
  /** Some group's recovery needs a record in it. */
  readonly needed: boolean;
  /** Offsets of writes that were cut off, and of blocks that have gone bad since they were synced. */
  readonly tornAt: readonly number[];
  readonly corruptAt: readonly number[];
}

export interface GroupReport {
  readonly name: GroupName;
  /** Number of the first record that recovery needs, and of the last one. */
  readonly first: number;
  readonly last: number;
  /** Records from the first needed one on that can be read. */
  readonly records: number;
  readonly damaged: boolean;
}

export interface JournalReport {
  readonly segments: readonly SegmentReport[];
  readonly groups: readonly GroupReport[];
  /** Groups that the journal once had, and of which not even the name is left. */
  readonly groupsLost: number;
  /** `nothing`: there is no segment. `rubble`: there are some, and nothing in them can be read. */
  readonly left: "memory" | "nothing" | "rubble";
  /** There is a journal, no segment that is needed has a corrupt block, and no group is damaged. */
  readonly sound: boolean;
}

/** `id`: the journal's. Throws `DATA_FOREIGN` or `DATA_VERSION` if a segment is of another journal or of an unknown format. */
export function inspectJournal(disk: Disk, id: Uint8Array, checksum: Checksum): JournalReport {
  const loaded = loadJournal(disk, id, checksum);
  const segments = loaded.scans.map((scan) => reportSegment(scan, loaded));
  const groups = reportGroups(loaded);
  const { groupsLost } = loaded.folded;
  for (const { segment } of loaded.scans) segment.file.close();
  const left = whatIsLeft(loaded);
  const rotten = segments.some((segment) => segment.needed && segment.corruptAt.length > 0);
  return {
    segments,
    groups,
    groupsLost,
    left,
    sound: left === "memory" && !rotten && groupsLost === 0 && !groups.some((g) => g.damaged),
  };
}

function reportSegment(scan: SegmentScan, loaded: Loaded): SegmentReport {
  const { segment, entries } = scan;
  const blocks = entries.filter((entry) => entry.kind === "block");
  const at = (decision: "torn" | "corrupt"): number[] =>
    loaded.survey.findings
      .filter((finding) => finding.segment === segment && finding.decision === decision)
      .map((finding) => finding.offset);
  let records = 0;
  for (const block of blocks) for (const run of block.body.runs) records += run.count;
  return {
    name: segment.name,
    number: segment.number,
    bytes: segment.byteLength,
    blocks: blocks.length,
    records,
    firstBlock: blocks[0]?.header.number ?? 0,
    lastBlock: blocks.at(-1)?.header.number ?? 0,
    needed: isNeeded(segment, loaded),
    tornAt: at("torn"),
    corruptAt: at("corrupt"),
  };
}

function isNeeded(segment: Segment, { folded }: Loaded): boolean {
  for (const group of folded.groups.values()) {
    for (const run of group.index.within(segment)) if (run.last >= group.needed) return true;
  }
  return false;
}

function reportGroups(loaded: Loaded): GroupReport[] {
  const reports: GroupReport[] = [];
  for (const group of loaded.folded.groups.values()) {
    let records = 0;
    for (const run of group.index.from(group.needed)) {
      records += run.last - Math.max(run.first, group.needed) + 1;
    }
    const { name, needed, last, damaged } = group;
    reports.push({ name, first: needed, last, records, damaged });
  }
  return reports.sort((a, b) => (a.name < b.name ? -1 : 1));
}
