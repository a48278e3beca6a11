/**
 * Whatever happens wakes a group that sleeps, or those of it whom it concerns. Each test lets a group fall asleep, does one thing to
 * it, and looks at who wakes, what leaves at once, and that everybody is well a moment later.
 */
import { describe, expect, test } from "vitest";
import { type LogIndex, type Term, type Ticket } from "../core/index.ts";
import { command, heartbeatMs, TestCluster, texts, type Envelope, type TestAgent } from "./test-cluster.ts";
import { asleep, electionTimeoutMaxMs, hibernation, kinds, sentWithin, sleeps } from "./test-sleep.ts";

const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;

const poll = {
  kind: "preVoteRequest",
  term: 2 as Term,
  lastIndex: 1 as LogIndex,
  lastTerm: 1 as Term,
} as const;

describe("R53: whatever may change something wakes", () => {
  const heartbeats = ["heartbeat to a2", "heartbeat to a3"];

  const forAll: Record<string, (cluster: TestCluster, leader: TestAgent) => void> = {
    "a proposal": (cluster, leader) => void cluster.propose(leader, "x"),
    "a read": (cluster, leader) => void cluster.read(leader),
    "a change of members": (cluster, leader) =>
      void cluster.step(leader, (core, out) => core.changeMembers({ steps: [] }, cluster.now, out)),
    "a transfer": (cluster, leader) =>
      void cluster.step(leader, (core, out) => core.transferLeadership(leader.id, cluster.now, out)),
    "a forwarded command": (cluster, leader) =>
      cluster.tell(leader, "a2", { kind: "forward", term: 1 as Term, commands: [command("x")] }),
    "a follower's read": (cluster, leader) =>
      cluster.tell(leader, "a2", { kind: "readRequest", ticket: 1 as Ticket }),
  };

  test.each(Object.keys(forAll))("the leader, by %s: everybody hears of it at once", (what) => {
    const cluster = asleep();
    const leader = cluster.agent(1);
    forAll[what]!(cluster, leader);
    expect(sleeps(leader)).toBe(false);
    expect(leader.core.hibernation).toBeUndefined();
    expect(kinds(cluster.wire).slice(0, 2)).toEqual(heartbeats);
    cluster.settle();
    expect(cluster.agents.map(sleeps)).toEqual([false, false, false]);
    cluster.run(heartbeatMs * 8);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    expect(leader.core.term).toBe(1);
  });

  const forOne: Record<string, (cluster: TestCluster, leader: TestAgent) => void> = {
    "one that asks": (cluster, leader) => cluster.tell(leader, "a2", { kind: "wakeUp", term: 1 as Term }),
    "one that polls": (cluster, leader) => cluster.tell(leader, "a2", poll),
    "one whose link is new": (cluster, leader) => cluster.tellLink(leader, cluster.agent(2), true),
  };

  test.each(Object.keys(forOne))(
    "the leader, by %s: it alone hears of it, and the others sleep on",
    (what) => {
      const cluster = asleep();
      const [leader, second, third] = [cluster.agent(1), cluster.agent(2), cluster.agent(3)];
      forOne[what]!(cluster, leader);
      expect(sleeps(leader)).toBe(false);
      expect(leader.core.hibernation?.present).toEqual(["a3"]);
      expect(kinds(cluster.wire)[0]).toBe("heartbeat to a2");
      cluster.settle();
      expect([leader, second, third].map(sleeps)).toEqual([false, false, true]);
      cluster.run(heartbeatMs * 8);
      expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
      expect(leader.core.term).toBe(1);
    },
  );

  test("a leader that is awake for one stays in office while the others sleep, however long that takes", () => {
    const cluster = asleep();
    const [leader, second] = [cluster.agent(1), cluster.agent(2)];
    cluster.tell(leader, "a3", { kind: "wakeUp", term: 1 as Term });
    cluster.cut.add("a3>a1");
    cluster.run(heartbeatMs * 15);
    expect([leader, second].map(sleeps)).toEqual([false, true]);
    expect(leader.core.role).toBe("leader");
    expect(leader.core.term).toBe(1);
  });

  const atAFollower: Record<string, (cluster: TestCluster, follower: TestAgent) => void> = {
    "a proposal": (cluster, follower) => void cluster.propose(follower, "x"),
    "a read": (cluster, follower) => void cluster.read(follower),
    "a campaign by hand": (cluster, follower) =>
      cluster.step(follower, (core, out) => core.campaign(cluster.now, out)),
    "another member's poll": (cluster, follower) => cluster.tell(follower, "a3", poll),
    "a link to its leader that is new": (cluster, follower) =>
      cluster.tellLink(follower, cluster.agent(1), true),
    "a link to its leader that broke": (cluster, follower) =>
      cluster.tellLink(follower, cluster.agent(1), false),
  };

  test.each(Object.keys(atAFollower))(
    "a follower, by %s: it asks its leader, which is there at once",
    (what) => {
      const cluster = asleep();
      const [leader, follower] = [cluster.agent(1), cluster.agent(2)];
      atAFollower[what]!(cluster, follower);
      expect(sleeps(follower)).toBe(false);
      expect(kinds(cluster.wire)[0]).toBe("wakeUp to a1");
      cluster.settle();
      expect([leader, follower].map(sleeps)).toEqual([false, false]);
      expect(follower.core.leader).toBe("a1");
      cluster.run(heartbeatMs * 8);
      expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
      expect(cluster.agents.map(({ core }) => core.leader)).toEqual(["a1", "a1", "a1"]);
      expect(follower.core.term).toBe(1);
    },
  );

  test("its leader's word wakes a follower, which then need not ask", () => {
    const cluster = asleep();
    cluster.tell(cluster.agent(2), "a1", {
      kind: "heartbeat",
      term: 1 as Term,
      commit: 1 as LogIndex,
      round: 9,
    });
    expect(sleeps(cluster.agent(2))).toBe(false);
    expect(kinds(cluster.wire)).toEqual(["heartbeatAnswer to a1"]);
  });

  test("another follower's broken link is none of a follower's business", () => {
    const cluster = asleep();
    cluster.tellLink(cluster.agent(2), cluster.agent(3), false);
    cluster.tellLink(cluster.agent(2), cluster.agent(3), true);
    expect(sleeps(cluster.agent(2))).toBe(true);
    expect(cluster.wire).toEqual([]);
  });

  test("nor do answers that are late, or strangers that want to be elected", () => {
    const cluster = asleep();
    const [leader, follower] = [cluster.agent(1), cluster.agent(2)];
    cluster.tell(leader, "a2", { kind: "heartbeatAnswer", term: 1 as Term, round: 1 });
    cluster.tell(leader, "a2", { kind: "hibernating", term: 1 as Term, last: 1 as LogIndex });
    cluster.tell(follower, "a1", { kind: "commit", term: 1 as Term, commit: 1 as LogIndex });
    expect(sleeps(follower)).toBe(true);
    cluster.run(1000);
    const strange = { term: 7 as Term, lastIndex: 99 as LogIndex, lastTerm: 6 as Term };
    for (const agent of [leader, follower]) {
      cluster.tell(agent, "stranger", { kind: "preVoteRequest", ...strange });
      cluster.tell(agent, "stranger", { kind: "voteRequest", ...strange });
      expect(sleeps(agent)).toBe(true);
      expect(agent.core.term).toBe(1);
    }
    expect(cluster.wire.map(({ message }) => message)).toEqual([
      { kind: "preVoteAnswer", term: 1, granted: false },
      { kind: "preVoteAnswer", term: 1, granted: false },
    ]);
  });

  test("a member that restarts is no stranger, finds its leader, and deposes nobody", () => {
    const cluster = asleep();
    cluster.crash(cluster.agent(3));
    cluster.restart(cluster.agent(3));
    cluster.run(electionTimeoutMaxMs + heartbeatMs * 8);
    expect(cluster.agents.map(({ core }) => core.leader)).toEqual(["a1", "a1", "a1"]);
    expect(cluster.agent(1).core.term).toBe(1);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
  });
});

