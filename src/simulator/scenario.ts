/**
 * Stories that a whole cluster plays: at this time this goes wrong, by then that must have come true. Everything that a
 * story leaves open (delays, time-outs, what clients ask) is drawn from the seed, so each can be played any number of
 * times, and each run replays. All that is checked in other runs is checked here too, convergence in the end included.
 */
import { present } from "../core/assert.ts";
import type { SimulatedAgent } from "./agent.ts";
import type { ClusterChecker } from "./cluster-checker.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Faults } from "./faults.ts";
import type { SimulationOptions } from "./options.ts";
import { Violation } from "./violation.ts";

export interface Scenario {
  /** For the command line: a few lower-case words with hyphens between them. */
  readonly name: string;
  /** The story in one sentence. */
  readonly title: string;
  /** Where its world is not the usual one: three agents on a sound network, with busy clients. */
  readonly world?: (usual: SimulationOptions) => Partial<SimulationOptions>;
  readonly script: Script;
}

/** Does things, and yields what it waits for. */
export type Script = (play: Play) => Generator<Wait, void, undefined>;

export interface Wait {
  readonly seconds: number;
  readonly what: string;
  readonly holds: () => boolean;
  /** `once`: it must hold by then, and the story goes on as soon as it does. `throughout`: it must hold all the time. */
  readonly how: "once" | "throughout";
}

/** Within so many seconds it must hold; the story goes on from there. */
export function within(seconds: number, what: string, holds: () => boolean): Wait {
  return { seconds, what, holds, how: "once" };
}

/** For so many seconds it must hold, as often as it is looked at: every millisecond. */
export function throughout(seconds: number, what: string, holds: () => boolean): Wait {
  return { seconds, what, holds, how: "throughout" };
}

export function pass(seconds: number): Wait {
  return throughout(seconds, "time passes", () => true);
}

/** What a script sees of the cluster, and what it can do to it. */
export class Play {
  readonly agents: readonly SimulatedAgent[];
  readonly #checker: ClusterChecker;
  readonly #faults: Faults;
  readonly #answers: () => number;

  constructor(
    agents: readonly SimulatedAgent[],
    checker: ClusterChecker,
    faults: Faults,
    answers: () => number,
  ) {
    this.agents = agents;
    this.#checker = checker;
    this.#faults = faults;
    this.#answers = answers;
  }

  /** Whoever leads in the highest term, among those that run. */
  get leader(): SimulatedAgent | undefined {
    const leading = this.agents.filter((agent) => agent.condition === "running" && agent.leads());
    return leading.toSorted((a, b) => termOf(b) - termOf(a))[0];
  }

  /** Everybody but one, in a fixed order. */
  others(than: SimulatedAgent): readonly SimulatedAgent[] {
    return this.agents.filter((agent) => agent !== than);
  }

  /** Two of them, for stories that need no more. */
  twoOthers(than: SimulatedAgent): readonly [SimulatedAgent, SimulatedAgent] {
    const [first, second] = this.others(than);
    return [present(first, "there is another"), present(second, "there are two others")];
  }

  get elections(): number {
    return this.#checker.elections;
  }

  /** Entries decided. */
  get decided(): number {
    return this.#checker.committed;
  }

  /** Snapshots that agents have begun to receive. */
  get arriving(): number {
    return this.#checker.arriving;
  }

  /** Snapshots that have come from a peer. */
  get arrivals(): number {
    return this.#checker.arrivals;
  }

  /** Commands and reads that clients were answered. */
  get answers(): number {
    return this.#answers();
  }

  // ── what can be waited for ──

  /** The beginning of most stories: somebody leads, and clients are served. */
  *atWork(): Generator<Wait, SimulatedAgent, undefined> {
    yield within(5, "somebody leads", () => this.leader !== undefined);
    yield this.serves(5);
    return present(this.leader, "who has just answered leads");
  }

  /** The cluster answers what it is asked: fifty answers from now on within so many seconds. */
  serves(seconds: number): Wait {
    const before = this.#answers();
    return within(seconds, "clients are answered", () => this.#answers() >= before + 50);
  }

  /** An agent has applied all but the newest of what is decided. */
  catchesUp(agent: SimulatedAgent, seconds: number): Wait {
    return within(seconds, `${agent.name} has caught up`, () => agent.applied >= this.decided - 5);
  }

  // ── what goes wrong ──

  crash(agent: SimulatedAgent, how: "kill" | "powerFailure"): void {
    this.#faults.crash(agent, how);
  }

  restart(agent: SimulatedAgent): void {
    this.#faults.restart(agent);
  }

  /** As by SIGSTOP, or a loop that does not turn: its clock goes on, and what reaches it waits. */
  pause(agent: SimulatedAgent): void {
    this.#faults.pause(agent, "process");
  }

  /** All of its machine stands still, its monotonic clock with it. */
  suspend(agent: SimulatedAgent): void {
    this.#faults.pause(agent, "machine");
  }

  resume(agent: SimulatedAgent): void {
    this.#faults.resume(agent);
  }

  hangDisk(agent: SimulatedAgent, seconds: number): void {
    this.#faults.hangDisk(agent, seconds * 1_000_000);
  }

  /** The next sync of its disk fails, and loses what it was to sync. Later ones would succeed. */
  failSync(agent: SimulatedAgent): void {
    agent.disk.failNextSync("error");
  }

  /** One bit of its journal flips, in a block with others behind it. It is down meanwhile, and refuses to start after. */
  rot(agent: SimulatedAgent): void {
    this.#faults.rot(agent);
  }

  /** Only these links stay, each in both directions. */
  links(...pairs: readonly (readonly [SimulatedAgent, SimulatedAgent])[]): void {
    this.#faults.partition((from, to) => pairs.some((pair) => pair.includes(from) && pair.includes(to)));
  }

  isolate(agent: SimulatedAgent): void {
    this.#faults.partition((from, to) => from !== agent && to !== agent);
  }

  /** What one sends the other is lost from now on, and neither notices. */
  cut(from: SimulatedAgent, to: SimulatedAgent): void {
    this.#faults.setLost(from, to, true);
  }

  mend(from: SimulatedAgent, to: SimulatedAgent): void {
    this.#faults.setLost(from, to, false);
  }

  heal(): void {
    this.#faults.heal();
  }
}

function termOf(agent: SimulatedAgent): number {
  return agent.core?.term ?? 0;
}

const lookMicros = 1000;

/** Plays a story to its end, then calls `done`; or calls `fail` with what did not come true. */
export function perform(
  story: Generator<Wait, void, undefined>,
  { events, done, fail }: { events: EventQueue; done: () => void; fail: (error: Error) => void },
): void {
  const next = (): void => {
    const { done: over, value } = story.next();
    if (over === true) done();
    else watch(value, events.now + Math.round(value.seconds * 1_000_000));
  };
  const watch = (wait: Wait, ends: number): void => {
    const held = wait.holds();
    const late = events.now >= ends;
    if (wait.how === "once" ? held : held && late) next();
    else if (wait.how === "once" ? late : !held) fail(unmet(wait, ends - events.now));
    else events.after(lookMicros, () => watch(wait, ends));
  };
  next();
}

function unmet({ how, what, seconds }: Wait, leftMicros: number): Violation {
  if (how === "once") return new Violation("expectation", `not within ${seconds} s: ${what}`);
  const after = (seconds - leftMicros / 1_000_000).toFixed(3);
  return new Violation("expectation", `after ${after} of ${seconds} s no longer: ${what}`);
}
