/** The handle of a group that keeps an ordered log. */
import {
  decodeLearned,
  encodeLearnQuestion,
  encodeProposal,
  type Json,
  type Learned,
} from "../../state/index.ts";
import type { ProgressState } from "../../core/decision.ts";
import type { CampaignResult } from "../gateway.ts";
import { badOption, rejection, type Call } from "./call.ts";
import { decidedEntries, type DecidedEntry } from "./decided-entries.ts";
import { LogDecision, type Decision } from "./decision.ts";
import type { GroupClient } from "./group-client.ts";
import { checkFrom } from "./map-face.ts";
import type { Attempt } from "./questions.ts";
import { makeFaces, type Faces, type KindsOf } from "./state-kinds.ts";
import { StatusBoard } from "./status-board.ts";
import { Stream } from "./stream.ts";
import type { EntriesOptions, Log, Mechanism, Status, WatchStatusOptions } from "./types.ts";

export interface LogHandleOptions<S> {
  readonly client: GroupClient;
  readonly name: string;
  readonly mechanism: Mechanism;
  readonly kinds: KindsOf<S>;
  /** It is a member's own handle, not a client's. */
  readonly isMember: boolean;
  /** The handle of another member. Absent where the members are in other processes. */
  readonly peer?: (id: string) => LogHandle<S>;
  /** Runs once, after the client is closed; `close` waits for it. */
  readonly onClose?: () => Promise<void>;
}

/** The machine of plain values, which every group has. */
const ownMachine = "";

export class LogHandle<S> implements Log<S> {
  readonly name: string;
  readonly state: Faces<S>;
  readonly #client: GroupClient;
  readonly #board: StatusBoard;
  readonly #peer: ((id: string) => LogHandle<S>) | undefined;
  readonly #isMember: boolean;
  readonly #onClose: (() => Promise<void>) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LogHandleOptions<S>) {
    this.name = options.name;
    this.#client = options.client;
    this.#isMember = options.isMember;
    this.#peer = options.peer;
    this.#onClose = options.onClose;
    this.#board = new StatusBoard(options.client, options.name, options.mechanism);
    this.state = makeFaces(options.client, options.kinds);
  }

  propose<V extends Json>(value: V, call?: Call): Promise<V> {
    return this.#propose(value, call, undefined);
  }

  submit<V extends Json>(value: V, call?: Call): Decision<V> {
    const id = call?.requestId ?? this.#client.newRequestId();
    return new LogDecision(id, (observed) => this.#propose(value, { ...call, requestId: id }, observed));
  }

  entries(options: EntriesOptions = {}): AsyncIterable<DecidedEntry> {
    checkFrom(options.from);
    const from = Math.max(options.from ?? 1, 1);
    return new Stream(this.#client, () => decidedEntries(this.#client, from), options.signal);
  }

  startElection(call?: Call): Promise<boolean> {
    return this.#client.questions.attempt((attempt: Attempt<boolean>) => {
      return this.#client.gateway.campaign((result) => {
        endCampaign(attempt, result);
      });
    }, call);
  }

  async appendEntries(entries: readonly Json[], call?: Call): Promise<boolean> {
    if (this.#client.closedBecause === undefined) {
      const leads = this.#client.gateway.status()?.role === "leader";
      // A member knows for certain that it does not lead; a client leaves it to the leader to say so.
      if (entries.length === 0 || (!leads && this.#isMember)) return leads;
    }
    const command = {
      machine: ownMachine,
      bytes: encodeProposal(entries),
      decode: () => true,
      unlessLeader: { value: false },
    };
    const options = { ...call, requestId: call?.requestId ?? this.#client.newRequestId() };
    return this.#client.session.run(command, options);
  }

  async learnDecision(id: string, call?: Call): Promise<Json | undefined> {
    return decidedValue(await this.#learn(id, "linearizable", call));
  }

  async ready(call?: Call): Promise<void> {
    await this.#learn("", "linearizable", call);
  }

  status(): Status {
    return this.#board.status();
  }

  watch(options: WatchStatusOptions = {}): AsyncIterable<Status> {
    return new Stream(this.#client, () => this.#board.changes(), options.signal);
  }

  peer(id: string): this {
    if (this.#peer === undefined) {
      throw badOption(
        "The members of this group are in other processes.",
        "peer() gives the handles of an in-process group; elsewhere ask each agent for its own.",
      );
    }
    // A subclass would have to bring its own peers; there is none.
    return this.#peer(id) as this;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #propose<V extends Json>(
    value: V,
    call: Call | undefined,
    progressed: ((state: ProgressState) => void) | undefined,
  ): Promise<V> {
    try {
      const bytes = encodeProposal([value]);
      // Always with an id, so that `learnDecision` finds it. The same id with another value is refused by the group.
      const options = { ...call, requestId: call?.requestId ?? this.#client.newRequestId() };
      const command = { machine: ownMachine, bytes, decode: () => value, progressed };
      return this.#client.session.run(command, options);
    } catch (error) {
      return rejection(error);
    }
  }

  async #close(): Promise<void> {
    // What was known last can still be looked at.
    this.#board.status();
    this.#client.close();
    await this.#onClose?.();
  }

  #learn(id: string, at: "linearizable" | "local", call: Call | undefined): Promise<Learned> {
    const bytes = encodeLearnQuestion(id);
    return this.#client.questions.ask({ machine: ownMachine, bytes, decode: decodeLearned }, at, call);
  }
}

function endCampaign(attempt: Attempt<boolean>, result: CampaignResult): void {
  switch (result.kind) {
    case "over":
      attempt.succeed(result.leading);
      return;
    case "refused":
      attempt.again(result.refusal);
      return;
    case "lost":
      attempt.again(undefined);
      return;
  }
}

function decidedValue(learned: Learned): Json | undefined {
  switch (learned.kind) {
    case "unknown":
      return undefined;
    case "decided":
      return learned.values.length === 1 ? learned.values[0] : learned.values;
    case "applied":
      return { machine: learned.machine };
  }
}
