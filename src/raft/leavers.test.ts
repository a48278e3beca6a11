/**
 * Goal: whoever votes no more counts no more, is not missed, learns that it is out, and disturbs nobody (R26). Method: leaders
 * and followers that are removed, told or not, lost at the worst moment.
 */
import { describe, expect, test } from "vitest";
import { limits } from "../core/index.ts";
import { texts } from "./test-cluster.ts";
import { cutOff, decides, inForce, peersOf, started, stepUntil } from "./test-membership.ts";

describe("R26: who votes no more", () => {
  test("pitfall 14: a leader that removes itself leads until that is decided, and hands over then", () => {
    const cluster = started();
    const [leader, follower] = [cluster.agent(1), cluster.agent(2)];
    cluster.change(leader, "-a1");
    stepUntil(cluster, () => inForce(leader) === "a2 a3");
    expect(leader.core.role).toBe("leader");
    cutOff(cluster, 3);
    cluster.run(100);
    expect(leader.core.commitIndex, "it does not count itself").toBe(2);
    expect(leader.core.role).toBe("leader");
    cluster.heal();
    cluster.run(100);
    expect(leader.core.commitIndex).toBe(3);
    expect(follower.core.commitIndex, "the others were told").toBeGreaterThanOrEqual(3);
    expect(leader.core.role).toBe("learner");
    expect(["a2", "a3"]).toContain(cluster.leader?.id);
    expect(decides(cluster, "without it")).toBe(true);
    const { term } = leader.core;
    cluster.run(3000);
    expect(leader.core.term, "it does not campaign").toBe(term);
  });

  test("R40: a leader that removes itself leaves no gap: time stands still, and another leads", () => {
    const cluster = started({ voters: 5 });
    cluster.change(cluster.agent(1), "-a1");
    cluster.settle();
    expect(cluster.leader?.core.term).toBe(2);
    expect(cluster.leader?.id).not.toBe("a1");
    expect(cluster.propose(cluster.leader!, "at once").kind).toBe("accepted");
  });

  test("R26, R27: a leader that a newcomer replaces brings that up first, and what came meanwhile is decided without it", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    const newcomer = cluster.join();
    cluster.change(leader, "-a1 +a4");
    stepUntil(cluster, () => inForce(leader) === "a2 a3 a4 | outgoing a1 a2 a3");
    cluster.propose(leader, "x");
    cluster.run(1000);
    expect(cluster.agents.map(inForce)).toEqual(Array(4).fill("a2 a3 a4"));
    expect(leader.core.role).toBe("learner");
    expect(cluster.leader?.core.term).toBe(2);
    expect(texts(newcomer.committed)).toEqual(["x"]);
    cluster.elect(leader);
    expect(leader.core.role, "it stands no more").toBe("learner");
    expect(cluster.transfer(cluster.leader!, 4)).toEqual({ kind: "accepted" });
    cluster.run(100);
    expect(newcomer.core.role).toBe("leader");
  });

  test("R40: it goes all the same where nobody takes over", () => {
    const cluster = started({ voters: 5 });
    const leader = cluster.agent(1);
    cluster.change(leader, "-a1");
    stepUntil(cluster, () => leader.core.status().successor !== undefined);
    cluster.crash(cluster.find(leader.core.status().successor!));
    cluster.run(250);
    expect(leader.core.role, "it waits for its successor").toBe("leader");
    cluster.run(100);
    expect(leader.core.role).toBe("learner");
    cluster.run(1500);
    expect(decides(cluster, "without it")).toBe(true);
  });

  test("R40: it goes at once where the link to its successor breaks", () => {
    const cluster = started({ voters: 5 });
    const leader = cluster.agent(1);
    cluster.change(leader, "-a1");
    stepUntil(cluster, () => leader.core.status().successor !== undefined);
    const successor = leader.core.status().successor!;
    cluster.step(leader, (core, out) => core.linkChanged(successor, false, cluster.now, out));
    expect(leader.core.role).toBe("learner");
  });

  test("R40: a leader whose removal is decided while it hands over leads on until that is over", () => {
    const cluster = started({ voters: 5 });
    const leader = cluster.agent(1);
    cluster.change(leader, "-a1");
    stepUntil(cluster, () => inForce(leader) === "a2 a3 a4 a5");
    cluster.cut.add("a1>a2");
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "accepted" });
    cluster.run(100);
    expect([leader.core.role, leader.core.commitIndex]).toEqual(["leader", 3]);
    cluster.run(300);
    expect([leader.core.role, decides(cluster, "without it")]).toEqual(["learner", true]);
  });

  test("the last voter of two removes itself, and the other one leads alone", () => {
    const cluster = started({ voters: 2 });
    cluster.change(cluster.agent(1), "-a1");
    cluster.run(1000);
    expect(cluster.leader).toBe(cluster.agent(2));
    cluster.crash(cluster.agent(1));
    expect(decides(cluster, "alone")).toBe(true);
  });

  test("thesis, figure 4.6: whoever is removed and has the longest log campaigns until that is decided", () => {
    const cluster = started({ voters: 2 });
    const [removed, other] = [cluster.agent(1), cluster.agent(2)];
    cluster.change(removed, "-a1");
    stepUntil(cluster, () => inForce(removed) === "a2");
    cluster.crash(removed, removed.records.length - removed.durable);
    cluster.wire = [];
    cluster.run(1000);
    expect(inForce(other)).toBe("a2 | outgoing a1 a2");
    expect(cluster.leader, "the one needs the other's vote").toBeUndefined();
    cluster.restart(removed);
    cluster.run(1500);
    expect(cluster.leader).toBe(other);
    expect([inForce(removed), inForce(other)]).toEqual(["a2", "a2"]);
    expect(removed.core.role).toBe("learner");
  });

  test("whoever is removed gets the entry that says so and the news that it is decided, then nothing more", () => {
    const cluster = started();
    const [leader, removed] = [cluster.agent(1), cluster.agent(3)];
    cluster.change(leader, "-a3");
    cluster.run(60);
    expect(inForce(removed)).toBe("a1 a2");
    expect(removed.core.commitIndex).toBe(3);
    expect(peersOf(leader)).toBe("a2 a3");
    cluster.run(600);
    expect(peersOf(leader)).toBe("a2");
    const said: string[] = [];
    cluster.onSent = ({ from }) => said.push(from);
    cluster.run(3000);
    expect(said).not.toContain("a3");
    expect(removed.core.term).toBe(1);
  });

  test("whoever comes back for a while after it was removed still learns so", () => {
    const cluster = started();
    cutOff(cluster, 3);
    cluster.change(cluster.agent(1), "-a3");
    cluster.run(300);
    cluster.heal();
    cluster.run(150);
    expect(inForce(cluster.agent(3))).toBe("a1 a2");
    expect(cluster.agent(3).core.commitIndex).toBe(3);
  });

  test("a later leader tells it, too, while the removal is undecided", () => {
    const cluster = started();
    const [first, second, removed] = [cluster.agent(1), cluster.agent(2), cluster.agent(3)];
    cluster.change(first, "-a3");
    stepUntil(cluster, () => inForce(second) === "a1 a2");
    cluster.sync(second);
    cluster.crash(first, first.records.length - first.durable);
    cluster.wire = [];
    expect(inForce(removed)).toBe("a1 a2 | outgoing a1 a2 a3");
    cluster.pass(400);
    cluster.restart(first);
    cluster.elect(second);
    expect(peersOf(second)).toBe("a1 a3");
    cluster.run(100);
    expect(inForce(removed)).toBe("a1 a2");
    expect(removed.core.commitIndex).toBe(4);
  });

  test("whoever was removed without learning it disturbs nobody", () => {
    const cluster = started();
    cutOff(cluster, 3);
    cluster.change(cluster.agent(1), "-a3");
    cluster.run(2000);
    expect(peersOf(cluster.agent(1))).toBe("a2");
    cluster.heal();
    cluster.run(3000);
    expect(cluster.agents.map(({ core }) => core.term)).toEqual([1, 1, 1]);
    expect(cluster.leader).toBe(cluster.agent(1));
  });

  test("whoever knows that it takes no part proposes and reads nothing, and says who leads", () => {
    const cluster = started();
    cluster.change(cluster.agent(1), "-a3");
    cluster.run(100);
    const refused = { kind: "notLeader", leader: "a1" };
    expect(cluster.propose(cluster.agent(3), "x")).toEqual(refused);
    expect(cluster.read(cluster.agent(3))).toEqual(refused);
  });

  test("whoever does not know it yet is refused by the leader, and so need not wait", () => {
    const cluster = started();
    const removed = cluster.agent(3);
    cluster.cut.add("a1>a3");
    cluster.change(cluster.agent(1), "-a3");
    cluster.settle();
    cluster.heal();
    expect(cluster.propose(removed, "x")).toEqual({ kind: "accepted", count: 1 });
    expect(cluster.read(removed).kind).toBe("ticket");
    cluster.settle();
    const refusal = { kind: "notLeader", leader: "a1" };
    expect(removed.eventsOf("refused")[0]).toMatchObject({ refusal });
    expect(removed.eventsOf("readRefused")[0]).toMatchObject({ refusal });
    expect(texts(cluster.agent(1).log)).toEqual([]);
  });

  test("a leader on its way out is still asked and believed", () => {
    const cluster = started();
    const [leader, follower] = [cluster.agent(1), cluster.agent(2)];
    cluster.change(leader, "-a1");
    stepUntil(cluster, () => inForce(leader) === "a2 a3");
    for (const number of [2, 3]) cluster.agent(number).diskHangs = true;
    cluster.settle();
    expect([leader.core.role, inForce(follower)]).toEqual(["leader", "a2 a3"]);
    expect(cluster.read(follower).kind).toBe("ticket");
    expect(cluster.propose(follower, "x").kind).toBe("accepted");
    cluster.settle();
    expect(follower.eventsOf("readable")).toHaveLength(1);
    expect(texts(leader.log)).toEqual(["x"]);
  });

  test("R16: those who are still told are never more than a group has voters", () => {
    const learners = limits.votersMax + 3;
    const cluster = started({ voters: 1, learners });
    const ids = cluster.agents.slice(1).map(({ id }) => `-${id}`);
    cluster.change(cluster.agent(1), ids.join(" "));
    expect(cluster.agent(1).core.status().peers).toHaveLength(limits.votersMax);
    cluster.settle();
    cluster.change(cluster.agent(1), "~b");
    expect(peersOf(cluster.agent(1)), "another change ends it").toBe("b");
  });
});
