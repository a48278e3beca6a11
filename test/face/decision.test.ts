import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decisionStates,
  progressStates,
  type DecisionState,
  type ProgressState,
} from "../../src/core/decision.ts";
import { QuorateError, type ErrorOutcome } from "../../src/core/errors.ts";
import { LogDecision } from "../../src/runtime/face/decision.ts";

interface Controlled {
  readonly decision: LogDecision<string>;
  /** An agent reports how far it is. */
  readonly see: (state: ProgressState) => void;
  readonly decide: (value: string) => void;
  readonly fail: (error: unknown) => void;
}

function controlled(): Controlled {
  const hooks: Partial<Omit<Controlled, "decision">> = {};
  const decision = new LogDecision("id-1", (see) => {
    Object.assign(hooks, { see });
    return new Promise<string>((decide, fail) => Object.assign(hooks, { decide, fail }));
  });
  const { see, decide, fail } = hooks;
  if (see === undefined || decide === undefined || fail === undefined)
    throw new Error("it is proposed at once");
  return { decision, see, decide, fail };
}

async function collect(states: AsyncIterable<DecisionState>): Promise<DecisionState[]> {
  const seen: DecisionState[] = [];
  for await (const state of states) seen.push(state);
  return seen;
}

function error(code: "TIMEOUT" | "OVERLOADED", outcome: ErrorOutcome): QuorateError {
  return new QuorateError(code, "It failed.", { outcome, hint: "" });
}

const whole: DecisionState[] = ["pending", "proposed", "commit", "decided"];

describe("the states of a decision", () => {
  test("are reported as they are observed, and each is there before the next is known", async () => {
    const { decision, see, decide } = controlled();
    const states = decision.states();
    expect(await states.next()).toEqual({ done: false, value: "pending" });
    for (const state of progressStates) {
      const next = states.next();
      see(state);
      expect(await next).toEqual({ done: false, value: state });
      expect(decision.state).toBe(state);
    }
    const last = states.next();
    decide("v");
    expect(await last).toEqual({ done: false, value: "decided" });
    expect(await states.next()).toEqual({ done: true, value: undefined });
    expect(decision.state).toBe("decided");
    expect(await decision.result()).toBe("v");
  });

  test("that nobody observed are left out: the answer alone says that it is decided", async () => {
    const { decision, see, decide } = controlled();
    see("prepare");
    decide("v");
    expect(await collect(decision.states())).toEqual(["pending", "prepare", "decided"]);
    const unseen = controlled();
    unseen.decide("v");
    expect(await collect(unseen.decision.states())).toEqual(["pending", "decided"]);
  });

  test("never go back, and none comes twice, whatever repeats and other agents report", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...progressStates), { maxLength: 12 }), async (reported) => {
        const { decision, see, decide } = controlled();
        const early = collect(decision.states());
        for (const state of reported) see(state);
        decide("v");
        const seen = await early;
        const ranks = seen.map((state) => decisionStates.indexOf(state));
        expect(ranks).toEqual([...new Set(ranks)].toSorted((a, b) => a - b));
        expect(seen.at(-1)).toBe("decided");
        for (const state of seen.slice(1, -1)) expect(reported).toContain(state);
      }),
      { numRuns: 200 },
    );
  });

  test("are the same for several readers; a late one gets those seen so far, then the rest", async () => {
    const { decision, see, decide } = controlled();
    const early = [collect(decision.states()), collect(decision.states())];
    see("proposed");
    await Promise.resolve();
    const late = decision.states();
    expect((await late.next()).value).toBe("pending");
    expect((await late.next()).value).toBe("proposed");
    const next = late.next();
    see("commit");
    expect((await next).value).toBe("commit");
    decide("v");
    expect(await Promise.all(early)).toEqual([whole, whole]);
    expect(await collect(late)).toEqual(["decided"]);
    expect(await collect(decision.states())).toEqual(whole);
  });

  test("end with the answer: what is reported later is not heard", async () => {
    const { decision, see, decide, fail } = controlled();
    decide("v");
    await decision.result();
    see("commit");
    expect(await collect(decision.states())).toEqual(["pending", "decided"]);
    fail(new Error("too late"));
    const lost = controlled();
    lost.see("prepare");
    lost.fail(error("TIMEOUT", "unknown"));
    await expect(collect(lost.decision.states())).rejects.toMatchObject({ code: "TIMEOUT" });
    lost.see("commit");
    expect(lost.decision.state).toBe("prepare");
  });

  test("that a command which the machine turned down went through are told, and `rejected` ends them", async () => {
    const { decision, see, fail } = controlled();
    for (const state of progressStates) see(state);
    fail(error("OVERLOADED", "notDone"));
    expect(await collect(decision.states())).toEqual(["pending", ...progressStates, "rejected"]);
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
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    const { fail } = controlled();
    fail(error("TIMEOUT", "unknown"));
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });
});
