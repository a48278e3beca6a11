/** What every folder builds on: names and numbers, the boundary of a mechanism, entries, quorums, limits and errors. */
export {
  badOption,
  isList,
  isRecord,
  reading,
  readOptions,
  shown,
  thrownMessage,
  type Given,
  type OptionList,
} from "./arguments.ts";
export { AssertionError, assert, present, unreachable } from "./assert.ts";
export {
  agentId,
  groupName,
  logIndex,
  term,
  recordNumber,
  microsFromMs,
  never,
  type AgentId,
  type GroupName,
  type Address,
  type Micros,
  type RecordNumber,
  type LogIndex,
  type Term,
  type Ticket,
} from "./ids.ts";
export {
  errorCodes,
  QuorateError,
  MalformedError,
  type Code,
  type ErrorOutcome,
  type ErrorDetails,
} from "./errors.ts";
export { limits, type Limits } from "./limits.ts";
export { checkWireVersion, wireVersionMax, wireVersionMin, type WireVersion } from "./wire-version.ts";
export {
  emptyBytes,
  readUint16,
  readUint32,
  readUint53,
  writeUint16,
  writeUint32,
  writeUint53,
  equalBytes,
  concatBytes,
  ByteWriter,
  ByteReader,
} from "./bytes.ts";
export { encodeText, decodeText } from "./text.ts";
export { crc32, crc32Range, type Checksum } from "./checksum.ts";
export {
  entryKinds,
  entryHeaderBytes,
  encodeCommand,
  writeCommandHeader,
  stampEntry,
  entryLength,
  entryIndex,
  entryTerm,
  entryTime,
  entrySession,
  entrySequence,
  entryUnsettled,
  entryKind,
  entryPayload,
  checkEntryForm,
  splitCommands,
  decodeRun,
  sliceRun,
  truncateRun,
  type EntryKind,
  type Run,
  type CommandHeader,
} from "./entry.ts";
export { Lane } from "./lane.ts";
export {
  createOutbox,
  clearOutbox,
  type Now,
  type Protocol,
  type Channel,
  type Send,
  type Snapshot,
  type Refusal,
  type Core,
  type Recovered,
  type Role,
  type PeerStatus,
  type Hibernation,
  type LogStatus,
  type LogCore,
  type Outbox,
  type Encoded,
  type ProtocolCodec,
} from "./boundary.ts";
export {
  membersOf,
  isJoint,
  everybody,
  planMembers,
  enterJoint,
  leaveJoint,
  type Members,
  type MemberStep,
  type MemberChange,
  type MemberFault,
  type MembersResult,
} from "./members.ts";
export type {
  ApplyContext,
  Codec,
  MachineChange,
  Changes,
  StateMachine,
  AnyStateMachine,
} from "./machine.ts";
export { NumberTable } from "./number-table.ts";
export { Prng } from "./prng.ts";
export { Queue } from "./queue.ts";
export {
  everyIndex,
  majority,
  committedIndex,
  voteResult,
  jointCommittedIndex,
  jointVoteResult,
  flexible,
  weighted,
  weightedCommittedIndex,
  weightedVoteResult,
  type VoteResult,
  type MatchedOf,
  type VoteOf,
  type JointVoters,
  type FlexibleQuorum,
  type WeightedQuorum,
} from "./quorum.ts";
export {
  decisionStates,
  progressStates,
  isSettled,
  canFollow,
  type DecisionState,
  type ProgressState,
} from "./decision.ts";
