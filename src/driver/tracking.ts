/**
 * How far the commands come whose proposers asked to be told, seen from this agent. It looks for them in the runs that go
 * by, whatever the mechanism; while nothing is tracked, no run is looked at.
 */
import { canFollow, type DecisionState, type ProgressState } from "../core/decision.ts";
import { entryLength, entrySequence, entrySession, entryUnsettled, type Run } from "../core/entry.ts";
import type { LogIndex, RecordNumber } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { GroupObserver } from "./hosted.ts";

interface Tracked {
  readonly session: number;
  readonly sequence: number;
  /** The last one told; `decided` once nobody wants to hear more. */
  state: DecisionState;
  isWritten: boolean;
}

/** A tracked entry in a record that is not yet known to be on disk. */
interface Written {
  readonly tracked: Tracked;
  readonly index: LogIndex;
  readonly record: RecordNumber;
}

export class Tracking {
  readonly #observer: Pick<GroupObserver, "progressed">;
  readonly #trackedMax: number;
  /** Session → sequence → command. */
  readonly #sessions = new Map<number, Map<number, Tracked>>();
  #count = 0;
  /** In the order of the log, which is that of the records. */
  readonly #written: Written[] = [];

  constructor(observer: Pick<GroupObserver, "progressed">, trackedMax: number = limits.trackedCommandsMax) {
    this.#observer = observer;
    this.#trackedMax = trackedMax;
  }

  /** Whether runs have to be looked into at all. */
  get isWatching(): boolean {
    return this.#count > 0;
  }

  /** Tracks these too, as many as there is room for. What is tracked already goes on as it is. */
  add(commands: readonly Uint8Array[]): void {
    for (const command of commands) {
      if (this.#count >= this.#trackedMax) return;
      const session = entrySession(command, 0);
      const sequence = entrySequence(command, 0);
      const ofSession = this.#sessions.get(session) ?? new Map<number, Tracked>();
      if (ofSession.has(sequence)) continue;
      this.#sessions.set(session, ofSession);
      ofSession.set(sequence, { session, sequence, state: "pending", isWritten: false });
      this.#count += 1;
    }
  }

  /** A record was pushed whose run replaces everything in the log from its first entry on. */
  pushed(run: Run, record: RecordNumber): void {
    this.#cut(run.first);
    let index = run.first;
    for (let offset = 0; offset < run.bytes.length; offset += entryLength(run.bytes, offset)) {
      const tracked = this.#find(entrySession(run.bytes, offset), entrySequence(run.bytes, offset));
      // Handed in twice, it is in the log twice: what counts is the first one.
      if (tracked !== undefined && !tracked.isWritten) {
        tracked.isWritten = true;
        this.#written.push({ tracked, index, record });
        this.#tell(tracked, "proposed");
      }
      index = (index + 1) as LogIndex;
    }
  }

  /** Records up to and including `through` are on disk. */
  durable(through: number): void {
    if (this.#written.length === 0) return;
    const later = this.#written.findIndex(({ record }) => record > through);
    for (const { tracked } of this.#written.splice(0, later < 0 ? this.#written.length : later)) {
      tracked.isWritten = false;
      this.#tell(tracked, "prepare");
    }
  }

  /** The run is decided. There is nothing to tell of its entries after that: the answer follows. */
  committed(run: Run): void {
    for (let offset = 0; offset < run.bytes.length; offset += entryLength(run.bytes, offset)) {
      const session = entrySession(run.bytes, offset);
      if (!this.#sessions.has(session)) continue;
      const sequence = entrySequence(run.bytes, offset);
      const tracked = this.#find(session, sequence);
      if (tracked !== undefined) {
        this.#tell(tracked, "commit");
        this.drop(session, sequence);
      }
      this.#dropSettled(session, sequence - entryUnsettled(run.bytes, offset));
    }
  }

  drop(session: number, sequence: number): void {
    const ofSession = this.#sessions.get(session);
    const tracked = ofSession?.get(sequence);
    if (ofSession === undefined || tracked === undefined) return;
    tracked.state = "decided";
    ofSession.delete(sequence);
    this.#count -= 1;
    if (ofSession.size === 0) this.#sessions.delete(session);
  }

  dropSession(session: number): void {
    for (const sequence of this.#sessions.get(session)?.keys() ?? []) this.drop(session, sequence);
  }

  /**
   * The session's owner has the answers up to `through`. A command among them that never went by here (it was lost on
   * its way and decided by way of another agent) would otherwise be looked for until the owner leaves.
   */
  #dropSettled(session: number, through: number): void {
    for (const sequence of this.#sessions.get(session)?.keys() ?? []) {
      // They were added in about this order.
      if (sequence > through) return;
      this.drop(session, sequence);
    }
  }

  /** Entries from `first` on are not in the log any more. Nothing is said of them until they are again. */
  #cut(first: LogIndex): void {
    for (
      let last = this.#written.at(-1);
      last !== undefined && last.index >= first;
      last = this.#written.at(-1)
    ) {
      last.tracked.isWritten = false;
      this.#written.pop();
    }
  }

  #find(session: number, sequence: number): Tracked | undefined {
    return this.#sessions.get(session)?.get(sequence);
  }

  #tell(tracked: Tracked, state: ProgressState): void {
    if (!canFollow(tracked.state, state)) return;
    tracked.state = state;
    this.#observer.progressed(tracked.session, tracked.sequence, state);
  }
}
