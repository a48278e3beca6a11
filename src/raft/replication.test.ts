/** How entries get from a leader's log into everybody's, and from there to the state machine. */
import { describe, expect, test } from "vitest";
import {
  AssertionError,
  encodeCommand,
  encodeText,
  entryTime,
  stampEntry,
  type LogIndex,
  type Micros,
  type Run,
  type Term,
} from "../core/index.ts";
import type { Append, AppendRejected } from "./messages.ts";
import { command, runOf, TestCluster, texts, type Envelope, type TestAgent } from "./test-cluster.ts";

type Options = ConstructorParameters<typeof TestCluster>[0];

const started = (options: Options = {}): TestCluster => new TestCluster(options).start();
const is = (kind: string) => (sent: Envelope) => sent.message.kind === kind;
const to = (id: string) => (sent: Envelope) => sent.to === id;

function entry(index: number, term: number, text = "x"): Run {
  const bytes = encodeCommand({ kind: "command", session: 1, sequence: 1, unsettled: 0 }, encodeText(text));
  stampEntry(bytes, 0, index as LogIndex, term as Term, 1);
  return { first: index as LogIndex, last: index as LogIndex, bytes };
}

function append(
  values: Partial<Record<"term" | "prevIndex" | "prevTerm" | "commit", number>>,
  ...runs: Run[]
): Append {
  const { term = 1, prevIndex = 0, prevTerm = 0, commit = 0 } = values;
  return {
    kind: "append",
    term: term as Term,
    prevIndex: prevIndex as LogIndex,
    prevTerm: prevTerm as Term,
    commit: commit as LogIndex,
    runs,
  };
}

/** A follower with these terms in its log, written by leader a1 of the last of them. */
function followerWith(cluster: TestCluster, terms: readonly number[]): TestAgent {
  const agent = cluster.agent(2);
  cluster.wake(agent);
  const runs = terms.map((term, position) => entry(position + 1, term, `old${position + 1}`));
  cluster.tell(agent, "a1", append({ term: terms.at(-1) ?? 0 }, ...runs));
  cluster.sync(agent);
  cluster.wire = [];
  return agent;
}

