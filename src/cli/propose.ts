import type { Command } from "commander";

import { openLog } from "./connection.ts";
import type { CommandContext } from "./context.ts";
import { DecisionSender } from "./decision-sender.ts";
import { type FileDecision, readDecisions, readDecisionsFrom } from "./decisions.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { failureFrom, usageFailure } from "./failure.ts";
import { type ConnectionOptions, newCommand, wholeNumber, withConnection } from "./options.ts";
import { LiveRegion } from "./terminal/live-region.ts";
import { count, counted, duration } from "./terminal/numbers.ts";
import { progressBar } from "./terminal/progress-bar.ts";
import { textFromValue, valueFromText } from "./values.ts";

interface ProposeOptions extends ConnectionOptions {
  readonly file?: string;
  readonly to?: string;
  readonly concurrency: number;
  readonly requestId?: string;
}

const redrawMs = 50;
const undecidedShownMax = 5;

export function proposeCommand(context: CommandContext): Command {
  const command = newCommand("propose", "have values decided: one, or a file of them", [
    'quorate propose \'{"pay": "bob", "cents": 5}\'',
    "quorate propose --file examples/decisions.jsonl --to agent_1",
    "generate | quorate propose --file -",
  ])
    .argument("[value]", "JSON; what is not JSON is a text")
    .option(
      "--file <decisions.jsonl>",
      "one decision a line; an `id` on a line makes it safe to propose again; - reads stdin",
    )
    .option("--to <agent>", "hand them to this agent of --data, and stay with it")
    .option("--concurrency <number>", "how many are on their way at a time", wholeNumber(1, 4096), 64)
    .option("--request-id <id>", "for one value: a retry with the same id is decided once");
  withConnection(command);
  return context.act(
    command,
    async (text: string | undefined, options: ProposeOptions): Promise<ExitCode> => {
      if (text !== undefined && options.file !== undefined) {
        throw usageFailure("A value and a file are two things to propose.", "Give one of them.");
      }
      if (text !== undefined) return proposeOne(text, options, context);
      if (options.file !== undefined) return proposeFile(options.file, options, context);
      throw usageFailure("There is nothing to propose.", "Give a value, or a file with --file.");
    },
  );
}

async function proposeOne(text: string, options: ProposeOptions, context: CommandContext): Promise<ExitCode> {
  await using connection = await openLog(options, context);
  const value = await connection.log.propose(valueFromText(text), {
    ...connection.call,
    requestId: options.requestId,
  });
  context.result(options, { decided: value }, [`decided: ${textFromValue(value)}`]);
  return exitCodes.ok;
}

async function proposeFile(
  file: string,
  options: ProposeOptions,
  context: CommandContext,
): Promise<ExitCode> {
  if (options.requestId !== undefined) {
    throw usageFailure("--request-id is for one value.", "In a file, give each line an id of its own.");
  }
  const decisions =
    file === "-" ? await readDecisionsFrom(process.stdin, "stdin") : await readDecisions(file);
  await using connection = await openLog(options, context);
  const progress = new Progress(context, options);
  const sender: DecisionSender = new DecisionSender({
    decisions,
    concurrency: options.concurrency,
    propose: async (value, requestId) => connection.log.propose(value, { ...connection.call, requestId }),
    onDecided: () => progress.show(sender),
  });
  const startedAtMs = performance.now();
  await sender.run(context.interrupts);
  progress.end();
  return summarize(sender, decisions, performance.now() - startedAtMs, options, context);
}

/** A bar on a terminal, on stderr so that the summary can be piped; nothing elsewhere. */
class Progress {
  readonly #region: LiveRegion;
  readonly #isWanted: boolean;
  #drawnAtMs = 0;

  constructor(context: CommandContext, options: ProposeOptions) {
    this.#region = new LiveRegion(context.surfaces.err);
    this.#isWanted = options.json !== true;
  }

  show(sender: DecisionSender): void {
    const nowMs = performance.now();
    if (!this.#isWanted || (nowMs - this.#drawnAtMs < redrawMs && sender.decided < sender.total)) return;
    this.#drawnAtMs = nowMs;
    const { p50Ms, p99Ms } = sender.latencies.summary();
    this.#region.draw([
      `${progressBar(sender.decided, sender.total)}  p50 ${duration(p50Ms)}  p99 ${duration(p99Ms)}`,
    ]);
  }

  end(): void {
    this.#region.finish();
  }
}

function summarize(
  sender: DecisionSender,
  decisions: readonly FileDecision[],
  ms: number,
  options: ProposeOptions,
  context: CommandContext,
): ExitCode {
  const { unknown, failed, notSent, decided, total } = sender;
  const latencies = sender.latencies.summary();
  const perSecond = decided === 0 ? 0 : Math.round(decided / (ms / 1000));
  context.result(
    options,
    {
      total,
      decided,
      unknown: unknown.length,
      failed: failed.length,
      notSent,
      ms: Math.round(ms),
      perSecond,
      latencies,
      undecided: [...unknown, ...failed].map(({ decision, error }) => {
        const { code, outcome, message } = failureFrom(error);
        return { line: decision.line, id: decision.id ?? null, code, outcome, message };
      }),
    },
    [
      `decided ${count(decided)} of ${count(total)} in ${duration(ms)} (${count(perSecond)}/s)`,
      ...(decided > 0
        ? [
            `latency p50 ${duration(latencies.p50Ms)}  p99 ${duration(latencies.p99Ms)}  max ${duration(latencies.maxMs)}`,
          ]
        : []),
    ],
  );
  if (decided === total) return exitCodes.ok;
  if (options.json !== true) tellUndecided(sender, decisions, context);
  if (unknown.length > 0) return exitCodes.unknown;
  return context.interrupts.aborted && failed.length === 0 ? exitCodes.interrupted : exitCodes.failed;
}

function tellUndecided(
  sender: DecisionSender,
  decisions: readonly FileDecision[],
  context: CommandContext,
): void {
  const { err } = context.surfaces;
  const { unknown, failed, notSent } = sender;
  for (const { decision, error } of [...unknown, ...failed].slice(0, undecidedShownMax)) {
    const { message, code, outcome } = failureFrom(error);
    const sign = outcome === "unknown" ? err.paint("yellow", "?") : err.paint("red", "✖");
    const id = decision.id === undefined ? "" : ` (${decision.id})`;
    err.line(`${sign} line ${decision.line}${id}: ${message}  ${err.paint("dim", code)}`);
  }
  err.line(
    `unknown ${count(unknown.length)}, not decided ${count(failed.length)}, not sent ${count(notSent)}`,
  );
  const withoutId = decisions.filter((decision) => decision.id === undefined).length;
  err.line(
    withoutId === 0
      ? "Run the same command again: every line has an id, so none is decided twice."
      : `${counted(withoutId, "line")} without an id would be decided again by another run.`,
  );
}
