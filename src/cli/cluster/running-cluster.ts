/** From a folder to running agents and back: make or continue it, lock it, start every process, and leave nothing behind. */
import { existsSync } from "node:fs";

import { QuorateError } from "../../core/errors.ts";
import type { FolderLock } from "../../runtime/folder-lock.ts";
import { CommandFailure, refusal } from "../failure.ts";
import {
  type AgentFolder,
  createClusterFolder,
  moveToPorts,
  otherPorts,
  readClusterFolder,
  removeClusterFolder,
  requireSameAddresses,
} from "./cluster-folder.ts";
import { type AgentsNeeded, Cluster } from "./cluster.ts";
import { removeLeftovers } from "./leftovers.ts";
import { watchElsewhere } from "./started-elsewhere.ts";
import { lockClusterFolder } from "./up-lock.ts";

export interface ClusterOptions {
  readonly folder: string;
  /** How many agents a new folder is made for; undefined: as many as there are, or `agentsDefault`. */
  readonly agents: number | undefined;
  readonly firstPort: number | undefined;
  /** Throw away what is there. */
  readonly fresh: boolean;
  /** How many of them have to start. */
  readonly needed: AgentsNeeded;
  readonly interrupts: AbortSignal;
}

export const agentsDefault = 4;

export class RunningCluster implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly folder: string;
  /** Whether the folder was there before, with whatever was decided then. */
  readonly isContinued: boolean;
  readonly #lock: FolderLock;
  readonly #places: readonly AgentFolder[];

  private constructor(
    cluster: Cluster,
    places: readonly AgentFolder[],
    folder: string,
    isContinued: boolean,
    lock: FolderLock,
  ) {
    this.cluster = cluster;
    this.#places = places;
    this.folder = folder;
    this.isContinued = isContinued;
    this.#lock = lock;
  }

  /** Resolves once as many agents listen as are needed. Rejects with the reason why one can't; nothing runs then. */
  static async start(options: ClusterOptions): Promise<RunningCluster> {
    const { folder } = options;
    if (options.fresh) await clear(folder);
    const before = readClusterFolder(folder);
    if (before === undefined)
      await createClusterFolder(folder, options.agents ?? agentsDefault, options.firstPort);
    const lock = await lockClusterFolder(folder);
    try {
      const places = placesToStart(options, before);
      const cluster = new Cluster(places);
      await cluster.start(options.needed, options.interrupts);
      return new RunningCluster(cluster, places, folder, before !== undefined, lock);
    } catch (error) {
      lock.release();
      throw portTaken(error);
    }
  }

  /** From now on agents that are started by hand are seen, too. Returns how to stop that. */
  watchElsewhere(): () => void {
    return watchElsewhere(this.cluster.agents, this.#places);
  }

  /** Stops every agent that it has started and gives the folder back. What a killed agent could not clear away goes too. */
  async stop(): Promise<void> {
    await this.cluster.stop();
    await Promise.all(this.#places.map(async ({ dataFolder }) => removeLeftovers(dataFolder)));
    this.#lock.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Under the lock, so that no running agent loses its folder. */
async function clear(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  const lock = await lockClusterFolder(folder);
  lock.release();
  removeClusterFolder(folder);
}

function placesToStart(
  options: ClusterOptions,
  before: readonly AgentFolder[] | undefined,
): readonly AgentFolder[] {
  const { folder, agents, firstPort } = options;
  if (before === undefined) return readClusterFolder(folder) ?? [];
  if (agents !== undefined && agents !== before.length) {
    throw refusal(
      "DATA_EXISTS",
      `${folder} holds ${before.length} agents, not ${agents}.`,
      "Leave --agents out to go on with them, name another folder with --data, or begin anew with --fresh.",
    );
  }
  if (firstPort !== undefined) return moveToPorts(folder, firstPort);
  requireSameAddresses(before);
  return before;
}

/** The ports were chosen once and somebody else may have taken one since: there is a way out that costs nothing. */
function portTaken(error: unknown): unknown {
  const code =
    error instanceof CommandFailure ? error.failure.code : error instanceof QuorateError ? error.code : "";
  if (code !== "ADDRESS_IN_USE" || !(error instanceof CommandFailure)) return error;
  return new CommandFailure({ ...error.failure, hint: otherPorts });
}
