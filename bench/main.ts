/** `npm run bench`: what is fast here and now, always beside the peer and the probe, in ratios. */
import { Command, Option } from "commander";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadResult } from "./closed-loop.ts";
import { benchCore } from "./core.ts";
import { etcdVersion, startEtcd } from "./etcd.ts";
import { benchFailover } from "./failover.ts";
import { benchIdle } from "./idle.ts";
import { benchJournal } from "./journal.ts";
import { type Absence, benchLaggard } from "./laggard.ts";
import { hasLimitProbe, measureLimit } from "./limit.ts";
import { startLoad } from "./load-process.ts";
import { costDuring } from "./processes.ts";
import { startQuorate } from "./quorate.ts";
import { benchRolling, restartKinds } from "./rolling.ts";
import { median, table } from "./report.ts";

const partsToMeasure = {
  core: "three Raft cores in one thread, without disk and network: commits a second",
  journal: "records a second, beside one write and one sync in a loop",
  cluster: "durable writes to three agent processes, beside etcd and the probe where they are installed",
  reads: "the same with linearizable reads",
  failover: "kill -9 of the leader, --kills times: median and worst time to the next acknowledged write",
  rolling: "agents restarted in turn under load, --rounds times: the longest wait of a client for each",
  idle: "what --groups groups cost that nobody uses, on four agents",
  laggard:
    "a follower that is away for a minute under full load, stopped and then killed, and how it comes back",
} as const;
type Part = keyof typeof partsToMeasure;
const parts = Object.keys(partsToMeasure) as readonly Part[];

interface Options {
  readonly clients: readonly number[];
  readonly seconds: number;
  readonly repeats: number;
  readonly kills: number;
  readonly rounds: number;
  readonly groups: number;
  readonly away: number;
  readonly data: string;
  readonly leaseReads: boolean;
  readonly json: boolean;
}

const program = new Command("npm run bench --")
  .description("Measures what is fast here and now, and prints a table for each part.")
  .argument("[parts...]", `which of ${parts.join(", ")}`, [...parts])
  .addOption(
    new Option("--clients <counts>", "concurrent callers, one row each")
      .argParser((text) => text.split(",").map(Number))
      .default([1, 16, 64, 256, 1000], "1,16,64,256,1000"),
  )
  .option("--seconds <n>", "how long each measurement runs", Number, 3)
  .option("--repeats <n>", "measurements of each kind; the median counts", Number, 3)
  .option("--kills <n>", "kills of the leader for failover", Number, 20)
  .option("--rounds <n>", "rounds of restarts for rolling", Number, 10)
  .option("--groups <n>", "groups that nobody uses", Number, 1000)
  .option("--away <s>", "how long a follower is away, at least", Number, 60)
  .option("--data <folder>", "where data folders are made: the disk that is measured", tmpdir())
  .option("--lease-reads", "our agents read by lease", false)
  .option("--json", "results as JSON", false)
  .addHelpText("after", () => {
    const lines = Object.entries(partsToMeasure).map(([part, what]) => `  ${part.padEnd(9)} ${what}`);
    return `\nParts:\n${lines.join("\n")}\n\nExamples:\n  npm run bench -- failover --kills 5\n  npm run bench -- cluster --clients 1,64 --seconds 2`;
  })
  .action(async (chosen: readonly string[], options: Options) => {
    const unknown = chosen.find((part) => !parts.includes(part as Part));
    if (unknown !== undefined) program.error(`There is no part ${unknown}. Choose from ${parts.join(", ")}.`);
    await run(chosen as readonly Part[], options);
  });

const results: Record<string, unknown> = {};

