/** What every agent says of itself and of its groups, each asked over a connection of its own. */
import { setTimeout } from "node:timers/promises";

import { ClientPool } from "../../runtime/client-pool.ts";
import type { StatusReport } from "../../runtime/client-wire.ts";
import type { GroupStatus, StatusResult } from "../../runtime/gateway.ts";
import type { AgentPlace } from "../places.ts";

/** One agent, as it answers or does not. */
export interface AgentView {
  readonly id: string;
  readonly address: string;
  /** Its data folder is here, so what is wrong with it is seen there. */
  readonly isLocal: boolean;
  /** Undefined: it does not answer, and `why`. */
  readonly report: StatusReport | undefined;
  readonly why: string;
  /** By the group's name; a group that it did not tell of in time is missing. */
  readonly groups: ReadonlyMap<string, GroupStatus>;
  /** By how much its wall clock is at least ahead of this machine's; below 0: behind. 0 where that can't be told. */
  readonly aheadMs: number;
}

/** An agent may host thousands; these are asked for. */
const groupsMax = 32;

export async function viewOf(place: AgentPlace, timeoutMs: number): Promise<AgentView> {
  const { address } = place;
  const isLocal = place.dataFolder !== undefined;
  const nothing = { address, isLocal, report: undefined, groups: new Map<string, GroupStatus>(), aheadMs: 0 };
  try {
    const askedAtMs = Date.now();
    const { pool, report } = await ClientPool.connect({
      agents: [place.target],
      pin: true,
      name: "quorate-doctor",
      connectTimeoutMs: timeoutMs,
    });
    const aheadMs = aheadOf(report.wallMs, askedAtMs, Date.now());
    const names = report.groups.slice(0, groupsMax);
    const statuses = await Promise.all(names.map(async (name) => statusOf(pool, name, timeoutMs)));
    pool.close();
    const groups = new Map(
      statuses.flatMap((status) => (status === undefined ? [] : [[status.group, status]])),
    );
    return { id: report.agent, address, isLocal, report, why: "", groups, aheadMs };
  } catch (error) {
    return {
      ...nothing,
      id: place.id ?? address,
      why: error instanceof Error ? error.message : String(error),
    };
  }
}

/** It read its clock between the two instants: only what lies outside of them is certain. */
function aheadOf(wallMs: number | undefined, fromMs: number, toMs: number): number {
  if (wallMs === undefined) return 0;
  if (wallMs > toMs) return wallMs - toMs;
  return wallMs < fromMs ? wallMs - fromMs : 0;
}

async function statusOf(
  pool: ClientPool,
  group: string,
  timeoutMs: number,
): Promise<GroupStatus | undefined> {
  const gateway = pool.gateway(group);
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
