/**
 * What a thousand groups cost that nobody uses: four agents as processes on loopback, each group on three or four of them.
 * How long until all sleep, what the processes cost then, and how long the first write to one of them takes.
 */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connect, map } from "../dist/index.js";
import { costDuring, endProcess, freePort } from "./processes.ts";
import { median } from "./report.ts";

export interface IdleGroup {
  readonly name: string;
  readonly members: readonly string[];
}

export interface IdleAgentOptions {
  readonly id: string;
  readonly dataDir: string;
  /** In hexadecimal digits. */
  readonly cluster: string;
  readonly addresses: Readonly<Record<string, string>>;
  readonly groups: readonly IdleGroup[];
}

export interface IdleResult {
  /** From the start of the last agent until every member of every group sleeps. */
  readonly secondsToSleep: number;
  /** All agents together, of one core. */
  readonly cpuPercent: number;
  readonly residentMegabytesMax: number;
  readonly firstWriteMs: number;
  /** To the same groups right after, when they are awake. */
  readonly secondWriteMs: number;
}

interface Count {
  readonly asleep: number;
  readonly led: number;
  readonly leading: number;
}

const ids = ["a", "b", "c", "d"];
const script = fileURLToPath(new URL("idle-agent.mjs", import.meta.url));
const secondsToSleepMax = 120;
const writes = 20;

export async function benchIdle(
  parentFolder: string,
  groupCount: number,
  seconds: number,
  progress: (line: string) => void,
): Promise<IdleResult> {
  const folder = mkdtempSync(join(parentFolder, "idle-"));
  const cluster = randomBytes(16).toString("hex");
  const addresses: Record<string, string> = {};
  for (const id of ids) addresses[id] = `127.0.0.1:${await freePort()}`;
  const groups = Array.from({ length: groupCount }, (_, at) => groupOf(at));
  const agents = ids.map((id) =>
    fork(
      script,
      [
        JSON.stringify({
          id,
          dataDir: join(folder, id),
          cluster,
          addresses,
          groups: groups.filter(({ members }) => members.includes(id)),
        } satisfies IdleAgentOptions),
      ],
      { execArgv: [] },
    ),
  );
  try {
    await Promise.all(agents.map(async (agent) => told(agent)));
    const secondsToSleep = await untilAllSleep(agents, groups, progress);
    progress(`${groupCount} groups sleep after ${secondsToSleep.toFixed(1)} s`);
    const pids = agents.map(({ pid }) => pid ?? 0);
    const { cpuPercents, residentMegabytes } = await costDuring(pids, async () => sleep(seconds * 1000));
    const latencies = await writeLatencies(Object.values(addresses), groups);
    return {
      secondsToSleep,
      cpuPercent: cpuPercents.reduce((sum, one) => sum + one, 0),
      residentMegabytesMax: Math.max(...residentMegabytes),
      ...latencies,
    };
  } finally {
    await Promise.all(agents.map(async (agent) => endProcess(agent, "SIGKILL")));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every fifth group is on all agents, the others leave one out, each another. */
function groupOf(at: number): IdleGroup {
  const without = ids[at % (ids.length + 1)];
  return { name: `group-${at + 1}`, members: ids.filter((id) => id !== without) };
}

async function untilAllSleep(
  agents: readonly ChildProcess[],
  groups: readonly IdleGroup[],
  progress: (line: string) => void,
): Promise<number> {
  const startedAt = performance.now();
  const wanted = groups.reduce((sum, { members }) => sum + members.length, 0);
  for (;;) {
    await sleep(1000);
    const counts = await Promise.all(agents.map(ask));
    const sum = (of: (count: Count) => number): number => counts.reduce((total, one) => total + of(one), 0);
    const passed = (performance.now() - startedAt) / 1000;
    progress(
      `${sum(({ asleep }) => asleep)} of ${wanted} members sleep, ${sum(({ leading }) => leading)} lead`,
    );
    if (sum(({ asleep }) => asleep) === wanted) return passed;
    if (passed > secondsToSleepMax) throw new Error("the groups do not fall asleep");
  }
}

async function ask(agent: ChildProcess): Promise<Count> {
  agent.send("count");
  return (await told(agent)) as Count;
}

async function told(agent: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const exited = (code: number | null): void => reject(new Error(`an agent ended with code ${code}`));
    agent.once("exit", exited);
    agent.once("message", (message) => {
      agent.off("exit", exited);
      resolve(message);
    });
  });
}

/** Through one client, whose connection is there already. */
async function writeLatencies(
  agents: readonly string[],
  groups: readonly IdleGroup[],
): Promise<Pick<IdleResult, "firstWriteMs" | "secondWriteMs">> {
  const first: number[] = [];
  const second: number[] = [];
  const host = await connect({ agents });
  try {
    for (let at = 0; at < writes; at++) {
      const { name } = groups[Math.floor((at * groups.length) / writes)]!;
      const group = host.group(name, { mechanism: "raft", state: { map: map<number>() } });
      for (const into of [first, second]) {
        const startedAt = performance.now();
        await group.state.map.put("key", at);
        into.push(performance.now() - startedAt);
      }
      await group.close();
    }
  } finally {
    await host.close();
  }
  return { firstWriteMs: median(first), secondWriteMs: median(second) };
}
