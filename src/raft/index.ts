/** Raft: leader election and a replicated log, as a core without clock, socket or disk. Its rules are in SPEC.md. */
export { RaftCore } from "./raft.ts";
export { raftCodec } from "./codec.ts";
export { raftTimings, type RaftLimits, type RaftOptions } from "./options.ts";
export type {
  Append,
  AppendMatched,
  AppendRejected,
  BaseRecord,
  CommandName,
  Commit,
  EntriesRecord,
  Forward,
  ForwardRefused,
  HardStateRecord,
  Heartbeat,
  HeartbeatAnswer,
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
} from "./messages.ts";
