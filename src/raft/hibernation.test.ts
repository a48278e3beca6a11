/**
 * Idle groups sleep, and whatever happens wakes them. Most tests let a group fall asleep, do one thing to it, and look at
 * who wakes, what leaves at once, and that everybody is well a moment later. What the driver tells of links is told by hand.
 */
import { describe, expect, test } from "vitest";
import { never, type LogIndex, type Term } from "../core/index.ts";
import {
  command,
  TestCluster,
  texts,
  type ClusterOptions,
  type Envelope,
  type TestAgent,
} from "./test-cluster.ts";

const hibernation = { quietBeats: 2, renewalMs: 10_000 };
const heartbeatMs = 50;
const electionTimeoutMaxMs = 300;

const sleeps = (agent: TestAgent): boolean => agent.core.hibernation !== undefined;
const kinds = (sent: readonly Envelope[]): string[] =>
  sent.map(({ to, message }) => `${message.kind} to ${to}`);
const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;

function idle(options: ClusterOptions = {}): TestCluster {
  const cluster = new TestCluster({ hibernation, ...options }).start();
  cluster.run(heartbeatMs * 6);
  return cluster;
}

function asleep(options: ClusterOptions = {}): TestCluster {
  const cluster = idle(options);
  expect(cluster.agents.map(sleeps)).toEqual(cluster.agents.map(() => true));
  return cluster;
}

/** Everything that leaves within that time. */
function sentWithin(cluster: TestCluster, milliseconds: number): Envelope[] {
  const sent: Envelope[] = [];
  cluster.onSent = (envelope) => sent.push(envelope);
  cluster.run(milliseconds);
  cluster.onSent = () => {};
  return sent;
}

describe("an idle group falls asleep", () => {
  test("and then says nothing, and has no deadline that comes soon", () => {
    const cluster = asleep({ learners: 1 });
    expect(sentWithin(cluster, 3000)).toEqual([]);
    for (const { core } of cluster.agents) {
      expect(core.deadline - cluster.now.monotonic).toBeGreaterThan(1_000_000);
      expect(core.status().hibernating).toBe(true);
      expect(core.leader).toBe("a1");
    }
  });

  test("R51: a leader has an eye on everybody, a follower on its leader", () => {
    const cluster = asleep({ learners: 1 });
    expect(cluster.agent(1).core.hibernation).toMatchObject({ present: ["a2", "a3", "a4"], absent: [] });
    for (const other of [2, 3, 4]) {
      expect(cluster.agent(other).core.hibernation).toMatchObject({ present: ["a1"], absent: [] });
    }
  });

  test("R52: a group of one asks nobody, and its sleep has an end, too", () => {
    const cluster = asleep({ voters: 1 });
    const { core } = cluster.agent(1);
    expect(core.deadline).not.toBe(never);
    cluster.run(15_000);
    expect(sleeps(cluster.agent(1))).toBe(true);
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    expect(texts(cluster.agent(1).committed)).toEqual(["x"]);
  });

  test("not one that is told not to", () => {
    const cluster = new TestCluster().start();
    cluster.run(3000);
    expect(cluster.agents.some(sleeps)).toBe(false);
    cluster.tell(cluster.agent(2), "a1", { kind: "hibernate", term: 1 as Term, last: 1 as LogIndex });
    expect(sleeps(cluster.agent(2))).toBe(false);
    expect(cluster.wire).toEqual([]);
  });

  test("not while there is something to do, however little", () => {
    const cluster = new TestCluster({ hibernation }).start();
    for (let round = 0; round < 20; round++) {
      if (round % 2 === 0) cluster.propose(cluster.agent(1), `${round}`);
      else cluster.read(cluster.agent(2));
      cluster.run(heartbeatMs);
      expect(sleeps(cluster.agent(1))).toBe(false);
    }
  });
});

