/**
 * One agent after the other is restarted while one client decides numbers, each once the last is decided: how long it has to
 * wait at the longest. In the end every number is in the log once, in order.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Host, type Log } from "../dist/index.js";
import { startQuorate, type QuorateCluster } from "./quorate.ts";

/** What is done to an agent. */
export const restartKinds = [
  "a follower, SIGTERM",
  "the leader, SIGTERM",
  "a follower, kill -9",
  "the leader, kill -9",
] as const;
export type RestartKind = (typeof restartKinds)[number];

/** The longest pauses between two answers, in milliseconds, one of each kind per round. */
export type Gaps = Readonly<Record<RestartKind, number[]>>;

/** From the signal until the others have gone on for so long without it. */
const awayMs = 600;
const attemptsMax = 200;

export async function benchRolling(
  parentFolder: string,
  rounds: number,
  progress: (done: number) => void,
): Promise<Gaps> {
  const cluster = await startQuorate(parentFolder);
  const host = await connect({ agents: cluster.addresses });
  const gaps: Gaps = {
    "a follower, SIGTERM": [],
    "the leader, SIGTERM": [],
    "a follower, kill -9": [],
    "the leader, kill -9": [],
  };
  try {
    const log = host.group("main", { mechanism: "raft" });
    const load = new SteadyLoad(log);
    for (let round = 0; round < rounds; round++) {
      for (const kind of restartKinds) {
        const leader = await leaderOnceWhole(cluster);
        const agent = kind.startsWith("the leader") ? leader : (leader + 1) % cluster.addresses.length;
        load.beginGap();
        if (kind.endsWith("SIGTERM")) await cluster.end(agent);
        else cluster.kill(agent);
        await sleep(awayMs);
        gaps[kind].push(load.gapMs);
        cluster.restart(agent);
      }
      progress(round + 1);
    }
    await leaderOnceWhole(cluster);
    await expectOnceInOrder(log, await load.stop());
    return gaps;
  } finally {
    await host.close();
    await cluster.stop();
  }
}

/** Waits until each agent answers from its own copy what was decided last; a command to ask them would take their time. */
async function leaderOnceWhole(cluster: QuorateCluster): Promise<number> {
  const leaders = new Set<string | undefined>();
  for (const address of cluster.addresses) {
    const host = await connected(address);
    const log = host.group("main", { mechanism: "raft" });
    await log.ready({ timeoutMs: 20_000 });
    await log.propose("present", { timeoutMs: 20_000 });
    leaders.add(log.status().leader);
    await host.close();
  }
  const [leader = ""] = leaders;
  // In the middle of a change of leaders they do not say the same.
  return leaders.size === 1 ? cluster.ids.indexOf(leader) : leaderOnceWhole(cluster);
}

/** It may only just have been started. */
async function connected(address: string): Promise<Host> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect({ agents: [address], pin: true });
    } catch (error) {
      if (attempt === attemptsMax) throw error;
      await sleep(50);
    }
  }
}

class SteadyLoad {
  readonly #log: Log;
  readonly #over: Promise<void>;
  #decided = 0;
  #isStopped = false;
  #lastAt = performance.now();
  #longest = 0;

  constructor(log: Log) {
    this.#log = log;
    this.#over = this.#run();
    // Told by stop().
    this.#over.catch(() => {});
  }

  beginGap(): void {
    this.#longest = 0;
  }

  get gapMs(): number {
    return Math.max(this.#longest, performance.now() - this.#lastAt);
  }

  /** How many numbers were decided. */
  async stop(): Promise<number> {
    this.#isStopped = true;
    await this.#over;
    return this.#decided;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#log.propose(this.#decided + 1, { timeoutMs: 20_000 });
      this.#decided += 1;
      const now = performance.now();
      this.#longest = Math.max(this.#longest, now - this.#lastAt);
      this.#lastAt = now;
    }
  }
}

async function expectOnceInOrder(log: Log, last: number): Promise<void> {
  let next = 1;
  for await (const { value } of log.entries()) {
    if (value === "present") continue;
    if (value !== next) throw new Error(`${JSON.stringify(value)} is decided where ${next} should be`);
    if (next === last) return;
    next += 1;
  }
}
