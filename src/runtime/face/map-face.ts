/** A replicated map as its users see it: values are JSON, versions are the log index of the last write. */
import { badOption, readOptions, shown, type Given, type OptionList } from "../../core/arguments.ts";
import { MalformedError, QuorateError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import type { Changes } from "../../core/machine.ts";
import {
  decodeJson,
  decodeMapChange,
  encodeMapFilter,
  encodeQuestion,
  jsonText,
  mapAnswerCodec,
  mapQuestions,
  mapReplyCodec,
  writeMapCommand,
  type Json,
  type KeyRange,
  type MapAnswer,
} from "../../state/index.ts";
import { rejection } from "./call.ts";
import type { Cancel } from "../gateway.ts";
import type { GroupClient } from "./group-client.ts";
import {
  checkCall,
  checkFrom,
  checkGivenRead,
  checkRead,
  isWhole,
  type Call,
  type CheckedCall,
  type CheckedRead,
  type ReadCall,
} from "./options.ts";
import type { Command } from "./pending-command.ts";
import { Stream, type Pull } from "./stream.ts";

export interface MapEntry<V> {
  readonly key: string;
  readonly value: V;
  /** The log index of the write. */
  readonly version: number;
}

/** Which keys, in the order in which JavaScript compares strings; all of them where nothing is given. */
export interface RangeOptions {
  /** Keys that begin like this; not together with `from` and `to`. */
  readonly prefix?: string | undefined;
  /** The first key. */
  readonly from?: string | undefined;
  /** The key before which the range ends. */
  readonly to?: string | undefined;
  /** Only keys behind this one: the last one of the page before. */
  readonly after?: string | undefined;
  /** Entries in one answer; at most `limits.mapRangeEntriesMax`, which is the default. */
  readonly limit?: number | undefined;
}

export interface MapPage<V> {
  readonly entries: readonly MapEntry<V>[];
  /** There are further keys behind the last one: ask again with `after`. */
  readonly more: boolean;
}

export interface MapChange<V> {
  readonly index: number;
  readonly key: string;
  /** Absent where the key was deleted. */
  readonly value?: V;
}

export type CasAnswer<V> =
  | { readonly kind: "swapped"; readonly version: number }
  /** What is there instead; version 0 and no value where the key is absent. */
  | { readonly kind: "conflict"; readonly version: number; readonly value?: V };

export interface MapFace<V> {
  get(key: string, call?: ReadCall): Promise<{ readonly value: V; readonly version: number } | undefined>;
  /** Gives the new version. */
  put(key: string, value: V, call?: Call): Promise<number>;
  /** Whether there was something to delete. */
  delete(key: string, call?: Call): Promise<boolean>;
  /** Compare and set: writes only where the key has this version (0: is absent). */
  cas(key: string, expectedVersion: number, value: V, call?: Call): Promise<CasAnswer<V>>;
  range(options?: RangeOptions & ReadCall): Promise<MapPage<V>>;
  /** How many keys there are. */
  size(call?: ReadCall): Promise<number>;
  /**
   * Every change of keys with this prefix, in order, from log index `from` on (default: from now on). To go on after an
   * interruption, give the last change's index plus one. Rejects with `COMPACTED` where the history there is gone.
   */
  watch(prefix: string, options?: WatchOptions): AsyncIterable<MapChange<V>>;
}

export interface WatchOptions {
  readonly from?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const watchOptions: OptionList<WatchOptions> = {
  of: "watch",
  noun: "option",
  like: "{ from: 1 }",
  names: { from: true, signal: true },
};

const rangeOptions: OptionList<RangeOptions & ReadCall> = {
  of: "range",
  noun: "option",
  like: '{ prefix: "user:" }',
  names: {
    prefix: true,
    from: true,
    to: true,
    after: true,
    limit: true,
    at: true,
    requestId: true,
    signal: true,
    timeoutMs: true,
  },
};

export class MapHandle<V extends Json> implements MapFace<V> {
  readonly #client: GroupClient;
  readonly #machine: string;

  constructor(client: GroupClient, machine: string) {
    this.#client = client;
    this.#machine = machine;
  }

  get(key: string, call?: ReadCall): Promise<{ readonly value: V; readonly version: number } | undefined> {
    return this.#ask(() => mapQuestions.get(key), decodeFound<V>, call);
  }

  put(key: string, value: V, call?: Call): Promise<number> {
    return this.#run(
      () => {
        const json = jsonText(value);
        return (writer) => writeMapCommand.put(writer, key, json);
      },
      decodePut,
      call,
    );
  }

  delete(key: string, call?: Call): Promise<boolean> {
    return this.#run(() => (writer) => writeMapCommand.delete(writer, key), decodeDeleted, call);
  }

  cas(key: string, expectedVersion: number, value: V, call?: Call): Promise<CasAnswer<V>> {
    return this.#run(
      () => {
        if (!isWhole(expectedVersion) || expectedVersion < 0) {
          throw badOption(
            `The expected version is ${shown(expectedVersion)}.`,
            "Give the version that get or put answered, or 0 where the key must be absent.",
          );
        }
        const json = jsonText(value);
        return (writer) => writeMapCommand.cas(writer, key, expectedVersion, json);
      },
      decodeCas<V>,
      call,
    );
  }

  range(options: RangeOptions & ReadCall = {}): Promise<MapPage<V>> {
    try {
      const given = readOptions(rangeOptions, options);
      const bytes = encodeRange(given);
      return this.#send(bytes, decodePage<V>, checkGivenRead(given));
    } catch (error) {
      return rejection(error);
    }
  }

  size(call?: ReadCall): Promise<number> {
    return this.#ask(() => mapQuestions.size(), decodeSize, call);
  }

  watch(prefix: string, options?: WatchOptions): AsyncIterable<MapChange<V>> {
    const checked = checkFrom(watchOptions, options);
    const filter = encodeQuestion(this.#machine, encodeMapFilter(checkPrefix(prefix)));
    const beginning = new Beginning(this.#client, checked.from);
    return new Stream(this.#client, () => watchFrom<V>(this.#client, filter, beginning), checked.signal);
  }

  /** `prepare` runs code of the caller's (the value may have getters); what it gives only writes. */
  #run<T>(
    prepare: () => Command<T>["write"],
    decode: (answer: Uint8Array) => T,
    call: Call | undefined,
  ): Promise<T> {
    let command: Command<T>;
    let checked: CheckedCall;
    try {
      checked = checkCall(call);
      command = { machine: this.#machine, write: prepare(), decode };
    } catch (error) {
      return rejection(error);
    }
    return this.#client.session.run(command, checked);
  }

  #ask<T>(
    encode: () => Uint8Array,
    decode: (reply: Uint8Array) => T,
    call: ReadCall | undefined,
  ): Promise<T> {
    try {
      const checked = checkRead(call);
      return this.#send(encode(), decode, checked);
    } catch (error) {
      return rejection(error);
    }
  }

  #send<T>(bytes: Uint8Array, decode: (reply: Uint8Array) => T, call: CheckedRead): Promise<T> {
    return this.#client.questions.ask({ machine: this.#machine, bytes, decode }, call);
  }
}

// ── what comes back ──

function decodePut(bytes: Uint8Array): number {
  const answer = mapAnswerCodec.decode(bytes);
  if (answer.kind === "put") return answer.version;
  throw otherAnswer(answer);
}

function decodeDeleted(bytes: Uint8Array): boolean {
  const answer = mapAnswerCodec.decode(bytes);
  if (answer.kind === "deleted") return true;
  if (answer.kind === "absent") return false;
  throw otherAnswer(answer);
}

function decodeCas<V>(bytes: Uint8Array): CasAnswer<V> {
  const answer = mapAnswerCodec.decode(bytes);
  if (answer.kind === "swapped") return { kind: "swapped", version: answer.version };
  if (answer.kind !== "conflict") throw otherAnswer(answer);
  const { version, value } = answer;
  return { kind: "conflict", version, ...(value !== undefined && { value: decodeValue<V>(value) }) };
}

function decodeFound<V>(bytes: Uint8Array): { readonly value: V; readonly version: number } | undefined {
  const reply = mapReplyCodec.decode(bytes);
  if (reply.kind === "absent") return undefined;
  if (reply.kind !== "found") throw new MalformedError("a get is answered by a value or its absence");
  return { value: decodeValue<V>(reply.value), version: reply.version };
}

function decodePage<V>(bytes: Uint8Array): MapPage<V> {
  const reply = mapReplyCodec.decode(bytes);
  if (reply.kind !== "entries") throw new MalformedError("a range is answered by entries");
  const entries = reply.entries.map(({ key, value, version }) => {
    return { key, value: decodeValue<V>(value), version };
  });
  return { entries, more: reply.more };
}

function decodeSize(bytes: Uint8Array): number {
  const reply = mapReplyCodec.decode(bytes);
  if (reply.kind === "size") return reply.size;
  throw new MalformedError("a size is answered by a number");
}

/** What was put in as a `V` comes out as one: the type is the user's own promise about the map. */
function decodeValue<V>(bytes: Uint8Array): V {
  return decodeJson(bytes) as V;
}

function otherAnswer(answer: MapAnswer): MalformedError {
  return new MalformedError(
    answer.kind === "conflict" ? "a conflict answers only compare and set" : "an answer to another command",
  );
}

// ── ranges and watches ──

function encodeRange(given: Given<RangeOptions>): Uint8Array {
  const { limit } = given;
  const after = checkText("after", given.after);
  if (limit !== undefined && !(isWhole(limit) && limit >= 1 && limit <= limits.mapRangeEntriesMax)) {
    throw badOption(
      `limit is ${shown(limit)}.`,
      `Give a whole number from 1 to ${limits.mapRangeEntriesMax}.`,
    );
  }
  const bounds = { ...(limit !== undefined && { limit }), ...(after !== undefined && { after }) };
  return mapQuestions.range(keyRange(given), bounds);
}

function keyRange(given: Given<RangeOptions>): KeyRange {
  const prefix = checkText("prefix", given.prefix);
  const from = checkText("from", given.from);
  const to = checkText("to", given.to);
  if (from === undefined && to === undefined) return { kind: "prefix", prefix: prefix ?? "" };
  if (prefix !== undefined) {
    throw badOption("A range has a prefix as well as a first or last key.", "Give one or the other.");
  }
  return { kind: "between", from: from ?? "", ...(to !== undefined && { to }) };
}

function checkText(name: string, text: unknown): string | undefined {
  if (text === undefined || typeof text === "string") return text;
  throw badOption(`${name} is ${shown(text)}.`, "Keys are texts: give a text, or leave it out.");
}

function checkPrefix(prefix: unknown): string {
  if (typeof prefix === "string") return prefix;
  throw badOption(
    `The prefix is ${shown(prefix)}.`,
    'Give the text that the keys to watch begin with; "" stands for all keys.',
  );
}

/**
 * Where a watch begins. "From now on" is behind what the agent has applied when the watch is made: where only the agent
 * knows that, it is asked then, and not when the first change is wanted.
 */
class Beginning {
  readonly #client: GroupClient;
  readonly #waiting = new Set<() => void>();
  #isAsking = false;
  index: number | undefined;

  constructor(client: GroupClient, from: number | undefined) {
    this.#client = client;
    const applied = from === undefined ? client.gateway.appliedNow() : undefined;
    this.index = applied === undefined ? from : applied + 1;
    if (this.index === undefined) this.#ask();
  }

  /** Calls back once the agent has answered, or was lost; then `index` is known, or not yet. */
  find(done: () => void): Cancel {
    this.#waiting.add(done);
    if (!this.#isAsking) this.#ask();
    return () => this.#waiting.delete(done);
  }

  #ask(): void {
    this.#isAsking = true;
    this.#client.gateway.refreshStatus((result) => {
      this.#isAsking = false;
      if (result.kind === "status") this.index ??= result.status.applied + 1;
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const done of waiting) done();
    });
  }
}

