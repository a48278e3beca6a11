/**
 * The folder that `up` fills: one data folder for each agent of a cluster on this machine, `agent_1` to `agent_N`. Each holds a
 * `cluster.json` that says which agents there are, and where, so that each can also be started by itself.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { dirname, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { QuorateError } from "../../core/errors.ts";
import { agentId } from "../../core/ids.ts";
import {
  type AgentAddress,
  type ClusterFile,
  newClusterId,
  readClusterFile,
  writeClusterFile,
} from "../../runtime/cluster-file.ts";
import { listenError } from "../../runtime/agent-server.ts";
import { createDataFolder, readIdentity, unusable } from "../../runtime/data-folder.ts";
import { syncFolder } from "../../runtime/durable-file.ts";

const clusterFileName = "cluster.json";
const identityFileName = "identity.json";
const logFileSuffix = ".log";
/** What `up` and its agents put into the folder: data folders, logs, and the lock of `up` itself. */
const ownName = /^(agent_\d+(\.log)?|owner\.\d+|lock-.*)$/;

/** One agent's place in the folder. */
export interface AgentFolder {
  readonly id: string;
  /** Where it listens. */
  readonly address: string;
  readonly dataFolder: string;
  readonly logFile: string;
  /** Why it can't be started: its folder is gone, or a file that says who it is. It must not come back empty. */
  readonly lost?: QuorateError;
}

/** Which agents there are, from an agent's own data folder. Throws `DATA_MISSING`, `DATA_VERSION`, `DATA_CORRUPT`, `DATA_FOREIGN`. */
export function readAgentFolder(path: string): { readonly id: string; readonly file: ClusterFile } {
  const identity = readIdentity(path);
  const file = readClusterFile(join(path, clusterFileName));
  if (Buffer.compare(identity.cluster, file.cluster) !== 0) {
    throw new QuorateError("DATA_FOREIGN", `${join(path, clusterFileName)} is that of another cluster.`, {
      outcome: "notDone",
      hint: "Put back the file that was made with this folder.",
    });
  }
  return { id: identity.agent, file };
}

/** The agent of this data folder is alone in a cluster of its own, whose id its folder has. */
export function writeAlone(path: string): ClusterFile {
  const { agent, cluster } = readIdentity(path);
  const file = readClusterFile(join(path, clusterFileName));
  const alone = { cluster, agents: file.agents.filter(({ id }) => id === agent) };
  writeClusterFile(join(path, clusterFileName), alone);
  return alone;
}

/** Whether it is an agent's own data folder. */
export function isAgentFolder(path: string): boolean {
  return existsSync(join(path, identityFileName));
}

/** The data folders of agents in a folder that `up` made, in order; none where there is no such folder. */
export function agentFoldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isAgentFolder(join(folder, entry.name)))
    .map((entry) => join(folder, entry.name))
    .toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

/**
 * The agents of a folder that `up` made, also those whose own folder is gone; undefined where there is none. Throws
 * `DATA_FOREIGN` where they don't belong together, and what is wrong with the first where none can be read.
 */
export function readClusterFolder(folder: string): AgentFolder[] | undefined {
  const folders = agentFoldersIn(folder);
  const [first] = folders;
  if (first === undefined) return undefined;
  const witness = folders.find((path) => lossOf(path) === undefined) ?? first;
  const { file } = readAgentFolder(witness);
  return file.agents.map(({ id, address }) => {
    const place = placeOf(folder, id, address);
    const lost = isAgentFolder(place.dataFolder)
      ? lossOf(place.dataFolder)
      : agentFolderMissing(place.dataFolder);
    if (lost !== undefined) return { ...place, lost };
    const own = readAgentFolder(place.dataFolder).file;
    if (Buffer.compare(own.cluster, file.cluster) !== 0) throw ofAnotherCluster(place.dataFolder, witness);
    return place;
  });
}

/** What of an agent's folder is gone or damaged, so that nobody knows who it was; undefined where nothing is. */
function lossOf(dataFolder: string): QuorateError | undefined {
  try {
    readAgentFolder(dataFolder);
    return undefined;
  } catch (error) {
    if (!(error instanceof QuorateError) || !/^DATA_(MISSING|CORRUPT)$/.test(error.code)) throw error;
    return new QuorateError(error.code, error.message, {
      outcome: "notDone",
      hint: "Put that file back as it was.",
      cause: error,
    });
  }
}

/** Puts something into a data folder that was just made, before it gets its name. `agents`: of its cluster. */
export type Fill = (dataFolder: string, agents: readonly AgentAddress[]) => Promise<void>;

const nothingMore: Fill = async () => {};

/** Makes one agent's data folder, all of it or nothing. Rejects with `DATA_EXISTS`, and with what `fill` does. */
export async function createAgentFolder(
  path: string,
  id: string,
  file: ClusterFile,
  fill: Fill = nothingMore,
): Promise<void> {
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new QuorateError("DATA_EXISTS", `There is something at ${path} already.`, {
      outcome: "notDone",
      hint: "Start the agent that lives there, or name another folder. Nothing was changed.",
    });
  }
  await wholeOrNothing(path, async (temporary) => {
    fillAgentFolder(temporary, id, file);
    await fill(temporary, file.agents);
  });
}

/** What to do where somebody else listens. */
export const otherPorts =
  "Stop what listens there, or give the agents other ports: --port 7400 takes that one and those after it.";

