/**
 * How long a leader has a lease, and what ends it (R44). Clocks are the test's, the same for all agents; that those of several
 * agents run apart is the simulator's business.
 */
import { describe, expect, test } from "vitest";
import { limits, present, type Members, type Micros, type Term } from "../core/index.ts";
import type { Heartbeat } from "./messages.ts";
import { heartbeatMs, TestCluster, type TestAgent } from "./test-cluster.ts";
import { answerTo, beat, is, leased, longestMs, pledging, readsByLease, shortestMs } from "./test-leases.ts";

/** Of a pledge, what a leader counts on. */
const leaseMs = (shortestMs * (100 - limits.clockDriftPercentMax)) / 100;

describe("R44: a lease", () => {
  test("is off unless it is asked for; then reads need no round", () => {
    const { cluster, leader } = leased({ leases: [] });
    expect(readsByLease(cluster, leader)).toBe(false);
    const { cluster: other, leader: leaseholder } = leased();
    for (let reads = 0; reads < 3; reads++) expect(readsByLease(other, leaseholder)).toBe(true);
    expect(leader.core.status().leaseEnds).toBeUndefined();
    expect(leaseholder.core.status().leaseEnds).toBe(other.now.monotonic + leaseMs * 1000);
  });

  test("pitfall 11: R44: lasts from when the round left until the pledges end, less what clocks may differ by", () => {
    const { cluster, leader } = leased();
    cluster.pass(leaseMs - 1);
    expect(readsByLease(cluster, leader)).toBe(true);
    cluster.pass(1);
    expect(readsByLease(cluster, leader)).toBe(false);
  });

  test("pitfall 11: R44: is no longer where answers are late", () => {
    const cluster = pledging();
    const leader = cluster.agent(1);
    cluster.pass(leaseMs);
    beat(cluster, leader);
    expect(readsByLease(cluster, leader)).toBe(false);
    cluster.pass(100);
    cluster.settle();
    cluster.pass(leaseMs - 101);
    expect(readsByLease(cluster, leader)).toBe(true);
    cluster.pass(1);
    expect(readsByLease(cluster, leader)).toBe(false);
  });

  test("is renewed with every heartbeat that a quorum answers", () => {
    const { cluster, leader } = leased();
    for (let passed = 0; passed < 1000; passed += 7) {
      cluster.run(7);
      expect(readsByLease(cluster, leader)).toBe(true);
    }
    cluster.isolate(leader);
    cluster.run(leaseMs - heartbeatMs - 1);
    expect(readsByLease(cluster, leader)).toBe(true);
    cluster.run(heartbeatMs + 2);
    expect(readsByLease(cluster, leader)).toBe(false);
  });

  test("is renewed by the rounds of reads that came without one", () => {
    const cluster = pledging();
    const leader = cluster.agent(1);
    cluster.pass(leaseMs);
    expect(cluster.read(leader).kind).toBe("ticket");
    cluster.settle();
    expect(readsByLease(cluster, leader)).toBe(true);
  });

  test("takes a quorum of voters: neither learners nor a minority will do", () => {
    const cluster = pledging({ voters: 5, learners: 2, leases: [true] });
    const leader = cluster.agent(1);
    beat(cluster, leader);
    const { round } = lastHeartbeat(cluster);
    for (const from of ["a2", "a6", "a7"]) cluster.tell(leader, from, answerTo(round, shortestMs));
    expect(readsByLease(cluster, leader)).toBe(false);
    cluster.tell(leader, "a3", answerTo(round, shortestMs));
    expect(readsByLease(cluster, leader)).toBe(true);
  });

  test("pitfall 11: R44: counts on no voter that pledged nothing, be it of an earlier version, and on others for as long as they say", () => {
    const cluster = pledging({ leases: [true] });
    const leader = cluster.agent(1);
    beat(cluster, leader);
    const { round } = lastHeartbeat(cluster);
    for (const from of ["a2", "a3"]) cluster.tell(leader, from, answerTo(round));
    expect(readsByLease(cluster, leader)).toBe(false);
    cluster.tell(leader, "a2", answerTo(round, 40));
    cluster.pass(35);
    expect(readsByLease(cluster, leader)).toBe(true);
    cluster.pass(1);
    expect(readsByLease(cluster, leader)).toBe(false);
  });

  test("is no longer than the leader's own shortest time-out allows, whatever voters pledge", () => {
    const cluster = pledging({ leases: [true] });
    const leader = cluster.agent(1);
    beat(cluster, leader);
    cluster.tell(leader, "a2", answerTo(lastHeartbeat(cluster).round, 10_000));
    cluster.pass(leaseMs - 1);
    expect(readsByLease(cluster, leader)).toBe(true);
    cluster.pass(1);
    expect(readsByLease(cluster, leader)).toBe(false);
  });

  test("is not renewed by an answer to a round that left long ago", () => {
    const { cluster, leader } = leased();
    beat(cluster, leader);
    const { round } = lastHeartbeat(cluster);
    for (let rounds = 0; rounds < 64; rounds++) {
      beat(cluster, leader);
      cluster.tell(leader, "a2", answerTo(round));
    }
    expect(leader.core.role).toBe("leader");
    cluster.wire = [];
    for (const from of ["a2", "a3"]) cluster.tell(leader, from, answerTo(round, shortestMs));
    expect(readsByLease(cluster, leader)).toBe(false);
  });

  test("answers a follower's read at once", () => {
    const { cluster } = leased();
    const follower = cluster.agent(3);
    cluster.wire = [];
    cluster.read(follower);
    for (const sent of cluster.take(is("readRequest"))) cluster.deliver(sent);
    expect(cluster.wire.map(({ message }) => message.kind)).toEqual(["readAnswer"]);
    cluster.settle();
    expect(follower.eventsOf("readable")).toHaveLength(1);
  });
});

