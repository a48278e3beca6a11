/** The commands that wait for the next turn. All of them are handed to the core in as few calls as its limits allow. */
import { assert } from "../core/assert.ts";
import { limits } from "../core/limits.ts";

export class Proposals {
  #commands: Uint8Array[] = [];
  /** In the same order: whether each is for the leader only. */
  #leaderOnly: boolean[] = [];

  get count(): number {
    return this.#commands.length;
  }

  add(commands: readonly Uint8Array[], leaderOnly: boolean): void {
    for (const command of commands) {
      this.#commands.push(command);
      this.#leaderOnly.push(leaderOnly);
    }
  }

  /**
   * All that wait, and waits no longer. Unless this agent leads, those for the leader only go to `refuse` instead.
   */
  take(leads: boolean, refuse: (command: Uint8Array) => void): readonly Uint8Array[] {
    const commands = this.#commands;
    const leaderOnly = this.#leaderOnly;
    this.#commands = [];
    this.#leaderOnly = [];
    if (leads || !leaderOnly.includes(true)) return commands;
    return commands.filter((command, at) => {
      if (leaderOnly[at] === true) refuse(command);
      return leaderOnly[at] !== true;
    });
  }
}

/** Where the batch that starts at `from` ends (not included), within the limits of one call of `propose`. */
export function batchEnd(commands: readonly Uint8Array[], from: number): number {
  assert(from < commands.length, "a batch holds at least one command");
  const endMax = Math.min(commands.length, from + limits.batchEntriesMax);
  let to = from;
  for (let bytes = 0; to < endMax; to++) {
    bytes += commands[to]?.byteLength ?? 0;
    if (bytes > limits.batchBytesMax && to > from) break;
  }
  return to;
}
