/**
 * What surrounds a machine's own bytes on their way through the log.
 *
 * ```
 * command   [u8 length][proposer] [u8 length][machine] [u8 length][request id, may be empty] [command bytes]
 * question  [u8 length][machine] [question bytes]          (and the same for the filter of a watch)
 * ```
 * Names are UTF-8. The machine named "" is the group's own: plain decided values, and what became of a request id.
 */
import { decodeText, encodeText, isWellFormed, limits, MalformedError, QuorateError } from "../core/index.ts";

const nameBytesMax = 255;

export interface CommandEnvelope {
  /** The participant that proposed it. */
  readonly proposer: string;
  readonly machine: string;
  /** Empty: none. The same one always gives the first answer again. */
  readonly requestId: string;
  readonly command: Uint8Array;
}

/** The payload of a `command` entry. Throws `BAD_NAME` or `TOO_LARGE` where a name is too long, or not text. */
export function encodeCommandEnvelope(envelope: CommandEnvelope): Uint8Array {
  const proposer = encodeName("proposer", envelope.proposer, nameBytesMax);
  const machine = encodeName("machine", envelope.machine, nameBytesMax);
  const requestId = encodeName("request id", envelope.requestId, limits.requestIdBytesMax);
  const headBytes = 3 + proposer.length + machine.length + requestId.length;
  const bytes = new Uint8Array(headBytes + envelope.command.length);
  let at = 0;
  for (const name of [proposer, machine, requestId]) {
    bytes[at] = name.length;
    bytes.set(name, at + 1);
    at += 1 + name.length;
  }
  bytes.set(envelope.command, at);
  return bytes;
}

/** Reads a whole envelope, for those outside the hot path. Throws {@link MalformedError}; the command is a view. */
export function decodeCommandEnvelope(payload: Uint8Array): CommandEnvelope {
  const cursor = new EnvelopeCursor();
  if (!cursor.read(payload, 0, payload.length)) throw new MalformedError("a command has no whole envelope");
  return {
    proposer: decodeText(payload.subarray(cursor.proposer, cursor.proposerEnd)),
    machine: decodeText(payload.subarray(cursor.machine, cursor.machineEnd)),
    requestId: decodeText(payload.subarray(cursor.requestId, cursor.requestIdEnd)),
    command: payload.subarray(cursor.command),
  };
}

/** A question, or a watch's filter, for the machine of that name. */
export function encodeQuestion(machine: string, question: Uint8Array): Uint8Array {
  const name = encodeName("machine", machine, nameBytesMax);
  const bytes = new Uint8Array(1 + name.length + question.length);
  bytes[0] = name.length;
  bytes.set(name, 1);
  bytes.set(question, 1 + name.length);
  return bytes;
}

/** Throws {@link MalformedError}; the question is a view. */
export function decodeQuestion(bytes: Uint8Array): { machine: string; question: Uint8Array } {
  const start = questionStart(bytes);
  return { machine: decodeText(bytes.subarray(1, start)), question: bytes.subarray(start) };
}

/** Where the machine's own question begins; the machine's name lies before it, from byte 1 on. Throws {@link MalformedError}. */
export function questionStart(bytes: Uint8Array): number {
  const length = bytes[0];
  if (length === undefined || 1 + length > bytes.length) {
    throw new MalformedError("a question has no whole envelope");
  }
  return 1 + length;
}

/**
 * Where the parts of one envelope begin and end. Reused for every command that is applied: no object, no view and no
 * text is made of a part that nobody asks for.
 */
export class EnvelopeCursor {
  proposer = 0;
  proposerEnd = 0;
  machine = 0;
  machineEnd = 0;
  requestId = 0;
  requestIdEnd = 0;
  /** The command's own bytes go from here to the end. */
  command = 0;

  /** False where the bytes end within the envelope, or the request id is longer than the limit. */
  read(bytes: Uint8Array, from: number, to: number): boolean {
    if (from >= to) return false;
    this.proposer = from + 1;
    this.proposerEnd = this.proposer + bytes[from]!;
    if (this.proposerEnd >= to) return false;
    this.machine = this.proposerEnd + 1;
    this.machineEnd = this.machine + bytes[this.proposerEnd]!;
    if (this.machineEnd >= to) return false;
    this.requestId = this.machineEnd + 1;
    this.requestIdEnd = this.requestId + bytes[this.machineEnd]!;
    this.command = this.requestIdEnd;
    return this.requestIdEnd <= to && this.requestIdEnd - this.requestId <= limits.requestIdBytesMax;
  }
}

function encodeName(what: string, name: string, bytesMax: number): Uint8Array {
  if (!isWellFormed(name)) {
    throw new QuorateError("BAD_NAME", `The ${what} ${JSON.stringify(name)} is not well-formed text.`, {
      outcome: "notDone",
      hint: "Leave out half surrogate pairs.",
    });
  }
  const bytes = encodeText(name);
  if (bytes.length > bytesMax) {
    throw new QuorateError("TOO_LARGE", `The ${what} takes ${bytes.length} bytes; the most is ${bytesMax}.`, {
      outcome: "notDone",
      hint: `Choose a ${what} of at most ${bytesMax} bytes in UTF-8.`,
    });
  }
  return bytes;
}
