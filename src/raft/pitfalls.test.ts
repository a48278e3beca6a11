/**
 * Thirty ways in which consensus libraries have failed: docs/pitfalls.md lists them with whose bugs they were, and with the
 * tests that keep us out. Here are those that a Raft core can fall into; each test tells the story of one.
 */
import { describe, expect, test } from "vitest";
import {
  createOutbox,
  type AgentId,
  type LogIndex,
  type Outbox,
  type Send,
  type Term,
  type Ticket,
} from "../core/index.ts";
import type { Append, RaftProtocol } from "./messages.ts";
import { runOf, TestCluster, texts, type Envelope, type TestAgent } from "./test-cluster.ts";

type Options = ConstructorParameters<typeof TestCluster>[0];

const started = (options: Options = {}): TestCluster => new TestCluster(options).start();
const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;

function woken(options: Options = {}): TestCluster {
  const cluster = new TestCluster(options);
  for (const agent of cluster.agents) cluster.wake(agent);
  cluster.settle();
  return cluster;
}

function append(
  term: number,
  prevIndex: number,
  prevTerm: number,
  commit: number,
  ...runs: Append["runs"]
): Append {
  return {
    kind: "append",
    term: term as Term,
    prevIndex: prevIndex as LogIndex,
    prevTerm: prevTerm as Term,
    commit: commit as LogIndex,
    runs,
  };
}

/** Campaigns, and has won its poll, with nothing on disk yet. */
function standing(cluster: TestCluster, agent: TestAgent): void {
  cluster.step(agent, (core, out) => core.campaign(cluster.now, out));
  const term = (agent.core.term + 1) as Term;
  for (const { id } of cluster.agents) {
    if (id !== agent.id) cluster.tell(agent, id, { kind: "preVoteAnswer", term, granted: true });
  }
  cluster.wire = [];
}

