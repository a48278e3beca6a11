/**
 * Quorate: consensus for agents. `createConsensus` makes a group within one process, `Agent` hosts members across
 * machines, `connect` uses them from anywhere; all three give the same handles.
 */
export { Agent, connect, createConsensus, map } from "./runtime/face/index.ts";
export type {
  AgentInit,
  AgentOptions,
  AgentStarter,
  Call,
  CasAnswer,
  ConnectOptions,
  ConsensusOptions as Options,
  DecidedEntry,
  Decision,
  EntriesOptions,
  Face,
  Faces,
  Group,
  GroupSpec,
  Host,
  KindsOf,
  Log,
  MachineFace,
  MapChange,
  MapEntry,
  MapFace,
  MapKind,
  MapPage,
  Mechanism,
  MemberOptions,
  MemberRole,
  MemberRoles,
  Mechanisms,
  NoState,
  RangeOptions,
  ReadAt,
  ReadCall,
  RunningAgent,
  StateKind,
  StateKinds,
  Status,
  WatchOptions,
  WatchStatusOptions,
} from "./runtime/face/index.ts";
export { MemoryNetwork } from "./runtime/memory-network.ts";
export { QuorateError, errorCodes, type Code, type ErrorOutcome } from "./core/errors.ts";
export type { DecisionState } from "./core/decision.ts";
export { defineMachine, type Json, type Machine } from "./state/index.ts";
export type { ApplyContext as Context } from "./core/machine.ts";