describe("R14: reads by lease", () => {
  test("wait until the state has all that was decided before, and share a ticket meanwhile", () => {
    const { cluster, leader } = leased();
    cluster.propose(leader, "x");
    for (const sent of cluster.take(is("append"))) cluster.deliver(sent);
    for (const agent of cluster.agents) cluster.sync(agent);
    for (const sent of cluster.take(is("appendMatched"))) cluster.deliver(sent);
    const tickets = [cluster.read(leader), cluster.read(leader)];
    expect(leader.eventsOf("readable")).toHaveLength(0);
    expect(tickets[0]).toEqual(tickets[1]);
    cluster.apply(leader);
    expect(leader.eventsOf("readable")).toHaveLength(1);
  });

  test("pitfall 11: R14: begin once the leader's own first entry is decided: before, others may know of other voters", () => {
    const cluster = new TestCluster({ leases: "all" });
    for (const agent of cluster.agents) cluster.wake(agent);
    const leader = cluster.agent(1);
    cluster.step(leader, (core, out) => core.campaign(cluster.now, out));
    // Up to the vote; the first entry of its term reaches no disk.
    for (let step = 0; step < 4; step++) {
      for (const sent of cluster.take(() => true)) cluster.deliver(sent);
      for (const agent of cluster.agents) cluster.sync(agent, Math.min(agent.records.length, 2));
    }
    beat(cluster, leader);
    for (const from of ["a2", "a3"]) cluster.tell(leader, from, answerTo(1, shortestMs));
    expect([leader.core.role, leader.core.commitIndex]).toEqual(["leader", 0]);
    cluster.read(leader);
    expect(cluster.take(is("heartbeat")).length, "it asks").toBeGreaterThan(0);
    expect(leader.eventsOf("readable")).toHaveLength(0);
  });
});

