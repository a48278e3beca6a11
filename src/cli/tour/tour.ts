/**
 * A short tour on real processes and real input: decisions through a follower, `kill -9` of the leader half-way, and a look
 * at every agent whether each decision is there exactly once and in order. Every claim is checked by reading back; one that
 * does not hold ends the tour with an error.
 */
import { performance } from "node:perf_hooks";

import { assert, present } from "../../core/assert.ts";
import { QuorateError } from "../../core/errors.ts";
import type { AgentProcess } from "../cluster/agent-process.ts";
import type { Cluster, Leadership } from "../cluster/cluster.ts";
import type { RunningCluster } from "../cluster/running-cluster.ts";
import { type OpenLog, connectTo } from "../connection.ts";
import { DecisionSender } from "../decision-sender.ts";
import type { FileDecision } from "../decisions.ts";
import { failureFrom, refusal } from "../failure.ts";
import { count, counted, duration } from "../terminal/numbers.ts";
import { progressBar } from "../terminal/progress-bar.ts";
import type { Json } from "../../state/index.ts";
import { type EndMark, difference, digestOf, isEndMark } from "./evidence.ts";
import type { TourReport } from "./tour-report.ts";

export const agentsOnTour = 4;
const concurrency = 64;
const electionMsMax = 20_000;
const callMsMax = 20_000;
const catchUpMsMax = 30_000;
/** Long enough for a leader without followers to notice, short enough to watch. */
const refusedPutMs = 2000;
const redrawMs = 50;

export interface TourOptions {
  readonly running: RunningCluster;
  readonly decisions: readonly FileDecision[];
  /** What the file is called. */
  readonly path: string;
  readonly report: TourReport;
  readonly interrupts: AbortSignal;
}

/** What happened when the leader was killed. */
interface Failover {
  readonly killed: AgentProcess;
  readonly next: Leadership;
}

export class Tour {
  readonly #options: TourOptions;
  readonly #cluster: Cluster;
  readonly #report: TourReport;
  /** Makes the request ids of this run new: the same decisions may have been decided in an earlier one. */
  readonly #run: string = `tour-${Date.now().toString(36)}`;

  constructor(options: TourOptions) {
    this.#options = options;
    this.#cluster = options.running.cluster;
    this.#report = options.report;
  }

  async run(): Promise<void> {
    this.#tellStart();
    const first = await this.#cluster.leaderAfter(0, electionMsMax, this.#options.interrupts);
    this.#tellLeader(first);
    const follower = this.#followerOf(first.leader);
    // The others come after it, for the case that it leads itself when the leader is killed.
    const others = this.#cluster.agents.filter((agent) => agent !== follower);
    await using log = await connectTo(
      [follower, ...others].map((agent) => agent.address),
      { pin: true },
    );
    const from = await this.#nextIndex(log);
    const { killed } = await this.#decide(log, follower, first);
    await this.#restart(killed);
    await this.#checkEveryAgent(log, from);
    await this.#retry(log, from);
    await this.#withoutQuorum();
  }

  // ── the steps ──

