/**
 * The newest changes of a map, for those who watch it, as bytes in one ring: no object for each, which the garbage
 * collector would have to follow for as long as the change is kept. The ring grows to its limit and is then overwritten.
 * It is no part of the state: an agent that restored a snapshot knows fewer.
 */
import {
  assert,
  type Changes,
  limits,
  type MachineChange,
  Queue,
  readUint32,
  readUint53,
  writeUint32,
  writeUint53,
} from "../core/index.ts";
import { mapChangeBytes, mapChangeKeyStartsWith, writeMapChange } from "./map-codec.ts";

const ringBytesAtFirst = 1024;
/** Before each change: its version and its length. */
const headBytes = 12;

export class ChangeHistory {
  readonly #changesMax: number;
  readonly #bytesMax: number;
  #ring: Uint8Array;
  /** Where each change begins, the oldest first. None is cut in two by the end of the ring. */
  #starts = new Queue<number>();
  /** Where the next one goes if there is room. */
  #end = 0;
  /** Every change from this index on is here. */
  #earliest = 1;

  /** Smaller windows are for tests. */
  constructor(changesMax: number = limits.watchHistoryMax, bytesMax: number = limits.watchHistoryBytesMax) {
    this.#changesMax = changesMax;
    this.#bytesMax = bytesMax;
    this.#ring = new Uint8Array(Math.min(ringBytesAtFirst, bytesMax));
  }

  push(kind: "written" | "deleted", version: number, record: Uint8Array): void {
    const byteLength = mapChangeBytes(record);
    const start = this.#roomFor(headBytes + byteLength);
    writeUint53(this.#ring, start, version);
    writeUint32(this.#ring, start + 8, byteLength);
    writeMapChange(kind, record, this.#ring, start + headBytes);
    this.#starts.push(start);
    this.#end = start + headBytes + byteLength;
    if (this.#starts.count > this.#changesMax) this.#forgetOldest();
  }

  /** Forgets all: the next change is at `earliest` or behind it. */
  reset(earliest: number): void {
    this.#starts = new Queue();
    this.#end = 0;
    this.#earliest = earliest;
  }

  /** Changes of keys that begin with these bytes of UTF-8. */
  read(prefix: Uint8Array, from: number, changesMax: number): Changes {
    if (from < this.#earliest) {
      // Index 0 is before the first entry: whoever asks from there wants everything, which may still be here.
      if (from !== 0 || this.#earliest !== 1) return { kind: "compacted", earliest: this.#earliest };
    }
    const changes: MachineChange[] = [];
    let through = Math.max(from - 1, 0);
    let byteLength = 0;
    for (let place = this.#placeOf(from); place < this.#starts.count; place++) {
      const bytes = this.#at(place);
      const index = this.#versionAt(place);
      if (mapChangeKeyStartsWith(bytes, prefix)) {
        byteLength += bytes.length;
        const isFull = changes.length > 0 && byteLength > limits.mapRangeBytesMax;
        if (isFull || changes.length >= changesMax) break;
        changes.push({ index, bytes: bytes.slice() });
      }
      through = index;
    }
    return { kind: "changes", changes, through };
  }

  /** The place of the first change at or behind this index. */
  #placeOf(index: number): number {
    let low = 0;
    let high = this.#starts.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#versionAt(middle) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #versionAt(place: number): number {
    return readUint53(this.#ring, this.#starts.at(place));
  }

  /** A view, which the next change may overwrite. */
  #at(place: number): Uint8Array {
    const from = this.#starts.at(place) + headBytes;
    return this.#ring.subarray(from, from + readUint32(this.#ring, from - 4));
  }

  #forgetOldest(): void {
    this.#earliest = this.#versionAt(0) + 1;
    this.#starts.take();
  }

  /** Where so many bytes may be written: the ring grows while it may, and then the oldest changes go. */
  #roomFor(byteLength: number): number {
    assert(byteLength <= this.#bytesMax, "the history has room for the largest change");
    for (;;) {
      const start = this.#free(byteLength);
      if (start !== undefined) return start;
      if (this.#ring.length < this.#bytesMax) this.#grow();
      else this.#forgetOldest();
    }
  }

  #free(byteLength: number): number | undefined {
    if (this.#starts.count === 0) return byteLength <= this.#ring.length ? 0 : undefined;
    const oldest = this.#starts.peek();
    // What is kept lies between the oldest and the end, or, where that has wrapped around, outside of it.
    const hasWrapped = this.#end <= oldest;
    if (this.#end + byteLength <= (hasWrapped ? oldest : this.#ring.length)) return this.#end;
    return !hasWrapped && byteLength <= oldest ? 0 : undefined;
  }

  /** Twice the room, and everything in order from its beginning. */
  #grow(): void {
    const grown = new Uint8Array(Math.min(this.#ring.length * 2, this.#bytesMax));
    const starts = new Queue<number>();
    let end = 0;
    for (let place = 0; place < this.#starts.count; place++) {
      const bytes = this.#at(place);
      const head = this.#starts.at(place);
      grown.set(this.#ring.subarray(head, head + headBytes + bytes.length), end);
      starts.push(end);
      end += headBytes + bytes.length;
    }
    this.#ring = grown;
    this.#starts = starts;
    this.#end = end;
  }
}
