import type { Refusal } from "../../../src/core/boundary.ts";
import type { ProgressState } from "../../../src/core/decision.ts";
import { writeUint53 } from "../../../src/core/bytes.ts";
import {
  entryKind,
  entryPayload,
  entrySequence,
  entrySession,
  entryUnsettled,
} from "../../../src/core/entry.ts";
import type { QuorateError } from "../../../src/core/errors.ts";
import { groupName, type GroupName } from "../../../src/core/ids.ts";
import type { Order } from "../../../src/driver/orders.ts";
import type {
  CampaignResult,
  ChangesResult,
  EntriesResult,
  Gateway,
  GatewayListener,
  GroupStatus,
  OrderOutcome,
  ProposeOptions,
  QueryResult,
  StatusResult,
} from "../../../src/runtime/gateway.ts";
import { decodeCommandEnvelope, encodeAnswer, type AnswerStatus } from "../../../src/state/index.ts";

/** One call of `propose`, on its way. */
export interface Batch {
  readonly commands: readonly Uint8Array[];
  readonly onlyAsLeader: boolean;
  readonly tracked: boolean;
}

/** A command that took effect. */
export interface Applied {
  readonly session: number;
  readonly sequence: number;
  readonly machine: string;
  readonly requestId: string;
  readonly text: string;
  readonly unsettled: number;
}

interface SessionModel {
  last: number;
  readonly answers: Map<number, Uint8Array>;
}

interface Asked<R> {
  readonly bytes: Uint8Array;
  readonly at: string;
  readonly done: (result: R) => void;
}

/**
 * A group behind a network that does only what a test tells it: every batch waits in `inFlight` until it is delivered,
 * lost, repeated or refused. The session table is a small model of its own, so that it can disagree with the real one.
 */
export class FakeGateway implements Gateway {
  readonly group: GroupName = groupName("fake");
  inFlight: Batch[] = [];
  readonly applied: Applied[] = [];
  readonly queries: Asked<QueryResult>[] = [];
  readonly campaigns: ((result: CampaignResult) => void)[] = [];
  readonly orders: { order: Order; done: (result: OrderOutcome) => void }[] = [];
  readonly changePolls: { filter: Uint8Array; from: number; done: (result: ChangesResult) => void }[] = [];
  readonly entryPolls: { from: number; done: (result: EntriesResult) => void }[] = [];
  currentStatus: GroupStatus | undefined = fakeStatus();
  /** It is the way to an agent elsewhere: what that has applied has to be asked. */
  isRemote = false;
  /** What it says when it is asked, where that is not what is known. */
  refreshed: Partial<GroupStatus> = {};
  currentProblem: QuorateError | undefined;
  /** While true, answers are lost on their way back. */
  losesAnswers = false;
  proposals = 0;
  /** What was repeated on its way: one copy's refusal would say nothing about the other. */
  readonly repeated = new Set<Uint8Array>();
  closed = false;
  #index = 0;
  readonly #listeners = new Set<GatewayListener>();
  readonly #sessions = new Map<number, SessionModel>();
  readonly #nonces = new Map<number, number>();
  readonly #requestIds = new Map<string, Uint8Array>();

  propose(commands: readonly Uint8Array[], options: ProposeOptions = {}): void {
    this.proposals += 1;
    const { onlyAsLeader = false, tracked = false } = options;
    this.inFlight.push({ commands, onlyAsLeader, tracked });
  }

  query(question: Uint8Array, at: "linearizable" | "local", done: (result: QueryResult) => void): () => void {
    const asked = { bytes: question, at, done };
    this.queries.push(asked);
    return () => remove(this.queries, asked);
  }

  changes(filter: Uint8Array, from: number, done: (result: ChangesResult) => void): () => void {
    const poll = { filter, from, done };
    this.changePolls.push(poll);
    return () => remove(this.changePolls, poll);
  }

  entries(from: number, done: (result: EntriesResult) => void): () => void {
    const poll = { from, done };
    this.entryPolls.push(poll);
    return () => remove(this.entryPolls, poll);
  }

  campaign(done: (result: CampaignResult) => void): () => void {
    this.campaigns.push(done);
    return () => remove(this.campaigns, done);
  }

  order(order: Order, done: (result: OrderOutcome) => void): () => void {
    const asked = { order, done };
    this.orders.push(asked);
    return () => remove(this.orders, asked);
  }

  status(): GroupStatus | undefined {
    return this.currentStatus;
  }

  refreshStatus(done: (result: StatusResult) => void): () => void {
    const status = this.currentStatus;
    const refreshed = { ...(status ?? fakeStatus()), ...this.refreshed };
    queueMicrotask(() =>
      done(status === undefined ? { kind: "lost" } : { kind: "status", status: refreshed }),
    );
    return () => {};
  }

  appliedNow(): number | undefined {
    return this.isRemote ? undefined : this.currentStatus?.applied;
  }

  problem(): QuorateError | undefined {
    return this.currentProblem;
  }

  listen(listener: GatewayListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.closed = true;
  }

  // ── what a test does with it ──

