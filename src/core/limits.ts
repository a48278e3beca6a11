/**
 * Nothing without a limit: each is here once, and in LIMITS.md with what happens there. Sizes in bytes, times in
 * milliseconds.
 */
import { assert } from "./assert.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

export interface Limits {
  // ── commands and entries ──
  /** One command with its header. Larger: `TOO_LARGE`. */
  readonly entryBytesMax: number;
  /** Commands in one call of `propose`; a longer batch is proposed in several turns. */
  readonly batchEntriesMax: number;
  /** Bytes in one call of `propose`, and in one run of entries. */
  readonly batchBytesMax: number;
  /** Proposed and not yet decided, in one group at its leader. More: `overloaded`. */
  readonly uncommittedBytesMax: number;
  /** Decided entries handed to the state machine and not yet applied. */
  readonly applyBytesMax: number;
  /** The same in runs of entries. */
  readonly applyRunsMax: number;
  /** Entries from one checkpoint to the next, where the members compare the digests of their states. */
  readonly checkpointEntriesMax: number;
  /** Own digests that a member remembers, for a leader that is behind with its word. */
  readonly checkpointsKeptMax: number;
  readonly digestBytesMax: number;
  /** The newest entries that a core keeps in memory; older ones are read from the journal. */
  readonly logTailBytesMax: number;
  /** Entries in front of the newest snapshot that stay in the journal, for followers that lag. */
  readonly logKeptBytesMax: number;
  /** The same, as far as some member still needs them; where the snapshot has more bytes than that, so many. */
  readonly logHeldBytesMax: number;

  // ── replication ──
  /** Entries in one message to a follower. */
  readonly appendBytesMax: number;
  /** Runs in one message to a follower: each becomes one record there. */
  readonly appendRunsMax: number;
  /** Messages with entries on their way to one follower. */
  readonly inFlightAppendsMax: number;
  /** Entries on their way to one follower. */
  readonly inFlightEntriesMax: number;
  /** Bytes of entries on their way to one follower. */
  readonly inFlightBytesMax: number;
  /** How much faster one agent's clock may run than another's, in percent, where reads are answered by lease. */
  readonly clockDriftPercentMax: number;
  /** Tickets of linearizable reads that one agent has open in one group. More: `overloaded`. */
  readonly readTicketsMax: number;

  // ── groups ──
  readonly votersMax: number;
  /** How much an agent may be preferred as a leader. */
  readonly priorityMax: number;
  readonly learnersMax: number;
  /** Where one member listens, in a configuration. */
  readonly addressBytesMax: number;
  readonly groupsPerAgentMax: number;

  // ── driver ──
  /** Effects of one input in one lane of the outbox. */
  readonly laneEffectsMax: number;
  /** Inputs that the driver takes in one turn; the rest wait for the next. */
  readonly inputsPerTurnMax: number;
  /** Groups that one turn tells that a peer is gone or back; the others hear it in the next turns. */
  readonly linkChangesPerTurnMax: number;
  /** Groups of one agent that look for a leader at a time; the others begin as these have found one. */
  readonly searchingGroupsMax: number;
  /** A group that has found none in this time does not keep others waiting any more. */
  readonly searchMsMax: number;
  /** Commands of one group that one turn hands to its core. */
  readonly commandsPerTurnMax: number;
  /** Reads from the journal that one turn does for one group. */
  readonly loadsPerTurnMax: number;
  /** Entries that one turn applies in one group. */
  readonly applySliceEntriesMax: number;
  /** The same in bytes. */
  readonly applySliceBytesMax: number;
  /** Things read from a snapshot in one turn (a map's entries, sessions) where the state is replaced by it; and no more than a piece. */
  readonly restoreSliceEntriesMax: number;
  /** Applied entries kept at hand for those who follow the log; older ones are read from the journal. */
  readonly recentEntriesBytesMax: number;
  /** Commands of one group whose progress is reported. More: they are decided all the same, but nothing is said before. */
  readonly trackedCommandsMax: number;

