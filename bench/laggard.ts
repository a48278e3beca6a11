/**
 * One follower is away while three agents are written to as fast as they can, for so long that the leader no longer keeps the
 * log for it: what writers notice before, meanwhile, while it catches up, and after; what it takes to catch up; and what
 * that costs in memory and on the disk. It ends only where the follower has the leader's state.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ClientPool, type GroupStatus } from "../dist/runtime/index.js";
import type { LoadResult } from "./closed-loop.ts";
import { startLoad } from "./load-process.ts";
import { readProcessCost } from "./processes.ts";
import { type QuorateCluster, startQuorate } from "./quorate.ts";
import { median } from "./report.ts";

/** `stopped`: by SIGSTOP, and it goes on with all that it was in the middle of. `killed`: by `kill -9`. */
export type Absence = "stopped" | "killed";

const phases = ["before", "away", "catching up", "after"] as const;
export type Phase = (typeof phases)[number];

export interface PhaseResult {
  readonly phase: Phase;
  readonly seconds: number;
  /** Medians of windows of two seconds. */
  readonly writesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The longest that one write took. */
  readonly maxMs: number;
  readonly leaderMegabytesMax: number;
  readonly followerMegabytesMax: number;
  /** Of the leader's journal and snapshots. */
  readonly leaderDiskMegabytesMax: number;
}

export interface LaggardResult {
  readonly phases: readonly PhaseResult[];
  /** Written while it was away. */
  readonly missedMegabytes: number;
  /** How many the follower got whole, as its log says. */
  readonly snapshots: number;
  readonly stateMegabytes: number;
}

/** A state of 52 MB, and a load that is more of a burden on disks and links than on processors. */
const load = { workload: "put", callers: 64, valueBytes: 4096, keysPerCaller: 200 } as const;
const windowSeconds = 2;
const windowsAround = 5;
const megabyte = 1e6;
const windowsMax = 300;
/** The follower has caught up where no more are missing: a fraction of a second of this load. */
const caughtUpEntries = 1000;

interface Window {
  readonly phase: Phase;
  readonly result: LoadResult;
  readonly sampled: readonly number[];
}

export async function benchLaggard(
  parentFolder: string,
  absence: Absence,
  awaySeconds: number,
  progress: (line: string) => void,
): Promise<LaggardResult> {
  const cluster = await startQuorate(parentFolder);
  const loading = startLoad();
  const windows: Window[] = [];
  let leader = 0;
  let follower = 1;
  const run = async (phase: Phase): Promise<void> => {
    const sampled = sampleDuring(cluster, leader, follower);
    const target = { kind: "quorate", endpoints: cluster.addresses } as const;
    const result = await loading.run({ target, ...load, seconds: windowSeconds });
    if (result.failures > 0) throw new Error(`${result.failures} writes failed`);
    windows.push({ phase, result, sampled: sampled() });
    progress(`${phase}: ${Math.round(result.perSecond)} writes/s, p99 ${result.p99Ms.toFixed(1)} ms`);
  };
  try {
    leader = await cluster.whole();
    follower = (leader + 1) % 3;
    for (let window = 0; window < windowsAround; window++) await run("before");

    const { committed: left } = await leaderOf(cluster, follower);
    if (absence === "stopped") process.kill(cluster.pids[follower] ?? 0, "SIGSTOP");
    else cluster.kill(follower);
    const goneAt = performance.now();
    const isAwayLongEnough = async (): Promise<boolean> => {
      const { peers } = await leaderOf(cluster, follower);
      const needsSnapshot = peers.find(({ id }) => id === cluster.ids[follower])?.mode === "snapshot";
      return needsSnapshot && performance.now() - goneAt > awaySeconds * 1000;
    };
    while (!(await isAwayLongEnough())) await runWithin(windows.length, () => run("away"));

    const { committed: missed } = await leaderOf(cluster, follower);
    if (absence === "stopped") process.kill(cluster.pids[follower] ?? 0, "SIGCONT");
    else cluster.restart(follower);
    const isBack = async (): Promise<boolean> => {
      const { role, peers, committed } = await leaderOf(cluster);
      const peer = peers.find(({ id }) => id === cluster.ids[follower]);
      // One that has caught up may lead by now.
      if (peer === undefined) return role === "leader";
      return peer.mode === "replicate" && peer.matched > committed - caughtUpEntries;
    };
    while (!(await isBack())) await runWithin(windows.length, () => run("catching up"));
    for (let window = 0; window < windowsAround; window++) await run("after");

    await untilEqual(cluster);
    const { base } = await statusOf(cluster, follower);
    return {
      phases: phases.map((phase) =>
        summed(
          phase,
          windows.filter((one) => one.phase === phase),
        ),
      ),
      missedMegabytes: ((missed - left) * load.valueBytes) / megabyte,
      snapshots: arrivalsAt(cluster, follower),
      stateMegabytes: (base?.bytes ?? 0) / megabyte,
    };
  } finally {
    loading.stop();
    await cluster.stop();
  }
}

