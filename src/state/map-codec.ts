/**
 * The map's words as bytes. A key and its value stand next to each other everywhere (`[u16 key length][key][value]`,
 * called a *record*), so that one copy and one hash take both. Values are opaque: nobody parses them on the way.
 */
import {
  ByteReader,
  ByteWriter,
  type Codec,
  decodeText,
  emptyBytes,
  encodeWith,
  isWellFormed,
  limits,
  MalformedError,
  QuorateError,
  readUint16,
  readUint53,
  shown,
  unreachable,
} from "../core/index.ts";

export type MapCommand =
  | { readonly kind: "put"; readonly key: string; readonly record: Uint8Array }
  | { readonly kind: "delete"; readonly key: string }
  | {
      readonly kind: "cas";
      readonly key: string;
      readonly record: Uint8Array;
      /** 0: only where the key is absent. */
      readonly expectedVersion: number;
    };

export type MapAnswer =
  /** Written; `version` is the index of the command. */
  | { readonly kind: "put"; readonly version: number }
  | { readonly kind: "deleted" }
  /** There was nothing to delete. */
  | { readonly kind: "absent" }
  | { readonly kind: "swapped"; readonly version: number }
  /** What is there instead: version 0 and no value where the key is absent. */
  | { readonly kind: "conflict"; readonly version: number; readonly value?: Uint8Array };

/** Which keys, in the order in which JavaScript compares strings: by prefix, or from `from` (included) to `to` (not included). */
export type KeyRange =
  | { readonly kind: "prefix"; readonly prefix: string }
  | { readonly kind: "between"; readonly from: string; /** Absent: to the last key. */ readonly to?: string };

export type MapQuestion =
  | { readonly kind: "get"; readonly key: string }
  | {
      readonly kind: "range";
      readonly range: KeyRange;
      /** Only keys behind this one: the last one of the page before. */
      readonly after?: string;
      /** At most so many entries; at most `limits.mapRangeEntriesMax` in any case. */
      readonly limit: number;
    }
  | { readonly kind: "size" };

export interface MapEntryView {
  readonly key: string;
  /** The index of the command that wrote it last. */
  readonly version: number;
  readonly value: Uint8Array;
}

export type MapReply =
  | { readonly kind: "found"; readonly version: number; readonly value: Uint8Array }
  | { readonly kind: "absent" }
  /** `more`: there are further keys behind the last one. */
  | { readonly kind: "entries"; readonly entries: readonly MapEntryView[]; readonly more: boolean }
  | { readonly kind: "size"; readonly size: number };

/** One change, as a watch gives it: no value where the key was deleted. */
export interface MapChange {
  readonly key: string;
  readonly value?: Uint8Array;
}

const commandCodes = { put: 0, delete: 1, cas: 2 } as const;
const answerCodes = { put: 0, deleted: 1, absent: 2, swapped: 3, conflict: 4 } as const;
const questionCodes = { get: 0, prefix: 1, between: 2, size: 3 } as const;
const replyCodes = { found: 0, absent: 1, entries: 2, size: 3 } as const;

// ── records ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Throws `BAD_VALUE` or `TOO_LARGE` where the key is not well-formed text or longer than `limits.mapKeyBytesMax`. */
export function encodeRecord(key: string, value: Uint8Array): Uint8Array {
  return writeSizedKey(new ByteWriter(), key).raw(value).finish();
}

/** Throws {@link MalformedError}. */
export function recordKey(record: Uint8Array): string {
  if (record.length < 2) throw new MalformedError("a record ends before its key");
  const length = readUint16(record, 0);
  if (length > limits.mapKeyBytesMax) throw new MalformedError("a key is longer than the limit");
  if (2 + length > record.length) throw new MalformedError("a record ends in its key");
  return decodeText(record.subarray(2, 2 + length));
}

/** A view, not a copy. */
export function recordValue(record: Uint8Array): Uint8Array {
  return record.subarray(2 + readUint16(record, 0));
}

/** Without its length. Throws as {@link encodeRecord} does. */
function writeKey(writer: ByteWriter, key: string): void {
  checkKey(key);
  const before = writer.byteLength;
  writer.characters(key);
  checkKeyBytes(writer.byteLength - before);
}

/** Behind its length (2 bytes). */
function writeSizedKey(writer: ByteWriter, key: string): ByteWriter {
  checkKey(key);
  const before = writer.byteLength;
  writer.text(key);
  checkKeyBytes(writer.byteLength - before - 2);
  return writer;
}

function checkKey(key: string): void {
  if (typeof key !== "string") throw badKey(`The key is ${shown(key)}, not a text.`, "Give a text.");
  if (!isWellFormed(key))
    throw badKey(`The key ${shown(key)} is not well-formed text.`, "Leave out half surrogate pairs.");
  // No text takes fewer bytes than it has characters.
  checkKeyBytes(key.length);
}

