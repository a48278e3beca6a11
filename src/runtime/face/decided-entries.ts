/** The plain values that a group has decided, read from its log. */
import { entryIndex, entryLength, entryPayload } from "../../core/entry.ts";
import { decodeCommandEnvelope, decodeProposal, type CommandEnvelope, type Json } from "../../state/index.ts";
import { MalformedError } from "../../core/errors.ts";
import { EntryFilter } from "./entry-filter.ts";
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

/** Entries read before the first one that is wanted, to know which of the later ones are repeats. */
const warmUpEntries = 4096;

export function decidedEntries(client: GroupClient, from: number | undefined): Pull<DecidedEntry> {
  const filter = new EntryFilter();
  let first = from;
  let next = from === undefined ? undefined : Math.max(1, from - warmUpEntries);
  return (done) => {
    if (next === undefined || first === undefined) {
      return client.gateway.refreshStatus((result) => {
        if (result.kind === "status") {
          first = result.status.applied + 1;
          next = Math.max(1, first - warmUpEntries);
        }
        done(result.kind === "lost" ? { kind: "lost" } : { kind: "items", items: [] });
      });
    }
    const wanted = first;
    return client.gateway.entries(next, (result) => {
      switch (result.kind) {
        case "lost":
          done({ kind: "lost" });
          return;
        case "compacted":
          // Only what is read to warm up may be missing.
          if (result.earliest > wanted) {
            done({ kind: "failed", error: compactedError(wanted, result.earliest) });
            return;
          }
          next = Math.max(result.earliest, (next ?? 1) + 1);
          done({ kind: "items", items: [] });
          return;
        case "entries":
          break;
      }
      try {
        const items: DecidedEntry[] = [];
        next = readRun(result.bytes, wanted, filter, items) + 1;
        done({ kind: "items", items });
      } catch (error) {
        done({ kind: "failed", error: readError(error) });
      }
    });
  };
}

/** Returns the index of the last entry. */
function readRun(bytes: Uint8Array, from: number, filter: EntryFilter, items: DecidedEntry[]): number {
  let index = 0;
  for (let offset = 0; offset < bytes.byteLength; offset += entryLength(bytes, offset)) {
    index = entryIndex(bytes, offset);
    let envelope: CommandEnvelope | undefined;
    const requestId = (): string => {
      envelope = readEnvelope(entryPayload(bytes, offset));
      return envelope?.requestId ?? "";
    };
    if (!filter.isEffective(bytes, offset, requestId) || index < from) continue;
    if (envelope === undefined || envelope.machine !== "") continue;
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
