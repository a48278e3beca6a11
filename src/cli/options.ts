/** Options that several commands share, and how their texts are read. */
import { Command, InvalidArgumentError, Option } from "commander";

/** The folder that `up` fills and the other commands look into. */
export const clusterFolderDefault = ".quorate";
/** The group that `up` and `agent` run. */
export const groupDefault = "main";

export interface OutputOptions {
  readonly json?: boolean;
}

export interface ConnectionOptions extends OutputOptions {
  readonly data?: string;
  readonly agent: readonly string[];
  readonly timeout: number;
}

/** A command as all of them are: with `--json`, and examples below its help. */
export function newCommand(name: string, summary: string, examples: readonly string[] = []): Command {
  const command = new Command(name)
    .description(summary)
    .option("--json", "print JSON instead of text")
    .allowExcessArguments(false);
  if (examples.length > 0) {
    command.addHelpText("after", `\nExamples:\n${examples.map((example) => `  $ ${example}`).join("\n")}`);
  }
  return command;
}

/** Adds what says which agents to talk to, and for how long. */
export function withConnection(command: Command, timeoutDefault = "5s"): Command {
  return command
    .option(
      "--data <folder>",
      "the folder that `quorate up` runs in, or one agent's data folder (default: the nearest .quorate)",
    )
    .addOption(
      new Option(
        "--agent <host:port>",
        "talk to this agent instead; give it again to name others to fall back on",
      )
        .argParser(collected)
        .default([], "those of --data"),
    )
    .addOption(timeoutOption(timeoutDefault));
}

function timeoutOption(timeoutDefault: string): Option {
  return new Option("--timeout <time>", "how long to wait for an answer: 500ms, 5s, 1min")
    .argParser(timeMs)
    .default(timeMs(timeoutDefault), timeoutDefault);
}

function collected(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

/** Milliseconds from `500ms`, `5s`, `1min`, or a number of milliseconds. */
export function timeMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min)?$/.exec(text);
  const units = { ms: 1, s: 1000, min: 60_000 } as const;
  const value = match === null ? 0 : Number(match[1]) * units[(match[2] ?? "ms") as keyof typeof units];
  if (value <= 0 || value > 24 * 60 * 60_000) {
    throw new InvalidArgumentError("Write a time above 0 and up to a day, like 500ms, 5s or 1min.");
  }
  return value;
}

/** Reads whole numbers from `low` to `high`. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high)) {
      throw new InvalidArgumentError(`Give a whole number from ${low} to ${high}.`);
    }
    return value;
  };
}