function checkKeyBytes(byteLength: number): void {
  if (byteLength <= limits.mapKeyBytesMax) return;
  throw new QuorateError(
    "TOO_LARGE",
    `The key takes ${byteLength} bytes; the most is ${limits.mapKeyBytesMax}.`,
    { outcome: "notDone", hint: "Shorten the key, or put part of it into the value." },
  );
}

function badKey(message: string, hint: string): QuorateError {
  return new QuorateError("BAD_VALUE", message, { outcome: "notDone", hint });
}

// ── commands and answers ───────────────────────────────────────────────────────────────────────────────────────────────────

export const mapCommandCodec: Codec<MapCommand> = {
  write(command, writer) {
    switch (command.kind) {
      case "put":
        writer.uint8(commandCodes.put).raw(command.record);
        return;
      case "delete":
        writeKey(writer.uint8(commandCodes.delete), command.key);
        return;
      case "cas":
        writer.uint8(commandCodes.cas).uint53(command.expectedVersion).raw(command.record);
        return;
      default:
        unreachable(command);
    }
  },
  decode(bytes) {
    switch (bytes[0]) {
      case commandCodes.put: {
        const record = bytes.subarray(1);
        return { kind: "put", key: recordKey(record), record };
      }
      case commandCodes.delete: {
        if (bytes.length - 1 > limits.mapKeyBytesMax)
          throw new MalformedError("a key is longer than the limit");
        return { kind: "delete", key: decodeText(bytes.subarray(1)) };
      }
      case commandCodes.cas: {
        if (bytes.length < 9) throw new MalformedError("a map command ends in its version");
        const record = bytes.subarray(9);
        return { kind: "cas", key: recordKey(record), record, expectedVersion: readUint53(bytes, 1) };
      }
      case undefined:
      default:
        throw new MalformedError("a map command of an unknown kind");
    }
  },
};

export const mapAnswerCodec: Codec<MapAnswer> = {
  write(answer, writer) {
    writer.uint8(answerCodes[answer.kind]);
    switch (answer.kind) {
      case "deleted":
      case "absent":
        return;
      case "put":
      case "swapped":
        writer.uint53(answer.version);
        return;
      case "conflict":
        writer.uint53(answer.version).raw(answer.value ?? emptyBytes);
        return;
      default:
        unreachable(answer);
    }
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const code = reader.uint8();
    switch (code) {
      case answerCodes.deleted:
      case answerCodes.absent:
        reader.end();
        return { kind: code === answerCodes.deleted ? "deleted" : "absent" };
      case answerCodes.put:
      case answerCodes.swapped: {
        const version = reader.uint53();
        reader.end();
        return { kind: code === answerCodes.put ? "put" : "swapped", version };
      }
      case answerCodes.conflict: {
        const version = reader.uint53();
        if (version > 0) return { kind: "conflict", version, value: reader.rest() };
        reader.end();
        return { kind: "conflict", version };
      }
      default:
        throw new MalformedError("a map answer of an unknown kind");
    }
  },
};

// ── questions and replies ──────────────────────────────────────────────────────────────────────────────────────────────────

export const mapQuestionCodec: Codec<MapQuestion> = {
  write(question, writer) {
    switch (question.kind) {
      case "get":
        writeKey(writer.uint8(questionCodes.get), question.key);
        return;
      case "range":
        writer.uint8(questionCodes[question.range.kind]).uint32(question.limit);
        writeOptionalKey(writer, question.after);
        writeRange(writer, question.range);
        return;
      case "size":
        writer.uint8(questionCodes.size);
        return;
      default:
        unreachable(question);
    }
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const code = reader.uint8();
    switch (code) {
      case questionCodes.get:
        return { kind: "get", key: decodeText(bytes.subarray(1)) };
      case questionCodes.prefix:
      case questionCodes.between: {
        const limit = reader.uint32();
        const after = readOptionalKey(reader);
        const range = readRange(reader, code === questionCodes.prefix ? "prefix" : "between");
        reader.end();
        return { kind: "range", range, limit, ...(after !== undefined && { after }) };
      }
      case questionCodes.size:
        reader.end();
        return { kind: "size" };
      default:
        throw new MalformedError("a map question of an unknown kind");
    }
  },
};

function writeRange(writer: ByteWriter, range: KeyRange): void {
  if (range.kind === "prefix") {
    writeSizedKey(writer, range.prefix);
  } else {
    writeSizedKey(writer, range.from);
    writeOptionalKey(writer, range.to);
  }
}

function readRange(reader: ByteReader, kind: KeyRange["kind"]): KeyRange {
  if (kind === "prefix") return { kind, prefix: reader.text() };
  const from = reader.text();
  const to = readOptionalKey(reader);
  return { kind, from, ...(to !== undefined && { to }) };
}

function writeOptionalKey(writer: ByteWriter, key: string | undefined): void {
  if (key === undefined) writer.uint8(0);
  else writeSizedKey(writer.uint8(1), key);
}

