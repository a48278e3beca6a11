/** Child processes that run a script of ours and talk in lines. Each is ended by its id when the test is over. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export class Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** All lines that it has written. */
  readonly said: string[] = [];
  readonly errors: string[] = [];
  readonly #lines: string[] = [];
  readonly #readers: ((line: string) => void)[] = [];

  constructor(script: string, ...args: string[]) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.process = spawn(process.execPath, ["--import", "tsx", path, ...args], {
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
