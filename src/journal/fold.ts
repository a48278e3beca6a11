/** Makes groups and their damage out of the blocks that count: the second half of recovery. */
import type { GroupName } from "../core/ids.ts";
import { Group } from "./group.ts";
import type { BlockScan } from "./scan.ts";
import type { Survey } from "./survey.ts";

export interface Folded {
  readonly groups: Map<GroupName, Group>;
  /** Groups that the journal has known and of which nothing is left, not even the name. */
  readonly groupsLost: number;
}

/** Where a group's last number was told last, as a position among the blocks. */
type Told = Map<Group, number>;

export function fold(found: Survey): Folded {
  const groups = new Map<GroupName, Group>();
  const told: Told = new Map();
  for (const [position, block] of found.blocks.entries()) {
    foldRuns(groups, told, block, position);
    foldDirectory(groups, told, block, position);
  }
  const gap = found.gaps.at(-1) ?? -1;
  for (const group of groups.values()) {
    // Behind missing blocks only a later record or directory can tell that the group lost none of its own.
    const doubtful = gap > (told.get(group) ?? -1);
    group.index.dropBelow(group.needed);
    if (doubtful || !group.index.holds(group.needed, group.last)) group.damaged = true;
  }
  const known = found.blocks.at(-1)?.header.groups ?? 0;
  return { groups, groupsLost: Math.max(0, known - groups.size) };
}

function groupOf(groups: Map<GroupName, Group>, name: GroupName): Group {
  const known = groups.get(name);
  if (known !== undefined) return known;
  const group = new Group(name);
  groups.set(name, group);
  return group;
}

function foldRuns(groups: Map<GroupName, Group>, told: Told, block: BlockScan, position: number): void {
  for (const run of block.body.runs) {
    const group = groupOf(groups, run.name);
    const last = run.first + run.count - 1;
    // A copy has old numbers: it says nothing about what came after them.
    if (!run.copied) told.set(group, position);
    noteLast(group, last);
    group.index.place({
      segment: block.segment,
      blockAt: block.offset,
      blockLength: block.header.length,
      at: block.offset + run.at,
      byteLength: run.byteLength,
      base: run.first,
      first: run.first,
      last,
    });
  }
}

function foldDirectory(groups: Map<GroupName, Group>, told: Told, block: BlockScan, position: number): void {
  for (const line of block.body.directory ?? []) {
    const group = groupOf(groups, line.name);
    told.set(group, position);
    noteLast(group, line.last);
    group.needed = Math.max(group.needed, line.needed);
    // Later ones carry damage on, unless the group has begun anew.
    group.damaged = line.damaged;
  }
}

function noteLast(group: Group, last: number): void {
  group.last = Math.max(group.last, last);
  group.written = group.last;
  group.durable = group.last;
}