describe("persist before promise", () => {
  test("pitfall 1: R3, R5: neither votes nor acknowledgements leave before the disk has what they promise, rejections included", () => {
    const cluster = woken();
    const agent = cluster.agent(2);
    cluster.tell(agent, "a1", {
      kind: "voteRequest",
      term: 3 as Term,
      lastIndex: 0 as LogIndex,
      lastTerm: 0 as Term,
    });
    cluster.tell(agent, "a3", {
      kind: "voteRequest",
      term: 3 as Term,
      lastIndex: 0 as LogIndex,
      lastTerm: 0 as Term,
    });
    cluster.tell(agent, "a1", append(3, 0, 0, 0, runOf(1, 3)));
    cluster.tell(agent, "a1", append(3, 7, 3, 0));
    expect(cluster.wire).toEqual([]);
    cluster.sync(agent, agent.records.length - 1);
    expect(cluster.wire.map(({ message }) => message.kind)).toEqual(["voteAnswer", "voteAnswer"]);
    cluster.sync(agent);
    expect(cluster.wire.map(({ message }) => message.kind).slice(2)).toEqual([
      "appendMatched",
      "appendRejected",
    ]);
  });

  test("pitfall 1: a promise in the lane of what may leave at once does not compile", () => {
    const out: Outbox<RaftProtocol> = createOutbox();
    const vote: Send<RaftProtocol["promise"]> = {
      to: "b" as AgentId,
      channel: "urgent",
      message: { kind: "voteAnswer", term: 1 as Term, granted: true },
    };
    // @ts-expect-error -- a vote is a promise
    out.sends.push(vote);
    out.sendsOnceDurable.push(vote);
    expect(out.sendsOnceDurable.count).toBe(1);
  });

  test("pitfall 1: R3: a candidate asks for votes only once its own is on disk", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    standing(cluster, agent);
    expect([agent.core.role, cluster.wire]).toEqual(["candidate", []]);
    cluster.sync(agent);
    expect(cluster.wire.map(({ message }) => message.kind)).toEqual(["voteRequest", "voteRequest"]);
  });

  test("pitfall 2: R3: a candidate's own vote counts only once it is on disk", () => {
    const cluster = woken();
    const agent = cluster.agent(1);
    standing(cluster, agent);
    cluster.tell(agent, "a2", { kind: "voteAnswer", term: 1 as Term, granted: true });
    expect(agent.core.role).toBe("candidate");
    cluster.sync(agent);
    expect(agent.core.role).toBe("leader");
  });

  test("pitfall 2: R5: a leader's own entry counts only once it is on disk; a majority of others suffices without it", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    leader.diskHangs = true;
    cluster.isolate(cluster.agent(3));
    cluster.propose(leader, "x");
    cluster.settle();
    expect(leader.core.commitIndex, "one other and an unsynced leader are no majority").toBe(1);
    cluster.heal();
    cluster.run(120);
    expect(leader.core.commitIndex, "two others are").toBe(2);
    expect(leader.core.appliedIndex, "but the leader itself applies nothing ahead of its disk").toBe(1);
  });

  test("pitfall 2: R10: in a group of one, too, nothing is decided before it is on disk", () => {
    const cluster = started({ voters: 1 });
    const agent = cluster.agent(1);
    cluster.propose(agent, "x");
    expect([agent.core.lastIndex, agent.core.commitIndex, agent.commits]).toEqual([2, 1, []]);
    cluster.crash(agent);
    cluster.restart(agent);
    cluster.settle();
    expect(texts(agent.committed), "so nobody was told of what the crash took").toEqual([]);
  });

  test("pitfall 3: R4: the record of a term comes before the entries of it, at leader and follower", () => {
    const cluster = started();
    cluster.elect(cluster.agent(1));
    for (const agent of cluster.agents) {
      const kinds = agent.records.map((record) => record.kind);
      expect(kinds.indexOf("hardState")).toBeLessThan(kinds.indexOf("entries"));
    }
    const agent = cluster.agent(3);
    const before = agent.records.length;
    cluster.tell(agent, "a2", append(5, 1, 1, 0, runOf(2, 5)));
    expect(agent.records.slice(before).map((record) => record.kind)).toEqual(["hardState", "entries"]);
    cluster.tell(agent, "a2", { kind: "heartbeat", term: 5 as Term, commit: 0 as LogIndex, round: 1 });
    cluster.tell(agent, "a1", { kind: "heartbeat", term: 6 as Term, commit: 0 as LogIndex, round: 1 });
    expect(agent.records.at(-1)).toEqual({ kind: "hardState", term: 6 });
  });
});

