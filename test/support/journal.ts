/** A stage for stories about the journal: a simulated disk, a clock that only tests move, and what a group was promised. */
import { crc32 } from "../../src/core/checksum.ts";
import { groupName, type GroupName, type RecordNumber } from "../../src/core/ids.ts";
import { Prng } from "../../src/core/prng.ts";
import { encodeText, decodeText } from "../../src/core/text.ts";
import { beginJournal } from "../../src/journal/begin.ts";
import { segmentNumberOf } from "../../src/journal/format.ts";
import { Journal, type JournalOptions } from "../../src/journal/journal.ts";
import { scanSegment, type BlockScan } from "../../src/journal/scan.ts";
import { SimulatedDisk, type SimulatedDiskOptions } from "../../src/simulator/disk.ts";

/** Time that passes only when it is told to. */
export class TestClock {
  #tasks: { at: number; order: number; task: () => void }[] = [];
  #order = 0;
  now = 0;

  readonly after = (delayMicros: number, task: () => void): void => {
    this.#order += 1;
    this.#tasks.push({ at: this.now + delayMicros, order: this.#order, task });
  };

  /** Runs the next task, if it is due by then; false if none is. */
  step(latest: number = Number.POSITIVE_INFINITY): boolean {
    if (this.#tasks.length === 0) return false;
    let next = 0;
    for (const [position, { at, order }] of this.#tasks.entries()) {
      const best = this.#tasks[next]!;
      if (at < best.at || (at === best.at && order < best.order)) next = position;
    }
    if (this.#tasks[next]!.at > latest) return false;
    const [due] = this.#tasks.splice(next, 1);
    this.now = due!.at;
    due!.task();
    return true;
  }

  /** Runs tasks until none waits, or none that is due by then. */
  run(latest?: number): void {
    while (this.step(latest));
  }
}

export const segmentBytes: number = 64 * 1024;
const blockBytesMax = 8 * 1024;
export const journalId: Uint8Array = Uint8Array.from({ length: 16 }, (_, at) => at * 7 + 1);

export type StageOptions = Partial<
  Pick<JournalOptions, "segmentBytes" | "blockBytesMax" | "segmentsKeptMax" | "id" | "begun"> & {
    seed: number;
    disk: Partial<Omit<SimulatedDiskOptions, "prng" | "after">>;
  }
>;

export class JournalStage {
  readonly clock: TestClock = new TestClock();
  readonly disk: SimulatedDisk;
  readonly failures: Error[] = [];
  /** Each call of `onDurable`, as `group:through`. */
  readonly reports: string[] = [];
  /** The highest record number reported durable, over all lives. */
  readonly durable: Map<string, number> = new Map();
  /** By group and record number: the text appended last under that number. */
  readonly appended: Map<string, Map<number, string>> = new Map();
  readonly #o: StageOptions;
  #journal: Journal | undefined;
  #life = 0;

  constructor(options: StageOptions = {}) {
    this.#o = options;
    const prng = new Prng(options.seed ?? 1);
    this.disk = new SimulatedDisk({ prng, after: this.clock.after, ...options.disk });
    if (options.begun === true) beginJournal(this.disk, options.id ?? journalId, crc32);
  }

  get journal(): Journal {
    if (this.#journal === undefined) throw new Error("the journal is not open");
    return this.#journal;
  }

  open(): this {
    this.#life += 1;
    const life = this.#life;
    this.#journal = Journal.open({
      segmentBytes,
      blockBytesMax,
      id: journalId,
      ...this.#o,
      disk: this.disk,
      checksum: crc32,
      schedule: (task) => this.clock.after(0, () => life === this.#life && task()),
      onDurable: (group, through) => {
        this.reports.push(`${group}:${through}`);
        this.durable.set(group, through);
      },
      onFailure: (error) => this.failures.push(error),
    });
    return this;
  }

  /** Appends texts to a group; returns the number of the last one. */
  append(group: string, ...texts: string[]): number {
    let number = 0;
    for (const text of texts) {
      number = this.journal.append(groupName(group), { head: encodeText(text), tail: [] });
      let known = this.appended.get(group);
      if (known === undefined) this.appended.set(group, (known = new Map<number, string>()));
      known.set(number, text);
      for (const later of known.keys()) if (later > number) known.delete(later);
    }
    return number;
  }

  flush(): this {
    this.journal.flush();
    return this;
  }

  /** Appends, flushes, and waits until all is durable. */
  store(group: string, ...texts: string[]): number {
    const number = this.append(group, ...texts);
    this.flush();
    this.clock.run();
    return number;
  }

  release(group: string, neededFrom: number): void {
    this.journal.release(groupName(group), neededFrom as RecordNumber);
  }

  /** The power fails, and the agent starts again. */
  crash(): this {
    this.disk.crash();
    return this.open();
  }

  /** The process ends, the machine runs on, and the agent starts again. */
  kill(): this {
    this.disk.kill();
    return this.open();
  }

  /** What the journal has of a group, as texts. */
  recovered(group: string): string[] {
    return [...this.journal.recover(groupName(group)).records].map((bytes) => decodeText(bytes));
  }

  isDamaged(group: string): boolean {
    return this.journal.recover(groupName(group)).damaged;
  }

  next(group: string): number {
    return this.journal.recover(groupName(group)).next;
  }

  /** What `read` gives, as `number:text`. */
  read(group: string, from: number): string[] {
    const found: string[] = [];
    for (const { number, bytes } of this.journal.read(groupName(group), from as RecordNumber)) {
      found.push(`${number}:${decodeText(bytes)}`);
    }
    return found;
  }

  segments(): string[] {
    return this.disk
      .list()
      .filter((name) => name.endsWith(".segment"))
      .toSorted();
  }
}

/** A text of about so many bytes that is different for each label. */
export function filler(label: string, byteLength: number): string {
  return `${label}${".".repeat(Math.max(0, byteLength - label.length))}`;
}

export function names(...all: string[]): GroupName[] {
  return all.map((name) => groupName(name));
}

/**
 * What holds after every start, whatever happened before: each group has a prefix of what was appended to it, from what
 * it still needs to at least what it was promised, in order, once, unchanged. From then on, what is there is promised.
 */
export function expectPromisesKept(stage: JournalStage, needed: ReadonlyMap<string, number>): void {
  for (const [group, texts] of stage.appended) {
    const found = stage.read(group, 1);
    const first = needed.get(group) ?? 1;
    const promised = stage.durable.get(group) ?? 0;
    const last = stage.next(group) - 1;
    const story = `${group}: needs ${first}, was promised ${promised}, has ${found.length} up to ${last}`;
    if (stage.isDamaged(group)) throw new Error(`damaged without rot: ${story}`);
    if (last < promised) throw new Error(`a durable record is lost: ${story}`);
    const from = last - found.length + 1;
    if (from > first && first <= last) throw new Error(`a needed record is lost: ${story}`);
    for (const [at, record] of found.entries()) {
      const expected = `${from + at}:${texts.get(from + at)}`;
      if (record !== expected)
        throw new Error(`${record.slice(0, 30)} for ${expected.slice(0, 30)}: ${story}`);
    }
    const recovered = stage.recovered(group);
    const tail = found.slice(found.length - recovered.length);
    for (const [at, text] of recovered.entries()) {
      if (!tail[at]!.endsWith(`:${text}`)) throw new Error(`recovery and reading differ: ${story}`);
    }
    for (const number of texts.keys()) if (number > last) texts.delete(number);
    stage.durable.set(group, last);
  }
}

/** A stage with a disk of its own that has the same files, all durable; its journal is not open. */
export function cloned(stage: JournalStage, options: StageOptions = {}): JournalStage {
  const copy = new JournalStage(options);
  for (const name of stage.disk.list()) {
    const file = copy.disk.open(name, "create");
    file.write(0, stage.disk.contents(name));
    file.syncNow();
    file.close();
  }
  copy.disk.syncDirectoryNow();
  return copy;
}

/** Where the blocks of a journal lie, by rising numbers, and what they hold. */
export function blocksOf(stage: JournalStage): BlockScan[] {
  const found: BlockScan[] = [];
  for (const name of stage.segments()) {
    const number = segmentNumberOf(name)!;
    for (const entry of scanSegment(stage.disk, name, number, journalId, crc32).entries) {
      if (entry.kind === "block") found.push(entry);
    }
  }
  return found.sort((a, b) => a.header.number - b.header.number);
}
