import { connect, createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { FakeAgent, fakeCluster } from "../../test/support/fake-agent.ts";
import type { FakeGroup } from "../../test/support/fake-group.ts";
import { failure, freePort, pause, until } from "../../test/support/runtime.ts";
import { encodeCommand, entrySequence, entrySession } from "../core/entry.ts";
import { agentId } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { ClientPool, type ClientOptions } from "./client-pool.ts";
import type { Gateway } from "./gateway.ts";

const answer = Uint8Array.of(1, 2, 3);
const question = Uint8Array.of(9);

function command(session: number, sequence: number, payloadBytes = 2): Uint8Array {
  return encodeCommand(
    { kind: sequence === 0 ? "openSession" : "command", session, sequence, unsettled: 1 },
    new Uint8Array(payloadBytes),
  );
}

function client(options: ClientOptions): {
  pool: ClientPool;
  gateway: ReturnType<ClientPool["gateway"]>;
  log: string[];
} {
  const pool = new ClientPool(options);
  onTestFinished(() => pool.close());
  const gateway = pool.gateway("main");
  return { pool, gateway, log: listen(gateway) };
}

function listen(gateway: Gateway): string[] {
  const log: string[] = [];
  gateway.listen({
    answered: (session, sequence, bytes) => log.push(`answered ${session}/${sequence} ${bytes.byteLength}`),
    refused: (session, sequence, { kind }) => log.push(`refused ${session}/${sequence} ${kind}`),
    progressed: (session, sequence, state) => log.push(`${state} ${session}/${sequence}`),
    interrupted: () => log.push("interrupted"),
    statusChanged: (status) => log.push(`status ${status.self} ${status.role} ${status.term}`),
    closed: (error) => log.push(`closed ${error?.code ?? ""}`),
  });
  return log;
}

function leads(groups: readonly FakeGroup[], leader: number, term = 1): void {
  const id = groups[leader]?.self;
  for (const [position, group] of groups.entries())
    group.lead(position === leader ? "leader" : "follower", id, term);
}

describe("commands and their answers", () => {
  test("travel together, in order, and come back to the listener", async () => {
    const { agents, groups } = await fakeCluster(1);
    const [group] = groups as [FakeGroup];
    leads(groups, 0);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    gateway.propose([command(5, 1)]);
    await until(() => log.includes("interrupted"), "an agent is found");
    expect(gateway.agent).toBe("agent_1");
    expect(group.proposals).toEqual([]);
    gateway.propose([command(5, 1), command(5, 2)]);
    gateway.propose([command(6, 1)], { onlyAsLeader: true });
    await until(() => group.proposals.length === 2, "they arrive");
    expect(group.proposals.map(({ onlyAsLeader }) => onlyAsLeader)).toEqual([false, true]);
    const names = group.proposals.flatMap(({ commands }) =>
      commands.map((one) => `${entrySession(one, 0)}/${entrySequence(one, 0)}`),
    );
    expect(names).toEqual(["5/1", "5/2", "6/1"]);
    log.splice(0);
    group.apply(5, 1, answer);
    group.apply(5, 2, new Uint8Array(0));
    group.apply(5, 2, new Uint8Array(100));
    group.refuse(6, 1, { kind: "overloaded", inFlight: 1, inFlightMax: 1 });
    group.apply(9, 1, answer);
    await until(() => log.length === 3, "answers arrive");
    expect(log).toEqual(["answered 5/1 3", "answered 5/2 100", "refused 6/1 overloaded"]);
  });

  test("progress comes back, between the answers, for what was handed in as tracked", async () => {
    const { agents, groups } = await fakeCluster(1);
    const [group] = groups as [FakeGroup];
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    await until(() => log.includes("interrupted"), "an agent is found");
    gateway.propose([command(5, 1), command(5, 2)], { tracked: true });
    gateway.propose([command(6, 1)], { tracked: true, onlyAsLeader: true });
    gateway.propose([command(7, 1)]);
    await until(() => group.proposals.length === 3, "they arrive");
    expect(group.proposals.map(({ onlyAsLeader, tracked }) => [onlyAsLeader, tracked])).toEqual([
      [false, true],
      [true, true],
      [false, false],
    ]);
    log.splice(0);
    group.progress(5, 1, "proposed");
    group.progress(5, 2, "proposed");
    group.progress(5, 1, "prepare");
    group.progress(5, 1, "commit");
    group.apply(5, 1, answer);
    group.progress(6, 1, "commit");
    group.refuse(6, 1, { kind: "notLeader" });
    group.progress(5, 2, "commit");
    await until(() => log.length === 8, "all of it arrives");
    expect(log).toEqual([
      "proposed 5/1",
      "proposed 5/2",
      "prepare 5/1",
      "commit 5/1",
      "answered 5/1 3",
      "commit 6/1",
      "refused 6/1 notLeader",
      "commit 5/2",
    ]);
  });

  test("a client that never asked for progress never gets its frame, not even for a session that another one tracks", async () => {
    const { agents, groups } = await fakeCluster(1);
    const tracking = client({ agents: [agents[0]!.address] });
    const plain = client({ agents: [agents[0]!.address] });
    await until(() => tracking.log.length > 0 && plain.log.length > 0, "both are there");
    tracking.gateway.propose([command(5, 1)], { tracked: true });
    plain.gateway.propose([command(5, 1)]);
    await until(() => groups[0]!.proposals.length === 2, "they arrive");
    groups[0]!.progress(5, 1, "commit");
    groups[0]!.apply(5, 1, answer);
    await until(() => plain.log.includes("answered 5/1 3"), "the answer comes");
    await until(() => tracking.log.includes("answered 5/1 3"), "to both");
    expect(tracking.log).toContain("commit 5/1");
    expect(plain.log).not.toContain("commit 5/1");
    tracking.pool.close();
    await until(() => agents[0]!.server.clientCount === 1, "the one that tracks is gone");
    expect(groups[0]!.untracked).toEqual([]);
    plain.pool.close();
    await until(() => groups[0]!.untracked.length > 0, "with the last one that session is of no interest");
    expect(groups[0]!.untracked).toEqual([5]);
  });

  test("large batches are cut into frames that an agent accepts", async () => {
    const { agents, groups } = await fakeCluster(1);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    await until(() => log.includes("interrupted"), "an agent is found");
    const many = Array.from({ length: 12 }, (_, at) => command(5, at + 1, 500_000));
    gateway.propose(many);
    await until(() => groups[0]!.proposals.flatMap(({ commands }) => commands).length === 12, "all arrive");
    expect(groups[0]!.proposals.length).toBeGreaterThan(5);
  });

  test("more than may wait is refused at once, here", async () => {
    const { agents, groups } = await fakeCluster(1);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    await until(() => log.includes("interrupted"), "an agent is found");
    const count = Math.ceil(limits.linkQueueBytesMax / 1_000_000) + 4;
    for (let sequence = 1; sequence <= count; sequence++) gateway.propose([command(5, sequence, 1_000_000)]);
    expect(log.filter((line) => line.startsWith("refused"))).toEqual([]);
    await until(() => log.some((line) => line.startsWith("refused")), "it is told");
    expect(log.at(-1)).toBe(`refused 5/${count} overloaded`);
    await until(() => groups[0]!.proposals.length > 10, "the others arrive");
  });

  test("of more in one go than may ever wait the first go all the same, in order", async () => {
    const { agents, groups } = await fakeCluster(1);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    await until(() => log.includes("interrupted"), "an agent is found");
    const most = Math.floor(limits.linkQueueBytesMax / command(5, 1, 1_000_000).length);
    gateway.propose(Array.from({ length: most + 2 }, (_, at) => command(5, at + 1, 1_000_000)));
    const arrived = (): number[] =>
      groups[0]!.proposals.flatMap(({ commands }) => commands.map((one) => entrySequence(one, 0)));
    await until(() => arrived().length === most, "as many as there is room for arrive");
    expect(arrived()).toEqual(Array.from({ length: most }, (_, at) => at + 1));
    const refused = log.filter((line) => line.startsWith("refused"));
    expect(refused).toEqual([`refused 5/${most + 1} overloaded`, `refused 5/${most + 2} overloaded`]);
  });

  test("a session's answers follow the client to its new connection, and the old one leaves nothing behind", async () => {
    const { agents, groups } = await fakeCluster(1);
    const first = client({ agents: [agents[0]!.address] });
    const second = client({ agents: [agents[0]!.address] });
    await until(() => first.log.length > 0 && second.log.length > 0, "both are there");
    first.gateway.propose([command(5, 1)]);
    await until(() => groups[0]!.proposals.length === 1, "it arrives");
    first.pool.close();
    await until(() => agents[0]!.server.clientCount === 1, "the first is gone");
    second.gateway.propose([command(5, 1)]);
    await until(() => groups[0]!.proposals.length === 2, "it arrives again");
    groups[0]!.apply(5, 1, answer);
    await until(() => second.log.includes("answered 5/1 3"), "the answer comes");
    expect(first.log).not.toContain("answered 5/1 3");
  });
});

describe("questions", () => {
  test("of every kind are answered, in any order", async () => {
    const { agents, groups } = await fakeCluster(1);
    const [group] = groups as [FakeGroup];
    leads(groups, 0);
    const { gateway } = client({ agents: [agents[0]!.address] });
    const got: unknown[] = [];
    const note = (result: unknown): void => void got.push(result);
    gateway.query(question, "linearizable", note);
    gateway.query(question, "local", note);
    gateway.changes(question, 1, note);
    gateway.entries(1, note);
    gateway.campaign(note);
    gateway.refreshStatus(note);
    await until(() => group.queries.length === 2 && got.length === 2, "they arrive");
    expect(got).toMatchObject([
      { kind: "status", status: { self: "agent_1" } },
      { kind: "over", leading: true },
    ]);
    expect(group.queries.map(({ at }) => at)).toEqual(["linearizable", "local"]);
    group.queries[1]!.done({ kind: "refused", refusal: { kind: "notLeader" } });
    group.queries[0]!.done({ kind: "reply", bytes: answer });
    await until(() => got.length === 4, "both are answered");
    expect(got.slice(2)).toEqual([
      { kind: "refused", refusal: { kind: "notLeader" } },
      { kind: "reply", bytes: answer },
    ]);
    group.apply(1, 1, answer, Uint8Array.of(42));
    await until(() => got.length === 6, "what was waited for is there");
    expect(got.slice(4)).toMatchObject([
      { kind: "changes", through: 1, changes: [{ index: 1, bytes: Uint8Array.of(42) }] },
      { kind: "entries" },
    ]);
  });

  test("may be taken back, there as well", async () => {
    const { agents, groups } = await fakeCluster(1);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    const early = gateway.query(question, "local", () => log.push("never"));
    early();
    await until(() => log.includes("interrupted"), "an agent is found");
    const cancels = Array.from({ length: 10 }, () => gateway.changes(question, 1, () => log.push("never")));
    gateway.query(question, "local", () => {});
    await until(() => groups[0]!.queries.length === 1, "they arrive");
    for (const cancel of cancels) cancel();
    gateway.query(question, "local", () => {});
    await until(() => groups[0]!.queries.length === 2, "the cancels arrive");
    groups[0]!.apply(1, 1, answer, answer);
    await pause(30);
    expect(log).not.toContain("never");
  });

  test("survive the loss of their agent: they are asked again at the next one", async () => {
    const { agents, groups } = await fakeCluster(2);
    const { gateway, log } = client({ agents: agents.map(({ address }) => address) });
    const got: unknown[] = [];
    await until(() => log.includes("interrupted"), "an agent is found");
    gateway.query(question, "linearizable", (result) => got.push(result));
    gateway.changes(question, 1, (result) => got.push(result));
    gateway.campaign(({ kind }) => got.push(kind));
    await until(() => groups[0]!.queries.length === 1, "asked at the first");
    await agents[0]!.close();
    await until(() => groups[1]!.queries.length === 1, "asked at the second");
    // A campaign is an act, not a question: it is not done again elsewhere.
    expect(got).toEqual(["lost"]);
    groups[1]!.queries[0]!.done({ kind: "reply", bytes: answer });
    groups[1]!.apply(1, 1, answer, answer);
    await until(() => got.length === 3, "both are answered");
    expect(log.filter((line) => line === "interrupted")).toHaveLength(2);
  });

  test("beyond the limit of a connection are refused, not kept", async () => {
    const { agents } = await fakeCluster(1);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    await until(() => log.includes("interrupted"), "an agent is found");
    for (let count = 0; count < limits.clientRequestsMax; count++)
      gateway.entries(1, () => log.push("never"));
    const got: unknown[] = [];
    gateway.query(question, "local", (result) => got.push(result));
    gateway.entries(1, (result) => got.push(result));
    await until(() => got.length === 2, "they are refused");
    expect(got).toMatchObject([{ kind: "refused", refusal: { kind: "overloaded" } }, { kind: "lost" }]);
  });
});

describe("finding the leader", () => {
  test("it goes where the leader is, and follows it", async () => {
    const { agents, groups } = await fakeCluster(3);
    leads(groups, 2);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    await until(() => gateway.agent === "agent_3", "it finds the leader");
    await until(() => agents[0]!.server.clientCount === 0, "it leaves the first agent");
    expect(gateway.status()?.leader).toBe("agent_3");
    leads(groups, 1, 2);
    await until(() => gateway.agent === "agent_2", "it follows");
    expect(log.filter((line) => line === "interrupted").length).toBeGreaterThanOrEqual(3);
    gateway.propose([command(5, 1)]);
    await until(() => groups[1]!.proposals.length === 1, "commands go to the leader");
  });

  test("pinned to one agent it stays there, and is told when forwarded commands may be lost", async () => {
    const { agents, groups } = await fakeCluster(2);
    leads(groups, 1);
    const { gateway, log } = client({ agents: [agents[0]!.address], pin: true });
    await until(() => log.includes("interrupted"), "an agent is found");
    await pause(50);
    expect(gateway.agent).toBe("agent_1");
    log.splice(0);
    leads(groups, 1, 2);
    await until(() => log.includes("interrupted"), "another term");
    expect(log).toEqual(["status agent_1 follower 2", "interrupted"]);
    log.splice(0);
    groups[0]!.lead("candidate", undefined, 3);
    await until(() => log.length > 0, "a mere change of role");
    expect(log).toEqual(["status agent_1 candidate 3"]);
  });

  test("a leader that can't be reached does not keep it from the agent that answers", async () => {
    const { agents, groups } = await fakeCluster(2);
    agents[0]!.agents = [
      { id: agents[0]!.id, address: agents[0]!.address },
      { id: agents[1]!.id, address: `127.0.0.1:${await freePort()}` },
    ];
    leads(groups, 1);
    const { gateway, log } = client({ agents: [agents[0]!.address] });
    await until(() => log.includes("interrupted"), "an agent is found");
    gateway.propose([command(5, 1)]);
    await until(() => groups[0]!.proposals.length === 1, "the follower takes it");
    expect(gateway.agent).toBe("agent_1");
    expect(gateway.problem()).toBeUndefined();
  });

  test("an agent that is gone is left for another one, also one whose address was only learnt", async () => {
    const { agents, groups } = await fakeCluster(3);
    leads(groups, 0);
    const { gateway } = client({ agents: [agents[0]!.address] });
    await until(() => gateway.agent === "agent_1", "it finds the leader");
    await agents[0]!.close();
    await until(() => gateway.agent !== undefined && gateway.agent !== "agent_1", "it goes elsewhere");
    expect(["agent_2", "agent_3"]).toContain(gateway.agent);
  });

  test("an agent that stops answering is left as well", async () => {
    const { agents, groups } = await fakeCluster(2);
    leads(groups, 0);
    // Between client and agent 1 stands something that one day passes nothing on any more.
    let stuck = false;
    const middle = createServer((near) => {
      const far = connect(agents[0]!.port, "127.0.0.1");
      near.on("data", (bytes) => stuck || far.write(bytes));
      far.on("data", (bytes) => stuck || near.write(bytes));
      for (const socket of [near, far]) socket.on("error", () => {});
      onTestFinished(() => {
        near.destroy();
        far.destroy();
      });
    });
    onTestFinished(() => void middle.close());
    const port = await freePort();
    await new Promise<void>((resolve) => middle.listen(port, "127.0.0.1", resolve));
    agents[0]!.agents = [{ id: agents[1]!.id, address: agents[1]!.address }];
    const { gateway } = client({ agents: [`127.0.0.1:${port}`] });
    await until(() => gateway.agent === "agent_1", "it is there");
    stuck = true;
    leads(groups, 1, 2);
    await until(() => gateway.agent === "agent_2", "it is given up for the other one");
  });

  test("an agent that accepts and says nothing, as a stopped process does, is passed over", async () => {
    const { agents } = await fakeCluster(1);
    const silent = createServer(() => {});
    onTestFinished(() => void silent.close());
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, "127.0.0.1", resolve));
    const { gateway } = client({ agents: [`127.0.0.1:${port}`, agents[0]!.address] });
    // Well before the time is up in which it has to say hello.
    await until(() => gateway.agent === "agent_1", "the other one is asked", limits.handshakeMsMax / 2);
  });

  test("a leader that says nothing is passed over, too, once the agent that named it is gone", async () => {
    const { agents, groups } = await fakeCluster(2);
    let dialled = false;
    const silent = createServer(() => (dialled = true));
    onTestFinished(() => void silent.close());
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, "127.0.0.1", resolve));
    agents[0]!.agents = [...agents[0]!.agents, { id: agentId("agent_3"), address: `127.0.0.1:${port}` }];
    const { gateway } = client({ agents: [agents[0]!.address] });
    await until(() => gateway.agent === "agent_1", "it is there");
    groups[0]!.lead("follower", "agent_3", 2);
    await until(() => dialled, "it goes to the leader");
    await agents[0]!.close();
    await until(() => gateway.agent === "agent_2", "another one is asked", limits.handshakeMsMax / 2);
  });

  test("an agent without the group is passed over, and named if no other has it", async () => {
    const { agents } = await fakeCluster(1);
    const without = await new FakeAgent("agent_9", await freePort()).start();
    const { gateway } = client({ agents: [without.address, agents[0]!.address] });
    await until(() => gateway.agent === "agent_1", "it finds the one that has it");
    const alone = client({ agents: [without.address] }).gateway;
    await until(() => alone.problem() !== undefined, "the problem is known");
    expect(alone.problem()?.code).toBe("GROUP_MISMATCH");
    expect(alone.problem()?.message).toContain("does not host a group main");
  });

  test("a group that closes under way sends it elsewhere", async () => {
    const { agents, groups } = await fakeCluster(2);
    leads(groups, 0);
    const { gateway } = client({ agents: [agents[0]!.address] });
    await until(() => gateway.agent === "agent_1", "it finds the leader");
    agents[0]!.hub().close();
    await until(() => gateway.agent === "agent_2", "it goes elsewhere");
  });

  test("it keeps trying while nobody answers, and says why", async () => {
    const port = await freePort();
    const { gateway, log } = client({ agents: [`127.0.0.1:${port}`] });
    await until(() => gateway.problem() !== undefined, "the problem is known");
    expect(gateway.problem()?.code).toBe("CANNOT_CONNECT");
    const late = new FakeAgent("agent_1", port);
    late.host();
    await late.start();
    await until(() => log.includes("interrupted"), "it is found at last");
    expect(gateway.problem()).toBeUndefined();
  });
});