describe("what is decided", () => {
  test("pitfall 4: R7: figure 8 of the paper: entries of an earlier term are not decided by counting", () => {
    const cluster = woken({ voters: 5 });
    const leader = cluster.agent(1);
    cluster.tell(leader, "a5", append(2, 0, 0, 0, runOf(1, 2)));
    cluster.sync(leader);
    cluster.pass(400);
    standing(cluster, leader);
    cluster.sync(leader);
    for (const from of ["a2", "a3"])
      cluster.tell(leader, from, { kind: "voteAnswer", term: 3 as Term, granted: true });
    expect([leader.core.role, leader.core.lastIndex]).toEqual(["leader", 2]);
    cluster.sync(leader);
    const matched = (from: string, index: number): void =>
      cluster.tell(leader, from, { kind: "appendMatched", term: 3 as Term, matched: index as LogIndex });
    matched("a2", 1);
    matched("a3", 1);
    expect(leader.core.commitIndex, "entry 1 is on three of five disks, and not decided").toBe(0);
    matched("a2", 2);
    expect(leader.core.commitIndex).toBe(0);
    matched("a3", 2);
    expect(leader.core.commitIndex, "with an entry of the own term, so is what lies before it").toBe(2);
  });

  test("pitfall 5: R8: a follower with entries of a past leader takes the new one's word only as far as it has verified", () => {
    const cluster = woken();
    const agent = cluster.agent(2);
    cluster.tell(agent, "a1", append(1, 0, 0, 0, runOf(1, 1, 1, 1)));
    cluster.tell(agent, "a3", append(2, 1, 1, 3));
    cluster.sync(agent);
    expect(agent.core.commitIndex).toBe(1);
  });

  test("pitfall 5: R8: a heartbeat carries no more than its receiver has acknowledged", () => {
    const cluster = started();
    cluster.isolate(cluster.agent(3));
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    cluster.pass(50);
    cluster.wake(cluster.agent(1));
    const commits = cluster
      .take(is("heartbeat"))
      .map(({ message }) => message.kind === "heartbeat" && message.commit);
    expect(commits).toEqual([2, 1]);
  });

  test("pitfall 6: R9: a late append does not delete matching later entries", () => {
    const cluster = started();
    const [leader, follower] = [cluster.agent(1), cluster.agent(2)];
    cluster.propose(leader, "x");
    const [first] = cluster.take(({ to }) => to === "a2");
    cluster.deliver(first!);
    cluster.propose(leader, "y");
    for (const sent of cluster.take(({ to }) => to === "a2")) cluster.deliver(sent);
    expect([follower.log.length, follower.core.commitIndex], "two entries that may still go").toEqual([3, 1]);
    cluster.deliver(first!);
    expect(follower.log).toHaveLength(3);
  });

  test("pitfall 7: R6: a completion for entries that were replaced meanwhile does not make the new ones durable", () => {
    const cluster = woken();
    const agent = cluster.agent(2);
    cluster.tell(agent, "a1", append(1, 0, 0, 0, runOf(1, 1, 1, 1)));
    const old = agent.records.length;
    cluster.tell(agent, "a3", append(2, 1, 1, 3, runOf(2, 2, 2)));
    expect(agent.core.commitIndex).toBe(3);
    cluster.sync(agent, old);
    expect(agent.core.durableIndex, "only what both logs share").toBe(1);
    cluster.apply(agent);
    expect(texts(agent.committed)).toEqual(["t1i1"]);
    cluster.sync(agent);
    cluster.apply(agent);
    expect(texts(agent.committed)).toEqual(["t1i1", "t2i2", "t2i3"]);
  });

  test("pitfall 7: R5: an acknowledgement of an earlier term says nothing in this one", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.isolate(leader);
    cluster.propose(leader, "x");
    cluster.settle();
    cluster.tell(leader, "a2", { kind: "appendMatched", term: 0 as Term, matched: 2 as LogIndex });
    expect(leader.core.commitIndex).toBe(1);
  });
});

describe("reads", () => {
  test("pitfall 9: R14: a new leader serves no read before it has decided an entry of its own", () => {
    const cluster = started();
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    cluster.crash(cluster.agent(1));
    const agent = cluster.agent(2);
    cluster.pass(400);
    standing(cluster, agent);
    cluster.sync(agent);
    cluster.tell(agent, "a3", { kind: "voteAnswer", term: 2 as Term, granted: true });
    expect(cluster.read(agent).kind).toBe("ticket");
    cluster.tell(agent, "a3", { kind: "heartbeatAnswer", term: 2 as Term, round: 1 });
    expect([agent.eventsOf("readable"), agent.core.commitIndex]).toEqual([[], 2]);
    cluster.sync(agent);
    cluster.tell(agent, "a3", { kind: "appendMatched", term: 2 as Term, matched: 3 as LogIndex });
    cluster.apply(agent);
    expect(agent.eventsOf("readable")).toHaveLength(1);
  });

  test("pitfall 10: R14: a leader that was paused serves no stale read from answers that waited for it", () => {
    const cluster = started();
    const old = cluster.agent(1);
    cluster.read(old);
    for (const sent of cluster.take(is("heartbeat"))) cluster.deliver(sent);
    const waiting = cluster.take(is("heartbeatAnswer"));
    old.asleep = true;
    cluster.run(700);
    const next = cluster.leader!;
    cluster.propose(next, "x");
    cluster.settle();
    old.asleep = false;
    const fresh = cluster.read(old);
    for (const sent of waiting) cluster.deliver(sent);
    const tickets = old.eventsOf("readable").map(({ ticket }) => ticket);
    expect(fresh.kind).toBe("ticket");
    expect(tickets, "the read from before the pause may be answered, the one after it not").not.toContain(
      (fresh as { ticket: Ticket }).ticket,
    );
    cluster.run(400);
    expect(old.eventsOf("readRefused").map(({ ticket }) => ticket)).toContain(
      (fresh as { ticket: Ticket }).ticket,
    );
  });

  test("pitfall 10: R14: an answer of an earlier term confirms nothing", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.read(leader);
    cluster.tell(leader, "a2", { kind: "heartbeatAnswer", term: 0 as Term, round: 1 });
    expect(leader.eventsOf("readable")).toEqual([]);
  });
});

