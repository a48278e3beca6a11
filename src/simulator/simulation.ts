/**
 * One run: a whole cluster, its clients and its misfortunes, from one seed. First a phase with faults, in which nothing
 * may ever be wrong; then the faults end for a quorum, and everything that was asked for must be decided in bounded time
 * (the two phases of TigerBeetle's simulator).
 */
import { agentId, groupName } from "../core/ids.ts";
import { everybody, isJoint } from "../core/members.ts";
import { Prng } from "../core/prng.ts";
import { present } from "../core/assert.ts";
import { withTransfers } from "../driver/transfer-messages.ts";
import { SimulatedAgent } from "./agent.ts";
import { SimulatedClient } from "./client.ts";
import { ClusterChecker } from "./cluster-checker.ts";
import { EventQueue } from "./event-queue.ts";
import { Faults, type FaultCounts } from "./faults.ts";
import { FaultyNetwork, type NetworkCounts } from "./faulty-network.ts";
import { History } from "./history.ts";
import { IdleTimes, SleepWatch } from "./idle-times.ts";
import type { SimulationOptions } from "./options.ts";
import { productionParts, type Parts } from "./parts.ts";
import { RunningHash } from "./running-hash.ts";
import { perform, Play, type Scenario } from "./scenario.ts";
import type { Stage } from "./stage.ts";
import { Trace, type TraceSink } from "./trace.ts";
import { Violation, type Invariant } from "./violation.ts";

/** How often the second phase looks whether everything has converged. */
const lookMicros = 100_000;

export interface RunCounts extends NetworkCounts, FaultCounts {
  readonly elections: number;
  /** How often a leader whose group was idle let members sleep. */
  readonly sleeps: number;
  /** Entries decided. */
  readonly committed: number;
  /** Snapshots that were taken, and that came from a peer; states that began from one. */
  readonly snapshots: number;
  readonly arrivals: number;
  readonly restores: number;
  /** Commands that clients were answered. */
  readonly commands: number;
  readonly reads: number;
  readonly sessionsLost: number;
  /** Things that happened: deliveries, timers, turns. */
  readonly steps: number;
  readonly simulatedSeconds: number;
}

export interface Failure {
  readonly invariant: Invariant;
  readonly detail: string;
  readonly error: Error;
  /** How the agents were when it happened, a line each. */
  readonly agents: readonly string[];
}

export interface RunResult {
  readonly seed: number;
  readonly options: SimulationOptions;
  readonly failure: Failure | undefined;
  readonly counts: RunCounts;
  /** Of every input and output, in order. */
  readonly hash: string;
}

export interface SimulationExtras {
  readonly parts?: Parts;
  /** Whose story takes the place of the phase with faults. */
  readonly scenario?: Scenario | undefined;
  readonly trace?: TraceSink | undefined;
  /** Ends the run early, without a verdict on convergence. */
  readonly stepsMax?: number | undefined;
}

type Phase = "faults" | "converging" | "over";

export class Simulation {
  readonly #stage: Stage;
  readonly #agents: readonly SimulatedAgent[];
  readonly #clients: readonly SimulatedClient[];
  readonly #faults: Faults;
  readonly #sleepWatch: SleepWatch;
  readonly #hash = new RunningHash();
  readonly #scenario: Scenario | undefined;
  readonly #stepsMax: number;
  #phase: Phase = "faults";
  #well: readonly SimulatedAgent[] = [];
  #failure: Failure | undefined;

