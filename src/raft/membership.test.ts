/**
 * Goal: members change without a moment at which two majorities could decide apart, and whatever was begun is finished by
 * whoever leads (R23, R24, R27). Method: small groups stepped by hand: what is in whose log, who has acknowledged what, who
 * crashes when.
 */
import { describe, expect, test } from "vitest";
import { encodeCommand, enterJoint, leaveJoint, never } from "../core/index.ts";
import { decodeAnchor, encodeMembers } from "./fields.ts";
import { configurations, shown, texts, type TestAgent } from "./test-cluster.ts";
import {
  accepted,
  append,
  cutOff,
  decides,
  inForce,
  jointEverywhere,
  planned,
  started,
  stepUntil,
  toldMembers,
  type Content,
} from "./test-membership.ts";

describe("members come and go", () => {
  test("a voter is added: a learner first, then both sets decide together, then it votes", () => {
    const cluster = started();
    const newcomer = cluster.join();
    expect(cluster.change(cluster.agent(1), "+a4")).toEqual(accepted);
    cluster.run(300);
    for (const agent of cluster.agents) {
      expect(configurations(agent.log)).toEqual([
        "a1 a2 a3 | learners a4 | next a1 a2 a3 a4",
        "a1 a2 a3 a4 | outgoing a1 a2 a3",
        "a1 a2 a3 a4",
      ]);
      expect(inForce(agent)).toBe("a1 a2 a3 a4");
    }
    expect(newcomer.core.role).toBe("follower");
    cutOff(cluster, 3);
    expect(decides(cluster, "three of four")).toBe(true);
    cutOff(cluster, 2);
    expect(decides(cluster, "two of four")).toBe(false);
  });

  test("a learner that has caught up is promoted without a plan of its own", () => {
    const cluster = started({ voters: 2 });
    cluster.join();
    cluster.change(cluster.agent(1), "~a3");
    cluster.run(200);
    expect(inForce(cluster.agent(3))).toBe("a1 a2 | learners a3");
    expect(cluster.agent(3).core.role).toBe("learner");
    cluster.change(cluster.agent(1), "+a3");
    cluster.run(200);
    expect(configurations(cluster.agent(3).log)).toEqual([
      "a1 a2 | learners a3",
      "a1 a2 a3 | outgoing a1 a2",
      "a1 a2 a3",
    ]);
  });

  test("a group of one grows to three, and shrinks to one again", () => {
    const cluster = started({ voters: 1 });
    cluster.join();
    cluster.join();
    cluster.change(cluster.agent(1), "+a2 +a3");
    cluster.run(300);
    expect(cluster.agents.map(inForce)).toEqual(["a1 a2 a3", "a1 a2 a3", "a1 a2 a3"]);
    cutOff(cluster, 3);
    expect(decides(cluster, "two of three")).toBe(true);
    cluster.heal();
    cluster.run(200);
    expect(cluster.change(cluster.leader!, "-a2 -a3")).toEqual(accepted);
    cluster.run(300);
    expect(cluster.agents.map(inForce)).toEqual(["a1", "a1", "a1"]);
    cutOff(cluster, 2, 3);
    expect(decides(cluster, "alone")).toBe(true);
    const { term } = cluster.agent(1).core;
    cluster.run(2000);
    expect(cluster.agent(1).core.role).toBe("leader");
    expect(cluster.agent(1).core.term, "it needs nobody to stay in office").toBe(term);
  });

  test("a dead voter is removed, and the two that are left suffice", () => {
    const cluster = started();
    cluster.crash(cluster.agent(3));
    cluster.change(cluster.agent(1), "-a3");
    cluster.run(100);
    expect(configurations(cluster.agent(2).log)).toEqual(["a1 a2 | outgoing a1 a2 a3", "a1 a2"]);
    expect(decides(cluster, "two of two")).toBe(true);
  });

  test("a dead voter is replaced", () => {
    const cluster = started();
    cluster.crash(cluster.agent(3));
    cluster.join();
    cluster.change(cluster.agent(1), "+a4 -a3");
    cluster.run(300);
    expect(inForce(cluster.agent(4))).toBe("a1 a2 a4");
    cutOff(cluster, 2);
    expect(decides(cluster, "the newcomer counts")).toBe(true);
  });

  test("a voter becomes a learner: it has the log and counts no more", () => {
    const cluster = started();
    cluster.change(cluster.agent(1), "~a3");
    cluster.run(200);
    expect(inForce(cluster.agent(3))).toBe("a1 a2 | learners a3");
    expect(cluster.agent(3).core.role).toBe("learner");
    cutOff(cluster, 2);
    expect(decides(cluster, "one voter and a learner")).toBe(false);
    expect(texts(cluster.agent(3).log)).toEqual(["one voter and a learner"]);
  });

  test("who was removed can come back", () => {
    const cluster = started();
    cluster.change(cluster.agent(1), "-a3");
    cluster.run(100);
    cluster.change(cluster.agent(1), "+a3");
    const progress = cluster
      .agent(1)
      .core.status()
      .peers.find(({ id }) => id === "a3");
    expect(progress, "what was known of it is not relied on").toMatchObject({ matched: 0, mode: "probe" });
    cluster.run(300);
    expect(inForce(cluster.agent(3))).toBe("a1 a2 a3");
    cutOff(cluster, 2);
    expect(decides(cluster, "with the one that came back")).toBe(true);
  });

  test("everybody is told of each configuration once, and of the role that it gives", () => {
    const cluster = started({ voters: 1 });
    const newcomer = cluster.join();
    cluster.change(cluster.agent(1), "+a2");
    cluster.run(300);
    const steps = ["a1 | learners a2 | next a1 a2", "a1 a2 | outgoing a1", "a1 a2"];
    expect([toldMembers(cluster.agent(1)), toldMembers(newcomer)]).toEqual([steps, steps]);
    expect(newcomer.eventsOf("role").map(({ role }) => role)).toEqual(["learner", "follower"]);
  });
});

