/**
 * Leadership that goes over on request (thesis, section 3.10): who may succeed, what the leader does meanwhile, when it is
 * given up, and that no message that is late, lost or repeated makes anything of it but that.
 */
import { describe, expect, test } from "vitest";
import { type AgentId, type LogIndex, type Term } from "../core/index.ts";
import type { VoteRequest } from "./messages.ts";
import { TestCluster, texts, type Envelope, type TestAgent } from "./test-cluster.ts";

type Options = ConstructorParameters<typeof TestCluster>[0];

const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;
const started = (options: Options = {}): TestCluster => new TestCluster(options).start();
const leads = (agent: TestAgent): boolean => agent.core.role === "leader";
const busy = { kind: "busy", because: "transfer" } as const;

/** Who was asked to campaign, in order. */
function summoned(cluster: TestCluster): string[] {
  return cluster.wire.filter(is("campaignNow")).map(({ to }) => to);
}

/** A hand-over to agent 2 whose messages have not left the wire. */
function handingOver(options: Options = {}): TestCluster {
  const cluster = started(options);
  expect(cluster.transfer(cluster.agent(1), 2)).toEqual({ kind: "accepted" });
  return cluster;
}

describe("from one leader to the next", () => {
  test("the successor leads at once: no patience ends, and nobody else has to lose touch first", () => {
    const cluster = handingOver();
    const before = cluster.now.monotonic;
    cluster.settle();
    expect(cluster.now.monotonic, "time stood still").toBe(before);
    expect(cluster.agents.map(({ core }) => [core.role, core.term, core.leader])).toEqual([
      ["follower", 2, "a2"],
      ["leader", 2, "a2"],
      ["follower", 2, "a2"],
    ]);
  });

  test("what was proposed before is decided, and what comes after goes to the new leader", () => {
    const cluster = started();
    cluster.propose(cluster.agent(1), "before");
    cluster.transfer(cluster.agent(1), 2);
    cluster.settle();
    expect(cluster.propose(cluster.agent(2), "after").kind).toBe("accepted");
    cluster.settle();
    for (const { committed } of cluster.agents) expect(texts(committed)).toEqual(["before", "after"]);
  });

  test("R40: a successor that lags is brought up to the end of the log first", () => {
    const cluster = started();
    cluster.cut.add("a1>a2");
    cluster.propose(cluster.agent(1), "x", "y");
    cluster.settle();
    cluster.transfer(cluster.agent(1), 2);
    let lengthWhenSummoned = 0;
    cluster.onSent = ({ message }) => {
      if (message.kind === "campaignNow") lengthWhenSummoned = cluster.agent(2).durableLength;
    };
    cluster.settle();
    expect(lengthWhenSummoned).toBe(0);
    cluster.heal();
    cluster.run(200);
    expect(lengthWhenSummoned).toBe(3);
    expect(leads(cluster.agent(2))).toBe(true);
  });

  test("R40: the summons waits for the disk of the successor, not for its memory", () => {
    const cluster = started();
    const [leader, successor] = [cluster.agent(1), cluster.agent(2)];
    successor.diskHangs = true;
    cluster.propose(leader, "x");
    cluster.settle();
    cluster.transfer(leader, 2);
    expect(summoned(cluster)).toEqual([]);
    successor.diskHangs = false;
    cluster.settle();
    expect(leads(successor)).toBe(true);
  });

  test("nobody polls: the successor stands, and its request for votes says who sent it", () => {
    const cluster = handingOver();
    const sent: Envelope[] = [];
    cluster.onSent = (one) => sent.push(one);
    cluster.settle();
    expect(sent.filter(is("preVoteRequest"))).toEqual([]);
    expect(sent.filter(is("voteRequest")).map(({ from, message }) => [from, message])).toEqual(
      ["a1", "a3"].map(() => [
        "a2",
        { kind: "voteRequest", term: 2, lastIndex: 1, lastTerm: 1, transfer: true },
      ]),
    );
  });

  test("R41: a candidate that nobody asked does not say so", () => {
    const cluster = new TestCluster();
    const sent: Envelope[] = [];
    cluster.onSent = (one) => sent.push(one);
    cluster.start();
    const requests = sent.filter(is("voteRequest"));
    expect(requests).toHaveLength(2);
    for (const { message } of requests) expect(message).not.toHaveProperty("transfer");
  });

  test("a group of two hands over, too", () => {
    const cluster = handingOver({ voters: 2 });
    cluster.settle();
    expect(leads(cluster.agent(2))).toBe(true);
  });

  test("around the whole group and back", () => {
    const cluster = started({ voters: 5 });
    for (const next of [3, 5, 2, 4, 1]) {
      const leader = cluster.agents.find(leads)!;
      expect(cluster.transfer(leader, next)).toEqual({ kind: "accepted" });
      cluster.settle();
      expect(leads(cluster.agent(next))).toBe(true);
      expect(cluster.propose(cluster.agent(next), `by ${next}`).kind).toBe("accepted");
      cluster.settle();
    }
    expect(texts(cluster.agent(1).committed)).toEqual(["by 3", "by 5", "by 2", "by 4", "by 1"]);
  });
});

