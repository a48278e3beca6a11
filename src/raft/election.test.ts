/** Who gets to lead: polls, votes, patience, and what ends an office. */
import { describe, expect, test } from "vitest";
import { AssertionError, type LogIndex, type Micros, type Term } from "../core/index.ts";
import type { VoteRequest } from "./messages.ts";
import { TestCluster, type TestAgent } from "./test-cluster.ts";

const kinds = (cluster: TestCluster): string[] => cluster.wire.map(({ message }) => message.kind);

/** First wakes, and no election yet. */
function woken(options: ConstructorParameters<typeof TestCluster>[0] = {}): TestCluster {
  const cluster = new TestCluster(options);
  for (const agent of cluster.agents) cluster.wake(agent);
  cluster.settle();
  return cluster;
}

function campaign(cluster: TestCluster, agent: TestAgent): void {
  cluster.step(agent, (core, out) => core.campaign(cluster.now, out));
}

/** Time passes until the agent's deadline, and it is woken on time. */
function wakeOnTime(cluster: TestCluster, agent: TestAgent): void {
  cluster.pass(Math.max(0, agent.core.deadline - cluster.now.monotonic) / 1000);
  cluster.wake(agent);
}

function voteRequest(term: number, lastIndex = 0, lastTerm = 0): VoteRequest {
  return {
    kind: "voteRequest",
    term: term as Term,
    lastIndex: lastIndex as LogIndex,
    lastTerm: lastTerm as Term,
  };
}

