/** What people ask of the leader: each order reaches the core once, and whoever gave it hears what became of it. */
import { describe, expect, it } from "vitest";
import type { PeerStatus } from "../core/boundary.ts";
import { agentId, logIndex, type AgentId, type Micros } from "../core/ids.ts";
import { membersOf } from "../core/members.ts";
import type { WireVersion } from "../core/wire-version.ts";
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

describe("orders that a member's version of the wire does not know", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => agentId(name)) as [
    AgentId,
    AgentId,
    AgentId,
    AgentId,
  ];
  const toAnybody: Order = { kind: "transfer", to: undefined };

  /** A leader of a, b and c, of whom c has more of the log. */
  function leading(...versions: [AgentId, WireVersion][]): World {
    const world = new World().host();
    world.settle();
    world.core.onOrder = () => ({ kind: "accepted" });
    const peer = (id: AgentId, matched: number): PeerStatus => {
      return { id, matched: logIndex(matched), mode: "replicate", heardAt: 0 as Micros };
    };
    world.core.standing = { role: "leader", members: membersOf([a, b, c]), peers: [peer(b, 3), peer(c, 7)] };
    for (const [id, version] of versions) world.versions.set(id, version);
    return world;
  }

  it("D18: members don't change while one of them, or who joins, speaks an earlier version", () => {
    for (const tooOld of [b, d]) {
      const world = leading([b, 2], [c, 2], [d, 2], [tooOld, 1]);
      const results = given(world, add);
      world.settle();
      expect(results).toEqual([{ kind: "notReady", agents: [tooOld] }]);
      expect(world.core.heard).toEqual([]);
    }
  });

  it("D18: whoever is not heard from does not stand in the way", () => {
    const world = leading([b, 2]);
    const results = given(world, add);
    world.settle();
    expect(results).toEqual([{ kind: "accepted" }]);
    expect(world.core.heard).toEqual(["voter d"]);
  });

  it("D18: leadership goes to nobody who would not hear of it, and to the best of the others", () => {
    const world = leading([b, 2], [c, 1]);
    const results = given(world, { kind: "transfer", to: c }, toAnybody, { kind: "transfer", to: b });
    world.settle();
    expect(results).toEqual([{ kind: "notReady", agents: [c] }, { kind: "accepted" }, { kind: "accepted" }]);
    expect(world.core.heard).toEqual(["transfer to b", "transfer to b"]);
  });

  it("D18: where none of the others is new enough, it goes to nobody", () => {
    const world = leading([b, 1], [c, 1]);
    const results = given(world, toAnybody);
    world.settle();
    expect(results).toEqual([{ kind: "notReady", agents: [b, c] }]);
  });

  it("D18: among members of the newest version the core chooses", () => {
    const world = leading([b, 2], [c, 2]);
    given(world, toAnybody);
    world.settle();
    expect(world.core.heard).toEqual(["transfer to anybody"]);
  });

  it("D18: whoever does not lead says that, and nothing else", () => {
    const world = leading([b, 1]);
    world.core.standing = {};
    world.core.onOrder = () => ({ kind: "notLeader" });
    const results = given(world, add);
    world.settle();
    expect(results).toEqual([{ kind: "notLeader" }]);
  });
});
