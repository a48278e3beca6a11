/** Linearizable reads without log entries: rounds that the leader numbers, at the leader and through followers. */
import { describe, expect, test } from "vitest";
import { limits, type LogIndex, type Refusal, type Term, type Ticket } from "../core/index.ts";
import { TestCluster, type Envelope, type TestAgent } from "./test-cluster.ts";

const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;

function ticketOf(result: { kind: "ticket"; ticket: Ticket } | Refusal): Ticket {
  if (result.kind !== "ticket") throw new Error(`refused: ${result.kind}`);
  return result.ticket;
}

const readable = (agent: TestAgent): Ticket[] => agent.eventsOf("readable").map(({ ticket }) => ticket);

function deliverAll(cluster: TestCluster, fits: (sent: Envelope) => boolean): Envelope[] {
  const sent = cluster.take(fits);
  for (const one of sent) cluster.deliver(one);
  return sent;
}

describe("at the leader", () => {
  test("a read is answered after one round of heartbeats", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.agent(1);
    const ticket = ticketOf(cluster.read(leader));
    expect(readable(leader)).toEqual([]);
    expect(cluster.wire.map(({ message }) => message.kind)).toEqual(["heartbeat", "heartbeat"]);
    deliverAll(cluster, is("heartbeat"));
    cluster.deliver(cluster.take(is("heartbeatAnswer"))[0]!);
    expect(readable(leader)).toEqual([ticket]);
  });

  test("R14: reads that come while a round is on its way wait for the next, and share one", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.agent(1);
    const first = ticketOf(cluster.read(leader));
    const second = ticketOf(cluster.read(leader));
    expect(ticketOf(cluster.read(leader))).toBe(second);
    expect(second).not.toBe(first);
    deliverAll(cluster, is("heartbeat"));
    deliverAll(cluster, is("heartbeatAnswer"));
    expect(readable(leader)).toEqual([first]);
    cluster.settle();
    expect(readable(leader)).toEqual([first, second]);
  });

  test("R14: an answer to an earlier round confirms nothing that came after it", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.agent(1);
    cluster.pass(50);
    cluster.wake(leader);
    deliverAll(cluster, is("heartbeat"));
    const stale = cluster.take(is("heartbeatAnswer"));
    ticketOf(cluster.read(leader));
    for (const sent of stale) cluster.deliver(sent);
    expect(readable(leader)).toEqual([]);
  });

  test("R14: a late answer to an earlier round takes no later one back", () => {
    const cluster = new TestCluster({ voters: 5 }).start();
    const leader = cluster.agent(1);
    cluster.pass(50);
    cluster.wake(leader);
    ticketOf(cluster.read(leader));
    const answer = (from: string, round: number): void =>
      cluster.tell(leader, from, { kind: "heartbeatAnswer", term: 1 as Term, round });
    answer("a2", 2);
    answer("a2", 1);
    expect(readable(leader)).toEqual([]);
    answer("a3", 2);
    expect(readable(leader)).toHaveLength(1);
  });

  test("R14: learners confirm nothing, nor does one voter of four", () => {
    const cluster = new TestCluster({ voters: 4, learners: 1 }).start();
    const leader = cluster.agent(1);
    ticketOf(cluster.read(leader));
    deliverAll(cluster, is("heartbeat"));
    deliverAll(cluster, (sent) => sent.from === "a5" || sent.from === "a2");
    expect(readable(leader)).toEqual([]);
    deliverAll(cluster, (sent) => sent.from === "a3");
    expect(readable(leader)).toHaveLength(1);
  });

  test("a lost round is made up for by the next heartbeat", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.agent(1);
    ticketOf(cluster.read(leader));
    cluster.take(() => true);
    cluster.run(60);
    expect(readable(leader)).toHaveLength(1);
  });

  test("R14: a new leader answers only once its own first entry is applied", () => {
    const cluster = new TestCluster();
    for (const agent of cluster.agents) cluster.wake(agent);
    const leader = cluster.agent(1);
    cluster.step(leader, (core, out) => core.campaign(cluster.now, out));
    for (let round = 0; round < 4; round++) {
      deliverAll(cluster, () => true);
      for (const agent of cluster.agents) cluster.sync(agent, Math.min(agent.records.length, 2));
    }
    expect([leader.core.role, leader.core.commitIndex]).toEqual(["leader", 0]);
    ticketOf(cluster.read(leader));
    deliverAll(cluster, is("heartbeat"));
    deliverAll(cluster, is("heartbeatAnswer"));
    expect(readable(leader)).toEqual([]);
    cluster.settle();
    expect(readable(leader)).toHaveLength(1);
  });

  test("pitfall 10: R14: a confirmed read waits until the state has what was decided when its round left", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.agent(1);
    cluster.propose(leader, "x");
    deliverAll(cluster, is("append"));
    for (const agent of cluster.agents) cluster.sync(agent);
    deliverAll(cluster, is("appendMatched"));
    expect([leader.core.commitIndex, leader.core.appliedIndex]).toEqual([2, 1]);
    ticketOf(cluster.read(leader));
    deliverAll(cluster, is("heartbeat"));
    deliverAll(cluster, is("heartbeatAnswer"));
    expect(readable(leader)).toEqual([]);
    cluster.apply(leader);
    expect(readable(leader)).toHaveLength(1);
  });

  test("a group of one answers with the ticket itself", () => {
    const cluster = new TestCluster({ voters: 1 });
    cluster.wake(cluster.agent(1));
    cluster.settle();
    const ticket = ticketOf(cluster.read(cluster.agent(1)));
    expect(readable(cluster.agent(1))).toEqual([ticket]);
  });

  test("R14: reads that are not confirmed are refused when the office ends; confirmed ones stay good", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.agent(1);
    cluster.propose(leader, "x");
    deliverAll(cluster, is("append"));
    for (const agent of cluster.agents) cluster.sync(agent);
    deliverAll(cluster, is("appendMatched"));
    const confirmed = ticketOf(cluster.read(leader));
    deliverAll(cluster, is("heartbeat"));
    deliverAll(cluster, is("heartbeatAnswer"));
    const open = ticketOf(cluster.read(leader));
    const gathering = ticketOf(cluster.read(leader));
    cluster.tell(leader, "a2", { kind: "heartbeatAnswer", term: 5 as Term, round: 1 });
    expect(leader.eventsOf("readRefused").map(({ ticket }) => ticket)).toEqual([open, gathering]);
    cluster.apply(leader);
    expect(readable(leader)).toEqual([confirmed]);
  });

  test("pitfall 29: R16: there is a limit to reads that nobody settles", () => {
    const cluster = new TestCluster().start();
    const leader = cluster.agent(1);
    const { readTicketsMax } = limits;
    cluster.propose(leader, "x");
    deliverAll(cluster, is("append"));
    for (const agent of cluster.agents) cluster.sync(agent);
    deliverAll(cluster, is("appendMatched"));
    for (let number = 0; number < readTicketsMax; number++) {
      ticketOf(cluster.read(leader));
      deliverAll(cluster, is("heartbeat"));
      deliverAll(cluster, is("heartbeatAnswer"));
    }
    expect(cluster.read(leader)).toEqual({
      kind: "overloaded",
      inFlight: readTicketsMax,
      inFlightMax: readTicketsMax,
    });
    cluster.apply(leader);
    expect(readable(leader)).toHaveLength(readTicketsMax);
    ticketOf(cluster.read(leader));
  });
});

