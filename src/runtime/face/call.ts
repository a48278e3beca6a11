/** What every call shares: how it is named, and the errors that a caller can meet. */
import { badOption, shown } from "../../core/arguments.ts";
import { QuorateError, type Code, type ErrorOutcome } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";

/** The ids that this library makes for commands without one: a session's number and a sequence in it. */
export const ownRequestId: RegExp = /^@([1-9][0-9]{0,15})\.([1-9][0-9]{0,15})$/;

/** The id under which the command with this sequence can be asked for again. */
export function requestIdOf(session: number, sequence: number): string {
  return `@${session}.${sequence}`;
}

/** Reverses {@link requestIdOf}; undefined for an id that a user chose. */
export function parseRequestId(requestId: string): { session: number; sequence: number } | undefined {
  if (!requestId.startsWith("@")) return undefined;
  const parts = ownRequestId.exec(requestId);
  if (parts === null) return undefined;
  const session = Number(parts[1]);
  const sequence = Number(parts[2]);
  return Number.isSafeInteger(session) && Number.isSafeInteger(sequence) ? { session, sequence } : undefined;
}

export function tooLargeError(byteLength: number): QuorateError {
  return new QuorateError("TOO_LARGE", `A command of ${byteLength} bytes is too large.`, {
    outcome: "notDone",
    hint: `Keep it within ${limits.entryBytesMax} bytes: store large values elsewhere and agree on where they are.`,
  });
}

export function closedError(outcome: ErrorOutcome, requestId?: string): QuorateError {
  return new QuorateError("CLOSED", "The handle has been closed.", {
    outcome,
    hint: "Make a new handle with createConsensus, group or connect.",
    requestId,
  });
}

export function abortedError(outcome: ErrorOutcome, requestId?: string, cause?: unknown): QuorateError {
  return new QuorateError(
    "ABORTED",
    outcome === "notDone"
      ? "The call was aborted before it took effect."
      : "The call was aborted on its way; it may still take effect.",
    {
      outcome,
      hint:
        outcome === "notDone"
          ? "Nothing happened."
          : "To learn its fate, ask again with the same request id.",
      requestId,
      cause,
    },
  );
}

const messages: Partial<Record<Code, string>> = {
  TIMEOUT: "No answer in time.",
  NO_QUORUM: "No leader could be found in time: too few members are running or can be reached.",
  OVERLOADED: "The group had no room for the command in time.",
  DISK_FULL: "The leader's disk is full.",
  SESSION_EXPIRED: "The session was closed by the group while the command was on its way.",
};

const hints: Record<ErrorOutcome, string> = {
  notDone: "Nothing happened; try again later.",
  unknown: "It may or may not have taken effect. To learn which, ask again with the same request id.",
};

/** A call that ended without an answer. */
export function unansweredError(
  code: "TIMEOUT" | "NO_QUORUM" | "OVERLOADED" | "DISK_FULL" | "SESSION_EXPIRED",
  outcome: ErrorOutcome,
  requestId?: string,
): QuorateError {
  return new QuorateError(code, messages[code] ?? code, {
    outcome,
    hint: hints[outcome],
    requestId,
    retryAfterMs: code === "OVERLOADED" ? 100 : undefined,
  });
}

/** The state machine refused the command by throwing: every member did the same, and nothing of the state changed. */
export function rejectedError(message: string): QuorateError {
  return new QuorateError("REJECTED", message === "" ? "The state machine refused the command." : message, {
    outcome: "notDone",
    hint: "The message is the state machine's own; the state is as it was before.",
  });
}

export function unknownMachineError(machine: string): QuorateError {
  return badOption(
    `The group has no state named ${shown(machine)}.`,
    "Give `state` the same names and kinds on every member and client.",
  );
}

export function malformedAnswerError(cause: unknown): QuorateError {
  return new QuorateError("PROTOCOL", "The answer could not be read.", {
    outcome: "unknown",
    hint: "Give `state` the same kinds on every member and client, and run versions that fit together.",
    cause,
  });
}

/** A promise that rejects with what was thrown. */
export function rejection(thrown: unknown): Promise<never> {
  return Promise.reject(
    thrown instanceof Error
      ? thrown
      : new Error("something was thrown that is not an error", { cause: thrown }),
  );
}

/** The same error, for this call. */
export function restated(
  error: QuorateError,
  outcome: ErrorOutcome,
  requestId: string | undefined,
): QuorateError {
  const { code, message, hint } = error;
  return new QuorateError(code, message, { outcome, hint, requestId, cause: error.cause ?? error });
}
