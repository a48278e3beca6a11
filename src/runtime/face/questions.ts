/** Questions to one group: they change nothing, so what is lost or refused is simply asked again until the time-out. */
import type { Refusal } from "../../core/boundary.ts";
import { QuorateError, type Code } from "../../core/errors.ts";
import { decodeAnswer, encodeQuestion } from "../../state/index.ts";
import type { Cancel, Gateway, QueryResult } from "../gateway.ts";
import {
  abortedError,
  malformedAnswerError,
  rejectedError,
  rejection,
  restated,
  unansweredError,
  unknownMachineError,
} from "./call.ts";
import type { FaceClock, FaceTimer } from "./face-clock.ts";
import type { CheckedRead, CheckedWait } from "./options.ts";
import { repeatMs } from "./repeats.ts";
import { Waiter, type Waiters } from "./waiters.ts";

export interface Question<T> {
  readonly machine: string;
  readonly bytes: Uint8Array;
  /** Throws `MalformedError`. */
  decode(reply: Uint8Array): T;
}

export interface QuestionOptions {
  readonly gateway: Gateway;
  readonly clock: FaceClock;
  readonly waiters: Waiters;
}

/** Whatever one asks of a gateway that answers by a callback: asked again, with back-off, until it succeeds or time is up. */
export class Attempt<T> extends Waiter {
  readonly #group: Questions;
  readonly #start: (attempt: Attempt<T>) => Cancel;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: QuorateError) => void;
  readonly #signal: AbortSignal | undefined;
  #cancel: Cancel | undefined;
  #timer: FaceTimer | undefined;
  #backOffMs: number = repeatMs.backOffMin;
  #settled = false;
  refusal: Refusal | undefined = undefined;
  /** What a late answer is told as; by default, that nothing was done. */
  whenLate: (() => QuorateError) | undefined = undefined;

  constructor(
    group: Questions,
    start: (attempt: Attempt<T>) => Cancel,
    resolve: (value: T) => void,
    reject: (error: QuorateError) => void,
    signal: AbortSignal | undefined,
  ) {
    super();
    this.#group = group;
    this.#start = start;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    signal?.addEventListener("abort", this);
  }

  isOf(group: Questions): boolean {
    return group === this.#group;
  }

  start(): void {
    this.#timer = undefined;
    if (!this.#settled) this.#cancel = this.#start(this);
  }

  /** Not this time: ask again a little later. */
  again(refusal: Refusal | undefined): void {
    if (this.#settled) return;
    this.refusal = refusal;
    const delayMs = this.#backOffMs * (0.75 + this.#group.clock.random() / 2);
    this.#backOffMs = Math.min(this.#backOffMs * 2, repeatMs.backOffMax);
    this.#timer = this.#group.clock.after(delayMs, () => this.start());
  }

  succeed(value: T): void {
    if (this.#settled) return;
    this.#end();
    this.#resolve(value);
  }

  fail(error: QuorateError): void {
    if (this.#settled) return;
    this.#end();
    this.#reject(error);
  }

  override expire(): void {
    this.fail(this.whenLate?.() ?? this.#group.noAnswer(this.refusal));
  }

  /** Called by the caller's signal. */
  handleEvent(): void {
    this.fail(abortedError("notDone"));
  }

  #end(): void {
    this.#settled = true;
    this.#signal?.removeEventListener("abort", this);
    this.#timer?.clear();
    this.#cancel?.();
    this.#group.ended(this);
  }
}

export class Questions {
  readonly clock: FaceClock;
  readonly #gateway: Gateway;
  readonly #waiters: Waiters;
  #leaderKnown = true;
  #closed: QuorateError | undefined;

  constructor(options: QuestionOptions) {
    this.clock = options.clock;
    this.#gateway = options.gateway;
    this.#waiters = options.waiters;
  }

  /** Asks a state machine. Rejects with `TIMEOUT` or `NO_QUORUM` where no answer could be had; nothing was changed in any case. */
  ask<T>(question: Question<T>, call: CheckedRead): Promise<T> {
    let bytes: Uint8Array;
    try {
      bytes = encodeQuestion(question.machine, question.bytes);
    } catch (error) {
      return rejection(error);
    }
    return this.attempt((attempt: Attempt<T>) => {
      return this.#gateway.query(bytes, call.at, (result) => take(attempt, question, result));
    }, call);
  }

  /** Starts something and settles as its `Attempt` says; with the call's time-out and signal. */
  attempt<T>(start: (attempt: Attempt<T>) => Cancel, call: CheckedWait): Promise<T> {
    const { timeoutMs, signal } = call;
    if (this.#closed !== undefined) return rejection(restated(this.#closed, "notDone", undefined));
    if (signal?.aborted === true) return rejection(abortedError("notDone"));
    return new Promise((resolve, reject) => {
      const attempt = new Attempt<T>(this, start, resolve, reject, signal);
      const nowMs = this.clock.nowMs();
      attempt.deadlineMs = nowMs + timeoutMs;
      this.#waiters.add(attempt, nowMs);
      attempt.start();
    });
  }

  leaderKnown(known: boolean): void {
    this.#leaderKnown = known;
  }

  /** Fails all that is open. */
  close(error: QuorateError): void {
    this.#closed = error;
    for (const waiter of this.#waiters.toArray()) {
      if (waiter instanceof Attempt && waiter.isOf(this)) waiter.fail(restated(error, "notDone", undefined));
    }
  }

  ended(attempt: Waiter): void {
    this.#waiters.remove(attempt);
  }

  noAnswer(refusal: Refusal | undefined): QuorateError {
    const problem = this.#gateway.problem();
    if (problem !== undefined) return restated(problem, "notDone", undefined);
    const leaderless = refusal?.kind === "notLeader" && refusal.leader === undefined;
    const code: Code = leaderless || !this.#leaderKnown ? "NO_QUORUM" : "TIMEOUT";
    return unansweredError(code, "notDone");
  }
}

function take<T>(attempt: Attempt<T>, question: Question<T>, result: QueryResult): void {
  if (result.kind !== "reply") {
    attempt.again(result.kind === "refused" ? result.refusal : undefined);
    return;
  }
  try {
    const answer = decodeAnswer(result.bytes);
    if (answer.kind === "answered") attempt.succeed(question.decode(answer.bytes));
    else if (answer.kind === "rejected") attempt.fail(rejectedError(answer.message));
    else if (answer.kind === "unknownMachine") attempt.fail(unknownMachineError(question.machine));
    else attempt.again(undefined);
  } catch (error) {
    attempt.fail(error instanceof QuorateError ? error : malformedAnswerError(error));
  }
}
