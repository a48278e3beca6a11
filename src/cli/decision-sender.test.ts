import { describe, expect, test } from "vitest";

import { QuorateError } from "../core/errors.ts";
import { DecisionSender } from "./decision-sender.ts";
import type { FileDecision } from "./decisions.ts";

const never = new AbortController().signal;

function decisionsOf(count: number): FileDecision[] {
  return Array.from({ length: count }, (_, at) => ({ line: at + 1, id: `d-${at + 1}`, value: at + 1 }));
}

/** A group that decides when it is told to. */
class Desk {
  readonly handedIn: { value: unknown; requestId: string | undefined; settle: (error?: Error) => void }[] =
    [];

  async propose(value: unknown, requestId: string | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      this.handedIn.push({ value, requestId, settle });
    });
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("sending decisions", () => {
  test("they are handed in in order, with their ids, no more at a time than allowed", async () => {
    const desk = new Desk();
    const sender = new DecisionSender({
      decisions: decisionsOf(5),
      concurrency: 2,
      propose: async (value, id) => desk.propose(value, id),
    });
    const done = sender.run(never);
    expect(desk.handedIn.map((call) => call.value)).toEqual([1, 2]);
    expect(sender.inFlight).toBe(2);
    for (let at = 0; at < 5; at++) {
      desk.handedIn[at]!.settle();
      await turn();
      expect(sender.inFlight).toBeLessThanOrEqual(2);
    }
    await done;
    expect(desk.handedIn.map((call) => call.requestId)).toEqual(["d-1", "d-2", "d-3", "d-4", "d-5"]);
    expect([sender.decided, sender.notSent, sender.latencies.count]).toEqual([5, 0, 5]);
  });

  test("after an unknown one no more are sent, and those on their way are counted as what they become", async () => {
    const desk = new Desk();
    const sender = new DecisionSender({
      decisions: decisionsOf(10),
      concurrency: 3,
      propose: async (value, id) => desk.propose(value, id),
    });
    const done = sender.run(never);
    desk.handedIn[0]!.settle(
      new QuorateError("TIMEOUT", "late", { outcome: "unknown", hint: "", requestId: "d-1" }),
    );
    await turn();
    desk.handedIn[1]!.settle(new QuorateError("NO_QUORUM", "alone", { outcome: "notDone", hint: "" }));
    desk.handedIn[2]!.settle();
    await done;
    expect(sender.unknown.map(({ decision }) => decision.id)).toEqual(["d-1"]);
    expect(sender.failed.map(({ decision }) => decision.id)).toEqual(["d-2"]);
    expect([sender.decided, sender.notSent]).toEqual([1, 7]);
    // Each is counted once.
    expect(sender.decided + sender.unknown.length + sender.failed.length + sender.notSent).toBe(sender.total);
  });

  test("an error that nobody expected leaves the outcome unknown", async () => {
    const sender = new DecisionSender({
      decisions: decisionsOf(1),
      concurrency: 1,
      propose: async () => Promise.reject(new TypeError("bug")),
    });
    await sender.run(never);
    expect(sender.unknown).toHaveLength(1);
  });

  test("an interrupt sends no more", async () => {
    const desk = new Desk();
    const controller = new AbortController();
    const sender = new DecisionSender({
      decisions: decisionsOf(4),
      concurrency: 1,
      propose: async (value, id) => desk.propose(value, id),
      requestIdOf: (decision) => `run-${decision.line}`,
      onDecided: () => controller.abort(),
    });
    const done = sender.run(controller.signal);
    desk.handedIn[0]!.settle();
    await done;
    expect([sender.decided, sender.notSent]).toEqual([1, 3]);
    expect(desk.handedIn[0]!.requestId).toBe("run-1");
  });

  test("nothing to send is done at once", async () => {
    const sender = new DecisionSender({ decisions: [], concurrency: 64, propose: async () => undefined });
    await sender.run(never);
    expect([sender.decided, sender.total]).toEqual([0, 0]);
  });
});
