/**
 * The requests of one client that are under way. A client that does not read its answers is not asked for more: what only
 * looks is held back as a question, which is small, and begun again once there is room.
 */
import { limits } from "../core/limits.ts";
import { NumberTable } from "../core/number-table.ts";
import type { Cancel } from "./gateway.ts";

/**
 * Hands a request to its group; gives how to take it back there, if that is possible. `answer` sends what it is given,
 * unless the request was taken back or has to be asked again.
 */
export type Begin = (answer: (send: () => void) => void) => Cancel | undefined;

interface Request {
  readonly number: number;
  readonly begin: Begin;
  readonly mayWait: boolean;
  /** Counts how often it was begun: an answer to an earlier time is none. */
  times: number;
  begun: boolean;
  takeBack: Cancel | undefined;
}

/** So many of the queries that were held back are asked at a time: all together they would overfill the line again. */
const resumedMax = 16;

export class ClientRequests {
  readonly #isBehind: () => boolean;
  readonly #requests = new NumberTable<Request>();
  /** Of those, the ones that wait until the client has read more, in order of their numbers. */
  readonly #held = new Map<number, Request>();
  /** The queries that were held, are begun again and not answered yet. */
  readonly #resumed = new Set<Request>();

  /** `isBehind`: so much waits for the client that another answer would only wait, too. */
  constructor(isBehind: () => boolean) {
    this.#isBehind = isBehind;
  }

  get isFull(): boolean {
    return this.#requests.count >= limits.clientRequestsMax;
  }

  has(number: number): boolean {
    return this.#requests.has(number);
  }

  /** `mayWait`: it changes nothing, so it can be asked again, and be held back until then. */
  ask(number: number, mayWait: boolean, begin: Begin): void {
    const request: Request = { number, begin, mayWait, times: 0, begun: false, takeBack: undefined };
    this.#requests.add(number, request);
    if (mayWait && (this.#held.size > 0 || this.#isBehind())) this.#held.set(number, request);
    else this.#start(request);
  }

  /** Nobody wants its answer any more. */
  cancel(number: number): void {
    const request = this.#requests.get(number);
    if (request === undefined) return;
    suspend(request);
    this.#forget(request);
    this.resume();
  }

  /** What was held back is begun again, a few at a time. */
  resume(): void {
    for (const [number, request] of this.#held) {
      if (this.#isBehind() || this.#resumed.size >= resumedMax) return;
      this.#held.delete(number);
      this.#start(request);
      // What can be taken back may wait for long, and goes back into line by itself; what is answered at once waits no more.
      if (request.takeBack === undefined && request.begun) this.#resumed.add(request);
    }
  }

  /** Takes all of them back. */
  clear(): void {
    for (const request of this.#requests.toArray()) suspend(request);
    this.#requests.clear();
    this.#held.clear();
    this.#resumed.clear();
  }

  #start(request: Request): void {
    request.times += 1;
    request.begun = true;
    const { times } = request;
    request.takeBack = request.begin((send) => {
      // The number may be in use again, or this one asked again: only whoever is still wanted answers.
      if (!request.begun || request.times !== times) return;
      if (request.mayWait && this.#isBehind()) {
        this.#holdBack();
        return;
      }
      request.begun = false;
      this.#forget(request);
      send();
    });
  }

  #forget(request: Request): void {
    this.#requests.delete(request.number);
    this.#held.delete(request.number);
    this.#resumed.delete(request);
  }

  /** Nothing more is asked for this client until it has room: it is asked again then. */
  #holdBack(): void {
    this.#resumed.clear();
    const before = [...this.#held];
    this.#held.clear();
    for (const request of this.#requests.toArray()) {
      if (!request.mayWait || !request.begun) continue;
      suspend(request);
      this.#held.set(request.number, request);
    }
    for (const [number, request] of before) this.#held.set(number, request);
  }
}

function suspend(request: Request): void {
  request.begun = false;
  request.takeBack?.();
  request.takeBack = undefined;
}
