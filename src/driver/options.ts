/** What a driver is constructed from. */
import type { AgentId } from "../core/ids.ts";
import type { Clock, DriverJournal, DriverSnapshots, JournalCallbacks, Network, Scheduler } from "./world.ts";

export interface DriverOptions {
  readonly self: AgentId;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly network: Network;
  /** Opens the agent's journal; the callbacks are the driver's own. */
  readonly journal: (callbacks: JournalCallbacks) => DriverJournal;
  /** Opens what keeps the agent's snapshots; the callback is the driver's own. */
  readonly snapshots: (callbacks: Pick<JournalCallbacks, "onFailure">) => DriverSnapshots;
  /** A write failed, or an invariant is broken: the driver has stopped for good, and the agent must end. Called once. */
  readonly onFailure: (error: Error) => void;
}
