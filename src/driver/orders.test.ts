/** What people ask of the leader: each order reaches the core once, and whoever gave it hears what became of it. */
import { describe, expect, it } from "vitest";
import { agentId } from "../core/ids.ts";
import type { Order, OrderResult } from "./orders.ts";
import { command, World } from "./test-world.ts";

const add: Order = { kind: "members", change: { steps: [{ kind: "voter", id: agentId("d") }] } };
const handOver: Order = { kind: "transfer", to: agentId("b") };

function given(world: World, ...orders: Order[]): OrderResult[] {
  const results: OrderResult[] = [];
  for (const order of orders) world.group.order(order, (result) => results.push(result));
  return results;
}

describe("orders", () => {
  it("D17: reach the core in their order, before what waits to be proposed, and never inside the call", () => {
    const world = new World().host();
    world.settle();
    world.group.propose([command(1, 1)], { onlyAsLeader: false });
    const results = given(world, add, handOver);
    expect(results).toEqual([]);
    expect(world.core.heard).toEqual([]);
    world.settle();
    expect(world.core.heard).toEqual(["voter d", "transfer to b", "propose 1"]);
    expect(results).toEqual([{ kind: "notLeader" }, { kind: "notLeader" }]);
    world.settle();
    expect(results).toHaveLength(2);
  });

  it("D17: what the core wants done is carried out before the answer is told", () => {
    const world = new World().host();
    world.settle();
    world.core.onOrder = (out) => {
      out.records.push({ text: "members" });
      return { kind: "accepted" };
    };
    let recordsThen = -1;
    world.group.order(add, ({ kind }) => {
      recordsThen = kind === "accepted" ? world.journal.records.length : -2;
    });
    world.settle();
    expect(recordsThen).toBe(1);
  });

  it("D17: are refused as closed where the group ends first, and after", () => {
    const world = new World().host();
    world.settle();
    const results = given(world, add);
    world.group.close();
    results.push(...given(world, handOver));
    expect(results).toEqual([]);
    const late = given(world, add);
    world.settle();
    expect([...results, ...late]).toEqual([{ kind: "closed" }, { kind: "closed" }]);
    expect(world.core.heard).toEqual([]);
  });
});
