/** Child processes that run a script of ours and talk in lines. Each is ended by its id when the test is over. */
import { buildSync } from "esbuild";
import { spawn, type ChildProcess } from "node:child_process";
import { renameSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const cache = fileURLToPath(new URL("../../.cache/test-children", import.meta.url));
const built = new Map<string, string>();

/** The script and all that it imports in one file of JavaScript, since a process that compiles 200 takes a second to start. */
function compiled(script: string): string {
  const before = built.get(script);
  if (before !== undefined) return before;
  const outfile = join(cache, `${basename(script, ".ts")}.mjs`);
  const own = `${outfile}.${process.pid}`;
  buildSync({
    entryPoints: [fileURLToPath(new URL(script, import.meta.url))],
    outfile: own,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20.19",
    logLevel: "warning",
  });
  // Another test file may make the same one just now, or start it.
  renameSync(own, outfile);
  built.set(script, outfile);
  return outfile;
}

export class Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** All lines that it has written. */
  readonly said: string[] = [];
  readonly errors: string[] = [];
  readonly #lines: string[] = [];
  readonly #readers: ((line: string) => void)[] = [];

  constructor(script: string, ...args: string[]) {
    this.process = spawn(process.execPath, [compiled(script), ...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.pid = this.process.pid ?? 0;
    if (this.process.stdout !== null) {
      createInterface(this.process.stdout).on("line", (line) => {
        this.said.push(line);
        const reader = this.#readers.shift();
        if (reader === undefined) this.#lines.push(line);
        else reader(line);
      });
    }
    this.process.stderr?.on("data", (text: Buffer) => this.errors.push(text.toString()));
    onTestFinished(() => this.kill("SIGKILL"));
  }

  /** The next line that it writes. */
  async line(timeoutMs = 15_000): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return line;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`the child ${this.pid} said nothing in time; its errors: ${this.errors.join("")}`));
      }, timeoutMs);
      this.#readers.push((text) => {
        clearTimeout(timer);
        resolve(text);
      });
    });
  }

  say(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Ends it and waits until it is gone. */
  async kill(name: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((resolve) => {
      this.process.once("exit", resolve);
    });
    this.process.kill(name);
    await gone;
  }
}
