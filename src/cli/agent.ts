import { type Command, Option } from "commander";
import { pino } from "pino";

import { limits } from "../core/limits.ts";
import { type WireVersion, wireVersionMax, wireVersionMin } from "../core/wire-version.ts";
import { AgentRuntime } from "../runtime/agent.ts";
import type { LocalGateway } from "../runtime/local-gateway.ts";
import type { Logger } from "../runtime/logger.ts";
import { mapMachine } from "../state/index.ts";
import { type AgentReport, isStopRequest } from "./cluster/agent-reports.ts";
import { readAgentFolder } from "./cluster/cluster-folder.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { failureFrom, showStack } from "./failure.ts";
import { untilInterrupted } from "./interrupts.ts";
import { type OutputOptions, groupDefault, newCommand, wholeNumber } from "./options.ts";

interface AgentOptions extends OutputOptions {
  readonly data: string;
  readonly listen?: string;
  readonly wireVersionMax?: WireVersion;
  readonly electionPriority?: number;
  readonly leaseReads?: true;
  readonly logLevel: string;
}

/** How often an agent looks whether it has something new to tell the process that started it. */
const reportMs = 100;
/** It is heard from at least so often, so that one that hangs can be told from one where nothing happens. */
const silenceMsMax = 500;

export function agentCommand(context: CommandContext): Command {
  const command = newCommand("agent", "run one agent in the foreground; its log goes to stderr", [
    "quorate agent --data .quorate/agent_1",
  ])
    .requiredOption("--data <folder>", "its data folder, made by `quorate init` or `quorate up`")
    .option("--listen <host:port>", "listen here, not where its cluster.json says")
    .option(
      "--wire-version-max <number>",
      "speak no newer version of the wire than this one; for a careful upgrade (default: the newest)",
      wholeNumber(wireVersionMin, wireVersionMax),
    )
    .option(
      "--election-priority <number>",
      "0 to 100: the highest that is there should lead; 0: only where it is asked to (default: 50)",
      wholeNumber(0, limits.priorityMax),
    )
    .option("--lease-reads", "as a leader, answer reads without asking the others; trusts clocks")
    .addOption(
      new Option("--log-level <level>", "what goes to the log")
        .choices(["error", "warn", "info"])
        .default("info"),
    );
  return context.act(command, async (options: AgentOptions): Promise<ExitCode> => {
    const parent = new Parent();
    try {
      return await runAgent(options, context, parent);
    } catch (error) {
      if (!parent.isThere) throw error;
      // The parent shows it; in the log it is one line.
      const failure = failureFrom(error);
      await parent.tell({ kind: "failed", failure });
      context.surfaces.err.line(`${failure.code}: ${failure.message} ${failure.hint}`);
      showStack(error, context.surfaces.err, context.world.environment);
      return failure.exitCode;
    }
  });
}

async function runAgent(options: AgentOptions, context: CommandContext, parent: Parent): Promise<ExitCode> {
  const { id, file } = readAgentFolder(options.data);
  const logger = loggerFor(options.logLevel, id);
  let fatal: Error | undefined;
  const ending = new AbortController();
  const agent = await AgentRuntime.start({
    id,
    dataDir: options.data,
    cluster: file.cluster,
    listen: options.listen ?? addressOf(file.agents, id),
    peers: file.agents,
    ...(options.wireVersionMax !== undefined && { wireVersionMax: options.wireVersionMax }),
    electionPriority: options.electionPriority,
    leaseReads: options.leaseReads,
    groups: [
      {
        name: groupDefault,
        mechanism: "raft",
        ...(file.joining === true
          ? { members: [], joining: true }
          : { members: file.agents.map((member) => member.id) }),
        machines: { map: mapMachine() },
      },
    ],
    logger,
    onFatal: (error) => {
      fatal = error;
      ending.abort();
    },
  });
  const stopReporting = report(agent, parent);
  if (!parent.isThere) {
    context.result(options, { id, address: agent.address, pid: process.pid }, [
      `${id} listens on ${agent.address}. Ctrl-C ends it.`,
    ]);
  }
  // With a parent, that one decides: a terminal's Ctrl-C reaches every process, and an order is to be kept.
  await Promise.race([
    untilInterrupted(ending.signal),
    parent.isThere ? parent.wantsEnd : untilInterrupted(context.interrupts),
  ]);
  stopReporting();
  await agent.close();
  if (fatal !== undefined) throw fatal;
  logger.info(`agent ${id} has ended in good order`);
  return exitCodes.ok;
}

function addressOf(agents: readonly { readonly id: string; readonly address: string }[], id: string): string {
  return agents.find((agent) => agent.id === id)?.address ?? "127.0.0.1:0";
}

/** JSON lines on stderr, written at once: the last words of a process that dies are the ones that matter. */
function loggerFor(level: string, agent: string): Logger {
  const log = pino(
    { level, base: { pid: process.pid, agent }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
  return {
    info: (message) => log.info(message),
    warn: (message) => log.warn(message),
    error: (message) => log.error(message),
  };
}

/** Tells the parent what this agent sees of its group, whenever that changes. Returns how to stop. */
function report(agent: AgentRuntime, parent: Parent): () => void {
  if (!parent.isThere) return () => {};
  void parent.tell({ kind: "listening", id: agent.id, address: agent.address });
  const gateway: LocalGateway = agent.gateway(groupDefault);
  let last = "";
  let toldAtMs = 0;
  const look = (): void => {
    const status = gateway.status();
    if (status === undefined) return;
    // Lag changes all the time, and is told with the rest.
    const text = JSON.stringify({ ...status, lagMs: 0 });
    const nowMs = performance.now();
    if (text === last && nowMs - toldAtMs < silenceMsMax) return;
    last = text;
    toldAtMs = nowMs;
    void parent.tell({ kind: "status", status });
  };
  const timer = setInterval(look, reportMs);
  const leave = gateway.listen({
    answered: () => {},
    refused: () => {},
    progressed: () => {},
    interrupted: () => {},
    statusChanged: look,
    closed: () => {},
  });
  look();
  return () => {
    clearInterval(timer);
    leave();
    gateway.close();
  };
}

/** The process that started this one, where there is one that listens. */
class Parent {
  readonly isThere: boolean = process.connected === true;
  /** Resolves when it says so, or is gone. */
  readonly wantsEnd: Promise<void>;

  constructor() {
    this.wantsEnd = new Promise((resolve) => {
      if (!this.isThere) return;
      process.once("disconnect", resolve);
      process.on("message", (message: unknown) => {
        if (isStopRequest(message)) resolve();
      });
    });
  }

  async tell(message: AgentReport): Promise<void> {
    if (!process.connected) return;
    await new Promise<void>((resolve) => {
      // An error means that the parent is going: `disconnect` says so as well.
      process.send?.(message, () => resolve());
    });
  }
}
