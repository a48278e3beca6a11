/**
 * What one run is like. Everything is drawn from the seed, and no two seeds are alike: some have hardly a fault, some
 * have one kind only and plenty of it, some have all (Groce and others, "Swarm Testing", 2012). A bug that needs quiet to
 * grow is found in the quiet ones.
 */
import { limits } from "../core/limits.ts";
import { Prng } from "../core/prng.ts";
import { raftLimits, raftTimings, type HibernationOptions, type RaftLimits } from "../raft/options.ts";
import type { Scenario } from "./scenario.ts";
import { stormOptions } from "./storm.ts";

export interface NetworkOptions {
  readonly delayMinMicros: number;
  /** Mean of what comes on top, exponentially distributed. */
  readonly delayMeanMicros: number;
  /** A message in so many is late by `spikeMicros` more. 0 to 1. */
  readonly spikeRate: number;
  readonly spikeMicros: number;
  readonly lossRate: number;
  readonly repeatRate: number;
  /** Like TCP: messages of one channel between two agents stay in order. */
  readonly ordered: boolean;
}

/** Something bad that comes and goes; both times are means. `everySeconds` Infinity: never. */
export interface Recurring {
  readonly everySeconds: number;
  readonly lastsSeconds: number;
}

export interface DiskOptions {
  readonly syncMeanMicros: number;
  /** What the disk writes whole or not at all. */
  readonly crashSectorBytes: 512 | 4096;
  /** An operation fails, which ends the agent; it restarts after `lastsSeconds`. */
  readonly failures: Recurring;
  readonly hangs: Recurring;
}

export interface ClientOptions {
  readonly count: number;
  /** Mean time between two commands of one client. */
  readonly intervalMillis: number;
  readonly inFlightMax: number;
  readonly keys: number;
  /** How many of its calls are linearizable reads. 0 to 1. */
  readonly readShare: number;
  readonly patienceMillis: number;
}

export interface RaftParameters {
  readonly electionTimeoutMs: readonly [number, number];
  readonly heartbeatMs: number;
  /** Small ones, so that windows fill and tails are cut within a short run. */
  readonly limits: RaftLimits;
  /** Undefined: an idle group stays awake. */
  readonly hibernation?: HibernationOptions | undefined;
}

export interface SnapshotOptions {
  /** An agent takes one when so much was applied since the last. */
  readonly logBytes: number;
  readonly pieceBytes: number;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly agents: number;
  /** So many of them speak the first version of the wire until they start again: a cluster in the middle of an upgrade. */
  readonly earlierAgents: number;
  /** How much each is preferred as a leader; empty: all alike. */
  readonly priorities: readonly number[];
  /** Which of them pledge their votes, and read by lease when they lead; empty: none. */
  readonly leases: readonly boolean[];
  /** How long the phase with faults lasts. */
  readonly faultSeconds: number;
  /** By when everything must have converged after the faults end. */
  readonly convergeSeconds: number;
  /** Whether everybody recovers in the end, or only a quorum. */
  readonly healing: "everybody" | "quorum";
  /** Between an input and the turn that takes it: the busier an agent, the more inputs share a turn. Mean; 0: none. */
  readonly turnDelayMicros: number;
  /** How far clocks run apart at most, in millionths. */
  readonly clockDriftMillionths: number;
  /** Jumps of the wall clock by up to a minute, either way. */
  readonly wallJumps: Recurring;
  readonly network: NetworkOptions;
  readonly partitions: Recurring & { readonly oneWayShare: number };
  readonly crashes: Recurring;
  readonly pauses: Recurring;
  /** A pause of the whole machine, after which its monotonic clock goes on where it was. */
  readonly suspensions: Recurring;
  /** Somebody makes an agent campaign, by hand. */
  readonly campaigns: Recurring;
  /** Somebody asks the leader to hand over. */
  readonly transfers: Recurring;
  /** Somebody asks for other members: any number at once, sensible or not. */
  readonly memberChanges: Recurring;
  /** So many agents, the last ones, are no founders: they know nobody until they are made members. */
  readonly joiners: number;
  readonly disk: DiskOptions;
  readonly snapshots: SnapshotOptions;
  readonly clients: ClientOptions;
  /** Nobody wants anything for a while. */
  readonly idleTimes: Recurring;
  readonly raft: RaftParameters;
}

/** What a caller may fix; the rest is drawn. */
export interface SimulationChoices {
  readonly agents?: number | undefined;
  readonly seconds?: number | undefined;
  /**
   * `swarm`, the usual: some kinds of faults, or none, or all. `storm`: all of them, all the time. `light`: no faults, a
   * heartbeat every 50 ms and ten commands a second; for measuring.
   */
  readonly profile?: "swarm" | "storm" | "light" | undefined;
  /** Its world, in which nothing goes wrong by chance. The other choices don't count. */
  readonly scenario?: Scenario | undefined;
}