  #tellStart(): void {
    const { running } = this.#options;
    const pids = this.#cluster.agents.map((agent) => agent.pid);
    this.#report.step({
      kind: "note",
      left: `${pids.length} agents, ${pids.length} processes, data in ${running.folder}/`,
      right: `pids ${pids.join(" ")}`,
      data: {
        step: "started",
        agents: pids.length,
        pids,
        folder: running.folder,
        continued: running.isContinued,
      },
    });
    if (!running.isContinued) return;
    this.#report.step({
      kind: "note",
      left: `${running.folder}/ is from an earlier run`,
      right: `request ids begin with ${this.#run}`,
      data: { step: "continued", requestIdPrefix: this.#run },
    });
  }

  /** An election can begin once a majority listens. */
  #tellLeader({ leader, term, atMs }: Leadership): void {
    const { agents } = this.#cluster;
    const listening = agents.map((agent) => agent.listeningAtMs).toSorted((a, b) => a - b);
    const ms = Math.max(
      0,
      atMs - present(listening[Math.floor(agents.length / 2)], "there are several agents"),
    );
    this.#report.step({
      kind: "proof",
      left: `${leader.id} leads, term ${term}`,
      right: `elected in ${duration(ms)}`,
      data: { step: "elected", leader: leader.id, term, ms: Math.round(ms) },
    });
  }

  /** All decisions through a follower, and the leader killed when half of them are decided. */
  async #decide(log: OpenLog, follower: AgentProcess, first: Leadership): Promise<Failover> {
    const { decisions, path, interrupts } = this.#options;
    this.#report.step({
      kind: "note",
      left: `${count(decisions.length)} decisions from ${path}, sent to ${follower.id} (a follower)`,
      data: { step: "decisions", count: decisions.length, file: path, to: follower.id },
    });
    const half = Math.floor(decisions.length / 2);
    let failover: Promise<Failover> | undefined;
    let drawnAtMs = 0;
    const sender: DecisionSender = new DecisionSender({
      decisions,
      concurrency,
      propose: async (value, requestId) =>
        log.log.propose(value, { requestId, timeoutMs: callMsMax, signal: interrupts }),
      requestIdOf: (decision) => this.#requestIdOf(decision),
      onDecided: () => {
        if (sender.decided === half) {
          failover = this.#killLeader(sender, first);
          // Looked at when all decisions are through.
          failover.catch(() => {});
        } else if (performance.now() - drawnAtMs > redrawMs && sender.decided !== sender.total) {
          drawnAtMs = performance.now();
          this.#report.passing({ kind: "progress", left: progressBar(sender.decided, sender.total) });
        }
      },
    });
    await sender.run(interrupts);
    interrupts.throwIfAborted();
    const result = await failover;
    this.#tellDecided(sender);
    claim(sender.decided === decisions.length, undecided(sender));
    return present(result, "half of the decisions were decided on the way to all of them");
  }

  async #killLeader(sender: DecisionSender, first: Leadership): Promise<Failover> {
    const { p50Ms, p99Ms } = sender.latencies.summary();
    // Whoever leads now: it may have changed since.
    const { leader, term } = this.#cluster.leadership() ?? first;
    const pid = leader.pid;
    const killedAtMs = performance.now();
    const gone = leader.kill();
    this.#report.step({
      kind: "progress",
      left: progressBar(sender.decided, sender.total),
      right: `p50 ${duration(p50Ms)}  p99 ${duration(p99Ms)}  fsync on`,
      data: { step: "half", decided: sender.decided, p50Ms, p99Ms, fsync: true },
    });
    this.#report.step({
      kind: "fault",
      left: `kill -9 ${pid}`,
      right: "the leader, mid-write",
      data: { step: "killed", agent: leader.id, pid },
    });
    await gone;
    // All that are on their way now have nobody to decide them: the client hands them in again.
    const retried = sender.inFlight;
    const next = await this.#cluster.leaderAfter(term, electionMsMax, this.#options.interrupts);
    const ms = next.atMs - killedAtMs;
    this.#report.step({
      kind: "proof",
      left: `${next.leader.id} leads, term ${next.term}`,
      right: `no leader for ${duration(ms)}; ${counted(retried, "call")} retried`,
      data: { step: "re-elected", leader: next.leader.id, term: next.term, ms: Math.round(ms), retried },
    });
    return { killed: leader, next };
  }

  #tellDecided(sender: DecisionSender): void {
    this.#report.step({
      kind: "progress",
      left: progressBar(sender.decided, sender.total),
      right: `acknowledged ${sender.decided}, unknown ${sender.unknown.length}`,
      data: {
        step: "decided",
        acknowledged: sender.decided,
        unknown: sender.unknown.length,
        failed: sender.failed.length,
      },
    });
  }

  async #restart(agent: AgentProcess): Promise<void> {
    const committed = Math.max(...this.#cluster.agents.map(({ status }) => status?.committed ?? 0));
    await agent.start();
    const startedAtMs = performance.now();
    await this.#cluster.until(() => agent.status !== undefined, catchUpMsMax);
    const had = agent.status?.last ?? 0;
    await this.#cluster.until(
      () => (agent.status?.applied ?? 0) >= committed,
      catchUpMsMax,
      this.#options.interrupts,
    );
    const ms = performance.now() - startedAtMs;
    claim((agent.status?.applied ?? 0) >= committed, `${agent.id} has not caught up after ${duration(ms)}.`);
    const entries = Math.max(0, committed - had);
    this.#report.step({
      kind: "note",
      left: `${agent.id} restarts from its journal`,
      right: `caught up ${counted(entries, "entry", "entries")} in ${duration(ms)}`,
      data: { step: "restarted", agent: agent.id, entries, ms: Math.round(ms) },
    });
  }

  async #checkEveryAgent(log: OpenLog, from: number): Promise<void> {
    const { decisions } = this.#options;
    const mark = await this.#mark(log, "first");
    const expected = digestOf(decisions.map((decision) => decision.value));
    for (const agent of this.#cluster.agents) {
      // oxlint-disable-next-line no-await-in-loop -- one agent after the other
      const values = await this.#valuesOf(agent, from, mark);
      const wrong = difference(values, decisions);
      claim(wrong === undefined, `On ${agent.id} ${wrong ?? ""}.`);
      claim(digestOf(values) === expected, `On ${agent.id} the decisions have another digest.`);
    }
    this.#report.step({
      kind: "proof",
      left: `all ${this.#cluster.agents.length} agents: ${decisions.length} once, in order`,
      right: `sha256 ${expected.slice(0, 8)} on each`,
      data: {
        step: "checked",
        agents: this.#cluster.agents.length,
        decisions: decisions.length,
        sha256: expected,
      },
    });
  }

  /** The same request from another client, as after a crash of the first: it gets the first answer. */
  async #retry(log: OpenLog, from: number): Promise<void> {
    const { decisions } = this.#options;
    const position = Math.min(731, decisions.length);
    const decision = present(decisions[position - 1], "there is a decision to ask for again");
    const agent = present(this.#cluster.agents[1], "there are several agents");
    await using other = await connectTo([agent.address], { pin: true });
    const requestId = this.#requestIdOf(decision);
    const wait = { timeoutMs: callMsMax, signal: this.#options.interrupts };
    // Refused by the group, were it another value than the first time.
    await other.log.propose(decision.value, { requestId, ...wait });
    const learned = await other.log.learnDecision(requestId, wait);
    claim(
      JSON.stringify(learned) === JSON.stringify(decision.value),
      `The retry of request ${position} got another answer.`,
    );
    const mark = await this.#mark(log, "second");
    const values = await this.#valuesOf(agent, from, mark);
    const wrong = difference(
      values.filter((value) => !isEndMark(value, this.#markOf("first"))),
      decisions,
    );
    claim(wrong === undefined, `After the retry of request ${position}, ${wrong ?? ""}.`);
    this.#report.step({
      kind: "note",
      left: `a retry of request ${position}`,
      right: "same answer, applied once",
      data: { step: "retried", request: position, requestId, appliedOnce: true },
    });
  }

  /** Half of the agents are no majority: nothing is decided, and the caller is told that nothing was. */
  async #withoutQuorum(): Promise<void> {
    const stopped = this.#cluster.agents.slice(2);
    const [asked] = this.#cluster.agents;
    await using log = await connectTo([present(asked, "there are several agents").address], { pin: true });
    const key = `${this.#run}/refused`;
    let error: unknown;
    for (const agent of stopped) agent.pause();
    try {
      // A leader that hears nobody steps down; from then on a refusal is certain.
      await this.#cluster.until(
        () => this.#cluster.leadership() === undefined,
        electionMsMax,
        this.#options.interrupts,
      );
      await log.log.state.map.put(key, "must not be there", {
        timeoutMs: refusedPutMs,
        signal: this.#options.interrupts,
      });
    } catch (caught) {
      error = caught;
    } finally {
      for (const agent of stopped) agent.resume();
    }
    this.#options.interrupts.throwIfAborted();
    claim(error !== undefined, "A put was answered although half of the agents were stopped.");
    claim(
      error instanceof QuorateError && error.code === "NO_QUORUM",
      `Instead of NO_QUORUM the put got: ${failureFrom(error).message}`,
    );
    await this.#cluster.leaderAfter(0, electionMsMax, this.#options.interrupts);
    const found = await log.log.state.map.get(key, {
      timeoutMs: callMsMax,
      signal: this.#options.interrupts,
    });
    claim(found === undefined, "The put that was refused took effect later.");
    this.#report.step({
      kind: "note",
      left: "two agents stopped: put refused",
      right: "NO_QUORUM, as it must be; resumed",
      data: {
        step: "refused",
        code: "NO_QUORUM",
        outcome: error instanceof QuorateError ? error.outcome : "unknown",
      },
    });
  }

  // ── what the steps share ──

  /** Not the leader, so that every decision is forwarded; `agent_1` unless it leads. */
  #followerOf(leader: AgentProcess): AgentProcess {
    return present(
      this.#cluster.agents.find((agent) => agent !== leader),
      "there are several agents",
    );
  }

  #requestIdOf(decision: FileDecision): string {
    return `${this.#run}-${decision.line}`;
  }

  /** Where this run's part of the log begins: behind a write of its own. What is before it was decided in earlier runs. */
  async #nextIndex(log: OpenLog): Promise<number> {
    const options = { timeoutMs: callMsMax, signal: this.#options.interrupts };
    return (await log.log.state.map.put("tour", this.#run, options)) + 1;
  }

  #markOf(end: string): EndMark {
    return { tour: this.#run, end };
  }

  /** Decides a value that stands for "here the reading ends". */
  async #mark(log: OpenLog, end: string): Promise<EndMark> {
    const mark = this.#markOf(end);
    await log.log.propose({ ...mark }, { timeoutMs: callMsMax, signal: this.#options.interrupts });
    return mark;
  }

  /** What this agent itself has applied, up to the mark. */
  async #valuesOf(agent: AgentProcess, from: number, mark: EndMark): Promise<Json[]> {
    await using own = await connectTo([agent.address], { pin: true });
    await own.log.ready({ timeoutMs: callMsMax, signal: this.#options.interrupts });
    assert(own.log.status().self === agent.id, "an agent is asked for its own log");
    const values: Json[] = [];
    const late = AbortSignal.any([this.#options.interrupts, AbortSignal.timeout(catchUpMsMax)]);
    for await (const { value } of own.log.entries({ from, signal: late })) {
      if (isEndMark(value, mark)) return values;
      values.push(value);
    }
    throw claimFailed(`${agent.id} has not applied everything after ${duration(catchUpMsMax)}.`);
  }
}

function undecided(sender: DecisionSender): string {
  const [first] = [...sender.unknown, ...sender.failed];
  const why = first?.error instanceof Error ? `: ${first.error.message}` : "";
  return `${sender.total - sender.decided} of ${sender.total} decisions were not acknowledged${why}`;
}

function claim(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw claimFailed(otherwise);
}

function claimFailed(message: string): Error {
  return refusal(
    "CLAIM_FAILED",
    `The tour's claim does not hold. ${message}`,
    "The agents' data and logs are kept; please report this with them.",
  );
}
