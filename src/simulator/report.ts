/** A run in words: what it was like, what happened in it, and what went wrong. */
import type { Recurring, SimulationChoices, SimulationOptions } from "./options.ts";
import type { Failure, RunCounts, RunResult } from "./simulation.ts";
import { invariants } from "./violation.ts";

/** What one run was like, a line for each part of the world. */
export function optionLines(options: SimulationOptions): readonly string[] {
  const { network, disk, clients, raft, partitions } = options;
  const rate = (value: number): string => `${Number((value * 100).toPrecision(3))} %`;
  const ms = (micros: number): string => `${micros / 1000} ms`;
  const joiners = options.joiners === 0 ? "" : `, of whom ${options.joiners} know nobody at first`;
  const phase = options.faultSeconds === 0 ? "what the story says" : `faults for ${options.faultSeconds} s`;
  return [
    `agents    ${options.agents}${joiners}; ${phase}, then ${options.healing === "everybody" ? "everybody recovers" : "a quorum recovers"}`,
    `network   ${ms(network.delayMinMicros)} + ${ms(network.delayMeanMicros)} on average, ${rate(network.lossRate)} lost, ${rate(network.repeatRate)} repeated, ` +
      `${rate(network.spikeRate)} late by ${ms(network.spikeMicros)}, ${network.ordered ? "in order" : "in any order"}`,
    `faults    crashes ${often(options.crashes)}; pauses ${often(options.pauses)}; partitions ${often(partitions)}, ${rate(partitions.oneWayShare)} one-way; ` +
      `machines suspended ${often(options.suspensions)}; wall clocks set ${often(options.wallJumps)}; campaigns by hand ${often(options.campaigns)}; ` +
      `hand-overs ${often(options.transfers)}; changes of members ${often(options.memberChanges)}`,
    `disks     sync ${ms(disk.syncMeanMicros)}, sectors of ${disk.crashSectorBytes} B; hangs ${often(disk.hangs)}; failures ${often(disk.failures)}`,
    `clocks    apart by up to ${options.clockDriftMillionths} millionths; a turn ${ms(options.turnDelayMicros)} after its input`,
    `clients   ${clients.count}, a call every ${clients.intervalMillis} ms, up to ${clients.inFlightMax} in flight, ${clients.keys} keys, ${rate(clients.readShare)} reads${byLease(options.leases)}; idle ${often(options.idleTimes)}`,
    `raft      ${options.priorities.length === 0 ? "" : `priorities ${options.priorities.join(" ")}, `}election ${raft.electionTimeoutMs.join("–")} ms, heartbeat ${raft.heartbeatMs} ms, window ${raft.limits.inFlightAppendsMax} messages, ` +
      (raft.hibernation === undefined
        ? "never asleep"
        : `asleep after ${raft.hibernation.quietBeats} quiet heartbeats`),
  ];
}

/** What happened, in a few lines. */
export function countLines(counts: RunCounts): readonly string[] {
  const n = (value: number): string => value.toLocaleString("en-US");
  return [
    `${counts.simulatedSeconds.toFixed(1)} simulated seconds, ${n(counts.steps)} steps, ${n(counts.elections)} elections, ${n(counts.sleeps)} times asleep`,
    `${n(counts.commands)} commands and ${n(counts.reads)} reads answered, ${n(counts.committed)} entries decided`,
    `${n(counts.sent)} messages: ${n(counts.delivered)} delivered, ${n(counts.lost)} lost, ${n(counts.repeated)} repeated`,
    `${n(counts.crashes)} crashes, ${n(counts.pauses)} pauses, ${n(counts.partitions)} partitions, ${n(counts.diskHangs)} disk hangs, ${n(counts.diskFailures)} disk failures, ${n(counts.memberChanges)} changes of members`,
  ];
}

/** A failure with everything that is needed to see it again. `commit`: of the code, if known. */
export function failureLines(
  result: RunResult,
  failure: Failure,
  replay: { readonly commit: string | undefined; readonly choices: SimulationChoices },
): readonly string[] {
  return [
    `seed       ${result.seed}`,
    `code       ${replay.commit ?? "unknown"}`,
    `violated   ${failure.invariant}: ${invariants[failure.invariant]}`,
    `found      ${failure.detail}`,
    `at         ${result.counts.simulatedSeconds.toFixed(6)} s, step ${result.counts.steps}, hash ${result.hash}`,
    ...failure.agents.map((line) => `           ${line}`),
    `replay     ${replayCommand(result.seed, replay.choices)}`,
  ];
}

/** The one command that shows the same run again. */
export function replayCommand(seed: number, choices: SimulationChoices): string {
  const scenario = choices.scenario === undefined ? "" : ` --scenario ${choices.scenario.name}`;
  const agents = choices.agents === undefined ? "" : ` --agents ${choices.agents}`;
  const seconds = choices.seconds === undefined ? "" : ` --seconds ${choices.seconds}`;
  const { profile = "swarm" } = choices;
  const how = profile === "swarm" ? "" : ` --${profile}`;
  return `npm run sim -- --seed ${seed}${scenario}${agents}${seconds}${how}`;
}

function byLease(leases: readonly boolean[]): string {
  const count = leases.filter(Boolean).length;
  return count === 0 ? "" : `, by lease at ${count} agents`;
}

function often({ everySeconds, lastsSeconds }: Recurring): string {
  if (everySeconds === Number.POSITIVE_INFINITY) return "never";
  return lastsSeconds === 0 ? `every ${everySeconds} s` : `every ${everySeconds} s for ${lastsSeconds} s`;
}
