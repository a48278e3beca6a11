import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { limits } from "../../src/core/limits.ts";
import { freePort } from "../support/runtime.ts";
import {
  Agent,
  connect,
  defineMachine,
  map,
  QuorateError,
  type Host,
  type Log,
  type RunningAgent,
} from "../../src/index.ts";

const folders: string[] = [];
const hosts: Host[] = [];

afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.close()));
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "quorate-hosts-"));
  folders.push(made);
  return made;
}

async function rejectionOf(promise: Promise<unknown>): Promise<QuorateError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw error;
  }
  throw new Error("it resolved, and should not have");
}

/** Its state soon is more than a frame holds; its query replies with all of it. */
const list = defineMachine({
  version: 1,
  initial: () => ({ items: [] as string[] }),
  commands: {
    add: (state, item: string) => state.items.push(item),
  },
  queries: {
    all: (state) => state.items,
    count: (state) => state.items.length,
  },
});

/** One agent with one group, `main`, that holds a map. */
async function oneAgent(): Promise<{
  agent: RunningAgent;
  main: Log<{ map: ReturnType<typeof map<string>> }>;
}> {
  const dataDir = join(folder(), "a");
  Agent.init({ id: "a", dataDir });
  const agent = await Agent.start({ id: "a", dataDir, listen: "127.0.0.1:0" });
  hosts.push(agent);
  return {
    agent,
    main: agent.group("main", { mechanism: "raft", members: ["a"], state: { map: map<string>() } }),
  };
}

describe("an agent of one's own", () => {
  test("refuses one group more than it may host, and goes on with those that it has", async () => {
    const { agent, main } = await oneAgent();
    const host = (name: string): unknown => agent.group(name, { mechanism: "raft", members: ["a"] });
    for (let count = 2; count <= limits.groupsPerAgentMax; count++) host(`group-${count}`);
    expect(() => host("one-more")).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
    expect(() => host("main")).not.toThrow();
    expect(await main.state.map.put("key", "value")).toBeGreaterThan(0);
  });

  test("answers 300 calls at once whose answers are 100 KB each, over one connection", async () => {
    const { agent, main } = await oneAgent();
    const value = "x".repeat(100_000);
    const version = await main.state.map.put("key", value);
    const client = await connect({ agents: [agent.address] });
    hosts.push(client);
    const far = client.group("main", { mechanism: "raft", state: { map: map<string>() } });
    // Until now its answers were small, so that all calls leave at once.
    await Promise.all(Array.from({ length: 1000 }, (_, at) => far.state.map.put(`small ${at % 10}`, "")));
    const calls = Array.from({ length: 300 }, () => far.state.map.cas("key", version + 1, "other"));
    for (const answer of await Promise.all(calls)) {
      expect(answer).toEqual({ kind: "conflict", version, value });
    }
  });

  test("refuses a reply that no frame can carry, and goes on", async () => {
    const dataDir = join(folder(), "a");
    Agent.init({ id: "a", dataDir });
    const failures: Error[] = [];
    const agent = await Agent.start({
      id: "a",
      dataDir,
      listen: "127.0.0.1:0",
      onFatal: (error) => failures.push(error),
    });
    hosts.push(agent);
    const main = agent.group("main", { mechanism: "raft", members: ["a"], state: { list } });
    const client = await connect({ agents: [agent.address] });
    hosts.push(client);
    const remote = client.group("main", { mechanism: "raft", state: { list } });
    for (let count = 0; count < 5; count++) await main.state.list.add("x".repeat(900_000));

    const error = await rejectionOf(remote.state.list.all());
    expect(error).toMatchObject({ code: "REJECTED", outcome: "notDone" });
    expect(error.message).toContain("3145728 bytes");
    expect(await remote.state.list.count()).toBe(5);
    expect(await remote.propose("goes on")).toBe("goes on");
    expect(failures).toEqual([]);
  });

  test("its handle and a client's are the same group", async () => {
    const { agent, main } = await oneAgent();
    await main.state.map.put("k", "from the agent");
    const client = await connect({ agents: [agent.address], name: "cleo" });
    hosts.push(client);
    const same = client.group("main", { mechanism: "raft", state: { map: map<string>() } });
    expect((await same.state.map.get("k"))?.value).toBe("from the agent");
    await same.propose({ by: "client" });
    for await (const { value, proposer } of main.entries()) {
      expect({ value, proposer }).toEqual({ value: { by: "client" }, proposer: "cleo" });
      break;
    }
    await same.ready();
    expect(same.status()).toMatchObject({ self: "a", leader: "a", role: "leader" });
    expect(await same.startElection()).toBe(true);
    expect(await same.appendEntries(["x"])).toBe(true);
  });

  test("three that know addresses only find each other, in whatever order they start, and again after a restart", async () => {
    const place = folder();
    const ids = ["a", "b", "c"] as const;
    const ports = [await freePort(), await freePort(), await freePort()];
    const addresses = ports.map((port) => `127.0.0.1:${port}`);
    const { cluster } = Agent.init({ id: "a", dataDir: join(place, "a") });
    for (const id of ["b", "c"]) Agent.init({ id, dataDir: join(place, id), cluster });
    const start = async (at: number): Promise<Log<{ map: ReturnType<typeof map<string>> }>> => {
      const agent = await Agent.start({
        id: ids[at] ?? "",
        dataDir: join(place, ids[at] ?? ""),
        listen: addresses[at],
        join: addresses,
      });
      hosts.push(agent);
      return agent.group("main", { mechanism: "raft", members: ids, state: { map: map<string>() } });
    };
    const [first, second] = [await start(2), await start(0)];
    expect(await first.state.map.put("k", "by two")).toBeGreaterThan(0);
    const third = await start(1);
    expect((await third.state.map.get("k"))?.value).toBe("by two");
    // Whoever was found is told to clients, too.
    const client = await connect({ agents: [addresses[1] ?? ""] });
    hosts.push(client);
    await hosts[0]?.close();
    const far = client.group("main", { mechanism: "raft", state: { map: map<string>() } });
    expect(await far.state.map.put("k", "without c")).toBeGreaterThan(0);
    expect((await second.state.map.get("k"))?.value).toBe("without c");
    const again = await start(2);
    expect((await again.state.map.get("k"))?.value).toBe("without c");
  });

  test("a client's thousand calls at once are applied once each, in order", async () => {
    const { agent, main } = await oneAgent();
    const client = await connect({ agents: [agent.address] });
    hosts.push(client);
    const same = client.group("main", { mechanism: "raft", state: { map: map<string>() } });
    const versions = await Promise.all(
      Array.from({ length: 1000 }, (_, number) => same.state.map.put(`${number}`, "v")),
    );
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(new Set(versions).size).toBe(1000);
    expect(await main.state.map.size()).toBe(1000);
  });

  test("a watch reaches a client", async () => {
    const { agent, main } = await oneAgent();
    const client = await connect({ agents: [agent.address] });
    hosts.push(client);
    const same = client.group("main", { mechanism: "raft", state: { map: map<string>() } });
    const changes = same.state.map.watch("", { from: 1 })[Symbol.asyncIterator]();
    const next = changes.next();
    await main.state.map.put("k", "v");
    expect((await next).value).toMatchObject({ key: "k", value: "v" });
    await changes.return?.();
  });

  test("a client's watch without an index begins now: with what comes, not with what has been since it connected", async () => {
    const { agent, main } = await oneAgent();
    const client = await connect({ agents: [agent.address] });
    hosts.push(client);
    const same = client.group("main", { mechanism: "raft", state: { map: map<string>() } });
    await same.ready();
    for (const value of ["1", "2", "3"]) await main.state.map.put("k", value);
    const changes = same.state.map.watch("k");
    await same.state.map.put("k", "4");
    for await (const { value } of changes) {
      expect(value).toBe("4");
      break;
    }
  });

  test("what was decided is there after a restart", async () => {
    const dataDir = join(folder(), "a");
    Agent.init({ id: "a", dataDir });
    const spec = { mechanism: "raft", members: ["a"], state: { map: map<string>() } } as const;
    const first = await Agent.start({ id: "a", dataDir, listen: "127.0.0.1:0" });
    await first.group("main", spec).state.map.put("k", "kept");
    await first.close();
    const second = await Agent.start({ id: "a", dataDir, listen: "127.0.0.1:0" });
    hosts.push(second);
    expect((await second.group("main", spec).state.map.get("k"))?.value).toBe("kept");
  });

  test("closing an agent or a client closes its handles, and is idempotent", async () => {
    const { agent, main } = await oneAgent();
    const client = await connect({ agents: [agent.address] });
    const same = client.group("main", { mechanism: "raft" });
    await same.propose(1);
    await Promise.all([client.close(), client.close()]);
    expect(await rejectionOf(same.propose(2))).toMatchObject({ code: "CLOSED", outcome: "notDone" });
    expect(() => client.group("main", { mechanism: "raft" })).toThrow(QuorateError);
    await agent.close();
    await agent.close();
    expect(await rejectionOf(main.propose(2))).toMatchObject({ code: "CLOSED", outcome: "notDone" });
  });
});