describe("elections", () => {
  test("pitfall 12: R15: a poll of any term changes no term, and its answer carries the term asked for", () => {
    const cluster = started();
    cluster.crash(cluster.agent(1));
    cluster.pass(400);
    const agent = cluster.agent(2);
    const before = agent.records.length;
    const request = {
      kind: "preVoteRequest",
      term: 50 as Term,
      lastIndex: 9 as LogIndex,
      lastTerm: 9 as Term,
    } as const;
    cluster.tell(agent, "a3", request);
    expect([agent.core.term, agent.records.length]).toEqual([1, before]);
    expect(cluster.wire.at(-1)?.message).toEqual({ kind: "preVoteAnswer", term: 50, granted: true });
  });

  test("pitfall 12: R15: an agent that came back with a higher term frees itself by rejecting its leader's appends", () => {
    const cluster = started();
    const stuck = cluster.agent(3);
    stuck.asleep = true;
    cluster.run(10);
    cluster.pass(400);
    stuck.asleep = false;
    cluster.tell(stuck, "a2", {
      kind: "voteRequest",
      term: 9 as Term,
      lastIndex: 0 as LogIndex,
      lastTerm: 0 as Term,
    });
    cluster.wire = [];
    cluster.tell(stuck, "a1", append(1, 1, 1, 1));
    expect(cluster.wire, "a promise: the term is on its way to the disk").toEqual([]);
    cluster.sync(stuck);
    expect(cluster.wire.map(({ message }) => message)).toContainEqual(
      expect.objectContaining({ kind: "appendRejected", term: 9 }),
    );
  });

  test("pitfall 13: R12: a learner votes if asked: it may have become a voter without knowing yet", () => {
    const cluster = woken({ learners: 1 });
    const learner = cluster.agent(4);
    cluster.tell(learner, "a1", {
      kind: "voteRequest",
      term: 1 as Term,
      lastIndex: 0 as LogIndex,
      lastTerm: 0 as Term,
    });
    cluster.sync(learner);
    expect(cluster.wire.at(-1)?.message).toEqual({ kind: "voteAnswer", term: 1, granted: true });
  });

  test("pitfall 19: R3: one input at a time: two requests in one turn get one vote", () => {
    const cluster = woken();
    const agent = cluster.agent(3);
    for (const from of ["a1", "a2"]) {
      cluster.tell(agent, from, {
        kind: "voteRequest",
        term: 1 as Term,
        lastIndex: 0 as LogIndex,
        lastTerm: 0 as Term,
      });
    }
    cluster.sync(agent);
    const granted = cluster.wire.filter(({ message }) => message.kind === "voteAnswer" && message.granted);
    expect(granted.map(({ to }) => to)).toEqual(["a1"]);
  });

  test("pitfall 20: R12: a vote that arrives twice is one vote, and one of an earlier candidacy is none", () => {
    const cluster = woken({ voters: 5 });
    const agent = cluster.agent(1);
    standing(cluster, agent);
    standing(cluster, agent);
    cluster.sync(agent);
    expect(agent.core.term).toBe(2);
    const vote = (from: string, term: number): void =>
      cluster.tell(agent, from, { kind: "voteAnswer", term: term as Term, granted: true });
    vote("a2", 2);
    vote("a2", 2);
    vote("a3", 1);
    vote("a3", 0);
    expect(agent.core.role).toBe("candidate");
    cluster.tell(agent, "a3", { kind: "preVoteAnswer", term: 3 as Term, granted: true });
    expect(agent.core.role).toBe("candidate");
    vote("a3", 2);
    expect(agent.core.role).toBe("leader");
  });

  test("pitfall 23: R90: patience is drawn per attempt, a pause is no reason to campaign, missed beats are not made up for", () => {
    const cluster = started();
    const [leader, follower] = [cluster.agent(1), cluster.agent(2)];
    const grid = leader.core.deadline;
    cluster.pass(270);
    cluster.wake(leader);
    const beats = cluster.take(is("heartbeat"));
    expect(beats).toHaveLength(2);
    expect((leader.core.deadline - grid) % 50_000).toBe(0);
    expect(leader.core.deadline).toBeGreaterThan(cluster.now.monotonic);
    for (const sent of beats) cluster.deliver(sent);
    cluster.pass(10_000);
    cluster.wake(follower);
    expect(cluster.take(is("preVoteRequest"))).toEqual([]);
    for (const sent of cluster.take(is("heartbeatAnswer"))) cluster.deliver(sent);
    cluster.wake(leader);
    expect(leader.core.role, "though it has just read answers from before").toBe("follower");
  });

  test("pitfall 28: R90: heartbeats do not wait for the disk, but a leader whose disk hangs lays down its office", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    leader.diskHangs = true;
    cluster.propose(leader, "x");
    cluster.run(250);
    expect(leader.core.role, "a slow disk is no reason yet").toBe("leader");
    cluster.run(150);
    expect(leader.core.role).toBe("follower");
    cluster.run(700);
    expect(cluster.leader).toBeDefined();
    expect(cluster.leader).not.toBe(leader);
    expect(texts(cluster.agent(3).committed), "and what reached the others is decided").toEqual(["x"]);
  });

  test("pitfall 28: R93: a follower that restarts hears the leader before it loses patience", () => {
    const cluster = started();
    cluster.crash(cluster.agent(3));
    const heartbeats: Record<string, number> = { a2: 0, a3: 0 };
    cluster.onSent = ({ to, message }) => {
      if (message.kind === "heartbeat") heartbeats[to]! += 1;
    };
    cluster.run(2500);
    for (let beat = 0; beat < 50; beat++) {
      cluster.propose(cluster.agent(1), "in use");
      cluster.run(50);
    }
    // In whatever beat it comes back, the next one is for it, too.
    expect(heartbeats).toEqual({ a2: 100, a3: 100 });
    cluster.restart(cluster.agent(3));
    cluster.run(140);
    expect(cluster.agent(3).core.leader).toBe("a1");
    expect(cluster.agents.map(({ core }) => core.term)).toEqual([1, 1, 1]);
  });

  test("pitfall 30: R90: an agent that hears nobody but is heard disturbs nobody, and a leader nobody hears gives up", () => {
    const cluster = started({ voters: 5 });
    const deaf = cluster.agent(5);
    for (const { id } of cluster.agents) cluster.cut.add(`${id}>${deaf.id}`);
    cluster.run(1000);
    expect([cluster.leader?.id, cluster.agent(1).core.term]).toEqual(["a1", 1]);
    cluster.heal();
    for (const { id } of cluster.agents) if (id !== "a1") cluster.cut.add(`${id}>a1`);
    cluster.run(400);
    expect(cluster.agent(1).core.role, "it talks, but gets no answer").toBe("follower");
    cluster.run(1000);
    expect(cluster.leader?.id).not.toBe("a1");
  });

  test("pitfall 30: R11: whoever can reach only one of the others does not depose the leader that the others hear", () => {
    const cluster = started();
    cluster.cut.add("a1>a3");
    cluster.cut.add("a3>a1");
    cluster.run(2000);
    expect(cluster.leader?.id).toBe("a1");
    expect(cluster.agent(2).core.term).toBe(1);
  });
});

