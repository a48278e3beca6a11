/**
 * What a simulated agent is made of: by default exactly what production uses. Tests put in parts with a planted bug, to
 * show that the checks find it.
 */
import type { LogCore, ProtocolCodec, Recovered } from "../core/boundary.ts";
import type { AnyStateMachine } from "../core/machine.ts";
import type { AppliedState } from "../driver/hosted.ts";
import type { DriverJournal, DriverSnapshots } from "../driver/world.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import { SnapshotStore, type SnapshotStoreOptions } from "../journal/snapshots.ts";
import { raftCodec } from "../raft/codec.ts";
import type { RaftProtocol } from "../raft/messages.ts";
import type { RaftOptions } from "../raft/options.ts";
import { RaftCore } from "../raft/raft.ts";
import { ReplicatedState } from "../state/replicated.ts";
import type { CoreView } from "./cluster-checker.ts";

export type SimulatedCore = LogCore<RaftProtocol> & CoreView;

export interface Parts {
  readonly createCore: (options: RaftOptions, recovered: Recovered<RaftProtocol>) => SimulatedCore;
  readonly codec: ProtocolCodec<RaftProtocol>;
  readonly openJournal: (options: JournalOptions) => DriverJournal;
  readonly openSnapshots: (options: SnapshotStoreOptions) => DriverSnapshots;
  readonly createState: (machines: Readonly<Record<string, AnyStateMachine>>) => AppliedState;
}

export const productionParts: Parts = {
  createCore: (options, recovered) => new RaftCore(options, recovered),
  codec: raftCodec,
  openJournal: (options) => Journal.open(options),
  openSnapshots: (options) => new SnapshotStore(options),
  createState: (machines) => new ReplicatedState(machines),
};