describe("R44: what ends a lease", () => {
  test("the office: who no longer leads answers nothing", () => {
    const { cluster, leader } = leased();
    cluster.tell(leader, "a2", { ...answerTo(1), term: 9 as Term });
    expect(cluster.read(leader)).toEqual({ kind: "notLeader" });
  });

  test("pitfall 11: R44: the summons of a successor, before it leaves and for the whole term: its votes break pledges", () => {
    const { cluster, leader } = leased();
    cluster.cut.add("a1>a2");
    cluster.propose(leader, "x");
    cluster.settle();
    cluster.transfer(leader, 2);
    expect(readsByLease(cluster, leader), "it still has to catch up").toBe(true);
    cluster.run(longestMs + heartbeatMs);
    expect(leader.core.status().successor).toBeUndefined();
    expect(readsByLease(cluster, leader), "nobody was summoned").toBe(true);
    cluster.heal();
    cluster.run(200);
    cluster.transfer(leader, 2);
    expect(cluster.take(is("campaignNow"))).toHaveLength(1);
    expect(readsByLease(cluster, leader)).toBe(false);
    cluster.tellLink(leader, cluster.agent(2), false);
    cluster.run(200);
    expect([leader.core.role, leader.core.status().successor]).toEqual(["leader", undefined]);
    expect(readsByLease(cluster, leader)).toBe(false);
    expect(cluster.read(leader).kind, "a round does it").toBe("ticket");
  });

  test("R90: a late wake: neither what waited to be asked nor the answers that waited with it bring it back", () => {
    const { cluster, leader } = leased();
    beat(cluster, leader);
    // The others answer at once; the leader stands still, and finds their answers when it goes on.
    for (const sent of cluster.take(is("heartbeat"))) cluster.deliver(sent);
    const answers = cluster.take(is("heartbeatAnswer"));
    expect(answers).toHaveLength(2);
    cluster.pass(shortestMs + heartbeatMs + 1);
    cluster.wake(leader);
    expect(leader.core.role, "it was not asleep for longer than the longest time-out").toBe("leader");
    cluster.wire = [];
    expect(readsByLease(cluster, leader)).toBe(false);
    for (const sent of answers) cluster.deliver(sent);
    expect(readsByLease(cluster, leader)).toBe(false);
    beat(cluster, leader);
    cluster.settle();
    expect(readsByLease(cluster, leader), "the next round does").toBe(true);
  });

  test("pitfall 11: R44: either clock: a machine that was suspended, and whose monotonic clock stood still", () => {
    const { cluster, leader } = leased();
    beat(cluster, leader);
    const { round } = lastHeartbeat(cluster);
    cluster.wire = [];
    cluster.now.wall = (cluster.now.wall + 10_000_000) as Micros;
    expect(readsByLease(cluster, leader)).toBe(false);
    for (const from of ["a2", "a3"]) cluster.tell(leader, from, answerTo(round, shortestMs));
    expect(readsByLease(cluster, leader), "an answer to a round from before").toBe(false);
    beat(cluster, leader);
    cluster.settle();
    expect(readsByLease(cluster, leader)).toBe(true);
    cluster.now.wall = (cluster.now.wall - 20_000_000) as Micros;
    expect(readsByLease(cluster, leader), "a clock that was set back hides for how long").toBe(false);
  });

  test("voters that have not pledged, in either set of a joint configuration", () => {
    const { cluster, leader } = leased();
    const joined = [cluster.join(), cluster.join()];
    cluster.change(leader, `${joined.map(({ id }) => `+${id}`).join(" ")} -a2 -a3`);
    const members = (): Members => leader.core.status().members;
    for (let wave = 0; wave < 200 && members().outgoing.length === 0; wave++) wavePasses(cluster);
    expect(members()).toMatchObject({ voters: ["a1", "a4", "a5"], outgoing: ["a1", "a2", "a3"] });
    cluster.pass(leaseMs - heartbeatMs);
    beat(cluster, leader);
    const { round } = lastHeartbeat(cluster);
    const pledges = (from: string): void => cluster.tell(leader, from, answerTo(round, shortestMs));
    for (const from of ["a2", "a3"]) pledges(from);
    expect(readsByLease(cluster, leader)).toBe(false);
    pledges("a4");
    expect(readsByLease(cluster, leader)).toBe(true);
  });

  test("a vote less than it takes among more voters", () => {
    const { cluster, leader } = leased();
    cluster.change(leader, `+${cluster.join().id} +${cluster.join().id}`);
    cluster.run(1000);
    expect(leader.core.status().members.voters).toHaveLength(5);
    cluster.pass(leaseMs);
    beat(cluster, leader);
    const { round } = lastHeartbeat(cluster);
    cluster.tell(leader, "a2", answerTo(round, shortestMs));
    expect(readsByLease(cluster, leader)).toBe(false);
    cluster.tell(leader, "a4", answerTo(round, shortestMs));
    expect(readsByLease(cluster, leader)).toBe(true);
  });

  test("nothing while reads come: a group that is in use does not fall asleep", () => {
    const { cluster, leader } = leased({ hibernation: { quietBeats: 10, renewalMs: 60_000 } });
    for (let passed = 0; passed < 2000; passed += 40) {
      cluster.run(40);
      expect(readsByLease(cluster, leader)).toBe(true);
    }
    cluster.run(1000);
    expect(leader.core.status().hibernating).toBe(true);
  });

  test("R54: a sleep: whoever wakes its group asks anew", () => {
    const { cluster, leader } = leased({ hibernation: { quietBeats: 10, renewalMs: 60_000 } });
    let round = 0;
    cluster.onSent = ({ message }) => {
      if (message.kind === "heartbeat") ({ round } = message);
    };
    for (let passed = 0; passed < 1000 && !leader.core.status().hibernating; passed++) cluster.run(1);
    const before = round;
    expect(readsByLease(cluster, leader)).toBe(false);
    expect(leader.core.status().hibernating).toBe(false);
    cluster.tell(leader, "a2", answerTo(before, shortestMs));
    expect(readsByLease(cluster, leader), "an answer from before").toBe(false);
  });
});

