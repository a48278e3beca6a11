import type { Cancel } from "./gateway.ts";

/** A client's request under way at its agent. Only one that changes nothing can be asked again, and so be held back. */
export class ClientRequest {
  readonly number: number;
  readonly mayWait: boolean;
  readonly #begin: (request: ClientRequest) => Cancel | undefined;
  /** Counts how often it was begun: an answer to an earlier time is none. */
  #times = 0;
  #begun = false;
  #takeBack: Cancel | undefined;

  /** `begin` hands it to the group, and gives how to take it back there, if that is possible. */
  constructor(number: number, mayWait: boolean, begin: (request: ClientRequest) => Cancel | undefined) {
    this.number = number;
    this.mayWait = mayWait;
    this.#begin = begin;
  }

  start(): void {
    this.#times += 1;
    this.#begun = true;
    this.#takeBack = this.#begin(this);
  }

  get isBegun(): boolean {
    return this.#begun;
  }

  get canBeTakenBack(): boolean {
    return this.#takeBack !== undefined;
  }

  /** Which time this is, for {@link awaits}. */
  get times(): number {
    return this.#times;
  }

  /** Whether an answer to that time is still wanted. */
  awaits(times: number): boolean {
    return this.#begun && this.#times === times;
  }

  answered(): void {
    this.#begun = false;
  }

  /** It can be started again. */
  suspend(): void {
    this.#begun = false;
    this.#takeBack?.();
    this.#takeBack = undefined;
  }
}
