/** A log of entries in the hands of a test: each call appends one and applies it. */
import {
  type AnyStateMachine,
  encodeCommand,
  encodeText,
  type EntryKind,
  entryLength,
  logIndex,
  runToEnd,
  stampEntry,
  term,
} from "../../src/core/index.ts";
import { type Answer, decodeAnswer, encodeCommandEnvelope, ReplicatedState } from "../../src/state/index.ts";

export interface CommandOptions {
  readonly proposer?: string;
  readonly machine?: string;
  readonly requestId?: string;
  /** By default 1: only this one's answer may still be asked for. */
  readonly unsettled?: number;
}

/** Replaces the machine's state by the one of a snapshot, at once. */
export function restore(machine: AnyStateMachine, pieces: Iterable<Uint8Array>): void {
  runToEnd(machine.restoring(pieces)).install();
}

export class StateLog {
  readonly entries: Uint8Array[] = [];
  readonly state: ReplicatedState;

  constructor(machines: Readonly<Record<string, AnyStateMachine>> = {}) {
    this.state = new ReplicatedState(machines);
  }

  /** Appends and applies any entry; gives the bytes of its answer. */
  append(kind: EntryKind, session: number, sequence: number, payload: Uint8Array, unsettled = 1): Uint8Array {
    const entry = encodeCommand({ kind, session, sequence, unsettled }, payload);
    const index = this.state.applied + 1;
    stampEntry(entry, 0, logIndex(index), term(1), 1_700_000_000_000_000 + index * 1_500);
    this.entries.push(entry);
    return this.state.apply(entry, 0);
  }

  /** Opens a session; gives its number. */
  open(nonce: number): number {
    const answer = this.append("openSession", nonce, 0, new Uint8Array(0));
    return decodeAnswer(answer).index;
  }

  close(session: number): Answer {
    return decodeAnswer(this.append("closeSession", session, 0, new Uint8Array(0)));
  }

  /** The bytes of the answer, for those who compare them. */
  commandBytes(
    session: number,
    sequence: number,
    command: Uint8Array,
    options: CommandOptions = {},
  ): Uint8Array {
    const { proposer = "ann", machine = "map", requestId = "", unsettled = 1 } = options;
    const payload = encodeCommandEnvelope({ proposer, machine, requestId, command });
    return this.append("command", session, sequence, payload, unsettled);
  }

  command(session: number, sequence: number, command: Uint8Array, options: CommandOptions = {}): Answer {
    return decodeAnswer(this.commandBytes(session, sequence, command, options));
  }
}

/** Applies bytes of entries behind one another to a state. */
export function applyAll(state: ReplicatedState, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.byteLength; offset += entryLength(bytes, offset))
    state.apply(bytes, offset);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes joined from however many pieces, and cut anew into pieces of this size. */
export function recut(pieces: Iterable<Uint8Array>, pieceBytes: number): Uint8Array[] {
  const whole = Uint8Array.from([...pieces].flatMap((piece) => [...piece]));
  const cut: Uint8Array[] = [];
  for (let at = 0; at < whole.byteLength; at += pieceBytes) cut.push(whole.subarray(at, at + pieceBytes));
  return cut;
}

/** Text as the bytes of a value. */
export function value(text: string): Uint8Array {
  return encodeText(JSON.stringify(text));
}
