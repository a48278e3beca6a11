/**
 * The map: keys to opaque values, each with the index of the command that wrote it last as its version, so that a later
 * command can say what it read (compare and swap) and a watcher where it stopped.
 */
import {
  type ApplyContext,
  assert,
  ByteReader,
  type Changes,
  type Codec,
  decodeText,
  limits,
  MalformedError,
  type RestoredState,
  type StateMachine,
  type Steps,
  unreachable,
  writeUint32,
  writeUint53,
} from "../core/index.ts";
import { ChangeHistory } from "./change-history.ts";
import { digestOf, emptyHash, type Hash128, HashSum, hashView } from "./hash.ts";
import {
  type KeyRange,
  type MapAnswer,
  mapAnswerCodec,
  type MapCommand,
  mapCommandCodec,
  type MapEntryView,
  type MapQuestion,
  mapQuestionCodec,
  type MapReply,
  mapReplyCodec,
  recordKey,
  recordValue,
} from "./map-codec.ts";
import { FrameReader, inPieces } from "./pieces.ts";
import { type Slab, Slabs } from "./slabs.ts";
import type { Keyed } from "./sorted-map.ts";
import { VersionedMap } from "./versioned-map.ts";

/** A key with its value; never changed, only replaced. The words are its hash, so that taking it out costs no hashing. */
interface Entry extends Keyed, Readonly<Hash128> {
  readonly version: number;
  /** The record is `slab.bytes[from … to)`: numbers, since a view takes more memory than most records. */
  readonly slab: Slab;
  readonly from: number;
  readonly to: number;
}

const headBytes = 16;
const entryHeadBytes = 12;

/** A new, empty map, for the `machines` of a `ReplicatedState`. */
export function mapMachine(): StateMachine<MapCommand, MapAnswer, MapQuestion, MapReply> {
  return new MapMachine();
}

export class MapMachine implements StateMachine<MapCommand, MapAnswer, MapQuestion, MapReply> {
  readonly version: number = 1;
  readonly commands: Codec<MapCommand> = mapCommandCodec;
  readonly answers: Codec<MapAnswer> = mapAnswerCodec;
  readonly questions: Codec<MapQuestion> = mapQuestionCodec;
  readonly replies: Codec<MapReply> = mapReplyCodec;

  #entries = new VersionedMap<Entry>();
  #sum = new HashSum();
  /** The index of the last command that changed anything. */
  #changedAt = 0;
  #slabs = new Slabs();
  readonly #history = new ChangeHistory();
  readonly #hash = emptyHash();

  /** Bytes that are set aside for keys and values, the spare slabs apart: at most four times what they take, and one slab. */
  get heldBytes(): number {
    return this.#slabs.heldBytes;
  }

