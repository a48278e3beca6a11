/**
 * The one form of stream: an `AsyncIterable` that asks for more only when its reader does, so nothing piles up.
 *
 * It ends when its signal aborts or its reader leaves the loop, and rejects when it can't go on: `COMPACTED` where the
 * history is gone, `CLOSED` where the handle was closed.
 */
import type { QuorateError } from "../../core/errors.ts";
import type { Cancel } from "../gateway.ts";
import { restated } from "./call.ts";
import type { FaceTimer } from "./face-clock.ts";
import type { GroupClient, StatusListener } from "./group-client.ts";
import { repeatMs } from "./repeats.ts";
import { Waiter } from "./waiters.ts";

/** What one look for more brought. */
export type Pulled<T> =
  | { readonly kind: "items"; readonly items: readonly T[] }
  /** Nothing came; ask again a little later. */
  | { readonly kind: "lost" }
  | { readonly kind: "failed"; readonly error: QuorateError };

/** Where a stream gets its items: one look at a time. */
export type Pull<T> = (done: (pulled: Pulled<T>) => void) => Cancel;

interface Reader<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: QuorateError) => void;
}

/** Each loop over it starts anew, from the beginning that the stream was made with. */
export class Stream<T> implements AsyncIterable<T> {
  readonly #client: GroupClient;
  readonly #start: () => Pull<T>;
  readonly #signal: AbortSignal | undefined;

  constructor(client: GroupClient, start: () => Pull<T>, signal: AbortSignal | undefined) {
    this.#client = client;
    this.#start = start;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return new StreamIterator(this.#client, this.#start(), this.#signal);
  }
}

class StreamIterator<T> extends Waiter implements AsyncIterator<T, undefined>, StatusListener {
  readonly #client: GroupClient;
  readonly #pull: Pull<T>;
  readonly #signal: AbortSignal | undefined;
  readonly #stopListening: () => void;
  readonly #readers: Reader<T>[] = [];
  #items: readonly T[] = [];
  #position = 0;
  #cancel: Cancel | undefined;
  #timer: FaceTimer | undefined;
  #backOffMs: number = repeatMs.backOffMin;
  #ended = false;
  #error: QuorateError | undefined;

  constructor(client: GroupClient, pull: Pull<T>, signal: AbortSignal | undefined) {
    super();
    this.#client = client;
    this.#pull = pull;
    this.#signal = signal;
    this.#stopListening = client.listen(this);
    signal?.addEventListener("abort", this);
    const { closedBecause } = client;
    if (closedBecause !== undefined) this.#fail(restated(closedBecause, "notDone", undefined));
    if (signal?.aborted === true) this.#end();
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#readers.length === 0) {
      const item = this.#take();
      if (item !== undefined) return Promise.resolve(item);
    }
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        this.#settleEnded({ resolve, reject });
        return;
      }
      this.#readers.push({ resolve, reject });
      if (this.#readers.length === 1) {
        // Somebody waits, for as long as it takes: the process stays alive.
        this.#client.waiters.add(this, this.#client.clock.nowMs());
        this.#look();
      }
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#items = [];
    this.#error = undefined;
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Has no deadline, so this is not called. */
  override expire(): void {}

  /** Called by the signal. */
  handleEvent(): void {
    this.#end();
  }

  changed(): void {}

  ended(error: QuorateError): void {
    this.#fail(restated(error, "notDone", undefined));
  }

  #take(): IteratorResult<T, undefined> | undefined {
    if (this.#position >= this.#items.length) return undefined;
    const value = this.#items[this.#position] as T;
    this.#position += 1;
    return { done: false, value };
  }

  #look(): void {
    this.#timer = undefined;
    let answered = false;
    const cancel = this.#pull((pulled) => {
      answered = true;
      this.#cancel = undefined;
      this.#pulled(pulled);
    });
    if (!answered) this.#cancel = cancel;
  }

  #pulled(pulled: Pulled<T>): void {
    if (this.#ended) return;
    switch (pulled.kind) {
      case "failed":
        this.#fail(pulled.error);
        return;
      case "lost": {
        const delayMs = this.#backOffMs;
        this.#backOffMs = Math.min(this.#backOffMs * 2, repeatMs.backOffMax);
        this.#timer = this.#client.clock.after(delayMs, () => this.#look());
        return;
      }
      case "items":
        this.#backOffMs = repeatMs.backOffMin;
        this.#items = pulled.items;
        this.#position = 0;
        break;
    }
    while (this.#readers.length > 0) {
      const item = this.#take();
      if (item === undefined) break;
      this.#readers.shift()?.resolve(item);
    }
    if (this.#readers.length > 0) this.#look();
    else this.#client.waiters.remove(this);
  }

  #fail(error: QuorateError): void {
    if (this.#ended) return;
    this.#error = error;
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopListening();
    this.#signal?.removeEventListener("abort", this);
    this.#client.waiters.remove(this);
    this.#timer?.clear();
    this.#cancel?.();
    for (const reader of this.#readers.splice(0)) this.#settleEnded(reader);
  }

  /** The reason is told once; after that the stream is over. */
  #settleEnded(reader: Reader<T>): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(error);
  }
}
