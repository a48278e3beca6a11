/** Runs as a whole: they replay, they end well, they say what happened, and a trace tells all of it. */
import { describe, expect, it } from "vitest";
import { drawOptions } from "./options.ts";
import { countLines, failureLines, optionLines, replayCommand } from "./report.ts";
import { Simulation, type RunCounts, type RunResult } from "./simulation.ts";
import { productionParts } from "./parts.ts";

function run(seed: number, seconds = 4): RunResult {
  return new Simulation(drawOptions(seed, { seconds })).run();
}

interface Line {
  readonly time: number;
  readonly name: string;
  readonly agent?: string;
  readonly term?: number;
  readonly role?: string;
  readonly message?: { readonly kind: string; readonly from: string; readonly to: string };
}

function traced(seed: number): { lines: Line[]; result: RunResult } {
  const lines: Line[] = [];
  const simulation = new Simulation(drawOptions(seed, { seconds: 3, agents: 3 }), {
    trace: (line) => lines.push(JSON.parse(line) as Line),
  });
  return { lines, result: simulation.run() };
}

describe("a run", () => {
  it("of the same seed is the same run: same hash, same counts", () => {
    for (const seed of [1, 2, 3]) {
      const first = run(seed);
      const second = run(seed);
      expect(second.hash).toBe(first.hash);
      expect(second.counts).toEqual(first.counts);
    }
  });

  it("of another seed is another run", () => {
    const hashes = new Set([11, 12, 13, 14].map((seed) => run(seed).hash));
    expect(hashes.size).toBe(4);
  });

  it("is the same in slices as at once, and with a trace as without", () => {
    const simulation = new Simulation(drawOptions(5, { seconds: 3, agents: 3 }));
    while (simulation.advance(7));
    const whole = new Simulation(drawOptions(5, { seconds: 3, agents: 3 })).run();
    expect(simulation.result().hash).toBe(whole.hash);
    expect(traced(5).result.hash).toBe(whole.hash);
  });

  it("decides what clients ask for, through elections and crashes", () => {
    const counts = [21, 22, 23, 24, 25, 26].map((seed) => run(seed).counts);
    const sum = (of: (one: RunResult["counts"]) => number): number =>
      counts.reduce((total, one) => total + of(one), 0);
    expect(sum((one) => one.commands)).toBeGreaterThan(100);
    expect(sum((one) => one.reads)).toBeGreaterThan(10);
    expect(sum((one) => one.elections)).toBeGreaterThan(counts.length);
    expect(sum((one) => one.crashes)).toBeGreaterThan(0);
    expect(sum((one) => one.lost)).toBeGreaterThan(0);
  });

  it("without faults elects once and loses nothing", () => {
    const { counts, failure } = new Simulation(drawOptions(1, { profile: "light", seconds: 5 })).run();
    expect(failure).toBeUndefined();
    expect(counts).toMatchObject({ elections: 1, lost: 0, crashes: 0 });
    expect(counts.commands).toBeGreaterThan(20);
  });

  it("of every size converges, from one agent to seven", () => {
    for (let agents = 1; agents <= 7; agents++) {
      const { failure, options } = new Simulation(drawOptions(30 + agents, { agents, seconds: 3 })).run();
      expect(options.agents).toBe(agents);
      expect(failure?.detail).toBeUndefined();
    }
  });

  it("has snapshots: taken, sent to those who need them, and begun from", () => {
    const runs = [1, 2, 3].map((seed) => {
      const drawn = drawOptions(seed, { agents: 3, seconds: 6 });
      const limits = { ...drawn.raft.limits, logKeptBytesMax: 200, logHeldBytesMax: 1000 };
      return new Simulation({
        ...drawn,
        earlierAgents: 0,
        crashes: { everySeconds: 0.5, lastsSeconds: 0.5 },
        clients: { ...drawn.clients, count: 4, intervalMillis: 5, inFlightMax: 16, readShare: 0 },
        snapshots: { logBytes: 300, pieceBytes: 200 },
        raft: { ...drawn.raft, limits },
      }).run();
    });
    for (const { failure } of runs) expect(failure?.detail).toBeUndefined();
    const sum = (of: (counts: RunCounts) => number): number =>
      runs.reduce((total, { counts }) => total + of(counts), 0);
    expect(sum((counts) => counts.snapshots)).toBeGreaterThan(50);
    expect(sum((counts) => counts.restores)).toBeGreaterThan(5);
    expect(sum((counts) => counts.arrivals)).toBeGreaterThan(0);
  });

  it("has members that come and go, founders and others", () => {
    const deciders = new Set<string>();
    const trace = (line: string): void => {
      const { name, role, members } = JSON.parse(line) as Line & { readonly members?: readonly string[] };
      if (name === "commit" && role === "leader") deciders.add((members ?? []).toSorted().join(" "));
    };
    for (const seed of [1, 2]) {
      const drawn = drawOptions(seed, { agents: 4, seconds: 4 });
      const memberChanges = { everySeconds: 0.2, lastsSeconds: 0 };
      const options = {
        ...drawn,
        memberChanges,
        joiners: 2,
        earlierAgents: 0,
        healing: "everybody",
      } as const;
      const { failure, counts } = new Simulation(options, { trace }).run();
      expect(failure?.detail).toBeUndefined();
      expect(counts.memberChanges).toBeGreaterThan(0);
    }
    expect(deciders).toContain("agent-1 agent-2");
    expect(deciders.size).toBeGreaterThan(5);
    expect([...deciders].some((voters) => voters.includes("agent-4"))).toBe(true);
    expect([...deciders].some((voters) => !voters.includes("agent-1"))).toBe(true);
  });

  it("comes through storms, in which every kind of trouble befalls it", () => {
    const storms = [1, 2, 3, 4].map((seed) =>
      new Simulation(drawOptions(seed, { profile: "storm", seconds: 8 })).run(),
    );
    for (const { seed, failure } of storms)
      expect(failure?.detail, `seed ${seed}: ${failure?.invariant}`).toBeUndefined();
    const kinds = ["crashes", "pauses", "partitions", "diskHangs", "diskFailures", "memberChanges"] as const;
    for (const what of [...kinds, "sleeps", "snapshots", "restores", "elections"] as const) {
      const total = storms.reduce((sum, { counts }) => sum + counts[what], 0);
      expect(total, `${what} in some storm`).toBeGreaterThan(0);
    }
  });

  it("ends after so many steps where that is asked for, without a verdict", () => {
    const result = new Simulation(drawOptions(1), { stepsMax: 500 }).run();
    expect(result.counts.steps).toBe(500);
    expect(result.failure).toBeUndefined();
  });
});

