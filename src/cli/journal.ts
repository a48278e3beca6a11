import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";

import { QuorateError } from "../core/errors.ts";
import {
  type GroupReport,
  type JournalReport,
  type SegmentReport,
  type SnapshotReport,
  inspectJournal,
  inspectSnapshots,
} from "../journal/index.ts";
import { checksum } from "../runtime/checksum.ts";
import { readIdentity, requireJournal, snapshotFolderOf } from "../runtime/data-folder.ts";
import { lockHolder } from "../runtime/folder-lock.ts";
import { NodeDisk } from "../runtime/node-disk.ts";
import { agentFoldersIn, isAgentFolder, readClusterFolder } from "./cluster/cluster-folder.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type Failure, failureFrom, refusal } from "./failure.ts";
import { type OutputOptions, clusterFolderDefault, newCommand } from "./options.ts";
import { byteSize, count, counted } from "./terminal/numbers.ts";
import { tableLines } from "./terminal/table.ts";

interface CheckOptions extends OutputOptions {
  readonly data: string;
}

/** An agent's journal that can't be looked over, and why. */
interface Lost {
  readonly agent: string;
  readonly data: string;
  readonly error: Pick<Failure, "code" | "message" | "hint">;
}

/** One agent's journal, looked over. */
export interface CheckedJournal {
  readonly agent: string;
  readonly data: string;
  /** The process that uses it meanwhile: its newest block may look torn. */
  readonly inUseBy: number | undefined;
  readonly report: JournalReport;
  readonly snapshots: readonly SnapshotReport[];
  /** The journal is, and so is every snapshot. */
  readonly sound: boolean;
}

export function journalCommand(context: CommandContext): Command {
  const command = newCommand("journal", "look at what is on disk").usage("check [options]");
  command.addCommand(checkCommand(context));
  return command;
}

function checkCommand(context: CommandContext): Command {
  const command = newCommand(
    "check",
    "read every block of the journals and say whether they are sound; changes nothing",
    ["quorate journal check", "quorate journal check --data .quorate/agent_1"],
  ).addOption(
    new Option("--data <folder>", "one agent's data folder, or the one that `quorate up` runs in")
      .argParser((text: string) => {
        if (existsSync(text)) return text;
        throw new InvalidArgumentError("There is no such folder.");
      })
      .default(clusterFolderDefault),
  );
  return context.act(command, async (options: CheckOptions): Promise<ExitCode> => {
    const checked: (CheckedJournal | Lost)[] = [];
    for (const place of placesOf(options.data)) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other: a journal may be large
      checked.push(await tryCheck(place));
    }
    const bad = checked.filter((one) => "error" in one || !one.sound);
    context.result(
      options,
      { sound: bad.length === 0, agents: checked },
      checked.flatMap((one) => ("error" in one ? linesOfLost(one) : linesOf(one))),
    );
    const lost = bad.find((one) => "error" in one);
    if (lost !== undefined && options.json !== true) {
      const { code, hint } = lost.error;
      throw refusal(code, `${bad.length} of ${checked.length} journals are not sound.`, hint);
    }
    return bad.length === 0 ? exitCodes.ok : exitCodes.failed;
  });
}

interface Place {
  readonly dataFolder: string;
  readonly lost?: QuorateError;
}

/** The folder itself, or all in it, also those that should be. */
function placesOf(data: string): readonly Place[] {
  if (isAgentFolder(data)) return [{ dataFolder: data }];
  const places = membersOf(data) ?? agentFoldersIn(data).map((dataFolder) => ({ dataFolder }));
  if (places.length > 0) return places;
  throw new QuorateError("DATA_MISSING", `There is no agent's data folder at ${data}.`, {
    outcome: "notDone",
    hint: "Name one with --data, or make one with `quorate up`.",
  });
}

function membersOf(data: string): readonly Place[] | undefined {
  try {
    return readClusterFolder(data);
  } catch (error) {
    if (error instanceof QuorateError) return undefined;
    throw error;
  }
}

async function tryCheck({ dataFolder, lost }: Place): Promise<CheckedJournal | Lost> {
  try {
    if (lost !== undefined && !isAgentFolder(dataFolder)) throw lost;
    return await checkJournal(dataFolder);
  } catch (error) {
    const { code, message, hint } = failureFrom(error);
    if (code === "INTERNAL") throw error;
    return { agent: basename(resolve(dataFolder)), data: dataFolder, error: { code, message, hint } };
  }
}