describe("the straight way", () => {
  test("a command reaches every log, every disk and every state machine, with the same bytes", () => {
    const cluster = started({ learners: 1 });
    expect(cluster.propose(cluster.agent(1), "x", "y")).toEqual({ kind: "accepted", count: 2, first: 2 });
    cluster.settle();
    for (const agent of cluster.agents) {
      expect(texts(agent.committed)).toEqual(["x", "y"]);
      expect(agent.core.appliedIndex).toBe(3);
    }
    const runs = cluster.agents.map(({ records }) => records.findLast((one) => one.kind === "entries")?.run);
    expect(new Set(runs).size, "one object for all: runs are passed on, not copied").toBe(1);
  });

  test("peers that are equally far share one message", () => {
    const cluster = started();
    cluster.propose(cluster.agent(1), "x");
    const [first, second] = cluster.wire.map(({ message }) => message);
    expect(first).toBe(second);
  });

  test("everybody is told what is decided at once: by a word of its own, or by the next append", () => {
    const cluster = started();
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    expect(cluster.agents.map(({ core }) => core.commitIndex)).toEqual([2, 2, 2]);
    cluster.propose(cluster.agent(1), "y");
    for (const agent of cluster.agents) cluster.sync(agent);
    const appends = cluster.take(is("append"));
    for (const sent of appends) cluster.deliver(sent);
    for (const agent of cluster.agents) cluster.sync(agent);
    for (const sent of cluster.take(is("appendMatched"))) cluster.deliver(sent);
    expect(cluster.take(is("commit")).map((sent) => [sent.to, sent.message])).toEqual([
      ["a2", { kind: "commit", term: 1, commit: 3 }],
      ["a3", { kind: "commit", term: 1, commit: 3 }],
    ]);
    cluster.propose(cluster.agent(1), "z");
    expect(cluster.wire[0]?.message).toMatchObject({ kind: "append", commit: 3 });
  });

  test("R94: whose own callers wait is told at once, whoever only follows hears of it in passing", () => {
    const cluster = started();
    const decided = (): unknown => {
      const news: Envelope[] = [];
      for (let round = 0; round < 6; round++) {
        news.push(...cluster.take(is("commit")));
        for (const sent of cluster.take(() => true)) cluster.deliver(sent);
        for (const agent of cluster.agents) cluster.sync(agent);
      }
      for (const sent of news) cluster.deliver(sent);
      return news.map(({ to: peer, channel }) => [peer, channel]);
    };
    cluster.propose(cluster.agent(1), "the leader's own");
    expect(decided()).toEqual([
      ["a2", "lazy"],
      ["a3", "lazy"],
    ]);
    cluster.propose(cluster.agent(2), "forwarded");
    expect(decided()).toEqual([
      ["a2", "urgent"],
      ["a3", "lazy"],
    ]);
    cluster.propose(cluster.agent(1), "the leader's own, later");
    expect(decided()).toEqual([
      ["a2", "lazy"],
      ["a3", "lazy"],
    ]);
  });

  test("R8: a peer that is behind is told no more than it has", () => {
    const cluster = started();
    cluster.propose(cluster.agent(1), "x");
    const late = cluster.take(to("a3"));
    cluster.settle();
    expect(cluster.agent(1).core.commitIndex).toBe(2);
    cluster.run(60);
    expect(cluster.agent(3).core.commitIndex).toBe(1);
    cluster.wire.push(...late);
    cluster.settle();
    expect(cluster.agent(3).core.commitIndex).toBe(2);
  });

  test("the logged time never falls, whatever the clocks say, and not from leader to leader either", () => {
    const cluster = started();
    cluster.propose(cluster.agent(1), "x");
    cluster.settle();
    cluster.now.wall = 1000 as Micros;
    cluster.propose(cluster.agent(1), "y");
    cluster.settle();
    cluster.crash(cluster.agent(1));
    cluster.run(700);
    cluster.now.wall = 900 as Micros;
    cluster.propose(cluster.leader!, "z");
    cluster.settle();
    const times = cluster.leader!.records.flatMap((one) =>
      one.kind === "entries" ? [entryTime(one.run.bytes, 0)] : [],
    );
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.length).toBeGreaterThanOrEqual(5);
    cluster.now.wall = 9_000_000_000 as Micros;
    cluster.propose(cluster.leader!, "later");
    expect(
      entryTime(
        cluster.leader!.records.flatMap((one) => (one.kind === "entries" ? [one.run] : [])).at(-1)!.bytes,
        0,
      ),
    ).toBe(9_000_000_000);
  });

  test("the bytes of a caller's command are copied before they are stamped", () => {
    const cluster = started();
    const bytes = command("x");
    const before = bytes.slice();
    cluster.step(cluster.agent(1), (core, out) => core.propose([bytes], cluster.now, out));
    expect(bytes).toEqual(before);
  });

  test("a batch is cut into runs that fit into one message each", () => {
    const cluster = started({ limits: { appendBytesMax: 150 } });
    cluster.propose(cluster.agent(1), "1", "2", "3", "4", "5");
    const runs = cluster.agent(1).records.flatMap((one) => (one.kind === "entries" ? [one.run] : []));
    expect(runs.map(({ first, last }) => [first, last])).toEqual([
      [1, 1],
      [2, 3],
      [4, 5],
      [6, 6],
    ]);
    expect(runs.every(({ bytes }) => bytes.byteLength <= 150)).toBe(true);
    cluster.settle();
    expect(texts(cluster.agent(3).committed)).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("a batch of nothing is accepted, and half a command is a bug", () => {
    const cluster = started();
    expect(cluster.propose(cluster.agent(1))).toMatchObject({ kind: "accepted", count: 0 });
    expect(cluster.propose(cluster.agent(2))).toMatchObject({ kind: "accepted", count: 0 });
    expect(cluster.wire).toEqual([]);
    const half = command("x").subarray(0, -1);
    expect(() => cluster.agent(1).core.propose([half], cluster.now, {} as never)).toThrow(AssertionError);
  });
});

describe("what a follower makes of an append", () => {
  test("R8: it takes the leader's word only as far as the message reaches", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1, 1, 1]);
    cluster.tell(agent, "a1", append({ prevIndex: 2, prevTerm: 1, commit: 4 }));
    expect(agent.core.commitIndex).toBe(2);
    cluster.tell(agent, "a1", append({ prevIndex: 2, prevTerm: 1, commit: 9 }, entry(3, 1, "old3")));
    expect(agent.core.commitIndex).toBe(3);
  });

  test("R9: an old append that lies within the log takes nothing away", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1, 2, 2]);
    const before = agent.records.length;
    cluster.tell(agent, "a1", append({ term: 2, prevIndex: 1, prevTerm: 1 }, entry(2, 1, "old2")));
    expect([agent.core.lastIndex, agent.records.length]).toEqual([4, before]);
    expect(cluster.wire.at(-1)?.message).toMatchObject({ kind: "appendMatched", matched: 2 });
  });

  test("R9: an entry of another term replaces it and all behind it, and nothing before it", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1, 2, 2]);
    const runs = [entry(2, 1, "old2"), entry(3, 3, "new3")];
    cluster.tell(agent, "a3", append({ term: 3, prevIndex: 1, prevTerm: 1 }, ...runs));
    expect(agent.log.map(({ term, text }) => [term, text])).toEqual([
      [1, "old1"],
      [1, "old2"],
      [3, "new3"],
    ]);
    expect(agent.records.at(-1)).toMatchObject({ kind: "entries", run: { first: 3, last: 3 } });
    expect(agent.core.durableIndex).toBe(2);
  });

  test("R9: within what is decided nothing is compared and nothing replaced", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1]);
    cluster.tell(agent, "a1", append({ prevIndex: 2, prevTerm: 1, commit: 2 }));
    cluster.tell(agent, "a3", append({ term: 3 }, entry(1, 1, "old1"), entry(2, 2), entry(3, 3)));
    expect(texts(agent.log)).toEqual(["old1", "old2", "x"]);
  });

  test("an append that lies within what is decided is acknowledged without a look at terms", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1, 1]);
    cluster.tell(agent, "a1", append({ prevIndex: 3, prevTerm: 1, commit: 3 }));
    cluster.sync(agent);
    cluster.wire = [];
    cluster.tell(agent, "a3", append({ term: 4, prevIndex: 1, prevTerm: 1 }));
    cluster.sync(agent);
    expect(cluster.wire.at(-1)?.message).toEqual({ kind: "appendMatched", term: 4, matched: 1 });
  });

  test("R5: an acknowledgement waits for the disk, even where the message added nothing", () => {
    const cluster = new TestCluster();
    const agent = cluster.agent(2);
    cluster.wake(agent);
    const message = append({}, entry(1, 1));
    cluster.tell(agent, "a1", message);
    cluster.tell(agent, "a1", message);
    expect(cluster.wire).toEqual([]);
    cluster.sync(agent, agent.records.length - 1);
    expect(cluster.wire).toEqual([]);
    cluster.sync(agent);
    expect(cluster.wire.map(({ message: { kind } }) => kind)).toEqual(["appendMatched", "appendMatched"]);
  });

  test("pitfall 24: R5: a leader that counts on entries which are gone ends the agent, and says that its journal is to blame", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1]);
    for (const kind of ["heartbeat", "commit"] as const) {
      const message = { kind, term: 1 as Term, commit: 3 as LogIndex, round: 1 };
      expect(() => cluster.tell(agent, "a1", message)).toThrow(
        expect.objectContaining({
          code: "DATA_CORRUPT",
          message: "The journal ends at entry 2, but this member has acknowledged entries up to 3.",
        }),
      );
    }
  });

  test("news of what is decided are taken from heartbeats and from words of their own, not from a past leader", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 2, 2]);
    cluster.tell(agent, "a1", { kind: "heartbeat", term: 2 as Term, commit: 1 as LogIndex, round: 1 });
    expect(agent.core.commitIndex).toBe(1);
    cluster.tell(agent, "a1", { kind: "commit", term: 2 as Term, commit: 2 as LogIndex });
    expect(agent.core.commitIndex).toBe(2);
    cluster.tell(agent, "a3", { kind: "commit", term: 1 as Term, commit: 3 as LogIndex });
    cluster.tell(agent, "a3", { kind: "heartbeat", term: 1 as Term, commit: 3 as LogIndex, round: 1 });
    expect([agent.core.commitIndex, agent.core.leader]).toEqual([2, "a1"]);
  });

  test("an append of a past term is rejected with the own one", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 2]);
    cluster.tell(agent, "a3", append({ term: 1, prevIndex: 2, prevTerm: 2 }, entry(3, 1)));
    expect(agent.core.lastIndex).toBe(2);
    expect(cluster.wire.at(-1)?.message).toMatchObject({ kind: "appendRejected", term: 2, prevIndex: 2 });
  });

  test("a gap is rejected with the own end as a hint, another term with the last entry that may agree", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1, 3, 3]);
    const hint = (prevIndex: number, prevTerm: number): unknown => {
      cluster.tell(agent, "a1", append({ term: 9, prevIndex, prevTerm }));
      cluster.sync(agent);
      return cluster.take(() => true).at(-1)?.message;
    };
    expect(hint(7, 4)).toMatchObject({
      kind: "appendRejected",
      term: 9,
      prevIndex: 7,
      hintIndex: 4,
      hintTerm: 3,
    });
    expect(hint(4, 2)).toMatchObject({ prevIndex: 4, hintIndex: 2, hintTerm: 1 });
    expect(hint(3, 1)).toMatchObject({ prevIndex: 3, hintIndex: 2, hintTerm: 1 });
  });

  test("a hint is never below what is decided", () => {
    const cluster = new TestCluster();
    const agent = followerWith(cluster, [1, 1, 3, 3]);
    cluster.tell(agent, "a1", append({ term: 3, prevIndex: 4, prevTerm: 3, commit: 3 }));
    cluster.tell(agent, "a3", append({ term: 4, prevIndex: 4, prevTerm: 1 }));
    cluster.sync(agent);
    expect(cluster.wire.at(-1)?.message).toMatchObject({ kind: "appendRejected", hintIndex: 3, hintTerm: 3 });
  });
});

