/**
 * Voters that should lead rather than others: they go first when a leader is gone, and get leadership when they are back.
 * Whether they are there or not, somebody leads soon (R42).
 */
import { describe, expect, test } from "vitest";
import { AssertionError, type LogIndex, type Term } from "../core/index.ts";
import { TestCluster, type ClusterOptions, type Envelope, type TestAgent } from "./test-cluster.ts";

const electionTimeoutMaxMs = 300;
const settledMs = 10 * electionTimeoutMaxMs;
const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;
const leads = (agent: TestAgent): boolean => agent.core.role === "leader";

/** Agent 1 leads, and has told everybody what is known of the others. */
function started(priorities: readonly number[], options: ClusterOptions = {}): TestCluster {
  const cluster = new TestCluster({ voters: priorities.length, ...options, priorities }).start();
  cluster.run(200);
  expect(leads(cluster.agent(1))).toBe(true);
  return cluster;
}

/** How long until this agent polls, if nobody is heard from. */
const patienceMs = (cluster: TestCluster, agent: TestAgent): number =>
  (agent.core.deadline - cluster.now.monotonic) / 1000;

describe("when the leader is gone", () => {
  test("R42: the voter of the highest priority goes first, whatever the others' patience", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = started([50, 50, 50, 100, 50], { seed });
      cluster.crash(cluster.agent(1));
      cluster.run(600);
      expect(cluster.leader?.id, `seed ${seed}`).toBe("a4");
    }
  });

  test("R42: where that one is gone as well, another leads at most one longest time-out later", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = started([50, 100, 10, 50, 10], { seed });
      for (const number of [1, 2]) cluster.crash(cluster.agent(number));
      const polled: number[] = [];
      cluster.onSent = ({ message }) => {
        if (message.kind === "preVoteRequest") polled.push(cluster.now.monotonic);
      };
      const before = cluster.now.monotonic;
      cluster.run(3 * electionTimeoutMaxMs);
      expect(polled[0]! - before).toBeLessThanOrEqual(2 * electionTimeoutMaxMs * 1000);
      expect(cluster.leader, `seed ${seed}`).toBeDefined();
    }
  });

  test("R42: the head start is halved with every attempt, and gone once a leader is heard", () => {
    const cluster = started([50, 100, 0, 0, 0].map((priority) => Math.max(priority, 1)));
    const agent = cluster.agent(3);
    cluster.isolate(agent);
    const longest: number[] = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      cluster.pass(patienceMs(cluster, agent));
      cluster.wake(agent);
      // The first wake only finds that the leader was heard meanwhile.
      if (cluster.take(is("preVoteRequest")).length > 0) longest.push(patienceMs(cluster, agent));
      // Others are there, so no attempt is in vain (R96).
      for (const id of ["a4", "a5"])
        cluster.tell(agent, id, { kind: "preVoteAnswer", term: 1 as Term, granted: false });
    }
    for (const [at, patience] of longest.entries()) {
      const headStartMs = (electionTimeoutMaxMs * 0.99) / 2 ** (at + 1);
      expect(patience).toBeGreaterThanOrEqual(150 + headStartMs - 1);
      expect(patience).toBeLessThanOrEqual(electionTimeoutMaxMs + headStartMs);
    }
    expect(longest.length).toBeGreaterThan(3);
  });

  test("R42: nobody waits for one that has been gone for a while: the leader no longer speaks of it", () => {
    const cluster = started([50, 100, 50]);
    cluster.crash(cluster.agent(2));
    cluster.run(1000);
    const told = new Set<number | undefined>();
    cluster.onSent = ({ message }) => {
      if (message.kind === "heartbeat") told.add(message.nextPriority);
    };
    cluster.run(100);
    expect(told).toEqual(new Set([50]));
    cluster.crash(cluster.agent(1));
    cluster.run(1);
    for (let looks = 0; looks < 5; looks++) {
      expect(patienceMs(cluster, cluster.agent(3))).toBeLessThanOrEqual(electionTimeoutMaxMs);
      cluster.run(100);
    }
  });

  test("among equals nobody waits longer than without priorities", () => {
    const cluster = started([70, 70, 70]);
    cluster.crash(cluster.agent(1));
    cluster.run(1);
    for (const number of [2, 3]) {
      expect(patienceMs(cluster, cluster.agent(number))).toBeLessThanOrEqual(electionTimeoutMaxMs);
    }
  });
});

