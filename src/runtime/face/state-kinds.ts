/** What a user may put under `state`: kinds of replicated state machines, each with the face that its users see. */
import { badOption, isRecord, reading, shown } from "../../core/arguments.ts";
import { QuorateError } from "../../core/errors.ts";
import type { AnyStateMachine } from "../../core/machine.ts";
import { encodeText } from "../../core/text.ts";
import { checkMachine, machineFrom, mapMachine, type Json, type Machine } from "../../state/index.ts";
import type { GroupClient } from "./group-client.ts";
import { machineFace, type MachineFace } from "./machine-face.ts";
import { MapHandle, type MapFace } from "./map-face.ts";

/** A replicated map from texts to values of this type. Made by {@link map}. */
export interface MapKind<V extends Json = Json> {
  readonly kind: "map";
  /** For the compiler only: never there. */
  readonly value?: V;
}

/** What may stand under a name: {@link map}, or a machine of one's own made by `defineMachine`. */
export type StateKind = MapKind | Machine;

/** State machines by name, as given to `createConsensus` and `group`. */
export type StateKinds = Readonly<Record<string, StateKind>>;

/** What any record of state machines is, an interface included. */
export type KindsOf<S> = { readonly [Name in keyof S]: StateKind };

/** No state machines beside the group's own. */
export type NoState = Readonly<Record<never, never>>;

/** What the handle has under the name of such a state. */
export type Face<Kind> =
  Kind extends MapKind<infer Value>
    ? MapFace<Value>
    : Kind extends Machine<infer _State, infer Commands, infer Queries>
      ? MachineFace<Commands, Queries>
      : never;

export type Faces<S> = { readonly [Name in keyof S]: Face<S[Name]> };

/** A replicated map: get, put, delete, compare and set, range, watch. Values are JSON. */
export function map<V extends Json = Json>(): MapKind<V> {
  return { kind: "map" };
}

/** What was given under `state`, each kind read once. Throws `BAD_OPTION` where one is none, or its name can't be used. */
export function checkKinds(given: unknown): StateKinds {
  if (given === undefined) return {};
  // A `Map` has names and kinds, too, but not as properties.
  if (!isRecord(given) || given instanceof Map) {
    throw badOption(`state is ${shown(given)}, not an object of states by name.`, statesByName);
  }
  const entries = reading("The object of states", () => Object.entries(given));
  return Object.fromEntries(entries.map(([name, kind]) => [checkName(name), checkKind(name, kind)]));
}

/** Machines for one member. Throws `BAD_OPTION` where one has no state to begin with. */
export function makeMachines(kinds: StateKinds): Record<string, AnyStateMachine> {
  const entries = Object.entries(kinds);
  return Object.fromEntries(entries.map(([name, kind]) => [name, makeMachine(kind)]));
}

export function makeFaces<S>(client: GroupClient, kinds: KindsOf<S>): Faces<S> {
  const faces: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries<StateKind>(kinds)) faces[name] = makeFace(client, name, kind);
  // One face for each name, of the type that its kind says: what the loop did, the compiler can't follow.
  return Object.freeze(faces) as Faces<S>;
}

/** Whether two sets of kinds could run the same group. */
export function sameKinds(a: StateKinds, b: StateKinds): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => describe(a[name]) === describe(b[name]))
  );
}

function describe(kind: StateKind | undefined): string {
  if (kind === undefined) return "";
  if (isMap(kind)) return kind.kind;
  const names = [...Object.keys(kind.commands), ...Object.keys(kind.queries)];
  return `machine of version ${kind.version}: ${names.toSorted().join(", ")}`;
}

const statesByName = "Give each a name, like { config: map(), counter: defineMachine({ … }) }.";

function checkName(name: string): string {
  const isText = !/\p{Surrogate}/u.test(name);
  if (name !== "" && isText && encodeText(name).length <= 255) return name;
  throw badOption(
    `${shown(name)} is no name for a state.`,
    "Use 1 to 255 bytes of text; the empty name is the group's own.",
  );
}

function isMap(kind: object): kind is MapKind {
  return "kind" in kind && kind.kind === "map";
}

function checkKind(name: string, kind: unknown): StateKind {
  return reading(`The state ${shown(name)}`, () => {
    if (!isRecord(kind)) {
      throw badOption(
        `The state ${shown(name)} is ${shown(kind)}, which is no kind of state.`,
        kind === map ? "Call it: map()." : statesByName,
      );
    }
    if (isMap(kind)) return kind;
    if (!("commands" in kind || "queries" in kind || "initial" in kind)) {
      throw badOption(`The state ${shown(name)} is of no known kind.`, statesByName);
    }
    try {
      checkMachine(kind);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      throw badOption(`The state ${shown(name)} can't be used. ${error.message}`, error.hint, error);
    }
    return kind;
  });
}

function makeMachine(kind: StateKind): AnyStateMachine {
  return isMap(kind) ? mapMachine() : machineFrom(kind);
}

function makeFace(client: GroupClient, name: string, kind: StateKind): object {
  return isMap(kind) ? new MapHandle(client, name) : machineFace(client, name, kind);
}