const never: Recurring = { everySeconds: Number.POSITIVE_INFINITY, lastsSeconds: 0 };

/** The options of one seed. The same seed and choices always give the same ones. */
export function drawOptions(seed: number, choices: SimulationChoices = {}): SimulationOptions {
  if (choices.scenario !== undefined) return scenarioOptions(seed, choices.scenario);
  if (choices.profile === "light") return lightOptions(seed, choices);
  const swarm = swarmOptions(seed, choices);
  return choices.profile === "storm" ? stormOptions(swarm, new Prng(seed).fork(), choices) : swarm;
}

function swarmOptions(seed: number, choices: SimulationChoices): SimulationOptions {
  const prng = new Prng(seed);
  const agents = choices.agents ?? prng.pick([1, 2, 3, 3, 3, 4, 5, 5, 5]);
  const delayMinMicros = prng.pick([20, 100, 500, 5_000]);
  const delayMeanMicros = prng.pick([50, 300, 2_000, 10_000]);
  const recurring = (likelihood: number, every: readonly number[], lasts: readonly number[]): Recurring =>
    prng.chance(likelihood) ? { everySeconds: prng.pick(every), lastsSeconds: prng.pick(lasts) } : never;
  const idleness = drawIdleness(seed);
  const drawn: Omit<SimulationOptions, "memberChanges" | "joiners"> = {
    seed,
    agents,
    faultSeconds: choices.seconds ?? prng.between(5, 20),
    convergeSeconds: 60,
    healing: prng.chance(0.5) ? "everybody" : "quorum",
    turnDelayMicros: prng.pick([0, 10, 100, 1000]),
    clockDriftMillionths: prng.pick([0, 100, 20_000]),
    wallJumps: recurring(0.3, [1, 5], [0]),
    network: {
      delayMinMicros,
      delayMeanMicros,
      spikeRate: prng.chance(0.5) ? prng.pick([0.001, 0.01, 0.05]) : 0,
      spikeMicros: prng.pick([20_000, 200_000, 1_000_000]),
      lossRate: prng.chance(0.6) ? prng.pick([0.001, 0.01, 0.1, 0.3]) : 0,
      repeatRate: prng.chance(0.6) ? prng.pick([0.001, 0.05, 0.3]) : 0,
      ordered: prng.chance(0.3),
    },
    partitions: { ...recurring(0.6, [0.5, 2, 5], [0.2, 1, 4]), oneWayShare: prng.pick([0, 0.3, 1]) },
    crashes: recurring(0.7, [0.3, 1, 4], [0.05, 0.5, 3]),
    pauses: recurring(0.5, [0.5, 2, 5], [0.1, 0.4, 2]),
    campaigns: recurring(0.2, [0.5, 3], [0]),
    disk: {
      syncMeanMicros: prng.pick([50, 150, 1000, 10_000]),
      crashSectorBytes: prng.pick([512, 4096]),
      failures: recurring(0.2, [2, 8], [0.1, 0.5]),
      hangs: recurring(0.3, [1, 4], [0.1, 0.6, 3]),
    },
    clients: {
      count: prng.between(1, 5),
      intervalMillis: prng.pick([5, 30, 100]),
      inFlightMax: prng.pick([1, 4, 16]),
      keys: prng.pick([1, 3, 20]),
      readShare: prng.pick([0, 0.2, 0.5]),
      patienceMillis: prng.pick([200, 600, 2000]),
    },
    raft: { ...drawRaft(prng, delayMinMicros + delayMeanMicros), hibernation: idleness.hibernation },
    idleTimes: idleness.times,
    // Last, so that what is drawn before stays what it was.
    earlierAgents: prng.chance(0.15) ? prng.between(1, agents) : 0,
    transfers: recurring(0.3, [0.3, 2], [0]),
    snapshots: {
      logBytes: prng.pick([200, 1000, 1000, 5000, 30_000]),
      pieceBytes: prng.pick([64, 200, 1000, 100_000]),
    },
    ...drawLeases(seed, agents),
    priorities: prng.chance(0.3) ? Array.from({ length: agents }, () => prng.between(1, 100)) : [],
  };
  const memberChanges = recurring(0.4, [0.3, 1, 4], [0]);
  if (memberChanges === never) return { ...drawn, memberChanges, joiners: 0 };
  // Which agents will be a quorum when the faults end is not known before.
  return { ...drawn, memberChanges, joiners: prng.between(0, agents - 1), healing: "everybody" };
}

