import type { AgentId, LogIndex, Micros, Ticket } from "../core/index.ts";
import type { Pledge } from "./lease.ts";
import type { RaftLimits } from "./options.ts";
import { Window } from "./window.ts";

/**
 * What the leader knows of one peer, and what is on its way to it. Three modes:
 *
 * - `probe`: it is not known where the logs agree. One append is on its way, and the next waits for its answer.
 * - `replicate`: they agree up to `matched`. Appends follow one another without waiting, within the window.
 * - `snapshot`: the peer needs entries that the log no longer has. It gets the snapshot, and nothing else meanwhile; what
 *   it acknowledges ends that as soon as the log has what follows.
 */
export class Progress {
  readonly id: AgentId;
  mode: "probe" | "replicate" | "snapshot" = "probe";
  /** The peer's disk has the leader's log up to here. Never falls, always below `next`. */
  matched = 0 as LogIndex;
  /** The entry to send next. */
  next: LogIndex;
  /** Appends with entries on their way, in mode `replicate` only. */
  readonly window: Window;
  /** In mode `probe`: one is on its way, or the link is known to be down. */
  asked = false;
  /** What the peer was last told to be decided; perhaps in vain. */
  commitTold = 0 as LogIndex;
  /** The last entry that it has forwarded: somebody there waits for it to be decided. */
  forwardedThrough = 0 as LogIndex;
  /** When it last answered in this term. */
  heardAt: Micros;
  /** It has answered in this term. */
  hasAnswered = false;
  /** As it says itself, once it has; an agent of the first version never does. */
  priority: number | undefined;
  /** It should lead in this one's place, and is caught up; from then on for long enough. */
  settlesAt: Micros | undefined;
  /** The one that ends last. Undefined: there is none, or it was before a sleep. */
  pledge: Pledge | undefined;
  /** The highest heartbeat round that it answered. Never falls. */
  roundAnswered = 0;
  /** The leader's beat at which it last answered an append, or had nothing left to answer. */
  quietSinceBeat = 0;
  /** The read from the journal that is under way for it, from the entry on that was the next one then. */
  load: { readonly ticket: Ticket; readonly first: LogIndex } | undefined;
  /** In mode `snapshot`: the index of the one that is under way to it. */
  transfer: LogIndex | undefined;
  /** The leader's beat at which that was last asked for. */
  transferBeat: number = Number.NEGATIVE_INFINITY;
  /** Up to here entries went on the `bulk` connection: until they are acknowledged, nothing overtakes them on another. */
  bulkThrough = 0 as LogIndex;
  /** Of a peer that was removed, once that is decided: the leader's beat at which it is told no more. */
  dismissedAtBeat: number | undefined;

  constructor(id: AgentId, next: LogIndex, now: Micros, inFlightAppendsMax: number) {
    this.id = id;
    this.next = next;
    this.heardAt = now;
    this.window = new Window(inFlightAppendsMax);
  }

  get bulk(): boolean {
    return this.bulkThrough > this.matched;
  }

  /** It has answered. */
  heard(now: Micros): void {
    this.heardAt = now;
    this.hasAnswered = true;
  }

  /** It has, or is about to have, everything up to here. */
  get neededBehind(): LogIndex {
    return this.transfer !== undefined && this.transfer > this.matched ? this.transfer : this.matched;
  }

  /** In mode `replicate`: whether another append may leave. */
  windowOpen(limits: RaftLimits): boolean {
    const inFlightEntries = this.next - 1 - this.matched;
    return (
      !this.window.full &&
      this.window.bytes < limits.inFlightBytesMax &&
      inFlightEntries < limits.inFlightEntriesMax
    );
  }

  /** An append with entries up to `last` leaves. */
  sent(last: LogIndex, byteLength: number): void {
    if (this.mode === "probe") {
      this.asked = true;
      return;
    }
    this.next = (last + 1) as LogIndex;
    this.window.push(last, byteLength);
  }

  /** What is on its way may be lost: ask again where the logs agree, with the entry before `next`. */
  probeFrom(next: LogIndex): void {
    this.mode = "probe";
    this.next = next;
    this.asked = false;
    this.transfer = undefined;
    this.#forgetInFlight();
  }

  snapshotNeeded(): void {
    this.mode = "snapshot";
    this.#forgetInFlight();
  }

  /**
   * The peer acknowledges the log up to `index`. False: nothing new, perhaps an old acknowledgement that was late. Such a one
   * may speak of what lies before the log's start, and then does not tell what to send next.
   */
  acknowledged(index: LogIndex, logStart: LogIndex): boolean {
    if (index < this.matched) return false;
    const isNews = index > this.matched;
    this.matched = index;
    if (this.next <= index) this.next = (index + 1) as LogIndex;
    this.window.settle(index);
    if (this.mode !== "replicate" && index >= logStart) {
      this.mode = "replicate";
      this.transfer = undefined;
      this.next = (index + 1) as LogIndex;
      return true;
    }
    return isNews;
  }

  /** The part of a rejection that the peer's term does not settle: true where it is fresh, and the peer is probed from there. */
  rejected(prevIndex: LogIndex, agreeing: LogIndex): boolean {
    if (this.mode === "snapshot" || prevIndex <= this.matched) return false;
    if (this.mode === "probe" ? prevIndex !== this.next - 1 : prevIndex >= this.next) return false;
    const lowest = this.matched + 1;
    this.probeFrom(Math.max(lowest, Math.min(agreeing + 1, prevIndex)) as LogIndex);
    return true;
  }

  #forgetInFlight(): void {
    this.window.clear();
    this.load = undefined;
    this.bulkThrough = 0 as LogIndex;
  }
}
