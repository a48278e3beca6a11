/** One agent in a process of its own, as seen by the process that started it. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

import type { GroupStatus } from "../../runtime/gateway.ts";
import { CommandFailure, type Failure, failureFrom } from "../failure.ts";
import { mainFile } from "../package-root.ts";
import { type StopRequest, isAgentReport } from "./agent-reports.ts";

/** `paused`: stopped by a signal, so that it neither answers nor ends. */
export type AgentState = "down" | "starting" | "running" | "paused";

export interface AgentProcessOptions {
  readonly id: string;
  readonly dataFolder: string;
  /** Where its notes go. */
  readonly logFile: string;
  /** Why it can't be started at all. */
  readonly lost: Error | undefined;
  /** Its state or status is another. */
  readonly onChange: (agent: AgentProcess) => void;
}

/** What it says where another process than ours runs it. */
export interface SeenElsewhere {
  readonly status: GroupStatus;
  readonly pid: number | undefined;
}

/** A process that was asked to end and has not after so long is killed. */
const stopMsMax = 5000;
/** Node itself starts in a fraction of this, also on a machine that is busy. */
const startMsMax = 30_000;

export class AgentProcess {
  readonly id: string;
  readonly logFile: string;
  readonly #options: AgentProcessOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #state: AgentState = "down";
  #status: GroupStatus | undefined;
  #statusAtMs = 0;
  #listeningAtMs = 0;
  #address = "";
  #ending = "";
  #failure: Failure | undefined;
  #elsewhere: SeenElsewhere | undefined;

  constructor(options: AgentProcessOptions) {
    this.id = options.id;
    this.logFile = options.logFile;
    this.#options = options;
  }

  get state(): AgentState {
    return this.#elsewhere === undefined ? this.#state : "running";
  }

  /** Whether a process runs it that ends with this one. */
  get isOurs(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid ?? this.#elsewhere?.pid;
  }

  get address(): string {
    return this.#address;
  }

  /** The last that it told; undefined while it is down or has told nothing yet. */
  get status(): GroupStatus | undefined {
    return this.#elsewhere?.status ?? this.#status;
  }

  /** When it told it, on `performance.now()`. */
  get statusAtMs(): number {
    return this.#statusAtMs;
  }

  /** Since when it listens, on `performance.now()`. */
  get listeningAtMs(): number {
    return this.#listeningAtMs;
  }

  /** Why it is down, or not ours, in a few words. */
  get note(): string {
    return this.#elsewhere === undefined ? this.#ending : "started by hand; Ctrl-C here does not end it";
  }

  /** What it could not do, where it said so. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** Its journal or its whole folder is damaged or gone: no other start can go better. */
  get hasLostData(): boolean {
    return this.#failure !== undefined && /^DATA_(CORRUPT|MISSING)$/.test(this.#failure.code);
  }

  /** Resolves once it listens. Rejects with what it could not do. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    if (this.#options.lost !== undefined) this.#refuse(failureFrom(this.#options.lost));
    const log = openSync(this.#options.logFile, "a");
    const child = spawn(
      process.execPath,
      [...process.execArgv, mainFile, "agent", "--data", this.#options.dataFolder],
      { stdio: ["ignore", log, log, "ipc"], windowsHide: true },
    );
    closeSync(log);
    this.#child = child;
    this.#failure = undefined;
    this.#elsewhere = undefined;
    this.#ending = "";
    this.#setState("starting");
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#ended(signal === null ? `ended with code ${code ?? 0}` : `killed by ${signal}`);
        resolve();
      });
      child.once("error", (error) => {
        this.#ended(error.message);
        resolve();
      });
    });
    await this.#listening(child);
  }

  /** `kill -9`: it gets no chance to do anything more. Resolves once it is gone. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#exited;
  }

  /** Stops it in the middle of whatever it does, as a machine does that hangs. */
  pause(): void {
    if (this.#state !== "running") return;
    this.#child?.kill("SIGSTOP");
    this.#setState("paused");
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#child?.kill("SIGCONT");
    this.#setState("running");
  }

  /** Asks it to end in good order, and ends it if it does not. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.resume();
    const request: StopRequest = { kind: "stop" };
    if (child.connected) child.send(request, () => {});
    const timer = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
    await this.#exited;
    clearTimeout(timer);
  }

  /** Whether it runs in a process that is none of ours; only asked while it is down here. */
  seenElsewhere(seen: SeenElsewhere | undefined): void {
    if (this.#child !== undefined || (seen === undefined && this.#elsewhere === undefined)) return;
    this.#elsewhere = seen;
    this.#statusAtMs = performance.now();
    this.#options.onChange(this);
  }

  #refuse(failure: Failure): never {
    this.#failure = failure;
    this.#ending = failure.message;
    this.#setState("down");
    throw new CommandFailure({ ...failure, message: `${this.id}: ${failure.message}` });
  }

  async #listening(child: ChildProcess): Promise<void> {
    const listening = new Promise<void>((resolve) => {
      child.on("message", (message: unknown) => {
        this.#heard(message);
        if (this.#state === "running") resolve();
      });
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, startMsMax);
    });
    await Promise.race([listening, this.#exited, late]);
    clearTimeout(timer);
    if (this.#state === "running") return;
    const failure =
      this.#failure === undefined
        ? this.#silentFailure()
        : { ...this.#failure, message: `${this.id}: ${this.#failure.message}` };
    await this.kill();
    throw new CommandFailure(failure);
  }

  #heard(message: unknown): void {
    if (!isAgentReport(message) || this.#child === undefined) return;
    switch (message.kind) {
      case "listening":
        this.#address = message.address;
        this.#listeningAtMs = performance.now();
        this.#setState("running");
        return;
      case "status":
        this.#status = message.status;
        this.#statusAtMs = performance.now();
        this.#options.onChange(this);
        return;
      case "failed":
        this.#failure = message.failure;
        return;
    }
  }

  #ended(how: string): void {
    this.#child = undefined;
    this.#status = undefined;
    this.#ending = this.#failure?.message ?? how;
    this.#setState("down");
  }

  #silentFailure(): Failure {
    const how = this.#ending === "" ? "does not start" : this.#ending;
    return {
      code: "INTERNAL",
      message: `${this.id} ${how} before it listens.`,
      hint: `Its log says why: ${this.#options.logFile}`,
      outcome: "notDone",
      exitCode: 1,
    };
  }

  #setState(state: AgentState): void {
    this.#state = state;
    this.#options.onChange(this);
  }
}
