/** An order that was given to one agent and is for another, the leader: brought there as by a client. */
import type { AgentId, GroupName } from "../core/ids.ts";
import type { Order } from "../driver/orders.ts";
import { ClientPool } from "./client-pool.ts";
import type { OrderOutcome } from "./gateway.ts";

export interface OrderFrom {
  readonly agent: AgentId;
  readonly cluster: Uint8Array;
  readonly group: GroupName;
}

const connectMsMax = 1000;

/** `lost` where nobody answers there. `done` is called once, later. */
export function orderAt(
  address: string,
  { agent, cluster, group }: OrderFrom,
  order: Order,
  done: (result: OrderOutcome) => void,
): void {
  const options = { agents: [address], pin: true, cluster, name: agent, connectTimeoutMs: connectMsMax };
  ClientPool.connect(options).then(
    ({ pool }) => {
      pool.gateway(group).order(order, (result) => {
        pool.close();
        done(result);
      });
    },
    () => done({ kind: "lost" }),
  );
}
