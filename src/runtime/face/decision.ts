import { canFollow, isSettled, type DecisionState } from "../../core/decision.ts";
import { assert } from "../../core/assert.ts";
import { QuorateError } from "../../core/errors.ts";

/** One proposal on its way to a decision. */
export interface Decision<R> {
  /** The request id: `learnDecision` finds the decision by it, from any handle. */
  readonly id: string;
  /** How far it is known to be. */
  readonly state: DecisionState;
  /**
   * Every state from `pending` on, in order, never one back; ends with `decided` or `rejected`. Any number of readers,
   * at any time. Rejects as {@link result} does where the outcome can't be found out.
   */
  states(): AsyncIterable<DecisionState>;
  /** The decided value. Rejects with a `QuorateError`; its `outcome` says what is known. */
  result(): Promise<R>;
}

/**
 * An ordered log tells its proposer only the end, so the states in between, which a decided command has certainly
 * passed, are all reported then.
 */
const wayToDecided: readonly DecisionState[] = ["proposed", "prepare", "commit", "decided"];

export class LogDecision<R> implements Decision<R> {
  readonly id: string;
  readonly #result: Promise<R>;
  readonly #history: DecisionState[] = ["pending"];
  #wake: (() => void)[] = [];
  #error: unknown;
  #isOver = false;

  constructor(id: string, result: Promise<R>) {
    this.id = id;
    this.#result = result;
    // Also keeps a decision whose result nobody asks for from being an unhandled rejection.
    result.then(
      () => this.#end(wayToDecided, undefined),
      (error: unknown) => {
        const isRejected = error instanceof QuorateError && error.outcome === "notDone";
        this.#end(isRejected ? ["rejected"] : [], error);
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

  #end(states: readonly DecisionState[], error: unknown): void {
    for (const state of states) {
      assert(canFollow(this.state, state), "a decision never goes back");
      this.#history.push(state);
    }
    this.#error = error;
    this.#isOver = true;
    for (const wake of this.#wake) wake();
    this.#wake = [];
  }
}