  apply(command: MapCommand, context: ApplyContext): MapAnswer {
    assert(context.index > this.#changedAt, "commands are applied in the order of the log");
    switch (command.kind) {
      case "put":
        this.#write(command.key, command.record, context.index);
        return { kind: "put", version: context.index };
      case "cas": {
        const before = this.#entries.get(command.key);
        if ((before?.version ?? 0) !== command.expectedVersion) {
          return before === undefined
            ? { kind: "conflict", version: 0 }
            : { kind: "conflict", version: before.version, value: recordValue(recordOf(before)) };
        }
        this.#write(command.key, command.record, context.index);
        return { kind: "swapped", version: context.index };
      }
      case "delete":
        return this.#delete(command.key, context.index);
      default:
        return unreachable(command);
    }
  }

  query(question: MapQuestion): MapReply {
    switch (question.kind) {
      case "get": {
        const entry = this.#entries.get(question.key);
        if (entry === undefined) return { kind: "absent" };
        return { kind: "found", version: entry.version, value: recordValue(recordOf(entry)) };
      }
      case "range":
        return this.#range(question.range, question.after, question.limit);
      case "size":
        return { kind: "size", size: this.#entries.size };
      default:
        return unreachable(question);
    }
  }

  /** `filter` is a prefix in UTF-8; decode the changes with `decodeMapChange`. */
  changes(filter: Uint8Array, from: number, changesMax: number): Changes {
    // Bytes that are no text make no sense, even if some key begins like them.
    decodeText(filter);
    return this.#history.read(filter, from, changesMax);
  }

  snapshot(): Iterable<Uint8Array> {
    const head = new Uint8Array(headBytes);
    writeUint53(head, 0, this.#changedAt);
    writeUint53(head, 8, this.#entries.size);
    this.#slabs.share();
    return inPieces(snapshotParts(head, this.#entries.freeze()));
  }

  *restoring(pieces: Iterable<Uint8Array>): Steps<RestoredState> {
    const reader = new FrameReader(pieces);
    const head = new ByteReader(reader.take(headBytes));
    const changedAt = head.uint53();
    const size = head.uint53();
    const entries = new VersionedMap<Entry>();
    const slabs = new Slabs();
    const sum = new HashSum();
    let before: string | undefined;
    for (let count = 0; count < size; count++) {
      const entryHead = new ByteReader(reader.take(entryHeadBytes));
      const version = entryHead.uint53();
      const record = reader.take(entryHead.uint32());
      const entry = this.#entryOf(slabs, recordKey(record), record, version);
      if (before !== undefined && before >= entry.key) throw new MalformedError("a map's keys do not rise");
      if (version < 1 || version > changedAt)
        throw new MalformedError("a map's version is not one of its own");
      before = entry.key;
      entries.set(entry);
      sum.add(entry);
      if (reader.wantsPause()) yield;
    }
    reader.end();
    const install = (): void => {
      this.#entries = entries;
      this.#slabs = slabs;
      this.#sum = sum;
      this.#changedAt = changedAt;
      this.#history.reset(changedAt + 1);
    };
    return { digest: mapDigest(sum, changedAt), install };
  }

  digest(): Uint8Array {
    return mapDigest(this.#sum, this.#changedAt);
  }

  #write(key: string, record: Uint8Array, index: number): void {
    const entry = this.#entryOf(this.#slabs, key, record, index);
    const before = this.#entries.set(entry);
    if (before !== undefined) this.#release(before);
    this.#sum.add(entry);
    this.#changedAt = index;
    this.#history.push("written", index, record);
  }

  #delete(key: string, index: number): MapAnswer {
    const before = this.#entries.delete(key);
    if (before === undefined) return { kind: "absent" };
    this.#release(before);
    this.#changedAt = index;
    const written = recordOf(before);
    const record = written.subarray(0, written.length - recordValue(written).length);
    this.#history.push("deleted", index, record);
    return { kind: "deleted" };
  }

  /** This entry is no longer in the map. */
  #release(entry: Entry): void {
    this.#sum.subtract(entry);
    const { slab } = entry;
    if (!this.#slabs.release(slab, entry.to - entry.from)) return;
    for (const key of slab.keys) {
      const left = this.#entries.get(key);
      if (left?.slab !== slab) continue;
      const byteLength = left.to - left.from;
      const room = this.#slabs.roomFor(byteLength);
      const from = room.add(key, recordOf(left));
      this.#entries.set({ ...left, slab: room, from, to: from + byteLength });
      this.#slabs.release(slab, byteLength);
    }
  }

  /** With a copy of the record: a view would keep the whole run of entries that it came in. */
  #entryOf(slabs: Slabs, key: string, record: Uint8Array, version: number): Entry {
    const slab = slabs.roomFor(record.length);
    const from = slab.add(key, record);
    const to = from + record.length;
    hashView(slab.view, from, to, this.#hash, version | 0, Math.floor(version / 0x1_0000_0000));
    const { a, b, c, d } = this.#hash;
    return { key, version, slab, from, to, a, b, c, d };
  }

  #range(range: KeyRange, after: string | undefined, limit: number): MapReply {
    const start = range.kind === "prefix" ? range.prefix : range.from;
    const entriesMax = Math.min(limit, limits.mapRangeEntriesMax);
    const entries: MapEntryView[] = [];
    let byteLength = 0;
    for (const entry of this.#entries.itemsFrom(after === undefined || after < start ? start : after)) {
      const { key, version } = entry;
      if (key === after) continue;
      if (range.kind === "prefix" ? !key.startsWith(range.prefix) : range.to !== undefined && key >= range.to)
        break;
      byteLength += entry.to - entry.from;
      const isFull = entries.length > 0 && byteLength > limits.mapRangeBytesMax;
      if (isFull || entries.length >= entriesMax) return { kind: "entries", entries, more: true };
      entries.push({ key, version, value: recordValue(recordOf(entry)) });
    }
    return { kind: "entries", entries, more: false };
  }
}

/** Of all entries, and of the index of the last change: that decides what a watcher is told after a restore. */
function mapDigest(sum: HashSum, changedAt: number): Uint8Array {
  const bytes = new Uint8Array(24);
  bytes.set(sum.toBytes());
  writeUint53(bytes, 16, changedAt);
  return digestOf(bytes);
}

function* snapshotParts(head: Uint8Array, entries: Iterable<Entry>): Generator<Uint8Array, void, undefined> {
  yield head;
  for (const entry of entries) {
    const entryHead = new Uint8Array(entryHeadBytes);
    writeUint53(entryHead, 0, entry.version);
    writeUint32(entryHead, 8, entry.to - entry.from);
    yield entryHead;
    yield recordOf(entry);
  }
}

/** A view. */
function recordOf({ slab, from, to }: Entry): Uint8Array {
  return slab.bytes.subarray(from, to);
}
