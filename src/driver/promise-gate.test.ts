import { describe, expect, it } from "vitest";
import fc from "fast-check";
import type { Send } from "../core/boundary.ts";
import { agentId, recordNumber } from "../core/ids.ts";
import { PromiseGate } from "./promise-gate.ts";

const send = (message: number): Send<number> => ({ to: agentId("b"), channel: "stream", message });

function gateFrom(durable: number): { gate: PromiseGate<number>; left: number[] } {
  const left: number[] = [];
  return { gate: new PromiseGate<number>(durable, ({ message }) => left.push(message)), left };
}

describe("the gate of promises", () => {
  it("D3: lets a promise through once its record is durable, and those before it first", () => {
    const { gate, left } = gateFrom(0);
    gate.add(send(1), 1);
    gate.add(send(2), 3);
    gate.add(send(3), 3);
    expect(left).toEqual([]);
    gate.durable(recordNumber(2));
    expect(left).toEqual([1]);
    expect(gate.waiting).toBe(2);
    gate.durable(recordNumber(3));
    expect(left).toEqual([1, 2, 3]);
  });

  it("D3: lets it through at once where everything is durable", () => {
    const { gate, left } = gateFrom(7);
    gate.add(send(1), 7);
    expect(left).toEqual([1]);
  });

  it("refuses a promise that would overtake, and durability that is taken back", () => {
    const { gate } = gateFrom(0);
    gate.add(send(1), 5);
    expect(() => gate.add(send(2), 4)).toThrow(/no earlier record/);
    gate.durable(recordNumber(5));
    expect(() => gate.durable(recordNumber(4))).toThrow(/stays durable/);
  });

  it("pitfall 1: D3: in any order of pushes and syncs, promises leave in order and none too early", () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant("push" as const), records: fc.nat(2) }),
      fc.record({ kind: fc.constant("sync" as const), back: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), (events) => {
        let pushed = 0;
        let durable = 0;
        const needs: number[] = [];
        const left: number[] = [];
        const gate = new PromiseGate<number>(0, ({ message }) => {
          expect(needs[message]!).toBeLessThanOrEqual(durable);
          left.push(message);
        });
        for (const happened of events) {
          if (happened.kind === "push") {
            pushed += happened.records;
            needs.push(pushed);
            gate.add(send(needs.length - 1), pushed);
          } else if (pushed - happened.back > durable) {
            durable = pushed - happened.back;
            gate.durable(recordNumber(durable));
          }
          expect(left).toEqual([...needs.keys()].filter((at) => needs[at]! <= durable));
        }
      }),
    );
  });
});
