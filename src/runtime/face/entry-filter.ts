/**
 * Which entries of a log took effect. A command that was handed in twice may be in the log twice, and one that overtook
 * another is there without effect; the session table knows, and this is what a reader can tell from the log alone.
 *
 * Exact for sessions whose opening was read; for others from their second command on.
 */
import { entryKind, entrySequence, entrySession, entryIndex } from "../../core/entry.ts";
import { limits } from "../../core/limits.ts";

export class EntryFilter {
  /** Session → its last sequence that took effect. */
  readonly #sessions = new Map<number, number>();
  readonly #requestIds = new Set<string>();

  /** Call it for every entry, in order. False: the entry changed nothing. `requestId` is asked for only where it matters. */
  isEffective(bytes: Uint8Array, offset: number, requestId: () => string): boolean {
    const session = entrySession(bytes, offset);
    switch (entryKind(bytes, offset)) {
      case "openSession":
        this.#remember(entryIndex(bytes, offset), 0);
        return false;
      case "closeSession":
        this.#sessions.delete(session);
        return false;
      case "noop":
      case "members":
        return false;
      case "command":
        break;
    }
    const sequence = entrySequence(bytes, offset);
    const last = this.#sessions.get(session);
    if (last !== undefined && sequence !== last + 1) return false;
    this.#remember(session, sequence);
    const id = requestId();
    if (id === "") return true;
    if (this.#requestIds.has(id)) return false;
    this.#requestIds.add(id);
    if (this.#requestIds.size > limits.requestIdsMax) dropFirst(this.#requestIds);
    return true;
  }

  #remember(session: number, sequence: number): void {
    // Removed first, so that the map's order is that of the last entries: the quietest session is forgotten.
    this.#sessions.delete(session);
    this.#sessions.set(session, sequence);
    if (this.#sessions.size > limits.sessionsMax) dropFirst(this.#sessions);
  }
}

function dropFirst<K>(items: { keys(): IterableIterator<K>; delete(key: K): boolean }): void {
  for (const first of items.keys()) {
    items.delete(first);
    return;
  }
}
