/** Which agents a command talks to: those named, or those whose data is in a folder. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";

import { QuorateError } from "../core/errors.ts";
import { loopbackAddress } from "../runtime/address.ts";
import { agentSocketName } from "../runtime/agent.ts";
import { findDataFolder } from "../runtime/find-socket.ts";
import { findSocketPath } from "../runtime/socket-path.ts";
import { isAgentFolder, readAgentFolder, readClusterFolder } from "./cluster/cluster-folder.ts";
import { clusterFolderDefault } from "./options.ts";

/** One agent that could be talked to. */
export interface AgentPlace {
  /** Its name, where that is known. */
  readonly id: string | undefined;
  /** Where it listens, as people know it. */
  readonly address: string;
  /** How to reach it: an address, or the path of its socket. */
  readonly target: string;
  /** Whether anything suggests that it runs. */
  readonly isLikely: boolean;
  /** Where its data is; undefined for one that is known by its address only. */
  readonly dataFolder: string | undefined;
  /** Why it can't run. */
  readonly note: string;
}

/** Throws `DATA_MISSING` where neither agents nor a folder are there, `BAD_OPTION` for an address that is none, `DENIED` for one beyond this machine. */
export function agentPlaces(options: {
  readonly data?: string;
  readonly agent: readonly string[];
}): AgentPlace[] {
  if (options.agent.length > 0) {
    return options.agent.map((address) => {
      loopbackAddress(address, "address of an agent");
      return { id: undefined, address, target: address, isLikely: true, dataFolder: undefined, note: "" };
    });
  }
  const folder = options.data ?? findDataFolder();
  const places = folder === undefined ? undefined : placesIn(folder);
  if (places !== undefined) return places;
  throw new QuorateError(
    "DATA_MISSING",
    options.data === undefined
      ? `There are no agents here: no ${clusterFolderDefault} folder in ${process.cwd()} or above.`
      : `There are no agents in ${options.data}.`,
    {
      outcome: "notDone",
      hint: "Start some with `quorate up`, or say where one listens with --agent host:port.",
    },
  );
}

/** Those that seem to run. Throws `CANNOT_CONNECT` where none does. */
export function likelyPlaces(places: readonly AgentPlace[]): readonly AgentPlace[] {
  const likely = places.filter((place) => place.isLikely);
  if (likely.length > 0) return likely;
  const [first] = places;
  throw new QuorateError(
    "CANNOT_CONNECT",
    `No agent is running${first === undefined ? "" : ` in ${dirname(dirname(first.target))}`}.`,
    {
      outcome: "notDone",
      hint: "Start them with `quorate up`.",
    },
  );
}

function placesIn(folder: string): AgentPlace[] | undefined {
  if (isAgentFolder(folder)) {
    const { id, file } = readAgentFolder(folder);
    const address = file.agents.find((agent) => agent.id === id)?.address ?? "";
    return [placeAt(id, address, folder)];
  }
  return readClusterFolder(folder)?.map(({ id, address, dataFolder, lost }) => ({
    ...placeAt(id, address, dataFolder),
    note: lost?.message ?? "",
  }));
}

/** Through its socket, which is in its data folder. */
export function placeAt(id: string, address: string, dataFolder: string): AgentPlace {
  const target = findSocketPath(dataFolder, agentSocketName);
  // On Windows a named pipe is not seen among the files: there, dialling tells.
  const isLikely = process.platform === "win32" || existsSync(target);
  return { id, address, target, isLikely, dataFolder, note: "" };
}