describe("when one is back that should lead", () => {
  test("R42: it gets leadership once it has been caught up for a while, and not before", () => {
    const cluster = new TestCluster({ priorities: [50, 50, 100] }).start();
    cluster.run(settledMs - 100);
    expect(leads(cluster.agent(1))).toBe(true);
    cluster.run(300);
    expect(leads(cluster.agent(3))).toBe(true);
    const { term } = cluster.agent(3).core;
    cluster.run(3 * settledMs);
    expect([leads(cluster.agent(3)), cluster.agent(3).core.term], "and keeps it").toEqual([true, term]);
  });

  test("the highest of several", () => {
    const cluster = new TestCluster({ voters: 5, priorities: [50, 60, 90, 80, 50] }).start();
    cluster.run(settledMs + 200);
    expect(leads(cluster.agent(3))).toBe(true);
  });

  test("R42: one that comes and goes does not", () => {
    const cluster = started([50, 50, 100]);
    for (let times = 0; times < 6; times++) {
      cluster.run(settledMs - 600);
      cluster.isolate(cluster.agent(3));
      cluster.run(200);
      cluster.heal();
    }
    expect([leads(cluster.agent(1)), cluster.agent(1).core.term]).toEqual([true, 1]);
  });

  test("R42: one that does not take over is not asked again soon", () => {
    const cluster = started([50, 50, 100]);
    const leader = cluster.agent(1);
    let attempts = 0;
    let before: string | undefined;
    for (let passed = 0; passed < 3 * settledMs; passed += 10) {
      cluster.pass(10);
      for (const agent of cluster.agents) {
        if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
      }
      cluster.take(is("campaignNow"));
      cluster.settle();
      const { successor } = leader.core.status();
      if (successor !== undefined && before === undefined) attempts += 1;
      before = successor;
    }
    expect(attempts).toBeGreaterThanOrEqual(2);
    expect(attempts).toBeLessThanOrEqual(3);
  });

  test("not one that lags, however long it is there", () => {
    const cluster = started([50, 50, 100]);
    const [leader, heir] = [cluster.agent(1), cluster.agent(3)];
    for (let times = 0; times < 150; times++) {
      cluster.propose(leader, "x");
      cluster.run(30);
      heir.diskHangs = true;
    }
    expect(leads(leader)).toBe(true);
    heir.diskHangs = false;
    cluster.run(settledMs + 300);
    expect(leads(heir)).toBe(true);
  });

  test("not a learner, nor an agent of a version that knows no priorities", () => {
    const cluster = new TestCluster({ learners: 1, priorities: [50, 50, 50, 100] }).start();
    cluster.run(2 * settledMs);
    expect(leads(cluster.agent(1))).toBe(true);
    const old = new TestCluster({ priorities: [10, 10, 10] }).start();
    for (let times = 0; times < settledMs / 5; times++) {
      old.tell(old.agent(1), "a2", { kind: "heartbeatAnswer", term: 1 as Term, round: 1 });
      old.run(10);
    }
    expect(leads(old.agent(1))).toBe(true);
  });

  test("R42: a learner's priority is of no interest to anybody", () => {
    const cluster = new TestCluster({ learners: 1, priorities: [50, 50, 50, 100] }).start();
    const told = new Set<number | undefined>();
    cluster.onSent = ({ message }) => {
      if (message.kind === "heartbeat") told.add(message.nextPriority);
    };
    cluster.run(1000);
    expect(told).toEqual(new Set([undefined, 50]));
  });

  test("what it says last counts: its priority may be another one since it restarted", () => {
    const cluster = new TestCluster().start();
    const answer = { kind: "heartbeatAnswer", term: 1 as Term, round: 0 } as const;
    cluster.tell(cluster.agent(1), "a3", { ...answer, priority: 100 });
    cluster.run(2 * settledMs);
    expect(leads(cluster.agent(1))).toBe(true);
  });

  test("an idle group sleeps without one that is away", () => {
    const cluster = started([50, 50, 100], { hibernation: { quietBeats: 2, renewalMs: 60_000 } });
    cluster.crash(cluster.agent(3));
    for (const number of [1, 2]) cluster.tellLink(cluster.agent(number), cluster.agent(3), false);
    cluster.run(1000);
    expect(cluster.agent(1).core.status().hibernating).toBe(true);
  });

  test("R42: an idle group does not fall asleep before that, and does then", () => {
    const cluster = new TestCluster({
      priorities: [50, 50, 100],
      hibernation: { quietBeats: 2, renewalMs: 60_000 },
    }).start();
    cluster.run(settledMs + 100);
    expect(leads(cluster.agent(3))).toBe(true);
    cluster.run(1000);
    expect(cluster.agents.map(({ core }) => core.status().hibernating)).toEqual([true, true, true]);
  });
});