describe("R51: a leader sleeps only if everybody who is there does", () => {
  test("a peer that is behind keeps it awake, for as long as it takes", () => {
    const cluster = new TestCluster({ hibernation }).start();
    cluster.isolate(cluster.agent(3));
    cluster.propose(cluster.agent(1), "x");
    cluster.run(3000);
    expect(sleeps(cluster.agent(1))).toBe(false);
    cluster.heal();
    cluster.run(1000);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    expect(cluster.agents.map((agent) => texts(agent.committed))).toEqual([["x"], ["x"], ["x"]]);
  });

  test("an answer that is lost: the next heartbeat wakes those who sleep, and it asks later", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const leader = cluster.agent(1);
    const asked: number[] = [];
    let beats = 0;
    cluster.onSent = ({ from, to, message }) => {
      if (from !== "a1" || to !== "a3") return;
      if (message.kind === "heartbeat") beats += 1;
      if (message.kind === "hibernate") asked.push(beats);
    };
    for (let passed = 0; passed < 2000; passed++) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      while (cluster.wire.length > 0) {
        cluster.take((sent) => sent.from === "a3" && sent.message.kind === "hibernating");
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
      }
      expect(sleeps(leader)).toBe(false);
    }
    const pauses = asked.map((at, position) => at - (asked[position - 1] ?? at));
    expect(pauses.slice(1, 4)).toEqual([4, 8, 16]);
    expect(cluster.agent(2).core.leader).toBe("a1");
    expect(leader.core.term).toBe(1);
  });

  test("one that says nothing because it has work left keeps it awake, and is asked again", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const follower = cluster.agent(3);
    cluster.propose(cluster.agent(1), "x");
    for (let passed = 0; passed < 300; passed++) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      // All but the follower's state machine go on.
      while (
        cluster.wire.length > 0 ||
        cluster.agents.some((agent) => agent.durable < agent.records.length)
      ) {
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
        for (const agent of cluster.agents) {
          cluster.sync(agent);
          if (agent !== follower) cluster.apply(agent);
        }
      }
    }
    expect(follower.core.commitIndex).toBe(2);
    expect(follower.core.appliedIndex).toBe(1);
    expect(sleeps(follower)).toBe(false);
    expect(sleeps(cluster.agent(1))).toBe(false);
    cluster.run(1000);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
  });

  test("a member whose link is down does not keep it awake, but one more that is away does", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const [leader, second, third] = [cluster.agent(1), cluster.agent(2), cluster.agent(3)];
    cluster.crash(third);
    cluster.tellLink(leader, third, false);
    cluster.propose(leader, "x");
    cluster.run(1000);
    expect([leader, second].map(sleeps)).toEqual([true, true]);
    expect(leader.core.hibernation).toMatchObject({ present: ["a2"], absent: ["a3"] });

    cluster.crash(second);
    cluster.tellLink(leader, second, false);
    expect(sleeps(leader)).toBe(false);
    cluster.run(1000);
    expect(leader.core.role).toBe("follower");
  });

  test("it sleeps on without one whose link breaks, and wakes for it when the link is back", () => {
    const cluster = asleep();
    const [leader, third] = [cluster.agent(1), cluster.agent(3)];
    cluster.tellLink(leader, third, false);
    expect(leader.core.hibernation).toMatchObject({ present: ["a2"], absent: ["a3"] });
    expect(cluster.wire).toEqual([]);
    cluster.tellLink(leader, third, true);
    expect(sleeps(leader)).toBe(false);
    expect(kinds(cluster.wire)).toContain("heartbeat to a3");
    cluster.run(heartbeatMs * 8);
    expect(leader.core.hibernation).toMatchObject({ present: ["a2", "a3"], absent: [] });
  });
});

