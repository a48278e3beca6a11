/** Finds the agents of this machine without being told where they are: the nearest `.quorate/` upwards. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { QuorateError } from "../core/errors.ts";
import { agentSocketName } from "./agent.ts";
import { findSocketPath } from "./socket-path.ts";

export const dataFolderName = ".quorate";

/** The nearest `.quorate/` at `from` or above it; undefined where there is none. */
export function findDataFolder(from: string = process.cwd()): string | undefined {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const found = join(folder, dataFolderName);
    if (existsSync(found)) return found;
    if (dirname(folder) === folder) return undefined;
  }
}

/**
 * The sockets of the agents whose data is in the nearest `.quorate/`: in the folder itself, or one folder below for each
 * agent. Not all of them need to answer. Throws `DATA_MISSING` where there is no such folder, and `CANNOT_CONNECT` where
 * no agent in it has a socket.
 */
export function findAgentSockets(from: string = process.cwd()): readonly string[] {
  const folder = findDataFolder(from);
  if (folder === undefined) {
    throw new QuorateError(
      "DATA_MISSING",
      `There is no ${dataFolderName} folder in ${resolve(from)} or above.`,
      {
        outcome: "notDone",
        hint: "Start an agent here with `quorate up`, or say where one listens.",
      },
    );
  }
  const folders = [folder];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) folders.push(join(folder, entry.name));
  }
  const sockets = folders.map((place) => findSocketPath(place, agentSocketName)).filter(isSocket);
  if (sockets.length > 0) return sockets;
  throw new QuorateError("CANNOT_CONNECT", `No agent is running in ${folder}.`, {
    outcome: "notDone",
    hint: "Start one with `quorate up`.",
  });
}

/** On Windows a named pipe is not seen among the files: there, dialling tells. */
function isSocket(path: string): boolean {
  return process.platform === "win32" || existsSync(path);
}
