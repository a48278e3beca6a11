/**
 * What a driver is given of the world. In production these are the process clock, the event loop, the sockets and the
 * disk; in the simulator all four come from one seed. The driver names nothing else, so it is the same code in both.
 */
import type { Address, AgentId, GroupName, Micros, RecordNumber } from "../core/ids.ts";
import type { Channel, Encoded } from "../core/boundary.ts";
import type { WireVersion } from "../core/wire-version.ts";
import type { SnapshotStore } from "../journal/snapshots.ts";

export interface Clock {
  /** Never goes back; counts from an arbitrary origin. For time-outs. */
  monotonic(): Micros;
  /** Since 1970; may jump either way. For stamps. */
  wall(): Micros;
}

export interface Scheduler {
  /** Runs `task` after the inputs that already wait (`setImmediate`), so that one turn takes them all. Never at once. */
  soon(task: () => void): void;
  /** Runs `task` at that monotonic instant or later; never at once. Returns what cancels it. */
  at(instant: Micros, task: () => void): () => void;
}

/** The links to all other agents. Messages may be lost, repeated, reordered or late; whoever sends never waits. */
export interface Network {
  /** Queues a message, in order per (to, group, channel). The object is immutable from here on. */
  send(to: AgentId | Address, group: GroupName, channel: Channel, message: object): void;
  /** Lets that agent hear of this one, as `Driver.heard`. It may be lost or late like any message. */
  pulse(to: AgentId): void;
  /** The version of the wire in which that agent is told what is sent now; undefined: nobody knows at the moment. */
  versionOf(to: AgentId): WireVersion | undefined;
  /** The turn is over: what was queued leaves, in one write per peer. */
  flush(): void;
}

/** What the journal tells the driver; never from inside a call of the driver's. */
export interface JournalCallbacks {
  /** This group's records up to and including `through` are on disk. */
  onDurable(group: GroupName, through: RecordNumber): void;
  /** A write or sync failed: nothing is certain about the disk any more, so the agent must end. */
  onFailure(error: Error): void;
}

/** What the journal holds of one group. */
export interface RecoveredGroup {
  readonly records: Iterable<Uint8Array>;
  /** The number that the next record will have. */
  readonly next: RecordNumber;
  /** Records are missing in the middle: this group must neither vote nor acknowledge. */
  readonly damaged: boolean;
}

/** The part of the agent's journal that the driver uses; `journal/` has the real one. */
export interface DriverJournal {
  readonly diskFull: boolean;
  recover(group: GroupName): RecoveredGroup;
  /** Into the block that gathers; copies. Numbers count from `recover(group).next`, without a gap. */
  append(group: GroupName, record: Encoded): RecordNumber;
  /** Writes the gathered block and starts its sync, unless one is in flight; then it follows by itself. */
  flush(): void;
  /** Records in order, from number `from` on. */
  read(
    group: GroupName,
    from: RecordNumber,
  ): Iterable<{ readonly number: RecordNumber; readonly bytes: Uint8Array }>;
  /** The group begins anew: its records and their damage are forgotten, once one that is appended after it is durable. */
  restart(group: GroupName): void;
  /** The group needs no record below `neededFrom`. */
  release(group: GroupName, neededFrom: RecordNumber): void;
  close(done: (error?: Error) => void): void;
}

/** The part of the agent's snapshots that the driver uses. */
export type DriverSnapshots = Pick<SnapshotStore, "take" | "receive" | "read" | "keepOnly" | "close">;