/** Drawn apart, so that everything else stays what it was. Mostly groups may sleep, and have time to. */
function drawIdleness(seed: number): { hibernation: HibernationOptions | undefined; times: Recurring } {
  const prng = new Prng(seed).fork().fork();
  const hibernation = prng.chance(0.8)
    ? { quietBeats: prng.pick([1, 1, 3]), renewalMs: prng.pick([300, 2000, 60_000]) }
    : undefined;
  const times = prng.chance(0.7)
    ? { everySeconds: prng.pick([1, 2, 4]), lastsSeconds: prng.pick([0.5, 1, 3]) }
    : never;
  return { hibernation, times };
}

/**
 * Drawn apart, too. Clocks never run further apart than leases allow for; and no machine is suspended where wall clocks are
 * set: right after one was set back, nothing would show it.
 */
function drawLeases(
  seed: number,
  agents: number,
): Pick<SimulationOptions, "leases" | "suspensions"> & Partial<SimulationOptions> {
  const prng = new Prng(seed).fork().fork().fork().fork();
  if (!prng.chance(0.4)) return { leases: [], suspensions: never };
  const share = prng.pick([1, 1, 0.7]);
  const leases = Array.from({ length: agents }, () => prng.chance(share));
  if (!prng.chance(0.4)) return { leases, suspensions: never };
  const suspensions = { everySeconds: prng.pick([0.5, 2]), lastsSeconds: prng.pick([0.2, 1]) };
  return { leases, suspensions, wallJumps: never };
}

/** Time-outs that fit the network, as an operator would choose them, now and then too tight. */
function drawRaft(prng: Prng, delayMicros: number): RaftParameters {
  const heartbeatMs = Math.max(prng.pick([10, 20, 50]), Math.ceil((delayMicros * 2) / 1000));
  const electionMs = heartbeatMs * prng.pick([3, 5, 10]);
  return {
    electionTimeoutMs: [electionMs, electionMs * 2],
    heartbeatMs,
    limits: {
      appendBytesMax: prng.pick([512, 2048, 16_384]),
      inFlightAppendsMax: prng.pick([1, 2, 8, 64]),
      inFlightBytesMax: prng.pick([1024, 16_384]),
      uncommittedBytesMax: prng.pick([8192, 65_536]),
      applyBytesMax: prng.pick([512, 4096, 65_536]),
      logTailBytesMax: prng.pick([1024, 8192, 65_536]),
      checkpointEntriesMax: prng.pick([1, 7, 64]),
      inFlightEntriesMax: prng.pick([3, 50, 1000]),
      logKeptBytesMax: prng.pick([200, 2048, 65_536]),
      logHeldBytesMax: prng.pick([1000, 8192, 65_536]),
    },
  };
}

function lightOptions(seed: number, choices: SimulationChoices): SimulationOptions {
  return {
    seed,
    agents: choices.agents ?? 5,
    earlierAgents: 0,
    priorities: [],
    leases: [],
    faultSeconds: choices.seconds ?? 60,
    convergeSeconds: 60,
    healing: "everybody",
    turnDelayMicros: 0,
    clockDriftMillionths: 0,
    wallJumps: never,
    network: {
      delayMinMicros: 100,
      delayMeanMicros: 100,
      spikeRate: 0,
      spikeMicros: 0,
      lossRate: 0,
      repeatRate: 0,
      ordered: true,
    },
    partitions: { ...never, oneWayShare: 0 },
    crashes: never,
    pauses: never,
    suspensions: never,
    campaigns: never,
    transfers: never,
    memberChanges: never,
    joiners: 0,
    disk: { syncMeanMicros: 150, crashSectorBytes: 4096, failures: never, hangs: never },
    clients: { count: 1, intervalMillis: 100, inFlightMax: 4, keys: 20, readShare: 0, patienceMillis: 1000 },
    idleTimes: never,
    raft: { ...raftTimings, limits: raftLimits() },
    snapshots: { logBytes: limits.snapshotLogBytes, pieceBytes: limits.snapshotPieceBytesMax },
  };
}

/** Sound, but for what the script does; how fast everything is, the seed says. */
function scenarioOptions(seed: number, { world }: Scenario): SimulationOptions {
  const light = lightOptions(seed, { agents: 3 });
  const prng = new Prng(seed);
  const usual: SimulationOptions = {
    ...light,
    faultSeconds: 0,
    convergeSeconds: 10,
    turnDelayMicros: prng.pick([0, 10, 100]),
    clockDriftMillionths: prng.pick([0, 100, 20_000]),
    network: {
      ...light.network,
      delayMeanMicros: prng.pick([50, 300, 2000]),
      repeatRate: prng.pick([0, 0.01]),
      ordered: prng.chance(0.5),
    },
    disk: {
      ...light.disk,
      syncMeanMicros: prng.pick([50, 150, 1000]),
      crashSectorBytes: prng.pick([512, 4096]),
    },
    clients: { count: 4, intervalMillis: 10, inFlightMax: 4, keys: 3, readShare: 0.3, patienceMillis: 200 },
  };
  return world === undefined ? usual : { ...usual, ...world(usual) };
}
