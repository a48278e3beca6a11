/**
 * Groups that look for a leader. One at a time is cheap; a thousand at once (an agent that starts, one that is gone) keep the
 * agents so busy that nobody's messages arrive in time, so nobody is elected, and it goes on like that. So only some look at
 * a time, and the others begin as these have found one and are at rest again. How many is found out as TCP does it (Jacobson,
 * "Congestion Avoidance and Control", 1988): one more with each that is done, half as many when this agent is late. As all
 * agents go through their groups in the same order, most of what they begin they begin together.
 */
import type { Hibernation } from "../core/boundary.ts";
import { microsFromMs, never, type AgentId, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { Queue } from "../core/queue.ts";

export interface Search {
  readonly group: { readonly leader: AgentId | undefined; readonly hibernation: Hibernation | undefined };
  /** Who led it until now. */
  readonly lost: AgentId | undefined;
  /** False: it need not look any more. */
  readonly begin: () => boolean;
}

interface Begun {
  readonly search: Search;
  /** How it slept until then. */
  readonly before: Hibernation | undefined;
  readonly since: Micros;
  /** When it was first seen to have a leader. */
  ledSince: Micros;
}

const atATimeMin = 8;
/** What is due waits for longer only where an agent has more to do than it can. */
const latenessMax = microsFromMs(15);
/** For so long after it was late it is taken to be busy. */
const busyMicros = microsFromMs(500);
/** One that is led and does not sleep after so long is in use, and will go on like that. */
const settlingMicros = microsFromMs(200);
/** There are too few for a leader. On a busy agent it may be just late. */
const searchMicrosMax = microsFromMs(limits.searchMsMax);
const searchMicrosMaxIfBusy = 5 * searchMicrosMax;
const lookEveryMicros = microsFromMs(50);

export class Searches {
  readonly #waiting = new Queue<Search>();
  /** Of those that wait. Where they began before their turn came, they need not look any more. */
  readonly #hurried = new Set<Search>();
  #begun: Begun[] = [];
  #atATimeMax = atATimeMin;
  #busyUntil = 0 as Micros;
  #lookAt = never;

  add(search: Search, now: Micros): void {
    // What went well some time ago says little about now.
    if (this.#begun.length === 0) this.#atATimeMax = atATimeMin;
    this.#waiting.push(search);
    this.admit(now);
  }

  /** Somebody needs that group: of those that wait it is among the first to begin. */
  hurry(search: Search): void {
    this.#hurried.add(search);
  }

  /** When it is time to look again; {@link never} while nobody waits. */
  get deadline(): Micros {
    return this.#lookAt;
  }

  /** Something was due so long ago. */
  wasLate(lateness: number, now: Micros): void {
    if (lateness <= latenessMax) return;
    if (this.#busyUntil <= now) this.#atATimeMax = Math.max(atATimeMin, this.#begun.length >> 1);
    this.#busyUntil = (now + busyMicros) as Micros;
  }

  /** Some may be done: others begin. */
  admit(now: Micros): void {
    if (this.#begun.length > 0) this.#dismiss(now);
    while (this.#wait && this.#begun.length < this.#atATimeMax) {
      const search = this.#next();
      const before = search.group.hibernation;
      if (search.begin()) this.#begun.push({ search, before, since: now, ledSince: never });
    }
    this.#lookAt = this.#wait ? ((now + lookEveryMicros) as Micros) : never;
  }

  get #wait(): boolean {
    return this.#hurried.size > 0 || this.#waiting.count > 0;
  }

  #next(): Search {
    for (const search of this.#hurried) {
      this.#hurried.delete(search);
      return search;
    }
    return this.#waiting.take();
  }

  #dismiss(now: Micros): void {
    const isBusy = this.#busyUntil > now;
    const before = this.#begun.length;
    this.#begun = this.#begun.filter((one) => !isDone(one, isBusy, now));
    const done = before - this.#begun.length;
    if (!isBusy) this.#atATimeMax = Math.min(this.#atATimeMax + done, limits.searchingGroupsMax);
  }
}

function isDone(one: Begun, isBusy: boolean, now: Micros): boolean {
  const { leader, hibernation } = one.search.group;
  if (hibernation !== undefined) {
    // As long as it sleeps as before, it has yet to hear that it is to look.
    if (hibernation !== one.before) return true;
  } else if (leader !== undefined && leader !== one.search.lost) {
    if (one.ledSince === never) one.ledSince = now;
    if (!isBusy && now - one.ledSince >= settlingMicros) return true;
  }
  return now - one.since >= (isBusy ? searchMicrosMaxIfBusy : searchMicrosMax);
}
