/**
 * One client's session with one group: every command is applied exactly once, in the order of the calls, whatever is
 * lost, repeated or interrupted between here and the group's log.
 *
 * How: each command carries (session, sequence) in its header and is handed in again until its answer is known; the
 * replicated session table answers a repeat as the first time and applies n only after n−1 (Ongaro, "Consensus:
 * Bridging Theory and Practice", 2014, section 6.3). All calls of one tick are handed in together.
 */
import { assert, unreachable } from "../../core/assert.ts";
import type { Refusal } from "../../core/boundary.ts";
import type { ProgressState } from "../../core/decision.ts";
import { emptyBytes, readUint53 } from "../../core/bytes.ts";
import { encodeCommand, writeCommandHeader } from "../../core/entry.ts";
import { QuorateError, type ErrorOutcome } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import { decodeAnswer, type Answer } from "../../state/index.ts";
import type { Gateway, ProposeOptions } from "../gateway.ts";
import { AskedAgain } from "./asked-again.ts";
import {
  abortedError,
  closedError,
  malformedAnswerError,
  parseRequestId,
  rejectedError,
  rejection,
  requestIdOf,
  restated,
  tooLargeError,
  unansweredError,
  unknownMachineError,
} from "./call.ts";
import type { FaceClock } from "./face-clock.ts";
import { CommandEncoder } from "./command-encoder.ts";
import { ordinaryCall, type CheckedCall } from "./options.ts";
import { PendingCommand, type Command, type CommandOwner } from "./pending-command.ts";
import { Repeats } from "./repeats.ts";
import { SessionWindow } from "./session-window.ts";
import { WaitingLine } from "./waiting-line.ts";
import type { Waiters } from "./waiters.ts";

/** After so long without an answer the group may have closed the session: commands then carry a request id, which outlives it. */
const quietMs = 10_000;

const toAnyMember: ProposeOptions = { onlyAsLeader: false, tracked: false };
const toLeaderOnly: ProposeOptions = { onlyAsLeader: true, tracked: false };
const tracked: ProposeOptions = { onlyAsLeader: false, tracked: true };
const trackedToLeaderOnly: ProposeOptions = { onlyAsLeader: true, tracked: true };

/** How a command is handed in; commands with the same of these objects may share a batch. */
function wayOf(pending: PendingCommand): ProposeOptions {
  if (pending.isTracked) return pending.isForLeaderOnly ? trackedToLeaderOnly : tracked;
  return pending.isForLeaderOnly ? toLeaderOnly : toAnyMember;
}

export interface SessionOptions {
  readonly gateway: Gateway;
  /** In whose name the commands are proposed. */
  readonly proposer: string;
  readonly clock: FaceClock;
  readonly waiters: Waiters;
  /** Smaller windows for tests. */
  readonly unsettledMax?: number;
  readonly lineMax?: number;
}

export class SessionClient implements CommandOwner {
  readonly #gateway: Gateway;
  readonly #encoder: CommandEncoder;
  readonly #clock: FaceClock;
  readonly #waiters: Waiters;
  readonly #unsettledMax: number;
  readonly #lineMax: number;
  readonly #line: WaitingLine = new WaitingLine();
  readonly #asked: AskedAgain = new AskedAgain();
  readonly #repeats: Repeats;
  #window: SessionWindow<PendingCommand>;
  /** The session's number; 0: none is open. */
  #session = 0;
  /** Names the session that is being opened; 0: none is. */
  #nonce = 0;
  #openRefusal: Refusal | undefined;
  #leaderKnown = true;
  #flushIsDue = false;
  #heardMs = 0;
  #closed: QuorateError | undefined;

