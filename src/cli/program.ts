/** All commands in one program, and one run of it: parse, act, show what went wrong, tell the exit code. */
import { Command, CommanderError } from "commander";

import { programVersion } from "../runtime/program-version.ts";
import { agentCommand } from "./agent.ts";
import { backupCommand } from "./backup.ts";
import { casCommand } from "./cas.ts";
import { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type Failure, failureFrom, showFailure, showStack } from "./failure.ts";
import { doctorCommand } from "./doctor/doctor.ts";
import { getCommand } from "./get.ts";
import { initCommand } from "./init.ts";
import { journalCommand } from "./journal.ts";
import { membersCommand } from "./members.ts";
import { proposeCommand } from "./propose.ts";
import { putCommand } from "./put.ts";
import { recoverCommand } from "./recover.ts";
import { restoreCommand } from "./restore.ts";
import { simCommand } from "./sim.ts";
import { statusCommand } from "./status.ts";
import type { World } from "./terminal/surface.ts";
import { tourCommand } from "./tour.ts";
import { transferCommand } from "./transfer.ts";
import { upCommand } from "./up.ts";
import { watchCommand } from "./watch.ts";

const footer = `
Every command takes --json and --help.

Exit codes:
  0  done
  1  certainly not done, or the answer is no (no such key, a conflict, a damaged journal)
  2  the command line is wrong
  3  unknown: the answer did not come in time; it may or may not have taken effect
  130  ended by Ctrl-C before it was through

QUORATE_DEBUG=1 shows where an error comes from. NO_COLOR=1 switches colours off.
Guide: docs/cli.md`;

export function createProgram(context: CommandContext): Command {
  const program = new Command("quorate")
    .description("Agreement for agents: run a few agents, and decide things with them.")
    .version(programVersion, "-v, --version")
    .option("--json", "print JSON instead of text")
    .addHelpText("after", footer)
    .helpCommand("help [command]", "the same as --help");
  configure(program, context);
  const groups: readonly (readonly [string, readonly Command[]])[] = [
    [
      "Run agents:",
      [
        upCommand(context),
        tourCommand(context),
        initCommand(context),
        agentCommand(context),
        restoreCommand(context),
      ],
    ],
    [
      "Use them:",
      [
        statusCommand(context),
        membersCommand(context),
        transferCommand(context),
        putCommand(context),
        getCommand(context),
        casCommand(context),
        watchCommand(context),
        proposeCommand(context),
        backupCommand(context),
      ],
    ],
    [
      "Look behind them:",
      [doctorCommand(context), journalCommand(context), recoverCommand(context), simCommand(context)],
    ],
  ];
  for (const [title, commands] of groups) {
    for (const command of commands) program.addCommand(inheriting(command, program).helpGroup(title));
  }
  return program;
}

/** Runs one command line (without the name of the program). Never throws. */
export async function run(argv: readonly string[], world: World, interrupts: AbortSignal): Promise<ExitCode> {
  const context = new CommandContext(world, interrupts);
  try {
    await createProgram(context).parseAsync(argv, { from: "user" });
    return context.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && isAnswered(error)) {
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    }
    const failure = endedBy(interrupts, failureFrom(error));
    showFailure(failure, context.surfaces.err, argv.includes("--json"));
    showStack(error, context.surfaces.err, world.environment);
    return failure.exitCode;
  }
}

/** Ctrl-C is why nothing was done, and the exit code says so; where something may have been, that matters more. */
function endedBy(interrupts: AbortSignal, failure: Failure): Failure {
  return interrupts.aborted && failure.outcome === "notDone"
    ? { ...failure, exitCode: exitCodes.interrupted }
    : failure;
}

/** Help and version have been printed by then. */
function isAnswered(error: CommanderError): boolean {
  return (
    error.code === "commander.help" ||
    error.code === "commander.helpDisplayed" ||
    error.code === "commander.version"
  );
}

function configure(program: Command, context: CommandContext): void {
  const { out, err } = context.surfaces;
  program
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ helpWidth: Math.min(100, out.columns) })
    .configureOutput({
      writeOut: (text) => out.raw(text),
      writeErr: (text) => err.raw(text),
      // Shown by `run`, in the same form as every other error.
      outputError: () => {},
    });
}

/** A command made elsewhere takes over how this program prints and ends; so do its own commands. */
function inheriting(command: Command, from: Command): Command {
  command.copyInheritedSettings(from);
  for (const inner of command.commands) inheriting(inner, command);
  return command;
}
