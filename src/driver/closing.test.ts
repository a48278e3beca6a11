/** The end of a driver, and what a group tells of itself. */
import { describe, expect, it } from "vitest";
import { emptyBytes } from "../core/bytes.ts";
import { agentId, term, type Micros } from "../core/ids.ts";
import type { QueryAnswer } from "./hosted.ts";
import { main, peer, self, World } from "./test-world.ts";

describe("the end", () => {
  it("closes the journal, refuses queries and runs nothing after", () => {
    const world = new World().host();
    world.settle();
    const answers: QueryAnswer[] = [];
    world.group.query(Uint8Array.of(1), "local", (answer) => answers.push(answer));
    let closed = 0;
    world.driver.close(() => (closed += 1));
    world.driver.close(() => (closed += 1));
    world.say("late");
    world.advance(1e6);
    expect(closed).toBe(2);
    expect(world.journal.closed).toBe(true);
    expect(answers).toEqual([{ kind: "refused", refusal: { kind: "closed" } }]);
    expect(world.core.heard).toEqual([]);
  });

  it("drops what still waits for a group that is closed", () => {
    const world = new World().host();
    world.settle();
    world.say("too late");
    world.group.close();
    world.settle();
    expect(world.core.heard).toEqual([]);
  });

  it("tells how a group is, and how long its leader has been silent", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) =>
      out.events.push({ kind: "role", role: "follower", term: term(3), leader: peer });
    world.say("append");
    world.settle();
    expect(world.told).toEqual(["status follower b"]);
    world.core.onReceive = () => {};
    world.core.deadline = 1e6 as Micros;
    world.advance(5000);
    world.driver.receive(agentId("c"), main, { kind: "hello", text: "from another" });
    world.settle();
    expect(world.group.status()).toMatchObject({ mechanism: "scripted", self, lagMs: 5, diskFull: false });
    world.say("from the leader");
    world.settle();
    expect(world.group.status().lagMs).toBe(0);
  });

  it("campaigns by hand, and gives digest and changes of the state", () => {
    const world = new World().host();
    world.group.campaign();
    world.settle();
    expect(world.core.heard).toEqual(["campaign"]);
    expect(world.group.digest()).toHaveLength(16);
    expect(world.group.changes(emptyBytes, 1, 10)).toEqual({ kind: "changes", changes: [], through: 0 });
  });
});
