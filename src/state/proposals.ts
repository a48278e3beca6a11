/**
 * The machine named "": plain decided values. A command is a list of at least one JSON value, decided all together in
 * one entry or not at all; its answer is nothing, for the index in the answer's head says it all. The log itself is what
 * is kept. Its one question is what became of a request id.
 */
import {
  ByteReader,
  ByteWriter,
  type Codec,
  decodeText,
  encodeText,
  MalformedError,
  type StateMachine,
  unreachable,
} from "../core/index.ts";
import { decodeJson, encodeJson, type Json } from "./json.ts";

/** The command that decides these values. Throws `BAD_VALUE` where one is not plain data. */
export function encodeProposal(values: readonly unknown[]): Uint8Array {
  const writer = new ByteWriter(256);
  for (const value of values) writer.bytes(encodeJson(value));
  return writer.finish();
}

/** The values of a command. Throws {@link MalformedError}. */
export function decodeProposal(command: Uint8Array): Json[] {
  return splitValues(command).map((value) => decodeJson(value));
}

function splitValues(command: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(command);
  const values: Uint8Array[] = [];
  while (reader.remaining > 0) values.push(reader.bytes());
  if (values.length === 0) throw new MalformedError("a proposal holds at least one value");
  return values;
}

/** What is known of a request id, whichever session asked and whichever machine it was for. */
export type Learned =
  /** Not decided, or so long ago that it is forgotten. */
  | { readonly kind: "unknown" }
  /** Plain values, decided at that index. */
  | { readonly kind: "decided"; readonly index: number; readonly values: readonly Json[] }
  /** A command for another machine: its answer envelope (`decodeAnswer`). */
  | { readonly kind: "applied"; readonly machine: string; readonly answer: Uint8Array };

/** The question on machine "" that a {@link Learned} answers. */
export function encodeLearnQuestion(requestId: string): Uint8Array {
  return encodeText(requestId);
}

/** As the state keeps it: the values are not parsed there. */
export type LearnedBytes =
  | { readonly kind: "unknown" }
  | { readonly kind: "decided"; readonly index: number; readonly command: Uint8Array }
  | { readonly kind: "applied"; readonly machine: string; readonly answer: Uint8Array };

const learnedCodes = { unknown: 0, decided: 1, applied: 2 } as const;

const learnedCodec: Codec<LearnedBytes> = {
  write(learned, writer) {
    writer.uint8(learnedCodes[learned.kind]);
    switch (learned.kind) {
      case "unknown":
        return;
      case "decided":
        writer.uint53(learned.index).raw(learned.command);
        return;
      case "applied":
        writer.text(learned.machine).raw(learned.answer);
        return;
      default:
        unreachable(learned);
    }
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    switch (reader.uint8()) {
      case learnedCodes.unknown:
        reader.end();
        return { kind: "unknown" };
      case learnedCodes.decided:
        return { kind: "decided", index: reader.uint53(), command: reader.rest() };
      case learnedCodes.applied:
        return { kind: "applied", machine: reader.text(), answer: reader.rest() };
      default:
        throw new MalformedError("what is known of a request is of an unknown kind");
    }
  },
};

/** Reads the reply to {@link encodeLearnQuestion}. Throws {@link MalformedError}. */
export function decodeLearned(bytes: Uint8Array): Learned {
  const learned = learnedCodec.decode(bytes);
  if (learned.kind !== "decided") return learned;
  return { kind: "decided", index: learned.index, values: decodeProposal(learned.command) };
}

/** The machine itself: it keeps nothing, and asks `learn` what became of a request id. */
export function proposalsMachine(
  learn: (requestId: string) => LearnedBytes,
): StateMachine<Uint8Array, undefined, string, LearnedBytes> {
  return {
    version: 1,
    commands: {
      write(command, writer) {
        writer.raw(command);
      },
      decode(command) {
        splitValues(command);
        return command;
      },
    },
    answers: {
      write() {},
      decode(bytes) {
        if (bytes.length !== 0) throw new MalformedError("this answer is nothing but its index");
        return undefined;
      },
    },
    questions: {
      write(requestId, writer) {
        writer.characters(requestId);
      },
      decode: decodeText,
    },
    replies: learnedCodec,
    apply: () => undefined,
    query: learn,
    snapshot: () => [],
    // oxlint-disable-next-line require-yield -- nothing to read: no step is long
    *restoring(pieces) {
      for (const piece of pieces) {
        if (piece.length > 0) throw new MalformedError("decided values keep no state");
      }
      return { digest: new Uint8Array(16), install() {} };
    },
    digest: () => new Uint8Array(16),
  };
}