/** Makes the folder for `count` agents, all of it or nothing. `firstPort`: theirs are this one and those after it; otherwise free ones. */
export async function createClusterFolder(
  folder: string,
  count: number,
  firstPort: number | undefined,
  fill: Fill = nothingMore,
): Promise<AgentFolder[]> {
  // Where somebody else listens on one of them, no folder is left that goes on asking for it.
  const wanted =
    firstPort === undefined ? Array.from({ length: count }, () => 0) : portsFrom(firstPort, count);
  const ports = await freePorts(wanted);
  const agents: AgentAddress[] = ports.map((port, at) => ({
    id: agentId(`agent_${at + 1}`),
    address: `127.0.0.1:${port}`,
  }));
  const cluster = newClusterId();
  removeClusterFolder(folder);
  await wholeOrNothing(folder, async (temporary) => {
    mkdirSync(temporary);
    for (const { id } of agents) {
      fillAgentFolder(join(temporary, id), id, { cluster, agents });
      // oxlint-disable-next-line no-await-in-loop -- one after the other: there may be much to write
      await fill(join(temporary, id), agents);
    }
  });
  return agents.map(({ id, address }) => placeOf(folder, id, address));
}

/** Throws `DATA_FOREIGN` where one of them was away while the others were given other ports. */
export function requireSameAddresses(places: readonly AgentFolder[]): void {
  const [first, ...others] = places.filter(({ lost }) => lost === undefined);
  if (first === undefined) return;
  const { agents } = readAgentFolder(first.dataFolder).file;
  for (const { dataFolder } of others) {
    const own = readAgentFolder(dataFolder).file.agents;
    if (!isDeepStrictEqual(own, agents)) throw atOtherAddresses(dataFolder, first.dataFolder);
  }
}

/** Gives the agents of a folder other ports. None of them may be running. */
export function moveToPorts(folder: string, firstPort: number): AgentFolder[] {
  const places = readClusterFolder(folder) ?? [];
  const agents = portsFrom(firstPort, places.length).map((port, at) => ({
    id: agentId(places[at]!.id),
    address: `127.0.0.1:${port}`,
  }));
  for (const { dataFolder } of places.filter(({ lost }) => lost === undefined)) {
    const { file } = readAgentFolder(dataFolder);
    writeClusterFile(join(dataFolder, clusterFileName), { cluster: file.cluster, agents });
  }
  return places.map((place, at) => ({ ...place, address: agents[at]!.address }));
}

/** Removes a folder that `up` made, with all that is in it. Throws `DATA_EXISTS` where there is anything else in it. */
export function removeClusterFolder(folder: string): void {
  if (!existsSync(folder)) return;
  if (readdirSync(folder).some((name) => !ownName.test(name))) throw notEmpty(folder);
  // Away in one step, so that nobody starts what is half removed.
  const away = `${resolve(folder)}.old-${randomBytes(4).toString("hex")}`;
  renameSync(folder, away);
  rmSync(away, { recursive: true, force: true });
}

function fillAgentFolder(path: string, id: string, file: ClusterFile): void {
  createDataFolder(path, { agent: id, cluster: file.cluster });
  writeClusterFile(join(path, clusterFileName), file);
}

/** Fills a folder under another name first, so that it is whole or not there. */
async function wholeOrNothing(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const place = resolve(folder);
  const temporary = `${place}.new-${randomBytes(4).toString("hex")}`;
  mkdirSync(dirname(place), { recursive: true });
  try {
    await fill(temporary);
    renameSync(temporary, place);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Nobody asked for a folder of that other name.
    throw unusable(folder, error instanceof QuorateError ? (error.cause ?? error) : error);
  }
  syncFolder(dirname(place));
}

function placeOf(folder: string, id: string, address: string): AgentFolder {
  const dataFolder = join(folder, id);
  return { id, address, dataFolder, logFile: `${dataFolder}${logFileSuffix}` };
}

function portsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => first + at);
}

/** These ports, or any where 0 is wanted, if nobody listens on them at the moment: each is held until all are found. Throws `ADDRESS_IN_USE`. */
async function freePorts(wanted: readonly number[]): Promise<number[]> {
  const servers: Server[] = [];
  try {
    for (const port of wanted) {
      const server = createServer();
      servers.push(server);
      // oxlint-disable-next-line no-await-in-loop -- a handful, each in less than a millisecond
      await new Promise<void>((done, failed) => {
        server.once("error", (cause: NodeJS.ErrnoException) =>
          failed(listenError(cause, `127.0.0.1:${port}`, otherPorts)),
        );
        server.listen({ host: "127.0.0.1", port, exclusive: true }, done);
      });
    }
    return servers.map((server) => (server.address() as AddressInfo).port);
  } finally {
    await Promise.all(servers.map(async (server) => new Promise((done) => server.close(done))));
  }
}

function agentFolderMissing(dataFolder: string): QuorateError {
  return new QuorateError("DATA_MISSING", `Its data folder is gone: ${dataFolder}.`, {
    outcome: "notDone",
    hint: "It is not made anew, since that member would have forgotten its votes. Put the folder back as it last was, no older copy.",
  });
}

function ofAnotherCluster(dataFolder: string, other: string): QuorateError {
  return new QuorateError("DATA_FOREIGN", `${dataFolder} belongs to another cluster than ${other}.`, {
    outcome: "notDone",
    hint: "Put back the folder that was made with the others. Or begin anew: quorate up --fresh.",
  });
}

function atOtherAddresses(dataFolder: string, other: string): QuorateError {
  return new QuorateError("DATA_FOREIGN", `${dataFolder} names other addresses than ${other}.`, {
    outcome: "notDone",
    hint: "Give all agents the same ones again: quorate up --port 7400 takes that port and those after it.",
  });
}

function notEmpty(folder: string): QuorateError {
  return new QuorateError("DATA_EXISTS", `There is something else than agents in ${folder}.`, {
    outcome: "notDone",
    hint: "Name another folder with --data, or take out what is not of quorate. Nothing was changed.",
  });
}
