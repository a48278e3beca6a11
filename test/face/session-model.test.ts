import fc from "fast-check";
import { expect, test } from "vitest";
import { QuorateError } from "../../src/core/errors.ts";
import { checkCall } from "../../src/runtime/face/options.ts";
import { writeBytes } from "../../src/runtime/face/pending-command.ts";
import { SessionClient } from "../../src/runtime/face/session-client.ts";
import { Waiters } from "../../src/runtime/face/waiters.ts";
import { FakeClock, settle } from "./support/fake-clock.ts";
import { FakeGateway } from "./support/fake-gateway.ts";

type Step =
  | { kind: "call"; count: number; timeoutMs: number; hasId: boolean; asLeader: boolean }
  | { kind: "deliver" | "lose" | "repeat" | "tear"; place: number }
  | { kind: "refuse"; place: number; keep: number; why: "overloaded" | "notLeader" }
  | { kind: "interrupt" | "expire" | "tick" }
  | { kind: "answers"; lost: boolean }
  | { kind: "advance"; ms: number }
  | { kind: "abort"; call: number };

const place = fc.constantFrom(0, 0, 0, 1, 1, 2, 3);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("call" as const),
      count: fc.integer({ min: 1, max: 6 }),
      timeoutMs: fc.constantFrom(30, 300, 5000),
      hasId: fc.boolean(),
      asLeader: fc.boolean(),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("deliver" as const), place }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("lose" as const, "repeat" as const, "tear" as const),
      place,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("refuse" as const),
      place,
      keep: fc.nat({ max: 3 }),
      why: fc.constantFrom("overloaded" as const, "notLeader" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("interrupt" as const, "tick" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("expire" as const, "tick" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("answers" as const), lost: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      ms: fc.constantFrom(1, 5, 40, 40, 300, 1500, 20_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), call: fc.nat({ max: 30 }) }) },
);

interface Made {
  readonly text: string;
  readonly controller: AbortController;
  fate: { kind: "open" } | { kind: "done" } | { kind: "notLeader" } | { kind: "failed"; error: QuorateError };
}

class Run {
  readonly clock: FakeClock;
  readonly gateway = new FakeGateway();
  readonly session: SessionClient;
  readonly calls: Made[] = [];

  constructor(seed: number) {
    this.clock = new FakeClock(seed);
    const { clock, gateway } = this;
    const waiters = new Waiters(clock);
    this.session = new SessionClient({
      gateway,
      clock,
      waiters,
      proposer: "ann",
      unsettledMax: 8,
      lineMax: 40,
    });
    const { session } = this;
    gateway.listen({
      answered: (...told) => session.answered(...told),
      refused: (...told) => session.refused(...told),
      progressed: (...told) => session.progressed(...told),
      interrupted: () => session.interrupted(),
      statusChanged: () => {},
      closed: () => {},
    });
  }

  /** Most of what can go wrong is in an open session. */
  async open(): Promise<void> {
    this.take({ kind: "call", count: 1, timeoutMs: 5000, hasId: false, asLeader: false });
    for (let round = 0; round < 2; round++) {
      this.clock.tick();
      this.gateway.deliverAll();
    }
    await settle();
  }

  take(one: Step): void {
    const { gateway, clock } = this;
    switch (one.kind) {
      case "call":
        for (let made = 0; made < one.count; made++) this.#call(one);
        break;
      case "deliver":
      case "lose":
      case "repeat":
      case "tear":
        if (one.place < gateway.inFlight.length) gateway[one.kind](one.place);
        break;
      case "refuse":
        if (one.place < gateway.inFlight.length) this.#refuse(one);
        break;
      case "interrupt":
        gateway.interrupt();
        break;
      case "expire":
        gateway.expireSessions();
        break;
      case "tick":
        clock.tick();
        break;
      case "answers":
        gateway.losesAnswers = one.lost;
        break;
      case "advance":
        clock.advance(one.ms);
        break;
      case "abort":
        this.calls[one.call]?.controller.abort();
        break;
    }
  }

  /** The network behaves from now on: everything must come to an end. */
  async heal(): Promise<void> {
    this.gateway.losesAnswers = false;
    for (let round = 0; round < 60; round++) {
      this.clock.advance(300);
      this.gateway.deliverAll();
      await settle();
      if (this.calls.every(({ fate }) => fate.kind !== "open")) break;
    }
  }

  #call(one: Extract<Step, { kind: "call" }>): void {
    const text = `${this.calls.length}`;
    const made: Made = { text, controller: new AbortController(), fate: { kind: "open" } };
    this.calls.push(made);
    const options = {
      timeoutMs: one.timeoutMs,
      signal: made.controller.signal,
      ...(one.hasId && { requestId: `id-${text}` }),
    };
    const command = {
      machine: "m",
      write: writeBytes(new TextEncoder().encode(text)),
      decode: (answer: Uint8Array) => {
        expect(new TextDecoder().decode(answer)).toBe(text);
        return true;
      },
      ...(one.asLeader && { unlessLeader: { value: false } }),
    };
    this.session.run(command, checkCall(options)).then(
      (done) => (made.fate = done ? { kind: "done" } : { kind: "notLeader" }),
      (error: unknown) => {
        if (!(error instanceof QuorateError)) throw error;
        made.fate = { kind: "failed", error };
      },
    );
  }

  #refuse(one: Extract<Step, { kind: "refuse" }>): void {
    // A refusal is the word about one handing-in, so a gateway gives none for what was repeated on its way.
    const batch = this.gateway.inFlight[one.place];
    if (batch?.commands.some((command) => this.gateway.repeated.has(command)) !== false) return;
    const refusal =
      one.why === "overloaded"
        ? ({ kind: "overloaded", inFlight: 1, inFlightMax: 1 } as const)
        : ({ kind: "notLeader" } as const);
    this.gateway.refuse(refusal, one.place, one.keep);
  }
}

/** Whether the command must have been applied, going by what its caller was told; anything, where the outcome is unknown. */
function expected(fate: Made["fate"], isApplied: boolean): boolean {
  if (fate.kind === "done") return true;
  if (fate.kind === "notLeader") return false;
  return fate.kind === "failed" && fate.error.outcome === "unknown" ? isApplied : false;
}

test("exactly once and in order, whatever is lost, repeated, torn, refused, interrupted, aborted or closed", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1 }),
      fc.boolean(),
      fc.array(step, { maxLength: 100, size: "max" }),
      async (seed, isOpen, steps) => {
        const run = new Run(seed);
        if (isOpen) await run.open();
        for (const one of steps) {
          run.take(one);
          // Calls one after the other are those of one tick.
          if (one.kind !== "call") run.clock.tick();
          await Promise.resolve();
        }
        await run.heal();

        const applied = run.gateway.applied.map(({ text }) => Number(text));
        expect(new Set(applied).size, "nothing is applied twice").toBe(applied.length);
        expect(applied, "in the order of the calls").toEqual(applied.toSorted((a, b) => a - b));
        for (const { text, fate } of run.calls) {
          const isApplied = applied.includes(Number(text));
          expect(fate.kind, "every call ends").not.toBe("open");
          expect(isApplied, `a call that ended as ${JSON.stringify(fate)}`).toBe(expected(fate, isApplied));
        }
        expect(run.clock.keepsAlive, "nobody waits any more").toBe(false);
      },
    ),
    { numRuns: 400 },
  );
});
