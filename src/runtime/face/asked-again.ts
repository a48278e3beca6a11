/**
 * Callers that ask again for the answer of an earlier command, by the id that its error carried (`@session.sequence`).
 * The answer may have come since, be on its way, or belong to a session of another client: then the command is handed
 * in under that very session and sequence, so that the session table gives the first answer, or applies it only now.
 */
import type { ProgressState } from "../../core/decision.ts";
import { writeCommandHeader } from "../../core/entry.ts";
import { limits } from "../../core/limits.ts";
import { requestIdOf } from "./call.ts";
import type { PendingCommand } from "./pending-command.ts";

const uint32Max = 0xffff_ffff;

interface Asked {
  readonly entry: Uint8Array;
  waiting: PendingCommand[];
}

export class AskedAgain {
  readonly #late = new Map<string, Uint8Array>();
  readonly #asked = new Map<string, Asked>();

  get isWaiting(): boolean {
    return this.#asked.size > 0;
  }

  /** Whether anybody wants to hear how far a command has come. */
  get isTracked(): boolean {
    for (const { waiting } of this.#asked.values()) if (waiting.some((one) => one.isTracked)) return true;
    return false;
  }

  progressed(session: number, sequence: number, state: ProgressState): void {
    if (this.#asked.size === 0) return;
    for (const one of this.#asked.get(requestIdOf(session, sequence))?.waiting ?? []) one.progressed(state);
  }

  /** An answer that nobody waits for any more. The bytes are copied. */
  keepLate(session: number, sequence: number, answer: Uint8Array): void {
    this.#late.set(requestIdOf(session, sequence), answer.slice());
    if (this.#late.size <= limits.lateAnswersMax) return;
    for (const oldest of this.#late.keys()) {
      this.#late.delete(oldest);
      break;
    }
  }

  late(requestId: string): Uint8Array | undefined {
    return this.#late.get(requestId);
  }

  /** Waits for the answer to that sequence; returns the entry to hand in. */
  ask(pending: PendingCommand, session: number, sequence: number): Uint8Array {
    const asked = this.#asked.get(pending.requestId);
    if (asked !== undefined) {
      asked.waiting = asked.waiting.filter((one) => !one.settled);
      asked.waiting.push(pending);
      return asked.entry;
    }
    // Whose session it is may still ask for everything: this command must not make the table forget an answer.
    const unsettled = Math.min(sequence, uint32Max);
    const { entry } = pending;
    writeCommandHeader(entry, { kind: "command", session, sequence, unsettled });
    this.#asked.set(pending.requestId, { entry, waiting: [pending] });
    return entry;
  }

  /** Everybody who waits for this answer, and no longer does. */
  take(session: number, sequence: number): readonly PendingCommand[] {
    if (this.#asked.size === 0) return [];
    const requestId = requestIdOf(session, sequence);
    const waiting = this.#asked.get(requestId)?.waiting ?? [];
    this.#asked.delete(requestId);
    return waiting.filter((one) => !one.settled);
  }

  /** One of the callers has left. */
  left(pending: PendingCommand): void {
    const asked = this.#asked.get(pending.requestId);
    if (asked?.waiting.every((one) => one.settled) === true) this.#asked.delete(pending.requestId);
  }

  entries(): Uint8Array[] {
    return [...this.#asked.values()].map((one) => one.entry);
  }

  /** Takes all callers. */
  clear(): PendingCommand[] {
    const waiting = [...this.#asked.values()].flatMap((one) => one.waiting).filter((one) => !one.settled);
    this.#asked.clear();
    return waiting;
  }
}