  constructor(options: SessionOptions) {
    this.#gateway = options.gateway;
    this.#encoder = new CommandEncoder(options.proposer);
    this.#clock = options.clock;
    this.#waiters = options.waiters;
    this.#unsettledMax = options.unsettledMax ?? limits.sessionUnsettledMax;
    this.#lineMax = options.lineMax ?? limits.waitingCallsMax;
    this.#window = new SessionWindow(this.#unsettledMax);
    this.#repeats = new Repeats(
      options.clock,
      (from) => this.#repeat(from),
      () => this.#isWaiting,
    );
  }

  /** Applies the command exactly once, and gives what the state machine answered. */
  run<T>(command: Command<T>, call: CheckedCall = ordinaryCall): Promise<T> {
    try {
      return this.#accept(command, call).promise as Promise<T>;
    } catch (error) {
      return rejection(error);
    }
  }

  // ── what the gateway tells ──

  answered(session: number, sequence: number, bytes: Uint8Array): void {
    if (sequence === 0) {
      if (this.#nonce !== 0 && session === this.#nonce) this.#opened(bytes);
      return;
    }
    const pending = session === this.#session ? this.#window.get(sequence) : undefined;
    if (pending === undefined && !this.#asked.isWaiting) return;
    const answer = tryDecode(bytes);
    if (pending === undefined) this.#answerAsked(session, sequence, answer);
    else this.#answerPending(pending, answer, bytes);
  }

  refused(session: number, sequence: number, refusal: Refusal): void {
    if (sequence === 0) {
      if (this.#nonce === 0 || session !== this.#nonce) return;
      this.#openRefusal = refusal;
      this.#repeats.rewind(0, "refused");
      return;
    }
    const pending = session === this.#session ? this.#window.get(sequence) : undefined;
    if (pending === undefined) return;
    pending.outstanding = false;
    pending.refusal = refusal;
    const unlessLeader = pending.command.unlessLeader;
    if (refusal.kind === "notLeader" && unlessLeader !== undefined && pending.isClean && !pending.settled) {
      this.#waiters.remove(pending);
      pending.resolve(unlessLeader.value);
      this.#abandon(pending);
    } else {
      this.#repeats.rewind(sequence, "refused");
    }
  }

  progressed(session: number, sequence: number, state: ProgressState): void {
    const pending = session === this.#session ? this.#window.get(sequence) : undefined;
    pending?.progressed(state);
    this.#asked.progressed(session, sequence, state);
  }

  interrupted(): void {
    if (this.#closed !== undefined) return;
    this.#repeats.endRewind();
    if (this.#isWaiting) this.#clock.soon(() => this.#repeat(0));
  }

  leaderKnown(known: boolean): void {
    this.#leaderKnown = known;
  }

  /** Ends everything that waits, with `error` as the reason. Idempotent. */
  close(error: QuorateError = closedError("notDone")): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#repeats.close();
    const sent = [...this.#window.from(0)];
    const attached = sent.flatMap((pending) => pending.attached ?? []);
    const waiting = [...sent, ...attached, ...this.#line.clear(), ...this.#asked.clear()];
    for (const pending of waiting) {
      if (pending.settled) continue;
      const outcome = this.#outcomeOf(pending);
      this.#reject(pending, restated(error, outcome, this.#idOf(pending, outcome)));
    }
    if (this.#session !== 0 && this.#window.isEmpty) {
      const { next } = this.#window;
      const header = { kind: "closeSession", session: this.#session, sequence: next, unsettled: 1 } as const;
      this.#gateway.propose([encodeCommand(header, emptyBytes)], toAnyMember);
    }
    this.#session = 0;
    this.#nonce = 0;
  }

  // ── callers who leave ──

  expired(pending: PendingCommand): void {
    const outcome = this.#outcomeOf(pending);
    const id = this.#idOf(pending, outcome);
    this.#leave(pending, this.#noAnswer(pending, outcome, id));
  }

  aborted(pending: PendingCommand): void {
    const outcome = this.#outcomeOf(pending);
    this.#waiters.remove(pending);
    this.#leave(pending, abortedError(outcome, this.#idOf(pending, outcome)));
  }

  #leave(pending: PendingCommand, error: QuorateError): void {
    pending.reject(error);
    switch (pending.place) {
      case "line":
        this.#line.left();
        break;
      case "window":
        if (pending.isClean) this.#abandon(pending);
        break;
      case "asking":
        this.#asked.left(pending);
        break;
    }
  }

  /**
   * It was certainly never appended and its caller knows, so it must not be any more; but the session goes on only
   * past its sequence. The last one is taken back; in the place of another comes a command without effect.
   */
  #abandon(pending: PendingCommand): void {
    pending.entry = this.#encoder.filler();
    pending.isFresh = true;
    for (;;) {
      const last = this.#window.get(this.#window.next - 1);
      if (last === undefined || !last.settled || !last.isClean || !last.isFresh) break;
      this.#window.retract();
    }
    if (this.#window.get(pending.sequence) === pending) this.#repeats.rewind(pending.sequence, "refused");
    this.#flushSoon();
  }

  /** What is known of a command whose caller leaves now. */
  #outcomeOf(pending: PendingCommand): ErrorOutcome {
    if (pending.place === "asking") return "unknown";
    return pending.isClean ? "notDone" : "unknown";
  }

  #idOf(pending: PendingCommand, outcome: ErrorOutcome): string | undefined {
    if (pending.requestId !== "") return pending.requestId;
    return outcome === "unknown" ? requestIdOf(pending.session, pending.sequence) : undefined;
  }

  #noAnswer(pending: PendingCommand, outcome: ErrorOutcome, requestId: string | undefined): QuorateError {
    const problem = this.#gateway.problem();
    if (problem !== undefined) return restated(problem, outcome, requestId);
    const refusal = pending.refusal ?? (this.#session === 0 ? this.#openRefusal : undefined);
    if (outcome === "notDone" && refusal !== undefined) {
      if (refusal.kind === "overloaded") return unansweredError("OVERLOADED", outcome, requestId);
      if (refusal.kind === "diskFull") return unansweredError("DISK_FULL", outcome, requestId);
    }
    const leaderless = refusal?.kind === "notLeader" && refusal.leader === undefined && !pending.outstanding;
    if (leaderless || !this.#leaderKnown) return unansweredError("NO_QUORUM", outcome, requestId);
    if (pending.place === "line" && this.#session !== 0)
      return unansweredError("OVERLOADED", outcome, requestId);
    return unansweredError("TIMEOUT", outcome, requestId);
  }

  // ── answers ──

  #answerPending(pending: PendingCommand, answer: AnswerRead, bytes: Uint8Array): void {
    switch (answer.kind) {
      case "answered":
      case "rejected":
      case "unknownMachine":
        if (pending.settled && !pending.isClean)
          this.#asked.keepLate(pending.session, pending.sequence, bytes);
        this.#settle(pending, answer);
        return;
      case "forgotten":
      case "malformed":
        this.#settle(pending, answer);
        return;
      case "outOfOrder":
        this.#repeats.rewind(answer.expected, "outOfOrder");
        return;
      case "sessionExpired":
        this.#sessionLost();
        return;
      default:
        unreachable(answer);
    }
  }

  #answerAsked(session: number, sequence: number, answer: AnswerRead): void {
    if (answer.kind === "outOfOrder") return;
    for (const pending of this.#asked.take(session, sequence)) this.#deliver(pending, answer);
  }

  /** Its fate is known: the window moves on. */
  #settle(pending: PendingCommand, answer: AnswerRead): void {
    this.#window.settle(pending.sequence);
    if (!pending.settled) this.#deliver(pending, answer);
    for (const other of pending.attached ?? []) if (!other.settled) this.#deliver(other, answer);
    this.#heardMs = this.#clock.nowMs();
    if (this.#repeats.heard() || this.#line.count > 0) this.#flushSoon();
  }

  #deliver(pending: PendingCommand, answer: AnswerRead): void {
    this.#waiters.remove(pending);
    const result = resultOf(pending, answer);
    if (result instanceof QuorateError) pending.reject(result);
    else pending.resolve(result.value);
  }

  #reject(pending: PendingCommand, error: QuorateError): void {
    this.#waiters.remove(pending);
    pending.reject(error);
  }

  // ── commands in ──

  #accept(command: Command<unknown>, call: CheckedCall): PendingCommand {
    const { timeoutMs, requestId: chosenId, signal } = call;
    const askedFor = chosenId === "" ? undefined : chosenId;
    if (this.#closed !== undefined) throw restated(this.#closed, "notDone", askedFor);
    if (signal?.aborted === true) throw abortedError("notDone", askedFor);
    const nowMs = this.#clock.nowMs();
    const earlier = parseRequestId(chosenId);
    const requestId = chosenId === "" && this.#isQuiet(nowMs) ? this.#clock.unique() : chosenId;
    const idInPayload = earlier === undefined ? requestId : "";
    const entry = this.#encoder.encode(command.machine, idInPayload, command.write);
    if (entry.length > limits.entryBytesMax) throw tooLargeError(entry.length);
    if (this.#line.count >= this.#lineMax) throw unansweredError("OVERLOADED", "notDone", askedFor);
    const pending = new PendingCommand(this, command, entry, requestId, signal);
    pending.deadlineMs = nowMs + timeoutMs;
    this.#waiters.add(pending, nowMs);
    if (earlier === undefined) {
      this.#line.push(pending);
      this.#flushSoon();
    } else {
      this.#askAgain(pending, earlier.session, earlier.sequence);
    }
    return pending;
  }

  /** No answer for so long that the group may have closed the session meanwhile. */
  #isQuiet(nowMs: number): boolean {
    return this.#session !== 0 && nowMs - this.#heardMs > quietMs;
  }

  #askAgain(pending: PendingCommand, session: number, sequence: number): void {
    pending.place = "asking";
    const first = session === this.#session ? this.#window.get(sequence) : undefined;
    if (first !== undefined) {
      first.attached = [...(first.attached ?? []).filter((other) => !other.settled), pending];
      return;
    }
    const late = this.#asked.late(pending.requestId);
    if (late !== undefined) {
      this.#deliver(pending, tryDecode(late));
      return;
    }
    const entry = this.#asked.ask(pending, session, sequence);
    this.#gateway.propose([entry], pending.isTracked ? tracked : toAnyMember);
    this.#repeats.watch();
  }

  #flushSoon(): void {
    if (this.#flushIsDue || this.#closed !== undefined) return;
    this.#flushIsDue = true;
    this.#clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#flushIsDue = false;
    if (this.#closed !== undefined || this.#line.count === 0) return;
    if (this.#session === 0) {
      if (this.#nonce === 0 || !this.#repeats.isWatching) this.#open();
      return;
    }
    if (this.#repeats.holdsBack) return;
    const batch: PendingCommand[] = [];
    while (!this.#window.isFull) {
      const pending = this.#line.shift();
      if (pending === undefined) break;
      pending.place = "window";
      pending.session = this.#session;
      pending.sequence = this.#window.add(pending);
      batch.push(pending);
    }
    this.#handIn(batch);
  }

  #handIn(batch: readonly PendingCommand[]): void {
    let entries: Uint8Array[] = [];
    let way = toAnyMember;
    for (const pending of batch) {
      if (pending.outstanding) pending.doubt = true;
      const wayNow = wayOf(pending);
      if (entries.length > 0 && wayNow !== way) {
        this.#gateway.propose(entries, way);
        entries = [];
      }
      way = wayNow;
      entries.push(this.#entryOf(pending));
      pending.outstanding = true;
    }
    if (entries.length === 0) return;
    this.#gateway.propose(entries, way);
    this.#repeats.watch();
  }

  #entryOf(pending: PendingCommand): Uint8Array {
    if (!pending.isFresh) return pending.entry;
    const { session, sequence, entry } = pending;
    assert(
      session === this.#session && sequence > 0,
      "a command is handed in under the session that is open",
    );
    const unsettled = this.#window.unsettledAt(sequence);
    writeCommandHeader(entry, { kind: "command", session, sequence, unsettled });
    pending.isFresh = false;
    return entry;
  }

  get #isWaiting(): boolean {
    const isOpening = this.#nonce !== 0 && this.#line.count > 0;
    return isOpening || !this.#window.isEmpty || this.#asked.isWaiting;
  }

  /** Hands in everything that is unanswered, from this sequence on, in order. */
  #repeat(from: number): void {
    if (this.#closed !== undefined) return;
    if (this.#nonce !== 0 && this.#line.count > 0) this.#open();
    this.#handIn([...this.#window.from(from)]);
    const asked = this.#asked.entries();
    if (asked.length > 0) {
      this.#gateway.propose(asked, this.#asked.isTracked ? tracked : toAnyMember);
      this.#repeats.watch();
    }
    this.#flushSoon();
  }

  // ── the session ──

  #open(): void {
    if (this.#nonce === 0) this.#nonce = 1 + Math.floor(this.#clock.random() * (Number.MAX_SAFE_INTEGER - 1));
    const header = { kind: "openSession", session: this.#nonce, sequence: 0, unsettled: 0 } as const;
    this.#gateway.propose([encodeCommand(header, emptyBytes)], toAnyMember);
    this.#repeats.watch();
  }

  #opened(bytes: Uint8Array): void {
    const answer = tryDecode(bytes);
    if (answer.kind !== "answered" || answer.bytes.length !== 8) return;
    this.#session = readUint53(answer.bytes, 0);
    this.#nonce = 0;
    this.#openRefusal = undefined;
    this.#window = new SessionWindow(this.#unsettledMax);
    this.#heardMs = this.#clock.nowMs();
    this.#repeats.endRewind();
    this.#repeats.heard();
    this.#flushSoon();
  }

  /**
   * The group has closed the session, so nothing more of it is applied. What carries a request id, or was certainly
   * never appended, goes on in a new session; the fate of the rest can't be known.
   */
  #sessionLost(): void {
    const movable: PendingCommand[] = [];
    for (const pending of this.#window.from(0)) {
      const goesOn = pending.requestId !== "" || pending.isClean;
      const id = this.#idOf(pending, "unknown");
      for (const other of pending.attached ?? []) {
        if (!other.settled) this.#reject(other, unansweredError("SESSION_EXPIRED", "unknown", id));
      }
      pending.attached = undefined;
      if (pending.settled) continue;
      if (!goesOn) {
        this.#reject(pending, unansweredError("SESSION_EXPIRED", "unknown", id));
        continue;
      }
      // A copy: the one under the old session may still be on its way.
      pending.entry = pending.entry.slice();
      pending.isFresh = true;
      pending.doubt = pending.doubt || pending.outstanding;
      pending.outstanding = false;
      pending.sequence = 0;
      movable.push(pending);
    }
    this.#session = 0;
    this.#window = new SessionWindow(this.#unsettledMax);
    this.#line.putBack(movable);
    this.#repeats.endRewind();
    this.#flushSoon();
  }
}

function resultOf(pending: PendingCommand, answer: AnswerRead): { readonly value: unknown } | QuorateError {
  switch (answer.kind) {
    case "answered":
      try {
        return { value: pending.command.decode(answer.bytes, answer.index) };
      } catch (error) {
        return malformedAnswerError(error);
      }
    case "rejected":
      return rejectedError(answer.message);
    case "unknownMachine":
      return unknownMachineError(pending.command.machine);
    case "malformed":
      return malformedAnswerError(answer.cause);
    case "outOfOrder":
    case "forgotten":
    case "sessionExpired": {
      const id =
        pending.requestId === "" ? requestIdOf(pending.session, pending.sequence) : pending.requestId;
      return unansweredError("SESSION_EXPIRED", "unknown", id);
    }
    default:
      return unreachable(answer);
  }
}

type AnswerRead = Answer | { readonly kind: "malformed"; readonly cause: unknown };

/** An answer that can't be read is an answer too: the command was applied, and asking again would give the same. */
function tryDecode(bytes: Uint8Array): AnswerRead {
  try {
    return decodeAnswer(bytes);
  } catch (cause) {
    return { kind: "malformed", cause };
  }
}
