/**
 * The wire, byte by byte. `test/vectors/*.txt` hold one frame of every kind and one of every Raft message, with the
 * meaning of each field: whoever writes a client in another language tests it against them. A change here is a change
 * of the protocol. `UPDATE_VECTORS=1 npx vitest run src/runtime/wire-vectors.test.ts` writes the newest version's anew.
 *
 * `test/vectors/v1` is what the first version's program wrote, recorded before there was a second. It is never written
 * again: to a peer of that version this program writes the same bytes, and reads them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { concatBytes } from "../core/bytes.ts";
import { MalformedError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { wireVersionMax, type WireVersion } from "../core/wire-version.ts";
import {
  transferAddedIn,
  withTransfers,
  type SnapshotOffer,
  type TransferMessage,
} from "../driver/transfer-messages.ts";
import { addedIn, hasMessage } from "../raft/additions.ts";
import { raftCodec } from "../raft/codec.ts";
import type { RaftMessage, RaftPromise } from "../raft/messages.ts";
import { decodeFrame, frameAddedIn, frameKinds, hasFrame, type Frame, type FrameKind } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { raftMessages, transferMessages } from "./test-message-vectors.ts";
import { ascii, frames, hex, type Field, type Vector } from "./test-wire-vectors.ts";

const folder = fileURLToPath(new URL("../../test/vectors/", import.meta.url));
const framesFile = "wire-frames.txt";
const raftFile = "raft-messages.txt";
const transferFile = "transfer-messages.txt";
const codec = withTransfers(raftCodec);
const updates = process.env["UPDATE_VECTORS"] === "1";

function describeFrame(vector: Vector): string {
  const bytes = vector.encoded(wireVersionMax);
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

/** Head and tail of a message for a peer of that version, in hexadecimal digits; undefined where it has no such message. */
function bytesOf(message: object, version: WireVersion): [head: string, tail: string] | undefined {
  const encoded = codec.encodeMessage(message, version);
  return encoded === undefined ? undefined : [hex(encoded.head), hex(concatBytes(encoded.tail))];
}

function linesOf(message: RaftMessage | RaftPromise | TransferMessage): string {
  const [head, tail] = bytesOf(message, wireVersionMax) ?? ["", ""];
  const shown = JSON.stringify(message, (key, value: unknown) => {
    if (key === "runs") return ["the entry in the tail"];
    if (key === "bytes") return "the piece in the tail";
    if (value instanceof Uint8Array) return hex(value);
    return key === "commands" && message.kind === "forward" ? ["the command in the tail"] : value;
  });
  const lines = [`# ${message.kind}`, `${head}  head: ${shown}`];
  if (tail !== "") lines.push(`${tail}  tail`);
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

function isOf({ since = 1, until = wireVersionMax }: Vector, version: WireVersion): boolean {
  return since <= version && version <= until;
}

const preface = (what: string): string =>
  `${what}\nEach line: bytes in hexadecimal digits, two spaces, their meaning. See docs/wire.md.\n`;

if (updates) {
  const framesText = frames
    .filter((frame) => isOf(frame, wireVersionMax))
    .map(describeFrame)
    .join("\n\n");
  writeFileSync(folder + framesFile, `${preface("One frame of every kind.")}\n${framesText}\n`);
  const writeMessages = (file: string, what: string, text: string): void =>
    writeFileSync(
      folder + file,
      `${preface(`One of every ${what}: the head and the tail of its frame.`)}\n${text}\n`,
    );
  writeMessages(raftFile, "Raft message", raftMessages.map(linesOf).join("\n\n"));
  writeMessages(transferFile, "message about snapshots", transferMessages.map(linesOf).join("\n\n"));
}

const fromHex = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits, "hex"));

describe.each([
  [1, `${folder}v1/`],
  [wireVersionMax, folder],
] as const)("the frames of version %i", (version, at) => {
  const golden = readVectors(at + framesFile);
  const ofVersion = frames.filter((frame) => isOf(frame, version));

  test("every kind has a vector, and every vector is tested", () => {
    const kinds = (Object.keys(frameKinds) as FrameKind[]).filter((kind) => hasFrame(version, kind));
    expect(new Set(ofVersion.map(({ kind }) => kind))).toEqual(new Set(kinds));
    expect([...golden.keys()]).toEqual(ofVersion.map(({ name }) => name));
  });

  test.each(ofVersion.map((vector) => [vector.name, vector] as const))("%s", (name, vector) => {
    const bytes = fromHex((golden.get(name) ?? []).join(""));
    // Written by the program as it is in the file …
    expect(hex(vector.encoded(version))).toBe(hex(bytes));
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
    expect(vector.decode(read as Frame, version)).toEqual(vector.value);
  });
});

