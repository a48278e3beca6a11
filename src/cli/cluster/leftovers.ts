/** What an agent leaves behind that was killed: sockets that nobody listens on any more. */
import { existsSync, readdirSync } from "node:fs";

import { agentSocketName } from "../../runtime/agent.ts";
import { FolderLock } from "../../runtime/folder-lock.ts";
import { removeSocket } from "../../runtime/socket-path.ts";

const socketName = /\.sock(\.path)?$/;

/** Removes them from a data folder, unless an agent uses it. An agent that ended in good order has left none. */
export async function removeLeftovers(dataFolder: string): Promise<void> {
  if (!existsSync(dataFolder) || !readdirSync(dataFolder).some((name) => socketName.test(name))) return;
  let lock: FolderLock;
  try {
    // Whoever takes the lock removes what its last holder had.
    lock = await FolderLock.acquire(dataFolder);
  } catch {
    // In use, or on a disk that takes nothing more: the next start removes them.
    return;
  }
  removeSocket(dataFolder, agentSocketName);
  lock.release();
}