  // ── sessions and state ──
  /** Open sessions of one group. One more closes the one that was quiet for longest in the log. */
  readonly sessionsMax: number;
  /** Commands of one session that are on their way, and answers kept for it. More: `OVERLOADED` at the caller. */
  readonly sessionUnsettledMax: number;
  /** Answers kept for one session, with what keeping them costs. More: the oldest is forgotten, but never the newest. */
  readonly sessionAnswersBytesMax: number;
  /** Answers kept for all sessions of a group, and again by request id. More: the quietest session, the oldest id goes. */
  readonly answersBytesMax: number;
  /** Answers kept by request id, whichever session asked. One more forgets the oldest in the log. */
  readonly requestIdsMax: number;
  readonly requestIdBytesMax: number;
  /** Entries without effect that a group remembers, so that streams leave them out. Earlier ones are shown again. */
  readonly skippedEntriesMax: number;
  /** What a state machine replies to one question, so that it fits into a frame. Larger: the question is rejected. */
  readonly replyBytesMax: number;
  readonly mapKeyBytesMax: number;
  readonly mapRangeEntriesMax: number;
  /** Keys and values in one page of a range or of changes, but at least one. The rest: the next page. */
  readonly mapRangeBytesMax: number;
  /** Changes that a map remembers for its watchers. Earlier: `COMPACTED`. */
  readonly watchHistoryMax: number;
  readonly watchHistoryBytesMax: number;
  /** Nesting of plain data: far less than what ends an engine's stack, whose size differs from agent to agent. */
  readonly jsonDepthMax: number;
  /** Values within one; this also ends the copying of something that contains itself many times over. */
  readonly jsonValuesMax: number;
  /** Of all its texts together: beyond some size an engine can't make one text of them. */
  readonly jsonCharactersMax: number;
  /** Of the message of a machine that threw. */
  readonly rejectionCharactersMax: number;

  // ── snapshots ──
  /** Applied since the last snapshot, and no less than that one's own size: then the next one is taken. */
  readonly snapshotLogBytes: number;
  /** What a snapshot is written, sent and read in. */
  readonly snapshotPieceBytesMax: number;
  /** Pieces of one snapshot. One that has more is not taken, and not accepted from a peer. */
  readonly snapshotPiecesMax: number;
  /** What a mechanism says of itself in a snapshot: term or view, members with their addresses, certificate. */
  readonly snapshotAnchorBytesMax: number;
  /** After one that could not be taken, the next is tried after so long. */
  readonly snapshotPausedMsMax: number;
  /** Pieces that a receiver has asked its sender for and not got. */
  readonly piecesAskedMax: number;
  /** Snapshots that an agent takes at a time, in all its groups: each holds on to a state of then. The others wait. */
  readonly takingsMax: number;
  /** Snapshots that an agent receives at a time, in all its groups. The offer of a further one is heard when it is repeated. */
  readonly arrivalsMax: number;
  /** What was not answered is said or asked again after so long. */
  readonly transferAnswerMsMax: number;
  /** A transfer of which nothing is heard for so long is given up; what has arrived of it stays. */
  readonly transferSilenceMsMax: number;

  // ── journal ──
  /** The unit that a disk writes whole or not at all: no synced block shares one with a later write. */
  readonly sectorBytes: number;
  readonly segmentBytes: number;
  /** One block, header included. What does not fit waits for the next sync. */
  readonly blockBytesMax: number;
  /** Zeroing and copying run in pieces of this size, so that the loop goes on. */
  readonly pieceBytesMax: number;
  /** With more segments, those of which little is needed are copied forward. */
  readonly segmentsKeptMax: number;
  /** Segments that wait to be recycled; more are deleted. */
  readonly freeSegmentsMax: number;

