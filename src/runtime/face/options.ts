/**
 * The options of calls, questions and streams: read and checked once, where they come in. What goes on from here is
 * known to be what it should. A call without options costs nothing more.
 */
import { badOption, readOptions, shown, type Given, type OptionList } from "../../core/arguments.ts";
import { limits } from "../../core/limits.ts";
import { encodeText } from "../../core/text.ts";
import { ownRequestId } from "./call.ts";

/** Options of any call. Here as everywhere, an unknown one is refused: `BAD_OPTION`. */
export interface Call {
  /** Ends the call: it rejects with `ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the answer, in milliseconds; 5,000 by default. */
  readonly timeoutMs?: number | undefined;
  /** Same id, same answer: a command that was applied under this id is not applied again, whoever asks. At most 64 bytes. */
  readonly requestId?: string | undefined;
}

/** `linearizable`: sees every command acknowledged anywhere before; `local`: what the asked agent has now. */
export type ReadAt = "linearizable" | "local";

/** Options of a question. Asking twice changes nothing, so a `requestId` is taken and has no effect. */
export interface ReadCall extends Call {
  /**
   * `linearizable` (the default): sees every write acknowledged anywhere before the call.
   * `local`: what the asked agent has at this moment, without asking the others; may be old.
   */
  readonly at?: ReadAt | undefined;
}

/** Options of a stream of a log. */
export interface FromOptions {
  readonly from?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CheckedWait {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface CheckedCall extends CheckedWait {
  /** Empty: none. */
  readonly requestId: string;
}

export interface CheckedRead extends CheckedWait {
  readonly at: ReadAt;
}

const timeoutMsDefault = 5_000;
const halfSurrogate = /\p{Surrogate}/u;

export const ordinaryCall: CheckedCall = Object.freeze({
  timeoutMs: timeoutMsDefault,
  requestId: "",
  signal: undefined,
});

const ordinaryRead: CheckedRead = Object.freeze({
  timeoutMs: timeoutMsDefault,
  at: "linearizable",
  signal: undefined,
});

const callOptions: OptionList<Call> = {
  of: "a call",
  noun: "option",
  like: "{ timeoutMs: 1000 }",
  names: { requestId: true, signal: true, timeoutMs: true },
};

const readCallOptions: OptionList<ReadCall> = {
  of: "a question",
  noun: "option",
  like: '{ timeoutMs: 1000, at: "local" }',
  names: { at: true, requestId: true, signal: true, timeoutMs: true },
};

/** Throws `BAD_OPTION`. */
export function checkCall(call: Call | undefined): CheckedCall {
  if (call === undefined) return ordinaryCall;
  const { timeoutMs, requestId, signal } = readOptions(callOptions, call);
  return {
    timeoutMs: checkTimeoutMs(timeoutMs),
    requestId: requestId === undefined ? "" : checkRequestId("requestId", requestId),
    signal: checkSignal(signal),
  };
}

/** Throws `BAD_OPTION`. */
export function checkRead(call: ReadCall | undefined): CheckedRead {
  return call === undefined ? ordinaryRead : checkGivenRead(readOptions(readCallOptions, call));
}

/** The same where they have been read together with others. */
export function checkGivenRead({ timeoutMs, at, requestId, signal }: Given<ReadCall>): CheckedRead {
  if (requestId !== undefined) checkRequestId("requestId", requestId);
  if (at !== undefined && at !== "linearizable" && at !== "local") {
    throw badOption(`at is ${shown(at)}.`, 'Give "linearizable", which is the default, or "local".');
  }
  return { timeoutMs: checkTimeoutMs(timeoutMs), at: at ?? "linearizable", signal: checkSignal(signal) };
}

/** The options of a stream. Throws `BAD_OPTION`. */
export function checkFrom(list: OptionList<FromOptions>, options: FromOptions | undefined): FromOptions {
  if (options === undefined) return {};
  const { from, signal } = readOptions(list, options);
  return { from: checkIndex(from), signal: checkSignal(signal) };
}

function checkIndex(from: unknown): number | undefined {
  if (from === undefined || (isWhole(from) && from >= 0)) return from;
  throw badOption(`from is ${shown(from)}.`, "Give the log index to start from: a whole number from 0.");
}

export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** How long a call may take. Throws `BAD_OPTION`. */
export function checkTimeoutMs(timeoutMs: unknown): number {
  if (timeoutMs === undefined) return timeoutMsDefault;
  if (typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= limits.callTimeoutMsMax)
    return timeoutMs;
  throw badOption(
    `timeoutMs is ${shown(timeoutMs)}.`,
    "Give a number of milliseconds above 0 and up to a day.",
  );
}

/** Throws `BAD_OPTION` unless it is one, of whichever realm. */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal || isSignal(signal)) return signal;
  throw badOption(
    `signal is ${shown(signal)}.`,
    "Give an AbortSignal, like AbortSignal.timeout(1000) or the signal of an AbortController.",
  );
}

function isSignal(value: unknown): value is AbortSignal {
  try {
    const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>;
    return (
      typeof aborted === "boolean" &&
      typeof addEventListener === "function" &&
      typeof removeEventListener === "function"
    );
  } catch {
    return false;
  }
}

/** Throws `BAD_OPTION` unless it is an id that a user chose, or one that this library made. */
export function checkRequestId(what: string, requestId: unknown): string {
  if (typeof requestId !== "string" || requestId === "") {
    throw badOption(`${what} is ${shown(requestId)}.`, "Give 1 to 64 bytes of text.");
  }
  // A character has at most three bytes for each of its UTF-16 units.
  if (
    requestId.length * 3 > limits.requestIdBytesMax &&
    encodeText(requestId).length > limits.requestIdBytesMax
  ) {
    throw badOption(
      `${what} has ${encodeText(requestId).length} bytes, which is too long.`,
      `Give at most ${limits.requestIdBytesMax} bytes of text.`,
    );
  }
  if (halfSurrogate.test(requestId)) {
    throw badOption(`${what} is not well-formed text.`, "Leave out half surrogate pairs.");
  }
  if (requestId.startsWith("@") && !ownRequestId.test(requestId)) {
    throw badOption(
      `${what} is ${shown(requestId)}, which starts with "@".`,
      'Ids that start with "@" are made by the library: pass them on as they are, or choose another.',
    );
  }
  return requestId;
}
