/**
 * The wire, byte by byte. `test/vectors/*.txt` hold one frame of every kind and one of every Raft message, with the
 * meaning of each field: whoever writes a client in another language tests it against them. A change here is a change
 * of the protocol. `UPDATE_VECTORS=1 npx vitest run src/runtime/wire-vectors.test.ts` writes the files anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { ByteReader, concatBytes } from "../core/bytes.ts";
import { encodeCommand, stampEntry, type Run } from "../core/entry.ts";
import type { AgentId, LogIndex, Term, Ticket } from "../core/ids.ts";
import { encodeText } from "../core/text.ts";
import { raftCodec } from "../raft/codec.ts";
import type { RaftMessage, RaftPromise } from "../raft/messages.ts";
import * as wire from "./client-wire.ts";
import { decodeFrame, encodeFrame, frameKinds, FrameWriter, type Frame, type FrameKind } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import {
  decodeHello,
  decodeRefuse,
  decodeWelcome,
  encodeHello,
  encodeRefuse,
  encodeWelcome,
} from "./handshake.ts";

/** Bytes in hexadecimal digits, and what they mean. */
type Field = readonly [bytes: string, meaning: string];

interface Vector {
  readonly name: string;
  readonly kind: FrameKind;
  readonly group: string;
  readonly head: readonly Field[];
  readonly tail?: Uint8Array;
  /** What the program itself makes of the same. */
  readonly encoded: Uint8Array;
  readonly decode: (frame: Frame) => unknown;
  readonly value: unknown;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const ascii = (text: string): string => hex(encodeText(text));
const cluster = Uint8Array.from({ length: 16 }, (_, at) => at * 17);

function written(kind: FrameKind, group: string, write: (writer: FrameWriter) => void): Uint8Array {
  const writer = new FrameWriter();
  write(writer.begin(kind, group));
  writer.end();
  return new Uint8Array(writer.take() ?? []);
}

function built(
  kind: FrameKind,
  group: string,
  head: Uint8Array,
  tail: readonly Uint8Array[] = [],
): Uint8Array {
  return concatBytes(encodeFrame(kind, group, head, tail).parts);
}

const command = encodeCommand(
  { kind: "command", session: 5, sequence: 3, unsettled: 1 },
  encodeText("payload"),
);
const entry = command.slice();
stampEntry(entry, 0, 7 as LogIndex, 2 as Term, 1_700_000_000_000_000);
const run: Run = { first: 7 as LogIndex, last: 7 as LogIndex, bytes: entry };

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

const frames: readonly Vector[] = [
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
  {
    name: "ping: are you there?",
    kind: "ping",
    group: "",
    head: [],
    encoded: built("ping", "", none),
    decode: (frame) => frame.head.byteLength,
    value: 0,
  },
  {
    name: "pong: yes",
    kind: "pong",
    group: "",
    head: [],
    encoded: built("pong", "", none),
    decode: (frame) => frame.head.byteLength,
    value: 0,
  },
  {
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
    encoded: built(
      "message",
      "main",
      raftCodec.encodeMessage({ kind: "heartbeat", term: 2 as Term, commit: 7 as LogIndex, round: 3 }).head,
    ),
    decode: (frame) => raftCodec.decodeMessage(frame.head, frame.tail),
    value: { kind: "heartbeat", term: 2, commit: 7, round: 3 },
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
    encoded: written("refusals", "main", (writer) => {
      wire.writeRefusal(writer, { kind: "notLeader", leader: "agent_2" as AgentId });
      writer.uint53(5).uint53(3);
    }),
    decode: (frame) => {
      const found: unknown[] = [];
      wire.readRefusals(frame.head, (...one) => found.push(one));
      return found;
    },
    value: [[5, 3, { kind: "notLeader", leader: "agent_2" }]],
  },
  {
    name: "queryAnswer: a reply",
    kind: "queryAnswer",
    group: "main",
    head: [request, ["00", "reply (refused: 1, then a refusal)"], [ascii("that"), "answer envelope"]],
    encoded: written("queryAnswer", "main", (writer) =>
      wire.writeQueryAnswer(writer.uint32(9), { kind: "reply", bytes: encodeText("that") }),
    ),
    decode: (frame) => wire.readQueryAnswer(answerOf(frame)),
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
    encoded: written("campaignAnswer", "main", (writer) =>
      wire.writeCampaignAnswer(writer.uint32(9), { kind: "over", leading: true }),
    ),
    decode: (frame) => wire.readCampaignAnswer(answerOf(frame)),
    value: { kind: "over", leading: true },
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

const term = 2 as Term;
const index = (value: number): LogIndex => value as LogIndex;
const raftMessages: readonly (RaftMessage | RaftPromise)[] = [
  { kind: "preVoteRequest", term, lastIndex: index(7), lastTerm: 1 as Term },
  { kind: "preVoteAnswer", term, granted: true },
  { kind: "voteRequest", term, lastIndex: index(7), lastTerm: 1 as Term },
  { kind: "voteAnswer", term, granted: false },
  { kind: "append", term, prevIndex: index(6), prevTerm: 1 as Term, commit: index(5), runs: [run] },
  { kind: "appendMatched", term, matched: index(7) },
  { kind: "appendRejected", term, prevIndex: index(6), hintIndex: index(4), hintTerm: 1 as Term },
  {
    kind: "heartbeat",
    term,
    commit: index(7),
    round: 3,
    checkpoint: { index: index(5), digest: Uint8Array.of(0xd1, 0x9e, 0x57) },
  },
  { kind: "heartbeatAnswer", term, round: 3 },
  { kind: "commit", term, commit: index(7) },
  { kind: "forward", term, commands: [command] },
  {
    kind: "forwardRefused",
    refusal: { kind: "overloaded", inFlight: 8, inFlightMax: 8 },
    commands: [{ session: 5, sequence: 3 }],
  },
  { kind: "readRequest", ticket: 4 as Ticket },
  { kind: "readAnswer", ticket: 4 as Ticket, outcome: { kind: "index", index: index(7) } },
];

// ── the files ──

const framesFile = fileURLToPath(new URL("../../test/vectors/wire-frames.txt", import.meta.url));
const raftFile = fileURLToPath(new URL("../../test/vectors/raft-messages.txt", import.meta.url));
const updates = process.env["UPDATE_VECTORS"] === "1";

function describeFrame(vector: Vector): string {
  const bytes = vector.encoded;
  const part = (from: number, to: number): string => hex(bytes.subarray(from, to));
  const lines: Field[] = [
    [part(0, 4), `length: ${bytes.byteLength}`],
    [part(4, 8), "checksum"],
    [part(8, 9), `kind: ${vector.kind}`],
    [part(9, 10), `group length: ${vector.group.length}`],
    [part(10, 12), "zero"],
    [part(12, 16), "head length"],
    ...(vector.group === "" ? [] : [[ascii(vector.group), `group: ${vector.group}`] as const]),
    ...vector.head,
    ...(vector.tail === undefined ? [] : [[hex(vector.tail), "tail"] as const]),
  ];
  return [`# ${vector.name}`, ...lines.map(([digits, meaning]) => `${digits}  ${meaning}`)].join("\n");
}

function raftLines(message: RaftMessage | RaftPromise): string {
  const { head, tail } = raftCodec.encodeMessage(message);
  const shown = JSON.stringify(message, (key, value: unknown) => {
    if (key === "runs") return ["the entry in the tail"];
    if (value instanceof Uint8Array) return hex(value);
    return key === "commands" && message.kind === "forward" ? ["the command in the tail"] : value;
  });
  const lines = [`# ${message.kind}`, `${hex(head)}  head: ${shown}`];
  if (tail.length > 0) lines.push(`${hex(concatBytes(tail))}  tail`);
  return lines.join("\n");
}

/** The vectors of a file: name → all bytes behind one another, line by line. */
function readVectors(path: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const block of readFileSync(path, "utf8").split(/\n\n+/)) {
    const [title = "", ...lines] = block.trim().split("\n");
    if (title.startsWith("# "))
      found.set(
        title.slice(2),
        lines.map((line) => line.split("  ")[0] ?? ""),
      );
  }
  return found;
}

const preface = (what: string): string =>
  `${what}\nEach line: bytes in hexadecimal digits, two spaces, their meaning. See docs/wire.md.\n`;

if (updates) {
  const framesText = frames.map(describeFrame).join("\n\n");
  writeFileSync(framesFile, `${preface("One frame of every kind.")}\n${framesText}\n`);
  const raftText = raftMessages.map(raftLines).join("\n\n");
  writeFileSync(
    raftFile,
    `${preface("One of every Raft message: the head and the tail of its frame.")}\n${raftText}\n`,
  );
}

describe("the frames on the wire", () => {
  const golden = readVectors(framesFile);

  test("every kind has a vector, and every vector is tested", () => {
    expect(new Set(frames.map(({ kind }) => kind))).toEqual(new Set(Object.keys(frameKinds)));
    expect([...golden.keys()]).toEqual(frames.map(({ name }) => name));
  });

  test.each(frames.map((vector) => [vector.name, vector] as const))("%s", (name, vector) => {
    const bytes = new Uint8Array(Buffer.from((golden.get(name) ?? []).join(""), "hex"));
    // Written by the program as it is in the file …
    expect(hex(vector.encoded)).toBe(hex(bytes));
    // … whose fields are what they are said to be …
    const fields = vector.head.map(([digits]) => digits).join("");
    const head = decodeFrame(bytes, 0, bytes.byteLength).head;
    expect(hex(head)).toBe(fields);
    // … and read back by the program.
    let read: Frame | undefined;
    new FrameReader(10_000).push(bytes, (frame) => {
      read = frame;
      return true;
    });
    expect(read).toMatchObject({ kind: vector.kind, group: vector.group });
    expect(vector.decode(read as Frame)).toEqual(vector.value);
  });
});

describe("the Raft messages on the wire", () => {
  const golden = readVectors(raftFile);

  test("every message has a vector", () => {
    expect([...golden.keys()]).toEqual(raftMessages.map(({ kind }) => kind));
  });

  test.each(raftMessages.map((message) => [message.kind, message] as const))("%s", (kind, message) => {
    const [head = "", tail = ""] = golden.get(kind) ?? [];
    const encoded = raftCodec.encodeMessage(message);
    expect(hex(encoded.head)).toBe(head);
    expect(hex(concatBytes(encoded.tail))).toBe(tail);
    const decoded = raftCodec.decodeMessage(
      Buffer.from(head, "hex"),
      new Uint8Array(Buffer.from(tail, "hex")),
    );
    expect(decoded).toEqual(message);
  });
});

afterAll(() => {
  expect(
    updates,
    "the vectors were written anew: look at the difference, then run without UPDATE_VECTORS",
  ).toBe(false);
});