describe("from silence to a leader", () => {
  test("nothing is sent or written before the first wake, and then only the base record", () => {
    const cluster = new TestCluster();
    const agent = cluster.agent(1);
    cluster.tell(agent, "a2", voteRequest(3));
    cluster.step(agent, (core, out) => core.campaign(cluster.now, out));
    expect(cluster.propose(agent, "x")).toEqual({ kind: "notLeader" });
    expect(cluster.read(agent)).toEqual({ kind: "notLeader" });
    expect([agent.records, cluster.wire, agent.core.term]).toEqual([[], [], 0]);
    cluster.wake(agent);
    expect(agent.records).toEqual([{ kind: "base", index: 0, term: 0, time: 0, members: cluster.members }]);
    expect(cluster.wire).toEqual([]);
  });

  test("whoever loses patience first polls, stands, and leads with an entry without a command", () => {
    const cluster = woken();
    cluster.run(400);
    const leader = cluster.leader!;
    expect(leader.core.term).toBe(1);
    expect(leader.log).toEqual([{ term: 1, text: "" }]);
    for (const agent of cluster.agents) {
      expect(agent.core.leader).toBe(leader.id);
      expect(agent.core.commitIndex).toBe(1);
    }
    expect(leader.eventsOf("role").map(({ role }) => role)).toEqual(["candidate", "leader"]);
  });

  test("a leader that is heard from stays: nobody polls while its heartbeats come", () => {
    const cluster = woken().start();
    cluster.run(2000);
    expect(cluster.agents.map(({ core }) => core.term)).toEqual([1, 1, 1]);
    expect(cluster.leader).toBe(cluster.agent(1));
  });

  test("when the leader dies another one takes over within two time-outs", () => {
    const cluster = woken().start();
    cluster.crash(cluster.agent(1));
    cluster.run(700);
    expect(cluster.leader?.core.term).toBeGreaterThan(1);
  });

  test("a leader that comes back follows the one that came after it", () => {
    const cluster = woken().start();
    cluster.isolate(cluster.agent(1));
    cluster.run(700);
    const second = cluster.agents.slice(1).find(({ core }) => core.role === "leader")!;
    expect(cluster.agent(1).core.role, "it has laid down its office").toBe("follower");
    cluster.heal();
    cluster.run(100);
    expect(cluster.agent(1).core.leader).toBe(second.id);
    expect(cluster.agent(1).core.term).toBe(second.core.term);
  });

  test("a group of one leads as soon as its vote is on its disk", () => {
    const cluster = new TestCluster({ voters: 1 });
    const agent = cluster.agent(1);
    cluster.wake(agent);
    expect(agent.core.role).toBe("candidate");
    cluster.sync(agent, 1);
    expect(agent.core.role).toBe("candidate");
    cluster.sync(agent, 2);
    expect(agent.core.role).toBe("leader");
    expect(agent.core.commitIndex).toBe(0);
    cluster.sync(agent);
    expect(agent.core.commitIndex).toBe(1);
  });

  test("campaigning by hand: a leader stays what it is, a learner never does", () => {
    const cluster = woken({ learners: 1 }).start();
    campaign(cluster, cluster.agent(1));
    campaign(cluster, cluster.agent(4));
    expect(cluster.wire).toEqual([]);
    expect([cluster.agent(1).core.role, cluster.agent(4).core.role]).toEqual(["leader", "learner"]);
  });

  test("campaigning by hand while a leader is heard changes nothing", () => {
    const cluster = woken().start();
    cluster.elect(cluster.agent(2));
    cluster.run(100);
    expect(cluster.leader).toBe(cluster.agent(1));
    expect(cluster.agent(2).core.leader).toBe(cluster.agent(1).id);
    expect(cluster.agents.map(({ core }) => core.term)).toEqual([1, 1, 1]);
  });

  test("R12: a learner's patience never ends, but it votes if asked", () => {
    const cluster = woken({ learners: 1 });
    const learner = cluster.agent(4);
    expect(learner.core.deadline).toBe(Number.POSITIVE_INFINITY);
    cluster.tell(learner, "a1", { ...voteRequest(3), kind: "preVoteRequest" });
    cluster.tell(learner, "a1", voteRequest(3));
    cluster.sync(learner);
    expect(cluster.wire.map(({ message }) => message)).toEqual([
      { kind: "preVoteAnswer", term: 3, granted: true },
      { kind: "voteAnswer", term: 3, granted: true },
    ]);
    expect(learner.core.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("the patience of each attempt is drawn anew from the whole range", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    cluster.isolate(agent);
    const lengths = new Set<number>();
    for (let attempt = 0; attempt < 30; attempt++) {
      wakeOnTime(cluster, agent);
      cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 0 as Term, granted: false });
      cluster.settle();
      const patience = agent.core.deadline - cluster.now.monotonic;
      expect(patience).toBeGreaterThanOrEqual(150_000);
      expect(patience).toBeLessThanOrEqual(300_000);
      lengths.add(patience);
    }
    expect(lengths.size).toBeGreaterThan(25);
  });
});