describe("at a follower", () => {
  test("it asks the leader, waits for its own state, and answers itself", () => {
    const cluster = new TestCluster().start();
    const follower = cluster.agent(2);
    cluster.propose(cluster.agent(1), "x");
    const toFollower = cluster.take(({ to }) => to === "a2");
    cluster.settle();
    const ticket = ticketOf(cluster.read(follower));
    cluster.settle();
    expect(readable(follower), "its state is behind").toEqual([]);
    cluster.wire.push(...toFollower);
    cluster.settle();
    expect(follower.core.appliedIndex).toBe(2);
    expect(readable(follower)).toEqual([ticket]);
  });

  test("one request at a time: what comes meanwhile gathers for the next", () => {
    const cluster = new TestCluster({ learners: 1 }).start();
    const learner = cluster.agent(4);
    const first = ticketOf(cluster.read(learner));
    const second = ticketOf(cluster.read(learner));
    expect(ticketOf(cluster.read(learner))).toBe(second);
    expect(cluster.wire.filter(is("readRequest"))).toHaveLength(1);
    cluster.settle();
    expect(readable(learner)).toEqual([first, second]);
  });

  test("a lost request or answer is made up for after two heartbeats", () => {
    const cluster = new TestCluster().start();
    const follower = cluster.agent(2);
    const ticket = ticketOf(cluster.read(follower));
    cluster.take(is("readRequest"));
    cluster.run(60);
    expect(readable(follower)).toEqual([]);
    cluster.run(100);
    expect(readable(follower)).toEqual([ticket]);
  });

  test("R14: an answer that belongs to no open request is ignored", () => {
    const cluster = new TestCluster().start();
    const follower = cluster.agent(2);
    const ticket = ticketOf(cluster.read(follower));
    const outcome = { kind: "index", index: 0 as LogIndex } as const;
    cluster.tell(follower, "a1", { kind: "readAnswer", ticket: (ticket + 1) as Ticket, outcome });
    cluster.tell(follower, "stranger", { kind: "readAnswer", ticket, outcome });
    expect(readable(follower)).toEqual([]);
    cluster.settle();
    cluster.tell(follower, "a1", { kind: "readAnswer", ticket, outcome });
    expect(readable(follower)).toEqual([ticket]);
  });

  test("R14: tickets of an earlier life are no tickets of this one", () => {
    const cluster = new TestCluster().start();
    const follower = cluster.agent(2);
    const before = ticketOf(cluster.read(follower));
    cluster.crash(follower);
    cluster.restart(follower);
    cluster.run(60);
    const after = ticketOf(cluster.read(follower));
    expect(Math.abs(after - before)).toBeGreaterThan(1000);
  });

  test("whoever is asked and does not lead says so, and the read is refused", () => {
    const cluster = new TestCluster().start();
    const follower = cluster.agent(2);
    const ticket = ticketOf(cluster.read(follower));
    cluster.pass(400);
    cluster.wake(cluster.agent(1));
    cluster.settle();
    expect(follower.eventsOf("readRefused")).toEqual([
      { kind: "readRefused", ticket, refusal: { kind: "notLeader" } },
    ]);
  });

  test("another leader: what the former was asked is refused", () => {
    const cluster = new TestCluster().start();
    const follower = cluster.agent(2);
    const asked = ticketOf(cluster.read(follower));
    const gathering = ticketOf(cluster.read(follower));
    cluster.tell(follower, "a3", { kind: "heartbeat", term: 4 as Term, commit: 0 as LogIndex, round: 1 });
    expect(follower.eventsOf("readRefused").map(({ ticket }) => ticket)).toEqual([asked, gathering]);
  });

  test("a stranger's request, and one at an agent that does not lead, are answered with who does", () => {
    const cluster = new TestCluster().start();
    const refused = { kind: "readAnswer", ticket: 4, outcome: { kind: "notLeader", leader: "a1" } };
    cluster.tell(cluster.agent(1), "stranger", { kind: "readRequest", ticket: 4 as Ticket });
    cluster.tell(cluster.agent(2), "a3", { kind: "readRequest", ticket: 4 as Ticket });
    expect(cluster.wire.map(({ to, message }) => [to, message])).toEqual([
      ["stranger", refused],
      ["a3", refused],
    ]);
  });
});
