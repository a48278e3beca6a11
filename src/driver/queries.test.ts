/** Questions to the state: at once, or once the core says that it is readable. */
import { describe, expect, it } from "vitest";
import type { Ticket } from "../core/ids.ts";
import type { QueryAnswer } from "./hosted.ts";
import { peer, World } from "./test-world.ts";

describe("queries", () => {
  const ask = (world: World, at: "linearizable" | "local", answers: QueryAnswer[]) =>
    world.group.query(Uint8Array.of(42), at, (answer) => answers.push(answer));

  it("D10: a local one is answered in the next turn, from the state as applied", () => {
    const world = new World().host();
    world.settle();
    const answers: QueryAnswer[] = [];
    ask(world, "local", answers);
    expect(answers).toEqual([]);
    world.turn();
    expect(answers).toEqual([{ kind: "reply", bytes: Uint8Array.of(42, 0) }]);
  });

  it("D10: one ticket stands for all of a turn; they are answered when the core says so, and not before", () => {
    const world = new World().host();
    world.settle();
    world.core.onRead = () => ({ kind: "ticket", ticket: 5 as Ticket });
    const answers: QueryAnswer[] = [];
    ask(world, "linearizable", answers);
    ask(world, "linearizable", answers);
    world.turn();
    ask(world, "linearizable", answers);
    world.turn();
    expect(world.core.heard).toEqual(["read", "read"]);
    expect(answers).toEqual([]);
    world.core.onReceive = (_, out) => out.events.push({ kind: "readable", ticket: 5 as Ticket });
    world.say("confirmed");
    world.turn();
    expect(answers).toHaveLength(3);
  });

  it("pitfall 11: D19: a core is asked with the time as it is then, not as it was when the turn began", () => {
    const world = new World().host();
    world.settle();
    ask(world, "linearizable", []);
    world.core.onReceive = () => {
      world.time += 500;
    };
    world.say("something that takes long");
    world.turn();
    expect(world.core.readAt).toBe(world.time);
  });

  it("D10: a core that finds it readable within the call is heard too", () => {
    const world = new World().host();
    world.settle();
    world.core.onRead = (out) => {
      out.events.push({ kind: "readable", ticket: 1 as Ticket });
      return { kind: "ticket", ticket: 1 as Ticket };
    };
    const answers: QueryAnswer[] = [];
    ask(world, "linearizable", answers);
    world.turn();
    expect(answers).toHaveLength(1);
  });

  it("D10: refusals reach the caller: at once, later, or because the group closes", () => {
    const world = new World().host();
    world.settle();
    const answers: QueryAnswer[] = [];
    ask(world, "linearizable", answers);
    world.turn();
    expect(answers).toEqual([{ kind: "refused", refusal: { kind: "notLeader" } }]);
    world.core.onRead = () => ({ kind: "ticket", ticket: 2 as Ticket });
    ask(world, "linearizable", answers);
    world.turn();
    world.core.onReceive = (_, out) =>
      out.events.push({
        kind: "readRefused",
        ticket: 2 as Ticket,
        refusal: { kind: "notLeader", leader: peer },
      });
    world.say("stepped down");
    world.turn();
    expect(answers[1]).toEqual({ kind: "refused", refusal: { kind: "notLeader", leader: peer } });
    ask(world, "linearizable", answers);
    ask(world, "local", answers);
    world.group.close();
    ask(world, "local", answers);
    expect(answers).toHaveLength(2);
    world.settle();
    expect(answers.slice(2)).toEqual(
      Array.from({ length: 3 }, () => ({ kind: "refused", refusal: { kind: "closed" } })),
    );
  });
});