describe("polls", () => {
  test("R15: a poll that is not won changes no term and writes nothing", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    cluster.isolate(agent);
    const before = agent.records.length;
    for (let attempt = 0; attempt < 5; attempt++) {
      wakeOnTime(cluster, agent);
      expect(kinds(cluster)).toEqual(["preVoteRequest", "preVoteRequest"]);
      cluster.settle();
    }
    expect([agent.core.term, agent.core.role, agent.records.length]).toEqual([0, "follower", before]);
  });

  test("R15: being asked changes neither term nor vote, however high the term", () => {
    const cluster = woken();
    const agent = cluster.agent(2);
    cluster.tell(agent, "a1", { ...voteRequest(77), kind: "preVoteRequest" });
    expect(agent.core.term).toBe(0);
    expect(cluster.take(() => true)[0]?.message).toEqual({ kind: "preVoteAnswer", term: 77, granted: true });
  });

  test("R15: whoever polls for a term that is over is told the one that is not", () => {
    const cluster = woken().start();
    cluster.isolate(cluster.agent(3));
    cluster.crash(cluster.agent(1));
    cluster.run(700);
    const term = cluster.agent(2).core.term;
    expect(term).toBe(1);
    cluster.tell(cluster.agent(2), "a3", { ...voteRequest(1, 9, 1), kind: "preVoteRequest" });
    const answer = cluster.take(({ to }) => to === "a3").at(-1)!;
    expect(answer.message).toEqual({ kind: "preVoteAnswer", term: 1, granted: false });
  });

  test("R15: a refusal of a higher term ends the poll in that term", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    campaign(cluster, agent);
    cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 9 as Term, granted: false });
    expect([agent.core.term, agent.core.role]).toEqual([9, "follower"]);
    cluster.tell(agent, "a3", { kind: "preVoteAnswer", term: 1 as Term, granted: true });
    expect(agent.core.role).toBe("follower");
  });

  test("R12: only this poll's approvals count, once each, and only members'", () => {
    const cluster = woken({ voters: 5 });
    const agent = cluster.agent(1);
    campaign(cluster, agent);
    const approve = (from: string, term: number): void =>
      cluster.tell(agent, from, { kind: "preVoteAnswer", term: term as Term, granted: true });
    approve("a2", 1);
    approve("a2", 1);
    approve("stranger", 1);
    approve("a3", 2);
    expect(agent.core.role).toBe("follower");
    approve("a3", 1);
    expect(agent.core.role).toBe("candidate");
  });

  test("a poll that a majority refuses is over, and late approvals do not revive it", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    campaign(cluster, agent);
    cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 0 as Term, granted: false });
    cluster.tell(agent, "a3", { kind: "preVoteAnswer", term: 0 as Term, granted: false });
    cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 1 as Term, granted: true });
    expect([agent.core.role, agent.core.term]).toEqual(["follower", 0]);
  });

  test("R11: no approval for a log that is behind, in its last term first and then in length", () => {
    const cluster = woken().start();
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    cluster.crash(cluster.agent(1));
    cluster.pass(400);
    const agent = cluster.agent(2);
    const asked = (lastIndex: number, lastTerm: number): unknown => {
      cluster.tell(agent, "a3", { ...voteRequest(5, lastIndex, lastTerm), kind: "preVoteRequest" });
      return cluster.take(() => true).at(-1)?.message;
    };
    expect(asked(1, 1)).toMatchObject({ granted: false, term: 1 });
    expect(asked(9, 0)).toMatchObject({ granted: false });
    expect(asked(2, 1)).toMatchObject({ granted: true, term: 5 });
    expect(asked(1, 2)).toMatchObject({ granted: true });
  });
});

