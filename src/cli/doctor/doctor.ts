import { existsSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Command } from "commander";

import { QuorateError } from "../../core/errors.ts";
import { findDataFolder } from "../../runtime/find-socket.ts";
import {
  isAgentFolder,
  readAgentFolder,
  readClusterFolder,
  type AgentFolder,
} from "../cluster/cluster-folder.ts";
import type { CommandContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { type ConnectionOptions, clusterFolderDefault, newCommand, withConnection } from "../options.ts";
import { agentPlaces, placeAt, type AgentPlace } from "../places.ts";
import { viewOf, type AgentView } from "./ask.ts";
import { clusterFindings } from "./cluster.ts";
import { diskFindings, probeDisk } from "./disk.ts";
import { warning, type Finding } from "./finding.ts";
import { folderFindings, lost, type FolderPlace } from "./folder.ts";
import { grouped } from "./grouped.ts";
import { groupFindings } from "./group.ts";
import { clockFindings, programFindings, requiredNode, watchClocks } from "./here.ts";
import { countsOf, pageLines } from "./page.ts";

interface DoctorOptions extends ConnectionOptions {
  readonly strict?: boolean;
}

/** An agent that hangs must not hold up what is known of the others. */
const answerMsMax = 1500;

export function doctorCommand(context: CommandContext): Command {
  const command = newCommand(
    "doctor",
    "one page about this machine, the data folders and the agents: what is right, what is wrong, and what to do",
    [
      "quorate doctor",
      "quorate doctor --data .quorate/agent_1",
      "quorate doctor --agent 127.0.0.1:7400 --json",
    ],
  ).option("--strict", "exit code 1 for warnings, too");
  withConnection(command);
  return context.act(command, async (options: DoctorOptions): Promise<ExitCode> => {
    const findings = await examine(options, Math.min(answerMsMax, options.timeout));
    const counts = countsOf(findings);
    context.result(options, { ...counts, findings }, pageLines(findings, context.surfaces.out.paint));
    const isIll = counts.problems > 0 || (options.strict === true && counts.warnings > 0);
    return isIll ? exitCodes.failed : exitCodes.ok;
  });
}

async function examine(options: DoctorOptions, timeoutMs: number): Promise<Finding[]> {
  const { folders, wrong } = foldersOf(options);
  const findings = programFindings(process.versions.node, requiredNode());
  findings.push(...clockFindings(await watchClocks()), ...(await diskFindingsOf(folders)), ...wrong);
  for (const folder of folders) {
    if (folder.lost !== undefined) findings.push(lost(folder.id, folder.lost));
    // oxlint-disable-next-line no-await-in-loop -- one after the other: a journal may be large
    else findings.push(...(await folderFindings(folder, timeoutMs)));
  }
  if (wrong.length > 0) return findings;
  const views = await viewsOf(placesOf(options, folders), timeoutMs);
  findings.push(...clusterFindings(views));
  const groups = new Set(views.flatMap(({ groups: theirs }) => [...theirs.keys()]));
  for (const group of [...groups].toSorted()) findings.push(...groupFindings(group, views));
  return findings;
}

type Folder = FolderPlace & Pick<AgentFolder, "lost">;

interface Folders {
  readonly folders: readonly Folder[];
  /** What is wrong with all of them together. */
  readonly wrong: readonly Finding[];
}

/** The data folders that are here; none where agents are named by their addresses. Throws `DATA_MISSING` for one that was named and is none. */
function foldersOf({ data, agent }: DoctorOptions): Folders {
  if (agent.length > 0) return { folders: [], wrong: [] };
  const folder = data ?? findDataFolder();
  if (folder === undefined) return { folders: [], wrong: [noAgents] };
  try {
    if (isAgentFolder(folder)) return { folders: [agentFolder(folder)], wrong: [] };
    const folders = readClusterFolder(folder);
    if (folders !== undefined) return { folders, wrong: [] };
  } catch (error) {
    return { folders: [], wrong: [lost("data folders", error)] };
  }
  throw new QuorateError("DATA_MISSING", `There are no agents in ${folder}.`, {
    outcome: "notDone",
    hint: "Name a folder that `quorate up` or `quorate init` made.",
  });
}

const noAgents: Finding = warning(
  "data folders",
  `there is no ${clusterFolderDefault} folder here or above`,
  "Make agents with quorate up, or say where they are: --data <folder>, --agent <host:port>.",
);

function agentFolder(dataFolder: string): Folder {
  try {
    const { id, file } = readAgentFolder(dataFolder);
    const address = file.agents.find((agent) => agent.id === id)?.address ?? "";
    return { id, address, dataFolder };
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return { id: basename(resolve(dataFolder)), address: "", dataFolder, lost: error };
  }
}

/** Each disk once, by the first folder on it. */
async function diskFindingsOf(folders: readonly Folder[]): Promise<Finding[]> {
  const present = folders.filter(({ dataFolder }) => existsSync(dataFolder));
  const disks = grouped(present, ({ dataFolder }) => statSync(dataFolder).dev);
  const findings: Finding[] = [];
  for (const those of disks.values()) {
    const [first] = those;
    if (first === undefined) continue;
    const of = disks.size === 1 ? "disk" : `disk of ${those.map(({ id }) => id).join(", ")}`;
    // oxlint-disable-next-line no-await-in-loop -- at once they would keep each other waiting
    findings.push(...diskFindings(of, await probeDisk(first.dataFolder)));
  }
  return findings;
}

/** Every agent that is known: by name on the command line, by its folder, or because a folder's cluster.json names it. */
function placesOf(options: DoctorOptions, folders: readonly Folder[]): readonly AgentPlace[] {
  if (folders.length === 0) return agentPlaces(options);
  const places = folders.map(({ id, address, dataFolder }) => placeAt(id, address, dataFolder));
  for (const { dataFolder, lost: error } of folders) {
    if (error !== undefined) continue;
    for (const { id, address } of readAgentFolder(dataFolder).file.agents) {
      if (places.some((place) => place.id === id)) continue;
      places.push({ id, address, target: address, isLikely: true, dataFolder: undefined, note: "" });
    }
  }
  return places;
}

/** Those that answer may know of further ones. */
async function viewsOf(places: readonly AgentPlace[], timeoutMs: number): Promise<AgentView[]> {
  const views = await Promise.all(places.map(async (place) => viewOf(place, timeoutMs)));
  const known = new Set(views.map(({ id }) => id));
  const further = views
    .flatMap(({ report }) => report?.agents ?? [])
    .filter(({ id }) => !known.has(id) && known.add(id));
  const others = further.map(({ id, address }) => {
    return { id, address, target: address, isLikely: true, dataFolder: undefined, note: "" };
  });
  return [...views, ...(await Promise.all(others.map(async (place) => viewOf(place, timeoutMs))))];
}