describe("paper, figure 7", () => {
  const logs: readonly (readonly number[])[] = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];

  test("R17, R91: entries that are missing, that are too many, or both: all get the leader's log, within two appends", () => {
    const cluster = new TestCluster({ voters: logs.length });
    for (const [at, agent] of cluster.agents.entries()) {
      cluster.wake(agent);
      agent.write([{ kind: "hardState", term: 7 as Term }]);
      agent.write([{ kind: "entries", run: runOf(1, ...logs[at]!) }]);
      cluster.sync(agent, 1);
      cluster.crash(agent, 2);
      cluster.restart(agent);
    }
    const leader = cluster.agent(1);
    const appends = new Map<string, number>();
    cluster.onSent = ({ from, to: receiver, message }) => {
      const isAppend = from === "a1" && message.kind === "append";
      if (isAppend) appends.set(receiver, (appends.get(receiver) ?? 0) + 1);
    };
    cluster.elect(leader);
    expect(leader.core.role).toBe("leader");
    expect(leader.core.term).toBe(8);
    for (const agent of cluster.agents) {
      expect(agent.log.map(({ term }) => term)).toEqual([...logs[0]!, 8]);
      expect(agent.log).toEqual(leader.log);
    }
    expect(leader.core.commitIndex).toBe(11);
    expect(Math.max(...appends.values())).toBeLessThanOrEqual(2);
    cluster.run(50);
    expect(cluster.agents.map(({ core }) => core.appliedIndex)).toEqual(logs.map(() => 11));
  });
});

