/**
 * Every error that a user can meet: one class, one list of stable codes. `docs/errors.md` has a paragraph for each;
 * a test keeps the two lists equal. Ordinary answers are unions on `kind`, never errors; programmer errors are
 * assertions.
 */

/** Code → what it means, in a line. The codes are stable: programs may switch on them. */
export const errorCodes = {
  UNKNOWN_MECHANISM: "No mechanism of that name is built in.",
  GROUP_MISMATCH: "A group of that name or with some of these members exists, and it is a different one.",
  NO_QUORUM: "Too few members can be reached to decide anything.",
  TIMEOUT: "The answer did not come in time; the call may or may not have taken effect.",
  BUSY: "The leader is doing something that this would interfere with; try again once it is done.",
  NOT_READY: "The agent that should do it, or enough of them, can't do it now.",
  OVERLOADED: "More is in flight than the limits allow; try again a little later.",
  COMPACTED: "The history before that index is gone.",
  CLOSED: "The handle, agent or client has been closed.",
  DENIED: "That is not allowed with this address, key or token.",
  BAD_NAME: "A name has characters or a length that names can't have.",
  BAD_OPTION: "An option is unknown, or has a value that it can't have.",
  BAD_VALUE: "A value can't be encoded, or breaks its schema.",
  TOO_LARGE: "A command, key, value or answer is larger than its limit.",
  SESSION_EXPIRED: "The session is no longer in the replicated table; what it had in flight is unknown.",
  REJECTED: "The state machine refused the command by throwing.",
  DISK_FULL: "The data folder's disk has no room for another journal segment.",
  DATA_LOCKED: "Another process uses this data folder.",
  DATA_MISSING: "There is no data folder there.",
  DATA_EXISTS: "There is a data folder there already.",
  DATA_FOREIGN: "The data folder belongs to another agent or cluster.",
  DATA_CORRUPT: "The journal is damaged in the middle, not merely torn at its end.",
  DATA_VERSION: "The data folder was written by a version that this one does not read.",
  ADDRESS_IN_USE: "Another process listens on that address.",
  CANNOT_CONNECT: "No agent answers there.",
  PROTOCOL: "The other side does not speak this wire protocol, or not this version of it.",
  ABORTED: "The caller's signal ended the call.",
} as const;

export type Code = keyof typeof errorCodes;

/** `notDone`: certainly without effect. `unknown`: perhaps done, perhaps not; ask again with the same request id. */
export type ErrorOutcome = "notDone" | "unknown";

export interface ErrorDetails {
  readonly outcome: ErrorOutcome;
  /** What to do next, as a sentence. */
  readonly hint: string;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The only error class that reaches users. */
export class QuorateError extends Error {
  override readonly name = "QuorateError";
  readonly code: Code;
  readonly outcome: ErrorOutcome;
  readonly hint: string;
  // `declare`: no property at all where nothing is known, instead of one that is undefined in every log.
  declare readonly requestId?: string;
  declare readonly retryAfterMs?: number;

  constructor(code: Code, message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.outcome = details.outcome;
    this.hint = details.hint;
    if (details.requestId !== undefined) this.requestId = details.requestId;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
  }
}

/** Bytes from a disk or a wire that don't have the form they should. Whoever reads them decides what that means. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}
