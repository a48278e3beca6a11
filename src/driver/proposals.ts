/** The commands that wait for a turn, which hands them to the core in as few calls as its limits allow. */
import { assert } from "../core/assert.ts";
import { limits } from "../core/limits.ts";
import { Queue } from "../core/queue.ts";

export class Proposals {
  readonly #commands = new Queue<Uint8Array>();
  /** In the same order: whether each is for the leader only. */
  readonly #leaderOnly = new Queue<boolean>();

  get count(): number {
    return this.#commands.count;
  }

  add(commands: readonly Uint8Array[], leaderOnly: boolean): void {
    for (const command of commands) {
      this.#commands.push(command);
      this.#leaderOnly.push(leaderOnly);
    }
  }

  /**
   * What one turn takes. Unless this agent leads, commands for the leader only go to `refuse` instead. No more than that:
   * the followers, the disk and the client are then at work on the first of many while this agent is on the next.
   */
  take(leads: boolean, refuse: (command: Uint8Array) => void): readonly Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (let left = Math.min(this.count, limits.commandsPerTurnMax); left > 0; left--) {
      const command = this.#commands.take();
      if (this.#leaderOnly.take() && !leads) refuse(command);
      else taken.push(command);
    }
    return taken;
  }
}

/** Where the batch that starts at `from` ends (not included), within the limit in bytes of one call of `propose`. */
export function batchEnd(commands: readonly Uint8Array[], from: number): number {
  assert(from < commands.length, "a batch holds at least one command");
  let to = from;
  for (let bytes = 0; to < commands.length; to++) {
    bytes += commands[to]?.length ?? 0;
    if (bytes > limits.batchBytesMax && to > from) break;
  }
  return to;
}
