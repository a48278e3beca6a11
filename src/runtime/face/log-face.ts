/** The handle of a group that keeps an ordered log. */
import { badOption, isList, reading, readOptions, shown, type OptionList } from "../../core/arguments.ts";
import { QuorateError } from "../../core/errors.ts";
import { agentId } from "../../core/ids.ts";
import {
  decodeLearned,
  encodeLearnQuestion,
  encodeProposal,
  type Json,
  type Learned,
} from "../../state/index.ts";
import type { ProgressState } from "../../core/decision.ts";
import type { CampaignResult, Cancel } from "../gateway.ts";
import { rejection } from "./call.ts";
import { decidedEntries, type DecidedEntry } from "./decided-entries.ts";
import { LogDecision, type Decision } from "./decision.ts";
import type { GroupClient } from "./group-client.ts";
import {
  checkCall,
  checkFrom,
  checkRequestId,
  checkSignal,
  type Call,
  type CheckedCall,
  type CheckedWait,
} from "./options.ts";
import { writeBytes } from "./pending-command.ts";
import { transferLeadership } from "./hand-over.ts";
import { changeMembers, checkMemberChange, type MemberOptions, type MemberRoles } from "./member-changes.ts";
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

const entriesOptions: OptionList<EntriesOptions> = {
  of: "entries",
  noun: "option",
  like: "{ from: 1 }",
  names: { from: true, signal: true },
};

const statusOptions: OptionList<WatchStatusOptions> = {
  of: "watch",
  noun: "option",
  like: "{ signal }",
  names: { signal: true },
};

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
    try {
      return this.#propose(value, this.#named(checkCall(call)), undefined);
    } catch (error) {
      return rejection(error);
    }
  }

  submit<V extends Json>(value: V, call?: Call): Decision<V> {
    let named: CheckedCall;
    try {
      named = this.#named(checkCall(call));
    } catch (error) {
      // A decision like any other that could not be handed in: its states and its result say so.
      return new LogDecision(this.#client.newRequestId(), () => rejection(error));
    }
    return new LogDecision(named.requestId, (observed) => this.#propose(value, named, observed));
  }

  entries(options?: EntriesOptions): AsyncIterable<DecidedEntry> {
    const checked = checkFrom(entriesOptions, options);
    const from = Math.max(checked.from ?? 1, 1);
    return new Stream(this.#client, () => decidedEntries(this.#client, from), checked.signal);
  }

  async startElection(call?: Call): Promise<boolean> {
    const start = (attempt: Attempt<boolean>): Cancel => {
      return this.#client.gateway.campaign((result) => {
        endCampaign(attempt, result);
      });
    };
    return this.#client.questions.attempt(start, checkCall(call));
  }

  async appendEntries(entries: readonly Json[], call?: Call): Promise<boolean> {
    const checked = this.#named(checkCall(call));
    const bytes = encodeProposal(listOf(entries));
    if (this.#client.closedBecause === undefined) {
      const leads = this.#client.gateway.status()?.role === "leader";
      // A member knows for certain that it does not lead; a client leaves it to the leader to say so.
      if (bytes.length === 0 || (!leads && this.#isMember)) return leads;
    }
    const command = {
      machine: ownMachine,
      write: writeBytes(bytes),
      decode: () => true,
      unlessLeader: { value: false },
    };
    return this.#client.session.run(command, checked);
  }

  async changeMembers(members: MemberRoles, options?: MemberOptions): Promise<void> {
    const checked = checkMemberChange(members, options);
    return changeMembers(this.#client.gateway, this.#client.questions, checked);
  }

  async transferLeadership(to?: string, call?: Call): Promise<string> {
    const target = to === undefined ? undefined : agentId(to);
    return transferLeadership(this.#client.gateway, this.#client.questions, target, checkCall(call));
  }

  async learnDecision(id: string, call?: Call): Promise<Json | undefined> {
    const wait = checkCall(call);
    return decidedValue(await this.#learn(checkRequestId("The decision's id", id), wait));
  }

  async ready(call?: Call): Promise<void> {
    await this.#learn("", checkCall(call));
  }

  status(): Status {
    return this.#board.status();
  }

  watch(options?: WatchStatusOptions): AsyncIterable<Status> {
    const signal =
      options === undefined ? undefined : checkSignal(readOptions(statusOptions, options).signal);
    return new Stream(this.#client, () => this.#board.changes(), signal);
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
    call: CheckedCall,
    progressed: ((state: ProgressState) => void) | undefined,
  ): Promise<V> {
    try {
      const bytes = encodeProposal([value]);
      return this.#client.session.run(
        { machine: ownMachine, write: writeBytes(bytes), decode: () => value, progressed },
        call,
      );
    } catch (error) {
      return rejection(error);
    }
  }

  /** Always with an id, so that `learnDecision` finds it. The same id with another value is refused by the group. */
  #named(call: CheckedCall): CheckedCall {
    return call.requestId === "" ? { ...call, requestId: this.#client.newRequestId() } : call;
  }

  async #close(): Promise<void> {
    // What was known last can still be looked at.
    this.#board.status();
    this.#client.close();
    await this.#onClose?.();
  }

  #learn(id: string, { timeoutMs, signal }: CheckedWait): Promise<Learned> {
    const question = { machine: ownMachine, bytes: encodeLearnQuestion(id), decode: decodeLearned };
    return this.#client.questions.ask(question, { timeoutMs, signal, at: "linearizable" });
  }
}

/** The values to append. Throws `BAD_VALUE` where they are no list. */
function listOf(entries: unknown): readonly unknown[] {
  if (isList(entries)) return reading("The list of entries", () => [...entries]);
  throw new QuorateError("BAD_VALUE", `The entries are ${shown(entries)}, not a list.`, {
    outcome: "notDone",
    hint: 'Give a list of values, like [{ type: "update" }]; for one value there is propose().',
  });
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