describe("pipelines", () => {
  test("R16: no more messages are on their way than the window has room for, and each answer makes room", () => {
    const cluster = started({ limits: { inFlightAppendsMax: 3 } });
    for (const text of ["1", "2", "3", "4", "5"]) cluster.propose(cluster.agent(1), text);
    const sent = cluster.take(to("a2"));
    expect(sent).toHaveLength(3);
    cluster.deliver(sent[0]!);
    cluster.sync(cluster.agent(2));
    for (const answer of cluster.take(is("appendMatched"))) cluster.deliver(answer);
    expect(cluster.take(to("a2")).map(({ message }) => message)).toMatchObject([
      {
        kind: "append",
        prevIndex: 4,
        runs: [
          { first: 5, last: 5 },
          { first: 6, last: 6 },
        ],
      },
    ]);
  });

  test("R16: no more bytes either", () => {
    const cluster = started({ limits: { inFlightBytesMax: 100, appendBytesMax: 100 } });
    for (const text of ["1", "2", "3"]) cluster.propose(cluster.agent(1), text);
    expect(cluster.take(to("a2"))).toHaveLength(2);
  });

  test("R16: a message holds no more than its limit, and at least one entry", () => {
    const cluster = started({ limits: { appendBytesMax: 120, inFlightAppendsMax: 1 } });
    cluster.propose(cluster.agent(1), "0");
    for (let number = 1; number <= 5; number++)
      cluster.propose(cluster.agent(1), "x".repeat(number === 5 ? 500 : 1));
    const seen: number[] = [];
    cluster.onSent = ({ message }) => {
      if (message.kind === "append")
        seen.push(message.runs.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
    };
    cluster.settle();
    expect(cluster.agent(3).core.commitIndex).toBe(7);
    expect(seen.filter((bytes) => bytes > 120)).toEqual([556, 556]);
  });

  test("R13: appends that arrive in another order are repaired, and nothing is taken back", () => {
    const cluster = started();
    for (const text of ["1", "2", "3"]) cluster.propose(cluster.agent(1), text);
    cluster.wire.reverse();
    cluster.settle();
    cluster.run(200);
    for (const agent of cluster.agents) expect(texts(agent.committed)).toEqual(["1", "2", "3"]);
  });

  test("a link that went down and comes up again is probed at once, from what is acknowledged", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.propose(leader, "x");
    cluster.take(to("a2"));
    cluster.settle();
    const link = (up: boolean): void =>
      cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(2).id, up, cluster.now, out));
    link(false);
    cluster.propose(leader, "y");
    expect(cluster.take(to("a2")), "nothing goes into a broken link").toEqual([]);
    cluster.settle();
    link(true);
    expect(cluster.wire.map(({ message }) => message)).toMatchObject([
      { kind: "append", prevIndex: 1, runs: [{ first: 2 }, { first: 3 }] },
    ]);
    cluster.settle();
    expect(texts(cluster.agent(2).committed)).toEqual(["x", "y"]);
    cluster.step(cluster.agent(2), (core, out) => core.linkChanged(leader.id, true, cluster.now, out));
    expect(cluster.wire).toEqual([]);
  });

  test("a message that other peers got is used again only while it still says all there is", () => {
    const cluster = started({ limits: { inFlightAppendsMax: 1 } });
    const leader = cluster.agent(1);
    const probed = (): unknown => {
      cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(3).id, true, cluster.now, out));
      return cluster.take(to("a3")).at(-1)?.message;
    };
    cluster.propose(leader, "x");
    cluster.take(to("a3"));
    cluster.propose(leader, "y");
    expect(probed(), "more was appended").toMatchObject({ commit: 1, runs: [{ first: 2 }, { first: 3 }] });
    cluster.settle();
    cluster.run(200);
    cluster.propose(leader, "z");
    cluster.take(to("a3"));
    cluster.settle();
    expect(leader.core.commitIndex).toBe(4);
    expect(probed(), "more is decided").toMatchObject({ prevIndex: 3, commit: 4, runs: [{ first: 4 }] });
  });

  test("only an append that stays unanswered for two beats is asked about, however long nothing was sent before", () => {
    for (const idleMs of [1000, 1050]) {
      const cluster = started();
      cluster.run(idleMs);
      cluster.agent(3).diskHangs = true;
      let questions = 0;
      cluster.onSent = ({ message }) => {
        if (message.kind === "append" && message.runs.length === 0) questions += 1;
      };
      cluster.propose(cluster.agent(1), "x");
      cluster.run(60);
      expect(questions).toBe(0);
      cluster.run(60);
      expect(questions).toBe(1);
    }
  });

  test("a peer that is down for the leader is found again by its answers to heartbeats", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.step(leader, (core, out) => core.linkChanged(cluster.agent(2).id, false, cluster.now, out));
    cluster.propose(leader, "x");
    cluster.run(200);
    expect(texts(cluster.agent(2).committed)).toEqual(["x"]);
  });

  test("answers of nonsense change nothing", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.tell(leader, "a2", { kind: "appendMatched", term: 1 as Term, matched: 50 as LogIndex });
    cluster.tell(leader, "a2", { kind: "heartbeatAnswer", term: 1 as Term, round: 50 });
    const rejected: AppendRejected = {
      kind: "appendRejected",
      term: 1 as Term,
      prevIndex: 40 as LogIndex,
      hintIndex: 90 as LogIndex,
      hintTerm: 90 as Term,
    };
    cluster.tell(leader, "a2", rejected);
    cluster.tell(leader, leader.id, { kind: "appendMatched", term: 9 as Term, matched: 1 as LogIndex });
    expect(cluster.wire).toEqual([]);
    expect([leader.core.commitIndex, leader.core.term]).toEqual([1, 1]);
  });
});