describe("proposals and reads after a sleep", () => {
  /** How many times everything that is on its way must arrive until `done`. */
  function hops(cluster: TestCluster, done: () => boolean): number {
    for (let count = 0; ; count++) {
      for (const agent of cluster.agents) {
        cluster.sync(agent);
        cluster.apply(agent);
      }
      if (done()) return count;
      for (const sent of cluster.take(() => true)) cluster.deliver(sent);
    }
  }

  test.each([1, 2])("a proposal at agent %i is decided as fast as when nobody slept", (number) => {
    const measure = (cluster: TestCluster): number => {
      const agent = cluster.agent(number);
      cluster.propose(agent, "x");
      return hops(cluster, () => texts(agent.committed).includes("x"));
    };
    expect(measure(asleep())).toBe(measure(new TestCluster().start()));
  });

  test("R54: a leader that was deposed in its sleep answers no read", () => {
    const cluster = asleep();
    const [old, next] = [cluster.agent(1), cluster.agent(2)];
    cluster.isolate(old);
    for (const follower of [next, cluster.agent(3)]) cluster.tellLink(follower, old, false);
    cluster.run(electionTimeoutMaxMs * 2);
    expect(cluster.leader).not.toBe(old);
    expect(sleeps(old)).toBe(true);
    cluster.read(old);
    cluster.run(electionTimeoutMaxMs * 2);
    expect(old.eventsOf("readable")).toEqual([]);
    expect(old.eventsOf("readRefused")).toHaveLength(1);
    expect(old.core.role).toBe("follower");
    cluster.heal();
    cluster.run(1000);
    expect(old.core.leader).toBe(cluster.leader!.id);
  });

  test("R54: what it heard before its sleep confirms no read after it", () => {
    const cluster = asleep();
    const leader = cluster.agent(1);
    cluster.read(leader);
    expect(leader.eventsOf("readable")).toEqual([]);
    cluster.settle();
    expect(leader.eventsOf("readable")).toHaveLength(1);
  });

  test("it has an election time-out's time to hear its quorum again", () => {
    const cluster = asleep();
    const leader = cluster.agent(1);
    cluster.run(5000);
    cluster.propose(leader, "x");
    cluster.run(heartbeatMs);
    expect(leader.core.role).toBe("leader");
    expect(texts(leader.committed)).toEqual(["x"]);
  });
});

