import { describe, expect, test } from "vitest";
import { FakeGroup } from "../../test/support/fake-group.ts";
import { until } from "../../test/support/runtime.ts";
import { encodeCommand } from "../core/entry.ts";
import { QuorateError } from "../core/errors.ts";
import { microsFromMs, type AgentId, type GroupName, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { membersOf } from "../core/members.ts";
import type { Clock } from "../driver/world.ts";
import { systemClock } from "./clock.ts";
import type { CampaignResult, ChangesResult, EntriesResult, GroupStatus, QueryResult } from "./gateway.ts";
import { GroupHub, type Subscriber } from "./group-hub.ts";
import { LocalGateway } from "./local-gateway.ts";
import { LoopScheduler } from "./scheduler.ts";

const scheduler = new LoopScheduler();
const turn = async (): Promise<void> =>
  new Promise((resolve) => void setImmediate(() => setImmediate(resolve)));
const answer = Uint8Array.of(1, 2, 3);
const question = Uint8Array.of(9);

function command(session: number, sequence: number): Uint8Array {
  return encodeCommand({ kind: "command", session, sequence, unsettled: 1 }, new Uint8Array(2));
}

class Listener implements Subscriber {
  readonly log: string[] = [];
  answered(session: number, sequence: number, bytes: Uint8Array): void {
    this.log.push(`answered ${session}/${sequence} ${bytes.byteLength}`);
  }
  refused(session: number, sequence: number, refusal: { kind: string }): void {
    this.log.push(`refused ${session}/${sequence} ${refusal.kind}`);
  }
  progressed(session: number, sequence: number, state: string): void {
    this.log.push(`${state} ${session}/${sequence}`);
  }
  interrupted(): void {
    this.log.push("interrupted");
  }
  statusChanged(): void {
    this.log.push("status");
  }
  closed(error?: QuorateError): void {
    this.log.push(`closed ${error?.code ?? ""}`);
  }
}

function hosted(clock: Clock = systemClock): { group: FakeGroup; hub: GroupHub } {
  const group = new FakeGroup();
  const hub = new GroupHub("main" as GroupName, clock, scheduler);
  group.observer = hub;
  hub.attach(group);
  return { group, hub };
}

function withListener(): { group: FakeGroup; hub: GroupHub; listener: Listener; leave: () => void } {
  const { group, hub } = hosted();
  const listener = new Listener();
  return { group, hub, listener, leave: hub.subscribe(listener) };
}

describe("answers", () => {
  test("go to whoever proposed in the session, and to nobody else", () => {
    const { group, hub, listener } = withListener();
    const other = new Listener();
    hub.subscribe(other);
    hub.propose(listener, [command(5, 1), command(5, 2)]);
    hub.propose(other, [command(6, 1)], { onlyAsLeader: true });
    expect(group.proposals.map(({ commands, onlyAsLeader }) => [commands.length, onlyAsLeader])).toEqual([
      [2, false],
      [1, true],
    ]);
    group.apply(5, 1, answer);
    group.apply(6, 1, answer);
    group.apply(7, 1, answer);
    group.refuse(5, 2, { kind: "diskFull" });
    group.refuse(7, 1, { kind: "diskFull" });
    expect(listener.log).toEqual(["answered 5/1 3", "refused 5/2 diskFull"]);
    expect(other.log).toEqual(["answered 6/1 3"]);
  });

  test("go to all connections that proposed in it, since a client may have reconnected", () => {
    const { group, hub, listener } = withListener();
    const again = new Listener();
    const leave = hub.subscribe(again);
    hub.propose(listener, [command(5, 1)]);
    hub.propose(again, [command(5, 1)]);
    group.apply(5, 1, answer);
    expect(listener.log).toEqual(again.log);
    leave();
    group.apply(5, 2, answer);
    expect(listener.log).toHaveLength(2);
    expect(again.log).toHaveLength(1);
  });

  test("are not given for entries that nobody asked for", () => {
    const { group, hub, listener } = withListener();
    hub.propose(listener, [command(0, 0)]);
    group.apply(0, 1, new Uint8Array(0));
    expect(listener.log).toEqual([]);
  });

  test("that a state which replaces this one holds already are asked for again at once", () => {
    const { group, hub, listener } = withListener();
    hub.propose(listener, [command(5, 1)]);
    group.restore(9);
    expect(listener.log).toEqual(["interrupted"]);
  });

  test("do not come where the group can't go on: everybody hears why", () => {
    const { group, hub, listener } = withListener();
    const error = new QuorateError("DATA_CORRUPT", "The snapshot is damaged.", {
      outcome: "notDone",
      hint: "",
    });
    group.observer?.failed(error);
    expect(listener.log).toEqual(["closed DATA_CORRUPT"]);
    expect(hub.isClosed).toBe(true);
  });

  test("the nonce of an opening is forgotten with its answer", () => {
    const { group, hub, listener } = withListener();
    hub.propose(listener, [command(777, 0)]);
    group.apply(777, 0, answer);
    group.apply(777, 0, answer);
    expect(listener.log).toEqual(["answered 777/0 3"]);
  });

  test("whoever left is forgotten, with its sessions", () => {
    const { group, hub, listener, leave } = withListener();
    hub.propose(listener, [command(5, 1)]);
    leave();
    leave();
    group.apply(5, 1, answer);
    hub.propose(listener, [command(5, 2)]);
    expect(listener.log).toEqual([]);
    expect(group.proposals).toHaveLength(1);
  });

  test("sessions are bounded: the one that was learnt first is forgotten, and learnt again", () => {
    const { group, hub, listener } = withListener();
    for (let session = 1; session <= limits.sessionRoutesMax + 1; session++)
      hub.propose(listener, [command(session, 1)]);
    group.apply(1, 1, answer);
    expect(listener.log).toEqual([]);
    group.apply(2, 1, answer);
    expect(listener.log).toEqual(["answered 2/1 3"]);
    hub.propose(listener, [command(1, 1)]);
    group.apply(1, 1, answer);
    expect(listener.log.at(-1)).toBe("answered 1/1 3");
  });
});

describe("progress", () => {
  test("is asked for with the command, and goes to whoever proposed in the session", () => {
    const { group, hub, listener } = withListener();
    const other = new Listener();
    hub.subscribe(other);
    hub.propose(listener, [command(5, 1)], { tracked: true });
    hub.propose(other, [command(6, 1)]);
    expect(group.proposals.map(({ tracked }) => tracked)).toEqual([true, false]);
    group.progress(5, 1, "proposed");
    group.progress(5, 1, "prepare");
    group.progress(7, 1, "commit");
    group.apply(5, 1, answer);
    expect(listener.log).toEqual(["proposed 5/1", "prepare 5/1", "answered 5/1 3"]);
    expect(other.log).toEqual([]);
  });

  test("is asked for no longer once the last one who proposed in the session has left", () => {
    const { group, hub, listener, leave } = withListener();
    const again = new Listener();
    const leaveAgain = hub.subscribe(again);
    hub.propose(listener, [command(5, 1), command(6, 1)], { tracked: true });
    hub.propose(again, [command(5, 1)], { tracked: true });
    leave();
    expect(group.untracked).toEqual([6]);
    leaveAgain();
    expect(group.untracked).toEqual([6, 5]);
    group.progress(5, 1, "commit");
    expect([listener.log, again.log]).toEqual([[], []]);
  });

  test("nor of a session that was forgotten because there are too many", () => {
    const { group, hub, listener } = withListener();
    for (let session = 1; session <= limits.sessionRoutesMax + 1; session++)
      hub.propose(listener, [command(session, 1)], { tracked: true });
    expect(group.untracked).toEqual([1]);
  });
});

describe("a change of leader", () => {
  test("interrupts when somebody else leads, or in another term, but not for a mere change of role", () => {
    const { group, listener } = withListener();
    group.lead("follower", "agent_2", 1);
    group.lead("candidate", undefined, 1);
    group.lead("follower", "agent_2", 1);
    group.lead("follower", "agent_3", 2);
    group.lead("leader", "agent_1", 3);
    expect(listener.log).toEqual([
      "status",
      "interrupted",
      "status",
      "status",
      "status",
      "interrupted",
      "status",
      "interrupted",
    ]);
  });
});

describe("whoever hosts the group", () => {
  test("hears of every leader, and of the end", () => {
    const told: string[] = [];
    const group = new FakeGroup();
    const hub = new GroupHub("main" as GroupName, systemClock, scheduler, {
      closed: () => told.push("closed"),
      led: (leader, term) => told.push(`${leader} ${term}`),
    });
    group.observer = hub;
    hub.attach(group);
    group.lead("follower", "agent_2", 3);
    group.lead("candidate", undefined, 3);
    group.lead("follower", "agent_2", 3);
    hub.close();
    expect(told).toEqual(["agent_2 3", "closed"]);
  });
});

describe("changes and entries, asked for before they are there", () => {
  test("changes come as soon as there is one, never at once", async () => {
    const { group, hub } = hosted();
    const got: ChangesResult[] = [];
    group.apply(1, 1, answer, Uint8Array.of(1));
    hub.changes(question, 1, (changes) => got.push(changes));
    expect(got).toEqual([]);
    await turn();
    expect(got).toMatchObject([{ kind: "changes", through: 1, changes: [{ index: 1 }] }]);
    hub.changes(question, 2, (changes) => got.push(changes));
    await turn();
    expect(got).toHaveLength(1);
    group.apply(1, 2, answer);
    await turn();
    expect(got).toHaveLength(1);
    group.apply(1, 3, answer, Uint8Array.of(3));
    await turn();
    expect(got[1]).toMatchObject({ kind: "changes", through: 3, changes: [{ index: 3 }] });
  });

  test("who waits for changes that don't come hears after a while how far that is, but not without news", async () => {
    const now = { monotonic: 0 as Micros, wall: 0 as Micros };
    const { group, hub } = hosted({ monotonic: () => now.monotonic, wall: () => now.wall });
    const got: ChangesResult[] = [];
    const passed: number[] = [];
    hub.changes(
      question,
      1,
      (changes) => got.push(changes),
      (through) => passed.push(through),
    );
    group.apply(1, 1, answer);
    await turn();
    group.apply(1, 2, answer);
    await turn();
    expect(passed).toEqual([1, 2]);
    expect(got).toEqual([]);
    now.monotonic = microsFromMs(2000);
    await turn();
    expect(got).toEqual([]);
    group.apply(1, 3, answer);
    await turn();
    expect(got).toEqual([{ kind: "changes", changes: [], through: 3 }]);
  });

  test("history that is gone is said to be gone", async () => {
    const { group, hub } = hosted();
    for (let index = 1; index <= 5; index++) group.apply(1, index, answer);
    group.earliest = 4;
    const got: (ChangesResult | EntriesResult)[] = [];
    hub.changes(question, 2, (changes) => got.push(changes));
    hub.entries(2, (entries) => got.push(entries));
    await turn();
    expect(got).toEqual([
      { kind: "compacted", earliest: 4 },
      { kind: "compacted", earliest: 4 },
    ]);
  });

  test("a state that is replaced by a later one wakes those who wait: what they missed is gone", async () => {
    const { group, hub } = hosted();
    group.apply(1, 1, answer);
    const got: (ChangesResult | EntriesResult)[] = [];
    hub.changes(question, 2, (changes) => got.push(changes));
    hub.entries(2, (entries) => got.push(entries));
    await turn();
    expect(got).toEqual([]);
    expect(hub.status()?.base).toBeUndefined();
    group.restore(9);
    expect(hub.status()?.base).toEqual({ index: 9, bytes: 90 });
    await turn();
    expect(got).toEqual([
      { kind: "compacted", earliest: 10 },
      { kind: "compacted", earliest: 10 },
    ]);
  });

  test("entries come once they are applied, from the first on", async () => {
    const { group, hub } = hosted();
    const got: EntriesResult[] = [];
    hub.entries(0, (entries) => got.push(entries));
    hub.entries(2, (entries) => got.push(entries));
    await turn();
    expect(got).toEqual([]);
    group.apply(1, 1, answer);
    await turn();
    expect(got).toHaveLength(1);
    group.withoutEffect.add(2);
    group.apply(1, 2, answer);
    await turn();
    expect(got).toMatchObject([
      { kind: "entries", withoutEffect: [] },
      { kind: "entries", withoutEffect: [2] },
    ]);
  });

  test("what is taken back does not come", async () => {
    const { group, hub } = hosted();
    let calls = 0;
    const cancel = hub.changes(question, 1, () => (calls += 1));
    hub.entries(1, () => (calls += 1))();
    cancel();
    cancel();
    group.apply(1, 1, answer, Uint8Array.of(1));
    await turn();
    expect(calls).toBe(0);
  });
});

describe("a campaign", () => {
  async function campaign(
    steps: (group: FakeGroup) => void,
    role: "leader" | "follower" = "follower",
  ): Promise<CampaignResult[]> {
    const { group, hub } = hosted();
    if (role === "leader") group.lead("leader", "agent_1", 4);
    else group.lead("follower", "agent_2", 4);
    const got: CampaignResult[] = [];
    hub.campaign((result) => got.push(result));
    expect(got).toEqual([]);
    steps(group);
    await turn();
    return got;
  }

  test("of a leader is over at once, and changes nothing", async () => {
    expect(await campaign((group) => expect(group.campaigns).toBe(0), "leader")).toEqual([
      { kind: "over", leading: true },
    ]);
  });

  test("is won", async () => {
    const got = await campaign((group) => {
      group.lead("candidate", undefined, 5);
      group.lead("leader", "agent_1", 5);
      group.lead("follower", "agent_2", 6);
    });
    expect(got).toEqual([{ kind: "over", leading: true }]);
  });

  test("is lost to another one, or to the leader that is still heard", async () => {
    const lost = [{ kind: "over", leading: false }];
    expect(
      await campaign((group) => {
        group.lead("candidate", undefined, 5);
        group.lead("follower", "agent_3", 5);
      }),
    ).toEqual(lost);
    expect(
      await campaign((group) => {
        group.lead("candidate", undefined, 4);
        group.lead("follower", "agent_2", 4);
      }),
    ).toEqual(lost);
    // A poll that is refused: nobody was followed meanwhile, and no candidate seen.
    expect(
      await campaign((group) => {
        group.lead("follower", undefined, 4);
        group.lead("follower", "agent_2", 4);
      }),
    ).toEqual(lost);
  });

  test("goes on while nobody leads, and while nothing has happened yet", async () => {
    expect(await campaign(() => {})).toEqual([]);
    expect(await campaign((group) => group.lead("candidate", undefined, 5))).toEqual([]);
    expect(await campaign((group) => group.lead("follower", undefined, 5))).toEqual([]);
  });

  test("that leaves everything as it is, for the leader is heard, is over after a while", async () => {
    const { group, hub } = hosted();
    group.lead("follower", "agent_2", 4);
    const got: CampaignResult[] = [];
    hub.campaign((result) => got.push(result));
    await until(() => got.length > 0, "it is over");
    expect(got).toEqual([{ kind: "over", leading: false }]);
  });

  test("is taken back", async () => {
    const { group, hub } = hosted();
    const got: CampaignResult[] = [];
    hub.campaign((result) => got.push(result))();
    group.lead("leader", "agent_1", 5);
    await turn();
    expect(got).toEqual([]);
  });
});

describe("closing a hub", () => {
  test("closes the group once, tells everybody, and leaves nothing waiting", async () => {
    const { group, hub, listener } = withListener();
    const got: unknown[] = [];
    hub.campaign((result) => got.push(result));
    hub.changes(question, 1, (result) => got.push(result));
    const error = new QuorateError("CLOSED", "gone", { outcome: "unknown", hint: "" });
    hub.close(error);
    hub.close();
    group.apply(1, 1, answer);
    group.lead("leader", "agent_1");
    hub.propose(listener, [command(1, 1)]);
    hub.query(question, "local", (result) => got.push(result));
    hub.campaign((result) => got.push(result));
    await turn();
    expect(group.closes).toBe(1);
    expect(listener.log).toEqual(["closed CLOSED"]);
    const refused = { kind: "refused", refusal: { kind: "closed" } };
    expect(got).toEqual([{ kind: "lost" }, refused, refused]);
    expect(hub.status()).toBeUndefined();
    expect(hub.isClosed).toBe(true);
  });
});

describe("the gateway over a hub", () => {
  function opened(): {
    group: FakeGroup;
    hub: GroupHub;
    gateway: LocalGateway;
    listener: Listener & { statuses: GroupStatus[] };
  } {
    const { group, hub } = hosted();
    const gateway = new LocalGateway(hub, scheduler);
    const listener = Object.assign(new Listener(), { statuses: [] as GroupStatus[] });
    gateway.listen({
      answered: (...all) => listener.answered(...all),
      refused: (...all) => listener.refused(...all),
      progressed: (...all) => listener.progressed(...all),
      interrupted: () => listener.interrupted(),
      statusChanged: (status) => {
        listener.statusChanged();
        listener.statuses.push(status);
      },
      closed: (error) => listener.closed(error),
    });
    return { group, hub, gateway, listener };
  }

  test("passes commands, progress, answers and refusals on", () => {
    const { group, gateway, listener } = opened();
    gateway.propose([command(5, 1)], { tracked: true });
    gateway.propose([command(5, 2)], { onlyAsLeader: true });
    group.progress(5, 1, "commit");
    group.apply(5, 1, answer);
    group.refuse(5, 2, { kind: "notLeader" });
    expect(listener.log).toEqual(["commit 5/1", "answered 5/1 3", "refused 5/2 notLeader"]);
    expect(group.proposals.map(({ onlyAsLeader }) => onlyAsLeader)).toEqual([false, true]);
    expect(group.proposals.map(({ tracked }) => tracked)).toEqual([true, false]);
  });

  test("tells of other members, and of both sets of voters while both must agree", () => {
    const { group, gateway, listener } = opened();
    const [a, b, c] = ["a", "b", "c"] as AgentId[] as [AgentId, AgentId, AgentId];
    group.change({ ...membersOf([a], [b]), next: [a, b] });
    group.change({ ...membersOf([a, b], [c]), outgoing: [a] });
    group.change(membersOf([a, b], [c]));
    expect(
      listener.statuses.map(({ members, outgoing, learners, next }) => ({
        members,
        outgoing,
        learners,
        next,
      })),
    ).toEqual([
      { members: [a], learners: [b], next: [a, b] },
      { members: [a, b], outgoing: [a], learners: [c] },
      { members: [a, b], learners: [c] },
    ]);
    expect(gateway.status()).not.toHaveProperty("outgoing");
    expect(gateway.status()).not.toHaveProperty("next");
  });

  test("says what people are shown", async () => {
    const { group, gateway, listener } = opened();
    group.apply(1, 1, answer);
    group.lead("leader", "agent_1", 3);
    const expected = {
      mechanism: "raft",
      group: "main",
      self: "agent_1",
      role: "leader",
      term: 3,
      leader: "agent_1",
      members: ["agent_1"],
      learners: [],
      last: 1,
      committed: 1,
      applied: 1,
      hibernating: false,
      electionPriority: 50,
      lagMs: 2,
      digest: "ab01",
      diskFull: false,
      peers: [],
    };
    expect(gateway.status()).toEqual(expected);
    expect(listener.statuses).toEqual([expected]);
    expect(gateway.problem()).toBeUndefined();
    const got: unknown[] = [];
    gateway.refreshStatus((result) => got.push(result));
    gateway.refreshStatus((result) => got.push(result))();
    expect(got).toEqual([]);
    await turn();
    expect(got).toEqual([{ kind: "status", status: expected }]);
  });

  test("answers questions once, and not after they are taken back", async () => {
    const { group, gateway } = opened();
    const got: QueryResult[] = [];
    gateway.query(question, "linearizable", (result) => got.push(result));
    const cancel = gateway.query(question, "local", (result) => got.push(result));
    cancel();
    expect(group.queries.map(({ at }) => at)).toEqual(["linearizable", "local"]);
    for (const { done } of group.queries) done({ kind: "reply", bytes: answer });
    expect(got).toEqual([{ kind: "reply", bytes: answer }]);
  });

  test("when it is closed, everything under way is lost, and the listener hears the last word", async () => {
    const { group, hub, gateway, listener } = opened();
    const got: string[] = [];
    const note = (name: string) => (result: { kind: string }) => got.push(`${name} ${result.kind}`);
    gateway.query(question, "linearizable", note("query"));
    gateway.changes(question, 1, note("changes"));
    gateway.entries(1, note("entries"));
    gateway.campaign(note("campaign"));
    const cancelled = gateway.query(question, "local", note("cancelled"));
    gateway.close();
    gateway.close();
    cancelled();
    expect(got).toEqual([]);
    gateway.query(question, "local", note("late"));
    gateway.query(question, "local", note("late and cancelled"))();
    gateway.propose([command(1, 1)]);
    await turn();
    expect(got.toSorted()).toEqual([
      "campaign lost",
      "changes lost",
      "entries lost",
      "late lost",
      "query lost",
    ]);
    expect(listener.log).toEqual(["closed "]);
    for (const { done } of group.queries) done({ kind: "reply", bytes: answer });
    group.apply(1, 1, answer);
    await turn();
    expect(got).toHaveLength(5);
    expect(group.proposals).toEqual([]);
    expect(hub.isClosed).toBe(false);
  });

  test("ends with its group", async () => {
    const { hub, listener } = opened();
    hub.close(new QuorateError("CLOSED", "the disk broke", { outcome: "unknown", hint: "" }));
    await turn();
    expect(listener.log).toEqual(["closed CLOSED"]);
  });
});
