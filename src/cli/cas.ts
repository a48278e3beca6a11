import type { Command } from "commander";

import { openLog } from "./connection.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type ConnectionOptions, newCommand, wholeNumber, withConnection } from "./options.ts";
import { shownText, valueFromText } from "./values.ts";

interface CasOptions extends ConnectionOptions {
  readonly requestId?: string;
}

export function casCommand(context: CommandContext): Command {
  const command = newCommand("cas", "set a key only if nobody has changed it: compare and set", [
    "quorate get model --json          # says which version it has",
    "quorate cas model 17 v43          # only if it is still version 17",
    "quorate cas model 0 v1            # only if there is none yet",
  ])
    .argument("<key>", "the key")
    .argument(
      "<version>",
      "the version it must have; 0: it must not exist",
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    )
    .argument("<value>", "JSON; what is not JSON is a text")
    .option("--request-id <id>", "a retry with the same id is applied once and gets the first answer");
  withConnection(command);
  return context.act(
    command,
    async (key: string, expected: number, text: string, options: CasOptions): Promise<ExitCode> => {
      await using connection = await openLog(options, context);
      const answer = await connection.log.state.map.cas(key, expected, valueFromText(text), {
        ...connection.call,
        requestId: options.requestId,
      });
      if (answer.kind === "swapped") {
        context.result(options, { key, ...answer }, [`${shownText(key)} is set, version ${answer.version}`]);
        return exitCodes.ok;
      }
      const found =
        answer.version === 0
          ? `${shownText(key)} does not exist`
          : `${shownText(key)} has version ${answer.version}: ${shownText(answer.value)}`;
      context.result(options, { key, ...answer }, [`Conflict: ${found}; nothing was changed.`]);
      return exitCodes.failed;
    },
  );
}
