/** The agent's write-ahead log, shared by all its groups: one sync covers them all. SPEC.md has format and rules. */
import { assert } from "../core/assert.ts";
import type { Encoded } from "../core/boundary.ts";
import type { Checksum } from "../core/checksum.ts";
import { QuorateError } from "../core/errors.ts";
import type { GroupName, RecordNumber } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { directoryLineBytes, encodeDirectory, runHeaderBytes } from "./body.ts";
import { CopyForward } from "./copy-forward.ts";
import type { Disk } from "./disk.ts";
import { blockHeaderBytes, journalIdBytes } from "./format.ts";
import { Gather, type GatheredRun } from "./gather.ts";
import { Group } from "./group.ts";
import { inspectJournal, type JournalReport } from "./inspect.ts";
import { BlockReader, recoveredRecords, type NumberedRecord } from "./reading.ts";
import type { SegmentStore } from "./segments.ts";
import { startJournal } from "./start.ts";
import { writeBlock } from "./write-block.ts";

export interface JournalOptions {
  readonly disk: Disk;
  /** 16 random bytes, made with the data folder, known to nobody else. Segments with another id are `DATA_FOREIGN`. */
  readonly id: Uint8Array;
  readonly checksum: Checksum;
  /** The folder was given a beginning (`beginJournal`): one without memory is refused then. Default: a journal is made there. */
  readonly begun?: boolean;
  /** Runs a task soon, after what already waits: pieces of zeroing and copying. */
  readonly schedule: (task: () => void) => void;
  /** Length of a segment: whole sectors. Default `limits.segmentBytes`. */
  readonly segmentBytes?: number;
  /** Longest block, its directory apart. Default `limits.blockBytesMax`; at most half a segment. */
  readonly blockBytesMax?: number;
  /** With more segments than this, those of which little is needed are copied forward and recycled. Default `limits.segmentsKeptMax`. */
  readonly segmentsKeptMax?: number;
  /** The group's records up to and including `through` are durable. */
  readonly onDurable: (group: GroupName, through: RecordNumber) => void;
  /** A write or sync failed: called once, after which nothing is durable any more and the agent must end. */
  readonly onFailure: (error: Error) => void;
}

/** One group's records as {@link Journal.open} found them. */
export interface RecoveredRecords {
  /** In order of their numbers, from the first needed one on. Read from the disk while iterated: use it at once. */
  readonly records: Iterable<Uint8Array>;
  /** The number that the next record appended will have. */
  readonly next: RecordNumber;
  /** Records are missing or may be: the group must neither vote nor acknowledge, and appends to it are refused. */
  readonly damaged: boolean;
}

export interface JournalStatus {
  readonly segments: number;
  readonly bytes: number;
  /** Number of the last block written. */
  readonly blocks: number;
  /** Since it was opened. */
  readonly syncs: number;
  readonly syncsInFlight: number;
  /** Appended and not yet written. */
  readonly gatheredBytes: number;
}

export class Journal {
  readonly #o: JournalOptions;
  readonly #blockBytesMax: number;
  readonly #segmentBytes: number;
  readonly #groups: Map<GroupName, Group>;
  /** Groups that the disk has lost with their names: any name that is not known may be one of them. */
  readonly #groupsLost: number;
  readonly #store: SegmentStore;
  readonly #reader: BlockReader;
  readonly #copying: CopyForward;
  /** Blocks that gather, in order; the last one takes what is appended. */
  readonly #gathers: Gather[] = [];
  #spare: Gather | undefined;
  #groupsWritten: number;
  /** Upper bound for a directory of all groups. */
  #directoryBytes = 4;
  #blockNumber: number;
  #syncs = 0;
  #syncing = false;
  #flushWanted = false;
  #directoryWanted = false;
  #waitsForSegment = false;
  #failed = false;
  #closing: (() => void) | undefined;
  #storeClosing = false;

  /**
   * Reads the journal in the folder, or makes one; blocking, for start-up. When it returns, everything recovered is
   * durable. Throws `DATA_FOREIGN`, `DATA_VERSION`, `DISK_FULL`, the `DiskError` of a disk that fails, and, for a journal
   * that was begun, `DATA_MISSING` or `DATA_CORRUPT` if nothing is left of it.
   */
  static open(options: JournalOptions): Journal {
    return new Journal(options);
  }