describe.each([
  [1, `${folder}v1/`],
  [wireVersionMax, folder],
] as const)("the Raft messages of version %i", (version, at) => {
  const golden = readVectors(at + raftFile);
  const ofVersion = raftMessages.filter(({ kind }) => hasMessage(version, kind));

  test("every message has a vector", () => {
    expect([...golden.keys()]).toEqual(ofVersion.map(({ kind }) => kind));
  });

  test.each(ofVersion.map((message) => [message.kind, message] as const))("%s", (kind, message) => {
    const [head = "", tail = ""] = golden.get(kind) ?? [];
    expect(bytesOf(message, version)).toEqual([head, tail]);
    const decoded = raftCodec.decodeMessage(fromHex(head), fromHex(tail), version);
    // The same, but for fields that later versions added …
    expect(message).toMatchObject(decoded);
    // … and nothing that was read is lost on the way back.
    expect(bytesOf(decoded, version)).toEqual([head, tail]);
  });
});

describe("the messages about snapshots", () => {
  const golden = readVectors(folder + transferFile);

  test("every message has a vector", () => {
    expect([...golden.keys()]).toEqual(Object.keys(transferAddedIn));
  });

  test.each(transferMessages.map((message) => [message.kind, message] as const))("%s", (kind, message) => {
    const [head = "", tail = ""] = golden.get(kind) ?? [];
    expect(bytesOf(message, wireVersionMax)).toEqual([head, tail]);
    expect(codec.decodeMessage(fromHex(head), fromHex(tail), wireVersionMax)).toEqual(message);
    // No byte of it may be missing, and none may come behind.
    const decode = (digits: string) => () =>
      codec.decodeMessage(fromHex(digits), fromHex(tail), wireVersionMax);
    expect(decode(head.slice(0, -2))).toThrow(MalformedError);
    expect(decode(`${head}00`)).toThrow(MalformedError);
  });

  test("a peer of the first version is not told them, and can't have said them", () => {
    for (const message of transferMessages) {
      expect(bytesOf(message, 1)).toBeUndefined();
      const [head, tail] = bytesOf(message, wireVersionMax) ?? ["", ""];
      expect(() => codec.decodeMessage(fromHex(head), fromHex(tail), 1)).toThrow(MalformedError);
    }
  });

  test("what is beyond the limits, and what is of no known kind, is malformed", () => {
    const [offer] = transferMessages as [SnapshotOffer];
    const large = { digest: new Uint8Array(65), anchor: new Uint8Array(limits.snapshotAnchorBytesMax + 1) };
    for (const part of [{ digest: large.digest }, { anchor: large.anchor }]) {
      const [head] = bytesOf({ ...offer, snapshot: { ...offer.snapshot, ...part } }, wireVersionMax) ?? [""];
      expect(() => codec.decodeMessage(fromHex(head), new Uint8Array(0), wireVersionMax)).toThrow(
        MalformedError,
      );
    }
    const decode = (head: string, tail: Uint8Array) => (): object =>
      codec.decodeMessage(fromHex(head), tail, wireVersionMax);
    const [pieceHead] = bytesOf(transferMessages[2]!, wireVersionMax) ?? [""];
    expect(decode(pieceHead, new Uint8Array(limits.snapshotPieceBytesMax + 1))).toThrow(MalformedError);
    const [endedHead] = bytesOf(transferMessages[4]!, wireVersionMax) ?? [""];
    expect(decode(endedHead, Uint8Array.of(1))).toThrow(MalformedError);
    expect(decode(`${endedHead.slice(0, -2)}02`, new Uint8Array(0))).toThrow(MalformedError);
    expect(decode("45", new Uint8Array(0))).toThrow(MalformedError);
    expect(decode("ff", new Uint8Array(0))).toThrow(MalformedError);
  });
});

test("R22: a peer is not told, and can't have said, a message that its version does not have", () => {
  for (const message of raftMessages.filter(({ kind }) => !hasMessage(1, kind))) {
    expect(bytesOf(message, 1)).toBeUndefined();
    const [head, tail] = bytesOf(message, wireVersionMax) ?? ["", ""];
    expect(() => raftCodec.decodeMessage(fromHex(head), fromHex(tail), 1)).toThrow(MalformedError);
  }
});

test("what later versions added is in docs/wire.md, and nothing else", () => {
  const page = readFileSync(new URL("../../docs/wire.md", import.meta.url), "utf8");
  const section = page.slice(page.indexOf("\n## Versions"), page.indexOf("\n## Handshake"));
  const rows = [...section.matchAll(/^\| `([^`]+)` \| (\d+) \|/gm)].map(([, name, since]) => [
    name,
    Number(since),
  ]);
  const frameRows = Object.entries(frameAddedIn).map(([name, since]) => [`frame.${name}`, since]);
  expect(rows).toEqual([...Object.entries(addedIn), ...Object.entries(transferAddedIn), ...frameRows]);
});

afterAll(() => {
  expect(
    updates,
    "the vectors were written anew: look at the difference, then run without UPDATE_VECTORS",
  ).toBe(false);
});
