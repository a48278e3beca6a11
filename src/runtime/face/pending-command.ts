import type { Refusal } from "../../core/boundary.ts";
import type { ByteWriter } from "../../core/bytes.ts";
import type { ProgressState } from "../../core/decision.ts";
import type { QuorateError } from "../../core/errors.ts";
import { Waiter } from "./waiters.ts";

/** A command for a state machine, and how its caller reads the answer. */
export interface Command<T> {
  readonly machine: string;
  /** Writes the command's own bytes; called once, within the call. Must not make another call meanwhile. */
  readonly write: (writer: ByteWriter) => void;
  /** `index`: where in the log it was applied (the first time). Throws `MalformedError`. */
  decode(answer: Uint8Array, index: number): T;
  /** Given: only for the leader. If it was refused because this agent does not lead, the call resolves to this. */
  readonly unlessLeader?: { readonly value: T };
  /** Given: called with what is observed of the command on its way, until the call is over. A state may come twice. */
  readonly progressed?: ((state: ProgressState) => void) | undefined;
}

/** The `write` of a command whose bytes are made already. */
export function writeBytes(bytes: Uint8Array): (writer: ByteWriter) => void {
  return (writer) => {
    writer.raw(bytes);
  };
}

/** Whom a command tells that its caller waits no longer. */
export interface CommandOwner {
  expired(pending: PendingCommand): void;
  aborted(pending: PendingCommand): void;
}

type Resolve = (value: unknown) => void;
type Reject = (error: unknown) => void;

// One executor for all promises: a closure for each would double what a call allocates.
let newResolve: Resolve;
let newReject: Reject;
const capture = (resolve: Resolve, reject: Reject): void => {
  newResolve = resolve;
  newReject = reject;
};

/**
 * One command from its call until its answer. The caller may leave earlier (time-out, abort); the command then stays
 * in its session's order, because what comes after it is applied only after it.
 */
export class PendingCommand extends Waiter {
  readonly promise: Promise<unknown> = new Promise(capture);
  readonly command: Command<unknown>;
  /** Chosen by the caller or made for it; empty: only its session knows it. */
  readonly requestId: string;
  /** The whole entry; its header is zero until it has a sequence. */
  entry: Uint8Array;
  /** In line for a place in the window; in the window; or only asking for an earlier command's answer. */
  place: "line" | "window" | "asking" = "line";
  session = 0;
  /** 0: not yet given. */
  sequence = 0;
  /** Never handed in as it is now. */
  isFresh = true;
  /** Handed in, and neither answered nor refused since. */
  outstanding = false;
  /** Handed in again while outstanding: no refusal can prove any more that it was never appended. */
  doubt = false;
  refusal: Refusal | undefined = undefined;
  /** The caller has its answer, or has left. */
  settled = false;
  /** Others who asked for the same answer. */
  attached: PendingCommand[] | undefined = undefined;
  readonly #owner: CommandOwner;
  readonly #resolve: Resolve = newResolve;
  readonly #reject: Reject = newReject;
  readonly #signal: AbortSignal | undefined;

  constructor(
    owner: CommandOwner,
    command: Command<unknown>,
    entry: Uint8Array,
    requestId: string,
    signal: AbortSignal | undefined,
  ) {
    super();
    this.#owner = owner;
    this.command = command;
    this.entry = entry;
    this.requestId = requestId;
    this.#signal = signal;
    signal?.addEventListener("abort", this);
  }

  /** Certainly never appended: each time it was handed in, it was refused. */
  get isClean(): boolean {
    return !this.outstanding && !this.doubt;
  }

  /** Only the leader may append it, as far as that can still be told. */
  get isForLeaderOnly(): boolean {
    return this.command.unlessLeader !== undefined && !this.doubt;
  }

  /** Somebody who still waits wants to hear how far it has come. */
  get isTracked(): boolean {
    if (this.command.progressed !== undefined && !this.settled) return true;
    return this.attached?.some((other) => other.isTracked) === true;
  }

  /** For its own caller and those who asked for the same answer. */
  progressed(state: ProgressState): void {
    if (!this.settled) this.command.progressed?.(state);
    for (const other of this.attached ?? []) other.progressed(state);
  }

  override expire(): void {
    this.#owner.expired(this);
  }

  /** Called by the caller's signal. */
  handleEvent(): void {
    this.#owner.aborted(this);
  }

  resolve(value: unknown): void {
    this.#leave();
    this.#resolve(value);
  }

  reject(error: QuorateError): void {
    this.#leave();
    this.#reject(error);
  }

  #leave(): void {
    this.settled = true;
    this.#signal?.removeEventListener("abort", this);
  }
}
