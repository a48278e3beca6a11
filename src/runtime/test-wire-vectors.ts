/** One of everything on the wire, as bytes with the meaning of each field, and as the program writes and reads it. */
import { present } from "../core/assert.ts";
import { ByteReader, concatBytes } from "../core/bytes.ts";
import type { Address, AgentId, LogIndex, Term } from "../core/ids.ts";
import { encodeText } from "../core/text.ts";
import type { WireVersion } from "../core/wire-version.ts";
import type { Order } from "../driver/orders.ts";
import { raftCodec } from "../raft/codec.ts";
import * as backup from "./backup/backup-wire.ts";
import * as wire from "./client-wire.ts";
import { encodeFrame, FrameWriter, type Frame, type FrameKind } from "./frame.ts";
import {
  decodeHello,
  decodeRefuse,
  decodeWelcome,
  encodeHello,
  encodeRefuse,
  encodeWelcome,
} from "./handshake.ts";
import { command, entry } from "./test-message-vectors.ts";

/** Bytes in hexadecimal digits, and what they mean. */
export type Field = readonly [bytes: string, meaning: string];

export interface Vector {
  /** The version that added it. Default: the first. */
  readonly since?: WireVersion;
  /** The last version that had it so. Default: the newest. */
  readonly until?: WireVersion;
  readonly name: string;
  readonly kind: FrameKind;
  readonly group: string;
  readonly head: readonly Field[];
  readonly tail?: Uint8Array;
  /** What the program itself makes of the same. */
  readonly encoded: (version: WireVersion) => Uint8Array;
  readonly decode: (frame: Frame, version: WireVersion) => unknown;
  readonly value: unknown;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const ascii = (text: string): string => hex(encodeText(text));
const cluster = Uint8Array.from({ length: 16 }, (_, at) => at * 17);

function written(
  kind: FrameKind,
  group: string,
  write: (writer: FrameWriter, version: WireVersion) => void,
): Vector["encoded"] {
  return (version) => {
    const writer = new FrameWriter();
    write(writer.begin(kind, group), version);
    writer.end();
    return new Uint8Array(writer.take() ?? []);
  };
}

function built(
  kind: FrameKind,
  group: string,
  head: Uint8Array,
  tail: readonly Uint8Array[] = [],
): Vector["encoded"] {
  return () => concatBytes(encodeFrame(kind, group, head, tail).parts);
}

const status = {
  mechanism: "raft",
  group: "main",
  self: "agent_1",
  role: "leader",
  term: 2,
  leader: "agent_1",
  members: ["agent_1"],
  learners: [],
  last: 7,
  committed: 7,
  applied: 7,
  lagMs: 0,
  digest: "00",
  peers: [],
} as const;
const report = {
  agent: "agent_1",
  groups: ["main"],
  agents: [{ id: "agent_1" as AgentId, address: "127.0.0.1:7401" }],
  status,
};

const hello = {
  versionMin: 1,
  versionMax: 1,
  role: "control",
  cluster,
  from: "agent_1",
  to: "agent_2",
} as const;
const welcome = { version: 1, cluster, agent: "agent_2" };
const refuse = { code: "DENIED", message: "no" } as const;

const request: Field = ["09000000", "request 9"];
const none = new Uint8Array(0);
const offered = {
  index: 7 as LogIndex,
  contents: 0x01020304,
  byteLength: 10,
  pieceBytes: 4,
  digest: Uint8Array.of(0xd1, 0x9e, 0x57),
  anchor: Uint8Array.of(10, 11),
};
const memberOrder: Order = {
  kind: "members",
  change: {
    steps: [
      { kind: "voter", id: "agent_4" as AgentId },
      { kind: "removed", id: "agent_1" as AgentId },
    ],
    addresses: new Map([["agent_4" as AgentId, "127.0.0.1:7404" as Address]]),
  },
};

/** A frame that says all by its kind. */
function empty(kind: FrameKind, name: string): Vector {
  const encoded = built(kind, "", none);
  return { name, kind, group: "", head: [], encoded, decode: (frame) => frame.head.byteLength, value: 0 };
}

/** One frame of every kind, and another where a version changed it. */
export const frames: readonly Vector[] = [
  {
    name: "hello: agent_1 opens its control connection with agent_2",
    kind: "hello",
    group: "",
    head: [
      [ascii("QUORATE\n"), "magic"],
      ["0100", "lowest version spoken: 1"],
      ["0100", "highest version spoken: 1"],
      ["01", "role: control (bulk: 2, client: 3)"],
      [hex(cluster), "cluster"],
      [`0700${ascii("agent_1")}`, "from"],
      [`0700${ascii("agent_2")}`, "to"],
    ],
    encoded: built("hello", "", encodeHello(hello)),
    decode: (frame) => decodeHello(frame.head),
    value: hello,
  },
  {
    since: 2,
    name: "hello: the same from an agent that speaks two versions",
    kind: "hello",
    group: "",
    head: [
      [ascii("QUORATE\n"), "magic"],
      ["0100", "lowest version spoken: 1"],
      ["0200", "highest version spoken: 2"],
      ["01", "role: control"],
      [hex(cluster), "cluster"],
      [`0700${ascii("agent_1")}`, "from"],
      [`0700${ascii("agent_2")}`, "to"],
    ],
    encoded: built("hello", "", encodeHello({ ...hello, versionMax: 2 })),
    decode: (frame) => decodeHello(frame.head),
    value: { ...hello, versionMax: 2 },
  },
  {
    name: "welcome: agent_2 answers",
    kind: "welcome",
    group: "",
    head: [
      ["0100", "version: 1"],
      [hex(cluster), "cluster"],
      [`0700${ascii("agent_2")}`, "agent"],
    ],
    encoded: built("welcome", "", encodeWelcome(welcome)),
    decode: (frame) => decodeWelcome(frame.head),
    value: welcome,
  },
  {
    name: "refuse: or it does not want to",
    kind: "refuse",
    group: "",
    head: [
      [`0600${ascii("DENIED")}`, "code"],
      [`0200${ascii("no")}`, "message"],
    ],
    encoded: built("refuse", "", encodeRefuse(refuse)),
    decode: (frame) => decodeRefuse(frame.head),
    value: refuse,
  },
  empty("ping", "ping: are you there?"),
  empty("pong", "pong: yes"),
  { ...empty("pulse", "pulse: I am there, whatever groups we have in common"), since: 2 },
  {
    until: 1,
    name: "message: a Raft heartbeat for the group main",
    kind: "message",
    group: "main",
    head: [
      ["08", "heartbeat"],
      ["0200000000000000", "term: 2"],
      ["0700000000000000", "commit: 7"],
      ["0300000000000000", "round: 3"],
      ["00", "checkpoint: none"],
    ],
    encoded: written("message", "main", (writer, version) => {
      const message = { kind: "heartbeat", term: 2 as Term, commit: 7 as LogIndex, round: 3 } as const;
      writer.raw(present(raftCodec.encodeMessage(message, version), "every version has it").head);
    }),
    decode: (frame, version) => raftCodec.decodeMessage(frame.head, frame.tail, version),
    value: { kind: "heartbeat", term: 2, commit: 7, round: 3 },
  },
  {
    since: 2,
    name: "message: a Raft heartbeat; a voter of priority 60 should lead next",
    kind: "message",
    group: "main",
    head: [
      ["08", "heartbeat"],
      ["0200000000000000", "term: 2"],
      ["0700000000000000", "commit: 7"],
      ["0300000000000000", "round: 3"],
      ["00", "checkpoint: none"],
      ["3c", "next priority: 60"],
      ["0600000000000000", "held from: 6"],
    ],
    encoded: written("message", "main", (writer, version) => {
      const message = {
        kind: "heartbeat",
        term: 2 as Term,
        commit: 7 as LogIndex,
        round: 3,
        nextPriority: 60,
        heldFrom: 6 as LogIndex,
      } as const;
      writer.raw(present(raftCodec.encodeMessage(message, version), "every version has it").head);
    }),
    decode: (frame, version) => raftCodec.decodeMessage(frame.head, frame.tail, version),
    value: { kind: "heartbeat", term: 2, commit: 7, round: 3, nextPriority: 60, heldFrom: 6 },
  },
  {
    name: "propose: one command, for whoever leads",
    kind: "propose",
    group: "main",
    head: [
      ["00", "flags (1: only as leader, 2: report progress)"],
      [hex(command), "a command, not stamped yet"],
    ],
    encoded: written("propose", "main", (writer) => writer.uint8(0).raw(command)),
    decode: (frame) => hex(frame.head.subarray(1)),
    value: hex(command),
  },
  {
    name: "propose: one command, for this agent only if it leads, with its progress",
    kind: "propose",
    group: "main",
    head: [
      ["03", "flags: only as leader, report progress"],
      [hex(command), "a command, not stamped yet"],
    ],
    encoded: written("propose", "main", (writer) =>
      writer.uint8(wire.proposeFlags({ onlyAsLeader: true, tracked: true })).raw(command),
    ),
    decode: (frame) => wire.readProposeFlags(frame.head[0] ?? 0),
    value: { onlyAsLeader: true, tracked: true },
  },
  {
    name: "query: a linearizable question",
    kind: "query",
    group: "main",
    head: [request, ["00", "linearizable (local: 1)"], [ascii("what?"), "question"]],
    encoded: written("query", "main", (writer) => writer.uint32(9).uint8(0).raw(encodeText("what?"))),
    decode: (frame) => wire.decodeQuery(frame.head),
    value: { request: 9, at: "linearizable", question: encodeText("what?") },
  },
  {
    name: "changes: of the keys that the filter names, from index 8 on",
    kind: "changes",
    group: "main",
    head: [request, ["0800000000000000", "from: 8"], [ascii("f"), "filter"]],
    encoded: written("changes", "main", (writer) => writer.uint32(9).uint53(8).raw(encodeText("f"))),
    decode: (frame) => wire.decodeChanges(frame.head),
    value: { request: 9, from: 8, filter: encodeText("f") },
  },
  {
    name: "entries: from index 7 on",
    kind: "entries",
    group: "main",
    head: [request, ["0700000000000000", "from: 7"]],
    encoded: written("entries", "main", (writer) => writer.uint32(9).uint53(7)),
    decode: (frame) => wire.decodeEntries(frame.head),
    value: { request: 9, from: 7 },
  },
  {
    name: "campaign: stand for leader now",
    kind: "campaign",
    group: "main",
    head: [request],
    encoded: written("campaign", "main", (writer) => writer.uint32(9)),
    decode: (frame) => wire.decodeRequest(frame.head),
    value: 9,
  },
  {
    name: "status: and tell every change from now on",
    kind: "status",
    group: "main",
    head: [request, ["01", "subscribe (only once: 0)"]],
    encoded: written("status", "main", (writer) => writer.uint32(9).uint8(1)),
    decode: (frame) => wire.decodeStatusRequest(frame.head),
    value: { request: 9, subscribe: true },
  },
  {
    name: "cancel: request 9 is of no interest any more",
    kind: "cancel",
    group: "main",
    head: [request],
    encoded: written("cancel", "main", (writer) => writer.uint32(9)),
    decode: (frame) => wire.decodeRequest(frame.head),
    value: 9,
  },
  {
    since: 2,
    name: "order: agent_4 is to vote, agent_1 is to leave",
    kind: "order",
    group: "main",
    head: [
      request,
      ["01", "members"],
      ["02", "steps: 2"],
      ["00", "becomes a voter (a learner: 1, removed: 2)"],
      [`0700${ascii("agent_4")}`, "agent_4"],
      ["02", "is removed"],
      [`0700${ascii("agent_1")}`, "agent_1"],
      ["01", "addresses: 1"],
      [`0700${ascii("agent_4")}`, "agent_4"],
      [`0e00${ascii("127.0.0.1:7404")}`, "127.0.0.1:7404"],
    ],
    encoded: written("order", "main", (writer) => wire.writeOrder(writer.uint32(9), memberOrder)),
    decode: (frame) => wire.decodeOrder(frame.head),
    value: { request: 9, order: memberOrder },
  },
  {
    since: 2,
    name: "order: agent_2 is to lead",
    kind: "order",
    group: "main",
    head: [
      request,
      ["02", "transfer"],
      [`0700${ascii("agent_2")}`, "to agent_2 (to whom it fits best: empty)"],
    ],
    encoded: written("order", "main", (writer) =>
      wire.writeOrder(writer.uint32(9), { kind: "transfer", to: "agent_2" as AgentId }),
    ),
    decode: (frame) => wire.decodeOrder(frame.head),
    value: { request: 9, order: { kind: "transfer", to: "agent_2" } },
  },
  {
    since: 2,
    name: "backup: of what was acknowledged before",
    kind: "backup",
    group: "main",
    head: [request, ["00", "linearizable (local: 1)"]],
    encoded: written("backup", "main", (writer) => backup.writeBackup(writer.uint32(9), "linearizable")),
    decode: (frame) => backup.decodeBackup(frame.head),
    value: { request: 9, at: "linearizable" },
  },
  {
    since: 2,
    name: "backupPiece: the third one",
    kind: "backupPiece",
    group: "main",
    head: [request, ["02000000", "number: 2, from 0"]],
    encoded: written("backupPiece", "main", (writer) => writer.uint32(9).uint32(2)),
    decode: (frame) => backup.decodeBackupPiece(frame.head),
    value: { request: 9, number: 2 },
  },
  {
    name: "answers: two commands of session 5 were applied",
    kind: "answers",
    group: "main",
    head: [
      ["0500000000000000", "session: 5"],
      ["0300000000000000", "sequence: 3"],
      [`02000000${ascii("ok")}`, "answer envelope"],
      ["0500000000000000", "session: 5"],
      ["0400000000000000", "sequence: 4"],
      ["00000000", "answer envelope, empty"],
    ],
    encoded: written("answers", "main", (writer) =>
      writer.uint53(5).uint53(3).sized(encodeText("ok")).uint53(5).uint53(4).sized(none),
    ),
    decode: (frame) => {
      const found: unknown[] = [];
      wire.readAnswers(frame.head, (session, sequence, answer) =>
        found.push([session, sequence, hex(answer)]),
      );
      return found;
    },
    value: [
      [5, 3, ascii("ok")],
      [5, 4, ""],
    ],
  },
  {
    name: "refusals: one command was not appended, agent_2 leads",
    kind: "refusals",
    group: "main",
    head: [
      [`010700${ascii("agent_2")}`, "refusal: not the leader, that is agent_2"],
      ["0500000000000000", "session: 5"],
      ["0300000000000000", "sequence: 3"],
    ],
    encoded: written("refusals", "main", (writer, version) => {
      wire.writeRefusal(writer, { kind: "notLeader", leader: "agent_2" as AgentId }, version);
      writer.uint53(5).uint53(3);
    }),
    decode: (frame, version) => {
      const found: unknown[] = [];
      wire.readRefusals(frame.head, version, (...one) => found.push(one));
      return found;
    },
    value: [[5, 3, { kind: "notLeader", leader: "agent_2" }]],
  },
  {
    name: "queryAnswer: a reply",
    kind: "queryAnswer",
    group: "main",
    head: [request, ["00", "reply (refused: 1, then a refusal)"], [ascii("that"), "answer envelope"]],
    encoded: written("queryAnswer", "main", (writer, version) =>
      wire.writeQueryAnswer(writer.uint32(9), { kind: "reply", bytes: encodeText("that") }, version),
    ),
    decode: (frame, version) => wire.readQueryAnswer(answerOf(frame), version),
    value: { kind: "reply", bytes: encodeText("that") },
  },
  {
    name: "changesAnswer: one change, and nothing else up to index 9",
    kind: "changesAnswer",
    group: "main",
    head: [
      request,
      ["00", "changes (compacted: 1, then the earliest index known)"],
      ["0900000000000000", "through: 9"],
      ["01000000", "count: 1"],
      ["0800000000000000", "index: 8"],
      [`01000000${ascii("c")}`, "change"],
    ],
    encoded: written("changesAnswer", "main", (writer) =>
      wire.writeChangesAnswer(writer.uint32(9), {
        kind: "changes",
        through: 9,
        changes: [{ index: 8, bytes: encodeText("c") }],
      }),
    ),
    decode: (frame) => wire.readChangesAnswer(answerOf(frame)),
    value: { kind: "changes", through: 9, changes: [{ index: 8, bytes: encodeText("c") }] },
  },
  {
    name: "entriesAnswer: a run of one entry, in the tail, which had no effect",
    kind: "entriesAnswer",
    group: "main",
    head: [
      request,
      ["00", "entries (compacted: 1, then the earliest index known)"],
      ["01000000", "count of those without effect: 1"],
      ["0700000000000000", "index: 7"],
    ],
    tail: entry,
    encoded: written("entriesAnswer", "main", (writer) =>
      wire.writeEntriesAnswer(writer.uint32(9), { kind: "entries", bytes: entry, withoutEffect: [7] }),
    ),
    decode: (frame) => wire.readEntriesAnswer(answerOf(frame), frame.tail),
    value: { kind: "entries", bytes: entry, withoutEffect: [7] },
  },
  {
    name: "campaignAnswer: it is over, and this agent leads",
    kind: "campaignAnswer",
    group: "main",
    head: [request, ["00", "over (refused: 1, then a refusal)"], ["01", "leads"]],
    encoded: written("campaignAnswer", "main", (writer, version) =>
      wire.writeCampaignAnswer(writer.uint32(9), { kind: "over", leading: true }, version),
    ),
    decode: (frame, version) => wire.readCampaignAnswer(answerOf(frame), version),
    value: { kind: "over", leading: true },
  },
  {
    since: 2,
    name: "orderAnswer: it has begun",
    kind: "orderAnswer",
    group: "main",
    head: [request, ["00", "accepted (refused: 1, then a refusal)"]],
    encoded: written("orderAnswer", "main", (writer, version) =>
      wire.writeOrderAnswer(writer.uint32(9), { kind: "accepted" }, version),
    ),
    decode: (frame, version) => wire.readOrderAnswer(answerOf(frame), version),
    value: { kind: "accepted" },
  },
  {
    since: 2,
    name: "backupAnswer: a snapshot is open to be read",
    kind: "backupAnswer",
    group: "main",
    head: [
      request,
      ["00", "opened (refused: 1, then a refusal; nothing: 2; failed: 3, then why)"],
      ["0700000000000000", "index: 7"],
      ["04030201", "contents: checksum of all pieces' checksums"],
      ["0a00000000000000", "length of the state: 10"],
      ["04000000", "length of a piece: 4"],
      ["03000000d19e57", "digest"],
      ["020000000a0b", "anchor"],
    ],
    encoded: written("backupAnswer", "main", (writer, version) =>
      backup.writeBackupAnswer(writer.uint32(9), { kind: "opened", snapshot: offered }, version),
    ),
    decode: (frame, version) => backup.readBackupAnswer(answerOf(frame), version),
    value: { kind: "opened", snapshot: offered },
  },
  {
    since: 2,
    name: "backupPieceAnswer: its bytes, in the tail",
    kind: "backupPieceAnswer",
    group: "main",
    head: [request, ["00", "a piece (none: 1, and nothing more)"], ["0d0c0b0a", "checksum"]],
    tail: Uint8Array.of(9, 9),
    encoded: written("backupPieceAnswer", "main", (writer) =>
      backup.writeBackupPieceAnswer(writer.uint32(9), { checksum: 0x0a0b0c0d, bytes: Uint8Array.of(9, 9) }),
    ),
    decode: (frame) => backup.readBackupPieceAnswer(answerOf(frame), frame.tail),
    value: { checksum: 0x0a0b0c0d, bytes: Uint8Array.of(9, 9) },
  },
  {
    name: "statusAnswer: told without being asked",
    kind: "statusAnswer",
    group: "main",
    head: [
      ["00000000", "request 0: a change"],
      [ascii(JSON.stringify(report)), "JSON"],
    ],
    encoded: written("statusAnswer", "main", (writer) => wire.writeStatusReport(writer.uint32(0), report)),
    decode: (frame) => wire.readStatusReport(answerOf(frame)),
    value: report,
  },
  {
    name: "failed: there is no such group",
    kind: "failed",
    group: "main",
    head: [request, ["00", "unknown group (overloaded: 1, closed: 2)"]],
    encoded: written("failed", "main", (writer) => wire.writeFailure(writer, 9, "unknownGroup")),
    decode: (frame) => wire.readFailure(answerOf(frame)),
    value: "unknownGroup",
  },
  {
    name: "progress: two commands of session 5 are on their way",
    kind: "progress",
    group: "main",
    head: [
      ["0500000000000000", "session: 5"],
      ["0300000000000000", "sequence: 3"],
      ["02", "commit (proposed: 0, prepare: 1)"],
      ["0500000000000000", "session: 5"],
      ["0400000000000000", "sequence: 4"],
      ["00", "proposed"],
    ],
    encoded: written("progress", "main", (writer) => {
      wire.writeProgress(writer, 5, 3, "commit");
      wire.writeProgress(writer, 5, 4, "proposed");
    }),
    decode: (frame) => {
      const found: unknown[] = [];
      wire.readProgress(frame.head, (...one) => found.push(one));
      return found;
    },
    value: [
      [5, 3, "commit"],
      [5, 4, "proposed"],
    ],
  },
];

function answerOf(frame: Frame): ByteReader {
  const reader = new ByteReader(frame.head);
  reader.uint32();
  return reader;
}
