/** Raft: leader election and a replicated log, as a core without clock, socket or disk. Its rules are in SPEC.md. */
export { RaftCore } from "./raft.ts";
export { raftCodec } from "./codec.ts";
export { forceMembers, type Forced, type Survivor } from "./force.ts";
export {
  raftHibernation,
  raftTimings,
  type HibernationOptions,
  type RaftLimits,
  type RaftOptions,
} from "./options.ts";
export type {
  Append,
  AppendMatched,
  AppendRejected,
  BaseRecord,
  CampaignNow,
  CommandName,
  Commit,
  EntriesRecord,
  Forward,
  ForwardRefused,
  HardStateRecord,
  Heartbeat,
  HeartbeatAnswer,
  Hibernate,
  Hibernating,
  PreVoteAnswer,
  PreVoteRequest,
  RaftEvent,
  RaftMessage,
  RaftPromise,
  RaftProtocol,
  RaftRecord,
  ReadAnswer,
  ReadRequest,
  VoteAnswer,
  VoteRequest,
  WakeUp,
} from "./messages.ts";
