import type { Command } from "commander";

import { openLog } from "./connection.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type ConnectionOptions, newCommand, withConnection } from "./options.ts";
import { shownText, valueFromText } from "./values.ts";

interface PutOptions extends ConnectionOptions {
  readonly requestId?: string;
}

export function putCommand(context: CommandContext): Command {
  const command = newCommand("put", "set a key, once it is on a majority of disks", [
    "quorate put model v42",
    "quorate put limits '{\"tokens\": 4096}'",
  ])
    .argument("<key>", "the key")
    .argument("<value>", "JSON; what is not JSON is a text")
    .option("--request-id <id>", "a retry with the same id is applied once and gets the first answer");
  withConnection(command);
  return context.act(command, async (key: string, text: string, options: PutOptions): Promise<ExitCode> => {
    await using connection = await openLog(options, context);
    const version = await connection.log.state.map.put(key, valueFromText(text), {
      ...connection.call,
      requestId: options.requestId,
    });
    context.result(options, { key, version }, [`${shownText(key)} is set, version ${version}`]);
    return exitCodes.ok;
  });
}