describe("flow", () => {
  /** A leader of `terms`, and a follower with a log that parted at index 1, term by term. */
  function diverged(
    leaderTerms: readonly number[],
    followerTerms: readonly number[],
  ): { cluster: TestCluster; probes: () => number } {
    const cluster = woken();
    const [leader, other] = [cluster.agent(1), cluster.agent(2)];
    cluster.crash(cluster.agent(3));
    const fill = (agent: TestAgent, terms: readonly number[]): void => {
      for (const [position, term] of terms.entries()) {
        const prevTerm = terms[position - 1] ?? 0;
        cluster.tell(agent, "a3", append(term, position, prevTerm, 0, runOf(position + 1, term)));
      }
      cluster.sync(agent);
    };
    fill(leader, leaderTerms);
    fill(other, followerTerms);
    cluster.pass(400);
    cluster.wire = [];
    let probes = 0;
    cluster.onSent = ({ message }) => {
      if (message.kind === "appendRejected") probes += 1;
    };
    return { cluster, probes: () => probes };
  }

  test("pitfall 21: R91: a long divergence costs at most one probe per term, not one per entry", () => {
    const long = Array.from({ length: 60 }, () => 2);
    const { cluster, probes } = diverged([1, ...long, 5], [1, ...long.map(() => 3), ...long.map(() => 4)]);
    cluster.elect(cluster.agent(1));
    cluster.run(10);
    expect(cluster.agent(1).core.role).toBe("leader");
    expect(cluster.agent(2).log).toEqual(cluster.agent(1).log);
    expect(probes()).toBeLessThanOrEqual(3);
  });

  test("pitfall 21: R91: a follower that is merely behind costs one probe", () => {
    const { cluster, probes } = diverged([1, 1, 1, 1, 1, 1, 1, 1], [1]);
    cluster.elect(cluster.agent(1));
    cluster.run(10);
    expect(cluster.agent(2).log).toEqual(cluster.agent(1).log);
    expect(probes()).toBe(1);
  });

  test("pitfall 22: R92: a full window that is lost altogether is asked about by an answer to a heartbeat", () => {
    const cluster = started({ limits: { inFlightAppendsMax: 2 } });
    const leader = cluster.agent(1);
    for (const text of ["1", "2", "3", "4"]) {
      cluster.propose(leader, text);
      cluster.take(({ to }) => to === "a3");
      cluster.settle();
    }
    expect(cluster.agent(3).log).toHaveLength(1);
    cluster.run(160);
    expect(texts(cluster.agent(3).committed)).toEqual(["1", "2", "3", "4"]);
  });

  test("pitfall 22: R92: so is a probe that is lost, and the end of a pipeline", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.propose(leader, "1");
    cluster.take(({ to }) => to === "a3");
    cluster.run(160);
    expect(texts(cluster.agent(3).committed)).toEqual(["1"]);
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, true, cluster.now, out));
    cluster.take(() => true);
    cluster.run(160);
    cluster.propose(leader, "2");
    cluster.settle();
    expect(texts(cluster.agent(3).committed)).toEqual(["1", "2"]);
  });

  test("pitfall 22: R13: a late rejection of an earlier probe does not rewind the progress", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.propose(leader, "1");
    cluster.settle();
    const { matched } = leader.core.status().peers[0]!;
    cluster.tell(leader, "a2", {
      kind: "appendRejected",
      term: 1 as Term,
      prevIndex: 1 as LogIndex,
      hintIndex: 0 as LogIndex,
      hintTerm: 0 as Term,
    });
    expect(leader.core.status().peers[0]).toMatchObject({ matched, mode: "replicate" });
    expect(cluster.wire).toEqual([]);
  });

  test("pitfall 29: R16: what a peer that is away costs is bounded: its window, and nothing more", () => {
    const cluster = started({ limits: { inFlightAppendsMax: 4 } });
    cluster.isolate(cluster.agent(3));
    let sent = 0;
    cluster.onSent = (one) => {
      if (one.to === "a3" && one.message.kind === "append") sent += 1;
    };
    for (let number = 0; number < 50; number++) {
      cluster.propose(cluster.agent(1), `c${number}`);
      cluster.settle();
    }
    cluster.run(1000);
    expect(sent).toBe(4);
  });
});
