/**
 * What a voter pledges to a leader that reads by lease (R43), over terms, restarts and sleeps. Votes are asked of it by hand, as
 * a candidate would that everybody else prefers.
 */
import { describe, expect, test } from "vitest";
import type { LogIndex, Micros, Term } from "../core/index.ts";
import type { HeartbeatAnswer } from "./messages.ts";
import { heartbeatMs, TestCluster, type TestAgent } from "./test-cluster.ts";
import { is, longestMs, pledging, shortestMs, voteRequest } from "./test-leases.ts";

const pledge = (shortestMs * 1000) as Micros;

function answersOf(cluster: TestCluster, milliseconds: number): HeartbeatAnswer[] {
  const answers: HeartbeatAnswer[] = [];
  cluster.onSent = ({ message }) => {
    if (message.kind === "heartbeatAnswer") answers.push(message);
  };
  cluster.run(milliseconds);
  return answers;
}

/** Asked for its vote and in a poll, and by hand to stand, it does nothing of it in `term`. */
function refuses(cluster: TestCluster, voter: TestAgent, term: number): boolean {
  const before = voter.core.votedFor;
  cluster.tell(voter, "a3", { ...voteRequest(term), kind: "preVoteRequest" });
  const [poll] = cluster.take(is("preVoteAnswer"));
  cluster.step(voter, (core, out) => core.campaign(cluster.now, out));
  const polls = cluster.take(is("preVoteRequest"));
  cluster.tell(voter, "a3", voteRequest(term));
  return (
    poll?.message.kind === "preVoteAnswer" &&
    !poll.message.granted &&
    polls.length === 0 &&
    voter.core.votedFor === before
  );
}

describe("R43: what a voter pledges", () => {
  test("its vote, for its shortest election time-out; and nothing unless it was told to", () => {
    const answers = answersOf(pledging({ leases: [true, true] }), heartbeatMs);
    expect(answers.map((answer) => answer.pledge)).toEqual([pledge, undefined]);
  });

  test("pitfall 11: R43: nothing before its disk has for how long", () => {
    const cluster = new TestCluster({ leases: "all" }).start();
    const voter = cluster.agent(2);
    voter.diskHangs = true;
    const pledges = (): unknown[] => answersOf(cluster, heartbeatMs).map((answer) => answer.pledge);
    expect(pledges()).toEqual([undefined, undefined]);
    expect(pledges()).toEqual([undefined, pledge]);
    voter.diskHangs = false;
    expect(pledges()).toEqual([pledge, pledge]);
  });

  test("pitfall 11: R43: it holds in whatever term the voter is by then, for requests of that term as for later ones", () => {
    const cluster = pledging();
    const voter = cluster.agent(2);
    cluster.tell(voter, "a3", { kind: "preVoteAnswer", term: 5 as Term, granted: false });
    expect(voter.core.term).toBe(5);
    for (const passed of [0, shortestMs - 1]) {
      cluster.pass(passed);
      expect(refuses(cluster, voter, 5) && refuses(cluster, voter, 6)).toBe(true);
    }
    cluster.pass(1);
    cluster.tell(voter, "a3", voteRequest(5));
    expect([voter.core.term, voter.core.votedFor]).toEqual([5, "a3"]);
  });

  test("a leader that lays down its office is kept faith with for as long, and then somebody leads again", () => {
    const cluster = pledging();
    const [, ...followers] = cluster.agents;
    cluster.tell(cluster.agent(1), "a3", { kind: "heartbeatAnswer", term: 7 as Term, round: 1 });
    cluster.run(shortestMs - 1);
    expect(followers.map(({ core }) => core.votedFor)).toEqual(["a1", "a1"]);
    cluster.run(2 * longestMs);
    expect(cluster.leader).toBeDefined();
  });

  test("it binds the voter itself, however soon its patience ends", () => {
    const hibernation = { quietBeats: 2, renewalMs: 60_000 };
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = pledging({ hibernation, seed });
      cluster.run(500);
      const [leader, follower] = [cluster.agent(1), cluster.agent(2)];
      const { term, last } = leader.core.status();
      cluster.tell(follower, "a1", { kind: "heartbeat", term, commit: last, round: 99 });
      cluster.tell(follower, "a1", { kind: "hibernate", term, last });
      expect(follower.core.status().hibernating).toBe(true);
      const before = cluster.now.monotonic;
      cluster.isolate(leader);
      cluster.tellLink(follower, leader, false);
      let polledAt = 0;
      cluster.onSent = ({ from, message }) => {
        if (from === "a2" && message.kind === "preVoteRequest") polledAt ||= cluster.now.monotonic;
      };
      cluster.run(longestMs + 10);
      expect(polledAt - before).toBeGreaterThanOrEqual(shortestMs * 1000);
    }
  });

  test("only a successor that the leader summoned may have it", () => {
    const cluster = pledging();
    cluster.tell(cluster.agent(2), "a3", voteRequest(2, "transfer"));
    expect(cluster.agent(2).core.votedFor).toBe("a3");
    const { term } = cluster.agent(3).core;
    cluster.tell(cluster.agent(3), "a1", { kind: "campaignNow", term });
    expect(cluster.agent(3).core.role).toBe("candidate");
  });
});

