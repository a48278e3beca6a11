/**
 * Answers by request id: a caller that lost its session, or its whole process, asks again under the same id and gets
 * the first answer. Bounded in ids and in bytes; the oldest in the log goes first, on every agent alike.
 */
import {
  assert,
  ByteReader,
  ByteWriter,
  emptyBytes,
  encodeText,
  limits,
  MalformedError,
  writeUint32,
  Queue,
} from "../core/index.ts";
import { answerIndex, decodeAnswer } from "./answers.ts";
import { emptyHash, type Hash128, hashRange, HashSum } from "./hash.ts";
import type { LearnedBytes } from "./proposals.ts";
import { answerOverheadBytes } from "./sessions.ts";

export interface RequestRecord {
  readonly id: string;
  readonly machine: string;
  /** Of the machine's name and the command, to tell another command under the same id. */
  readonly commandHash: Readonly<Hash128>;
  /** The whole answer envelope; its index is that of the entry. */
  readonly answer: Uint8Array;
  /** The values themselves, where they are plain decided ones: the log forgets them sooner. */
  readonly command?: Uint8Array;
}

interface Kept {
  readonly record: RequestRecord;
  readonly hash: Readonly<Hash128>;
  readonly cost: number;
}

export class RequestIds {
  readonly #byId = new Map<string, RequestRecord>();
  readonly #inLogOrder = new Queue<Kept>();
  #bytes = 0;
  readonly #sum = new HashSum();

  get count(): number {
    return this.#byId.size;
  }

  find(id: string): RequestRecord | undefined {
    return this.#byId.get(id);
  }

  /** Keeps the first answer under a new id. */
  remember(record: RequestRecord): void {
    assert(!this.#byId.has(record.id), "S5: only the first answer is kept under an id");
    const kept: Kept = { record, hash: hashOf(record), cost: costOf(record) };
    this.#byId.set(record.id, record);
    this.#inLogOrder.push(kept);
    this.#sum.add(kept.hash);
    this.#bytes += kept.cost;
    while (
      this.#inLogOrder.count > limits.requestIdsMax ||
      (this.#bytes > limits.answersBytesMax && this.#inLogOrder.count > 1)
    ) {
      this.#forgetOldest();
    }
  }

  learn(id: string): LearnedBytes {
    const record = this.#byId.get(id);
    if (record === undefined) return { kind: "unknown" };
    if (record.command === undefined)
      return { kind: "applied", machine: record.machine, answer: record.answer };
    return { kind: "decided", index: answerIndex(record.answer), command: record.command };
  }

  digest(): Uint8Array {
    return this.#sum.toBytes();
  }

  /** The records as they are now, oldest first. */
  freeze(): RequestRecord[] {
    return this.#inLogOrder.toArray().map((kept) => kept.record);
  }

  /** Puts a record of a snapshot behind those already there. Throws {@link MalformedError} where no table could hold it. */
  restore(record: RequestRecord): void {
    const { count } = this.#inLogOrder;
    if (count >= limits.requestIdsMax) throw new MalformedError("there are too many request ids");
    if (this.#byId.has(record.id)) throw new MalformedError("a request id is there twice");
    if (
      count > 0 &&
      answerIndex(this.#inLogOrder.at(count - 1).record.answer) >= answerIndex(record.answer)
    ) {
      throw new MalformedError("request ids are out of order");
    }
    if (count > 0 && this.#bytes + costOf(record) > limits.answersBytesMax) {
      throw new MalformedError("request ids hold too many bytes");
    }
    this.remember(record);
  }

  #forgetOldest(): void {
    const { record, hash, cost } = this.#inLogOrder.take();
    this.#byId.delete(record.id);
    this.#sum.subtract(hash);
    this.#bytes -= cost;
  }
}

function costOf(record: RequestRecord): number {
  return record.answer.length + (record.command?.length ?? 0) + answerOverheadBytes;
}

const scratch = new Uint8Array(64);

/** The hash of everything that a record holds. */
function hashOf(record: RequestRecord): Hash128 {
  const hash = emptyHash();
  const { commandHash, answer, command } = record;
  const names = encodeText(`${record.id}\0${record.machine}`);
  hashRange(names, 0, names.length, hash, 1);
  writeHash(0, hash);
  writeHash(16, commandHash);
  hashRange(answer, 0, answer.length, hash, 2);
  writeHash(32, hash);
  // None and an empty one are told apart by the seed.
  hashRange(command ?? emptyBytes, 0, command?.length ?? 0, hash, command === undefined ? 3 : 4);
  writeHash(48, hash);
  hashRange(scratch, 0, 64, hash, record.id.length);
  return hash;
}

function writeHash(at: number, hash: Readonly<Hash128>): void {
  writeUint32(scratch, at, hash.a);
  writeUint32(scratch, at + 4, hash.b);
  writeUint32(scratch, at + 8, hash.c);
  writeUint32(scratch, at + 12, hash.d);
}

/** One record as a frame of a snapshot. */
export function encodeRequest(record: RequestRecord): Uint8Array {
  const { commandHash, command } = record;
  const writer = new ByteWriter(128).text(record.id).text(record.machine);
  for (const part of [commandHash.a, commandHash.b, commandHash.c, commandHash.d]) writer.uint32(part >>> 0);
  writer.bytes(record.answer).uint8(command === undefined ? 0 : 1);
  if (command !== undefined) writer.raw(command);
  return writer.finish();
}

/** Throws {@link MalformedError}. What it holds are copies. */
export function decodeRequest(bytes: Uint8Array): RequestRecord {
  const reader = new ByteReader(bytes);
  const id = reader.text();
  const machine = reader.text();
  const commandHash = {
    a: reader.uint32() | 0,
    b: reader.uint32() | 0,
    c: reader.uint32() | 0,
    d: reader.uint32() | 0,
  };
  const answer = reader.bytes().slice();
  decodeAnswer(answer);
  const hasCommand = reader.uint8();
  if (hasCommand > 1) throw new MalformedError("a request's command is there or not");
  const command = hasCommand === 1 ? { command: reader.rest().slice() } : {};
  reader.end();
  return { id, machine, commandHash, answer, ...command };
}
