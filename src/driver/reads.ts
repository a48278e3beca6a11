/** Questions to the state: local ones are answered in the next turn, linearizable ones once the core says so. */
import { assert } from "../core/assert.ts";
import type { Refusal } from "../core/boundary.ts";
import type { Ticket } from "../core/ids.ts";
import { NumberTable } from "../core/number-table.ts";
import type { AppliedState, QueryAnswer } from "./hosted.ts";

interface Query {
  readonly question: Uint8Array;
  readonly done: (answer: QueryAnswer) => void;
}

export class Reads {
  readonly #state: AppliedState;
  #local: Query[] = [];
  /** Not yet given to the core. */
  #fresh: Query[] = [];
  readonly #ticketed = new NumberTable<Query[]>();

  constructor(state: AppliedState) {
    this.#state = state;
  }

  get localWait(): boolean {
    return this.#local.length > 0;
  }

  get freshWait(): boolean {
    return this.#fresh.length > 0;
  }

  add(question: Uint8Array, at: "linearizable" | "local", done: (answer: QueryAnswer) => void): void {
    (at === "local" ? this.#local : this.#fresh).push({ question, done });
  }

  answerLocal(): void {
    const queries = this.#local;
    this.#local = [];
    this.#answer(queries);
  }

  /** One ticket stands for all fresh queries; the core may give the same one for several turns. */
  ticketed(ticket: Ticket): void {
    const before = this.#ticketed.get(ticket);
    if (before === undefined) this.#ticketed.add(ticket, this.#fresh);
    else before.push(...this.#fresh);
    this.#fresh = [];
  }

  refuseFresh(refusal: Refusal): void {
    const queries = this.#fresh;
    this.#fresh = [];
    refuse(queries, refusal);
  }

  readable(ticket: Ticket): void {
    this.#answer(this.#settle(ticket));
  }

  readRefused(ticket: Ticket, refusal: Refusal): void {
    refuse(this.#settle(ticket), refusal);
  }

  /** Every query that still waits. */
  refuseAll(refusal: Refusal): void {
    const queries = [...this.#local, ...this.#fresh, ...this.#ticketed.toArray().flat()];
    this.#local = [];
    this.#fresh = [];
    this.#ticketed.clear();
    refuse(queries, refusal);
  }

  #settle(ticket: Ticket): Query[] {
    const queries = this.#ticketed.delete(ticket);
    assert(queries !== undefined, "a core settles only tickets that it gave, and each once");
    return queries;
  }

  #answer(queries: readonly Query[]): void {
    for (const { question, done } of queries) done({ kind: "reply", bytes: this.#state.query(question) });
  }
}

function refuse(queries: readonly Query[], refusal: Refusal): void {
  for (const { done } of queries) done({ kind: "refused", refusal });
}
