/** Three agents as real processes on loopback, made and started with the command line, as anybody would. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { endProcess, freePort } from "./processes.ts";

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

export interface QuorateCluster {
  readonly ids: readonly string[];
  readonly addresses: readonly string[];
  /** As of now: an agent that was started again has another one. */
  readonly pids: readonly number[];
  /** Of each agent: where its data is, and its log. */
  readonly folders: readonly string[];
  readonly logs: readonly string[];
  /** The agent that leads, as a position in `addresses`; undefined where none does, or not all of them answer. */
  leader(): number | undefined;
  /** Waits until all answer and one leads; gives that one. */
  whole(): Promise<number>;
  kill(agent: number): void;
  /** In good order; resolves once it is gone. */
  end(agent: number): Promise<void>;
  restart(agent: number): void;
  stop(): Promise<void>;
}

const attemptsMax = 50;
const ids = ["a", "b", "c"];

interface AgentLine {
  readonly id: string;
  readonly status?: { readonly role: string };
}

function spawnAgent(data: string, logFile: string, flags: readonly string[]): ChildProcess {
  const log = openSync(logFile, "a");
  const child = spawn(process.execPath, [command, "agent", "--data", data, ...flags], {
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  return child;
}

/** `flags`: of `quorate agent`, the same for all three. */
export async function startQuorate(
  parentFolder: string,
  flags: readonly string[] = [],
): Promise<QuorateCluster> {
  const folder = mkdtempSync(join(parentFolder, "quorate-"));
  const addresses = await Promise.all(ids.map(async () => `127.0.0.1:${await freePort()}`));
  makeFolders(folder, addresses);
  const logs = ids.map((id) => join(folder, `${id}.log`));
  const start = (id: string, position: number): ChildProcess =>
    spawnAgent(join(folder, id), logs[position] ?? "", flags);
  const children = ids.map(start);
  const leader = (): number | undefined => {
    const agents = addresses.flatMap((address) => ["--agent", address]);
    const { agents: lines } = run(["status", "--json", ...agents]) as { agents: readonly AgentLine[] };
    if (lines.filter(({ status }) => status !== undefined).length < ids.length) return undefined;
    const found = ids.indexOf(lines.find(({ status }) => status?.role === "leader")?.id ?? "");
    return found < 0 ? undefined : found;
  };
  const whole = async (): Promise<number> => {
    for (let attempt = 0; ; attempt++) {
      await sleep(200);
      try {
        const found = leader();
        if (found !== undefined) return found;
      } catch (error) {
        // Too few answer yet.
        if (attempt >= attemptsMax) throw error;
      }
      if (attempt >= attemptsMax) throw new Error("the three agents did not find together");
    }
  };
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(async (child) => endProcess(child, "SIGKILL")));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await whole();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ids,
    addresses,
    get pids() {
      return children.map((child) => child.pid ?? 0);
    },
    folders: ids.map((id) => join(folder, id)),
    logs,
    leader,
    whole,
    kill: (agent) => void children[agent]?.kill("SIGKILL"),
    end: async (agent) => {
      const child = children[agent];
      if (child !== undefined) await endProcess(child, "SIGTERM");
    },
    restart: (agent) => {
      children[agent] = start(ids[agent] ?? "", agent);
    },
    stop,
  };
}

function makeFolders(folder: string, addresses: readonly string[]): void {
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
}

function run(args: readonly string[]): unknown {
  return JSON.parse(
    execFileSync(process.execPath, [command, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  );
}
