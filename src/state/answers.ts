/**
 * What became of an entry, as bytes: the same on every agent. `[u8 status][u53 index][bytes]`, where `index` is the
 * entry at which the command took effect: for a repeated command that of the first time.
 */
import {
  type ByteWriter,
  decodeText,
  emptyBytes,
  encodeText,
  MalformedError,
  readUint53,
  unreachable,
  writeUint53,
  limits,
} from "../core/index.ts";

/** The numbers are on disks and wires: never change one. */
export const answerStatuses = {
  /** It took effect; the bytes are the machine's answer. */
  answered: 0,
  /** No such session is open: never was, was closed, or was the quietest of too many. */
  sessionExpired: 1,
  /** Commands of a session take effect one after the other, and one before this is missing: send again in order. */
  outOfOrder: 2,
  /** The machine refused it, or it made no sense; the state is as it was. */
  rejected: 3,
  /** No machine of that name is in this group. */
  unknownMachine: 4,
  /** It took effect once, but its answer is no longer kept. */
  forgotten: 5,
} as const;

export type AnswerStatus = keyof typeof answerStatuses;

export type Answer =
  | { readonly kind: "answered"; readonly index: number; readonly bytes: Uint8Array }
  | { readonly kind: "sessionExpired"; readonly index: number }
  | {
      readonly kind: "outOfOrder";
      readonly index: number;
      /** The sequence that is due. */ readonly expected: number;
    }
  | { readonly kind: "rejected"; readonly index: number; readonly message: string }
  | { readonly kind: "unknownMachine"; readonly index: number }
  | { readonly kind: "forgotten"; readonly index: number };

export const answerHeadBytes = 9;
const statusNames = Object.keys(answerStatuses) as readonly AnswerStatus[];

/** Begins an answer: what the writer gets next is its body. */
export function writeAnswerHead(writer: ByteWriter, status: AnswerStatus, index: number): void {
  writer.uint8(answerStatuses[status]).uint53(index);
}

export function encodeAnswer(status: AnswerStatus, index: number, body: Uint8Array = emptyBytes): Uint8Array {
  const bytes = new Uint8Array(answerHeadBytes + body.length);
  bytes[0] = answerStatuses[status];
  writeUint53(bytes, 1, index);
  bytes.set(body, answerHeadBytes);
  return bytes;
}

export function encodeOutOfOrder(index: number, expected: number): Uint8Array {
  const body = new Uint8Array(8);
  writeUint53(body, 0, expected);
  return encodeAnswer("outOfOrder", index, body);
}

/** Throws {@link MalformedError} on bytes that are not an answer. The machine's answer in it is a view. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  if (bytes.length < answerHeadBytes) throw new MalformedError("an answer ends in its head");
  const kind = statusNames[bytes[0]!];
  if (kind === undefined) throw new MalformedError("an answer of an unknown status");
  const index = readUint53(bytes, 1);
  const body = bytes.subarray(answerHeadBytes);
  switch (kind) {
    case "answered":
      return { kind, index, bytes: body };
    case "rejected":
      return { kind, index, message: decodeText(body) };
    case "outOfOrder":
      if (body.length !== 8) throw new MalformedError("an answer's expected sequence has 8 bytes");
      return { kind, index, expected: readUint53(body, 0) };
    case "sessionExpired":
    case "unknownMachine":
    case "forgotten":
      if (body.length !== 0) throw new MalformedError("bytes left over behind an answer");
      return { kind, index };
    default:
      return unreachable(kind);
  }
}

/** The index in an answer's head, without reading the rest. */
export function answerIndex(bytes: Uint8Array): number {
  return readUint53(bytes, 1);
}

/** Engines word these differently from version to version, and replicas must answer alike: only their name is kept. */
const engineErrors: readonly (abstract new (...args: never[]) => Error)[] = [
  TypeError,
  RangeError,
  ReferenceError,
  SyntaxError,
  EvalError,
  URIError,
];

/** A `rejected` answer for whatever a machine threw: the same bytes on every agent, and of a bounded length. */
export function encodeRejection(index: number, thrown: unknown): Uint8Array {
  return encodeAnswer("rejected", index, encodeText(describe(thrown)));
}

function describe(thrown: unknown): string {
  if (typeof thrown === "string") return thrown.slice(0, limits.rejectionCharactersMax);
  try {
    if (!(thrown instanceof Error)) return "The machine threw something that is not an error.";
    for (const engineError of engineErrors) {
      if (thrown instanceof engineError) return `The machine threw a ${engineError.name}.`;
    }
    return String(thrown.message).slice(0, limits.rejectionCharactersMax);
  } catch {
    // A getter or a `toString` that throws in turn.
    return "The machine threw an error without a readable message.";
  }
}
