/** What everybody in a simulated cluster shares: time, the seed's randomness, the links, the checks and the records of the run. */
import type { AgentId, GroupName } from "../core/ids.ts";
import type { Prng } from "../core/prng.ts";
import type { ClusterChecker } from "./cluster-checker.ts";
import type { EventQueue } from "./event-queue.ts";
import type { FaultyNetwork } from "./faulty-network.ts";
import type { History } from "./history.ts";
import type { IdleTimes } from "./idle-times.ts";
import type { SimulationOptions } from "./options.ts";
import type { Parts } from "./parts.ts";
import type { RunningHash } from "./running-hash.ts";
import type { Trace } from "./trace.ts";

export interface Stage {
  readonly options: SimulationOptions;
  readonly parts: Parts;
  readonly names: readonly AgentId[];
  readonly group: GroupName;
  readonly events: EventQueue;
  readonly prng: Prng;
  readonly network: FaultyNetwork;
  readonly checker: ClusterChecker;
  readonly history: History;
  readonly hash: RunningHash;
  readonly idleTimes: IdleTimes;
  readonly trace: Trace | undefined;
  /** Something is wrong: the run ends after this event, and the first call counts. */
  readonly fail: (error: Error) => void;
}
