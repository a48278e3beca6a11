/** What an agent says of itself, whoever started it. */
import { setTimeout } from "node:timers/promises";

import { ClientPool } from "../runtime/client-pool.ts";
import { lockHolder } from "../runtime/folder-lock.ts";
import type { GroupStatus, StatusResult } from "../runtime/gateway.ts";
import { groupDefault } from "./options.ts";
import type { AgentPlace } from "./places.ts";

/** `silent`: it is there, and does not say how its group is. */
export type AskedAgent =
  | {
      readonly kind: "running";
      readonly id: string;
      readonly status: GroupStatus;
      /** Where it knows others to listen. */
      readonly agents: readonly { readonly id: string; readonly address: string }[];
    }
  | { readonly kind: "silent"; readonly id: string }
  | { readonly kind: "down"; readonly why: string };

/** Over a connection of its own. */
export async function askAgent(place: AgentPlace, timeoutMs: number): Promise<AskedAgent> {
  if (!place.isLikely) return { kind: "down", why: "" };
  let pool: ClientPool | undefined;
  try {
    const connected = await ClientPool.connect({
      agents: [place.target],
      pin: true,
      name: "quorate-status",
      connectTimeoutMs: timeoutMs,
    });
    pool = connected.pool;
    const { agent: id, agents } = connected.report;
    const status = await statusThrough(pool, timeoutMs);
    return status === undefined ? { kind: "silent", id } : { kind: "running", id, status, agents };
  } catch (error) {
    // A process that is stopped, or has something else to do for long, is there all the same.
    const holder = place.dataFolder === undefined ? undefined : await lockHolder(place.dataFolder);
    if (holder !== undefined && place.id !== undefined) return { kind: "silent", id: place.id };
    return { kind: "down", why: error instanceof Error ? error.message : String(error) };
  } finally {
    pool?.close();
  }
}

async function statusThrough(pool: ClientPool, timeoutMs: number): Promise<GroupStatus | undefined> {
  const gateway = pool.gateway(groupDefault);
  return new Promise((resolve) => {
    const cancel = gateway.refreshStatus((result: StatusResult) => {
      resolve(result.kind === "status" ? result.status : undefined);
    });
    void setTimeout(timeoutMs, undefined, { ref: false }).then(() => {
      cancel();
      resolve(undefined);
    });
  });
}