  setStatus(change: Partial<GroupStatus> & { noLeader?: boolean }): void {
    const { noLeader, ...rest } = change;
    const { leader, ...others } = this.currentStatus ?? fakeStatus();
    const kept = noLeader === true || leader === undefined ? {} : { leader };
    this.currentStatus = { ...others, ...kept, ...rest };
    for (const listener of this.#listeners) listener.statusChanged(this.currentStatus);
  }

  interrupt(): void {
    for (const listener of this.#listeners) listener.interrupted();
  }

  fail(error?: QuorateError): void {
    for (const listener of this.#listeners) listener.closed(error);
  }

  /** The batch at that place arrives and is applied. */
  deliver(place = 0): void {
    const [batch] = this.inFlight.splice(place, 1);
    for (const command of batch?.commands ?? []) this.apply(command);
  }

  deliverAll(): void {
    while (this.inFlight.length > 0) this.deliver();
  }

  lose(place = 0): void {
    this.inFlight.splice(place, 1);
  }

  repeat(place = 0): void {
    const batch = this.inFlight[place];
    if (batch === undefined) return;
    this.inFlight.push(batch);
    for (const command of batch.commands) this.repeated.add(command);
  }

  /** The later part of the batch arrives first. */
  tear(place = 0): void {
    const [batch] = this.inFlight.splice(place, 1);
    if (batch === undefined) return;
    const middle = Math.floor(batch.commands.length / 2);
    this.inFlight.push({ ...batch, commands: batch.commands.slice(middle) });
    this.inFlight.push({ ...batch, commands: batch.commands.slice(0, middle) });
  }

  refuse(refusal: Refusal, place = 0, keep = 0): void {
    const [batch] = this.inFlight.splice(place, 1);
    for (const [position, command] of (batch?.commands ?? []).entries()) {
      if (position < keep) this.apply(command);
      else
        for (const listener of this.#listeners) {
          listener.refused(entrySession(command, 0), entrySequence(command, 0), refusal);
        }
    }
  }

  /** Every tracked command of the batch at that place is seen to be so far. */
  progress(state: ProgressState, place = 0): void {
    const batch = this.inFlight[place];
    if (batch?.tracked !== true) return;
    for (const command of batch.commands) {
      for (const listener of this.#listeners) {
        listener.progressed(entrySession(command, 0), entrySequence(command, 0), state);
      }
    }
  }

  /** The group closes every session, as if too many others had been livelier. */
  expireSessions(): void {
    this.#sessions.clear();
    this.#nonces.clear();
  }

  apply(command: Uint8Array): void {
    this.#index += 1;
    const session = entrySession(command, 0);
    const sequence = entrySequence(command, 0);
    const kind = entryKind(command, 0);
    if (kind === "openSession") this.#open(session);
    else if (kind === "closeSession") this.#sessions.delete(session);
    else this.#answer(session, sequence, this.#command(command, session, sequence));
  }

  #open(nonce: number): void {
    const number = this.#nonces.get(nonce) ?? this.#index;
    this.#nonces.set(nonce, number);
    if (!this.#sessions.has(number)) this.#sessions.set(number, { last: 0, answers: new Map() });
    const body = new Uint8Array(8);
    writeUint53(body, 0, number);
    this.#answer(nonce, 0, encodeAnswer("answered", this.#index, body));
  }

  #command(command: Uint8Array, session: number, sequence: number): Uint8Array {
    const table = this.#sessions.get(session);
    if (table === undefined) return encodeAnswer("sessionExpired", this.#index);
    if (sequence > table.last + 1) {
      const body = new Uint8Array(8);
      writeUint53(body, 0, table.last + 1);
      return encodeAnswer("outOfOrder", this.#index, body);
    }
    if (sequence <= table.last) {
      return table.answers.get(sequence) ?? encodeAnswer("forgotten", this.#index);
    }
    const { machine, requestId, command: bytes } = decodeCommandEnvelope(entryPayload(command, 0));
    const unsettled = entryUnsettled(command, 0);
    const first = requestId === "" ? undefined : this.#requestIds.get(requestId);
    const answer = first ?? this.#take(machine, bytes, { session, sequence, machine, requestId, unsettled });
    if (requestId !== "") this.#requestIds.set(requestId, answer);
    table.last = sequence;
    table.answers.set(sequence, answer);
    for (const old of table.answers.keys()) if (old <= sequence - unsettled) table.answers.delete(old);
    return answer;
  }

  #take(machine: string, bytes: Uint8Array, about: Omit<Applied, "text">): Uint8Array {
    const text = new TextDecoder().decode(bytes);
    let status: AnswerStatus = "answered";
    if (machine === "" && bytes.byteLength === 0) status = "rejected";
    else if (machine === "unknown") return encodeAnswer("unknownMachine", this.#index);
    else if (text.startsWith("throw")) status = "rejected";
    else this.applied.push({ ...about, text });
    return encodeAnswer(status, this.#index, bytes);
  }

  #answer(session: number, sequence: number, answer: Uint8Array): void {
    if (this.losesAnswers) return;
    for (const listener of this.#listeners) listener.answered(session, sequence, answer);
  }
}

function fakeStatus(): GroupStatus {
  return {
    mechanism: "raft",
    group: "fake",
    self: "a",
    role: "leader",
    term: 1,
    leader: "a",
    members: ["a"],
    learners: [],
    last: 0,
    committed: 0,
    applied: 0,
    lagMs: 0,
    digest: "",
    peers: [],
  };
}

function remove<T>(items: T[], item: T): void {
  const place = items.indexOf(item);
  if (place >= 0) items.splice(place, 1);
}