describe("R23: the configuration in force is the newest in the log", () => {
  test("as soon as it is there, at the leader and at a follower, decided or not", () => {
    const cluster = started({ voters: 3, learners: 1 });
    for (const agent of cluster.agents) agent.diskHangs = true;
    cluster.change(cluster.agent(1), "-a4");
    expect(inForce(cluster.agent(1))).toBe("a1 a2 a3");
    cluster.settle();
    expect(inForce(cluster.agent(2))).toBe("a1 a2 a3");
    expect(cluster.agent(1).core.commitIndex).toBe(1);
  });

  test("pitfall 15: it goes with its entry: whoever it made a voter has patience without end again", () => {
    const cluster = started({ voters: 2, learners: 1 });
    const learner = cluster.agent(3);
    const joint = enterJoint(planned(cluster.members, "+a3"));
    expect(learner.core.deadline).toBe(never);
    cluster.tell(learner, "a1", append(1, [1, 1], [[1, joint]]));
    expect([inForce(learner), learner.core.role]).toEqual(["a1 a2 a3 | outgoing a1 a2", "follower"]);
    expect(learner.core.deadline).toBeLessThan(never);
    cluster.tell(learner, "a2", append(2, [1, 1], [[2, "another"]]));
    expect([inForce(learner), learner.core.role]).toEqual(["a1 a2 | learners a3", "learner"]);
    expect(learner.core.deadline).toBe(never);
    expect(toldMembers(learner)).toEqual(["a1 a2 a3 | outgoing a1 a2", "a1 a2 | learners a3"]);
  });

  test("it goes with its entry: whoever it removed votes again, and loses patience as voters do", () => {
    const cluster = started();
    const removed = cluster.agent(3);
    const joint = enterJoint(planned(cluster.members, "-a3"));
    const entries: Content[] = [
      [1, joint],
      [1, leaveJoint(joint)],
    ];
    cluster.tell(removed, "a1", append(1, [1, 1], entries, 2));
    expect([inForce(removed), removed.core.role]).toEqual(["a1 a2", "learner"]);
    cluster.tell(removed, "a2", append(2, [2, 1], [[2, "another"]]));
    expect([inForce(removed), removed.core.role]).toEqual(["a1 a2 | outgoing a1 a2 a3", "follower"]);
    expect(removed.core.deadline).toBeLessThan(never);
  });

  test("pitfall 15: it comes back at a restart, from the base and the entries behind it", () => {
    const cluster = started({ voters: 1 });
    const newcomer = cluster.join();
    cluster.change(cluster.agent(1), "+a2");
    cluster.run(300);
    for (const agent of cluster.agents) cluster.crash(agent);
    for (const agent of cluster.agents) cluster.restart(agent);
    expect(cluster.agents.map(inForce)).toEqual(["a1 a2", "a1 a2"]);
    expect(newcomer.core.role).toBe("follower");
    cluster.run(600);
    expect(decides(cluster, "both")).toBe(true);
  });

  test("pitfall 15: a snapshot has the one as of what is applied, not the newest", () => {
    const cluster = started({ voters: 1 });
    const leader = cluster.agent(1);
    const anchored = (): string | undefined => {
      const anchor = decodeAnchor(leader.core.anchor());
      return anchor && shown(anchor.members);
    };
    cluster.change(leader, "~a2");
    cluster.sync(leader);
    expect(leader.core.commitIndex).toBe(2);
    expect([inForce(leader), anchored()]).toEqual(["a1 | learners a2", "a1"]);
    cluster.apply(leader);
    expect(anchored()).toBe("a1 | learners a2");
  });
});

