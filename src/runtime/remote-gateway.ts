/**
 * The way into a group of other processes. It finds an agent that has the group, follows the group's leader (unless it
 * is pinned), and goes elsewhere when an agent is gone; after each move it tells its listeners that what they wait for
 * may be lost. Questions survive a move: they are asked again where it leads.
 */
import type { Refusal } from "../core/boundary.ts";
import type { ByteReader } from "../core/bytes.ts";
import { entrySequence, entrySession } from "../core/entry.ts";
import { MalformedError, QuorateError } from "../core/errors.ts";
import type { GroupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { NumberTable } from "../core/number-table.ts";
import type { WireVersion } from "../core/wire-version.ts";
import type { Order } from "../driver/orders.ts";
import { BackOff } from "./back-off.ts";
import type { ClientLink, LinkFailure, LinkUser } from "./client-link.ts";
import type { ClientPool } from "./client-pool.ts";
import {
  readCampaignAnswer,
  readChangesAnswer,
  readEntriesAnswer,
  readOrderAnswer,
  readQueryAnswer,
  readStatusReport,
  writeOrder,
  type StatusReport,
} from "./client-wire.ts";
import { unreachableAgent } from "./dial.ts";
import type { FrameKind, FrameWriter } from "./frame.ts";
import {
  takesPart,
  type CampaignResult,
  type Cancel,
  type ChangesResult,
  type EntriesResult,
  type Gateway,
  type GatewayListener,
  type GroupStatus,
  type OrderOutcome,
  type ProposeOptions,
  type QueryResult,
  type StatusResult,
} from "./gateway.ts";

/** Where the leader could not be reached, it is tried again after so long. */
const leaderRetryMs = 1000;
/** An agent that says nothing for so long is passed over, where there are others; in the next round each gets twice as long. */
const patienceMsMin = 300;

/** A question under way, or waiting for an agent. */
interface Call {
  /** Its place among this gateway's calls; each has another one. */
  readonly number: number;
  readonly kind: FrameKind;
  readonly answerKind: FrameKind;
  readonly write: (writer: FrameWriter) => void;
  readonly settle: (reader: ByteReader, tail: Uint8Array, version: WireVersion) => void;
  readonly lose: (failure: LinkFailure | undefined) => void;
  /** Whether to ask again elsewhere when the agent is gone. */
  readonly repeats: boolean;
  takeBack: Cancel | undefined;
}

/** One agent, as this gateway uses it or tries to. */
interface Post {
  readonly target: string;
  link: ClientLink | undefined;
  report: StatusReport | undefined;
  readonly leave: Cancel[];
}

export class RemoteGateway implements Gateway {
  readonly group: GroupName;
  readonly #pool: ClientPool;
  readonly #onClose: () => void;
  readonly #listeners = new Set<GatewayListener>();
  readonly #calls = new NumberTable<Call>();
  #lastCall = 0;
  readonly #backOff = new BackOff();
  /** In use; it has answered. */
  #current: Post | undefined;
  /** Being tried: the first one, the next one after a loss, or the leader. */
  #candidate: Post | undefined;
  #tried = 0;
  #retry: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;
  #patienceMs = patienceMsMin;
  #status: GroupStatus | undefined;
  #problem: QuorateError | undefined;
  #closed = false;

  /** Made by `ClientPool.gateway`. */
  constructor(pool: ClientPool, group: GroupName, onClose: () => void) {
    this.group = group;
    this.#pool = pool;
    this.#onClose = onClose;
    setImmediate(() => this.#seek());
  }

  /** The agent that it talks to at the moment. */
  get agent(): string | undefined {
    return this.#current?.report?.agent;
  }

  propose(commands: readonly Uint8Array[], options?: ProposeOptions): void {
    const link = this.#current?.link;
    // Without an agent they are lost; the listeners hear `interrupted` once there is one.
    if (link === undefined || this.#closed) return;
    const taken = link.propose(this.group, commands, options);
    if (taken === commands.length) return;
    const refusal = overloaded(link);
    setImmediate(() => {
      for (const command of commands.slice(taken))
        this.#refused(entrySession(command, 0), entrySequence(command, 0), refusal);
    });
  }

  query(question: Uint8Array, at: "linearizable" | "local", done: (result: QueryResult) => void): Cancel {
    return this.#call({
      number: this.#nextCall(),
      kind: "query",
      answerKind: "queryAnswer",
      write: (writer) => writer.uint8(at === "linearizable" ? 0 : 1).raw(question),
      settle: (reader, _tail, version) => done(readQueryAnswer(reader, version)),
      lose: (failure) => {
        if (failure !== "overloaded") done({ kind: "lost" });
        else done({ kind: "refused", refusal: tooManyRequests });
      },
      repeats: true,
      takeBack: undefined,
    });
  }

  changes(filter: Uint8Array, from: number, done: (result: ChangesResult) => void): Cancel {
    return this.#call({
      number: this.#nextCall(),
      kind: "changes",
      answerKind: "changesAnswer",
      write: (writer) => writer.uint53(from).raw(filter),
      settle: (reader) => done(readChangesAnswer(reader)),
      lose: () => done({ kind: "lost" }),
      repeats: true,
      takeBack: undefined,
    });
  }

  entries(from: number, done: (result: EntriesResult) => void): Cancel {
    return this.#call({
      number: this.#nextCall(),
      kind: "entries",
      answerKind: "entriesAnswer",
      write: (writer) => writer.uint53(from),
      settle: (reader, tail) => done(readEntriesAnswer(reader, tail)),
      lose: () => done({ kind: "lost" }),
      repeats: true,
      takeBack: undefined,
    });
  }

  campaign(done: (result: CampaignResult) => void): Cancel {
    return this.#call({
      number: this.#nextCall(),
      kind: "campaign",
      answerKind: "campaignAnswer",
      write: () => {},
      settle: (reader, _tail, version) => done(readCampaignAnswer(reader, version)),
      lose: () => done({ kind: "lost" }),
      repeats: false,
      takeBack: undefined,
    });
  }

  order(order: Order, done: (result: OrderOutcome) => void): Cancel {
    return this.#call({
      number: this.#nextCall(),
      kind: "order",
      answerKind: "orderAnswer",
      write: (writer) => writeOrder(writer, order),
      settle: (reader, _tail, version) => done(readOrderAnswer(reader, version)),
      lose: (failure) => done({ kind: failure === "notInVersion" ? "tooOld" : "lost" }),
      repeats: false,
      takeBack: undefined,
    });
  }

  status(): GroupStatus | undefined {
    return this.#status;
  }

  refreshStatus(done: (result: StatusResult) => void): Cancel {
    return this.#call({
      number: this.#nextCall(),
      kind: "status",
      answerKind: "statusAnswer",
      write: (writer) => writer.uint8(1),
      settle: (reader) => {
        const report = readStatusReport(reader);
        this.#learn(report);
        done(report.status === undefined ? { kind: "lost" } : { kind: "status", status: report.status });
      },
      lose: () => done({ kind: "lost" }),
      repeats: true,
      takeBack: undefined,
    });
  }

  /** Agents tell of a change of role, term or leader, but not of every entry. */
  appliedNow(): undefined {
    return undefined;
  }

  problem(): QuorateError | undefined {
    return this.#current === undefined ? this.#problem : undefined;
  }

  listen(listener: GatewayListener): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
    if (this.#candidate !== undefined) leave(this.#candidate);
    if (this.#current !== undefined) leave(this.#current);
    this.#candidate = undefined;
    this.#current = undefined;
    this.#onClose();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    setImmediate(() => {
      // Not before: until now they may be taken back.
      for (const call of this.#calls.toArray()) {
        if (this.#calls.delete(call.number) !== undefined) call.lose(undefined);
      }
      for (const listener of listeners) listener.closed();
    });
  }

  // ── questions ──

  #call(call: Call): Cancel {
    if (this.#closed) {
      const immediate = setImmediate(() => call.lose(undefined));
      return () => clearImmediate(immediate);
    }
    this.#calls.add(call.number, call);
    const link = this.#current?.link;
    if (link !== undefined) this.#ask(call, link);
    return () => {
      this.#calls.delete(call.number);
      call.takeBack?.();
    };
  }

  #nextCall(): number {
    this.#lastCall += 1;
    return this.#lastCall;
  }

  #ask(call: Call, link: ClientLink): void {
    call.takeBack = link.request(
      call.kind,
      call.answerKind,
      this.group,
      call.write,
      (answer, tail, failure) => {
        call.takeBack = undefined;
        if (answer !== undefined) {
          this.#calls.delete(call.number);
          settleCall(call, answer, tail, link.version);
        } else if (failure === "overloaded" || !call.repeats) {
          this.#calls.delete(call.number);
          call.lose(failure);
        }
        // Otherwise it stays, and is asked again at the next agent.
        else if (failure !== undefined) this.#groupFailed(this.#current, failure);
      },
    );
  }

  // ── finding an agent ──

  /** Tries the next address; after a round without success it waits a little. */
  #seek(): void {
    if (this.#closed || this.#current !== undefined || this.#candidate !== undefined) return;
    clearTimeout(this.#retry);
    const targets = this.#pool.targets();
    if (this.#tried >= targets.length) {
      this.#tried = 0;
      this.#patienceMs = Math.min(this.#patienceMs * 2, limits.handshakeMsMax);
      this.#retry = setTimeout(() => this.#seek(), this.#backOff.next());
      return;
    }
    const target = targets[this.#tried];
    this.#tried += 1;
    if (target === undefined) return;
    this.#awaitWord(this.#try(target));
  }

  /** For so long, where there are others to ask. */
  #awaitWord(post: Post): void {
    clearTimeout(this.#patience);
    if (this.#pool.targets().length < 2) return;
    this.#patience = setTimeout(() => this.#passOver(post), this.#patienceMs);
  }

  /** A stopped process accepts connections, and says nothing. */
  #passOver(post: Post): void {
    if (post !== this.#candidate || this.#current !== undefined) return;
    this.#problem = unreachableAgent(post.target, `nothing came back within ${this.#patienceMs} ms`);
    this.#drop(post);
  }

  #try(target: string): Post {
    const post: Post = { target, link: undefined, report: undefined, leave: [] };
    this.#candidate = post;
    post.leave.push(
      this.#pool.watch(target, {
        opened: (link) => this.#opened(post, link),
        lost: (error) => this.#lost(post, error),
      }),
    );
    return post;
  }

  #opened(post: Post, link: ClientLink): void {
    post.link = link;
    post.leave.push(
      link.use({
        group: this.group,
        answered: (session, sequence, answer) => {
          for (const listener of this.#listeners) listener.answered(session, sequence, answer);
        },
        refused: (session, sequence, refusal) => this.#refused(session, sequence, refusal),
        progressed: (session, sequence, state) => {
          for (const listener of this.#listeners) listener.progressed(session, sequence, state);
        },
        reported: (report) => this.#reported(post, report),
        groupFailed: (failure) => this.#groupFailed(post, failure),
      } satisfies LinkUser),
      link.request(
        "status",
        "statusAnswer",
        this.group,
        (writer) => writer.uint8(1),
        (answer, _tail, failure) => {
          if (answer !== undefined) this.#reported(post, readStatusReport(answer));
          else if (failure !== undefined) this.#groupFailed(post, failure);
        },
      ),
    );
  }

  #reported(post: Post, report: StatusReport): void {
    if (this.#closed) return;
    const { status } = report;
    if (!this.#pool.pin && (status === undefined || !takesPart(status))) {
      this.#pool.learn(report);
      this.#problem = noMember(this.group, report.agent);
      this.#drop(post);
      return;
    }
    const first = post.report === undefined;
    const before = leadership(post.report?.status);
    post.report = report;
    if (post === this.#candidate && first) this.#settle(post);
    if (post !== this.#current) return;
    this.#learn(report);
    const now = leadership(report.status);
    // Commands that this agent forwarded to the last leader may be lost.
    if (!first && now !== "" && now !== before) this.#interrupt();
    this.#follow();
  }

  /** The candidate has answered: it is used from now on. */
  #settle(post: Post): void {
    const link = post.link;
    if (link === undefined) return;
    const before = this.#current;
    this.#candidate = undefined;
    this.#current = post;
    this.#tried = 0;
    clearTimeout(this.#patience);
    this.#patienceMs = patienceMsMin;
    this.#problem = undefined;
    this.#backOff.reset();
    for (const call of this.#calls.toArray()) {
      if (!call.repeats && call.takeBack !== undefined) continue;
      call.takeBack?.();
      this.#ask(call, link);
    }
    if (before !== undefined) leave(before);
    setImmediate(() => this.#interrupt());
  }

  /** Goes to the leader, if it is known, elsewhere and reachable. */
  #follow(): void {
    const current = this.#current;
    const status = current?.report?.status;
    if (current === undefined || this.#pool.pin || this.#closed) return;
    clearTimeout(this.#retry);
    const leader = status?.leader;
    const target = leader === undefined || leader === status?.self ? undefined : this.#pool.addressOf(leader);
    const candidate = this.#candidate;
    if (candidate !== undefined && candidate.target !== target) {
      this.#candidate = undefined;
      leave(candidate);
    }
    if (target === undefined || target === current.target || this.#candidate !== undefined) return;
    this.#try(target);
  }

  #lost(post: Post, error: QuorateError): void {
    if (this.#closed) return;
    this.#problem = error;
    this.#drop(post);
  }

  #groupFailed(post: Post | undefined, failure: LinkFailure): void {
    if (this.#closed || post === undefined) return;
    this.#problem = withoutGroup(this.group, post, failure);
    this.#drop(post);
  }

  #drop(post: Post): void {
    leave(post);
    if (post === this.#candidate) {
      this.#candidate = undefined;
      clearTimeout(this.#retry);
      clearTimeout(this.#patience);
      if (this.#current !== undefined) this.#retry = setTimeout(() => this.#follow(), leaderRetryMs);
    }
    if (post === this.#current) {
      this.#current = undefined;
      // Not the one that is gone first: the others know sooner who leads now.
      this.#tried = 0;
      for (const call of this.#calls.toArray()) {
        if (call.repeats || this.#calls.delete(call.number) === undefined) continue;
        call.lose(undefined);
      }
    }
    if (this.#current !== undefined) return;
    // The leader that it was on its way to may have stopped with it.
    if (this.#candidate === undefined) setImmediate(() => this.#seek());
    else this.#awaitWord(this.#candidate);
  }

  // ── telling ──

  #learn(report: StatusReport): void {
    this.#pool.learn(report);
    const { status } = report;
    if (status === undefined) return;
    this.#status = status;
    for (const listener of this.#listeners) listener.statusChanged(status);
  }

  #interrupt(): void {
    if (this.#closed) return;
    for (const listener of this.#listeners) listener.interrupted();
  }

  #refused(session: number, sequence: number, refusal: Refusal): void {
    for (const listener of this.#listeners) listener.refused(session, sequence, refusal);
  }
}

/** An answer that can't be read ends the link, like every malformed frame; whoever asked must hear of it all the same. */
function settleCall(call: Call, answer: ByteReader, tail: Uint8Array, version: WireVersion): void {
  try {
    call.settle(answer, tail, version);
  } catch (error) {
    if (error instanceof MalformedError) call.lose(undefined);
    throw error;
  }
}

function leave(post: Post): void {
  for (const step of post.leave.splice(0).reverse()) step();
  post.link = undefined;
}

/** Who leads, and since which term; empty where nobody is known to. */
function leadership(status: GroupStatus | undefined): string {
  return status?.leader === undefined ? "" : `${status.term} ${status.leader}`;
}

const tooManyRequests: Refusal = {
  kind: "overloaded",
  inFlight: limits.clientRequestsMax,
  inFlightMax: limits.clientRequestsMax,
};

function overloaded(link: ClientLink): Refusal {
  return { kind: "overloaded", inFlight: link.queuedBytes, inFlightMax: limits.linkQueueBytesMax };
}

function noMember(group: GroupName, agent: string): QuorateError {
  return new QuorateError("GROUP_MISMATCH", `Agent ${agent} is no member of the group ${group}.`, {
    outcome: "notDone",
    hint: "It was removed, or waits to be taken in (`quorate members add`): connect to one of the members.",
  });
}

function withoutGroup(group: GroupName, post: Post, failure: LinkFailure): QuorateError {
  if (failure === "notInVersion") {
    return new QuorateError("PROTOCOL", `The agent at ${post.target} is too old to be asked that.`, {
      outcome: "notDone",
      hint: "Upgrade it; docs/operations.md says how, one agent at a time.",
    });
  }
  const what = failure === "closed" ? "no longer hosts" : "does not host";
  return new QuorateError("GROUP_MISMATCH", `The agent at ${post.target} ${what} a group ${group}.`, {
    outcome: "notDone",
    hint: "Check the group's name, and with which groups the agents were started.",
  });
}
