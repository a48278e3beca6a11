import { describe, expect, test } from "vitest";
import { canFollow, type DecisionState } from "../../src/core/decision.ts";
import { QuorateError, type ErrorOutcome } from "../../src/core/errors.ts";
import { LogDecision } from "../../src/runtime/face/decision.ts";

interface Controlled {
  readonly decision: LogDecision<string>;
  readonly decide: (value: string) => void;
  readonly fail: (error: unknown) => void;
}

function controlled(): Controlled {
  const hooks: Partial<Pick<Controlled, "decide" | "fail">> = {};
  const result = new Promise<string>((decide, fail) => Object.assign(hooks, { decide, fail }));
  const { decide, fail } = hooks;
  if (decide === undefined || fail === undefined) throw new Error("a promise runs its executor at once");
  return { decision: new LogDecision("id-1", result), decide, fail };
}

async function collect(states: AsyncIterable<DecisionState>): Promise<DecisionState[]> {
  const seen: DecisionState[] = [];
  for await (const state of states) seen.push(state);
  return seen;
}

function error(code: "TIMEOUT" | "OVERLOADED", outcome: ErrorOutcome): QuorateError {
  return new QuorateError(code, "It failed.", { outcome, hint: "" });
}

const whole: DecisionState[] = ["pending", "proposed", "prepare", "commit", "decided"];

describe("the states of a decision", () => {
  test("a decided proposal passes every state, and each may follow the one before", async () => {
    const { decision, decide } = controlled();
    expect(decision.state).toBe("pending");
    const states = collect(decision.states());
    decide("v");
    expect(await states).toEqual(whole);
    for (const [place, state] of whole.slice(1).entries()) expect(canFollow(whole[place]!, state)).toBe(true);
    expect(decision.state).toBe("decided");
    expect(await decision.result()).toBe("v");
  });

  test("several readers, early and late, see the same", async () => {
    const { decision, decide } = controlled();
    const early = [collect(decision.states()), collect(decision.states())];
    decide("v");
    expect(await Promise.all(early)).toEqual([whole, whole]);
    expect(await collect(decision.states())).toEqual(whole);
  });

  test("the first state is there at once; the next only when it is so", async () => {
    const { decision, decide } = controlled();
    const states = decision.states();
    expect(await states.next()).toEqual({ done: false, value: "pending" });
    const next = states.next();
    decide("v");
    expect(await next).toEqual({ done: false, value: "proposed" });
  });

  test("certainly not done is `rejected`, and final", async () => {
    const { decision, fail } = controlled();
    const states = collect(decision.states());
    fail(error("OVERLOADED", "notDone"));
    expect(await states).toEqual(["pending", "rejected"]);
    expect(decision.state).toBe("rejected");
    await expect(decision.result()).rejects.toMatchObject({ code: "OVERLOADED" });
  });

  test("an unknown outcome is no state: readers get the error", async () => {
    const { decision, fail } = controlled();
    const states = collect(decision.states());
    fail(error("TIMEOUT", "unknown"));
    await expect(states).rejects.toMatchObject({ code: "TIMEOUT", outcome: "unknown" });
    expect(decision.state).toBe("pending");
    await expect(collect(decision.states())).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("a decision that nobody looks at is no unhandled rejection", async () => {
    const { fail } = controlled();
    fail(error("TIMEOUT", "unknown"));
    // An unhandled rejection would fail the test run.
    await new Promise((resolve) => setImmediate(resolve));
    expect(true).toBe(true);
  });
});
