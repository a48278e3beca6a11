import { existsSync } from "node:fs";
import type { Command } from "commander";

import { QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { checkBackup, openBackup, type BackupReport } from "../runtime/backup/backup-file.ts";
import { restoreInto } from "../runtime/backup/restore.ts";
import { mapMachine } from "../state/index.ts";
import { described, factsOf } from "./backup.ts";
import { createClusterFolder } from "./cluster/cluster-folder.ts";
import { agentsDefault } from "./cluster/running-cluster.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type OutputOptions, clusterFolderDefault, newCommand, wholeNumber } from "./options.ts";
import { count } from "./terminal/numbers.ts";

interface RestoreOptions extends OutputOptions {
  readonly data: string;
  readonly agents: number;
  readonly port?: number;
}

export function restoreCommand(context: CommandContext): Command {
  const command = newCommand(
    "restore",
    "make the agents of a new cluster, whose group begins with what a backup holds",
    ["quorate restore monday.snapshot --data restored", "quorate up --data restored"],
  )
    .argument("<file>", "a backup that `quorate backup` wrote")
    .option("--data <folder>", "the folder to make, as `quorate up` does", clusterFolderDefault)
    .option(
      "--agents <number>",
      `how many agents; 1 to ${limits.votersMax}`,
      wholeNumber(1, limits.votersMax),
      agentsDefault,
    )
    .option(
      "--port <number>",
      "the first agent listens there, the others after it (default: free ports)",
      wholeNumber(1, 65_528),
    );
  return context.act(command, async (file: string, options: RestoreOptions): Promise<ExitCode> => {
    if (existsSync(options.data)) throw folderExists(options.data);
    const report = provenBackup(file);
    const backup = openBackup(file);
    try {
      const agents = await createClusterFolder(
        options.data,
        options.agents,
        options.port,
        async (dataFolder, voters) => restoreInto(dataFolder, backup, voters),
      );
      const names = agents.map(({ id }) => id);
      context.result(options, { data: options.data, agents: names, ...factsOf(report) }, [
        `${file}: ${described(report)}.`,
        `${options.data} holds ${names.join(", ")}, a new cluster that goes on from entry ${count(report.snapshot.index)}. Start it:`,
        `  quorate up --data ${options.data}`,
      ]);
      return exitCodes.ok;
    } finally {
      backup.close();
    }
  });
}

/** All of it is read before anything is made. */
export function provenBackup(file: string): BackupReport {
  return checkBackup(file, { map: mapMachine() });
}

function folderExists(folder: string): QuorateError {
  return new QuorateError("DATA_EXISTS", `There is something at ${folder} already.`, {
    outcome: "notDone",
    hint: "Name another folder with --data: a backup only goes into new ones. Nothing was changed.",
  });
}