describe("a trace", () => {
  const { lines, result } = traced(5);

  it("begins, ends, and its time never goes back", () => {
    expect(lines[0]).toMatchObject({
      name: "begin",
      version: 1,
      seed: 5,
      members: ["agent-1", "agent-2", "agent-3"],
    });
    expect(lines.at(-1)).toMatchObject({ name: "end", hash: result.hash });
    for (let at = 1; at < lines.length; at++)
      expect(lines[at]!.time).toBeGreaterThanOrEqual(lines[at - 1]!.time);
  });

  it("has every election, and one leader for each term", () => {
    const leaders = new Map<number, Set<string>>();
    for (const line of lines) {
      if (line.name !== "becomeLeader") continue;
      const of = leaders.get(line.term!) ?? new Set();
      leaders.set(line.term!, of.add(line.agent!));
    }
    expect(leaders.size).toBe(result.counts.elections);
    for (const of of leaders.values()) expect(of.size).toBe(1);
  });

  it("shows every message as it leaves and as it is taken, with both ends", () => {
    const sent = lines.filter((line) => line.name === "send");
    const received = lines.filter((line) => line.name === "receive");
    expect(sent).toHaveLength(result.counts.sent);
    expect(received.length).toBeGreaterThan(0);
    expect(received.length).toBeLessThanOrEqual(result.counts.delivered);
    for (const line of sent) expect(line.message!.from).toBe(line.agent);
    for (const line of received) expect(line.message!.to).toBe(line.agent);
    const kinds = new Set(sent.map((line) => line.message!.kind));
    for (const kind of ["preVoteRequest", "voteRequest", "append", "appendMatched", "heartbeat"])
      expect(kinds).toContain(kind);
  });

  it("never shows a term that falls, but where an agent starts anew", () => {
    const terms = new Map<string, number>();
    for (const line of lines) {
      if (line.agent === undefined || line.term === undefined || line.role === undefined) continue;
      const floor = line.name === "start" ? 0 : (terms.get(line.agent) ?? 0);
      expect(line.term).toBeGreaterThanOrEqual(floor);
      terms.set(line.agent, line.term);
    }
  });
});

