import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";

import { RunningCluster } from "./cluster/running-cluster.ts";
import type { CommandContext } from "./context.ts";
import { readDecisions } from "./decisions.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { refusal } from "./failure.ts";
import { untilInterrupted } from "./interrupts.ts";
import { type OutputOptions, clusterFolderDefault, newCommand, wholeNumber } from "./options.ts";
import { packageRoot } from "./package-root.ts";
import { TourReport } from "./tour/tour-report.ts";
import { Tour, agentsOnTour } from "./tour/tour.ts";
import { nextCommands } from "./up.ts";

interface TourOptions extends OutputOptions {
  readonly data: string;
  readonly file?: string;
  readonly port?: number;
}

export function tourCommand(context: CommandContext): Command {
  const command = newCommand(
    "tour",
    "what `npm start` runs: four agents, a thousand decisions, the leader killed half-way",
    ["quorate tour", "quorate tour --data /tmp/tour --json"],
  )
    .option("--data <folder>", "where the agents' data is; made if it is not there", clusterFolderDefault)
    .option("--file <decisions.jsonl>", "what to decide (default: examples/decisions.jsonl)")
    .option(
      "--port <number>",
      "the first agent listens there, the others after it (default: free ports)",
      wholeNumber(1, 65_528),
    );
  return context.act(command, async (options: TourOptions): Promise<ExitCode> => {
    const path = options.file ?? decisionsPath();
    const decisions = await readDecisions(path);
    const report = new TourReport(context.surfaces.out, options.json === true);
    await using running = await RunningCluster.start({
      folder: options.data,
      agents: agentsOnTour,
      firstPort: options.port,
      fresh: false,
      needed: "all",
      interrupts: context.interrupts,
    });
    const tour = new Tour({ running, decisions, path, report, interrupts: context.interrupts });
    try {
      await tour.run();
    } catch (error) {
      report.end();
      if (context.interrupts.aborted) return exitCodes.interrupted;
      throw error;
    }
    if (!context.surfaces.out.isTerminal || options.json === true) return exitCodes.ok;
    const last = ["Agents are running.", `Try: ${nextCommands}`];
    const oneLine = last.join(" ");
    for (const words of oneLine.length <= context.surfaces.out.columns ? [oneLine] : last)
      report.words(words);
    const stop = tellOfDeaths(running, report);
    await untilInterrupted(context.interrupts);
    stop();
    report.words(`Stopping. Their data stays in ${options.data}; quorate up goes on from there.`);
    return exitCodes.ok;
  });
}

/** In the folder that one is in, or beside this program. */
function decisionsPath(): string {
  const path = ["examples/decisions.jsonl", join(packageRoot, "examples/decisions.jsonl")].find((candidate) =>
    existsSync(candidate),
  );
  if (path !== undefined) return path;
  throw refusal(
    "NO_SUCH_FILE",
    "There is no examples/decisions.jsonl here.",
    "Run it in a copy of the repository, or name a file of decisions with --file.",
  );
}

/** Nothing is restarted by itself; but that an agent is gone should be seen. */
function tellOfDeaths(running: RunningCluster, report: TourReport): () => void {
  const told = new Set<string>();
  return running.cluster.listen(() => {
    for (const { id, state, note } of running.cluster.rows()) {
      if (state === "down" && !told.has(id)) {
        told.add(id);
        report.step({ kind: "fault", left: `${id} is down: ${note}`, data: { step: "down", agent: id } });
      } else if (state !== "down") told.delete(id);
    }
  });
}