  // ── links and clients ──
  readonly frameBytesMax: number;
  /** Bytes handed to one socket and not yet taken by the kernel. */
  readonly socketBufferBytesMax: number;
  /** Bytes queued for one peer that is slow or away. More: the oldest `stream` messages are dropped, which Raft repeats. */
  readonly linkQueueBytesMax: number;
  /** Requests of one client connection that are not answered. More: the socket is read no further. */
  readonly clientRequestsMax: number;
  readonly clientConnectionsMax: number;
  /** Connections that have not said who they are. */
  readonly strangersMax: number;
  /** A frame of somebody who is not known yet. */
  readonly handshakeBytesMax: number;
  /** Time for both to say who they are. */
  readonly handshakeMsMax: number;
  /** A peer that is silent for longer is connected to anew. */
  readonly linkSilenceMsMax: number;
  /** An agent that is silent for longer (stopped, or hanging) is given up by its client, for another one. */
  readonly clientSilenceMsMax: number;
  /** Urgent frames for one peer: they are small, so one that lets so many wait does not read at all. */
  readonly urgentQueueBytesMax: number;
  /** Messages that wait for one agent within a process. More are lost: whoever sent them repeats them. */
  readonly memoryLettersMax: number;
  /** Names of groups that are kept encoded. */
  readonly encodedGroupsMax: number;
  /** Backups of one group that clients read at an agent at a time. More: `overloaded`. */
  readonly backupsMax: number;
  /** A backup that is not read for so long is closed. */
  readonly backupIdleMsMax: number;
  /** Newest syncs of its disk whose time an agent tells. */
  readonly syncTimesMax: number;
  /** A disk hangs whose sync takes so long. An agent looks as often how its disk is. */
  readonly syncMsMax: number;
  /** Answers that wait for one client. With more, its commands are read no further. */
  readonly clientUnreadBytesMax: number;
  /** A client that takes none of them for so long is disconnected. */
  readonly clientUnreadMsMax: number;
  /** Answers to commands that were under way when that happened. More: the client is disconnected. */
  readonly clientAnswersBytesMax: number;
  /** The same for all clients of an agent. More: the client for which most waits is disconnected. */
  readonly agentAnswersBytesMax: number;
  /** An agent that ends waits for so long until others lead what it led. */
  readonly handOverMsMax: number;
  /** A client that is not read is read again after so long without an answer: it may want to say that it lost one. */
  readonly clientPausedMsMax: number;
  /** Answers gathered into one frame. */
  readonly answerFrameBytesMax: number;
  /** Changes in one answer to a watcher. */
  readonly watchAnswerChangesMax: number;
  /** The same in bytes. */
  readonly watchAnswerBytesMax: number;
  /** Sessions whose clients an agent remembers in one group. One more forgets the one learnt first, until its next command. */
  readonly sessionRoutesMax: number;

  // ── callers ──
  readonly callTimeoutMsMax: number;
  /** Calls of one session that wait for their turn. More: `OVERLOADED`. */
  readonly waitingCallsMax: number;
  /** Answers kept for callers that had left when they came. */
  readonly lateAnswersMax: number;
  /** A file of decisions, read at once. It can be split: ids make it safe to go on later. */
  readonly decisionFileBytesMax: number;
}

export const limits: Limits = {
  // ── commands and entries ──
  entryBytesMax: 1 * mebibyte,
  batchEntriesMax: 4096,
  batchBytesMax: 1 * mebibyte,
  uncommittedBytesMax: 32 * mebibyte,
  applyBytesMax: 4 * mebibyte,
  applyRunsMax: 1024,
  checkpointEntriesMax: 1024,
  checkpointsKeptMax: 64,
  digestBytesMax: 64,
  logTailBytesMax: 2 * mebibyte,
  logKeptBytesMax: 16 * mebibyte,
  logHeldBytesMax: 256 * mebibyte,
  // ── replication ──
  appendBytesMax: 256 * kibibyte,
  appendRunsMax: 256,
  inFlightAppendsMax: 64,
  inFlightEntriesMax: 16_384,
  inFlightBytesMax: 4 * mebibyte,
  clockDriftPercentMax: 10,
  readTicketsMax: 1024,
  // ── groups ──
  votersMax: 7,
  priorityMax: 100,
  learnersMax: 32,
  addressBytesMax: 300,
  groupsPerAgentMax: 4096,
  // ── driver ──
  laneEffectsMax: 4096,
  inputsPerTurnMax: 16_384,
  linkChangesPerTurnMax: 128,
  searchingGroupsMax: 64,
  searchMsMax: 1000,
  commandsPerTurnMax: 128,
  loadsPerTurnMax: 4,
  applySliceEntriesMax: 128,
  applySliceBytesMax: 1 * mebibyte,
  restoreSliceEntriesMax: 1024,
  recentEntriesBytesMax: 1 * mebibyte,
  trackedCommandsMax: 1024,
  // ── sessions and state ──
  sessionsMax: 10_000,
  sessionUnsettledMax: 8192,
  sessionAnswersBytesMax: 4 * mebibyte,
  answersBytesMax: 64 * mebibyte,
  requestIdsMax: 100_000,
  requestIdBytesMax: 64,
  skippedEntriesMax: 65_536,
  replyBytesMax: 3 * mebibyte,
  mapKeyBytesMax: 4 * kibibyte,
  mapRangeEntriesMax: 10_000,
  mapRangeBytesMax: 1 * mebibyte,
  watchHistoryMax: 65_536,
  watchHistoryBytesMax: 16 * mebibyte,
  jsonDepthMax: 128,
  jsonValuesMax: 1_000_000,
  jsonCharactersMax: 16 * mebibyte,
  rejectionCharactersMax: 300,
  // ── snapshots ──
  snapshotLogBytes: 32 * mebibyte,
  snapshotPieceBytesMax: 256 * kibibyte,
  snapshotPiecesMax: 65_536,
  snapshotAnchorBytesMax: 64 * kibibyte,
  snapshotPausedMsMax: 30_000,
  piecesAskedMax: 4,
  takingsMax: 1,
  arrivalsMax: 4,
  transferAnswerMsMax: 1000,
  transferSilenceMsMax: 10_000,
  // ── journal ──
  sectorBytes: 4 * kibibyte,
  segmentBytes: 16 * mebibyte,
  blockBytesMax: 4 * mebibyte,
  pieceBytesMax: 1 * mebibyte,
  segmentsKeptMax: 4,
  freeSegmentsMax: 2,
  // ── links and clients ──
  frameBytesMax: 4 * mebibyte,
  socketBufferBytesMax: 256 * kibibyte,
  linkQueueBytesMax: 16 * mebibyte,
  clientRequestsMax: 16_384,
  clientConnectionsMax: 1024,
  strangersMax: 256,
  handshakeBytesMax: 1024,
  handshakeMsMax: 5000,
  linkSilenceMsMax: 5000,
  clientSilenceMsMax: 1500,
  urgentQueueBytesMax: 1 * mebibyte,
  memoryLettersMax: 65_536,
  encodedGroupsMax: 8192,
  backupsMax: 4,
  backupIdleMsMax: 60_000,
  syncTimesMax: 1024,
  syncMsMax: 1000,
  clientUnreadBytesMax: 1 * mebibyte,
  clientUnreadMsMax: 60_000,
  clientAnswersBytesMax: 64 * mebibyte,
  agentAnswersBytesMax: 256 * mebibyte,
  handOverMsMax: 500,
  clientPausedMsMax: 1000,
  answerFrameBytesMax: 256 * kibibyte,
  watchAnswerChangesMax: 1000,
  watchAnswerBytesMax: 1 * mebibyte,
  sessionRoutesMax: 20_000,
  // ── callers ──
  callTimeoutMsMax: 24 * 60 * 60 * 1000,
  waitingCallsMax: 65_536,
  lateAnswersMax: 1024,
  decisionFileBytesMax: 256 * mebibyte,
};