describe("connecting and closing", () => {
  test("connect resolves to what the agent says, and shares the link with the gateways", async () => {
    const { agents } = await fakeCluster(1);
    const { pool, report } = await ClientPool.connect({ agents: [agents[0]!.address] });
    expect(report).toMatchObject({ agent: "agent_1", groups: ["main"] });
    const log = listen(pool.gateway("main"));
    await until(() => log.includes("interrupted"), "it is used");
    expect(agents[0]!.server.clientCount).toBe(1);
    pool.close();
    await until(() => agents[0]!.server.clientCount === 0, "it is closed");
  });

  test("connect tries every address, and fails with the reason of the last", async () => {
    const { agents } = await fakeCluster(1);
    const nobody = `127.0.0.1:${await freePort()}`;
    const { pool } = await ClientPool.connect({ agents: [nobody, agents[0]!.address] });
    pool.close();
    const error = await failure(async () => ClientPool.connect({ agents: [nobody] }));
    expect(error.code).toBe("CANNOT_CONNECT");
    expect(error.hint).toContain("quorate up");
    expect((await failure(() => new ClientPool({ agents: [] }))).code).toBe("BAD_OPTION");
    expect((await failure(() => new ClientPool({ agents: ["nonsense"] }))).code).toBe("BAD_OPTION");
    expect((await failure(() => new ClientPool({ agents: ["10.0.0.1:7400"] }))).code).toBe("DENIED");
    const foreign = { agents: [agents[0]!.address], cluster: new Uint8Array(16).fill(1) };
    expect((await failure(async () => ClientPool.connect(foreign))).code).toBe("DENIED");
  });

  test("an agent can't send its client to another machine, or anywhere that is no address", () => {
    const { pool } = client({ agents: ["127.0.0.1:7400"] });
    const agents = ["127.0.0.1:7401", "10.0.0.1:7400", "/tmp/other.sock", "nonsense"];
    pool.learn({
      agent: "agent_1",
      groups: [],
      agents: agents.map((address, at) => ({ id: agentId(`agent_${at}`), address })),
    });
    expect(pool.targets()).toEqual(["127.0.0.1:7400", "127.0.0.1:7401"]);
    expect(pool.addressOf("agent_1")).toBeUndefined();
  });

  test("closing a gateway ends what is under way as lost, and leaves the others alone", async () => {
    const { agents, groups } = await fakeCluster(1);
    const { pool, gateway, log } = client({ agents: [agents[0]!.address] });
    const other = pool.gateway("main");
    const otherLog = listen(other);
    await until(() => log.includes("interrupted") && otherLog.includes("interrupted"), "both are there");
    gateway.query(question, "local", ({ kind }) => log.push(`query ${kind}`));
    gateway.close();
    gateway.close();
    gateway.query(question, "local", ({ kind }) => log.push(`late ${kind}`));
    await until(() => log.includes("closed "), "the last word");
    expect(log.slice(-3).toSorted()).toEqual(["closed ", "late lost", "query lost"]);
    other.query(question, "local", ({ kind }) => otherLog.push(`query ${kind}`));
    await until(() => groups[0]!.queries.length === 2, "the other one works");
    groups[0]!.queries.at(-1)!.done({ kind: "reply", bytes: answer });
    await until(() => otherLog.includes("query reply"), "and is answered");
    pool.close();
    await until(() => otherLog.includes("closed "), "the pool closes it");
  });
});