describe("priority 0", () => {
  test("R42: does not campaign by itself, however long nobody leads", () => {
    const cluster = started([50, 0, 0]);
    cluster.crash(cluster.agent(1));
    cluster.run(20_000);
    expect(cluster.agents.slice(1).map(({ core }) => [core.role, core.term])).toEqual([
      ["follower", 1],
      ["follower", 1],
    ]);
    expect(cluster.agent(2).core.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("votes like any other", () => {
    const cluster = started([50, 0, 50]);
    cluster.crash(cluster.agent(1));
    cluster.run(1000);
    expect(leads(cluster.agent(3))).toBe(true);
  });

  test("campaigns when somebody asks it to, goes on until it is over, and waits again then", () => {
    const cluster = started([50, 0, 0]);
    cluster.crash(cluster.agent(1));
    cluster.isolate(cluster.agent(2));
    cluster.run(1000);
    cluster.elect(cluster.agent(2));
    cluster.run(1000);
    expect(leads(cluster.agent(2)), "nobody hears it").toBe(false);
    cluster.heal();
    cluster.run(1000);
    expect(leads(cluster.agent(2)), "it has gone on").toBe(true);
    cluster.isolate(cluster.agent(2));
    cluster.run(10_000);
    expect(cluster.agent(2).core.role).toBe("follower");
    expect(cluster.agent(2).core.deadline, "it has laid down its office").toBe(Number.POSITIVE_INFINITY);
  });

  test("leads where leadership is handed to it, and hands it on to one that is wanted more", () => {
    const cluster = started([50, 0, 50]);
    cluster.transfer(cluster.agent(1), 2);
    cluster.settle();
    expect(leads(cluster.agent(2))).toBe(true);
    cluster.run(settledMs + 200);
    expect(leads(cluster.agent(2))).toBe(false);
    expect(cluster.leader).toBeDefined();
  });

  test("is the last choice of a leader that may choose, even where it has more of the log", () => {
    const cluster = started([50, 0, 50]);
    cluster.cut.add("a1>a3");
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    cluster.transfer(cluster.agent(1));
    expect(cluster.agent(1).core.status().successor).toBe("a3");
    const only = started([50, 0, 0]);
    only.transfer(only.agent(1));
    expect(only.agent(1).core.status().successor).toBeDefined();
  });

  test("alone, it leads at once", () => {
    const cluster = new TestCluster({ voters: 1, priorities: [0] });
    cluster.wake(cluster.agent(1));
    cluster.settle();
    expect(leads(cluster.agent(1))).toBe(true);
  });
});

describe("left to the leader, of several that have all of its log", () => {
  test("the one of the highest priority", () => {
    const cluster = started([90, 50, 70, 60]);
    cluster.transfer(cluster.agent(1));
    expect(cluster.agent(1).core.status().successor).toBe("a3");
  });

  test("more of the log comes first: it is there sooner", () => {
    const cluster = started([90, 50, 70, 60]);
    cluster.cut.add("a1>a3");
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    cluster.transfer(cluster.agent(1));
    expect(cluster.agent(1).core.status().successor).toBe("a4");
  });
});

test("a priority is a whole number from 0 to 100", () => {
  for (const priority of [-1, 101, 1.5, Number.NaN]) {
    expect(() => new TestCluster({ voters: 1, priorities: [priority] })).toThrow(AssertionError);
  }
});

describe("what a follower was told", () => {
  /** How long after the leader's last words it polls. */
  function pollsAfterMs(priority: number, ...told: (number | undefined)[]): number {
    const cluster = new TestCluster({ priorities: [50, 50, priority] });
    for (const agent of cluster.agents) cluster.wake(agent);
    const agent = cluster.agent(3);
    for (const [at, nextPriority] of told.entries()) {
      cluster.tell(agent, "a1", {
        kind: "heartbeat",
        term: 1 as Term,
        commit: 0 as LogIndex,
        round: at + 1,
        ...(nextPriority !== undefined && { nextPriority }),
      });
    }
    cluster.sync(agent);
    cluster.isolate(agent);
    cluster.wire = [];
    const before = cluster.now.monotonic;
    while (!cluster.take(({ from }) => from === "a3").some(is("preVoteRequest"))) {
      cluster.pass(1);
      if (agent.core.deadline <= cluster.now.monotonic) cluster.wake(agent);
    }
    return (cluster.now.monotonic - before) / 1000;
  }

  test("R42: lengthens its patience as far as it is outdone, and never shortens it", () => {
    expect(pollsAfterMs(1, 100)).toBeGreaterThanOrEqual(150 + 297);
    expect(pollsAfterMs(100, 1)).toBeGreaterThanOrEqual(150);
    expect(pollsAfterMs(100, 1)).toBeLessThanOrEqual(electionTimeoutMaxMs);
  });

  test("R42: is forgotten with the next word", () => {
    expect(pollsAfterMs(1, 100, undefined)).toBeLessThanOrEqual(electionTimeoutMaxMs);
  });

  test("R42: counts in full again after a leader was heard, however many attempts there were before", () => {
    const cluster = started([50, 100, 1]);
    const agent = cluster.agent(3);
    cluster.isolate(agent);
    // Not for so long that the one that is wanted more leads by then: then less is lengthened.
    cluster.run(2000);
    cluster.heal();
    cluster.run(300);
    expect(cluster.leader?.id).toBe("a1");
    cluster.crash(cluster.agent(2));
    cluster.crash(cluster.agent(1));
    const before = cluster.now.monotonic;
    let polledAt = 0;
    cluster.onSent = ({ message }) => {
      if (message.kind === "preVoteRequest") polledAt ||= cluster.now.monotonic;
    };
    cluster.run(700);
    expect(polledAt - before).toBeGreaterThan(390_000);
  });
});