describe("R50: a follower sleeps only if it has everything", () => {
  const question = (cluster: TestCluster, last: number): void =>
    cluster.tell(cluster.agent(2), "a1", { kind: "hibernate", term: 1 as Term, last: last as LogIndex });

  test("an entry that came meanwhile keeps it awake; the question tells what is decided all the same", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const follower = cluster.agent(2);
    cluster.propose(cluster.agent(1), "x");
    for (const sent of cluster.take((one) => one.to === "a2")) cluster.deliver(sent);
    cluster.sync(follower);
    question(cluster, 1);
    expect(sleeps(follower)).toBe(false);
    question(cluster, 2);
    expect(sleeps(follower)).toBe(false);
    expect(follower.core.commitIndex).toBe(2);
    expect(kinds(cluster.wire)).not.toContain("hibernating to a1");
    cluster.apply(follower);
    question(cluster, 2);
    expect(sleeps(follower)).toBe(true);
  });

  test("an entry whose record is not on disk keeps it awake", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const follower = cluster.agent(2);
    follower.diskHangs = true;
    cluster.propose(cluster.agent(1), "x");
    cluster.run(1);
    expect(follower.core.lastIndex).toBe(2);
    expect(follower.core.commitIndex).toBe(1);
    question(cluster, 1);
    expect(sleeps(follower)).toBe(false);
  });

  test("a read that waits keeps it awake", () => {
    const cluster = new TestCluster({ hibernation }).start();
    cluster.read(cluster.agent(2));
    cluster.take(is("readRequest"));
    question(cluster, 1);
    expect(sleeps(cluster.agent(2))).toBe(false);
  });

  test("a question of a leader whose term is over is answered with the term that it is now", () => {
    const cluster = asleep();
    cluster.elect(cluster.agent(2));
    const term = cluster.agent(3).core.term;
    cluster.take(() => true);
    cluster.tell(cluster.agent(3), "a1", {
      kind: "hibernate",
      term: (term - 1) as Term,
      last: 1 as LogIndex,
    });
    expect(cluster.wire.map(({ message }) => message)).toEqual([{ kind: "hibernating", term, last: 1 }]);
    expect(sleeps(cluster.agent(3))).toBe(false);
  });

  test("and that answer deposes the leader that asked, asleep or not", () => {
    const cluster = asleep();
    cluster.tell(cluster.agent(1), "a2", { kind: "hibernating", term: 5 as Term, last: 1 as LogIndex });
    expect(cluster.agent(1).core.role).toBe("follower");
    expect(cluster.agent(1).core.term).toBe(5);
    expect(sleeps(cluster.agent(1))).toBe(false);
  });
});

