/**
 * Versions of what agents and clients say to each other. A connection has one: the highest that both sides speak
 * (`hello` and `welcome`, docs/wire.md). This program speaks the newest, and the one before to those that are not yet
 * upgraded, so that a cluster is upgraded one agent at a time.
 *
 * Whatever a version adds stands in a table beside its codec: `raft/additions.ts` for messages, `runtime/frame.ts` for
 * frames. What the other side's version does not have is not said to it.
 */
export type WireVersion = 1 | 2;

export const wireVersionMin: WireVersion = 1;
export const wireVersionMax: WireVersion = 2;
