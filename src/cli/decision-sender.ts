/** Proposes many decisions in their order, a bounded number at a time, and keeps count of what became of each. */
import { performance } from "node:perf_hooks";

import { QuorateError } from "../core/errors.ts";
import type { FileDecision } from "./decisions.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import type { Json } from "../state/index.ts";

export interface DecisionSenderOptions {
  readonly decisions: readonly FileDecision[];
  /** How many are on their way at a time. */
  readonly concurrency: number;
  /** Hands one in; resolves once it is decided. Calls come in the order of the file. */
  readonly propose: (value: Json, requestId: string | undefined) => Promise<unknown>;
  /** The request id of a decision; by default, its own id. */
  readonly requestIdOf?: (decision: FileDecision) => string | undefined;
  /** One more is decided. */
  readonly onDecided?: (sender: DecisionSender) => void;
}

/** One that has no answer, or no for an answer. */
export interface Undecided {
  readonly decision: FileDecision;
  readonly error: unknown;
}

export class DecisionSender {
  readonly #options: DecisionSenderOptions;
  readonly latencies: LatencyHistogram = new LatencyHistogram();
  /** Perhaps decided, perhaps not. */
  readonly unknown: Undecided[] = [];
  /** Certainly not decided. */
  readonly failed: Undecided[] = [];
  #next = 0;
  #decided = 0;
  #inFlight = 0;
  #isStopped = false;

  constructor(options: DecisionSenderOptions) {
    this.#options = options;
  }

  get total(): number {
    return this.#options.decisions.length;
  }

  get decided(): number {
    return this.#decided;
  }

  /** Handed in, and without an answer yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Never handed in. */
  get notSent(): number {
    return this.total - this.#next;
  }

  /**
   * Sends all of them. After the first that is not decided no more are sent, and those on their way are waited for: where
   * one time-out has come, the next thousand would only take as long each. Never rejects.
   */
  async run(signal: AbortSignal): Promise<void> {
    const lanes = Math.min(this.#options.concurrency, this.total);
    await Promise.all(Array.from({ length: lanes }, async () => this.#lane(signal)));
  }

  async #lane(signal: AbortSignal): Promise<void> {
    while (this.#next < this.total && !this.#isStopped && !signal.aborted) {
      const decision = this.#options.decisions[this.#next]!;
      this.#next += 1;
      // oxlint-disable-next-line no-await-in-loop -- a lane is one at a time
      await this.#send(decision);
    }
  }

  async #send(decision: FileDecision): Promise<void> {
    const { propose, requestIdOf, onDecided } = this.#options;
    const startedAtMs = performance.now();
    this.#inFlight += 1;
    try {
      await propose(decision.value, requestIdOf === undefined ? decision.id : requestIdOf(decision));
      this.#decided += 1;
      this.latencies.add(performance.now() - startedAtMs);
    } catch (error) {
      this.#isStopped = true;
      const isKnown = error instanceof QuorateError && error.outcome === "notDone";
      (isKnown ? this.failed : this.unknown).push({ decision, error });
      return;
    } finally {
      this.#inFlight -= 1;
    }
    onDecided?.(this);
  }
}