describe("a report", () => {
  const broken = new Simulation(drawOptions(1, { seconds: 2, agents: 3 }), {
    parts: {
      ...productionParts,
      createState: () => ({
        ...productionParts.createState({}),
        apply: () => {
          throw new Error("planted");
        },
      }),
    },
  }).run();

  it("of a failure has the seed, the code, what was violated, how the agents were, and how to see it again", () => {
    expect(broken.failure).toBeDefined();
    const lines = failureLines(broken, broken.failure!, {
      commit: "abc123",
      choices: { seconds: 2, agents: 3 },
    });
    const text = lines.join("\n");
    expect(text).toContain("seed       1");
    expect(text).toContain("abc123");
    expect(text).toContain("noCrash: No agent fails by itself");
    expect(text).toContain("planted");
    expect(text).toMatch(/agent-2: running, \w+ in term \d+/);
    expect(text).toContain("npm run sim -- --seed 1 --agents 3 --seconds 2");
  });

  it("names the choices that a replay needs, and no others", () => {
    expect(replayCommand(9, {})).toBe("npm run sim -- --seed 9");
    expect(replayCommand(9, { profile: "light" })).toBe("npm run sim -- --seed 9 --light");
    expect(replayCommand(9, { profile: "storm", seconds: 3 })).toBe(
      "npm run sim -- --seed 9 --seconds 3 --storm",
    );
  });

  it("says what the world was like and what happened in it", () => {
    const text = [...optionLines(broken.options), ...countLines(broken.counts)].join("\n");
    for (const word of ["agents", "network", "crashes", "disks", "clocks", "clients", "election", "messages"])
      expect(text).toContain(word);
  });
});

describe("the options of a seed", () => {
  it("are the same each time, and fit together", () => {
    for (let seed = 0; seed < 200; seed++) {
      const options = drawOptions(seed);
      expect(drawOptions(seed)).toEqual(options);
      expect(options.agents).toBeGreaterThanOrEqual(1);
      expect(options.raft.heartbeatMs * 2).toBeLessThanOrEqual(options.raft.electionTimeoutMs[0]);
      const storm = drawOptions(seed, { profile: "storm", agents: 4 });
      expect(drawOptions(seed, { profile: "storm", agents: 4 })).toEqual(storm);
      expect(storm.agents).toBe(4);
      expect(storm.joiners).toBeLessThan(4);
    }
  });

  it("take every kind of trouble in some seeds, and leave it out in others", () => {
    const drawn = Array.from({ length: 200 }, (_, seed) => drawOptions(seed));
    const share = (has: (options: (typeof drawn)[number]) => boolean): number =>
      drawn.filter(has).length / drawn.length;
    for (const has of [
      (o: (typeof drawn)[number]) => o.network.lossRate > 0,
      (o: (typeof drawn)[number]) => o.network.ordered,
      (o: (typeof drawn)[number]) => o.leases.includes(true),
      (o: (typeof drawn)[number]) => o.suspensions.everySeconds < Number.POSITIVE_INFINITY,
      (o: (typeof drawn)[number]) => o.crashes.everySeconds < Number.POSITIVE_INFINITY,
      (o: (typeof drawn)[number]) => o.pauses.everySeconds < Number.POSITIVE_INFINITY,
      (o: (typeof drawn)[number]) => o.partitions.everySeconds < Number.POSITIVE_INFINITY,
      (o: (typeof drawn)[number]) => o.disk.hangs.everySeconds < Number.POSITIVE_INFINITY,
      (o: (typeof drawn)[number]) => o.disk.failures.everySeconds < Number.POSITIVE_INFINITY,
    ]) {
      expect(share(has)).toBeGreaterThan(0.05);
      expect(share(has)).toBeLessThan(0.95);
    }
  });
});