describe("R53: whatever may change something wakes", () => {
  const heartbeats = ["heartbeat to a2", "heartbeat to a3"];

  const atTheLeader: Record<string, (cluster: TestCluster, leader: TestAgent) => void> = {
    "a proposal": (cluster, leader) => void cluster.propose(leader, "x"),
    "a read": (cluster, leader) => void cluster.read(leader),
    "a change of members": (cluster, leader) =>
      void cluster.step(leader, (core, out) => core.changeMembers({ steps: [] }, cluster.now, out)),
    "a forwarded command": (cluster, leader) =>
      cluster.tell(leader, "a2", { kind: "forward", term: 1 as Term, commands: [command("x")] }),
    "a follower's read": (cluster, leader) =>
      cluster.tell(leader, "a2", { kind: "readRequest", ticket: 1 as never }),
    "a follower that asks": (cluster, leader) =>
      cluster.tell(leader, "a2", { kind: "wakeUp", term: 1 as Term }),
    "a poll": (cluster, leader) =>
      cluster.tell(leader, "a2", {
        kind: "preVoteRequest",
        term: 2 as Term,
        lastIndex: 1 as LogIndex,
        lastTerm: 1 as Term,
      }),
  };

  test.each(Object.keys(atTheLeader))("the leader, by %s: everybody hears of it at once", (what) => {
    const cluster = asleep();
    const leader = cluster.agent(1);
    atTheLeader[what]!(cluster, leader);
    expect(sleeps(leader)).toBe(false);
    expect(kinds(cluster.wire).slice(0, 2)).toEqual(heartbeats);
    cluster.settle();
    expect(cluster.agents.map(sleeps)).toEqual([false, false, false]);
    cluster.run(heartbeatMs * 8);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    expect(leader.core.term).toBe(1);
  });

  test("the leader, by a wish that it hand over, and it does", () => {
    const cluster = asleep();
    expect(cluster.transfer(cluster.agent(1), 3)).toEqual({ kind: "accepted" });
    cluster.settle();
    expect(cluster.agents.map(({ core }) => core.leader)).toEqual(["a3", "a3", "a3"]);
    cluster.run(heartbeatMs * 8);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
  });

  test("a leader that waits for its successor does not sleep", () => {
    const cluster = asleep();
    const leader = cluster.agent(1);
    cluster.transfer(leader, 3);
    for (let beats = 0; beats < 5; beats++) {
      expect(cluster.take(is("campaignNow")), "every summons is lost").toHaveLength(1);
      cluster.settle();
      expect(leader.core.status()).toMatchObject({ hibernating: false, successor: "a3" });
      cluster.pass(heartbeatMs);
      cluster.wake(leader);
    }
  });

  const atAFollower: Record<string, (cluster: TestCluster, follower: TestAgent) => void> = {
    "a proposal": (cluster, follower) => void cluster.propose(follower, "x"),
    "a read": (cluster, follower) => void cluster.read(follower),
    "a campaign by hand": (cluster, follower) =>
      cluster.step(follower, (core, out) => core.campaign(cluster.now, out)),
    "another member's poll": (cluster, follower) =>
      cluster.tell(follower, "a3", {
        kind: "preVoteRequest",
        term: 2 as Term,
        lastIndex: 1 as LogIndex,
        lastTerm: 1 as Term,
      }),
    "a link to its leader that is new": (cluster, follower) =>
      cluster.tellLink(follower, cluster.agent(1), true),
    "a link to its leader that broke": (cluster, follower) =>
      cluster.tellLink(follower, cluster.agent(1), false),
  };

  test.each(Object.keys(atAFollower))(
    "a follower, by %s: it asks its leader, which tells everybody",
    (what) => {
      const cluster = asleep();
      const follower = cluster.agent(2);
      atAFollower[what]!(cluster, follower);
      expect(sleeps(follower)).toBe(false);
      expect(kinds(cluster.wire)[0]).toBe("wakeUp to a1");
      cluster.settle();
      expect(cluster.agents.map(sleeps)).toEqual([false, false, false]);
      expect(cluster.agents.map(({ core }) => core.leader)).toEqual(["a1", "a1", "a1"]);
      cluster.run(heartbeatMs * 8);
      expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
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
    const poll = { term: 7 as Term, lastIndex: 99 as LogIndex, lastTerm: 6 as Term };
    for (const agent of [leader, follower]) {
      cluster.tell(agent, "stranger", { kind: "preVoteRequest", ...poll });
      cluster.tell(agent, "stranger", { kind: "voteRequest", ...poll });
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
    cluster.run(electionTimeoutMaxMs);
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
    const poll = {
      kind: "preVoteRequest",
      term: 2 as Term,
      lastIndex: 1 as LogIndex,
      lastTerm: 1 as Term,
    } as const;
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

  test("R52: a question that one does not answer wakes the leader, and with it the others", () => {
    const cluster = asleep();
    const leader = cluster.agent(1);
    cluster.isolate(cluster.agent(3));
    cluster.run(hibernation.renewalMs + heartbeatMs);
    expect(sleeps(leader)).toBe(false);
    cluster.heal();
    cluster.run(1000);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
  });

  test("R52: with the question, a heartbeat looks for those that were away", () => {
    const cluster = asleep();
    const [leader, third] = [cluster.agent(1), cluster.agent(3)];
    cluster.crash(third);
    cluster.tellLink(leader, third, false);
    cluster.restart(third);
    // It has nothing to say, like a learner: only what it is asked.
    third.asleep = true;
    cluster.run(1000);
    expect(sleeps(leader)).toBe(true);
    cluster.agents[2]!.asleep = false;
    cluster.cut.add("a3>a2");
    const sent = sentWithin(cluster, hibernation.renewalMs + 500);
    expect(kinds(sent)).toContain("heartbeat to a3");
    expect(third.core.leader).toBe("a1");
  });
});
