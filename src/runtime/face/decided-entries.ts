/** The plain values that a group has decided, read from its log. */
import { unreachable } from "../../core/assert.ts";
import { entryIndex, entryKind, entryLength, entryPayload } from "../../core/entry.ts";
import { decodeCommandEnvelope, decodeProposal, type CommandEnvelope, type Json } from "../../state/index.ts";
import { MalformedError } from "../../core/errors.ts";
import type { GroupClient } from "./group-client.ts";
import { compactedError, readError } from "./map-face.ts";
import type { Pull } from "./stream.ts";

/** One decided value. Values of one `appendEntries` have the same index. */
export interface DecidedEntry {
  readonly index: number;
  readonly value: Json;
  /** In whose name it was proposed. */
  readonly proposer: string;
}

export function decidedEntries(client: GroupClient, from: number): Pull<DecidedEntry> {
  let next = from;
  return (done) =>
    client.gateway.entries(next, (result) => {
      switch (result.kind) {
        case "lost":
          done({ kind: "lost" });
          return;
        case "compacted":
          done({ kind: "failed", error: compactedError(next, result.earliest) });
          return;
        case "entries":
          break;
        default:
          return unreachable(result);
      }
      try {
        const items: DecidedEntry[] = [];
        next = readRun(result.bytes, new Set(result.withoutEffect), items) + 1;
        done({ kind: "items", items });
      } catch (error) {
        done({ kind: "failed", error: readError(error) });
      }
    });
}

/** Returns the index of the last entry. */
function readRun(bytes: Uint8Array, withoutEffect: ReadonlySet<number>, items: DecidedEntry[]): number {
  let index = 0;
  for (let offset = 0; offset < bytes.length; offset += entryLength(bytes, offset)) {
    index = entryIndex(bytes, offset);
    if (entryKind(bytes, offset) !== "command" || withoutEffect.has(index)) continue;
    const envelope = readEnvelope(entryPayload(bytes, offset));
    if (envelope?.machine !== "") continue;
    const { proposer, command } = envelope;
    for (const value of readValues(command)) items.push({ index, value, proposer });
  }
  return index;
}

/** Undefined where the payload has no envelope: such a command was refused by every member. */
function readEnvelope(payload: Uint8Array): CommandEnvelope | undefined {
  return unlessMalformed(() => decodeCommandEnvelope(payload), undefined);
}

function readValues(command: Uint8Array): readonly Json[] {
  return unlessMalformed(() => decodeProposal(command), []);
}

function unlessMalformed<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return otherwise;
    throw error;
  }
}