describe("votes", () => {
  test("R3: one vote a term, to whoever asks first; asking again gets the same answer", () => {
    const cluster = woken();
    const agent = cluster.agent(3);
    for (const from of ["a1", "a2", "a1"]) cluster.tell(agent, from, voteRequest(1));
    cluster.sync(agent);
    expect(cluster.wire.map(({ to, message }) => [to, message])).toEqual([
      ["a1", { kind: "voteAnswer", term: 1, granted: true }],
      ["a2", { kind: "voteAnswer", term: 1, granted: false }],
      ["a1", { kind: "voteAnswer", term: 1, granted: true }],
    ]);
  });

  test("R3: a vote survives a restart", () => {
    const cluster = woken();
    const agent = cluster.agent(3);
    cluster.tell(agent, "a1", voteRequest(1));
    cluster.sync(agent);
    cluster.crash(agent);
    cluster.restart(agent);
    expect([agent.core.term, agent.core.votedFor]).toEqual([1, "a1"]);
    cluster.wire = [];
    cluster.tell(agent, "a2", voteRequest(1));
    cluster.sync(agent);
    expect(cluster.wire.at(-1)?.message).toMatchObject({ granted: false });
  });

  test("R11: a candidate whose log is behind learns the term and gets no vote, and the vote is still free", () => {
    const cluster = woken().start();
    cluster.crash(cluster.agent(1));
    cluster.pass(400);
    const agent = cluster.agent(2);
    cluster.tell(agent, "a3", voteRequest(5));
    expect([agent.core.term, agent.core.votedFor]).toEqual([5, undefined]);
    cluster.tell(agent, "a1", voteRequest(5, 1, 1));
    expect(agent.core.votedFor).toBe("a1");
  });

  test("R11: a refused candidate does not take away the patience of a better one, a voted one does", () => {
    const cluster = woken().start();
    cluster.crash(cluster.agent(1));
    cluster.pass(160);
    const agent = cluster.agent(2);
    const { deadline } = agent.core;
    cluster.tell(agent, "a3", voteRequest(5));
    expect(agent.core.deadline).toBe(deadline);
    cluster.tell(agent, "a3", voteRequest(6, 9, 5));
    expect(agent.core.deadline).toBeGreaterThanOrEqual(cluster.now.monotonic + 150_000);
  });

  test("R11: a leader of a past term protects nobody: whoever left its term votes at once", () => {
    const cluster = woken().start();
    const agent = cluster.agent(2);
    campaign(cluster, agent);
    cluster.tell(agent, "a3", { kind: "preVoteAnswer", term: 5 as Term, granted: false });
    cluster.tell(agent, "a3", voteRequest(6, 9, 5));
    expect([agent.core.term, agent.core.votedFor]).toEqual([6, "a3"]);
  });

  test("R12: the first answer of a voter stands", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    campaign(cluster, agent);
    cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 0 as Term, granted: false });
    cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 1 as Term, granted: true });
    expect(agent.core.role).toBe("follower");
    cluster.tell(agent, "a3", { kind: "preVoteAnswer", term: 1 as Term, granted: true });
    cluster.sync(agent);
    cluster.tell(agent, "a2", { kind: "voteAnswer", term: 1 as Term, granted: false });
    cluster.tell(agent, "a2", { kind: "voteAnswer", term: 1 as Term, granted: true });
    expect(agent.core.role).toBe("candidate");
  });

  test("R11: while a leader is heard, a higher term is not even looked at", () => {
    const cluster = woken().start();
    for (const agent of [cluster.agent(1), cluster.agent(2)]) {
      cluster.tell(agent, "a3", voteRequest(99, 50, 50));
      cluster.tell(agent, "stranger", voteRequest(99, 50, 50));
      expect(agent.core.term).toBe(1);
      cluster.tell(agent, "a3", { ...voteRequest(99, 50, 50), kind: "preVoteRequest" });
      expect(cluster.take(() => true).at(-1)?.message).toEqual({
        kind: "preVoteAnswer",
        term: 1,
        granted: false,
      });
    }
  });

  test("a candidate of an old term is told the new one", () => {
    const cluster = woken().start();
    cluster.tell(cluster.agent(2), "a3", voteRequest(0));
    cluster.sync(cluster.agent(2));
    expect(cluster.wire.at(-1)?.message).toEqual({ kind: "voteAnswer", term: 1, granted: false });
  });

  test("a late request of the leader's own candidacy does not make it forgotten", () => {
    const cluster = woken().start();
    const agent = cluster.agent(2);
    expect(agent.core.votedFor).toBe("a1");
    cluster.tell(agent, "a1", voteRequest(1));
    expect(agent.core.leader).toBe("a1");
  });

  test("nobody votes in a term that has its leader already", () => {
    const cluster = woken({ voters: 5 });
    const agent = cluster.agent(5);
    cluster.tell(agent, "a1", { kind: "heartbeat", term: 3 as Term, commit: 0 as LogIndex, round: 1 });
    cluster.tell(agent, "a2", voteRequest(3, 9, 2));
    expect(agent.core.votedFor).toBeUndefined();
  });

  test("R12: refusals of a majority end a candidacy; the answers of another term mean nothing", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    campaign(cluster, agent);
    cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 1 as Term, granted: true });
    cluster.sync(agent);
    cluster.tell(agent, "a2", { kind: "voteAnswer", term: 0 as Term, granted: true });
    cluster.tell(agent, "stranger", { kind: "voteAnswer", term: 1 as Term, granted: true });
    expect(agent.core.role).toBe("candidate");
    cluster.tell(agent, "a2", { kind: "voteAnswer", term: 1 as Term, granted: false });
    cluster.tell(agent, "a3", { kind: "voteAnswer", term: 1 as Term, granted: false });
    expect(agent.core.role).toBe("follower");
    cluster.tell(agent, "a3", { kind: "voteAnswer", term: 1 as Term, granted: true });
    expect(agent.core.role).toBe("follower");
  });

  test("a candidate that hears the leader of its term follows it; of a higher term, too", () => {
    for (const term of [1, 4]) {
      const cluster = woken();
      const agent = cluster.agent(1);
      campaign(cluster, agent);
      cluster.tell(agent, "a2", { kind: "preVoteAnswer", term: 1 as Term, granted: true });
      cluster.tell(agent, "a3", { kind: "heartbeat", term: term as Term, commit: 0 as LogIndex, round: 1 });
      expect([agent.core.role, agent.core.leader, agent.core.term]).toEqual(["follower", "a3", term]);
    }
  });

  test("R1: two leaders in one term end the agent that sees them", () => {
    const heartbeat = { kind: "heartbeat", term: 1 as Term, commit: 0 as LogIndex, round: 1 } as const;
    const cluster = woken().start();
    expect(() => cluster.tell(cluster.agent(1), "a2", heartbeat)).toThrow(AssertionError);
    expect(() => cluster.tell(cluster.agent(3), "a2", heartbeat)).toThrow(AssertionError);
  });
});

