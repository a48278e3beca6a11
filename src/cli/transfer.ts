import type { Command } from "commander";

import { openLog } from "./connection.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type ConnectionOptions, groupDefault, newCommand, withConnection } from "./options.ts";

interface TransferOptions extends ConnectionOptions {
  readonly to?: string;
  readonly group: string;
}

export function transferCommand(context: CommandContext): Command {
  const command = newCommand("transfer", "have another agent lead, without an election in between", [
    "quorate transfer --to agent_2",
    "quorate transfer    # to the voter that is furthest",
    "quorate transfer --group orders --to agent_2",
  ])
    .option("--to <agent>", "who is to lead, a voter that runs (default: the one that is furthest)")
    .option("--group <name>", "of which group", groupDefault);
  withConnection(command);
  return context.act(command, async ({ to, ...options }: TransferOptions): Promise<ExitCode> => {
    await using connection = await openLog(options, context);
    const leader = await connection.log.transferLeadership(to, connection.call);
    context.result(options, { leader }, [`${leader} leads`]);
    return exitCodes.ok;
  });
}
