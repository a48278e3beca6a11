/** The only loop: it feeds the cores and carries out their outboxes, over whatever clock, network and disk it is given. */
export { Driver } from "./driver.ts";
export type { DriverOptions } from "./options.ts";
export { withTransfers, type MessageCodec, type TransferMessage } from "./transfer-messages.ts";
export type {
  Clock,
  DriverJournal,
  DriverSnapshots,
  JournalCallbacks,
  Network,
  RecoveredGroup,
  Scheduler,
} from "./world.ts";
export type {
  AppliedEntries,
  AppliedRun,
  AppliedState,
  GroupObserver,
  HostedGroup,
  HostedStatus,
  HostOptions,
  LogEvent,
  LogProtocol,
  ProposeOptions,
  QueryAnswer,
  SnapshotNews,
  SnapshotTaken,
} from "./hosted.ts";
export type { Order, OrderResult } from "./orders.ts";
export { DeadlineHeap, type Timed } from "./heap.ts";
