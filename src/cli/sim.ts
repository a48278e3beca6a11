/** `quorate sim`: whole clusters from a seed, with faults, until something is wrong or time is up. */
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { setImmediate as loopTurn } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";

import {
  countLines,
  drawOptions,
  failureLines,
  optionLines,
  replayCommand,
  type RunResult,
  type Scenario,
  scenarios,
  Simulation,
  type SimulationChoices,
  type TraceSink,
} from "../simulator/index.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { usageFailure } from "./failure.ts";
import { newCommand, type OutputOptions, wholeNumber } from "./options.ts";
import { packageRoot } from "./package-root.ts";
import { LiveRegion } from "./terminal/live-region.ts";
import { count, counted, duration } from "./terminal/numbers.ts";

const seedsDefault = 100;
/** A run gives the loop back after so many steps: for Ctrl-C, and for the progress line. */
const stepsPerSlice = 20_000;
const progressMs = 500;
/** Without a terminal, a line of progress comes more rarely. */
const progressLogMs = 30_000;

interface SimOptions extends OutputOptions {
  readonly seed?: number;
  readonly seeds?: number;
  readonly hours?: number;
  readonly soak?: boolean;
  readonly agents?: number;
  readonly seconds?: number;
  readonly steps?: number;
  readonly storm?: boolean;
  readonly light?: boolean;
  readonly scenario?: string | true;
  readonly trace?: string;
}

/** What a campaign of many seeds has seen so far. */
interface Tally {
  seeds: number;
  steps: number;
  simulatedSeconds: number;
  commands: number;
  elections: number;
  crashes: number;
  failures: RunResult[];
}

export function simCommand(context: CommandContext): Command {
  const command = newCommand(
    "sim",
    "run whole simulated clusters with crashes, partitions and broken disks, and check every step",
    [
      "quorate sim --seeds 1000",
      "quorate sim --seed 7",
      "quorate sim --seed 7 --trace trace.jsonl",
      "quorate sim --storm --hours 8",
      "quorate sim --scenario hung-disk",
    ],
  )
    .option(
      "--seed <n>",
      "replay this seed, with everything that can be told about it",
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    )
    .option(
      "--seeds <n>",
      `run so many fresh seeds (default: ${seedsDefault})`,
      wholeNumber(1, 1_000_000_000),
    )
    .option("--hours <h>", "run fresh seeds for so long", positive)
    .option("--soak", "run fresh seeds until Ctrl-C")
    .option("--agents <n>", "so many agents, instead of 1 to 5 by the seed", wholeNumber(1, 7))
    .option(
      "--seconds <s>",
      "so many simulated seconds with faults, instead of 5 to 20 by the seed",
      positive,
    )
    .option(
      "--steps <n>",
      "end each run after so many steps, without waiting for it to converge",
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .option("--storm", "every kind of fault, all the time, in 2 to 6 agents that come and go")
    .option("--light", "no faults and little load: for measuring the simulator")
    .option(
      "--scenario [name]",
      "play this story instead of what chance brings; without a name, list the stories",
    )
    .option(
      "--trace <file>",
      "write every transition and message of --seed as a line of JSON (docs/trace.md); - for standard output",
    );
  return context.act(command, async (options: SimOptions): Promise<ExitCode> => {
    const campaigns = [options.seed, options.seeds, options.hours, options.soak].filter(
      (chosen) => chosen !== undefined,
    );
    if (campaigns.length > 1)
      throw usageFailure("--seed, --seeds, --hours and --soak exclude each other.", "Give one of them.");
    if (options.trace !== undefined && options.seed === undefined)
      throw usageFailure("A trace is of one seed.", "Add --seed.");
    if (options.scenario === true) return listScenarios(context, options);
    return options.seed === undefined ? runMany(context, options) : runOne(context, options, options.seed);
  });
}

function positive(text: string): number {
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value > 0 && value <= 1e6)) throw new InvalidArgumentError("Give a number above 0.");
  return value;
}

function listScenarios(context: CommandContext, options: SimOptions): ExitCode {
  const listed = scenarios.map(({ name, title }) => ({ name, title }));
  const widest = Math.max(...scenarios.map(({ name }) => name.length));
  const lines = listed.map(({ name, title }) => `${name.padEnd(widest)}  ${title}`);
  context.result(options, { scenarios: listed }, lines);
  return exitCodes.ok;
}

