import type { Command } from "commander";

import { openLog } from "./connection.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { refusal } from "./failure.ts";
import { type ConnectionOptions, newCommand, withConnection } from "./options.ts";
import { textFromValue } from "./values.ts";

interface GetOptions extends ConnectionOptions {
  readonly local?: boolean;
}

export function getCommand(context: CommandContext): Command {
  const command = newCommand("get", "print the value of a key", [
    "quorate get model",
    "quorate get model --json    # with its version",
  ])
    .argument("<key>", "the key")
    .option("--local", "what the agent asked happens to have; faster, and may be old");
  withConnection(command);
  return context.act(command, async (key: string, options: GetOptions): Promise<ExitCode> => {
    await using connection = await openLog(options, context);
    const found = await connection.log.state.map.get(key, {
      ...connection.call,
      at: options.local === true ? "local" : "linearizable",
    });
    if (found === undefined) {
      throw refusal(
        "NO_SUCH_KEY",
        `There is no value under ${JSON.stringify(key)}.`,
        `Set one: quorate put ${key} VALUE`,
      );
    }
    context.result(options, { key, ...found }, [textFromValue(found.value)]);
    return exitCodes.ok;
  });
}
