/** What one turn of the loop takes, and how it ends. */
import { describe, expect, it } from "vitest";
import { groupName, term } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { membersOf } from "../core/members.ts";
import { command, hello, peer, self, World } from "./test-world.ts";

describe("a turn", () => {
  it("pitfall 19: D1: inputs never run inside the call that brings them; one turn takes all that wait, in order", () => {
    const world = new World().host();
    world.settle();
    world.say("one");
    world.say("two");
    world.driver.linkChanged(peer, false);
    expect(world.core.heard).toEqual([]);
    expect(world.soon).toHaveLength(1);
    world.turn();
    expect(world.core.heard).toEqual(["receive one", "receive two", "link b down"]);
    expect(world.soon).toHaveLength(0);
  });

  it("D2: a turn of many inputs ends in one flush of the journal, then one of the network", () => {
    const world = new World().host();
    world.settle();
    const before = { journal: world.journal.flushes, network: world.flushes };
    world.core.onReceive = (text, out) => {
      out.records.push({ text });
      out.sends.push(hello(text));
    };
    for (const text of ["1", "2", "3"]) world.say(text);
    world.turn();
    expect(world.journal.records).toHaveLength(3);
    expect(world.sent).toEqual(["b: 1", "b: 2", "b: 3"]);
    expect(world.journal.flushes).toBe(before.journal + 1);
    expect(world.flushes).toBe(before.network + 1);
  });

  it("D1: takes no more inputs than its limit, and the rest in the next turn", () => {
    const world = new World().host();
    world.settle();
    for (let count = 0; count < limits.inputsPerTurnMax + 2; count++) world.say("x");
    world.turn();
    expect(world.core.heard).toHaveLength(limits.inputsPerTurnMax);
    world.turn();
    expect(world.core.heard).toHaveLength(limits.inputsPerTurnMax + 2);
  });

  it("D1: what an observer asks for within a turn waits for the next turn", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) =>
      out.events.push({ kind: "role", role: "leader", term: term(1), leader: self });
    world.say("elected");
    world.turn();
    world.group.propose([command(1)], { onlyAsLeader: true });
    expect(world.core.heard).toEqual(["receive elected"]);
    world.turn();
    expect(world.core.heard).toEqual(["receive elected", "propose 1"]);
  });

  it("tells the observer of other members as it tells of another role", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) => {
      out.events.push({ kind: "members", members: membersOf([self, peer]) });
      out.events.push({ kind: "role", role: "follower", term: term(1), leader: peer });
    };
    world.say("joined");
    world.turn();
    expect(world.told).toEqual(["members a b", "status follower b"]);
  });

  it("drops a message for a group that is not hosted here", () => {
    const world = new World().host();
    world.settle();
    world.driver.receive(peer, groupName("other"), { kind: "hello", text: "?" });
    expect(world.soon).toHaveLength(0);
  });
});
