import { canFollow, isSettled, type DecisionState, type ProgressState } from "../../core/decision.ts";
import { QuorateError } from "../../core/errors.ts";

/** One proposal on its way to a decision. */
export interface Decision<R> {
  /** The request id: `learnDecision` finds the decision by it, from any handle. */
  readonly id: string;
  /** How far it is known to be. */
  readonly state: DecisionState;
  /**
   * The states as they are observed, from `pending` on, in order, never one back; those that nobody observed are left
   * out. Ends with `decided` or `rejected`. Any number of readers, at any time: a late one gets those seen so far, then
   * the rest. Rejects as {@link result} does where the outcome can't be found out.
   */
  states(): AsyncIterable<DecisionState>;
  /** The decided value. Rejects with a `QuorateError`; its `outcome` says what is known. */
  result(): Promise<R>;
}

export class LogDecision<R> implements Decision<R> {
  readonly id: string;
  readonly #result: Promise<R>;
  readonly #history: DecisionState[] = ["pending"];
  #wake: (() => void)[] = [];
  #error: unknown;
  #isOver = false;

  /** `propose` calls back with what is observed until its promise settles. */
  constructor(id: string, propose: (observed: (state: ProgressState) => void) => Promise<R>) {
    this.id = id;
    this.#result = propose((state) => this.#see(state));
    // Also keeps a decision whose result nobody asks for from being an unhandled rejection.
    this.#result.then(
      () => this.#end("decided", undefined),
      (error: unknown) => {
        const isRejected = error instanceof QuorateError && error.outcome === "notDone";
        this.#end(isRejected ? "rejected" : undefined, error);
      },
    );
  }

  get state(): DecisionState {
    return this.#history.at(-1) ?? "pending";
  }

  result(): Promise<R> {
    return this.#result;
  }

  async *states(): AsyncGenerator<DecisionState, void, undefined> {
    for (let position = 0; ; position++) {
      while (position >= this.#history.length) {
        if (this.#isOver) {
          if (isSettled(this.state)) return;
          throw this.#error;
        }
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
      yield this.#history[position] ?? this.state;
    }
  }

  /** A repeat, or another agent after a change, may report what is behind already: that is no news. */
  #see(state: DecisionState): void {
    if (this.#isOver || !canFollow(this.state, state)) return;
    this.#history.push(state);
    this.#wakeAll();
  }

  #end(state: "decided" | "rejected" | undefined, error: unknown): void {
    if (state !== undefined) this.#see(state);
    this.#error = error;
    this.#isOver = true;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#wake) wake();
    this.#wake = [];
  }
}