// Relations between them, checked once when the module is loaded.
assert(limits.snapshotPieceBytesMax * 2 <= limits.frameBytesMax, "a piece of a snapshot fits into a frame");
assert(limits.entryBytesMax <= limits.batchBytesMax, "every entry fits into a batch");
assert(limits.commandsPerTurnMax <= limits.batchEntriesMax, "what a turn hands to a core is a batch");
assert(limits.batchBytesMax <= limits.uncommittedBytesMax, "every batch fits into an idle leader");
assert(limits.batchBytesMax * 2 <= limits.blockBytesMax, "every record fits into a block");
assert(
  limits.blockBytesMax * 2 <= limits.segmentBytes,
  "every block fits into a segment beside its directory",
);
assert(limits.entryBytesMax * 2 <= limits.frameBytesMax, "every message fits into a frame");
assert(limits.appendBytesMax <= limits.inFlightBytesMax, "a message fits into the window");
assert(
  limits.inFlightAppendsMax * limits.votersMax <= limits.laneEffectsMax,
  "one input's sends fit into the lane",
);
assert(limits.sessionAnswersBytesMax <= limits.answersBytesMax, "one session's answers fit beside others'");
assert(
  (2 * limits.votersMax + limits.learnersMax) * (2 * limits.addressBytesMax) <= limits.entryBytesMax,
  "every configuration fits into an entry",
);
assert(limits.sessionsMax <= limits.sessionRoutesMax, "every open session's client is remembered");
assert(
  limits.entryBytesMax + limits.watchAnswerBytesMax <= limits.frameBytesMax,
  "an answer to a watcher fits into a frame",
);
assert(
  limits.entryBytesMax + limits.mapRangeBytesMax <= limits.replyBytesMax,
  "a page of a map fits into a reply",
);
assert(limits.replyBytesMax + limits.entryBytesMax <= limits.frameBytesMax, "a reply fits into a frame");
assert(
  limits.entryBytesMax * 32 <= limits.clientAnswersBytesMax,
  "a client whose answers are as large as its commands may be has some of them under way",
);
assert(
  limits.clientAnswersBytesMax <= limits.agentAnswersBytesMax,
  "one client's answers fit beside others'",
);