describe("who may succeed", () => {
  test("whoever does not lead says who does", () => {
    const cluster = started();
    expect(cluster.transfer(cluster.agent(2), 3)).toEqual({ kind: "notLeader", leader: "a1" });
  });

  test("one hand-over at a time, whoever is meant", () => {
    const cluster = handingOver();
    for (const to of [1, 2, 3, undefined]) expect(cluster.transfer(cluster.agent(1), to)).toEqual(busy);
  });

  test("the leader itself: it leads already", () => {
    const cluster = started();
    expect(cluster.transfer(cluster.agent(1), 1)).toEqual({ kind: "accepted" });
    expect([cluster.wire, cluster.agent(1).core.status().successor]).toEqual([[], undefined]);
    expect(cluster.propose(cluster.agent(1), "x").kind).toBe("accepted");
  });

  test("R40: no learner, no stranger, nobody who was not heard from, nobody in need of a snapshot", () => {
    const cluster = started({ voters: 3, learners: 1 });
    const leader = cluster.agent(1);
    const refused = (to: string): unknown =>
      cluster.step(leader, (core, out) => core.transferLeadership(to as AgentId, cluster.now, out));
    for (const to of ["a4", "stranger"]) expect(refused(to)).toEqual({ kind: "notReady", agents: [to] });
    cluster.isolate(cluster.agent(3));
    cluster.run(200);
    expect(leads(leader)).toBe(true);
    expect(refused("a3")).toEqual({ kind: "notReady", agents: ["a3"] });
    cluster.heal();
    cluster.run(60);
    expect(refused("a3")).toEqual({ kind: "accepted" });
  });

  test("R40: not before a new leader has heard from its voters in its own term", () => {
    const cluster = new TestCluster();
    for (const agent of cluster.agents) cluster.wake(agent);
    const leader = cluster.agent(1);
    cluster.step(leader, (core, out) => core.campaign(cluster.now, out));
    while (!leads(leader)) {
      for (const sent of cluster.take(() => true)) cluster.deliver(sent);
      for (const agent of cluster.agents) cluster.sync(agent);
    }
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "notReady", agents: ["a2"] });
    cluster.settle();
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "accepted" });
  });

  test("not one whose link is down, until it is heard from again", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    const link = (up: boolean): void =>
      cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(2).id, up, cluster.now, out));
    link(false);
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "notReady", agents: ["a2"] });
    link(true);
    cluster.settle();
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "accepted" });
  });

  test("left to the leader it is the voter with the most of the log", () => {
    const cluster = started({ voters: 5, learners: 1 });
    for (const behind of [2, 3, 5]) cluster.cut.add(`a1>a${behind}`);
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    expect(cluster.transfer(cluster.agent(1))).toEqual({ kind: "accepted" });
    expect(cluster.agent(1).core.status().successor).toBe("a4");
  });

  test("left to the leader, and nobody is there: it says who is missing", () => {
    const cluster = started();
    for (const gone of [2, 3]) cluster.crash(cluster.agent(gone));
    cluster.run(160);
    expect(cluster.transfer(cluster.agent(1))).toEqual({ kind: "notReady", agents: ["a2", "a3"] });
    const alone = new TestCluster({ voters: 1 });
    alone.wake(alone.agent(1));
    alone.settle();
    expect(alone.transfer(alone.agent(1))).toEqual({ kind: "notReady", agents: [] });
  });

  test("not while old and new voters must both agree", () => {
    const cluster = started();
    const [leader, leaver] = [cluster.agent(1), cluster.agent(3)];
    const change = { steps: [{ kind: "removed", id: leaver.id } as const] };
    cluster.step(leader, (core, out) => core.changeMembers(change, cluster.now, out));
    expect(leader.core.status().members.outgoing).not.toEqual([]);
    for (const to of [1, 2, undefined]) {
      expect(cluster.transfer(leader, to)).toEqual({ kind: "busy", because: "memberChange" });
    }
    cluster.settle();
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "accepted" });
  });
});