describe("a leader that is gone", () => {
  test("its link breaks: another one leads within the usual time", () => {
    const cluster = asleep();
    cluster.crash(cluster.agent(1));
    for (const number of [2, 3]) cluster.tellLink(cluster.agent(number), cluster.agent(1), false);
    // Half of it: the shortest time-out counts as over.
    cluster.run(electionTimeoutMaxMs / 2 + 1);
    expect(cluster.leader?.core.term).toBe(2);
  });

  test("R55: only one follower believes that: it asks in vain, and the leader stays", () => {
    const cluster = asleep();
    const [leader, mistaken, other] = [cluster.agent(1), cluster.agent(2), cluster.agent(3)];
    cluster.cut.add("a2>a1").add("a1>a2");
    cluster.tellLink(mistaken, leader, false);
    cluster.run(electionTimeoutMaxMs * 3);
    expect(leader.core.role).toBe("leader");
    expect(other.core.term).toBe(1);
    cluster.heal();
    cluster.run(electionTimeoutMaxMs + heartbeatMs * 8);
    expect(cluster.agents.map(({ core }) => core.leader)).toEqual(["a1", "a1", "a1"]);
  });

  test("R55: a vote is not given away just because one slept, but after the leader had its time", () => {
    const cluster = asleep();
    const follower = cluster.agent(2);
    cluster.isolate(cluster.agent(1));
    cluster.run(1000);
    const answer = (): unknown => {
      cluster.take(() => true);
      cluster.tell(follower, "a3", poll);
      return cluster.take(is("preVoteAnswer"))[0]?.message;
    };
    expect(answer()).toMatchObject({ granted: false });
    cluster.pass(149);
    expect(answer()).toMatchObject({ granted: false });
    cluster.pass(2);
    expect(answer()).toMatchObject({ granted: true });
  });

  test("its leader asks for its vote: then there is nobody left to wait for", () => {
    const cluster = asleep();
    cluster.run(1000);
    const follower = cluster.agent(2);
    cluster.tell(follower, "a1", {
      kind: "preVoteRequest",
      term: 2 as Term,
      lastIndex: 1 as LogIndex,
      lastTerm: 1 as Term,
    });
    expect(cluster.take(is("preVoteAnswer"))[0]?.message).toMatchObject({ granted: true });
  });

  test("it begins anew, and no link broke: whoever asks who leads is waited for no longer", () => {
    const cluster = asleep();
    const [leader, second, third] = [cluster.agent(1), cluster.agent(2), cluster.agent(3)];
    cluster.run(1000);
    cluster.crash(leader);
    cluster.restart(leader);
    cluster.settle();
    expect([second, third].map(sleeps)).toEqual([false, false]);
    cluster.run(electionTimeoutMaxMs / 2 + 1);
    expect(cluster.leader?.core.term).toBe(2);
    expect(cluster.leader).not.toBe(leader);
  });

  test("what it asked in an earlier term wakes nobody", () => {
    const cluster = asleep();
    cluster.elect(cluster.agent(2));
    cluster.run(heartbeatMs * 8);
    const { leader } = cluster;
    const follower = cluster.agents.find((agent) => agent !== leader)!;
    cluster.tell(follower, leader!.id, { kind: "wakeUp", term: (follower.core.term - 1) as Term });
    expect(sleeps(follower)).toBe(true);
  });

  test("R52: nobody says so, and nobody wants anything: a sleep that is not renewed ends, and another one leads", () => {
    const cluster = asleep();
    cluster.crash(cluster.agent(1));
    cluster.run(2 * hibernation.renewalMs + 3 * electionTimeoutMaxMs);
    expect(cluster.leader?.core.term).toBe(2);
  });

  test("R52: a leader renews the sleep of all with one question, and nobody wakes", () => {
    const cluster = asleep();
    const sent = sentWithin(cluster, hibernation.renewalMs);
    expect(kinds(sent).slice(0, 4).toSorted()).toEqual([
      "hibernate to a2",
      "hibernate to a3",
      "hibernating to a1",
      "hibernating to a1",
    ]);
    expect(sent.every(({ message }) => message.kind.startsWith("hibernat"))).toBe(true);
    cluster.run(5 * hibernation.renewalMs);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
  });

  test("R52: one that does not answer that question has the leader to itself; the others sleep on", () => {
    const cluster = asleep();
    const [leader, second] = [cluster.agent(1), cluster.agent(2)];
    cluster.isolate(cluster.agent(3));
    for (let passed = 0; sleeps(leader); passed += heartbeatMs) {
      expect(passed).toBeLessThanOrEqual(hibernation.renewalMs + 2 * heartbeatMs);
      cluster.run(heartbeatMs);
    }
    expect(leader.core.hibernation?.present).toEqual(["a2"]);
    cluster.run(heartbeatMs * 5);
    expect(sleeps(second)).toBe(true);
    cluster.heal();
    cluster.run(1000);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
  });

  test("R52: one whose link breaks before it answers that question is not waited for; the others sleep on", () => {
    const cluster = asleep();
    const [leader, second, third] = [cluster.agent(1), cluster.agent(2), cluster.agent(3)];
    cluster.isolate(third);
    let asks = 0;
    cluster.onSent = ({ message }) => {
      if (message.kind === "hibernate") asks += 1;
    };
    while (asks === 0) cluster.run(1);
    cluster.tellLink(leader, third, false);
    cluster.run(heartbeatMs * 5);
    expect([leader, second].map(sleeps)).toEqual([true, true]);
    expect(leader.core.hibernation?.present).toEqual(["a2"]);
    cluster.heal();
    cluster.run(hibernation.renewalMs + 1000);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    expect(leader.core.term).toBe(1);
  });

  test.each(["hibernating", "forwardRefused"] as const)(
    "R51: whoever was away and is heard of has the leader to itself, were it only by a late %s",
    (kind) => {
      const cluster = asleep();
      const [leader, third] = [cluster.agent(1), cluster.agent(3)];
      cluster.tellLink(leader, third, false);
      expect(sleeps(leader)).toBe(true);
      if (kind === "hibernating") cluster.tell(leader, "a3", { kind, term: 1 as Term, last: 1 as LogIndex });
      else cluster.tell(leader, "a3", { kind, commands: [], refusal: { kind: "notLeader" } });
      expect(sleeps(leader)).toBe(false);
      expect(leader.core.hibernation?.present).toEqual(["a2"]);
      expect(kinds(cluster.wire)).toEqual(["heartbeat to a3"]);
      cluster.run(heartbeatMs * 8);
      expect(leader.core.hibernation?.present).toEqual(["a2", "a3"]);
      cluster.run(3 * hibernation.renewalMs);
      expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    },
  );

  test("R52: with that question, a heartbeat looks for those that were away", () => {
    const cluster = asleep({ learners: 1 });
    const [leader, learner] = [cluster.agent(1), cluster.agent(4)];
    cluster.crash(learner);
    cluster.tellLink(leader, learner, false);
    // It begins anew where nobody hears it, and then has nothing more to say.
    cluster.isolate(learner);
    cluster.restart(learner);
    cluster.run(100);
    cluster.heal();
    expect(sleeps(leader)).toBe(true);
    cluster.run(hibernation.renewalMs + 500);
    expect(learner.core.leader).toBe("a1");
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true, true]);
  });

  test("R52: those, too, whose link broke while they were asked whether they may sleep", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const [leader, second, third] = [cluster.agent(1), cluster.agent(2), cluster.agent(3)];
    while (!cluster.wire.some(is("hibernate"))) {
      cluster.settle();
      cluster.pass(1);
      if (leader.core.deadline <= cluster.now.monotonic) cluster.wake(leader);
    }
    third.asleep = true;
    cluster.tellLink(leader, third, false);
    cluster.settle();
    expect([leader, second].map(sleeps)).toEqual([true, true]);
    const sent = sentWithin(cluster, hibernation.renewalMs);
    expect(kinds(sent)).toContain("heartbeat to a3");
  });

  test("R53: a member that begins anew asks who leads, and nobody else is woken", () => {
    const cluster = asleep({ learners: 1 });
    const [leader, learner] = [cluster.agent(1), cluster.agent(4)];
    cluster.crash(learner);
    cluster.restart(learner);
    cluster.settle();
    expect(learner.core.leader).toBe("a1");
    expect([2, 3].map((number) => sleeps(cluster.agent(number)))).toEqual([true, true]);
    expect(sleeps(leader)).toBe(false);
    cluster.run(heartbeatMs * 8);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true, true]);
  });
});
