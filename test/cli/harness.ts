/**
 * Runs `quorate` as its users do: real agents in processes of their own, real sockets, a folder for each test. What a test
 * starts ends with it, by process number; nothing else is ever ended. A command that only asks agents or looks at files
 * runs in the test's own process, as `main.ts` would run it: to start another takes longer than what most of them do.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  rmdirSync,
  statSync,
} from "node:fs";
import { type Server, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { run } from "../../src/cli/program.ts";
import { limits } from "../../src/core/limits.ts";
import { freePort } from "../support/runtime.ts";

export const root: string = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "dist/cli/main.js");

const commandMsMax = 30_000;
const stopMsMax = 10_000;
const buildMsMax = 120_000;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that goes on by itself. */
export class Running {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stdout = "";
  stderr = "";

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.exited = new Promise((resolve) => {
      child.once("close", (code) => resolve(code));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves with the match once its output has it; rejects where it ends before, or takes too long. */
  async shows(pattern: RegExp, withinMs: number = commandMsMax): Promise<RegExpExecArray> {
    const deadline = Date.now() + withinMs;
    while (Date.now() < deadline) {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (match !== null) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null) break;
      await sleep(10);
    }
    throw new Error(`never showed ${String(pattern)}; stdout:\n${this.stdout}\nstderr:\n${this.stderr}`);
  }

  /** Sends a signal and waits until it is gone. */
  async end(signal: NodeJS.Signals = "SIGINT"): Promise<number | null> {
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), stopMsMax);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }
}

/** Commands that start no agent and use neither standard input nor signals. */
const asks: ReadonlySet<string | undefined> = new Set([
  "backup",
  "cas",
  "doctor",
  "get",
  "init",
  "journal",
  "members",
  "propose",
  "put",
  "recover",
  "restore",
  "status",
  "transfer",
]);

/** A folder, and the commands that run in it. */
export class Workplace implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "quorate-cli-"));
  readonly #running: Running[] = [];

  constructor() {
    ensureBuilt();
    process.chdir(this.folder);
  }

  start(args: readonly string[], environment: Record<string, string> = {}): Running {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: this.folder,
      env: { ...plainEnvironment(), ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const running = new Running(child);
    this.#running.push(running);
    return running;
  }

  /** Runs one command to its end. */
  async run(args: readonly string[]): Promise<Finished> {
    if (!asks.has(args[0])) return this.runProcess(args);
    let stdout = "";
    let stderr = "";
    const patience = AbortSignal.timeout(commandMsMax);
    setMaxListeners(0, patience);
    const world = {
      out: { write: (text: string) => (stdout += text) },
      err: { write: (text: string) => (stderr += text) },
      environment: plainEnvironment(),
    };
    const code = await run(args, world, patience);
    return { code, stdout, stderr };
  }

  /** The same in a process of its own. */
  async runProcess(
    args: readonly string[],
    stdin = "",
    environment: Record<string, string> = {},
  ): Promise<Finished> {
    const running = this.start(args, environment);
    running.child.stdin?.on("error", () => {}).end(stdin);
    const timer = setTimeout(() => running.child.kill("SIGKILL"), commandMsMax);
    const code = await running.exited;
    clearTimeout(timer);
    return { code, stdout: running.stdout, stderr: running.stderr };
  }

  async json(args: readonly string[]): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await this.run([...args, "--json"]);
    if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** `quorate up`, and its agents' processes once they are ready. Those of a new folder get ports that stay theirs. */
  async up(...args: readonly string[]): Promise<{ up: Running; pids: number[] }> {
    const isNew = !existsSync(join(this.folder, ".quorate")) && !args.includes("--data");
    const ports =
      isNew && !args.includes("--port") ? ["--port", String(await freePort(limits.votersMax))] : [];
    const up = this.start(["up", "--json", ...args, ...ports]);
    await up.shows(/"event":"ready"/);
    const [line = ""] = up.stdout.split("\n");
    const { agents } = JSON.parse(line) as { agents: { pid: number }[] };
    return { up, pids: agents.map((agent) => agent.pid) };
  }

  /** Resolves once more than so many entries are decided. */
  async committed(moreThan: number): Promise<void> {
    for (;;) {
      const { agents } = (await this.json(["status"])) as { agents: { status?: { committed: number } }[] };
      if (agents.some(({ status }) => (status?.committed ?? 0) > moreThan)) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) {
      if (running.child.exitCode === null && running.child.signalCode === null) await running.end("SIGTERM");
    }
    process.chdir(root);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves once none of them is there any more; rejects after a while. */
export async function allGone(pids: readonly number[], withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (pids.some((pid) => isAlive(pid))) {
    if (Date.now() > deadline)
      throw new Error(`still running: ${pids.filter((pid) => isAlive(pid)).join(" ")}`);
    await sleep(20);
  }
}

/** Every file below a folder, by its path from there. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" });
}

/** Sockets, and locks that are not given back. */
export function leftBehind(folder: string): string[] {
  return filesBelow(folder).filter((name) => {
    const path = join(folder, name);
    if (statSync(path).isSocket() || /\.sock\.path$|lock/.test(name)) return true;
    return /owner\.\d+$/.test(name) && !readFileSync(path, "utf8").includes('"released":true');
  });
}

/** Listens on a free port until it is closed. */
export async function takePort(wanted = 0): Promise<{ port: number; server: Server }> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(wanted, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return { port: address.port, server };
}

/** Whether a small file system can be mounted, as some tests need; containers often forbid it. */
export function canMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const probe = spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
  return probe.status === 0;
}

let isBuilt = false;

/** `npm ci` has compiled it; where a source is newer, it is compiled again, by one test file while the others wait. */
function ensureBuilt(): void {
  if (isBuilt) return;
  const lock = join(root, "dist/.test-build");
  mkdirSync(join(root, "dist"), { recursive: true });
  const deadline = Date.now() + buildMsMax;
  while (!tookLock(lock)) {
    if (Date.now() > deadline) rmSync(lock, { recursive: true, force: true });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  try {
    if (isStale()) {
      const { status, stdout } = spawnSync(process.execPath, [join(root, "tools/build.mjs")], {
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(`the sources do not compile:\n${stdout}`);
    }
    isBuilt = true;
  } finally {
    rmdirSync(lock);
  }
}

function tookLock(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}

function isStale(): boolean {
  if (!existsSync(program)) return true;
  const builtAt = Math.max(
    ...["dist/node.tsbuildinfo", "dist/pure.tsbuildinfo"].map((name) => {
      const path = join(root, name);
      return existsSync(path) ? statSync(path).mtimeMs : 0;
    }),
  );
  return filesBelow(join(root, "src")).some(
    (name) =>
      name.endsWith(".ts") &&
      !name.endsWith(".test.ts") &&
      statSync(join(root, "src", name)).mtimeMs > builtAt,
  );
}

/** Whatever the test runner wants of colours is not for the programs under test; Node 22 warns of both settings at once. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...plain } = process.env;
  return plain;
}