async function run(chosen: readonly Part[], options: Options): Promise<void> {
  const folder = mkdtempSync(join(options.data, "quorate-bench-"));
  const say = (line: string): void => {
    if (!options.json) console.log(line);
  };
  say(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown"}; etcd ${etcdVersion() ?? "not installed"}`,
  );
  try {
    if (chosen.includes("core")) say(core(options));
    if (chosen.includes("journal")) say(await journal(folder, options));
    if (chosen.includes("cluster")) say(await cluster(folder, "put", options));
    if (chosen.includes("reads")) say(await cluster(folder, "get", options));
    if (chosen.includes("failover")) say(await failover(folder, options));
    if (chosen.includes("rolling")) say(await rolling(folder, options));
    if (chosen.includes("idle")) say(await idle(folder, options));
    if (chosen.includes("laggard")) {
      say(await laggard(folder, "stopped", options));
      say(await laggard(folder, "killed", options));
    }
    if (options.json) console.log(JSON.stringify(results, undefined, 2));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function core(options: Options): string {
  const rows = [1, 16, 64, 256].map((batch) => {
    const runs = Array.from({ length: options.repeats }, () => benchCore(batch, 1).commitsPerSecond);
    return { "entries a batch": batch, "commits/s": Math.round(median(runs)) };
  });
  results["core"] = rows;
  return table("Core alone: three members in one thread, no disk, no network", rows);
}

async function journal(folder: string, options: Options): Promise<string> {
  const rows = [];
  for (const batch of [1, 16, 64, 256]) {
    const runs = [];
    for (let repeat = 0; repeat < options.repeats; repeat++) runs.push(await benchJournal(folder, batch, 1));
    rows.push({
      "records a sync": batch,
      "records/s": Math.round(median(runs.map((one) => one.recordsPerSecond))),
      "bare loop": Math.round(median(runs.map((one) => one.bareRecordsPerSecond))),
      ratio: median(runs.map((one) => one.ofBare)).toFixed(2),
    });
  }
  results["journal"] = rows;
  return table(
    "Journal alone: 300-byte records, fdatasync; beside one write and one fdatasync in a loop",
    rows,
  );
}

interface Measured extends LoadResult {
  readonly cpuPercent: number;
  readonly residentMegabytes: number;
}

/** One after another in each repeat: ours, the peer, the probe; so that all three see the same minute of the machine. */
async function cluster(folder: string, workload: "put" | "get", options: Options): Promise<string> {
  const ours = new Map<number, Measured[]>();
  const peers = new Map<number, Measured[]>();
  const limits = new Map<number, { perSecond: number; p50Ms: number; p99Ms: number }[]>();
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    progress(`${workload} ${repeat + 1}/${options.repeats}: three agents`);
    await measure("quorate", folder, workload, options, ours);
    if (etcdVersion() !== undefined) {
      progress(`${workload} ${repeat + 1}/${options.repeats}: etcd`);
      await measure("etcd", folder, workload, options, peers);
    }
    if (!hasLimitProbe()) continue;
    for (const callers of options.clients) {
      progress(`${workload} ${repeat + 1}/${options.repeats}: probe, ${callers} callers`);
      add(
        limits,
        callers,
        await measureLimit(folder, callers, options.seconds, workload === "put" ? "cb" : "none"),
      );
    }
  }
  progress("");
  const of = <T>(found: Map<number, T[]>, callers: number, field: (one: T) => number): number =>
    median((found.get(callers) ?? []).map(field));
  const rows = options.clients.map((callers) => ({
    callers,
    "ops/s": Math.round(of(ours, callers, (one) => one.perSecond)),
    "p50 ms": of(ours, callers, (one) => one.p50Ms).toFixed(2),
    "p99 ms": of(ours, callers, (one) => one.p99Ms).toFixed(2),
    "cpu % (3)": Math.round(of(ours, callers, (one) => one.cpuPercent)),
    "client %": Math.round(of(ours, callers, (one) => one.clientCpuPercent)),
    "MB max": Math.round(of(ours, callers, (one) => one.residentMegabytes)),
    "etcd ops/s": Math.round(of(peers, callers, (one) => one.perSecond)),
    "etcd p50": of(peers, callers, (one) => one.p50Ms).toFixed(2),
    "etcd p99": of(peers, callers, (one) => one.p99Ms).toFixed(2),
    "× etcd": (
      of(ours, callers, (one) => one.perSecond) / of(peers, callers, (one) => one.perSecond)
    ).toFixed(1),
    "probe ops/s": Math.round(of(limits, callers, (one) => one.perSecond)),
    "of probe": (
      of(ours, callers, (one) => one.perSecond) / of(limits, callers, (one) => one.perSecond)
    ).toFixed(2),
  }));
  results[workload] = rows;
  const what =
    workload === "put" ? "Durable writes of 256 bytes, fsync on every member" : "Linearizable reads";
  return table(`${what}: three processes on loopback, one client process`, rows);
}

function flagsOf({ leaseReads }: Options): string[] {
  return leaseReads ? ["--lease-reads"] : [];
}

async function measure(
  kind: "quorate" | "etcd",
  folder: string,
  workload: "put" | "get",
  options: Options,
  into: Map<number, Measured[]>,
): Promise<void> {
  const servers = kind === "quorate" ? await startQuorate(folder, flagsOf(options)) : await startEtcd(folder);
  const endpoints = "addresses" in servers ? servers.addresses : servers.endpoints;
  const load = startLoad();
  try {
    for (const callers of options.clients) {
      const request = { target: { kind, endpoints }, workload, callers, seconds: options.seconds };
      const { result, cpuPercents, residentMegabytes } = await costDuring(servers.pids, () =>
        load.run(request),
      );
      if (result.failures > 0) throw new Error(`${kind}: ${result.failures} calls failed under load`);
      add(into, callers, {
        ...result,
        cpuPercent: cpuPercents.reduce((sum, one) => sum + one, 0),
        residentMegabytes: Math.max(...residentMegabytes),
      });
    }
  } finally {
    load.stop();
    await servers.stop();
  }
}

async function failover(folder: string, options: Options): Promise<string> {
  const gaps = await benchFailover(folder, options.kills, (done, ms) =>
    progress(`failover: kill ${done}/${options.kills}, ${Math.round(ms)} ms`),
  );
  progress("");
  const rows = [
    { kills: gaps.length, "median ms": Math.round(median(gaps)), "worst ms": Math.round(Math.max(...gaps)) },
  ];
  results["failover"] = rows;
  return table("From kill -9 of the leader to the next acknowledged write", rows);
}

async function rolling(folder: string, options: Options): Promise<string> {
  const gaps = await benchRolling(folder, options.rounds, (done) =>
    progress(`rolling: round ${done}/${options.rounds}`),
  );
  progress("");
  const rows = restartKinds.map((kind) => ({
    "who ends": kind,
    times: gaps[kind].length,
    "median ms": Math.round(median(gaps[kind])),
    "worst ms": Math.round(Math.max(...gaps[kind])),
  }));
  results["rolling"] = rows;
  return table("The longest wait of a client that decides one number after the other", rows);
}

/** Long enough for the clock ticks in which the system counts CPU time. */
const idleSecondsMin = 10;

async function idle(folder: string, options: Options): Promise<string> {
  const seconds = Math.max(options.seconds, idleSecondsMin);
  const one = await benchIdle(folder, options.groups, seconds, progress);
  progress("");
  const rows = [
    {
      groups: options.groups,
      "s until all sleep": one.secondsToSleep.toFixed(1),
      "cpu % (4)": one.cpuPercent.toFixed(2),
      "MB max": Math.round(one.residentMegabytesMax),
      "first write ms": one.firstWriteMs.toFixed(2),
      "second write ms": one.secondWriteMs.toFixed(2),
    },
  ];
  results["idle"] = rows;
  return table("Groups that nobody uses: four agents, each group on three or four of them", rows);
}

async function laggard(folder: string, absence: Absence, options: Options): Promise<string> {
  const one = await benchLaggard(folder, absence, options.away, progress);
  progress("");
  const rows = one.phases.map((phase) => ({
    follower: phase.phase,
    s: Math.round(phase.seconds),
    "writes/s": Math.round(phase.writesPerSecond),
    "p50 ms": phase.p50Ms.toFixed(1),
    "p99 ms": phase.p99Ms.toFixed(1),
    "worst ms": Math.round(phase.maxMs),
    "leader MB": Math.round(phase.leaderMegabytesMax),
    "follower MB": Math.round(phase.followerMegabytesMax),
    "leader's disk MB": Math.round(phase.leaderDiskMegabytesMax),
  }));
  results[`laggard, ${absence}`] = one;
  const what = `A follower ${absence} for ${options.away} s while 4 KB values are written`;
  const missed = `it missed ${Math.round(one.missedMegabytes)} MB`;
  const got = `got snapshots: ${one.snapshots}, of ${Math.round(one.stateMegabytes)} MB`;
  return table(`${what}: ${missed}, ${got}`, rows);
}

function add<T>(into: Map<number, T[]>, key: number, one: T): void {
  const before = into.get(key);
  if (before === undefined) into.set(key, [one]);
  else before.push(one);
}

function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
  else if (line !== "") process.stderr.write(`${line}\n`);
}

await program.parseAsync();