export function compactedError(from: number, earliest: number): QuorateError {
  return new QuorateError("COMPACTED", `The history at index ${from} is gone; it begins at ${earliest}.`, {
    outcome: "notDone",
    hint: `Read the present state, then go on from an index of at least ${earliest}.`,
  });
}

function watchFrom<V>(client: GroupClient, filter: Uint8Array, beginning: Beginning): Pull<MapChange<V>> {
  let next: number | undefined;
  const read = (changes: Changes): MapChange<V>[] => {
    if (changes.kind === "compacted") throw compactedError(next ?? 0, changes.earliest);
    next = changes.through + 1;
    return changes.changes.map(({ index, bytes }) => {
      const { key, value } = decodeMapChange(bytes);
      return { index, key, ...(value !== undefined && { value: decodeValue<V>(value) }) };
    });
  };
  return (done) => {
    next ??= beginning.index;
    if (next === undefined) {
      return beginning.find(() => {
        done(beginning.index === undefined ? { kind: "lost" } : { kind: "items", items: [] });
      });
    }
    return client.gateway.changes(filter, next, (result) => {
      if (result.kind === "lost") {
        done({ kind: "lost" });
        return;
      }
      try {
        done({ kind: "items", items: read(result) });
      } catch (error) {
        done({ kind: "failed", error: readError(error) });
      }
    });
  };
}

/** What reading a stream threw, as an error for its reader. */
export function readError(error: unknown): QuorateError {
  if (error instanceof QuorateError) return error;
  return new QuorateError("PROTOCOL", "An item of the stream could not be read.", {
    outcome: "notDone",
    hint: "Give `state` the same kinds on every member and client, and run versions that fit together.",
    cause: error,
  });
}
