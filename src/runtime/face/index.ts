/** What users import: in-process groups, agents and clients, with one face. */
export { createConsensus, type ConsensusOptions } from "./create-consensus.ts";
export { Agent, connect, type AgentStarter, type Host, type RunningAgent } from "./agent-face.ts";
export type { AgentInit, AgentOptions, ConnectOptions, GroupSpec } from "./host-options.ts";
export {
  map,
  type Face,
  type Faces,
  type KindsOf,
  type MapKind,
  type NoState,
  type StateKind,
  type StateKinds,
} from "./state-kinds.ts";
export type {
  EntriesOptions,
  Group,
  Log,
  Mechanism,
  Mechanisms,
  Status,
  WatchStatusOptions,
} from "./types.ts";
export type { MachineFace } from "./machine-face.ts";
export type { Call, ReadAt, ReadCall } from "./options.ts";
export type { MemberOptions, MemberRole, MemberRoles } from "./member-changes.ts";
export type { Decision } from "./decision.ts";
export type { DecidedEntry } from "./decided-entries.ts";
export type {
  CasAnswer,
  MapChange,
  MapEntry,
  MapFace,
  MapPage,
  RangeOptions,
  WatchOptions,
} from "./map-face.ts";