test("R44: a leader never has a lease while another leads: whoever is cut off from whom, and whenever", () => {
  let [held, replaced] = [0, 0];
  for (let seed = 1; seed <= 60; seed++) {
    const cluster = pledging({ seed });
    cluster.run(cluster.prng.between(0, 200));
    const old = cluster.agent(1);
    const isHeard = cluster.prng.chance(0.5);
    for (const other of [2, 3]) {
      cluster.cut.add(`a1>a${other}`);
      if (!isHeard) cluster.cut.add(`a${other}>a1`);
    }
    for (let passed = 0; passed < 2 * longestMs && old.core.role === "leader"; passed++) {
      restartAtTimes(cluster);
      cluster.run(1);
      const isReplaced = cluster.agents.slice(1).some((agent) => !agent.down && agent.core.role === "leader");
      if (isReplaced) replaced += 1;
      if (old.core.role !== "leader" || !readsByLease(cluster, old)) continue;
      held += 1;
      expect(isReplaced, `seed ${seed}`).toBe(false);
    }
  }
  expect(held).toBeGreaterThan(1000);
  expect(replaced).toBeGreaterThan(100);
});

/** What is on its way arrives, and what comes of that reaches disks and states. */
function wavePasses(cluster: TestCluster): void {
  for (const sent of cluster.take(() => true)) cluster.deliver(sent);
  for (const agent of cluster.agents) {
    cluster.sync(agent);
    while (agent.commits.length > 0) cluster.apply(agent);
  }
}

function restartAtTimes(cluster: TestCluster): void {
  const voter: TestAgent = cluster.prng.pick(cluster.agents.slice(1));
  if (!cluster.prng.chance(0.01)) return;
  cluster.crash(voter);
  cluster.restart(voter);
}

function lastHeartbeat(cluster: TestCluster): Heartbeat {
  return present(cluster.wire.findLast(is("heartbeat")), "one is on its way").message as Heartbeat;
}