function readOptionalKey(reader: ByteReader): string | undefined {
  const present = reader.uint8();
  if (present > 1) throw new MalformedError("a text is there or not");
  return present === 1 ? reader.text() : undefined;
}

export const mapReplyCodec: Codec<MapReply> = {
  write(reply, writer) {
    writer.uint8(replyCodes[reply.kind]);
    switch (reply.kind) {
      case "found":
        writer.uint53(reply.version).raw(reply.value);
        return;
      case "absent":
        return;
      case "entries":
        writer.uint8(reply.more ? 1 : 0);
        for (const entry of reply.entries) {
          writer.uint53(entry.version).text(entry.key).bytes(entry.value);
        }
        return;
      case "size":
        writer.uint53(reply.size);
        return;
      default:
        unreachable(reply);
    }
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    switch (reader.uint8()) {
      case replyCodes.found:
        return { kind: "found", version: reader.uint53(), value: reader.rest() };
      case replyCodes.absent:
        reader.end();
        return { kind: "absent" };
      case replyCodes.entries: {
        const more = reader.uint8();
        if (more > 1) throw new MalformedError("there are more entries or not");
        const entries: MapEntryView[] = [];
        while (reader.remaining > 0) {
          entries.push({ version: reader.uint53(), key: reader.text(), value: reader.bytes() });
        }
        return { kind: "entries", entries, more: more === 1 };
      }
      case replyCodes.size: {
        const size = reader.uint53();
        reader.end();
        return { kind: "size", size };
      }
      default:
        throw new MalformedError("a map reply of an unknown kind");
    }
  },
};

// ── changes ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the change of this record takes as bytes. */
export function mapChangeBytes(record: Uint8Array): number {
  return 1 + record.length;
}

/** One change as the `bytes` of a `MachineChange`. `deleted` has the key only: its record ends where the value would begin. */
export function writeMapChange(
  kind: "written" | "deleted",
  record: Uint8Array,
  into: Uint8Array,
  at: number,
): void {
  into[at] = kind === "written" ? 1 : 0;
  into.set(record, at + 1);
}

/** Whether the key in a change's bytes begins with these, in UTF-8. */
export function mapChangeKeyStartsWith(change: Uint8Array, prefix: Uint8Array): boolean {
  if (readUint16(change, 1) < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (change[3 + at] !== prefix[at]) return false;
  return true;
}

/** Reads the `bytes` of one `MachineChange` of a map. Throws {@link MalformedError}. */
export function decodeMapChange(bytes: Uint8Array): MapChange {
  const code = bytes[0];
  if (code === undefined || code > 1) throw new MalformedError("a key was written or deleted");
  const record = bytes.subarray(1);
  const key = recordKey(record);
  const value = recordValue(record);
  if (code === 1) return { key, value };
  if (value.length !== 0) throw new MalformedError("a deleted key has no value");
  return { key };
}

/** A watch's filter: all keys that begin like this. Throws as a key does. */
export function encodeMapFilter(prefix: string): Uint8Array {
  const writer = new ByteWriter();
  writeKey(writer, prefix);
  return writer.finish();
}

// ── for whoever asks ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Commands as bytes, ready for an envelope. */
export const mapCommands = {
  put(key: string, value: Uint8Array): Uint8Array {
    return encodeWith(mapCommandCodec, { kind: "put", key, record: encodeRecord(key, value) });
  },
  delete(key: string): Uint8Array {
    return encodeWith(mapCommandCodec, { kind: "delete", key });
  },
  /** `expectedVersion` 0: only where the key is absent. */
  cas(key: string, expectedVersion: number, value: Uint8Array): Uint8Array {
    const record = encodeRecord(key, value);
    return encodeWith(mapCommandCodec, { kind: "cas", key, expectedVersion, record });
  },
} as const;

/** The same commands, written behind what is there already. `json`: the value as text. They throw as those above do. */
export const writeMapCommand = {
  put(writer: ByteWriter, key: string, json: string): void {
    writeSizedKey(writer.uint8(commandCodes.put), key).characters(json);
  },
  delete(writer: ByteWriter, key: string): void {
    writeKey(writer.uint8(commandCodes.delete), key);
  },
  cas(writer: ByteWriter, key: string, expectedVersion: number, json: string): void {
    writeSizedKey(writer.uint8(commandCodes.cas).uint53(expectedVersion), key).characters(json);
  },
} as const;

/** Questions as bytes, ready for an envelope. */
export const mapQuestions = {
  get(key: string): Uint8Array {
    return encodeWith(mapQuestionCodec, { kind: "get", key });
  },
  range(range: KeyRange, options: { readonly limit?: number; readonly after?: string } = {}): Uint8Array {
    const { limit = limits.mapRangeEntriesMax, after } = options;
    return encodeWith(mapQuestionCodec, {
      kind: "range",
      range,
      limit,
      ...(after !== undefined && { after }),
    });
  },
  size(): Uint8Array {
    return encodeWith(mapQuestionCodec, { kind: "size" });
  },
} as const;
