/** What a log's decided entries are applied to: sessions, named machines, and the map. */
export {
  decodeCommandEnvelope,
  decodeQuestion,
  encodeCommandEnvelope,
  encodeQuestion,
  type CommandEnvelope,
} from "./envelope.ts";
export {
  answerHeadBytes,
  answerIndex,
  answerStatuses,
  decodeAnswer,
  encodeAnswer,
  type Answer,
  type AnswerStatus,
} from "./answers.ts";
export {
  canonicalJson,
  decodeJson,
  encodeJson,
  jsonText,
  NotPlainError,
  plainJson,
  type Json,
} from "./json.ts";
export {
  decodeMapChange,
  encodeMapFilter,
  mapAnswerCodec,
  mapCommandCodec,
  mapCommands,
  writeMapCommand,
  mapQuestionCodec,
  mapQuestions,
  mapReplyCodec,
  type KeyRange,
  type MapAnswer,
  type MapChange,
  type MapCommand,
  type MapEntryView,
  type MapQuestion,
  type MapReply,
} from "./map-codec.ts";
export {
  decodeResult,
  defineMachine,
  encodeCall,
  machineFrom,
  type Fn,
  type Machine,
  type MachineCall,
} from "./define-machine.ts";
export { checkMachine } from "./machine-parts.ts";
export { mapMachine } from "./map.ts";
export { inspectSnapshot, type StateReport } from "./inspect-snapshot.ts";
export { ReplicatedState } from "./replicated.ts";
export {
  decodeLearned,
  decodeProposal,
  encodeLearnQuestion,
  encodeProposal,
  type Learned,
} from "./proposals.ts";