function scenarioOf({ scenario: name, agents, seconds, storm, light }: SimOptions): Scenario | undefined {
  if (typeof name !== "string") return undefined;
  const chosen = [agents, seconds, storm, light].filter((choice) => choice !== undefined);
  if (chosen.length > 0)
    throw usageFailure(
      "A scenario has a world of its own.",
      "Leave out --agents, --seconds, --storm and --light.",
    );
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found === undefined)
    throw usageFailure(`There is no scenario ${name}.`, "`quorate sim --scenario` lists them.");
  return found;
}

function choicesOf(options: SimOptions): SimulationChoices {
  const scenario = scenarioOf(options);
  if (scenario !== undefined) return { scenario };
  return { agents: options.agents, seconds: options.seconds, profile: profileOf(options) };
}

function profileOf({ storm, light }: SimOptions): SimulationChoices["profile"] {
  if (storm === true && light === true)
    throw usageFailure("--storm and --light exclude each other.", "Give one of them.");
  if (storm === true) return "storm";
  return light === true ? "light" : "swarm";
}

// ── one seed ──

async function runOne(context: CommandContext, options: SimOptions, seed: number): Promise<ExitCode> {
  const choices = choicesOf(options);
  const trace = traceTo(options.trace, context);
  const startedAt = performance.now();
  const drawn = drawOptions(seed, choices);
  const { scenario } = choices;
  const simulation = new Simulation(drawn, { scenario, trace: trace?.sink, stepsMax: options.steps });
  while (simulation.advance(stepsPerSlice) && !context.interrupts.aborted) await loopTurn();
  trace?.close();
  const result = simulation.result();
  const tookMs = performance.now() - startedAt;
  const lines = [
    `seed ${seed}`,
    ...(scenario === undefined ? [] : [`  ${scenario.title}`]),
    ...optionLines(drawn).map((line) => `  ${line}`),
    ...countLines(result.counts).map((line) => `  ${line}`),
    `  hash ${result.hash}, ${duration(tookMs)}, ${Math.round((result.counts.simulatedSeconds * 1000) / tookMs)} simulated seconds a second`,
    ...verdict(result, choices, context),
  ];
  // A trace on standard output is alone there.
  if (options.trace === "-") for (const line of lines) context.surfaces.err.line(line);
  else context.result(options, summaryOf(result, choices), lines);
  if (!simulation.over) return exitCodes.interrupted;
  return result.failure === undefined ? exitCodes.ok : exitCodes.failed;
}

function verdict(result: RunResult, choices: SimulationChoices, context: CommandContext): readonly string[] {
  const { paint } = context.surfaces.out;
  if (result.failure === undefined) return [`${paint("green", "✔")} nothing is wrong`];
  return [
    `${paint("red", "✖")} ${result.failure.invariant} is violated`,
    ...failureLines(result, result.failure, { commit: commitHash(), choices }).map((line) => `  ${line}`),
  ];
}

function traceTo(
  file: string | undefined,
  context: CommandContext,
): { sink: TraceSink; close: () => void } | undefined {
  if (file === undefined) return undefined;
  if (file === "-") return { sink: (line) => context.surfaces.out.line(line), close: () => {} };
  const handle = openSync(file, "w");
  let waiting = "";
  const flush = (): void => {
    writeSync(handle, waiting);
    waiting = "";
  };
  return {
    sink: (line) => {
      waiting += `${line}\n`;
      if (waiting.length > 65_536) flush();
    },
    close: () => {
      flush();
      closeSync(handle);
    },
  };
}

// ── many seeds ──

