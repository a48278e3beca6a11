/** A few groups at a time look for a leader: who begins when, and that nobody waits for ever. */
import { describe, expect, it } from "vitest";
import type { Hibernation } from "../core/boundary.ts";
import { agentId, microsFromMs, never, type AgentId, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { Searches, type Search } from "./searches.ts";

const asleep: Hibernation = { present: [], pulseInterval: 1 as Micros, silence: 1 as Micros };
const [a, b] = [agentId("a"), agentId("b")];
const atFirst = 8;

class Group {
  leader: AgentId | undefined;
  hibernation: Hibernation | undefined;
}

function crowd(count: number, lost?: AgentId) {
  const searches = new Searches();
  const groups = Array.from({ length: count }, () => new Group());
  const at = (milliseconds: number): Micros => microsFromMs(milliseconds);
  const order: Group[] = [];
  const all = groups.map((group) => {
    if (lost !== undefined) {
      group.leader = lost;
      group.hibernation = asleep;
    }
    const begin = (): boolean => {
      if (order.includes(group)) return false;
      order.push(group);
      return true;
    };
    const search: Search = { group, lost, begin };
    searches.add(search, at(0));
    return search;
  });
  /** In the order in which they did. */
  const begun = (): Group[] => [...order];
  return { searches, groups, all, begun, at };
}

function rest(groups: readonly Group[]): void {
  for (const group of groups) {
    group.leader = b;
    group.hibernation = { ...asleep };
  }
}

describe("D53: groups that look for a leader", () => {
  it("begin a few at a time, in order, and more of them as those before are at rest", () => {
    const { searches, begun, groups, at } = crowd(1000);
    const counts: number[] = [];
    for (let round = 1; round <= 6; round++) {
      counts.push(begun().length);
      expect(begun()).toEqual(groups.slice(0, begun().length));
      rest(begun());
      searches.admit(at(round * 10));
    }
    const steps = counts.map((count, place) => count - (counts[place - 1] ?? 0));
    expect(steps).toEqual([atFirst, 16, 32, 64, 64, 64]);
    expect(Math.max(...steps)).toBe(limits.searchingGroupsMax);
  });

  it("are done only once they sleep anew: those that still sleep have yet to hear that their leader is gone", () => {
    const { searches, begun, at } = crowd(20, a);
    searches.admit(at(10));
    expect(begun()).toHaveLength(atFirst);
    for (const group of begun()) group.hibernation = undefined;
    searches.admit(at(20));
    expect(begun()).toHaveLength(atFirst);
    rest(begun());
    searches.admit(at(30));
    expect(begun()).toHaveLength(20);
  });

  it("or once they have been led for a while: then they are in use", () => {
    const { searches, begun, at } = crowd(20);
    for (const group of begun()) group.leader = a;
    searches.admit(at(10));
    searches.admit(at(100));
    expect(begun()).toHaveLength(atFirst);
    searches.admit(at(250));
    expect(begun()).toHaveLength(20);
  });

  it("but not where they only still believe in the leader that they lost", () => {
    const { searches, begun, at } = crowd(20, a);
    for (const group of begun()) group.hibernation = undefined;
    searches.admit(at(10));
    searches.admit(at(500));
    expect(begun()).toHaveLength(atFirst);
  });

  it("and those who find none keep nobody waiting for long; on a busy agent for longer, but not for ever", () => {
    const { searches, begun, at } = crowd(1000);
    expect(searches.deadline).toBe(at(50));
    searches.admit(at(limits.searchMsMax - 1));
    expect(begun()).toHaveLength(atFirst);
    searches.admit(at(limits.searchMsMax));
    expect(begun()).toHaveLength(3 * atFirst);

    const before = begun().length;
    const busyUntil = (end: number): void => {
      for (let now = limits.searchMsMax; now <= end; now += 100) {
        searches.wasLate(at(20), at(now));
        searches.admit(at(now));
      }
    };
    busyUntil(5 * limits.searchMsMax);
    expect(begun()).toHaveLength(before);
    busyUntil(6 * limits.searchMsMax);
    expect(begun().length).toBeGreaterThan(before);
  });

  it("are fewer while the agent is late, and as many as at first when it had nothing to look for", () => {
    const { searches, begun, at } = crowd(1000);
    for (let round = 1; round <= 4; round++) {
      rest(begun());
      searches.admit(at(round * 10));
    }
    const before = begun().length;
    expect(before).toBe(atFirst + 16 + 32 + 64 + 64);
    searches.wasLate(at(16), at(50));
    rest(begun());
    searches.admit(at(60));
    expect(begun().length - before).toBe(32);
  });

  it("begin before the others where somebody needs them, in the order in which that became known, and once", () => {
    const { searches, groups, all, begun, at } = crowd(40);
    for (const place of [39, 30, 39]) searches.hurry(all[place]!);
    rest(begun());
    searches.admit(at(10));
    const next = begun().slice(atFirst, atFirst + 3);
    expect(next.map((group) => groups.indexOf(group))).toEqual([39, 30, 8]);
    for (let round = 2; round < 5; round++) {
      rest(begun());
      searches.admit(at(round * 10));
    }
    expect(begun()).toHaveLength(40);
    expect(new Set(begun()).size).toBe(40);
    expect(searches.deadline).toBe(never);
  });

  it("are dropped where they need not look any more, and keep no place", () => {
    const searches = new Searches();
    let asked = 0;
    for (let count = 0; count < 100; count++) {
      const begin = (): boolean => {
        asked += 1;
        return false;
      };
      searches.add({ group: new Group(), lost: undefined, begin }, 0 as Micros);
    }
    expect(asked).toBe(100);
    expect(searches.deadline).toBe(never);
  });
});
