import type { Command } from "commander";

import { backUp } from "../runtime/backup/back-up.ts";
import type { BackupReport } from "../runtime/backup/backup-file.ts";
import { mapMachine } from "../state/index.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type ConnectionOptions, groupDefault, newCommand, withConnection } from "./options.ts";
import { agentPlaces, likelyPlaces } from "./places.ts";
import { byteSize, count } from "./terminal/numbers.ts";
import { TransferProgress } from "./transfer-progress.ts";

interface BackupOptions extends ConnectionOptions {
  readonly group: string;
  readonly local?: boolean;
  readonly force?: boolean;
}

export function backupCommand(context: CommandContext): Command {
  const command = newCommand(
    "backup",
    "write what a group has decided into a file, as of one entry, and check it; the group goes on meanwhile",
    ["quorate backup monday.snapshot", "quorate restore monday.snapshot --data restored"],
  )
    .argument("<file>", "the file to write")
    .option("--group <name>", "of which group", groupDefault)
    .option("--local", "what one agent has, although nobody leads: it may lack what was acknowledged last")
    .option("--force", "replace a file that is there");
  withConnection(command);
  return context.act(command, async (file: string, options: BackupOptions): Promise<ExitCode> => {
    const agents = likelyPlaces(agentPlaces(options)).map((place) => place.target);
    const progress = new TransferProgress("backing up", options, context);
    try {
      const report = await backUp({
        path: file,
        existing: options.force === true ? "replace" : "keep",
        agents,
        group: options.group,
        at: options.local === true ? "local" : "linearizable",
        timeoutMs: options.timeout,
        signal: context.interrupts,
        machines: { map: mapMachine() },
        onProgress: (bytes, total) => progress.show(bytes, total),
      });
      progress.end();
      context.result(options, { file, ...factsOf(report) }, [`${file}: ${described(report)}`]);
      return exitCodes.ok;
    } finally {
      progress.end();
    }
  });
}

/** What programs are told of a backup. */
export function factsOf({ snapshot, byteLength, machines, proven }: BackupReport): object {
  return {
    group: snapshot.group,
    index: snapshot.index,
    digest: Buffer.from(snapshot.digest).toString("hex"),
    bytes: byteLength,
    machines,
    proven,
  };
}

/** And people. */
export function described({ snapshot, byteLength, machines, proven }: BackupReport): string {
  const what = `the group ${snapshot.group} up to entry ${count(snapshot.index)}, ${byteSize(byteLength)}`;
  if (proven === "state") return `${what}; brought up, and its state has the digest that it should`;
  const own = machines.filter((name) => name !== "" && name !== "map").join(", ");
  return `${what}; its bytes are right (what ${own} makes of them, only its own program can tell)`;
}