  constructor(options: SimulationOptions, extras: SimulationExtras = {}) {
    const prng = new Prng(options.seed).fork();
    const events = new EventQueue();
    const names = Array.from({ length: options.agents }, (_, at) => agentId(`agent-${at + 1}`));
    const checker = new ClusterChecker(names, options.joiners);
    const parts = extras.parts ?? productionParts;
    this.#scenario = extras.scenario;
    this.#stepsMax = extras.stepsMax ?? Number.POSITIVE_INFINITY;
    const network = new FaultyNetwork({
      events,
      prng: prng.fork(),
      network: options.network,
      agents: options.agents,
      codec: withTransfers(parts.codec),
      versionOf: (agent) => this.#agent(agent).version,
      deliver: (from, to, message) => this.#agent(to).receive(this.#agent(from).name, message),
      heard: (from, to) => this.#agent(to).heard(this.#agent(from).name),
    });
    this.#stage = {
      options,
      parts,
      names,
      group: groupName("simulated"),
      events,
      prng,
      network,
      checker,
      history: new History(checker, options.agents),
      hash: this.#hash,
      idleTimes: new IdleTimes(events, new Prng(options.seed).fork().fork().fork(), options.idleTimes),
      trace: extras.trace === undefined ? undefined : new Trace(events, extras.trace, checker.members.voters),
      fail: (error) => this.#fail(error),
    };
    this.#agents = names.map(
      (_, at) => new SimulatedAgent(this.#stage, at, (agent) => this.#faults.died(agent)),
    );
    this.#clients = Array.from(
      { length: options.clients.count },
      (_, at) => new SimulatedClient(this.#stage, at, this.#agents),
    );
    this.#faults = new Faults(this.#stage, this.#agents);
    this.#sleepWatch = new SleepWatch(this.#stage, this.#agents);
    this.#begin();
  }

  get over(): boolean {
    return this.#phase === "over";
  }

  get simulatedSeconds(): number {
    return this.#stage.events.now / 1_000_000;
  }

  /** Lets up to so many things happen. False: the run is over. */
  advance(steps: number): boolean {
    const { events } = this.#stage;
    for (let count = 0; count < steps && !this.over; count++) {
      try {
        events.step();
      } catch (error) {
        this.#fail(
          error instanceof Error ? error : new Error("what was thrown is no error", { cause: error }),
        );
      }
      if (events.happened >= this.#stepsMax) this.#end();
    }
    return !this.over;
  }

  /** Runs to the end. */
  run(): RunResult {
    while (this.advance(1_000_000));
    return this.result();
  }

  result(): RunResult {
    const { options, network, checker, events } = this.#stage;
    return {
      seed: options.seed,
      options,
      failure: this.#failure,
      hash: this.#hash.digest(),
      counts: {
        ...network.counts,
        ...this.#faults.counts,
        elections: checker.elections,
        sleeps: this.#sleepWatch.sleeps,
        snapshots: checker.snapshots,
        arrivals: checker.arrivals,
        restores: checker.restores,
        committed: checker.committed,
        commands: this.#sum((client) => client.settled),
        reads: this.#sum((client) => client.readsAnswered),
        sessionsLost: this.#sum((client) => client.sessionsLost),
        steps: events.happened,
        simulatedSeconds: this.simulatedSeconds,
      },
    };
  }

  #sum(of: (client: SimulatedClient) => number): number {
    return this.#clients.reduce((total, client) => total + of(client), 0);
  }

  // ── the phases ──

  #begin(): void {
    const { options, events, trace } = this.#stage;
    trace?.begin(options.seed, this.#scenario?.name);
    for (const agent of this.#agents) agent.start();
    for (const client of this.#clients) client.start();
    this.#faults.start();
    this.#stage.idleTimes.start();
    this.#sleepWatch.start();
    if (this.#scenario !== undefined) this.#perform(this.#scenario);
    else events.after(options.faultSeconds * 1_000_000, () => this.#converge());
  }

  #perform({ script }: Scenario): void {
    const { events, checker } = this.#stage;
    const answers = (): number => this.#sum((client) => client.settled + client.readsAnswered);
    const play = new Play(this.#agents, checker, this.#faults, answers);
    perform(script(play), {
      events,
      done: () => this.#converge(),
      fail: (error) => this.#fail(error),
    });
  }

  #converge(): void {
    const { options, events, trace } = this.#stage;
    this.#phase = "converging";
    this.#well = this.#faults.end();
    this.#stage.idleTimes.end();
    trace?.fault("faultsEnd", undefined, { well: this.#well.map((agent) => agent.name) });
    for (const client of this.#clients) client.askLast();
    const latest = events.now + options.convergeSeconds * 1_000_000;
    const look = (): void => {
      const missing = this.#missing();
      if (missing === undefined) this.#end();
      else if (events.now >= latest) {
        this.#fail(
          new Violation("convergence", `${options.convergeSeconds} s after the faults ended, ${missing}`),
        );
      } else events.after(lookMicros, look);
    };
    events.after(lookMicros, look);
  }

  /** What still keeps the agents that are well from having converged. */
  #missing(): string | undefined {
    const waiting = this.#clients.filter((client) => !client.content);
    if (waiting.length > 0) return `${waiting.length} of ${this.#clients.length} clients wait for answers`;
    // One of the others may lead, if it happens to be well too.
    if (!this.#agents.some((agent) => agent.leads())) return "nobody leads";
    const { committed: last, members } = this.#stage.checker;
    if (isJoint(members) || members.next.length > 0) return "a change of members is not at its end";
    const taking = everybody(members);
    const partakers = this.#well.filter((agent) => taking.has(agent.name));
    const behind = partakers.filter((agent) => agent.applied !== last);
    if (behind.length > 0)
      return `${behind.map((agent) => agent.name).join(", ")} have not applied entry ${last}`;
    for (const agent of partakers) {
      this.#stage.history.digest(agent.index, last, present(agent.digest(), "it has applied entries"));
    }
    return undefined;
  }

  #end(): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    const { trace } = this.#stage;
    trace?.end({
      hash: this.#hash.digest(),
      ...(this.#failure !== undefined && { violated: this.#failure.invariant }),
    });
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    const invariant = error instanceof Violation ? error.invariant : "noCrash";
    this.#failure = {
      invariant,
      detail: error.message,
      error,
      agents: this.#agents.map((agent) => agent.describe()),
    };
    this.#end();
  }

  #agent(index: number): SimulatedAgent {
    return present(this.#agents[index], "the network knows the agents");
  }
}