async function runWithin(count: number, run: () => Promise<void>): Promise<void> {
  if (count >= windowsMax) throw new Error("the follower did not catch up while there was load");
  await run();
}

async function statusOf(cluster: QuorateCluster, agent: number): Promise<GroupStatus> {
  const { pool } = await ClientPool.connect({ agents: [cluster.addresses[agent] ?? ""], pin: true });
  try {
    for (;;) {
      const status = await new Promise<GroupStatus | undefined>((resolve) => {
        pool
          .gateway("main")
          .refreshStatus((result) => resolve("status" in result ? result.status : undefined));
      });
      if (status !== undefined) return status;
      await sleep(20);
    }
  } finally {
    pool.close();
  }
}

/** The status of whoever leads, also where it is another one than before; not asked of an agent that is away. */
async function leaderOf(cluster: QuorateCluster, away?: number): Promise<GroupStatus> {
  for (;;) {
    for (const agent of [0, 1, 2].filter((one) => one !== away)) {
      // One that has just been started again may not listen yet.
      const status = await statusOf(cluster, agent).catch(() => undefined);
      if (status?.role === "leader") return status;
    }
    await sleep(50);
  }
}

/** All three agents in the same state, once nobody writes. */
async function untilEqual(cluster: QuorateCluster): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const statuses = await Promise.all(cluster.addresses.map(async (_, agent) => statusOf(cluster, agent)));
    if (new Set(statuses.map(({ applied }) => applied)).size === 1) {
      if (new Set(statuses.map(({ digest }) => digest)).size > 1) throw new Error("the states differ");
      return;
    }
    await sleep(100);
  }
  throw new Error("the agents do not come to the same index");
}

/** The most of memory and disk until the returned function is called. */
function sampleDuring(cluster: QuorateCluster, leader: number, follower: number): () => readonly number[] {
  const most = [0, 0, 0];
  const sample = (): void => {
    const now = [
      memoryOf(cluster, leader),
      memoryOf(cluster, follower),
      diskOf(cluster.folders[leader] ?? ""),
    ];
    for (const [place, value] of now.entries()) most[place] = Math.max(most[place] ?? 0, value);
  };
  const timer = setInterval(sample, 200);
  return () => {
    sample();
    clearInterval(timer);
    return most;
  };
}

function memoryOf(cluster: QuorateCluster, agent: number): number {
  return readProcessCost(cluster.pids[agent] ?? 0)?.residentMegabytes ?? 0;
}

function diskOf(folder: string): number {
  let bytes = 0;
  for (const part of ["journal", "snapshots"]) {
    for (const name of readdirSync(join(folder, part))) {
      bytes += statSync(join(folder, part, name), { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return bytes / megabyte;
}

function arrivalsAt(cluster: QuorateCluster, agent: number): number {
  return readFileSync(cluster.logs[agent] ?? "", "utf8").split("has got the snapshot up to").length - 1;
}

function summed(phase: Phase, windows: readonly Window[]): PhaseResult {
  const results = windows.map(({ result }) => result);
  const most = (place: number): number => Math.max(...windows.map(({ sampled }) => sampled[place] ?? 0), 0);
  return {
    phase,
    seconds: results.reduce((sum, { seconds }) => sum + seconds, 0),
    writesPerSecond: median(results.map(({ perSecond }) => perSecond)),
    p50Ms: median(results.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(results.map(({ p99Ms }) => p99Ms)),
    maxMs: Math.max(...results.map(({ maxMs }) => maxMs), 0),
    leaderMegabytesMax: most(0),
    followerMegabytesMax: most(1),
    leaderDiskMegabytesMax: most(2),
  };
}
