/** Keeps a second `up` out of a folder, and says where the first one is. */
import { QuorateError } from "../../core/errors.ts";
import { unusable } from "../../runtime/data-folder.ts";
import { FolderLock, lockHolder } from "../../runtime/folder-lock.ts";

/** Rejects with `DATA_LOCKED` where another process runs the agents of this folder. */
export async function lockClusterFolder(folder: string): Promise<FolderLock> {
  try {
    return await FolderLock.acquire(folder);
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== "DATA_LOCKED") throw unusable(folder, error);
    const pid = await lockHolder(folder);
    throw new QuorateError(
      "DATA_LOCKED",
      `The agents of ${folder} are running already${pid === undefined ? "" : `, started by process ${pid}`}.`,
      {
        outcome: "notDone",
        hint: `Look at them with \`quorate status\`, or stop them with Ctrl-C there${pid === undefined ? "" : ` (kill ${pid})`}.`,
        cause: error,
      },
    );
  }
}