/** Reads every block and changes nothing. Rejects where the journal, or who it belongs to, is gone. */
export async function checkJournal(folder: string): Promise<CheckedJournal> {
  const { agent, journal } = readIdentity(folder);
  requireJournal(folder);
  const inUseBy = await lockHolder(folder);
  const report = withDisk(join(folder, "journal"), (disk) => inspectJournal(disk, journal, checksum));
  const snapshots = snapshotsIn(snapshotFolderOf(folder));
  const sound = report.sound && snapshots.every(({ state }) => state !== "damaged");
  return { agent, data: folder, inUseBy, report, snapshots, sound };
}

/** The first version's folders have none. */
function snapshotsIn(folder: string): readonly SnapshotReport[] {
  return existsSync(folder) ? withDisk(folder, (disk) => inspectSnapshots(disk, checksum)) : [];
}

function withDisk<T>(folder: string, look: (disk: NodeDisk) => T): T {
  const disk = new NodeDisk(folder, "read");
  try {
    return look(disk);
  } finally {
    disk.close();
  }
}

const runIt =
  "run this agent beside the others: with what is left it neither votes nor acknowledges, and they repair it.";
const replaceIt =
  "put the journal back as it last was (no older copy), or have the others take this agent out: quorate members remove.";

function linesOfLost({ agent, data, error }: Lost): string[] {
  return [`✖ ${agent}  ${data}  LOST: ${error.message}  ${error.code}`, `  What to do: ${error.hint}`];
}

function linesOf({ agent, data, inUseBy, report, snapshots, sound }: CheckedJournal): string[] {
  const records = report.segments.reduce((sum, segment) => sum + segment.records, 0);
  const use =
    inUseBy === undefined ? "" : `; in use by process ${inUseBy}, so its newest block may be half-written`;
  return [
    `${sound ? "✔" : "✖"} ${agent}  ${data}  ${sound ? "sound" : "DAMAGED"}, ${counted(records, "record")} in ${counted(report.segments.length, "segment")}${use}`,
    ...indented(
      tableLines(
        [
          { title: "segment" },
          { title: "size", align: "right" },
          { title: "blocks", align: "right" },
          { title: "records", align: "right" },
          { title: "" },
        ],
        report.segments.map((segment) => segmentCells(segment)),
      ),
    ),
    ...indented(
      tableLines(
        [
          { title: "group" },
          { title: "first needed", align: "right" },
          { title: "last", align: "right" },
          { title: "records", align: "right" },
          { title: "" },
        ],
        report.groups.map((group) => groupCells(group)),
      ),
    ),
    ...(snapshots.length === 0
      ? []
      : indented(
          tableLines(
            [
              { title: "snapshot of" },
              { title: "up to", align: "right" },
              { title: "size", align: "right" },
              { title: "" },
            ],
            snapshots.map((snapshot) => snapshotCells(snapshot)),
          ),
        )),
    ...(report.groupsLost > 0
      ? [`  ${counted(report.groupsLost, "group")} lost: not even the name is left.`]
      : []),
    ...(report.left === "rubble" ? ["  Nothing in it can be read: it is lost."] : []),
    ...(sound ? [] : [`  What to do: ${report.left === "rubble" ? replaceIt : runIt} See docs/cli.md.`]),
  ];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function segmentCells(segment: SegmentReport): string[] {
  const findings = [
    ...segment.corruptAt.map(
      (offset) => `corrupt at ${offset}${segment.needed ? "" : ": nobody needs this segment any more"}`,
    ),
    ...segment.tornAt.map((offset) => `torn at ${offset}: a write that was cut off, harmless`),
  ];
  return [
    segment.name,
    byteSize(segment.bytes),
    count(segment.blocks),
    count(segment.records),
    findings.join(", "),
  ];
}

function snapshotCells({ group, index, bytes, state }: SnapshotReport): string[] {
  const findings = {
    whole: "",
    damaged: "DAMAGED",
    unfinished: "unfinished, harmless",
    otherVersion: "of a later version",
  } as const;
  return [group, count(index), byteSize(bytes), findings[state]];
}

function groupCells(group: GroupReport): string[] {
  return [
    group.name,
    count(group.first),
    count(group.last),
    count(group.records),
    group.damaged ? "DAMAGED" : "",
  ];
}
