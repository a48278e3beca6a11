/**
 * Looks now and then how an agent's disk is. A journal waits for a disk that hangs, and a follower goes on with one that is full
 * as long as it can: neither says anything by itself, and whoever looks after the agent wants to know before it matters.
 */
import { microsFromMs, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { Clock, Scheduler } from "../driver/world.ts";
import type { Logger } from "./logger.ts";

/** An agent whose disk is full hands over what it leads, and again no earlier than this. */
const handOverMs = 30_000;

export interface DiskState {
  /** There is no room for another journal segment. */
  readonly isFull: boolean;
  /** For how long the oldest sync has been under way; 0 where none is. */
  readonly syncingMs: number;
}

export class DiskWatch {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #log: Logger;
  readonly #state: () => DiskState;
  readonly #handOver: () => void;
  #isFull = false;
  #handsOverAt: Micros | undefined;
  /** The longest that was seen of a sync that hangs; 0 where none does. */
  #hungMs = 0;
  #stop = (): void => {};

  /** `handOver`: have others lead what this agent leads; with a full disk it can only refuse what it is asked to decide. */
  constructor(clock: Clock, scheduler: Scheduler, log: Logger, state: () => DiskState, handOver: () => void) {
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#log = log;
    this.#state = state;
    this.#handOver = handOver;
    this.#wait();
  }

  close(): void {
    this.#stop();
  }

  #wait(): void {
    this.#stop = this.#scheduler.at(this.#inMs(limits.syncMsMax), () => {
      const { isFull, syncingMs } = this.#state();
      this.#noteRoom(isFull);
      this.#noteSync(syncingMs);
      this.#wait();
    });
  }

  #noteRoom(isFull: boolean): void {
    if (isFull !== this.#isFull) {
      this.#isFull = isFull;
      if (isFull)
        this.#log.error("the disk is full: this agent decides nothing as a leader; free some space");
      else this.#log.info("the disk has room again");
    }
    if (!isFull) return;
    // The one that takes over may have no more room: then leadership must not go round and round.
    if (this.#handsOverAt !== undefined && this.#clock.monotonic() < this.#handsOverAt) return;
    this.#handsOverAt = this.#inMs(handOverMs);
    this.#handOver();
  }

  #noteSync(syncingMs: number): void {
    const hangs = syncingMs >= limits.syncMsMax;
    if (hangs && this.#hungMs === 0) {
      this.#log.error(
        `the disk hangs: a sync has been under way for ${Math.round(syncingMs)} ms; until it ends this agent acknowledges nothing, votes for nobody, and does not lead`,
      );
    }
    if (!hangs && this.#hungMs > 0) {
      this.#log.warn(`the disk goes on, after a sync that took ${Math.round(this.#hungMs)} ms or more`);
    }
    this.#hungMs = hangs ? syncingMs : 0;
  }

  #inMs(ms: number): Micros {
    return (this.#clock.monotonic() + microsFromMs(ms)) as Micros;
  }
}