describe("meanwhile", () => {
  test("R40: the leader takes no commands, its own or forwarded, and its followers hear why", () => {
    const cluster = handingOver();
    const [leader, follower] = [cluster.agent(1), cluster.agent(3)];
    const last = leader.core.lastIndex;
    expect(cluster.propose(leader, "x")).toEqual(busy);
    expect(cluster.propose(follower, "y").kind).toBe("accepted");
    for (const sent of cluster.take(is("forward"))) cluster.deliver(sent);
    for (const sent of cluster.take(is("forwardRefused"))) cluster.deliver(sent);
    expect(follower.eventsOf("refused")).toEqual([
      { kind: "refused", commands: [{ session: 7, sequence: 1 }], refusal: busy },
    ]);
    expect(leader.core.lastIndex).toBe(last);
  });

  test("it leads on: its heartbeats leave, and what was proposed before is decided", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.cut.add("a1>a2");
    cluster.propose(leader, "x");
    cluster.transfer(leader, 2);
    cluster.run(60);
    expect([leader.core.role, leader.core.commitIndex]).toEqual(["leader", 2]);
    expect(cluster.agent(3).core.leader).toBe("a1");
  });

  test("people see to whom it is handing over, and that it no longer is", () => {
    const cluster = handingOver();
    expect(cluster.agent(1).core.status().successor).toBe("a2");
    cluster.settle();
    for (const { core } of cluster.agents) expect(core.status().successor).toBeUndefined();
  });
});

describe("when it does not work out", () => {
  test("a successor that dies is given up after one longest time-out, and commands go on", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.crash(cluster.agent(2));
    cluster.propose(leader, "x");
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "accepted" });
    cluster.run(299);
    expect(cluster.propose(leader, "y")).toEqual(busy);
    cluster.run(50);
    expect([leader.core.role, leader.core.term]).toEqual(["leader", 1]);
    expect(cluster.propose(leader, "z").kind).toBe("accepted");
    cluster.settle();
    expect(texts(cluster.agent(3).committed)).toEqual(["x", "z"]);
  });

  test("a successor whose link breaks is given up at once", () => {
    const cluster = handingOver();
    const leader = cluster.agent(1);
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, false, cluster.now, out));
    expect(leader.core.status().successor).toBe("a2");
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(2).id, false, cluster.now, out));
    expect(leader.core.status().successor).toBeUndefined();
    expect(cluster.propose(leader, "x").kind).toBe("accepted");
  });

  test("R40: nobody else is summoned before the first is given up", () => {
    const cluster = started({ voters: 5 });
    const leader = cluster.agent(1);
    const sent: string[] = [];
    cluster.onSent = ({ to, message }) => {
      if (message.kind === "campaignNow") sent.push(to);
    };
    cluster.cut.add("a1>a2");
    cluster.transfer(leader, 2);
    for (let passed = 0; passed < 300; passed += 10) {
      expect(cluster.transfer(leader, 3)).toEqual(busy);
      cluster.run(10);
    }
    cluster.run(60);
    expect(new Set(sent)).toEqual(new Set(["a2"]));
    expect(cluster.transfer(leader, 3)).toEqual({ kind: "accepted" });
    cluster.settle();
    expect([sent.at(-1), leads(cluster.agent(3))]).toEqual(["a3", true]);
  });

  test("a summons that is lost is repeated with the next heartbeat", () => {
    const cluster = handingOver();
    expect(cluster.take(is("campaignNow"))).toHaveLength(1);
    cluster.settle();
    expect(leads(cluster.agent(1))).toBe(true);
    cluster.run(60);
    expect(leads(cluster.agent(2))).toBe(true);
  });

  test("votes that are lost cost an election at the most", () => {
    const cluster = handingOver();
    cluster.isolate(cluster.agent(2));
    for (const sent of cluster.take(is("campaignNow"))) {
      cluster.heal();
      cluster.deliver(sent);
      cluster.isolate(cluster.agent(2));
    }
    cluster.settle();
    expect([leads(cluster.agent(1)), cluster.agent(2).core.role]).toEqual([true, "candidate"]);
    cluster.heal();
    cluster.run(1500);
    const leader = cluster.leader!;
    expect(leader.core.term).toBeGreaterThan(1);
    for (const { core } of cluster.agents) expect(core.leader).toBe(leader.id);
  });

  test("a higher term from elsewhere ends it together with the office", () => {
    const cluster = handingOver();
    const leader = cluster.agent(1);
    cluster.tell(leader, "a3", { kind: "heartbeatAnswer", term: 9 as Term, round: 1 });
    expect([leader.core.role, leader.core.status().successor]).toEqual(["follower", undefined]);
    expect(cluster.transfer(leader, 2)).toEqual({ kind: "notLeader" });
  });

  test("a leader that finds itself alone lays down its office, hand-over or not", () => {
    const cluster = handingOver();
    cluster.wire = [];
    cluster.isolate(cluster.agent(1));
    cluster.run(400);
    expect([cluster.agent(1).core.role, cluster.agent(1).core.status().successor]).toEqual([
      "follower",
      undefined,
    ]);
  });

  test("a successor that restarts takes over with the term on its disk, though it forgot who leads", () => {
    const cluster = handingOver();
    const [summons] = cluster.take(is("campaignNow"));
    cluster.crash(cluster.agent(2));
    cluster.restart(cluster.agent(2));
    expect(cluster.agent(2).core.leader).toBeUndefined();
    cluster.deliver(summons!);
    cluster.settle();
    expect(leads(cluster.agent(2))).toBe(true);
  });
});

