/**
 * Times in which no client wants anything, so that the group falls asleep; and a look at those who sleep: nobody does so for
 * long who can't hear the agent that it counts on.
 */
import { assert } from "../core/assert.ts";
import type { Prng } from "../core/prng.ts";
import type { SimulatedAgent } from "./agent.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Stage } from "./stage.ts";
import type { Recurring } from "./options.ts";
import { Violation } from "./violation.ts";

export class IdleTimes {
  readonly #events: EventQueue;
  readonly #prng: Prng;
  readonly #recurring: Recurring;
  #idleUntil = 0;
  #over = false;

  constructor(events: EventQueue, prng: Prng, recurring: Recurring) {
    this.#events = events;
    this.#prng = prng;
    this.#recurring = recurring;
  }

  get isIdle(): boolean {
    return this.#events.now < this.#idleUntil;
  }

  start(): void {
    const { everySeconds, lastsSeconds } = this.#recurring;
    if (everySeconds === Number.POSITIVE_INFINITY) return;
    this.#events.after(this.#prng.exponential(everySeconds * 1_000_000), () => {
      if (this.#over) return;
      this.#idleUntil = this.#events.now + this.#prng.exponential(lastsSeconds * 1_000_000);
      this.start();
    });
  }

  end(): void {
    this.#over = true;
    this.#idleUntil = 0;
  }
}

const lookMicros = 50_000;
/** What is on its way when an agent falls silent may be so late. */
const latestMicros = 2_000_000;

export class SleepWatch {
  /** How often a leader was seen to have fallen asleep. */
  sleeps = 0;
  readonly #stage: Stage;
  readonly #agents: readonly SimulatedAgent[];
  readonly #slept: boolean[];
  /** Since when each has counted on somebody in its sleep whom it can't hear. */
  readonly #deafSince: (number | undefined)[];

  constructor(stage: Stage, agents: readonly SimulatedAgent[]) {
    this.#stage = stage;
    this.#agents = agents;
    this.#slept = agents.map(() => false);
    this.#deafSince = agents.map(() => undefined);
  }

  start(): void {
    this.#stage.events.after(lookMicros, () => {
      for (const agent of this.#agents) this.#look(agent);
      this.start();
    });
  }

  #look(agent: SimulatedAgent): void {
    const { now } = this.#stage.events;
    const sleep = agent.condition === "running" ? agent.core?.hibernation : undefined;
    const isLeader = agent.leads();
    if (isLeader && sleep !== undefined && this.#slept[agent.index] === false) this.sleeps += 1;
    this.#slept[agent.index] = isLeader && sleep !== undefined;
    if (sleep === undefined || isLeader || this.#hears(agent)) {
      this.#deafSince[agent.index] = undefined;
      return;
    }
    const since = (this.#deafSince[agent.index] ??= now);
    // Two clocks that run apart, and pulses that were just missed.
    if (now - since <= 2 * sleep.silence + latestMicros) return;
    throw new Violation(
      "sleepIsWatched",
      `${agent.name} sleeps, and has heard nothing of its leader's agent`,
    );
  }

  #hears(agent: SimulatedAgent): boolean {
    const [leader] = agent.core?.hibernation?.present ?? [];
    assert(leader !== undefined, "a follower that sleeps counts on its leader");
    const other = this.#agents[this.#stage.names.indexOf(leader)];
    return other?.condition === "running" && !this.#stage.network.isCut(other.index, agent.index);
  }
}
