/** Puts the segments' blocks in order, and decides at each place what it means: the first half of recovery. */
import { assert } from "../core/assert.ts";
import { decisionTable, type Decision, type Follower, type Place } from "./decision.ts";
import type { BlockScan, SegmentScan } from "./scan.ts";
import type { Segment } from "./segment.ts";

/** A place that is not as it should be. */
export interface Finding {
  readonly segment: Segment;
  readonly offset: number;
  readonly decision: "torn" | "corrupt";
}

export interface Survey {
  /** The blocks that count, by rising numbers. */
  readonly blocks: readonly BlockScan[];
  /** Positions in `blocks` before which block numbers are missing. */
  readonly gaps: readonly number[];
  readonly findings: readonly Finding[];
}

/** `scans`: by rising segment numbers. */
export function survey(scans: readonly SegmentScan[]): Survey {
  const blocks: BlockScan[] = [];
  const gaps: number[] = [];
  const findings: Finding[] = [];
  let due = 1;
  for (const [position, scan] of scans.entries()) {
    let first = true;
    for (const [entryPosition, entry] of scan.entries.entries()) {
      const follower = followerOf(scans, position, entryPosition, due);
      if (entry.kind === "invalid") {
        const decision = decisionTable[entry.place][follower];
        if (decision === "torn" || decision === "corrupt") {
          findings.push({ segment: scan.segment, offset: entry.offset, decision });
        }
        continue;
      }
      const { number } = entry.header;
      let decision = decisionTable[placeOf(number, due, first)][follower];
      if (decision === "acceptAndCut") {
        due = cut(blocks, gaps, number);
        decision = decisionTable[number === due ? "next" : "ahead"][follower];
      }
      accept(blocks, gaps, entry, decision);
      due = number + 1;
      first = false;
    }
  }
  return { blocks, gaps, findings };
}

function accept(blocks: BlockScan[], gaps: number[], block: BlockScan, decision: Decision): void {
  assert(decision === "accept" || decision === "acceptBehindGap", "a valid block in its order counts");
  if (decision === "acceptBehindGap") gaps.push(blocks.length);
  blocks.push(block);
}

function placeOf(number: number, due: number, first: boolean): Place {
  if (number === due) return "next";
  if (number > due) return "ahead";
  assert(first, "within a segment block numbers rise");
  return "restart";
}

/** What the next valid block behind an entry is. */
function followerOf(
  scans: readonly SegmentScan[],
  position: number,
  entryPosition: number,
  due: number,
): Follower {
  const { segment, entries } = scans[position]!;
  for (let later = entryPosition + 1; later < entries.length; later++) {
    const entry = entries[later]!;
    if (entry.kind === "block") return entry.header.number > due ? "gapHere" : "next";
  }
  for (let later = position + 1; later < scans.length; later++) {
    const scan = scans[later]!;
    const block = scan.entries.find((entry) => entry.kind === "block");
    if (block === undefined) continue;
    if (block.header.number <= due) return "next";
    const adjacent = scan.segment.number - segment.number === later - position;
    return adjacent ? "gapLater" : "gapRecycled";
  }
  return "nothing";
}

/** Drops the blocks from `number` on, which a recovery cut before it went on; returns the number that is due now. */
function cut(blocks: BlockScan[], gaps: number[], number: number): number {
  while (blocks.length > 0 && blocks.at(-1)!.header.number >= number) blocks.pop();
  while (gaps.length > 0 && gaps.at(-1)! >= blocks.length) gaps.pop();
  return (blocks.at(-1)?.header.number ?? 0) + 1;
}
