/** Groups that sleep, as their driver sees them: who is told what of whom, how many in a turn, and that nothing else wakes them. */
import { describe, expect, it } from "vitest";
import type { Hibernation } from "../core/boundary.ts";
import { agentId, groupName, term, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { command, peer, World } from "./test-world.ts";

const stranger = agentId("z");
const hibernation: Hibernation = {
  present: [peer],
  pulseInterval: 50_000 as Micros,
  silence: 150_000 as Micros,
};
const far = 1e12 as Micros;

/** A group whose core sleeps from now on, under the leader `peer`. */
function asleep(): World {
  const world = new World().host();
  world.advance(1000);
  world.core.onReceive = (_, out) => {
    world.core.hibernation = hibernation;
    world.core.deadline = far;
    out.events.push({ kind: "role", role: "follower", term: term(1), leader: peer });
  };
  world.say("sleep");
  world.settle();
  world.core.onReceive = () => {};
  world.core.heard.length = 0;
  world.sent.length = 0;
  return world;
}

const pulses = (world: World): number => world.sent.filter((line) => line === `${peer}: pulse`).length;

describe("a group that sleeps", () => {
  it("D50: has its peer hear of this agent at the interval that it asks for, and is not woken for that", () => {
    const world = asleep();
    for (let time = 51_000; time <= 1_051_000; time += 50_000) {
      world.driver.heard(peer);
      world.advance(time);
    }
    expect(pulses(world)).toBe(21);
    expect(world.core.heard).toEqual([]);
  });

  it("D51: hears that its leader is gone once nothing came of it for as long as it allows", () => {
    const world = asleep();
    for (const time of [51_000, 101_000, 151_000]) world.advance(time);
    expect(world.core.heard).toEqual([`link ${peer} down`]);
  });

  it("D51: whatever comes of that agent counts, also for a group that is not hosted here; of another agent nothing does", () => {
    const world = asleep();
    world.advance(51_000);
    world.advance(101_000);
    world.driver.receive(peer, groupName("other"), { kind: "hello", text: "?" });
    world.advance(151_000);
    expect(world.core.heard).toEqual([]);
    world.advance(201_000);
    world.driver.heard(stranger);
    world.advance(251_000);
    world.driver.heard(stranger);
    world.advance(301_000);
    expect(world.core.heard).toEqual([`link ${peer} down`]);
  });

  it("D51: an agent that was stopped blames nobody: its peers have the whole time from then on", () => {
    const world = asleep();
    world.advance(51_000);
    world.advance(101_000);
    world.advance(9_000_000);
    expect(world.core.heard).toEqual([]);
    world.advance(9_050_000);
    expect(world.core.heard).toEqual([`link ${peer} down`]);
  });

  it("D51: hears of no silence in the very turn in which it wakes", () => {
    const world = asleep();
    world.advance(51_000);
    world.advance(101_000);
    world.core.deadline = 151_000 as Micros;
    world.core.onWake = () => {
      world.core.hibernation = undefined;
    };
    world.group.campaign();
    world.settle();
    world.core.heard.length = 0;
    world.advance(151_000);
    expect(world.failures).toEqual([]);
    expect(world.core.heard).toEqual(["wake 151000"]);
  });

  it("D51: a pulse leaves while it sleeps, and none once it is awake or closed", () => {
    const world = asleep();
    world.advance(51_000);
    world.core.hibernation = undefined;
    world.say("wake");
    world.settle();
    world.advance(500_000);
    expect(pulses(world)).toBe(1);

    const other = asleep();
    other.group.close();
    other.advance(500_000);
    expect(pulses(other)).toBe(0);
  });

  it("shows no lag behind a leader that has nothing to say", () => {
    const world = asleep();
    for (let time = 51_000; time <= 951_000; time += 50_000) {
      world.driver.heard(peer);
      world.advance(time);
    }
    expect(world.group.status().lagMs).toBeLessThan(1000);
  });
});

describe("many groups", () => {
  function hosted(count: number) {
    const world = new World();
    const cores = Array.from({ length: count }, (_, at) => {
      world.driver.host({ ...world.hosting, name: groupName(`group-${at}`) });
      return world.core;
    });
    const heard = (what: string): number =>
      cores.filter((core) => core.heard.some((line) => line.startsWith(what))).length;
    return { world, heard };
  }

  it("D52: hear of a link in slices, so that one turn stays short", () => {
    const { world, heard } = hosted(limits.linkChangesPerTurnMax + 10);
    world.settle();
    world.driver.linkChanged(peer, true);
    world.turn();
    expect(heard("link")).toBe(limits.linkChangesPerTurnMax);
    world.turn();
    expect(heard("link")).toBe(limits.linkChangesPerTurnMax + 10);
  });

  it("D53: begin a few at a time, and one that has not begun is woken by nothing", () => {
    const { world, heard } = hosted(20);
    world.driver.linkChanged(peer, true);
    world.settle();
    world.advance(1000);
    expect(heard("link")).toBe(20);
    expect(heard("wake")).toBe(8);
    // The cores' deadlines come every millisecond, and this agent is never late.
    for (let time = 2000; time <= (limits.searchMsMax + 60) * 1000; time += 1000) world.advance(time);
    expect(heard("wake")).toBe(20);
  });

  it("D53: begin at once where they are used here, and next where a peer speaks to them", () => {
    const world = new World();
    const groups = Array.from({ length: 20 }, (_, at) => {
      const group = world.driver.host({ ...world.hosting, name: groupName(`group-${at}`) });
      return { group, core: world.core };
    });
    const woken = (): number[] =>
      groups.flatMap(({ core }, at) => (core.heard.some((line) => line.startsWith("wake")) ? [at] : []));
    const first = [0, 1, 2, 3, 4, 5, 6, 7];
    world.settle();
    groups[10]!.group.query(new Uint8Array(1), "linearizable", () => {});
    groups[12]!.group.campaign();
    groups[14]!.group.propose([command(1)], { onlyAsLeader: false });
    groups[16]!.group.order({ kind: "transfer", to: undefined }, () => {});
    world.driver.receive(peer, groupName("group-19"), { kind: "hello", text: "?" });
    world.settle();
    world.advance(1000);
    expect(woken()).toEqual([...first, 10, 12, 14, 16]);
    const [one] = groups;
    one!.core.hibernation = hibernation;
    one!.group.campaign();
    world.advance(60_000);
    expect(woken()).toEqual([...first, 10, 12, 14, 16, 19]);
  });

  it("D53: that woke while they waited to hear of a broken link are not told: it may be whole again", () => {
    const world = new World();
    const cores = Array.from({ length: 20 }, (_, at) => {
      const name = groupName(`group-${at}`);
      world.group = world.driver.host({ ...world.hosting, name });
      const { core } = world;
      core.onReceive = (text, out) => {
        core.hibernation = text === "sleep" ? hibernation : undefined;
        core.deadline = far;
        out.events.push({ kind: "role", role: "follower", term: term(1), leader: peer });
      };
      return { core, say: (text: string) => world.driver.receive(peer, name, { kind: "hello", text }) };
    });
    const told = (): number[] =>
      cores.flatMap(({ core }, at) => (core.heard.includes(`link ${peer} down`) ? [at] : []));
    let time = 0;
    const pass = (milliseconds: number): void => {
      for (const until = time + milliseconds * 1000; time < until; time += 40_000) {
        world.driver.heard(peer);
        world.advance(time);
      }
    };
    for (const { say } of cores) say("sleep");
    pass(4 * limits.searchMsMax);
    world.driver.linkChanged(peer, false);
    world.settle();
    expect(told()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const { say } of cores.slice(0, 10)) say("wake");
    pass(4 * limits.searchMsMax);
    expect(told()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });
});
