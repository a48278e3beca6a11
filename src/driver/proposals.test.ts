/** How callers' commands reach a core, and what they hear of those that did not. */
import { describe, expect, it } from "vitest";
import { entrySequence } from "../core/entry.ts";
import { term } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { command, self, World } from "./test-world.ts";

describe("proposals", () => {
  it("D7: all commands that wait are proposed in one call, in order", () => {
    const world = new World().host();
    world.settle();
    const sequences: number[] = [];
    world.core.onPropose = (commands) => {
      for (const each of commands) sequences.push(entrySequence(each, 0));
      return { kind: "accepted", count: commands.length };
    };
    for (let sequence = 1; sequence <= 10; sequence++)
      world.group.propose([command(sequence)], { onlyAsLeader: false });
    world.turn();
    expect(world.core.heard).toEqual(["propose 10"]);
    expect(sequences).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("D7: of many commands a turn takes some, in order, and the next turns the others", () => {
    const world = new World().host();
    world.settle();
    const turnMax = limits.commandsPerTurnMax;
    const sequences: number[] = [];
    world.core.onPropose = (commands) => {
      sequences.push(...commands.map((bytes) => entrySequence(bytes, 0)));
      return { kind: "accepted", count: commands.length };
    };
    const all = Array.from({ length: 2 * turnMax + 1 }, (_, at) => at + 1);
    world.group.propose(
      all.map((sequence) => command(sequence)),
      { onlyAsLeader: false },
    );
    world.turn();
    expect(world.core.heard).toEqual([`propose ${turnMax}`]);
    world.settle();
    expect(world.core.heard).toEqual([`propose ${turnMax}`, `propose ${turnMax}`, "propose 1"]);
    expect(sequences).toEqual(all);
  });

  it("D7: more bytes than a batch may hold go in several calls", () => {
    const world = new World().host();
    world.settle();
    const half = limits.batchBytesMax / 2;
    world.group.propose([command(1, half), command(2, half), command(3, 10)], { onlyAsLeader: false });
    world.turn();
    expect(world.core.heard).toEqual(["propose 1", "propose 2"]);
  });

  it("D8: a batch that is refused is refused command by command; a part that was accepted is not", () => {
    const world = new World().host();
    world.settle();
    let room = 2;
    world.core.onPropose = (commands) => {
      if (room === 0) return { kind: "overloaded", inFlight: 2, inFlightMax: 2 };
      const count = Math.min(room, commands.length);
      room -= count;
      return { kind: "accepted", count };
    };
    world.group.propose([command(1), command(2), command(3), command(4)], { onlyAsLeader: false });
    world.turn();
    expect(world.told).toEqual(["refused 7/3 overloaded", "refused 7/4 overloaded"]);
  });

  it("D8: a follower refuses what is for the leader only, and forwards the rest", () => {
    const world = new World().host();
    world.settle();
    world.group.propose([command(1)], { onlyAsLeader: true });
    world.group.propose([command(2)], { onlyAsLeader: false });
    world.turn();
    expect(world.told).toEqual(["refused 7/1 notLeader"]);
    expect(world.core.heard).toEqual(["propose 1"]);
  });

  it("D8: a leader proposes nothing while the disk is full; a follower, which only forwards, does", () => {
    const world = new World().host();
    world.settle();
    world.journal.diskFull = true;
    world.group.propose([command(1)], { onlyAsLeader: false });
    world.turn();
    expect(world.told).toEqual([]);
    expect(world.core.heard).toEqual(["propose 1"]);
    world.core.onReceive = (_, out) =>
      out.events.push({ kind: "role", role: "leader", term: term(1), leader: self });
    world.say("elected");
    world.turn();
    world.told.length = 0;
    world.core.heard.length = 0;
    world.group.propose([command(2)], { onlyAsLeader: false });
    world.turn();
    expect(world.told).toEqual(["refused 7/2 diskFull"]);
    expect(world.core.heard).toEqual([]);
  });

  it("passes on the fate of a forwarded command", () => {
    const world = new World().host();
    world.settle();
    world.core.onReceive = (_, out) =>
      out.events.push({
        kind: "refused",
        commands: [
          { session: 7, sequence: 9 },
          { session: 8, sequence: 1 },
        ],
        refusal: { kind: "overloaded", inFlight: 1, inFlightMax: 1 },
      });
    world.say("forwardRefused");
    world.turn();
    expect(world.told).toEqual(["refused 7/9 overloaded", "refused 8/1 overloaded"]);
  });
});
