/**
 * The snapshots that a group's peers get from here. They ask for the pieces, so all that is kept is which files are in use:
 * whoever asks goes on with whatever was there before, also from a sender that has just started.
 */
import type { Now } from "../core/boundary.ts";
import { microsFromMs, never, type AgentId, type LogIndex, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { SnapshotReader } from "../journal/snapshot-reader.ts";
import type { SnapshotFound } from "../journal/snapshots.ts";
import type { SnapshotAsk, TransferMessage } from "./transfer-messages.ts";

const answerMicros = microsFromMs(limits.transferAnswerMsMax);
const silenceMicros = microsFromMs(limits.transferSilenceMsMax);

export interface SendingHost {
  readonly now: Now;
  /** On the channel for what may take long. */
  send(to: AgentId, message: TransferMessage): void;
  read(index: LogIndex): SnapshotFound;
  /** The transfer is over, and did not bring the peer what it needs. */
  failed(to: AgentId, index: LogIndex): void;
  /** The file can't be read, or is not what was written. */
  damaged(index: LogIndex): void;
}

/** What one peer is getting. */
interface Transfer {
  readonly index: LogIndex;
  offeredAt: number;
  heardAt: number;
}

/** Pieces that a peer waits for. */
interface Asked {
  readonly reader: SnapshotReader;
  readonly next: number;
  /** Behind the last one. */
  readonly end: number;
}

export class Sending {
  readonly #host: SendingHost;
  readonly #transfers = new Map<AgentId, Transfer>();
  readonly #readers = new Map<LogIndex, SnapshotReader>();
  /** Files of which a piece is not what was written: nobody is given any of the others. */
  readonly #damaged = new Set<LogIndex>();
  /** The first one has waited longest. */
  readonly #asked = new Map<AgentId, Asked>();

  constructor(host: SendingHost) {
    this.#host = host;
  }

  /** When to look whether a peer is silent for too long. */
  get deadline(): Micros {
    let earliest: number = never;
    for (const { heardAt } of this.#transfers.values())
      earliest = Math.min(earliest, heardAt + silenceMicros);
    return earliest as Micros;
  }

  get waits(): boolean {
    return this.#asked.size > 0;
  }

  /** The files that peers get at the moment. */
  get inUse(): ReadonlySet<LogIndex> {
    return new Set(Array.from(this.#transfers.values(), ({ index }) => index));
  }

  /** The mechanism wants the peer to have this one. It says so again while nothing comes of it. */
  offer(to: AgentId, index: LogIndex): void {
    const now = this.#host.now.monotonic;
    const before = this.#transfers.get(to);
    if (before?.index === index) {
      // It is under way, or has just been offered.
      if (now - Math.max(before.heardAt, before.offeredAt) < answerMicros) return;
    } else this.#forget(to);
    const reader = this.#reader(index);
    if (reader === undefined) {
      this.#forget(to);
      this.#host.failed(to, index);
      return;
    }
    const { group: _, ...snapshot } = reader.snapshot;
    if (before?.index === index) before.offeredAt = now;
    else this.#transfers.set(to, { index, offeredAt: now, heardAt: now });
    this.#host.send(to, { kind: "snapshotOffer", snapshot });
  }

  /**
   * A peer asks for pieces, or, for none, says that it is still at it. Where it asks for those behind the ones that it
   * waits for, it waits for all of them; where it asks for others, for these alone.
   */
  asked(from: AgentId, { index, contents, first, count }: SnapshotAsk): void {
    const reader = this.#reader(index);
    if (reader?.snapshot.contents !== contents) {
      this.#closeUnused();
      this.#host.send(from, { kind: "snapshotGone", index, contents });
      return;
    }
    const now = this.#host.now.monotonic;
    this.#transfers.set(from, { index, offeredAt: now, heardAt: now });
    const owed = this.#asked.get(from);
    const isSame = owed?.reader === reader;
    if (!isSame) this.#asked.delete(from);
    this.#closeUnused();
    if (isSame && count === 0) return;
    const next = isSame && first === owed.end ? owed.next : first;
    const end = Math.min(first + count, next + limits.piecesAskedMax, reader.pieceCount);
    if (next < end) this.#asked.set(from, { reader, next, end });
    else this.#asked.delete(from);
  }

  /** The peer needs no more of it. */
  ended(from: AgentId, index: LogIndex): void {
    if (this.#transfers.get(from)?.index === index) this.#forget(from);
  }

  /** Sends one piece to whoever has waited longest. */
  sendOne(): void {
    for (const [to, { reader, next, end }] of this.#asked) {
      const { index, contents } = reader.snapshot;
      const piece = reader.piece(next);
      if (piece === undefined) {
        this.#host.send(to, { kind: "snapshotGone", index, contents });
        this.#giveUpDamaged(index);
        return;
      }
      this.#host.send(to, { kind: "snapshotPiece", index, contents, number: next, ...piece });
      this.#asked.delete(to);
      if (next + 1 < end) this.#asked.set(to, { reader, next: next + 1, end });
      return;
    }
  }

  /** Gives up those of whom nothing was heard for too long. */
  wake(): void {
    const now = this.#host.now.monotonic;
    for (const [to, { index, heardAt }] of this.#transfers) {
      if (heardAt + silenceMicros > now) continue;
      this.#forget(to);
      this.#host.failed(to, index);
    }
  }

  /** Gives up the transfers of all files but these. */
  keepOnly(indices: ReadonlySet<LogIndex>): void {
    for (const index of this.#damaged) if (!indices.has(index)) this.#damaged.delete(index);
    for (const [to, { index }] of this.#transfers) {
      if (indices.has(index)) continue;
      this.#forget(to);
      this.#host.failed(to, index);
    }
  }

  close(): void {
    this.#transfers.clear();
    this.#asked.clear();
    this.#closeUnused();
  }

  #reader(index: LogIndex): SnapshotReader | undefined {
    const open = this.#readers.get(index);
    if (open !== undefined || this.#damaged.has(index)) return open;
    const found = this.#host.read(index);
    if (found.kind === "found") {
      this.#readers.set(index, found.reader);
      return found.reader;
    }
    if (found.kind !== "missing") this.#host.damaged(index);
    return undefined;
  }

  #giveUpDamaged(index: LogIndex): void {
    this.#damaged.add(index);
    for (const [to, transfer] of this.#transfers) {
      if (transfer.index !== index) continue;
      this.#forget(to);
      this.#host.failed(to, index);
    }
    this.#host.damaged(index);
  }

  #forget(to: AgentId): void {
    this.#transfers.delete(to);
    this.#asked.delete(to);
    this.#closeUnused();
  }

  #closeUnused(): void {
    const { inUse } = this;
    for (const [index, reader] of this.#readers) {
      if (inUse.has(index)) continue;
      reader.close();
      this.#readers.delete(index);
    }
  }
}
