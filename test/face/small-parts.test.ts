import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { QuorateError } from "../../src/core/errors.ts";
import { groupName } from "../../src/core/ids.ts";
import { parseRequestId, requestIdOf } from "../../src/runtime/face/call.ts";
import { DeferredGateway } from "../../src/runtime/face/deferred-gateway.ts";
import { PendingCommand } from "../../src/runtime/face/pending-command.ts";
import { Repeats, repeatMs } from "../../src/runtime/face/repeats.ts";
import { SessionWindow } from "../../src/runtime/face/session-window.ts";
import { WaitingLine } from "../../src/runtime/face/waiting-line.ts";
import type { Gateway, GatewayListener } from "../../src/runtime/gateway.ts";
import { FakeClock, settle } from "./support/fake-clock.ts";
import { FakeGateway } from "./support/fake-gateway.ts";

describe("the window of a session", () => {
  test("is a map from sequences to commands, with a lowest that is never settled", () => {
    const action = fc.oneof(
      { weight: 3, arbitrary: fc.constant({ kind: "add" as const }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("settle" as const), pick: fc.nat() }) },
      { weight: 1, arbitrary: fc.constant({ kind: "retract" as const }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 400, size: "max" }), (actions) => {
        const window = new SessionWindow<number>(200);
        const model = new Map<number, number>();
        let next = 1;
        for (const one of actions) {
          const open = [...model.keys()].toSorted((a, b) => a - b);
          if (one.kind === "add" && !window.isFull) {
            model.set(next, next * 10);
            window.add(next * 10);
            next += 1;
          } else if (one.kind === "settle" && open.length > 0) {
            const sequence = open[one.pick % open.length] ?? 0;
            window.settle(sequence);
            model.delete(sequence);
          } else if (one.kind === "retract" && open.at(-1) === next - 1) {
            window.retract();
            next -= 1;
            model.delete(next);
          }
          const lowest = Math.min(next, ...model.keys());
          expect([window.lowest, window.next, window.isEmpty]).toEqual([lowest, next, model.size === 0]);
          expect([...window.from(0)]).toEqual(
            [...model.keys()].toSorted((a, b) => a - b).map((key) => key * 10),
          );
          expect(window.unsettledAt(next)).toBe(next - lowest + 1);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("knows nothing of sequences outside it, and takes no more than it holds", () => {
    const window = new SessionWindow<string>(2);
    window.add("a");
    window.add("b");
    expect(window.isFull).toBe(true);
    expect(() => window.add("c")).toThrow(/full window/);
    expect([window.get(0), window.get(1), window.get(3)]).toEqual([undefined, "a", undefined]);
    window.settle(1);
    expect(() => window.settle(1)).toThrow(/settled once/);
  });
});

describe("the waiting line", () => {
  const owner = { expired: () => {}, aborted: () => {} };
  const pending = (): PendingCommand => {
    const command = { machine: "m", write: () => {}, decode: () => undefined };
    return new PendingCommand(owner, command, new Uint8Array(), "", undefined);
  };

  test("first come, first served; those who left are skipped; those put back come first", () => {
    const line = new WaitingLine();
    const [a, b, c, d] = [pending(), pending(), pending(), pending()];
    for (const one of [a, b, c]) line.push(one);
    b.resolve(undefined);
    line.left();
    expect(line.count).toBe(2);
    line.putBack([d]);
    expect([line.shift(), line.shift(), line.shift(), line.shift()]).toEqual([d, a, c, undefined]);
    expect(line.count).toBe(0);
  });

  test("those who leave behind one that stays don't pile up", () => {
    const line = new WaitingLine();
    const first = pending();
    line.push(first);
    for (let round = 0; round < 20_000; round++) {
      const one = pending();
      line.push(one);
      one.resolve(undefined);
      line.left();
    }
    expect(line.count).toBe(1);
    expect(line.clear()).toEqual([first]);
  });

  test("ten thousand go through in order", () => {
    const line = new WaitingLine();
    const all = Array.from({ length: 10_000 }, () => pending());
    for (const one of all) line.push(one);
    for (const one of all) expect(line.shift()).toBe(one);
  });
});

describe("repeats", () => {
  test("a rewind starts at the lowest sequence that asked for it, once, and its delay grows", () => {
    const clock = new FakeClock();
    const repeated: [number, number][] = [];
    const repeats = new Repeats(
      clock,
      (from) => repeated.push([from, clock.nowMs()]),
      () => true,
    );
    for (let round = 0; round < 8; round++) {
      repeats.rewind(9, "refused");
      repeats.rewind(5, "outOfOrder");
      expect(repeats.holdsBack).toBe(true);
      clock.advance(1000);
      expect(repeats.holdsBack).toBe(false);
    }
    expect(repeated.map(([from]) => from)).toEqual(Array.from({ length: 8 }, () => 5));
    const delays = repeated.map(([, at], round) => at - round * 1000);
    expect(delays[0]).toBeLessThan(repeatMs.backOffMin * 1.5);
    expect(Math.max(...delays)).toBeLessThanOrEqual(repeatMs.backOffMax * 1.25);
    expect(delays.at(-1)).toBeGreaterThan(delays[0] ?? 0);
  });

  test("answers end a wait for what was out of order, but not one for what was refused", () => {
    const clock = new FakeClock();
    const repeats = new Repeats(
      clock,
      () => {},
      () => true,
    );
    repeats.rewind(1, "outOfOrder");
    expect(repeats.heard()).toBe(true);
    repeats.rewind(1, "refused");
    expect(repeats.heard()).toBe(false);
    expect(repeats.holdsBack).toBe(true);
    repeats.close();
    expect(clock.timers).toBe(0);
  });
});

describe("request ids of the library's own", () => {
  test("are read back, and nothing else is", () => {
    expect(parseRequestId(requestIdOf(12, 345))).toEqual({ session: 12, sequence: 345 });
    for (const text of ["12.345", "@12", "@0.1", "@1.0", "@1.2.3", "@9999999999999999.1", "@a.b", ""]) {
      expect(parseRequestId(text)).toBeUndefined();
    }
  });
});

describe("a gateway that is still being opened", () => {
  interface World {
    readonly gateway: DeferredGateway;
    readonly told: string[];
    readonly open: (gateway: Gateway) => void;
    readonly fail: (error: unknown) => void;
  }

  function world(): World {
    const hooks: Partial<Pick<World, "open" | "fail">> = {};
    const opening = new Promise<Gateway>((open, fail) => Object.assign(hooks, { open, fail }));
    const gateway = new DeferredGateway(groupName("fake"), opening);
    const told: string[] = [];
    const listener: GatewayListener = {
      answered: () => told.push("answered"),
      refused: () => told.push("refused"),
      progressed: (_session, _sequence, state) => told.push(state),
      interrupted: () => told.push("interrupted"),
      statusChanged: (status) => told.push(`status of ${status.self}`),
      closed: (error) => told.push(`closed ${error?.code ?? ""}`),
    };
    gateway.listen(listener);
    const { open = () => {}, fail = () => {} } = hooks;
    return { gateway, told, open, fail };
  }

  test("asks later what was asked before, and tells listeners to hand in again what was dropped", async () => {
    const { gateway, told, open } = world();
    const inner = new FakeGateway();
    gateway.propose([new Uint8Array(56)]);
    gateway.query(new Uint8Array(), "local", () => {});
    const takeBack = gateway.entries(1, () => {});
    takeBack();
    expect(gateway.status()).toBeUndefined();
    open(inner);
    await settle();
    expect(inner.inFlight).toHaveLength(0);
    expect(inner.queries).toHaveLength(1);
    expect(inner.entryPolls).toHaveLength(0);
    expect(told).toEqual(["status of a", "interrupted"]);
    gateway.propose([new Uint8Array(56)], { tracked: true });
    expect(inner.inFlight).toMatchObject([{ onlyAsLeader: false, tracked: true }]);
    inner.progress("prepare");
    expect(told.pop()).toBe("prepare");
    gateway.campaign(() => {});
    expect(inner.campaigns).toHaveLength(1);
  });

  test("that can't be opened ends everything with the reason", async () => {
    const { gateway, told, fail } = world();
    const results: string[] = [];
    gateway.changes(new Uint8Array(), 1, (result) => results.push(result.kind));
    fail(new QuorateError("DATA_LOCKED", "In use.", { outcome: "notDone", hint: "" }));
    await settle();
    expect(told).toEqual(["closed DATA_LOCKED"]);
    expect(results).toEqual(["lost"]);
    gateway.refreshStatus((result) => results.push(result.kind));
    await settle();
    expect(results).toEqual(["lost", "lost"]);
  });

  test("that is closed first closes what opens after", async () => {
    const { gateway, told, open } = world();
    const inner = new FakeGateway();
    gateway.close();
    gateway.close();
    open(inner);
    await settle();
    expect(inner.closed).toBe(true);
    expect(told).toEqual(["closed "]);
  });
});
