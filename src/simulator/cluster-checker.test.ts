/** Each check against a tiny story that breaks it, and one beside it that does not. */
import { beforeEach, describe, expect, it } from "vitest";
import { concatBytes } from "../core/bytes.ts";
import { encodeCommand, stampEntry, type Run } from "../core/entry.ts";
import { agentId, logIndex, term, type AgentId, type LogIndex, type Term } from "../core/ids.ts";
import type { Role } from "../core/boundary.ts";
import { enterJoint, leaveJoint, membersOf, planMembers, type Members } from "../core/members.ts";
import { encodeMembers } from "../raft/fields.ts";
import type { RaftRecord } from "../raft/messages.ts";
import { ClusterChecker, type CoreView } from "./cluster-checker.ts";
import { Violation, type Invariant } from "./violation.ts";

const names = [agentId("a"), agentId("b"), agentId("c")];

function run(first: number, terms: readonly number[], payload = 0): Run {
  const entries = terms.map((inTerm, at) => {
    const bytes = encodeCommand(
      { kind: "command", session: 1, sequence: first + at, unsettled: 1 },
      Uint8Array.of(payload),
    );
    stampEntry(bytes, 0, logIndex(first + at), term(inTerm), 0);
    return bytes;
  });
  return { first: logIndex(first), last: logIndex(first + terms.length - 1), bytes: concatBytes(entries) };
}

function membersRun(first: number, members: Members, inTerm = 1): Run {
  const header = { kind: "members", session: 0, sequence: 0, unsettled: 0 } as const;
  const bytes = encodeCommand(header, encodeMembers(members));
  stampEntry(bytes, 0, logIndex(first), term(inTerm), 0);
  return { first: logIndex(first), last: logIndex(first), bytes };
}

/** A core that says what the test wants. */
class Core implements CoreView {
  role: Role = "follower";
  term: Term = term(0);
  votedFor: AgentId | undefined;
  commitIndex: LogIndex = logIndex(0);
  appliedIndex: LogIndex = logIndex(0);
  readonly terms: number[] = [0];
  broken = false;
  get lastIndex(): LogIndex {
    return logIndex(this.terms.length - 1);
  }
  termAt(index: LogIndex): Term | undefined {
    return this.terms[index] as Term | undefined;
  }
  checkInvariants(): void {
    if (this.broken) throw new Error("a broken core");
  }
}

/** Three agents, their cores, and their records. */
class Story {
  readonly checker: ClusterChecker;
  readonly cores = [new Core(), new Core(), new Core()];
  readonly #numbers = [0, 0, 0];

  constructor(joiners = 0) {
    this.checker = new ClusterChecker(names, joiners);
  }