describe("what is refused", () => {
  test("an agent without a data folder, and a folder made twice", async () => {
    const dataDir = join(folder(), "a");
    expect(await rejectionOf(Agent.start({ id: "a", dataDir }))).toMatchObject({ code: "DATA_MISSING" });
    const { cluster } = Agent.init({ id: "a", dataDir });
    expect(cluster).not.toBe("");
    expect(() => Agent.init({ id: "a", dataDir })).toThrow(QuorateError);
    const other = await rejectionOf(Agent.start({ id: "b", dataDir, listen: "127.0.0.1:0" }));
    expect(other.code).toBe("DATA_FOREIGN");
  });

  test("a group that the agent does not host, without members; peer() where members are elsewhere", async () => {
    const { agent, main } = await oneAgent();
    expect(() => agent.group("other", { mechanism: "raft" })).toThrow(/does not host/);
    expect(() => main.peer("b")).toThrow(QuorateError);
    expect(() => agent.group("other", { mechanism: "pbft" as never })).toThrow(/planned/);
  });

  test("nobody answers: CANNOT_CONNECT, and nothing stays open", async () => {
    const error = await rejectionOf(connect({ agents: ["127.0.0.1:1"], timeoutMs: 300 }));
    expect(error).toMatchObject({ code: "CANNOT_CONNECT" });
    const aborted = await rejectionOf(connect({ agents: ["127.0.0.1:1"], signal: AbortSignal.abort() }));
    expect(aborted).toMatchObject({ code: "ABORTED", outcome: "notDone" });
    expect(await rejectionOf(connect({ agents: [] }))).toMatchObject({ code: "BAD_OPTION" });
  });

  test("a call of a client whose agent is gone: the error says so", async () => {
    const { agent } = await oneAgent();
    const client = await connect({ agents: [agent.address] });
    hosts.push(client);
    const same = client.group("main", { mechanism: "raft" });
    await same.propose(1);
    await agent.close();
    const error = await rejectionOf(same.propose(2, { timeoutMs: 300 }));
    expect(["CANNOT_CONNECT", "NO_QUORUM", "TIMEOUT"]).toContain(error.code);
  });
});
