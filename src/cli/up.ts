import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";

import { limits } from "../core/limits.ts";
import type { AgentProcess } from "./cluster/agent-process.ts";
import { agentsTable } from "./cluster/agents-table.ts";
import { type ClusterOptions, RunningCluster, agentsDefault } from "./cluster/running-cluster.ts";
import { agentFoldersIn } from "./cluster/cluster-folder.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { CommandFailure, usageFailure } from "./failure.ts";
import { untilInterrupted } from "./interrupts.ts";
import { type OutputOptions, clusterFolderDefault, newCommand, wholeNumber } from "./options.ts";
import { LiveRegion } from "./terminal/live-region.ts";
import { counted, duration } from "./terminal/numbers.ts";

interface UpOptions extends OutputOptions {
  readonly agents?: number;
  readonly data: string;
  readonly port?: number;
  readonly fresh?: boolean;
  readonly yes?: boolean;
}

export const nextCommands = "npx quorate status · put k v · watch k · Ctrl-C stops all";
const electionMsMax = 20_000;
const redrawMs = 200;

export function upCommand(context: CommandContext): Command {
  const command = newCommand(
    "up",
    "run a few agents on this machine, each in a process of its own, until Ctrl-C",
    ["quorate up", "quorate up --agents 3 --port 7400", "quorate up --fresh --yes"],
  )
    .option(
      "--agents <number>",
      `how many; 1 to ${limits.votersMax} (default: those that are there, or ${agentsDefault})`,
      wholeNumber(1, limits.votersMax),
    )
    .option(
      "--data <folder>",
      "where their data is; made if it is not there, continued if it is",
      clusterFolderDefault,
    )
    .option(
      "--port <number>",
      "the first agent listens there, the others after it (default: free ports)",
      wholeNumber(1, 65_528),
    )
    .option("--fresh", "throw away what they have decided before; asks first")
    .option("--yes", "do not ask");
  return context.act(command, async (options: UpOptions): Promise<ExitCode> => {
    if (options.fresh === true) await confirmFresh(options, context);
    const startedAtMs = performance.now();
    await using running = await RunningCluster.start(clusterOptions(options, context.interrupts));
    await show(running, startedAtMs, options, context);
    return exitCodes.ok;
  });
}

function clusterOptions(options: UpOptions, interrupts: AbortSignal): ClusterOptions {
  return {
    folder: options.data,
    agents: options.agents,
    firstPort: options.port,
    fresh: options.fresh === true,
    needed: "majority",
    interrupts,
  };
}

async function show(
  running: RunningCluster,
  startedAtMs: number,
  options: UpOptions,
  context: CommandContext,
): Promise<void> {
  const { cluster } = running;
  const print = new UpPrinter(running, options, context);
  print.started();
  const stop = cluster.listen(() => print.changed());
  const stopLooking = running.watchElsewhere();
  const timer = setInterval(() => print.redraw(), redrawMs);
  try {
    const { leader, term, atMs } = await cluster
      .leaderAfter(0, electionMsMax, context.interrupts)
      .catch((error: unknown) => {
        if (context.interrupts.aborted) return { leader: undefined, term: 0, atMs: 0 };
        throw error;
      });
    if (leader !== undefined) print.led(leader.id, term, atMs - startedAtMs);
    await untilInterrupted(context.interrupts);
  } finally {
    clearInterval(timer);
    stopLooking();
    stop();
    print.ending();
  }
}

/** On a terminal a table that is drawn anew in place; elsewhere a line for whatever changes. */
class UpPrinter {
  readonly #running: RunningCluster;
  readonly #json: boolean;
  readonly #context: CommandContext;
  readonly #region: LiveRegion;
  #told = new Map<string, string>();

  constructor(running: RunningCluster, options: OutputOptions, context: CommandContext) {
    this.#running = running;
    this.#json = options.json === true;
    this.#context = context;
    this.#region = new LiveRegion(context.surfaces.out);
  }