  push(agent: number, ...records: readonly RaftRecord[]): this {
    for (const record of records) {
      this.#numbers[agent]! += 1;
      this.checker.recordPushed(agent, record, this.#numbers[agent]!, 7);
      if (record.kind === "entries") {
        const core = this.cores[agent]!;
        core.terms.length = record.run.first;
        core.terms.push(...this.checker.mirrors[agent]!.pushed.terms.slice(record.run.first));
      }
    }
    return this;
  }

  sync(agent: number): this {
    this.checker.reportedDurable(agent, this.#numbers[agent]!);
    return this;
  }

  /** Entries of these terms from index 1 on, on the disks of these agents. */
  entries(agents: readonly number[], terms: readonly number[]): this {
    for (const agent of agents) this.push(agent, { kind: "entries", run: run(1, terms) }).sync(agent);
    return this;
  }

  /** These agents have voted for `agent`, and that is on their disks. */
  votes(agent: number, inTerm: number, voters: readonly number[] = [0, 1]): this {
    for (const voter of voters)
      this.push(voter, { kind: "hardState", term: term(inTerm), votedFor: names[agent]! }).sync(voter);
    return this;
  }

  step(agent: number, change: Partial<Pick<Core, "role" | "term" | "commitIndex">>): boolean {
    Object.assign(this.cores[agent]!, change);
    return this.checker.stepped(agent, this.cores[agent]!);
  }
}

function violates(invariant: Invariant, act: () => void): void {
  let found: unknown;
  try {
    act();
  } catch (error) {
    found = error;
  }
  expect(found).toBeInstanceOf(Violation);
  expect((found as Violation).invariant).toBe(invariant);
}

let story: Story;
beforeEach(() => {
  story = new Story();
});

describe("election safety", () => {
  it("allows one leader in a term, and the next in the next", () => {
    story.votes(0, 1).step(0, { role: "leader", term: term(1) });
    story.step(0, { role: "leader", term: term(1) });
    story.votes(1, 2).step(1, { role: "leader", term: term(2) });
    expect(story.checker.elections).toBe(2);
  });

  it("finds two in one term, however long the first is gone", () => {
    story.votes(0, 1).step(0, { role: "leader", term: term(1) });
    story.step(0, { role: "follower", term: term(3) });
    violates("electionSafety", () => story.step(1, { role: "leader", term: term(1) }));
  });
});

describe("one vote", () => {
  const vote = (votedFor: AgentId): RaftRecord => ({ kind: "hardState", term: term(4), votedFor });

  it("counts once it is on disk: one that a crash took binds nobody", () => {
    story.push(0, vote(names[1]!));
    story.checker.recovered(0, [], [], 1);
    story.checker.recordPushed(0, vote(names[2]!), 1, 7);
    story.checker.reportedDurable(0, 1);
    expect(story.checker.mirrors[0]!.durable.vote).toBe("c");
  });

  it("finds a second one of the same term", () => {
    story.push(0, vote(names[1]!)).sync(0);
    violates("oneVote", () => story.push(0, vote(names[2]!)).sync(0));
  });
});

describe("log matching", () => {
  it("allows logs to differ in what is of different terms", () => {
    story.entries([0], [1, 1, 2]).entries([1], [1, 1, 3]);
  });

  it("finds another entry of the same index and term", () => {
    story.entries([0], [1, 1]);
    violates("logMatching", () => story.push(1, { kind: "entries", run: run(1, [1, 1], 9) }));
  });

  it("finds the same entry behind another one", () => {
    story.entries([0], [1, 3]);
    violates("logMatching", () => story.entries([1], [2, 3]));
  });
});

describe("commits", () => {
  it("need a quorum of disks", () => {
    story.entries([0, 1], [1]).votes(0, 1);
    expect(story.step(0, { role: "leader", term: term(1), commitIndex: logIndex(1) })).toBe(true);
    expect(story.checker.committed).toBe(1);
  });

  it("are too early where the entry is only on its way to a second disk", () => {
    story
      .votes(0, 1)
      .entries([0], [1])
      .push(1, { kind: "entries", run: run(1, [1]) });
    violates("commitDurability", () =>
      story.step(0, { role: "leader", term: term(1), commitIndex: logIndex(1) }),
    );
  });

  it("are not counted where the quorum holds another entry there", () => {
    story.votes(0, 2).entries([1, 2], [1]).entries([0], [2]);
    violates("commitDurability", () =>
      story.step(0, { role: "leader", term: term(2), commitIndex: logIndex(1) }),
    );
  });

  it("are never taken back, and never replaced on a disk that has them", () => {
    story
      .votes(0, 1)
      .entries([0, 1], [1, 1])
      .step(0, { role: "leader", term: term(1), commitIndex: logIndex(2) });
    violates("commitDurability", () => story.step(0, { commitIndex: logIndex(1) }));
    violates("commitDurability", () => story.push(1, { kind: "entries", run: run(2, [3]) }));
  });

  it("agree: a follower may not commit another entry than the leader did", () => {
    story
      .entries([0, 1], [1])
      .entries([2], [2])
      .votes(0, 1)
      .step(0, { role: "leader", term: term(1), commitIndex: logIndex(1) });
    violates("stateMachineSafety", () => story.step(2, { term: term(2), commitIndex: logIndex(1) }));
  });

  it("bind later leaders, and not a late one of an earlier term", () => {
    story.votes(2, 2, [1, 2]).votes(0, 3);
    story.entries([0, 1], [1, 3]).step(0, { role: "leader", term: term(3), commitIndex: logIndex(2) });
    story.step(2, { role: "leader", term: term(2) });
    story.votes(2, 4, [1, 2]);
    violates("leaderCompleteness", () => story.step(2, { term: term(4) }));
  });
});

describe("members", () => {
  const founders = membersOf(names.slice(0, 2));
  const planned = planMembers(founders, { steps: [{ kind: "voter", id: names[2]! }] });
  if (planned.kind !== "members") throw new Error("a third voter can be planned");
  const joint = enterJoint(planned.members);

  beforeEach(() => {
    story = new Story(1);
    story.votes(0, 1).entries([0, 1], [1]);
    story.step(0, { role: "leader", term: term(1), commitIndex: logIndex(1) });
  });

  it("decide by both sets while one takes the place of the other", () => {
    story.push(0, { kind: "entries", run: membersRun(2, joint) }).sync(0);
    story.entries([2], [1]).push(2, { kind: "entries", run: membersRun(2, joint) });
    story.sync(2);
    violates("commitDurability", () => story.step(0, { commitIndex: logIndex(2) }));
    story.push(1, { kind: "entries", run: membersRun(2, joint) }).sync(1);
    story.checker.stepped(0, story.cores[0]!);
    expect(story.checker.members).toEqual(joint);
  });

  it("who don't vote decide nothing, whatever their disks hold", () => {
    story.push(0, { kind: "entries", run: run(2, [1]) }).sync(0);
    story.entries([2], [1, 1]);
    violates("commitDurability", () => story.step(0, { commitIndex: logIndex(2) }));
  });

  it("are in force in a log until their entry is replaced", () => {
    story.push(1, { kind: "entries", run: membersRun(2, joint) });
    const { pushed } = story.checker.mirrors[1]!;
    expect(pushed.configuration.members).toEqual(joint);
    story.push(1, { kind: "entries", run: run(2, [3]) });
    expect(pushed.configuration.members).toEqual(founders);
  });

  it("are not changed while the last change is undecided", () => {
    story.push(0, { kind: "entries", run: membersRun(2, joint) });
    violates("oneChange", () => story.push(0, { kind: "entries", run: membersRun(3, leaveJoint(joint)) }));
  });

  it("elect only by a quorum of their own", () => {
    story.votes(1, 2, [1, 2]);
    violates("electionQuorum", () => story.step(1, { role: "leader", term: term(2) }));
  });

  it("elect one of themselves, or one who was and does not know that this is decided", () => {
    story.votes(2, 2, [0, 1]);
    violates("electionQuorum", () => story.step(2, { role: "leader", term: term(2) }));
    const without = membersOf(names.slice(0, 1));
    story.push(1, { kind: "entries", run: membersRun(2, without) });
    story.votes(1, 3, [0]).step(1, { role: "leader", term: term(3) });
    story.votes(1, 4, [0]);
    story.push(0, { kind: "entries", run: membersRun(2, without) }).sync(0);
    story.step(0, { commitIndex: logIndex(2) });
    violates("electionQuorum", () =>
      story.step(1, { role: "leader", term: term(4), commitIndex: logIndex(2) }),
    );
  });
});

describe("promises", () => {
  const matched = (index: number) =>
    ({ kind: "appendMatched", term: term(1), matched: logIndex(index) }) as const;

  it("leave once what they say is on disk", () => {
    story.push(0, { kind: "hardState", term: term(1) }).entries([0], [1]);
    story.checker.promiseSent(0, "b", matched(1));
    violates("promiseDurability", () => story.checker.promiseSent(0, "b", matched(2)));
  });

  it("are no vote for one that was given to another, or not yet written", () => {
    const answer = { kind: "voteAnswer", term: term(1), granted: true } as const;
    violates("promiseDurability", () => story.checker.promiseSent(0, "b", answer));
    story.push(0, { kind: "hardState", term: term(1), votedFor: names[1]! }).sync(0);
    story.checker.promiseSent(0, "b", answer);
    violates("promiseDurability", () => story.checker.promiseSent(0, "c", answer));
    violates("promiseDurability", () =>
      story.checker.promiseSent(0, "c", {
        kind: "voteRequest",
        term: term(1),
        lastIndex: logIndex(0),
        lastTerm: term(0),
      }),
    );
  });

  it("of a term that is over bind nobody any more", () => {
    story.push(0, { kind: "hardState", term: term(5) }).sync(0);
    story.checker.promiseSent(0, "b", matched(9));
  });
});

describe("restarts", () => {
  const state: RaftRecord = { kind: "hardState", term: term(2), votedFor: names[1]! };

  it("find everything that was durable, and perhaps more", () => {
    story
      .push(0, state)
      .sync(0)
      .push(0, { kind: "entries", run: run(1, [2]) });
    story.checker.recovered(0, [state], [7], 2);
    const core = Object.assign(new Core(), { term: term(2), votedFor: names[1] });
    story.checker.restarted(0, core);
  });

  it("miss a record that was durable", () => {
    story.push(0, state, state).sync(0);
    violates("journalDurability", () => story.checker.recovered(0, [state], [7], 2));
  });

  it("find a record that was never written", () => {
    story.push(0, state).sync(0);
    violates("journalDurability", () => story.checker.recovered(0, [state], [8], 2));
  });

  it("must not forget the term, the vote or the log", () => {
    story.push(0, state).sync(0);
    story.checker.recovered(0, [state], [7], 2);
    violates("recovery", () => story.checker.restarted(0, Object.assign(new Core(), { term: term(2) })));
    violates("recovery", () =>
      story.checker.restarted(0, Object.assign(new Core(), { term: term(1), votedFor: names[1] })),
    );
    const longer = Object.assign(new Core(), { term: term(2), votedFor: names[1] });
    longer.terms.push(2);
    violates("recovery", () => story.checker.restarted(0, longer));
  });
});

describe("states", () => {
  beforeEach(() => {
    story
      .votes(0, 1)
      .entries([0, 1], [1, 1])
      .step(0, { role: "leader", term: term(1), commitIndex: logIndex(2) });
  });

  it("take every committed entry in order", () => {
    for (const agent of [0, 1])
      for (const index of [1, 2]) story.checker.applying(agent, run(index, [1]).bytes, 0);
    expect(story.checker.decided(2)).toMatchObject({ term: 1, session: 1, sequence: 2, kind: "command" });
  });

  it("skip none, repeat none, and take nothing that is not committed", () => {
    violates("stateMachineSafety", () => story.checker.applying(0, run(2, [1]).bytes, 0));
    story.checker.applying(0, run(1, [1]).bytes, 0);
    violates("stateMachineSafety", () => story.checker.applying(0, run(1, [1]).bytes, 0));
    story.checker.applying(0, run(2, [1]).bytes, 0);
    violates("stateMachineSafety", () => story.checker.applying(0, run(3, [1]).bytes, 0));
  });

  it("take the same entry everywhere", () => {
    story.checker.applying(0, run(1, [1]).bytes, 0);
    violates("stateMachineSafety", () => story.checker.applying(1, run(1, [1], 5).bytes, 0));
    violates("stateMachineSafety", () => story.checker.applying(2, run(1, [2]).bytes, 0));
  });
});

describe("bases", () => {
  const members = membersOf(names);
  const base = (index: number, inTerm: number, others = members): RaftRecord => ({
    kind: "base",
    index: logIndex(index),
    term: term(inTerm),
    time: 0,
    members: others,
    snapshot: { digest: new Uint8Array(16), byteLength: 9 },
    hardState: { term: term(3), votedFor: names[1]! },
  });
  const durable = (agent: number): { last: number; base: number; terms: readonly number[] } =>
    story.checker.mirrors[agent]!.durable;

  beforeEach(() => {
    story.entries([0, 1], [1, 1, 2]).votes(0, 2);
    story.step(0, { role: "leader", term: term(2), commitIndex: logIndex(3) });
  });

  it("are of what is committed", () => {
    violates("stateMachineSafety", () => story.push(2, base(4, 2)));
    violates("stateMachineSafety", () => story.push(2, base(3, 1)));
    story.push(2, base(3, 2));
  });

  it("say who takes part as the entries up to them do", () => {
    const change = { steps: [{ kind: "removed", id: names[2]! }] } as const;
    const planned = planMembers(members, change);
    if (planned.kind === "fault") throw new Error(planned.fault);
    const fourth: RaftRecord = { kind: "entries", run: membersRun(4, planned.members, 2) };
    for (const agent of [0, 1]) story.push(agent, fourth).sync(agent);
    story.step(0, { commitIndex: logIndex(4) });
    violates("snapshotMembers", () => story.push(2, base(3, 2, planned.members)));
    violates("snapshotMembers", () => story.push(2, base(4, 2)));
    story.push(2, base(3, 2), base(4, 2, planned.members));
  });

  it("repeat a vote, and give it to nobody else", () => {
    const vote: RaftRecord = { kind: "hardState", term: term(3), votedFor: names[2]! };
    story.push(1, vote).sync(1);
    violates("oneVote", () => story.push(1, base(3, 2)).sync(1));
  });

  it("leave a log that has their entry as it is, and let any other begin anew", () => {
    story.push(0, { kind: "entries", run: run(4, [2]) }, base(3, 2)).sync(0);
    expect([durable(0).last, durable(0).base]).toEqual([4, 3]);
    story.push(2, base(3, 2)).sync(2);
    expect([durable(2).last, durable(2).base]).toEqual([3, 3]);
    expect(story.checker.mirrors[2]!.durable).toMatchObject({ term: 3, vote: "b" });
    story.push(2, { kind: "entries", run: run(4, [2]) }).sync(2);
    expect(durable(2).last).toBe(4);
  });

  it("do not make a log begin anew whose records begin behind them", () => {
    const entries: RaftRecord = { kind: "entries", run: run(3, [2, 2]) };
    story.checker.recovered(2, [entries, base(2, 1), base(3, 2)], [], 4);
    expect([durable(2).last, durable(2).base]).toEqual([4, 3]);
  });

  it("are as good as the entries before them to whoever leads", () => {
    story.push(2, base(3, 2)).sync(2);
    story.votes(2, 4, [1, 2]).step(2, { role: "leader", term: term(4) });
  });

  it("are not where they are of less than was committed", () => {
    story.push(2, base(2, 1)).sync(2).votes(2, 4, [1, 2]);
    violates("leaderCompleteness", () => story.step(2, { role: "leader", term: term(4) }));
  });

  it("are where a state begins, which goes on from there, and never back", () => {
    story.checker.restored(2, 2);
    violates("stateMachineSafety", () => story.checker.applying(2, run(2, [1]).bytes, 0));
    story.checker.applying(2, run(3, [2]).bytes, 0);
    violates("stateMachineSafety", () => story.checker.restored(2, 3));
    violates("stateMachineSafety", () => story.checker.restored(1, 4));
    expect(story.checker.restores).toBe(1);
  });
});

describe("cores", () => {
  it("are asked for their own invariants after every input, and their terms never fall", () => {
    story.step(0, { term: term(3) });
    violates("recovery", () => story.step(0, { term: term(2) }));
    story.cores[1]!.broken = true;
    expect(() => story.step(1, {})).toThrow("a broken core");
  });
});