describe("commands at a follower", () => {
  test("they go to the leader, and come back as entries", () => {
    const cluster = started();
    expect(cluster.propose(cluster.agent(2), "x", "y")).toEqual({ kind: "accepted", count: 2 });
    cluster.settle();
    expect(texts(cluster.agent(2).committed)).toEqual(["x", "y"]);
  });

  test("they are refused at once where nobody is known to lead", () => {
    const cluster = new TestCluster();
    cluster.wake(cluster.agent(2));
    expect(cluster.propose(cluster.agent(2), "x")).toEqual({ kind: "notLeader" });
    cluster.step(cluster.agent(2), (core, out) => core.campaign(cluster.now, out));
    expect(cluster.propose(cluster.agent(2), "x")).toEqual({ kind: "notLeader" });
  });

  test("each that the leader refuses is told by name, in one event", () => {
    const cluster = started();
    cluster.propose(cluster.agent(2), "x", "y");
    cluster.pass(400);
    cluster.wake(cluster.agent(1));
    cluster.settle();
    expect(cluster.agent(2).eventsOf("refused")).toEqual([
      {
        kind: "refused",
        commands: [
          { session: 7, sequence: 1 },
          { session: 7, sequence: 2 },
        ],
        refusal: { kind: "notLeader" },
      },
    ]);
  });

  test("a leader takes them whatever term they were sent in; a stranger's it refuses", () => {
    const cluster = started();
    const leader = cluster.agent(1);
    cluster.tell(leader, "a2", { kind: "forward", term: 0 as Term, commands: [command("x")] });
    cluster.tell(leader, "stranger", { kind: "forward", term: 1 as Term, commands: [command("y")] });
    cluster.tell(leader, "stranger", { kind: "forwardRefused", commands: [], refusal: { kind: "closed" } });
    expect(cluster.take(to("stranger")).map(({ message }) => message)).toEqual([
      {
        kind: "forwardRefused",
        commands: [{ session: 7, sequence: 1 }],
        refusal: { kind: "notLeader", leader: "a1" },
      },
    ]);
    cluster.settle();
    expect(texts(leader.committed)).toEqual(["x"]);
    expect(leader.eventsOf("refused")).toEqual([]);
  });
});