  get #isLive(): boolean {
    return this.#region.isLive && !this.#json;
  }

  started(): void {
    const { cluster, folder, isContinued } = this.#running;
    const { paint } = this.#context.surfaces.out;
    const processes = cluster.agents.filter((agent) => agent.pid !== undefined).length;
    const age = isContinued ? ", continued from an earlier run" : "";
    this.#tell(
      {
        event: "started",
        folder,
        continued: isContinued,
        agents: cluster.agents.map(({ id, pid, address }) => ({ id, pid, address })),
      },
      `${paint("cyan", "▸")} ${counted(cluster.agents.length, "agent")}, ${counted(processes, "process", "processes")}, data in ${folder}${age}`,
    );
    for (const agent of cluster.agents) if (agent.hasLostData) this.#leftOut(agent);
    this.redraw();
  }

  led(leader: string, term: number, ms: number): void {
    const { paint } = this.#context.surfaces.out;
    this.#tell(
      { event: "ready", leader, term, ms: Math.round(ms) },
      `${paint("green", "✔")} ready after ${duration(ms)}: ${leader} leads, term ${term}`,
    );
    if (!this.#isLive && !this.#json) this.#context.surfaces.out.line(`Try: ${nextCommands}`);
  }

  /** Without a table, whatever it would show: an agent's end, its return, a new leader. */
  changed(): void {
    if (this.#isLive) return;
    for (const { id, status, state, note, pid } of this.#running.cluster.rows()) {
      // That one follows or stands for election is not worth a line; that one leads or is gone, is.
      const shown =
        status === undefined ? state : status.role === "leader" ? `leader, term ${status.term}` : "up";
      const before = this.#told.get(id);
      this.#told.set(id, shown);
      if (before === shown || shown === "starting" || before === "starting") continue;
      if (before === undefined && shown !== "down") continue;
      const why = note === "" ? "" : `: ${note}`;
      this.#tell(
        { event: "changed", agent: id, state: shown, note, pid: pid ?? null },
        `  ${id} is ${shown}${why}`,
      );
    }
  }

  redraw(): void {
    if (!this.#isLive) return;
    const { paint } = this.#context.surfaces.out;
    const rows = this.#running.cluster.rows();
    this.#region.draw(["", ...agentsTable(rows, paint), "", ...this.#remedy(), `Try: ${nextCommands}`]);
  }

  /** It stays down, and the others go on: said once, with what to do. */
  #leftOut({ id, failure }: AgentProcess): void {
    const { code = "", message = "", hint = "" } = failure ?? {};
    this.#told.set(id, "down");
    this.#tell(
      { event: "changed", agent: id, state: "down", note: message, pid: null, code, hint },
      `${this.#context.surfaces.out.paint("yellow", "▸")} ${id} is left out: ${message} ${hint}`,
    );
  }

  /** What to do about an agent that is down: this process does not start it again. */
  #remedy(): string[] {
    const { cluster, folder } = this.#running;
    const down = cluster.agents.filter((agent) => agent.state === "down");
    const lost = down.find((agent) => agent.hasLostData);
    const other = down.find((agent) => !agent.hasLostData);
    return [
      ...(lost === undefined
        ? []
        : [`Leave ${lost.id} stopped. What is on the disks: npx quorate journal check`]),
      ...(other === undefined
        ? []
        : [`Start ${other.id} again elsewhere: npx quorate agent --data ${join(folder, other.id)}`]),
    ];
  }

  ending(): void {
    this.#region.erase();
    if (!this.#json && this.#context.interrupts.aborted) {
      this.#context.surfaces.out.line(
        `Stopping. Their data stays in ${this.#running.folder}; quorate up goes on from there.`,
      );
    }
  }

  #tell(event: object, line: string): void {
    if (this.#json) this.#context.surfaces.out.line(JSON.stringify(event));
    else this.#region.print(line);
  }
}

/** Throwing data away is asked for twice: by the option, and by a question or `--yes`. */
async function confirmFresh(options: UpOptions, context: CommandContext): Promise<void> {
  if (options.yes === true || agentFoldersIn(options.data).length === 0) return;
  if (process.stdin.isTTY !== true || !context.surfaces.err.isTerminal) {
    throw usageFailure(`--fresh would throw away what is in ${options.data}.`, "Say so with --yes.");
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  // The prompt takes Ctrl-C for itself, and Ctrl-D ends it without an answer: both are one.
  const nothing = new AbortController();
  prompt.once("SIGINT", () => nothing.abort()).once("close", () => nothing.abort());
  const signal = AbortSignal.any([context.interrupts, nothing.signal]);
  try {
    const answer = await prompt.question(
      `Throw away what the agents in ${options.data} have decided? [y/N] `,
      { signal },
    );
    if (!/^y(es)?$/i.test(answer.trim()))
      throw usageFailure("Nothing was thrown away.", "Without --fresh they go on where they were.");
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new CommandFailure({
      code: "ABORTED",
      message: "Nothing was thrown away.",
      hint: "Without --fresh they go on where they were.",
      outcome: "notDone",
      exitCode: exitCodes.interrupted,
    });
  } finally {
    prompt.close();
  }
}