  private constructor(options: JournalOptions) {
    assert(options.id.length === journalIdBytes, "a journal's id has 16 bytes");
    this.#o = options;
    this.#segmentBytes = options.segmentBytes ?? limits.segmentBytes;
    this.#blockBytesMax = options.blockBytesMax ?? limits.blockBytesMax;
    assert(this.#blockBytesMax * 2 <= this.#segmentBytes, "a block fits into a segment beside its directory");
    const started = startJournal({
      ...options,
      begun: options.begun ?? false,
      segmentBytes: this.#segmentBytes,
      blockBytesMax: this.#blockBytesMax,
      onReady: () => this.#onSegmentReady(),
      onFull: () => this.#onDiskFull(),
      onError: (error) => this.#fail(error),
    });
    this.#store = started.store;
    this.#groups = started.groups;
    this.#groupsLost = started.groupsLost;
    this.#groupsWritten = started.groups.size + started.groupsLost;
    this.#blockNumber = started.blockNumber;
    for (const group of started.groups.values()) this.#directoryBytes += directoryLineBytes(group);
    this.#gathers.push(new Gather(this.#blockBytesMax));
    this.#reader = new BlockReader(options.checksum);
    this.#copying = new CopyForward({
      reader: this.#reader,
      schedule: options.schedule,
      pieceBytesMax: this.#blockBytesMax,
      groups: () => this.#groups.values(),
      copy: (group, record) => this.#copy(group, record),
      onPiece: () => this.flush(),
      onDone: () => this.#maintain(),
    });
  }

  /** The disk has no room for another segment: what is left of this one is for what must be said, so take no proposals. */
  get diskFull(): boolean {
    return this.#store.diskFull;
  }

  get status(): JournalStatus {
    let gatheredBytes = 0;
    for (const gather of this.#gathers) if (!gather.isEmpty) gatheredBytes += gather.byteLength;
    return {
      segments: this.#store.count,
      bytes: this.#store.byteLength,
      blocks: this.#blockNumber,
      syncs: this.#syncs,
      syncsInFlight: this.#syncing ? 1 : 0,
      gatheredBytes,
    };
  }

  /** The groups that it has records of. */
  groups(): readonly GroupName[] {
    return [...this.#groups.values()].filter((group) => group.last > 0).map((group) => group.name);
  }

  /** What the disk has of a group; of one that it does not know, nothing. Before the first append to it. */
  recover(name: GroupName): RecoveredRecords {
    const group = this.#groups.get(name);
    if (group === undefined) {
      return { records: [], next: 1 as RecordNumber, damaged: this.#groupsLost > 0 };
    }
    const from = group.needed;
    return {
      records: { [Symbol.iterator]: () => recoveredRecords(group, from) },
      next: (group.last + 1) as RecordNumber,
      damaged: group.damaged,
    };
  }

  /** Copies a record into the block that gathers, and gives it its number. Throws `CLOSED` after a failure or `close`. */
  append(name: GroupName, record: Encoded): RecordNumber {
    this.#refuseIfOver();
    const group = this.#groups.get(name) ?? this.#newGroup(name);
    assert(!group.damaged, "J8: a damaged group appends nothing");
    if (group.last === 0) this.#directoryBytes += directoryLineBytes(group);
    assert(
      this.#directoryBytes + this.#blockBytesMax + 2 * limits.sectorBytes <= this.#segmentBytes,
      "a directory of all groups fits into a segment beside a block",
    );
    let recordBytes = record.head.length;
    for (const part of record.tail) recordBytes += part.length;
    group.last += 1;
    this.#gatherFor(group, recordBytes).add(group, group.last, false, record, recordBytes);
    return group.last as RecordNumber;
  }

  /**
   * Writes what has gathered, as one block, and starts its sync. If one is in flight, that happens at its end. What
   * exceeds a block follows in further ones, one by one.
   */
  flush(): void {
    if (this.#failed || this.#storeClosing) return;
    this.#flushWanted = true;
    this.#store.prepare(false);
    this.#pump();
  }

  /**
   * The group's written records from `from` on, in order; it begins later if those before were released. Read while
   * iterated: use it at once. Throws `DATA_CORRUPT` where a block has rotted, `CLOSED` after a failure or `close`.
   */
  *read(name: GroupName, from: RecordNumber): Generator<NumberedRecord> {
    this.#refuseIfOver();
    const group = this.#groups.get(name);
    if (group === undefined) return;
    for (const run of group.index.from(from)) yield* this.#reader.records(run, from);
  }

  /** The group's recovery needs no record below `neededFrom`, now that what replaces them is durable. */
  release(name: GroupName, neededFrom: RecordNumber): void {
    const group = this.#groups.get(name);
    if (group === undefined || this.#failed || neededFrom <= group.needed) return;
    assert(neededFrom <= group.durable + 1, "only durable records are released");
    group.needed = neededFrom;
    group.index.dropBelow(neededFrom);
    this.#freeIfFull();
    this.#pump();
  }

  /**
   * The group begins anew: nothing of what the journal has of it is given any more, and damage is forgotten with it. It counts
   * once a record appended after it is durable; before that, a restart finds the group as it was. Its numbers go on.
   */
  restart(name: GroupName): void {
    this.#refuseIfOver();
    const group = this.#groups.get(name) ?? this.#newGroup(name);
    assert(group.last === group.durable, "J28: a group begins anew before anything is appended to it");
    group.needed = group.last + 1;
    group.index.dropBelow(group.needed);
    group.damaged = false;
    // With the first record behind it in one block, so that neither is there without the other.
    this.#directoryWanted = true;
  }

  /** What `quorate journal check` shows: reads the whole journal, blocking. */
  check(): JournalReport {
    return inspectJournal(this.#o.disk, this.#o.id, this.#o.checksum);
  }

  /** Takes nothing more, finishes what `flush` was asked for, closes the files, then calls `done`. */
  close(done: () => void): void {
    assert(this.#closing === undefined, "a journal is closed once");
    this.#closing = done;
    this.#copying.stop();
    this.#closeIfIdle();
  }

  #newGroup(name: GroupName): Group {
    assert(this.#groupsLost === 0, "J8: a group that may be a lost one appends nothing");
    const group = new Group(name);
    this.#groups.set(name, group);
    return group;
  }

  #gatherFor(group: Group, recordBytes: number): Gather {
    assert(
      blockHeaderBytes + runHeaderBytes(group) + 4 + recordBytes <= this.#blockBytesMax,
      "a record fits into a block",
    );
    const newest = this.#gathers.at(-1)!;
    if (newest.fits(group, recordBytes)) return newest;
    const further = this.#spare ?? new Gather(this.#blockBytesMax);
    this.#spare = undefined;
    this.#gathers.push(further);
    return further;
  }

  #copy(group: Group, record: NumberedRecord): void {
    const { number, bytes } = record;
    const gather = this.#gatherFor(group, bytes.length);
    gather.add(group, number, true, { head: bytes, tail: [] }, bytes.length);
  }

  /** Writes the next block if it is wanted, and if neither a sync nor a segment is to be waited for. */
  #pump(): void {
    if (this.#failed || this.#syncing || this.#storeClosing || !this.#flushWanted) return;
    const gather = this.#gathers[0]!;
    let directory =
      this.#directoryWanted && this.#store.active.fits(gather.byteLength + this.#directoryBytes);
    this.#directoryWanted = false;
    if (gather.isEmpty && !directory) {
      this.#flushWanted = false;
      return;
    }
    if (!this.#store.active.fits(gather.byteLength)) {
      this.#waitsForSegment = !this.#store.advance();
      if (this.#waitsForSegment) {
        this.#store.prepare(true);
        return;
      }
      directory = true;
    }
    this.#write(gather, directory);
  }

  #write(gather: Gather, withDirectory: boolean): void {
    assert(!this.#syncing, "J2: a block is written only once the one before it is synced");
    const { runs } = gather;
    for (const { group, first, count, copied } of runs) {
      if (copied) continue;
      assert(first === group.written + 1, "J1: a group's records are written in order");
      if (group.written === 0) this.#groupsWritten += 1;
      group.written = first + count - 1;
    }
    const { active } = this.#store;
    this.#blockNumber += 1;
    try {
      writeBlock({
        gather,
        segment: active,
        number: this.#blockNumber,
        groups: this.#groupsWritten,
        directory: withDirectory ? encodeDirectory(this.#groups.values()) : undefined,
        checksum: this.#o.checksum,
      });
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error("the disk threw something", { cause: error }));
      return;
    }
    if (withDirectory) this.#store.condemn();
    gather.clear();
    if (this.#gathers.length > 1) {
      this.#spare = gather;
      this.#gathers.shift();
    }
    this.#syncing = true;
    active.file.sync((error) => this.#onSynced(runs, withDirectory, error));
  }

  #onSynced(runs: readonly GatheredRun[], withDirectory: boolean, error: Error | undefined): void {
    assert(this.#syncing, "J2: one sync at a time");
    if (error !== undefined || this.#failed) {
      this.#syncing = false;
      if (error !== undefined) this.#fail(error);
      this.#closeIfIdle();
      return;
    }
    this.#syncs += 1;
    if (withDirectory) this.#store.freeCondemned();
    const reached = new Map<Group, number>();
    for (const { group, first, count, copied } of runs) {
      if (!copied) reached.set(group, first + count - 1);
    }
    for (const [group, through] of reached) {
      assert(through > group.durable, "J1: a group's records become durable in order");
      group.durable = through;
      this.#o.onDurable(group.name, through as RecordNumber);
    }
    // Only now: a flush from within those calls must not overtake the reports that are still to come.
    this.#syncing = false;
    if (withDirectory || this.diskFull) this.#maintain();
    this.#freeIfFull();
    this.#pump();
    if (this.#gathers[0]!.isEmpty) this.#copying.resume();
    this.#closeIfIdle();
  }

  #onSegmentReady(): void {
    if (!this.#waitsForSegment) return;
    this.#waitsForSegment = false;
    this.#pump();
    this.#closeIfIdle();
  }

  #onDiskFull(): void {
    if (this.#waitsForSegment) {
      this.#fail(
        new QuorateError("DISK_FULL", "The disk has no room for another journal segment.", {
          outcome: "unknown",
          hint: "Make room on the disk of the data folder and start the agent again.",
        }),
      );
      return;
    }
    this.#maintain();
    this.#freeIfFull();
    this.#pump();
  }

  /** On a full disk a segment that nobody needs is worth a directory of its own. */
  #freeIfFull(): void {
    if (!this.diskFull || !this.#store.hasDead) return;
    this.#directoryWanted = true;
    this.#flushWanted = true;
  }

  /** Sees to the next segment, and to segments that are held for little. */
  #maintain(): void {
    if (this.#failed || this.#closing !== undefined) return;
    const { kept, active } = this.#store;
    this.#store.prepare(false);
    if (kept.length <= (this.#o.segmentsKeptMax ?? limits.segmentsKeptMax) && !this.diskFull) return;
    const room = this.diskFull ? (active.byteLength - active.end) / 4 : active.byteLength;
    this.#copying.start(
      kept.filter((segment) => segment !== active),
      room,
    );
  }

  #fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#copying.stop();
    this.#o.onFailure(error);
    this.#closeIfIdle();
  }

  #refuseIfOver(): void {
    if (!this.#failed && this.#closing === undefined) return;
    throw new QuorateError(
      "CLOSED",
      this.#failed ? "The journal's disk has failed." : "The journal is closed.",
      {
        outcome: "notDone",
        hint: "Start the agent again.",
      },
    );
  }

  #closeIfIdle(): void {
    const done = this.#closing;
    if (done === undefined || this.#syncing || this.#storeClosing) return;
    const pending = this.#flushWanted && !this.#gathers[0]!.isEmpty;
    if (pending && !this.#failed) return;
    this.#storeClosing = true;
    this.#store.close(() => this.#o.schedule(done));
  }
}
