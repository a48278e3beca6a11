/** Three agents as real processes on loopback, made and started with the command line, as anybody would. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./processes.ts";

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

export interface QuorateCluster {
  readonly addresses: readonly string[];
  readonly pids: readonly number[];
  /** The agent that leads, as a position in `addresses`. */
  leader(): number;
  kill(agent: number): void;
  restart(agent: number): void;
  stop(): Promise<void>;
}

interface AgentLine {
  readonly id: string;
  readonly status?: { readonly role: string };
}

export async function startQuorate(parentFolder: string): Promise<QuorateCluster> {
  const folder = mkdtempSync(join(parentFolder, "quorate-"));
  const ids = ["a", "b", "c"];
  const addresses = await Promise.all(ids.map(async () => `127.0.0.1:${await freePort()}`));
  let cluster: string | undefined;
  for (const [position, id] of ids.entries()) {
    const peers = ids.flatMap((peer, at) =>
      peer === id ? [] : ["--peer", `${peer}=${addresses[at] ?? ""}`],
    );
    const made = run([
      "init",
      "--id",
      id,
      "--listen",
      addresses[position] ?? "",
      "--data",
      join(folder, id),
      "--json",
      ...peers,
      ...(cluster === undefined ? [] : ["--cluster", cluster]),
    ]) as { cluster: string };
    cluster = made.cluster;
  }
  const start = (id: string): ChildProcess =>
    spawn(process.execPath, [command, "agent", "--data", join(folder, id), "--log-level", "error"], {
      stdio: "ignore",
    });
  const children = ids.map(start);
  const leader = (): number => {
    const agents = addresses.flatMap((address) => ["--agent", address]);
    const { agents: lines } = run(["status", "--json", ...agents]) as { agents: readonly AgentLine[] };
    return ids.indexOf(lines.find(({ status }) => status?.role === "leader")?.id ?? "");
  };
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(endProcess));
    rmSync(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; ; attempt++) {
    await sleep(200);
    try {
      if (leader() >= 0) break;
    } catch (error) {
      if (attempt >= 50) {
        await stop();
        throw error;
      }
    }
  }
  return {
    addresses,
    pids: children.map((child) => child.pid ?? 0),
    leader,
    kill: (agent) => void children[agent]?.kill("SIGKILL"),
    restart: (agent) => {
      children[agent] = start(ids[agent] ?? "");
    },
    stop,
  };
}

function run(args: readonly string[]): unknown {
  return JSON.parse(
    execFileSync(process.execPath, [command, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  );
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
