/**
 * Idle groups fall asleep: when, who is waited for and who is not, and what becomes of answers that are late or lost. What
 * the driver tells of links is told by hand.
 */
import { describe, expect, test } from "vitest";
import { never, type LogIndex, type Term } from "../core/index.ts";
import { heartbeatMs, TestCluster, texts, type Envelope } from "./test-cluster.ts";
import { asleep, electionTimeoutMaxMs, hibernation, kinds, sentWithin, sleeps } from "./test-sleep.ts";

const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;

const isAppendToThird = ({ to, message }: Envelope): boolean => to === "a3" && message.kind === "append";

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
    expect(cluster.agent(1).core.hibernation).toMatchObject({ present: ["a2", "a3", "a4"] });
    for (const other of [2, 3, 4]) {
      expect(cluster.agent(other).core.hibernation).toMatchObject({ present: ["a1"] });
    }
  });

  test("R52: a group of one asks nobody, and its sleep has an end, too", () => {
    const cluster = asleep({ voters: 1 });
    const { core } = cluster.agent(1);
    expect(core.deadline).not.toBe(never);
    expect(core.hibernation, "nobody to have an eye on").toMatchObject({ present: [] });
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
    expect(kinds(cluster.wire)).toEqual(["heartbeatAnswer to a1"]);
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
    cluster.propose(cluster.agent(1), "x");
    for (let passed = 0; passed < 3000; passed++) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      // It hears and says all but what the log is about.
      for (cluster.take(isAppendToThird); cluster.wire.length > 0; cluster.take(isAppendToThird)) {
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
        for (const agent of cluster.agents) {
          cluster.sync(agent);
          cluster.apply(agent);
        }
      }
    }
    expect(sleeps(cluster.agent(1))).toBe(false);
    cluster.run(1000);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    expect(cluster.agents.map((agent) => texts(agent.committed))).toEqual([["x"], ["x"], ["x"]]);
  });

  test("an answer that is lost costs that one a heartbeat, after which it is asked again; the others sleep on", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const said: Record<string, string[]> = { a2: [], a3: [] };
    cluster.onSent = ({ from, to, message }) => {
      if (from === "a1") said[to]!.push(message.kind);
    };
    let lost = 0;
    for (let passed = 0; passed < 1000; passed++) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      while (cluster.wire.length > 0) {
        const answers = (sent: Envelope): boolean =>
          sent.from === "a3" && sent.message.kind === "hibernating";
        if (lost < 2) lost += cluster.take(answers).length;
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
      }
    }
    expect(said["a2"]!.slice(-2)).toEqual(["heartbeat", "hibernate"]);
    expect(said["a3"]!.filter((kind) => kind === "hibernate")).toHaveLength(3);
    expect(said["a3"]!.at(-1)).toBe("hibernate");
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    expect(cluster.agents.map(({ core }) => core.term)).toEqual([1, 1, 1]);
  });

  test("an answer that is so late that a heartbeat went out meanwhile counts no more: that has woken who gave it", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const leader = cluster.agent(1);
    const late: Envelope[] = [];
    const isLate = (sent: Envelope): boolean => sent.from === "a3" && sent.message.kind === "hibernating";
    for (let passed = 0; passed < heartbeatMs * 7; passed++) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      while (cluster.wire.length > 0) {
        late.push(...cluster.take(isLate));
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
      }
    }
    expect(late.length).toBeGreaterThan(0);
    expect(sleeps(cluster.agent(3))).toBe(false);
    for (const sent of late) cluster.deliver(sent);
    expect(leader.core.hibernation?.present).toEqual(["a2"]);
  });

  test("so does one that a read overtook: its heartbeat has woken who gave the answer", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const [leader, third] = [cluster.agent(1), cluster.agent(3)];
    const late: Envelope[] = [];
    const isAnswer = (sent: Envelope): boolean => sent.message.kind === "hibernating";
    while (late.length < 2) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      for (; cluster.wire.length > 0; late.push(...cluster.take(isAnswer)))
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
    }
    expect(sleeps(third)).toBe(true);
    cluster.read(leader);
    cluster.settle();
    expect(leader.eventsOf("readable")).toHaveLength(1);
    expect(sleeps(third)).toBe(false);
    for (const sent of late) cluster.deliver(sent);
    expect(leader.core.hibernation).toBeUndefined();
    cluster.run(heartbeatMs * 8);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
  });

  test("nobody is told that all is decided while it is not", () => {
    const cluster = new TestCluster({ hibernation, voters: 5 }).start();
    const lost = ({ to, message }: Envelope): boolean =>
      message.kind === "append" && (to === "a3" || to === "a4" || to === "a5");
    cluster.propose(cluster.agent(1), "x");
    for (let passed = 0; passed < 1000; passed++) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      for (cluster.take(lost); cluster.wire.length > 0; cluster.take(lost)) {
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
        for (const agent of cluster.agents) cluster.sync(agent);
      }
    }
    expect(cluster.agent(2).core.lastIndex).toBe(2);
    expect(cluster.agents.map(({ core }) => core.commitIndex)).toEqual([1, 1, 1, 1, 1]);
    expect(cluster.agents.some(({ core }) => core.hibernation !== undefined)).toBe(false);
  });

  test("one that never answers such a question gets heartbeats, and questions ever more rarely", () => {
    const cluster = new TestCluster({ hibernation }).start();
    const asked: number[] = [];
    let beats = 0;
    cluster.onSent = ({ from, to, message }) => {
      if (from !== "a1" || to !== "a3") return;
      beats += 1;
      if (message.kind === "hibernate") asked.push(beats);
    };
    for (let passed = 0; passed < 3000; passed++) {
      cluster.pass(1);
      for (const agent of cluster.agents)
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      // Like an agent of an earlier version: it is not even told.
      for (
        ;
        cluster.wire.length > 0;
        cluster.take((sent) => sent.to === "a3" && sent.message.kind === "hibernate")
      )
        for (const sent of cluster.take(() => true)) {
          if (sent.to !== "a3" || sent.message.kind !== "hibernate") cluster.deliver(sent);
        }
    }
    expect(asked.length).toBeGreaterThan(3);
    expect(asked.length).toBeLessThan(8);
    expect(cluster.agents.map(sleeps)).toEqual([false, true, false]);
    expect(cluster.agent(3).core.leader).toBe("a1");
    expect(cluster.agent(1).core.term).toBe(1);
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
    cluster.run(heartbeatMs * 6);
    expect([leader, second].map(sleeps)).toEqual([true, true]);
    expect(leader.core.hibernation?.present).toEqual(["a2"]);

    cluster.crash(second);
    cluster.tellLink(leader, second, false);
    expect(sleeps(leader)).toBe(false);
    cluster.run(1000);
    expect(leader.core.role).toBe("follower");
  });

  test("nor does one that says nothing for long, whatever is known of its link", () => {
    const cluster = new TestCluster({ hibernation }).start();
    cluster.crash(cluster.agent(3));
    cluster.run(heartbeatMs * 15);
    expect(sleeps(cluster.agent(1))).toBe(false);
    cluster.run(heartbeatMs * 15);
    expect(sleeps(cluster.agent(1))).toBe(true);
    expect(cluster.agent(1).core.hibernation?.present).toEqual(["a2"]);
  });

  test("it sleeps on without one whose link breaks; when the link is back it probes, and an answer wakes it", () => {
    const cluster = asleep();
    const [leader, third] = [cluster.agent(1), cluster.agent(3)];
    cluster.tellLink(leader, third, false);
    expect(leader.core.hibernation?.present).toEqual(["a2"]);
    expect(cluster.wire).toEqual([]);
    cluster.tellLink(leader, third, true);
    expect(kinds(cluster.wire)).toEqual(["append to a3"]);
    expect(sleeps(leader)).toBe(true);
    cluster.run(1);
    expect(sleeps(leader)).toBe(false);
    cluster.run(heartbeatMs * 8);
    expect(leader.core.hibernation?.present).toEqual(["a2", "a3"]);
  });

  test("whoever is away and asks for votes wakes all, and catches up", () => {
    const cluster = asleep();
    const [leader, third] = [cluster.agent(1), cluster.agent(3)];
    cluster.crash(third);
    cluster.tellLink(leader, third, false);
    cluster.propose(leader, "x");
    cluster.run(heartbeatMs * 6);
    expect(sleeps(leader)).toBe(true);
    cluster.restart(third);
    cluster.run(electionTimeoutMaxMs + heartbeatMs * 8);
    expect(texts(third.committed)).toEqual(["x"]);
    expect(cluster.agents.map(sleeps)).toEqual([true, true, true]);
    expect(leader.core.term).toBe(1);
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
