/** What a user may put under `state`: kinds of replicated state machines, each with the face that its users see. */
import type { AnyStateMachine } from "../../core/machine.ts";
import { encodeText } from "../../core/text.ts";
import { machineFrom, mapMachine, type Json, type Machine } from "../../state/index.ts";
import { badOption } from "./call.ts";
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

/** Machines for one member. Throws `BAD_OPTION` where one is none, or its name can't be used. */
export function makeMachines(kinds: StateKinds): Record<string, AnyStateMachine> {
  const machines: Record<string, AnyStateMachine> = {};
  for (const [name, kind] of Object.entries(kinds)) {
    checkName(name);
    machines[name] = makeMachine(name, kind);
  }
  return machines;
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

function checkName(name: string): void {
  if (name !== "" && encodeText(name).byteLength <= 255) return;
  throw badOption(
    `${JSON.stringify(name)} is no name for a state.`,
    "Use 1 to 255 bytes of text; the empty name is the group's own.",
  );
}

function isMap(kind: StateKind): kind is MapKind {
  return "kind" in kind && kind.kind === "map";
}

function makeMachine(name: string, kind: StateKind): AnyStateMachine {
  // From JavaScript it may be anything.
  if (Object(kind) === kind) {
    if (isMap(kind)) return mapMachine();
    if ("commands" in kind && "queries" in kind) return machineFrom(kind);
  }
  throw badOption(
    `The state ${JSON.stringify(name)} is of no known kind.`,
    "Use map() or defineMachine({ … }).",
  );
}

function makeFace(client: GroupClient, name: string, kind: StateKind): object {
  return isMap(kind) ? new MapHandle(client, name) : machineFace(client, name, kind);
}