async function runMany(context: CommandContext, options: SimOptions): Promise<ExitCode> {
  const choices = choicesOf(options);
  const tally: Tally = {
    seeds: 0,
    steps: 0,
    simulatedSeconds: 0,
    commands: 0,
    elections: 0,
    crashes: 0,
    failures: [],
  };
  const startedAt = performance.now();
  const elapsedMs = (): number => performance.now() - startedAt;
  const untilMs = options.hours === undefined ? Number.POSITIVE_INFINITY : options.hours * 3_600_000;
  const seedsMax =
    options.hours !== undefined || options.soak === true
      ? Number.POSITIVE_INFINITY
      : (options.seeds ?? seedsDefault);
  const live = new LiveRegion(context.surfaces.err);
  const progress = progressOf(context, options, live, () => progressLine(tally, seedsMax, elapsedMs()));
  // Fresh seeds: a campaign that ran before has not seen them.
  const first = randomInt(2 ** 47);
  while (tally.seeds < seedsMax && elapsedMs() < untilMs && !context.interrupts.aborted) {
    const seed = first + tally.seeds;
    const simulation = new Simulation(drawOptions(seed, choices), {
      scenario: choices.scenario,
      stepsMax: options.steps,
    });
    let goesOn: boolean;
    do {
      goesOn = simulation.advance(stepsPerSlice);
      progress();
      // Also after a run that one slice was enough for: Ctrl-C comes in only here.
      // oxlint-disable-next-line no-await-in-loop -- that is the point
      await loopTurn();
    } while (goesOn && !context.interrupts.aborted);
    if (!simulation.over) break;
    addTo(tally, simulation.result());
    progress();
    if (tally.failures.length > 0 && options.soak !== true && options.hours === undefined) break;
  }
  live.erase();
  return reportMany(context, options, choices, tally, elapsedMs());
}

function addTo(tally: Tally, result: RunResult): void {
  tally.seeds += 1;
  tally.steps += result.counts.steps;
  tally.simulatedSeconds += result.counts.simulatedSeconds;
  tally.commands += result.counts.commands;
  tally.elections += result.counts.elections;
  tally.crashes += result.counts.crashes;
  if (result.failure !== undefined) tally.failures.push(result);
}

function progressOf(
  context: CommandContext,
  options: SimOptions,
  live: LiveRegion,
  line: () => string,
): () => void {
  let shownAt = performance.now();
  return () => {
    const now = performance.now();
    if (now - shownAt < (live.isLive ? progressMs : progressLogMs)) return;
    shownAt = now;
    if (live.isLive) live.draw([line()]);
    else if (options.json !== true) context.surfaces.err.line(line());
  };
}

function progressLine(tally: Tally, seedsMax: number, elapsedMs: number): string {
  const of = seedsMax === Number.POSITIVE_INFINITY ? "" : ` of ${count(seedsMax)}`;
  const speed = Math.round((tally.simulatedSeconds * 1000) / elapsedMs);
  return `${count(tally.seeds)}${of} seeds, ${count(Math.round(tally.simulatedSeconds))} simulated seconds (${speed} a second), ${counted(tally.failures.length, "failure")}`;
}

function reportMany(
  context: CommandContext,
  options: SimOptions,
  choices: SimulationChoices,
  tally: Tally,
  elapsedMs: number,
): ExitCode {
  const sign =
    tally.failures.length === 0
      ? context.surfaces.out.paint("green", "✔")
      : context.surfaces.out.paint("red", "✖");
  const interrupted = context.interrupts.aborted;
  context.result(
    options,
    {
      ...tally,
      failures: tally.failures.map((result) => summaryOf(result, choices)),
      milliseconds: Math.round(elapsedMs),
      interrupted,
    },
    [
      ...tally.failures.flatMap((result) => verdict(result, choices, context)),
      `${sign} ${counted(tally.seeds, "seed")}${interrupted ? " until Ctrl-C" : ""}: ${counted(tally.failures.length, "failure")}`,
      `  ${count(Math.round(tally.simulatedSeconds))} simulated seconds in ${duration(elapsedMs)}, ${count(tally.steps)} steps, ` +
        `${count(tally.commands)} commands, ${count(tally.elections)} elections, ${count(tally.crashes)} crashes`,
    ],
  );
  if (tally.failures.length > 0) return exitCodes.failed;
  return interrupted && options.soak !== true ? exitCodes.interrupted : exitCodes.ok;
}

/** A result for programs. */
function summaryOf(result: RunResult, choices: SimulationChoices): object {
  const { failure } = result;
  return {
    seed: result.seed,
    ok: failure === undefined,
    hash: result.hash,
    counts: result.counts,
    options: result.options,
    ...(failure !== undefined && {
      invariant: failure.invariant,
      detail: failure.detail,
      agents: failure.agents,
      commit: commitHash() ?? null,
      replay: replayCommand(result.seed, choices),
    }),
  };
}

/** Of the code that runs, where it runs from a checkout. */
function commitHash(): string | undefined {
  try {
    return execFileSync("git", ["rev-parse", "--short=12", "HEAD"], {
      cwd: packageRoot,
      stdio: ["ignore", "pipe", "ignore"],
    })
      .toString()
      .trim();
  } catch {
    return undefined;
  }
}
