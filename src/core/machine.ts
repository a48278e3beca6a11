/**
 * What decided commands are applied to. A state machine is synchronous and deterministic: the same commands in the same
 * order give the same state on every agent, or agreement was for nothing. So it never reads a clock, a random source or
 * anything else from outside; time and randomness come in with the {@link ApplyContext}.
 */

import { ByteWriter } from "./bytes.ts";
import type { Steps } from "./steps.ts";

/** What is known about the command being applied: the same on every agent. */
export interface ApplyContext {
  /** Its index in the log. */
  readonly index: number;
  /** The participant that proposed it. */
  readonly proposer: string;
  /** The logged time, in milliseconds since 1970: never falls along the log. */
  readonly time: number;
  /** A number in [0, 1), seeded by the entry. */
  random(): number;
}

/** One kind of value as bytes, and back. */
export interface Codec<T> {
  /** Writes the value behind what the writer holds already. */
  write(value: T, writer: ByteWriter): void;
  /** Throws `MalformedError` on what `write` does not produce. */
  decode(bytes: Uint8Array): T;
}

/** One value as bytes of its own. */
export function encodeWith<T>(codec: Pick<Codec<T>, "write">, value: T): Uint8Array {
  const writer = new ByteWriter();
  codec.write(value, writer);
  return writer.finish();
}

/** Changes of the state, for those who watch it: bytes in the machine's own form, at the index of the command that made them. */
export interface MachineChange {
  readonly index: number;
  readonly bytes: Uint8Array;
}

export type Changes =
  | {
      readonly kind: "changes";
      readonly changes: readonly MachineChange[];
      /** Looked at up to here: ask from the next. */ readonly through: number;
    }
  | { readonly kind: "compacted"; /** The earliest index still known. */ readonly earliest: number };

/** A state that was read from a snapshot, and is not in place yet. */
export interface RestoredState {
  /** What the machine's own digest will be. */
  readonly digest: Uint8Array;
  /** Replaces the whole state. At once, and it does not fail. */
  install(): void;
}

export interface StateMachine<Command, Answer, Question, Reply> {
  /** Raised when `apply` changes; a new version takes effect at a log entry. */
  readonly version: number;
  readonly commands: Codec<Command>;
  readonly answers: Codec<Answer>;
  readonly questions: Codec<Question>;
  readonly replies: Codec<Reply>;
  /** Changes the state. A throw is a deterministic refusal: the caller gets `REJECTED`, and nothing of the state may have changed. */
  apply(command: Command, context: ApplyContext): Answer;
  /** Reads the state and leaves it as it is. What it gives is written before the next command is applied, and then let go. */
  query(question: Question): Reply;
  /** A frozen view, made at once and read in pieces while later commands are applied. */
  snapshot(): Iterable<Uint8Array>;
  /**
   * Reads a snapshot, a few milliseconds each step, while the machine is used as it is. A step throws `MalformedError` where the
   * pieces are not of one.
   */
  restoring(pieces: Iterable<Uint8Array>): Steps<RestoredState>;
  /** Equal states have equal digests, whatever led to them; kept up to date command by command. */
  digest(): Uint8Array;
  /** What changed from index `from` on, for `filter` (the machine's own form); at most `changesMax` changes. */
  changes?(filter: Uint8Array, from: number, changesMax: number): Changes;
}

/** Any machine, for those who only pass bytes through. */
// oxlint-disable-next-line typescript/no-explicit-any -- a machine is contravariant in what it takes: only `any` admits every one
export type AnyStateMachine = StateMachine<any, any, any, any>;