describe("the end of an office", () => {
  test("any member's higher term ends it, whatever the answer; a stranger's does not", () => {
    const answers = [
      { kind: "appendMatched", term: 8 as Term, matched: 1 as LogIndex },
      {
        kind: "appendRejected",
        term: 8 as Term,
        prevIndex: 0 as LogIndex,
        hintIndex: 0 as LogIndex,
        hintTerm: 0 as Term,
      },
      { kind: "heartbeatAnswer", term: 8 as Term, round: 1 },
      { kind: "voteAnswer", term: 8 as Term, granted: false },
      { kind: "preVoteAnswer", term: 8 as Term, granted: false },
    ] as const;
    for (const answer of answers) {
      const cluster = woken().start();
      const leader = cluster.agent(1);
      cluster.tell(leader, "stranger", answer);
      expect(leader.core.role).toBe("leader");
      cluster.tell(leader, "a2", answer);
      expect([leader.core.role, leader.core.term, leader.core.leader]).toEqual(["follower", 8, undefined]);
    }
  });

  test("check-quorum: a leader that a majority does not answer lays down its office", () => {
    const cluster = woken({ voters: 5 }).start();
    const leader = cluster.agent(1);
    cluster.crash(cluster.agent(4));
    cluster.crash(cluster.agent(5));
    cluster.run(1000);
    expect(leader.core.role).toBe("leader");
    cluster.crash(cluster.agent(3));
    cluster.run(400);
    expect([leader.core.role, leader.core.term]).toEqual(["follower", 1]);
  });

  test("a learner's answers do not keep a leader in office", () => {
    const cluster = woken({ voters: 3, learners: 2 }).start();
    cluster.crash(cluster.agent(2));
    cluster.crash(cluster.agent(3));
    cluster.run(400);
    expect(cluster.agent(1).core.role).toBe("follower");
  });

  test("R15: an agent with a higher term than its leader's gets free by its answers", () => {
    const cluster = woken().start();
    const stuck = cluster.agent(3);
    cluster.isolate(stuck);
    cluster.pass(400);
    cluster.tell(stuck, "a2", voteRequest(6));
    expect(stuck.core.term).toBe(6);
    cluster.heal();
    cluster.wire = [];
    cluster.tell(stuck, "a1", { kind: "heartbeat", term: 1 as Term, commit: 0 as LogIndex, round: 9 });
    expect(cluster.wire.at(-1)?.message).toMatchObject({ kind: "heartbeatAnswer", term: 6, round: 9 });
    cluster.run(1000);
    expect(cluster.leader?.core.term).toBeGreaterThan(6);
    expect(stuck.core.leader).toBe(cluster.leader?.id);
  });

  test("an agent that was asleep for long starts its patience anew: the leader's messages wait to be read", () => {
    const cluster = woken().start();
    const sleeper = cluster.agent(2);
    cluster.pass((sleeper.core.deadline - cluster.now.monotonic) / 1000 + 151);
    cluster.wake(sleeper);
    expect(kinds(cluster)).not.toContain("preVoteRequest");
    expect(sleeper.core.deadline).toBeGreaterThan(cluster.now.monotonic);
    wakeOnTime(cluster, sleeper);
    expect(kinds(cluster), "but not for ever").toContain("preVoteRequest");
  });

  test("a leader that was asleep for longer than an election takes does not heartbeat on", () => {
    const cluster = woken().start();
    const leader = cluster.agent(1);
    cluster.pass(349);
    cluster.wake(leader);
    expect(leader.core.role, "it may still be heard").toBe("follower");
    expect(cluster.wire).toEqual([]);
  });

  test("not even if answers from before its sleep are read first", () => {
    const cluster = woken().start();
    const leader = cluster.agent(1);
    cluster.run(60);
    cluster.pass(400);
    for (const from of ["a2", "a3"]) {
      cluster.tell(leader, from, { kind: "heartbeatAnswer", term: 1 as Term, round: 1 });
    }
    cluster.wake(leader);
    expect(leader.core.role).toBe("follower");
  });

  test("a short nap costs a leader nothing, and its heartbeats keep to the grid without a burst", () => {
    const cluster = woken().start();
    const leader = cluster.agent(1);
    const due = leader.core.deadline;
    cluster.pass((due - cluster.now.monotonic) / 1000 + 120);
    cluster.wake(leader);
    expect(kinds(cluster)).toEqual(["heartbeat", "heartbeat"]);
    expect(leader.core.deadline).toBe(due + 150_000);
    cluster.wake(leader);
    expect(kinds(cluster), "too early is nothing").toHaveLength(2);
  });

  test("a group of one keeps its leader over any sleep", () => {
    const cluster = new TestCluster({ voters: 1 });
    const agent = cluster.agent(1);
    cluster.wake(agent);
    cluster.settle();
    cluster.pass(100_000);
    cluster.wake(agent);
    expect([agent.core.role, agent.core.term]).toEqual(["leader", 1]);
    expect(agent.core.deadline).toBeGreaterThan(cluster.now.monotonic);
  });

  test("an agent without a leader and with a hanging disk does not even poll", () => {
    const cluster = woken().start();
    const agent = cluster.agent(2);
    agent.diskHangs = true;
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    cluster.crash(cluster.agent(1));
    for (let attempt = 0; attempt < 5; attempt++) {
      wakeOnTime(cluster, agent);
      cluster.wire = [];
    }
    wakeOnTime(cluster, agent);
    expect(kinds(cluster)).toEqual([]);
    agent.diskHangs = false;
    cluster.sync(agent);
    wakeOnTime(cluster, agent);
    expect(kinds(cluster)).toContain("preVoteRequest");
  });
});

describe("what status tells", () => {
  test("people see roles, progress and when peers were heard", () => {
    const cluster = woken({ learners: 1 }).start();
    cluster.run(60);
    const status = cluster.agent(1).core.status();
    expect(status).toMatchObject({
      role: "leader",
      term: 1,
      leader: "a1",
      last: 1,
      durable: 1,
      committed: 1,
      applied: 1,
    });
    expect(status.peers.map(({ id, matched, mode }) => [id, matched, mode])).toEqual([
      ["a2", 1, "replicate"],
      ["a3", 1, "replicate"],
      ["a4", 1, "replicate"],
    ]);
    expect(status.peers.every(({ heardAt }) => heardAt > (0 as Micros))).toBe(true);
    expect(cluster.agent(4).core.status()).toMatchObject({ role: "learner", leader: "a1", peers: [] });
  });
});
