/**
 * Goal: stories on which others have stumbled end well here. Method: each is played with a few seeds; docs/pitfalls.md names
 * the planted bug that makes it fail. Before that, stories that must fail show that the stage notices.
 */
import { describe, expect, it } from "vitest";
import { drawOptions } from "./options.ts";
import { replayCommand } from "./report.ts";
import { pass, throughout, within, type Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { Simulation, type RunResult } from "./simulation.ts";

function play(scenario: Scenario, seed: number): RunResult {
  return new Simulation(drawOptions(seed, { scenario }), { scenario }).run();
}

function story(script: Scenario["script"]): Scenario {
  return { name: "a-story", title: "A story", script };
}

describe("a story", () => {
  it("ends well where everything comes true, and the cluster has converged then", () => {
    const { failure, counts } = play(
      story(function* (stage) {
        const leader = yield* stage.atWork();
        yield throughout(1, "it leads on", () => leader.leads());
      }),
      1,
    );
    expect(failure).toBeUndefined();
    expect(counts.simulatedSeconds).toBeGreaterThan(1);
    expect(counts.commands).toBeGreaterThan(30);
  });

  it("fails where something does not come true in its time", () => {
    const { failure, counts } = play(
      story(function* () {
        yield within(2, "pigs fly", () => false);
      }),
      1,
    );
    expect(failure).toMatchObject({ invariant: "expectation", detail: "not within 2 s: pigs fly" });
    expect(counts.simulatedSeconds).toBeCloseTo(2);
  });

  it("fails where something is over too early", () => {
    const { failure } = play(
      story(function* (stage) {
        const leader = yield* stage.atWork();
        stage.crash(leader, "kill");
        yield throughout(2, "nobody leads", () => stage.leader === undefined);
      }),
      1,
    );
    expect(failure?.detail).toMatch(/^after 0\.\d{3} of 2 s no longer: nobody leads$/);
  });

  it("that cannot go on fails, like any other code that throws", () => {
    const { failure } = play(
      story(function* () {
        yield pass(0.1);
        throw new Error("the author forgot the end");
      }),
      1,
    );
    expect(failure).toMatchObject({ invariant: "noCrash", detail: "the author forgot the end" });
  });

  it("is the same story with the same seed, and another with another", () => {
    const [scenario] = scenarios as [Scenario];
    expect(play(scenario, 5).hash).toBe(play(scenario, 5).hash);
    expect(play(scenario, 5).hash).not.toBe(play(scenario, 6).hash);
    expect(replayCommand(5, { scenario })).toBe(`npm run sim -- --seed 5 --scenario ${scenario.name}`);
  });
});

describe("the stories", () => {
  it("have names for the command line, each its own", () => {
    for (const { name } of scenarios) expect(name).toMatch(/^[a-z\d]+(-[a-z\d]+)*$/);
    expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
  });

  it.each(scenarios.map((scenario) => [scenario.title, scenario] as const))("%s", (_title, scenario) => {
    for (const seed of [1, 2]) {
      const { failure } = play(scenario, seed);
      expect(failure?.detail, `seed ${seed}: ${failure?.invariant}`).toBeUndefined();
    }
  });
});
