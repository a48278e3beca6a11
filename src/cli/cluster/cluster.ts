/** All agents of one folder, each in a process of its own: started together, watched, stopped together. */
import { performance } from "node:perf_hooks";

import { CommandFailure, refusal } from "../failure.ts";
import { AgentProcess } from "./agent-process.ts";
import type { AgentRow } from "./agents-table.ts";
import type { AgentFolder } from "./cluster-folder.ts";

export interface Leadership {
  readonly leader: AgentProcess;
  readonly term: number;
  /** When it was first seen, on `performance.now()`. */
  readonly atMs: number;
}

/** How many have to start. */
export type AgentsNeeded = "all" | "majority";

type Listener = () => void;

/** An agent that has said nothing for so long is stopped, or hangs. */
const silentMsMax = 2500;

export class Cluster {
  readonly agents: readonly AgentProcess[];
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #listeners = new Set<Listener>();

  constructor(folders: readonly AgentFolder[]) {
    this.#addresses = new Map(folders.map((folder) => [folder.id, folder.address]));
    const onChange = (): void => this.#changed();
    this.agents = folders.map(
      ({ id, dataFolder, logFile, lost }) => new AgentProcess({ id, dataFolder, logFile, lost, onChange }),
    );
  }

  /**
   * Resolves once all of them listen. If one can't, or Ctrl-C comes first, the others are stopped, and it rejects with why. Where a majority is
   * enough, one that has lost its data stays down instead: it is a member less, as if its machine were gone.
   */
  async start(needed: AgentsNeeded, interrupts: AbortSignal): Promise<void> {
    // One that has not said that it listens has nothing yet to end in good order.
    const giveUp = (): void => {
      for (const agent of this.agents) if (agent.state === "starting") void agent.kill();
    };
    interrupts.addEventListener("abort", giveUp);
    const started = await Promise.allSettled(this.agents.map(async (agent) => agent.start()));
    interrupts.removeEventListener("abort", giveUp);
    const first = started.find((result) => result.status === "rejected");
    if (first === undefined) return;
    if (interrupts.aborted) {
      await this.stop();
      throw refusal(
        "ABORTED",
        "Ended before all agents ran.",
        "Their data stays; the same command goes on from there.",
      );
    }
    const down = this.agents.filter((_, at) => started[at]?.status === "rejected");
    const isMajority = 2 * (this.agents.length - down.length) > this.agents.length;
    const isLost = needed === "majority" && down.every((agent) => agent.hasLostData);
    if (isLost && isMajority) return;
    await this.stop();
    throw isLost ? withoutMajority(first.reason, down.length, this.agents.length) : first.reason;
  }

  /** Stops all of them; resolves once no process is left. */
  async stop(): Promise<void> {
    await Promise.all(this.agents.map(async (agent) => agent.stop()));
  }

  /** Calls back whenever an agent's state or status is another. Returns how to stop that. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Who leads, by the word of the leader itself; of two that say so, the one of the later term. */
  leadership(): { leader: AgentProcess; term: number } | undefined {
    let found: { leader: AgentProcess; term: number } | undefined;
    for (const leader of this.agents) {
      const { status, state } = leader;
      if (state !== "running" || status?.role !== "leader") continue;
      if (found === undefined || status.term > found.term) found = { leader, term: status.term };
    }
    return found;
  }

  /** Waits for a leader of a later term. Rejects with `NO_QUORUM`. */
  async leaderAfter(term: number, timeoutMs: number, signal?: AbortSignal): Promise<Leadership> {
    const isThere = (): boolean => (this.leadership()?.term ?? 0) > term;
    await this.until(isThere, timeoutMs, signal);
    const found = this.leadership();
    if (found === undefined || !isThere()) {
      throw refusal(
        "NO_QUORUM",
        `No agent leads after ${timeoutMs} ms.`,
        `Their logs say more: ${this.agents[0]?.logFile ?? ""} and its neighbours.`,
      );
    }
    return { ...found, atMs: performance.now() };
  }

  /** Resolves once the condition holds, looked at after every change; or when the time is over. */
  async until(isTrue: () => boolean, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (isTrue() || signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        stop();
        signal?.removeEventListener("abort", settle);
        resolve();
      };
      const stop = this.listen(() => {
        if (isTrue()) settle();
      });
      const timer = setTimeout(settle, timeoutMs);
      signal?.addEventListener("abort", settle);
    });
  }

  /** What the table shows. */
  rows(): AgentRow[] {
    const nowMs = performance.now();
    return this.agents.map((agent) => {
      const isSilent = agent.status !== undefined && nowMs - agent.statusAtMs > silentMsMax;
      const isHeard = agent.state === "running" && !isSilent;
      return {
        id: agent.id,
        address: this.#addresses.get(agent.id) ?? agent.address,
        pid: agent.pid,
        status: isHeard ? agent.status : undefined,
        state: agent.state === "running" ? (isSilent ? "silent" : "starting") : agent.state,
        note: agent.note,
      };
    });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function withoutMajority(error: unknown, lost: number, all: number): unknown {
  if (!(error instanceof CommandFailure) || all === 1) return error;
  return new CommandFailure({
    ...error.failure,
    message: `${lost} of ${all} agents have lost their data, and the others are no majority. ${error.failure.message}`,
    hint: `${error.failure.hint} Or begin anew, with nothing: quorate up --fresh`,
  });
}
