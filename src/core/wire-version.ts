/**
 * Versions of what agents and clients say to each other. A connection has one: the highest that both sides speak
 * (`hello` and `welcome`, docs/wire.md). This program speaks the newest, and the one before to those that are not yet
 * upgraded, so that a cluster is upgraded one agent at a time.
 *
 * Whatever a version adds stands in a table beside its codec: `raft/additions.ts` for messages, `runtime/frame.ts` for
 * frames. What the other side's version does not have is not said to it.
 */
import { badOption, shown } from "./arguments.ts";

export type WireVersion = 1 | 2;

export const wireVersionMin: WireVersion = 1;
export const wireVersionMax: WireVersion = 2;

/** Throws `BAD_OPTION` where that is no version that this program speaks. Undefined stays what it is: not given. */
export function checkWireVersion(version: unknown): WireVersion | undefined {
  if (version === undefined) return undefined;
  if (version === 1 || version === 2) return version;
  throw badOption(
    `wireVersionMax is ${shown(version)}.`,
    `Give a version of the wire from ${wireVersionMin} to ${wireVersionMax}, or leave it out.`,
  );
}