describe("R43: a pledge outlives a restart, which forgets that a leader was heard", () => {
  /** It answered a heartbeat right before it lost power, and begins at once. */
  function restarted(cluster: TestCluster, change: (voter: TestAgent) => void = () => {}): TestAgent {
    const voter = cluster.agent(2);
    cluster.crash(voter);
    change(voter);
    cluster.restart(voter);
    cluster.wire = [];
    return voter;
  }

  test("pitfall 11: R43: it waits for as long as it pledged before, and votes then", () => {
    const cluster = pledging();
    const voter = restarted(cluster);
    for (const passed of [0, shortestMs - 1]) {
      cluster.pass(passed);
      expect(refuses(cluster, voter, 2)).toBe(true);
    }
    cluster.pass(1);
    cluster.tell(voter, "a3", voteRequest(2));
    expect(voter.core.votedFor).toBe("a3");
  });

  test("whatever its options say by then: without leases once, and then no more", () => {
    const cluster = pledging();
    cluster.leases = [];
    const voter = restarted(cluster);
    cluster.pass(shortestMs - 1);
    expect(refuses(cluster, voter, 2)).toBe(true);
    const isPledged = (): boolean => "pledge" in lastHardState(voter);
    cluster.tell(voter, "a1", { kind: "heartbeat", term: 1 as Term, commit: 0 as LogIndex, round: 9 });
    expect(isPledged(), "it may begin anew before the time is over").toBe(true);
    cluster.pass(1);
    cluster.tell(voter, "a1", { kind: "heartbeat", term: 1 as Term, commit: 0 as LogIndex, round: 9 });
    cluster.sync(voter);
    expect(isPledged()).toBe(false);
    restarted(cluster);
    cluster.tell(voter, "a3", voteRequest(2));
    expect(voter.core.votedFor).toBe("a3");
  });

  test("for as long as then, where it would pledge less now", () => {
    const cluster = pledging();
    const voter = restarted(cluster, (one) => {
      one.write([
        { kind: "hardState", term: 1 as Term, votedFor: cluster.agent(1).id, pledge: 1_000_000 as Micros },
      ]);
      one.durable = one.records.length;
    });
    cluster.pass(999);
    expect(refuses(cluster, voter, 2)).toBe(true);
    cluster.pass(1);
    cluster.tell(voter, "a3", voteRequest(2));
    expect(voter.core.votedFor).toBe("a3");
  });

  test("where it begins with a snapshot, too", () => {
    const cluster = pledging({ limits: { logKeptBytesMax: 1, logHeldBytesMax: 1 } });
    cluster.propose(cluster.agent(1), "x", "y", "z");
    cluster.settle();
    const voter = cluster.agent(2);
    cluster.snapshots.take(voter);
    cluster.sync(voter);
    expect(voter.core.status().base).toBeGreaterThan(0);
    restarted(cluster);
    cluster.pass(shortestMs - 1);
    expect(refuses(cluster, voter, 2)).toBe(true);
  });

  test("where all other voters are gone, too: an earlier leader may not know yet", () => {
    const cluster = pledging({ voters: 2 });
    const [leader, voter] = [cluster.agent(1), cluster.agent(2)];
    cluster.change(leader, "-a1");
    cluster.run(heartbeatMs);
    expect(voter.core.status().members.voters).toEqual(["a2"]);
    cluster.isolate(leader);
    restarted(cluster);
    cluster.run(shortestMs - 1);
    expect(voter.core.role).toBe("follower");
    cluster.run(longestMs);
    expect(voter.core.role).toBe("leader");
  });

  test("who never pledged votes at once, be it that it founds the group or that it has no leases", () => {
    const founding = new TestCluster({ leases: "all" });
    for (const agent of founding.agents) founding.wake(agent);
    founding.tell(founding.agent(2), "a3", voteRequest(1));
    expect(founding.agent(2).core.votedFor).toBe("a3");
    const cluster = pledging({ leases: [true] });
    const voter = restarted(cluster);
    cluster.tell(voter, "a3", voteRequest(2));
    expect(voter.core.votedFor).toBe("a3");
  });
});

function lastHardState(agent: TestAgent): object {
  const record = agent.records.findLast(({ kind }) => kind === "hardState");
  return record ?? {};
}
