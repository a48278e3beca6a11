import type { Command } from "commander";

import { clusterIdText } from "../runtime/handshake.ts";
import { recoverByForce, surviving, type RecoveredByForce } from "../runtime/recover.ts";
import { isAgentFolder, writeAlone } from "./cluster/cluster-folder.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { usageFailure } from "./failure.ts";
import { type OutputOptions, newCommand } from "./options.ts";
import { counted } from "./terminal/numbers.ts";

interface RecoverOptions extends OutputOptions {
  readonly data: string;
  readonly force?: boolean;
}

export function recoverCommand(context: CommandContext): Command {
  const command = newCommand(
    "recover",
    "go on with one agent alone, after too many members were lost for ever",
    [
      "quorate recover --data agent_2            # what its disk has; on each survivor",
      "quorate recover --data agent_2 --force    # on the one that has most",
    ],
  )
    .requiredOption("--data <folder>", "the data folder of a survivor, stopped")
    .option(
      "--force",
      "do it: what only the lost members had is gone for ever, and the others must never come back",
    )
    .addHelpText(
      "after",
      `
Without --force nothing is changed. With it the agent is the only voter of its groups, in a new cluster: the old
one's agents can't reach it, nor it them. Everything in its log is kept, decided or not. Start it, then have others
join it anew, also the other survivors, with empty folders: quorate init --join, quorate members add.`,
    );
  return context.act(command, async (options: RecoverOptions): Promise<ExitCode> => {
    if (!isAgentFolder(options.data)) {
      throw usageFailure(
        `${options.data} is not the data folder of one agent.`,
        "Name one agent's, like .quorate/agent_2.",
      );
    }
    if (options.force !== true) {
      const { agent, groups } = await surviving(options.data);
      context.result(options, { agent, groups: groups.map(jsonOf), changed: false }, [
        ...groups.map((group) => `${agent} has ${lineOf(group)}`),
        "Nothing was changed. Look at the other survivors too: the one with the highest term of its last entry, then",
        "the longest log, has most. There, add --force.",
      ]);
      return exitCodes.ok;
    }
    const done = await recoverByForce(options.data, Date.now());
    writeAlone(options.data);
    const { agent, groups } = done;
    const cluster = clusterIdText(done.cluster);
    context.result(options, { agent, cluster, groups: groups.map(jsonOf), changed: true }, [
      ...groups.map((group) => `${agent} goes on alone with ${lineOf(group)}`),
      `It is in a cluster of its own, ${cluster}: no agent of the old one may be started again.`,
      "Start it, then have others join it with empty folders:",
      `  quorate agent --data ${options.data}`,
    ]);
    return exitCodes.ok;
  });
}

type Group = RecoveredByForce["groups"][number];

function lineOf({ group, before }: Group): string {
  const { last, lastTerm, members } = before;
  const were = members.voters.length === 0 ? "nobody" : members.voters.join(", ");
  return `${group}: ${counted(last, "entry", "entries")}, the last of term ${lastTerm}; its voters were ${were}`;
}

function jsonOf({ group, before }: Group): object {
  const { term, last, lastTerm, members } = before;
  return { group, term, last, lastTerm, voters: members.voters };
}