describe("R24: neighbouring majorities share a voter, and one configuration is undecided at a time", () => {
  test("while two sets must agree, a majority of each is needed to decide", () => {
    for (const missing of [
      [4, 5],
      [2, 3],
    ]) {
      const cluster = jointEverywhere();
      cutOff(cluster, ...missing);
      for (const agent of cluster.agents) agent.diskHangs = false;
      cluster.run(100);
      expect(cluster.agent(1).core.commitIndex).toBe(1);
      cluster.heal();
      cluster.run(200);
      expect(inForce(cluster.agent(1))).toBe("a1 a4 a5");
    }
  });

  test("while two sets must agree, a majority of each is needed to elect", () => {
    for (const missing of [2, 5]) {
      const cluster = jointEverywhere();
      for (const agent of cluster.agents) agent.diskHangs = false;
      cluster.crash(cluster.agent(1));
      cutOff(cluster, missing);
      cluster.run(1000);
      expect(cluster.leader).toBeUndefined();
      cluster.heal();
      cluster.run(1000);
      expect(cluster.leader).toBeDefined();
    }
  });

  test("while two sets must agree, a poll that both granted is not enough: both must vote", () => {
    for (const missing of [[2, 3], [5]]) {
      const cluster = jointEverywhere();
      const candidate = cluster.agent(4);
      cluster.crash(cluster.agent(1));
      for (const agent of cluster.agents) agent.diskHangs = false;
      cluster.settle();
      cluster.pass(400);
      cluster.step(candidate, (core, out) => core.campaign(cluster.now, out));
      stepUntil(cluster, () => candidate.core.role === "candidate");
      cutOff(cluster, ...missing);
      cluster.settle();
      expect(candidate.core.role).toBe("candidate");
      cluster.heal();
      cluster.run(1000);
      expect(cluster.leader).toBeDefined();
    }
  });

  test("while two sets must agree, a majority of each confirms a read, and keeps the leader in office", () => {
    for (const missing of [
      [4, 5],
      [2, 3],
    ]) {
      const cluster = jointEverywhere();
      const leader = cluster.agent(1);
      cutOff(cluster, ...missing);
      expect(cluster.read(leader).kind).toBe("ticket");
      cluster.run(120);
      expect(leader.eventsOf("readable")).toEqual([]);
      cluster.heal();
      cluster.run(120);
      expect(leader.eventsOf("readable")).toHaveLength(1);
      cutOff(cluster, ...missing);
      cluster.run(600);
      expect(leader.core.role).not.toBe("leader");
    }
  });

  test("pitfall 9: a leader changes nothing before its first entry is decided", () => {
    const cluster = started();
    const leader = cluster.agent(3);
    cluster.crash(cluster.agent(1));
    cluster.pass(400);
    cluster.step(leader, (core, out) => core.campaign(cluster.now, out));
    stepUntil(cluster, () => leader.core.role === "leader");
    const { lastIndex } = leader.core;
    expect(cluster.change(leader, "-a1")).toEqual({ kind: "busy", because: "election" });
    expect(leader.core.lastIndex).toBe(lastIndex);
    cluster.settle();
    expect(cluster.change(leader, "-a1")).toEqual(accepted);
  });

  test("pitfall 14: a second change waits until the first is over, or at least planned", () => {
    const cluster = started({ voters: 3, learners: 1 });
    const leader = cluster.agent(1);
    const busy = { kind: "busy", because: "memberChange" };
    cluster.change(leader, "+a5");
    expect(cluster.change(leader, "+a5"), "the plan is undecided").toEqual(busy);
    cluster.settle();
    expect(cluster.change(leader, "-a5 -a3"), "another plan takes its place").toEqual(accepted);
    expect(inForce(leader)).toBe("a1 a2 | outgoing a1 a2 a3 | learners a4");
    expect(cluster.change(leader, "-a4"), "joint and undecided").toEqual(busy);
    stepUntil(cluster, () => inForce(leader) === "a1 a2 | learners a4");
    expect(cluster.change(leader, "-a4"), "the end is undecided").toEqual(busy);
    cluster.settle();
    expect(cluster.change(leader, "-a4")).toEqual(accepted);
  });
});

