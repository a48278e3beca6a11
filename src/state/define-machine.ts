/**
 * State machines of one's own over plain data: only the logic is written, everything else is supplied. Good for states up
 * to a few megabytes: a snapshot and a digest of it take time in proportion. A larger one deserves a `StateMachine`.
 */
import {
  type ApplyContext,
  assert,
  badOption,
  ByteReader,
  ByteWriter,
  type Codec,
  encodeText,
  encodeWith,
  limits,
  MalformedError,
  Prng,
  type RestoredState,
  type StateMachine,
  type Steps,
  thrownMessage,
} from "../core/index.ts";
import { digestOf } from "./hash.ts";
import { canonicalJson, decodeJson, encodeJson, jsonText, type Json, plainJson } from "./json.ts";
import { FrameReader, frameHead, inPieces } from "./pieces.ts";
import { changeWhole, readOnly } from "./undo.ts";
import { checkMachine } from "./machine-parts.ts";
import { validateArgument } from "./schemas.ts";

/** One command or query: may change `state` in place (commands only), and gives the answer. */
// oxlint-disable-next-line typescript/no-explicit-any -- each function has an argument type of its own: only `any` admits them all
export type Fn<S> = (state: S, argument: any, context: ApplyContext) => unknown;

/** A machine over a state of plain data. Raise `version` whenever a command changes its meaning. */
export interface Machine<
  // oxlint-disable-next-line typescript/no-explicit-any -- stands for "a machine over whatever state"
  S = any,
  C = Record<string, Fn<S>>,
  Q = Record<string, Fn<S>>,
> {
  version: number;
  /** The state before the first command: plain data, and the same on every agent. */
  initial(): S;
  commands: C;
  queries: Q;
  /** Makes today's state of one that an earlier version wrote; without it, an older snapshot is refused. */
  migrate?(old: unknown, from: number): S;
  /** By name of command or query: a Standard Schema for its argument, checked where it is proposed, never where it is applied. */
  schemas?: Record<string, unknown>;
}

/**
 * Gives back what it is given, with types: `state` and arguments are inferred, from the machine alone (`NoInfer`), whatever
 * it is handed to. Throws `BAD_OPTION` where a part is missing, misspelt or of the wrong form, or a name is taken twice.
 */
export function defineMachine<S, C extends Record<string, Fn<S>>, Q extends Record<string, Fn<S>>>(
  machine: Machine<S, C, Q>,
): Machine<NoInfer<S>, NoInfer<C>, NoInfer<Q>> {
  checkMachine(machine);
  return machine;
}

/** One call of a command or query: its name and its argument, if it has one. */
export interface MachineCall {
  readonly name: string;
  readonly argument: Json | undefined;
}

const callCodec: Codec<MachineCall> = {
  write({ name, argument }, writer) {
    writer.text(name);
    writeOptional(argument, writer);
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    return { name: reader.text(), argument: decodeOptional(reader.rest()) };
  },
};

const resultCodec: Codec<Json | undefined> = { write: writeOptional, decode: decodeOptional };

function writeOptional(value: Json | undefined, writer: ByteWriter): void {
  if (value !== undefined) writer.characters(jsonText(value));
}

function decodeOptional(bytes: Uint8Array): Json | undefined {
  return bytes.length === 0 ? undefined : decodeJson(bytes);
}

/**
 * A call as bytes, for a command's or question's envelope, once its argument has passed its schema. Throws `BAD_VALUE` where it
 * does not, or is not plain data, and `BAD_OPTION` where there is no such command or query.
 */
export function encodeCall(machine: Machine, name: string, argument: unknown): Uint8Array {
  if (!Object.hasOwn(machine.commands, name) && !Object.hasOwn(machine.queries, name)) {
    throw badOption(`The machine has no command or query "${name}".`, "Use a name that it defines.");
  }
  // Whether it is plain data is checked by the codec.
  const checked = validateArgument(machine.schemas, name, argument) as Json | undefined;
  return encodeWith(callCodec, { name, argument: checked });
}

/** What a command or query gave: undefined where it gave nothing. Throws `MalformedError`. */
export function decodeResult(bytes: Uint8Array): Json | undefined {
  return resultCodec.decode(bytes);
}

/** The machine as the log needs it, in its initial state. Throws `BAD_OPTION` where there is none. */
export function machineFrom(
  definition: Machine,
): StateMachine<MachineCall, Json | undefined, MachineCall, Json | undefined> {
  return new PlainMachine(definition);
}

