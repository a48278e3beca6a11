/** What other processes cost, read from Linux's /proc; elsewhere the columns stay empty. */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

export interface ProcessCost {
  /** Since the process began, in seconds of one core. */
  readonly cpuSeconds: number;
  readonly residentMegabytes: number;
}

const clockTicksPerSecond = 100;

export function readProcessCost(pid: number): ProcessCost | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, in parentheses, may hold spaces: count from behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return {
      cpuSeconds: ticks / clockTicksPerSecond,
      residentMegabytes: Number(resident ?? Number.NaN) / 1024,
    };
  } catch {
    return undefined;
  }
}

/** CPU in percent of one core and memory of several processes while `work` runs. */
export async function costDuring<T>(
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{ result: T; cpuPercents: number[]; residentMegabytes: number[] }> {
  const before = pids.map(readProcessCost);
  const startedAt = performance.now();
  const result = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const after = pids.map(readProcessCost);
  return {
    result,
    cpuPercents: after.map(
      (cost, at) =>
        (((cost?.cpuSeconds ?? Number.NaN) - (before[at]?.cpuSeconds ?? Number.NaN)) / seconds) * 100,
    ),
    residentMegabytes: after.map((cost) => cost?.residentMegabytes ?? Number.NaN),
  };
}

/** Resolves once it is gone. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await ended;
}

/** A TCP port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null
          ? resolve(address.port)
          : reject(new Error("no port")),
      );
    });
  });
}