describe("R27: a change that was begun is finished, whoever leads", () => {
  const stages: readonly (readonly [name: string, reached: (follower: TestAgent) => boolean])[] = [
    ["the plan is in a follower's log", ({ log }) => configurations(log).length === 1],
    ["both sets are to agree", ({ log }) => configurations(log).length === 2],
    ["the new set is alone", ({ log }) => configurations(log).length === 3],
    ["it is decided", ({ core }) => core.commitIndex === 4],
  ];
  test.each(stages)("pitfall 14: the leader is lost when %s", (_, reached) => {
    const cluster = started();
    cluster.join();
    const survivor = cluster.agent(2);
    cluster.change(cluster.agent(1), "+a4");
    stepUntil(cluster, () => reached(survivor));
    cluster.sync(survivor);
    cluster.crash(cluster.agent(1));
    cluster.wire = [];
    cluster.run(2500);
    for (const number of [2, 3, 4]) expect(inForce(cluster.agent(number))).toBe("a1 a2 a3 a4");
    expect(decides(cluster, "three of four")).toBe(true);
  });

  test("everybody is lost at once in the middle of a change, and it is finished after the restart", () => {
    const cluster = jointEverywhere();
    for (const agent of cluster.agents) cluster.crash(agent, agent.records.length - agent.durable);
    for (const agent of cluster.agents) {
      agent.diskHangs = false;
      cluster.restart(agent);
    }
    cluster.run(2000);
    for (const number of [1, 4, 5]) expect(inForce(cluster.agent(number))).toBe("a1 a4 a5");
  });
});

describe("a group that sleeps", () => {
  const hibernation = { quietBeats: 1, renewalMs: 10_000 };

  test("R53: wakes for a change, refuses it to nobody, and sleeps again once all have been told", () => {
    const cluster = started({ hibernation });
    cluster.run(3000);
    expect(cluster.agents.every(({ core }) => core.hibernation !== undefined)).toBe(true);
    expect(cluster.change(cluster.agent(1), "-a3")).toEqual(accepted);
    cluster.run(300);
    expect(cluster.agents.map(inForce)).toEqual(["a1 a2", "a1 a2", "a1 a2"]);
    expect(cluster.agent(1).core.hibernation, "the one that leaves is still told").toBeUndefined();
    cluster.run(1500);
    expect(cluster.agent(1).core.hibernation).toMatchObject({ present: ["a2"] });
    expect(cluster.agent(2).core.hibernation).toMatchObject({ present: ["a1"] });
  });

  test("R50: does not fall asleep while a newcomer has to catch up", () => {
    const cluster = started({ hibernation, voters: 1 });
    cluster.join();
    cutOff(cluster, 2);
    cluster.change(cluster.agent(1), "+a2");
    cluster.run(3000);
    expect(cluster.agent(1).core.hibernation).toBeUndefined();
    cluster.heal();
    cluster.run(1000);
    expect(cluster.agents.map(inForce)).toEqual(["a1 a2", "a1 a2"]);
    expect(cluster.agents.every(({ core }) => core.hibernation !== undefined)).toBe(true);
  });
});

describe("what is asked for", () => {
  test("only of a leader, and only what can be", () => {
    const cluster = started();
    expect(cluster.change(cluster.agent(2), "-a3")).toEqual({ kind: "notLeader", leader: "a1" });
    const leader = cluster.agent(1);
    const { lastIndex } = leader.core;
    expect(cluster.change(leader, "-a1 -a2 -a3")).toEqual({ kind: "badChange", fault: "noVoters" });
    expect(cluster.change(leader, "+b +c +d +e +f")).toEqual({ kind: "badChange", fault: "tooManyVoters" });
    expect(leader.core.lastIndex).toBe(lastIndex);
  });

  test("what is so already is accepted, and nothing is written", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    const { lastIndex } = leader.core;
    expect(cluster.change(leader, "+a2 -x")).toEqual(accepted);
    expect(leader.core.lastIndex).toBe(lastIndex);
    cluster.change(leader, "+a4");
    cluster.settle();
    const planEnd = leader.core.lastIndex;
    expect(cluster.change(leader, "+a4"), "planned already").toEqual(accepted);
    expect(leader.core.lastIndex).toBe(planEnd);
  });

  test("a host that proposes what only a leader may write has a bug", () => {
    const cluster = started();
    for (const kind of ["noop", "members"] as const) {
      const header = { kind, session: 0, sequence: 0, unsettled: 0 };
      const bytes = encodeCommand(header, encodeMembers(cluster.members));
      for (const agent of cluster.agents.slice(0, 2)) {
        expect(() => cluster.step(agent, (core, out) => core.propose([bytes], cluster.now, out))).toThrow(
          "only commands and sessions are proposed",
        );
      }
    }
    expect(cluster.propose(cluster.agent(1), "x")).toMatchObject(accepted);
  });
});
