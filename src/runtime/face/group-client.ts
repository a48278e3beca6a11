/**
 * Everything that a handle needs of one group: its session, its questions, its streams, and one time-out list for all of
 * them. Listens to the gateway once and passes on what it tells.
 */
import type { Refusal } from "../../core/boundary.ts";
import type { ProgressState } from "../../core/decision.ts";
import type { QuorateError } from "../../core/errors.ts";
import type { Gateway, GatewayListener, GroupStatus } from "../gateway.ts";
import { closedError } from "./call.ts";
import { nodeFaceClock, type FaceClock } from "./face-clock.ts";
import { Questions } from "./questions.ts";
import { SessionClient } from "./session-client.ts";
import { Waiters } from "./waiters.ts";

export interface GroupClientOptions {
  readonly gateway: Gateway;
  /** In whose name commands are proposed. */
  readonly proposer: string;
  readonly clock?: FaceClock;
  /** Called when the first caller begins to wait; what it returns, when the last one has stopped: keeps a process alive. */
  readonly hold?: () => () => void;
  /** Called once, when the client is closed. */
  readonly onClose?: () => void;
}

/** Told whenever the status changed, and once when there will be no more of them. */
export interface StatusListener {
  changed(status: GroupStatus): void;
  ended(error: QuorateError): void;
}

export class GroupClient implements GatewayListener {
  readonly gateway: Gateway;
  readonly clock: FaceClock;
  readonly waiters: Waiters;
  readonly session: SessionClient;
  readonly questions: Questions;
  readonly #listeners = new Set<StatusListener>();
  readonly #stopListening: () => void;
  readonly #onClose: () => void;
  readonly #requestPrefix: string;
  #requestCount = 0;
  #closed: QuorateError | undefined;

  constructor(options: GroupClientOptions) {
    this.gateway = options.gateway;
    this.clock = options.clock ?? nodeFaceClock;
    this.waiters = new Waiters(this.clock, options.hold);
    const { gateway, clock, waiters } = this;
    this.session = new SessionClient({ gateway, clock, waiters, proposer: options.proposer });
    this.questions = new Questions({ gateway, clock, waiters });
    this.#requestPrefix = clock.unique();
    this.#onClose = options.onClose ?? (() => {});
    this.#stopListening = gateway.listen(this);
    const status = gateway.status();
    if (status !== undefined) this.#noteLeader(status);
  }

  /** Why it is closed, or undefined while it is open. */
  get closedBecause(): QuorateError | undefined {
    return this.#closed;
  }

  /** An id for one call that nobody has used. */
  newRequestId(): string {
    this.#requestCount += 1;
    return `${this.#requestPrefix}.${this.#requestCount.toString(36)}`;
  }

  /** Returns how to stop. Not called for what is already so. */
  listen(listener: StatusListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends everything that waits. Idempotent. */
  close(): void {
    if (this.#closed !== undefined) return;
    this.#end(closedError("notDone"));
    this.#stopListening();
    this.gateway.close();
    this.#onClose();
  }

  answered(session: number, sequence: number, answer: Uint8Array): void {
    this.session.answered(session, sequence, answer);
  }

  refused(session: number, sequence: number, refusal: Refusal): void {
    this.session.refused(session, sequence, refusal);
  }

  progressed(session: number, sequence: number, state: ProgressState): void {
    this.session.progressed(session, sequence, state);
  }

  interrupted(): void {
    this.session.interrupted();
  }

  statusChanged(status: GroupStatus): void {
    this.#noteLeader(status);
    for (const listener of this.#listeners) listener.changed(status);
  }

  closed(error?: QuorateError): void {
    if (this.#closed !== undefined) return;
    this.#end(error ?? closedError("notDone"));
    this.#onClose();
  }

  #noteLeader(status: GroupStatus): void {
    this.session.leaderKnown(status.leader !== undefined);
    this.questions.leaderKnown(status.leader !== undefined);
  }

  #end(error: QuorateError): void {
    this.#closed = error;
    this.session.close(error);
    this.questions.close(error);
    for (const listener of this.#listeners) listener.ended(error);
    this.#listeners.clear();
  }
}
