import type { Command } from "commander";

import { openLog } from "./connection.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type ConnectionOptions, newCommand, wholeNumber, withConnection } from "./options.ts";
import { shownText } from "./values.ts";

interface WatchOptions extends ConnectionOptions {
  readonly from?: number;
}

export function watchCommand(context: CommandContext): Command {
  const command = newCommand("watch", "print every change of the keys with a prefix, until Ctrl-C", [
    "quorate watch model",
    'quorate watch ""                # all keys',
    "quorate watch model --from 1    # and what went before",
  ])
    .argument("<prefix>", "what the keys begin with; an empty text: all of them")
    .option(
      "--from <index>",
      "begin at this index of the log, not now",
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    );
  withConnection(command);
  return context.act(command, async (prefix: string, options: WatchOptions): Promise<ExitCode> => {
    await using connection = await openLog(options, context);
    const changes = connection.log.state.map.watch(prefix, {
      from: options.from,
      signal: context.interrupts,
    });
    try {
      for await (const change of changes) {
        const value = change.value === undefined ? "(deleted)" : shownText(change.value);
        context.result(options, change, [`${change.index}  ${shownText(change.key)}  ${value}`]);
      }
    } catch (error) {
      // Ctrl-C is how a watch ends.
      if (!context.interrupts.aborted) throw error;
    }
    return exitCodes.ok;
  });
}
