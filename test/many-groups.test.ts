/**
 * Goal: many groups on few agents start, sleep, lose an agent and get it back without one storm; once they sleep, they cost
 * what one pulse per pair of agents costs. Method: the real driver and cores in simulated time, where each message costs
 * its sender and its receiver time; once as on a machine of one's own, once as on one that has far too much to do.
 */
import { describe, expect, test } from "vitest";
import type { HostedGroup } from "../src/driver/hosted.ts";
import { World } from "./support/busy-agents.ts";

const ids = ["a", "b", "c", "d"];
const groupCount = 250;
const pairsOfAgents = (ids.length * (ids.length - 1)) / 2;
/** One for each longest election time-out. */
const pulsesPerSecond = 1000 / 300;

/** Every fifth group is on all agents, the others leave one out, each another. */
const plans = Array.from({ length: groupCount }, (_, at) => ({
  name: `group-${at + 1}`,
  members: ids.filter((id) => id !== ids[at % (ids.length + 1)]),
}));

const leads = (group: HostedGroup): boolean => group.role === "leader";
const sleeps = (group: HostedGroup): boolean => group.status().hibernating;

function count(world: World, fits: (group: HostedGroup) => boolean): number {
  return world.agents.reduce((sum, agent) => sum + agent.groups.filter(fits).length, 0);
}

const allSleep = (world: World): boolean => count(world, sleeps) === count(world, () => true);
const allAreLed = (world: World): boolean => count(world, leads) === groupCount;

/** Messages while it happens, pulses left out. */
function messagesDuring(world: World, what: () => void): number {
  const before = world.messages - world.pulses;
  what();
  return world.messages - world.pulses - before;
}

function started(messageMicros: number): World {
  const world = new World(ids, plans, { turnMicros: 50, messageMicros });
  for (const agent of world.agents) agent.start();
  return world;
}

/** All sleep, and then only the last agent is left. */
function leftAlone(): World {
  const world = started(30);
  world.secondsUntil(3, () => allSleep(world));
  for (const id of ids.slice(0, -1)) world.agent(id).kill();
  return world;
}

describe.each([
  { machine: "a machine of one's own", messageMicros: 30, seconds: { start: 3, failover: 1.5, back: 3 } },
  {
    machine: "a machine that has too much to do",
    messageMicros: 300,
    seconds: { start: 6, failover: 3, back: 6 },
  },
])("on $machine", ({ messageMicros, seconds }) => {
  const world = started(messageMicros);

  test("D53: they start a few at a time, and fall asleep", () => {
    const messages = messagesDuring(world, () => world.secondsUntil(seconds.start, () => allSleep(world)));
    expect(count(world, leads)).toBe(groupCount);
    // A poll, a vote, an entry and a question, and some that are asked in vain.
    expect(messages / groupCount).toBeLessThan(30);
  });

  test("D50: then one pulse per pair of agents, each way, is all that is said", () => {
    const pulses = world.pulses;
    expect(messagesDuring(world, () => world.runFor(10))).toBe(0);
    const perSecond = (world.pulses - pulses) / 10;
    expect(perSecond).toBeGreaterThan(0);
    expect(perSecond).toBeLessThanOrEqual(Math.ceil(pairsOfAgents * 2 * pulsesPerSecond));
    expect(count(world, sleeps)).toBe(count(world, () => true));
  });

  test("D53: an agent is gone: its groups have other leaders soon, the others sleep on", () => {
    const gone = world.agent("a");
    const led = gone.groups.filter(leads).length;
    expect(led).toBeGreaterThan(groupCount / 10);
    gone.kill();
    const messages = messagesDuring(world, () =>
      world.secondsUntil(seconds.failover, () => allAreLed(world)),
    );
    expect(messages / led).toBeLessThan(40);
    world.secondsUntil(1, () => allSleep(world));
  });

  test("D53: it comes back: all its groups are there soon, and nobody is deposed", () => {
    const leaders = world.agents.map((agent) => agent.groups.filter(leads).length);
    world.agent("a").start();
    const messages = messagesDuring(world, () => world.secondsUntil(seconds.back, () => allSleep(world)));
    expect(messages / groupCount).toBeLessThan(30);
    expect(world.agents.map((agent) => agent.groups.filter(leads).length)).toEqual(leaders);
  });

  test("D51: an agent falls silent, and no link says so: its groups have other leaders soon", () => {
    world.agent("b").kill("silently");
    world.secondsUntil(seconds.failover + 1.5, () => allAreLed(world));
    expect(count(world, sleeps)).toBeGreaterThan(groupCount);
  });
});

describe("when one of four agents is left", () => {
  test("R96: it asks ever less whether others are back, and once they are, everything is as soon as it ever was", () => {
    const world = leftAlone();
    world.runFor(10);
    const messages = messagesDuring(world, () => world.runFor(10));
    const { groups } = world.agent("d");
    const pollsAsUsual = groups.length * 10 * (1000 / 225);
    expect(messages).toBeGreaterThan(0);
    expect(messages / 3).toBeLessThan(pollsAsUsual / 5);
    for (const id of ids.slice(0, -1)) world.agent(id).start();
    world.secondsUntil(3, () => allAreLed(world));
  });
});

describe("when only two of four agents are left", () => {
  test("D53: a group that somebody uses is led soon, though most of those before it find no majority", () => {
    const world = leftAlone();
    world.runFor(2);
    world.agent("c").start();
    const name = "group-247";
    expect(plans.find((plan) => plan.name === name)?.members).toEqual(["a", "c", "d"]);
    const members = ["c", "d"].map((id) => world.agent(id).groups.find((group) => group.name === name)!);
    world.secondsUntil(3, () => {
      members[1]!.query(new Uint8Array(1), "linearizable", () => {});
      return members.some(leads);
    });
  });
});