class PlainMachine implements StateMachine<MachineCall, Json | undefined, MachineCall, Json | undefined> {
  readonly version: number;
  readonly commands = callCodec;
  readonly answers = resultCodec;
  readonly questions = callCodec;
  readonly replies = resultCodec;
  readonly #definition: Machine;
  /** Boxed, so that a state that is a mere number or text can be held as well. */
  readonly #box: { state: Json };
  /** Of the last command that took effect, for the context of queries. */
  #index = 0;
  #time = 0;
  #digest: Uint8Array | undefined;

  constructor(definition: Machine) {
    this.#definition = definition;
    this.version = definition.version;
    this.#box = { state: initialState(definition) };
  }

  apply(call: MachineCall, context: ApplyContext): Json | undefined {
    const command = own(this.#definition.commands, call.name);
    const answer = changeWhole(this.#box, (view) => {
      const result = plainResult(command((view as { state: Json }).state, call.argument, context));
      if (result !== undefined && encodeJson(result).length > limits.entryBytesMax) {
        throw new MalformedError("the answer is larger than an entry may be");
      }
      return result;
    });
    this.#index = context.index;
    this.#time = context.time;
    this.#digest = undefined;
    return answer;
  }

  query(call: MachineCall): Json | undefined {
    const query = own(this.#definition.queries, call.name);
    const prng = new Prng(this.#index);
    const context = { index: this.#index, time: this.#time, proposer: "", random: () => prng.unit() };
    return readOnly(this.#box, (view) =>
      plainResult(query((view as { state: Json }).state, call.argument, context)),
    );
  }

  snapshot(): Iterable<Uint8Array> {
    const head = new ByteWriter().uint32(this.version).uint53(this.#index).uint53(this.#time).finish();
    const state = encodeText(JSON.stringify(this.#box.state));
    return inPieces([frameHead(head.length), head, frameHead(state.length), state]);
  }

  // oxlint-disable-next-line require-yield -- JSON is parsed as a whole
  *restoring(pieces: Iterable<Uint8Array>): Steps<RestoredState> {
    const reader = new FrameReader(pieces);
    const head = new ByteReader(reader.frame());
    const version = head.uint32();
    const index = head.uint53();
    const time = head.uint53();
    head.end();
    const state = this.#migrated(decodeJson(reader.frame()), version);
    reader.end();
    const digest = plainDigest(state, index, time);
    const install = (): void => {
      this.#box.state = state;
      this.#index = index;
      this.#time = time;
      this.#digest = digest;
    };
    return { digest: digest.slice(), install };
  }

  /** Kept until the next command. */
  digest(): Uint8Array {
    this.#digest ??= plainDigest(this.#box.state, this.#index, this.#time);
    return this.#digest.slice();
  }

  #migrated(state: Json, version: number): Json {
    if (version === this.version) return plainJson(state);
    if (version > this.version)
      throw new MalformedError("a newer version of the machine wrote this snapshot");
    if (this.#definition.migrate === undefined) {
      throw new MalformedError("an older version of the machine wrote this snapshot, and it can't migrate");
    }
    return plainJson(this.#definition.migrate(state, version));
  }
}

/** Equal for equal states, whatever order their keys have. */
function plainDigest(state: Json, index: number, time: number): Uint8Array {
  const text = encodeText(canonicalJson(state));
  return digestOf(new ByteWriter(256).uint53(index).uint53(time).raw(text).finish());
}

function initialState(definition: Machine): Json {
  try {
    return plainJson(definition.initial());
  } catch (cause) {
    throw badOption(
      `A machine's initial() gave no state: ${thrownMessage(cause)}.`,
      "Have it give plain data at once: null, booleans, finite numbers, strings, arrays and plain objects of these.",
      cause,
    );
  }
}

/** Only what the definition itself names: not `constructor`, nor anything else that every object has. */
// oxlint-disable-next-line typescript/no-explicit-any -- as in `Fn`: the state's type is the definition's own
function own(functions: Record<string, Fn<any>>, name: string): Fn<any> {
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (found === undefined) throw new MalformedError("the machine has no command or query of that name");
  assert(typeof found === "function", "a command is a function");
  return found;
}

function plainResult(result: unknown): Json | undefined {
  return result === undefined ? undefined : plainJson(result);
}