describe("a summons that comes late, twice, or to the wrong agent", () => {
  const summons = (term: number) => ({ kind: "campaignNow", term: term as Term }) as const;

  test("R41: of an older term, it does nothing", () => {
    const cluster = handingOver();
    const repeated = cluster.wire.filter(is("campaignNow"));
    cluster.settle();
    cluster.transfer(cluster.agent(2), 3);
    cluster.settle();
    for (const sent of repeated) cluster.deliver(sent);
    for (const { id } of cluster.agents) cluster.tell(cluster.agent(1), id, summons(2));
    cluster.settle();
    expect(cluster.agents.map(({ core }) => [core.role, core.term])).toEqual([
      ["follower", 3],
      ["follower", 3],
      ["leader", 3],
    ]);
  });

  test("R41: twice, it makes one candidacy, and nothing of whoever leads by then", () => {
    const cluster = handingOver();
    const [sent] = cluster.take(is("campaignNow"));
    const successor = cluster.agent(2);
    for (let times = 0; times < 3; times++) cluster.deliver(sent!);
    expect([successor.core.role, successor.core.term]).toEqual(["candidate", 2]);
    cluster.settle();
    cluster.deliver(sent!);
    cluster.settle();
    expect([successor.core.role, successor.core.term]).toEqual(["leader", 2]);
  });

  test("R41: of a term that this agent has not reached, it does nothing", () => {
    const cluster = started();
    cluster.tell(cluster.agent(2), "a3", summons(7));
    expect([cluster.agent(2).core.role, cluster.agent(2).core.term]).toEqual(["follower", 1]);
  });

  test("R41: from somebody who does not lead its term, it does nothing; to whoever leads it, neither", () => {
    const cluster = started();
    cluster.tell(cluster.agent(2), "a3", summons(1));
    cluster.tell(cluster.agent(1), "a3", summons(1));
    expect(cluster.agents.map(({ core }) => core.role)).toEqual(["leader", "follower", "follower"]);
    expect(cluster.wire).toEqual([]);
  });

  test("R12: a learner does not stand, whoever asks", () => {
    const cluster = started({ voters: 3, learners: 1 });
    const learner = cluster.agent(4);
    cluster.tell(learner, "a1", summons(1));
    expect([learner.core.role, learner.core.term, cluster.wire]).toEqual(["learner", 1, []]);
  });

  test("whoever polls already stands at once", () => {
    const cluster = handingOver();
    const [sent] = cluster.take(is("campaignNow"));
    const successor = cluster.agent(2);
    cluster.wire = [];
    cluster.pass((successor.core.deadline - cluster.now.monotonic) / 1000);
    cluster.wake(successor);
    cluster.pass((successor.core.deadline - cluster.now.monotonic) / 1000);
    cluster.wake(successor);
    expect(cluster.wire.some(is("preVoteRequest"))).toBe(true);
    cluster.deliver(sent!);
    expect(successor.core.role).toBe("candidate");
  });
});

describe("a request for votes that says who sent it", () => {
  const request = (term: number, transfer: boolean): VoteRequest => ({
    kind: "voteRequest",
    term: term as Term,
    lastIndex: 9 as LogIndex,
    lastTerm: 1 as Term,
    ...(transfer && { transfer }),
  });

  test("R41: is granted although the leader is heard; the same request without it is not even looked at", () => {
    for (const transfer of [false, true]) {
      const cluster = started();
      for (const agent of [cluster.agent(1), cluster.agent(3)]) {
        cluster.tell(agent, "a2", request(2, transfer));
        expect([agent.core.term, agent.core.votedFor]).toEqual(transfer ? [2, "a2"] : [1, "a1"]);
      }
    }
  });

  test("R3, R11: gets no second vote, and none for a log that is behind", () => {
    const cluster = started();
    const voter = cluster.agent(3);
    cluster.tell(voter, "a2", request(2, true));
    cluster.tell(voter, "a1", request(2, true));
    expect(voter.core.votedFor).toBe("a2");
    cluster.tell(voter, "a1", { ...request(3, true), lastIndex: 0 as LogIndex });
    expect([voter.core.term, voter.core.votedFor]).toEqual([3, undefined]);
  });
});
