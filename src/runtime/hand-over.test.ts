/** An agent that ends hands over first, and ends all the same where that does not work out. Time is the test's. */
import { describe, expect, test } from "vitest";
import { FakeGroup } from "../../test/support/fake-group.ts";
import { StillTime } from "../../test/support/still-time.ts";
import type { AgentId, GroupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { GroupHub } from "./group-hub.ts";
import { handOver } from "./hand-over.ts";

function leading(): { time: StillTime; group: FakeGroup; ended: () => number; begin: () => void } {
  const time = new StillTime();
  const group = new FakeGroup();
  const hub = new GroupHub("main" as GroupName, time, time);
  group.observer = hub;
  hub.attach(group);
  group.lead("leader", "agent_1");
  let count = 0;
  const begin = (): void => handOver(hub, time, time, () => (count += 1));
  return { time, group, ended: () => count, begin };
}

const answer = (group: FakeGroup, result: Parameters<FakeGroup["orders"][number]["done"]>[0]): void => {
  expect(group.orders.map(({ order }) => order)).toEqual([{ kind: "transfer", to: undefined }]);
  if (result.kind === "accepted") group.successor = "agent_2" as AgentId;
  group.orders[0]!.done(result);
};

describe("an agent that ends", () => {
  test("and leads nothing is through at once, but never inside the call", () => {
    const { time, group, ended, begin } = leading();
    group.lead("follower", "agent_2");
    begin();
    expect(ended()).toBe(0);
    time.pass(0);
    expect([ended(), group.orders]).toEqual([1, []]);
  });

  test("is through as soon as it hears of the new leader, not when it only no longer leads", () => {
    const { time, group, ended, begin } = leading();
    begin();
    answer(group, { kind: "accepted" });
    time.pass(100);
    group.lead("follower", undefined, 2);
    expect(ended()).toBe(0);
    group.lead("follower", "agent_2", 2);
    expect([ended(), time.timers]).toEqual([1, 0]);
    time.pass(limits.handOverMsMax);
    expect(ended()).toBe(1);
  });

  test("waits for a hand-over that somebody else has begun", () => {
    const { group, ended, begin } = leading();
    begin();
    group.successor = "agent_3" as AgentId;
    group.orders[0]!.done({ kind: "busy", because: "transfer" });
    expect(ended()).toBe(0);
    group.lead("follower", "agent_3", 2);
    expect(ended()).toBe(1);
  });

  test("is through at once where nobody is ready, or members change just now", () => {
    for (const refusal of [
      { kind: "notReady", agents: [] },
      { kind: "busy", because: "memberChange" },
      { kind: "closed" },
    ] as const) {
      const { time, group, ended, begin } = leading();
      begin();
      answer(group, refusal);
      expect([ended(), time.timers]).toEqual([1, 0]);
    }
  });

  test("is through soon after the hand-over was given up", () => {
    const { time, group, ended, begin } = leading();
    begin();
    answer(group, { kind: "accepted" });
    time.pass(100);
    expect(ended()).toBe(0);
    group.successor = undefined;
    time.pass(20);
    expect(ended()).toBe(1);
  });

  test("waits no longer than its limit, whether it is answered or not", () => {
    for (const isAnswered of [true, false]) {
      const { time, group, ended, begin } = leading();
      begin();
      if (isAnswered) answer(group, { kind: "accepted" });
      time.pass(limits.handOverMsMax - 1);
      expect(ended()).toBe(0);
      time.pass(1);
      expect([ended(), time.timers]).toEqual([1, 0]);
      group.orders[0]!.done({ kind: "accepted" });
      expect([ended(), time.timers]).toEqual([1, 0]);
    }
  });
});
