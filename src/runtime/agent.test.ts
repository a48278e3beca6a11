import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { decidedValues, TestSession } from "../../test/support/commands.ts";
import { failure, freePort, Notes, temporaryFolder, until } from "../../test/support/runtime.ts";
import type { AgentId } from "../core/ids.ts";
import { beginJournal } from "../journal/begin.ts";
import type { Disk, DiskFile } from "../journal/disk.ts";
import { MemoryDisk } from "../journal/memory-disk.ts";
import { AgentRuntime, type AgentOptions } from "./agent.ts";
import { checksum } from "./checksum.ts";
import { ClientPool } from "./client-pool.ts";
import { systemClock } from "./clock.ts";
import { newClusterId } from "./cluster-file.ts";
import { createDataFolder } from "./data-folder.ts";
import { findAgentSockets, findDataFolder } from "./find-socket.ts";
import type { GroupOptions, GroupTuning } from "./group-options.ts";
import { clusterIdText } from "./handshake.ts";
import { Hosting } from "./hosting.ts";
import { LocalGateway } from "./local-gateway.ts";
import { MemoryNetwork } from "./memory-network.ts";
import { programVersion } from "./program-version.ts";
import { LoopScheduler } from "./scheduler.ts";
import { socketPathBytesMax } from "./socket-path.ts";

const alone: GroupOptions = { name: "main", mechanism: "raft", members: ["agent_1"] };

async function start(options: AgentOptions): Promise<AgentRuntime> {
  const agent = await AgentRuntime.start(options);
  onTestFinished(async () => agent.close());
  return agent;
}

function folderFor(id: string, parent = temporaryFolder()): string {
  const path = join(parent, id);
  createDataFolder(path, { agent: id });
  return path;
}

async function startAlone(more: Partial<AgentOptions> = {}): Promise<AgentRuntime> {
  const dataDir = more.dataDir ?? folderFor("agent_1");
  return start({ id: "agent_1", dataDir, listen: "127.0.0.1:0", groups: [alone], ...more });
}

/** Three agents of one cluster in this process, with real sockets, folders and links. */
async function startThree(tuning: GroupTuning = {}): Promise<AgentRuntime[]> {
  const parent = temporaryFolder();
  const cluster = newClusterId();
  const peers: { id: string; address: string }[] = [];
  for (const id of ["agent_1", "agent_2", "agent_3"]) {
    createDataFolder(join(parent, id), { agent: id, cluster });
    peers.push({ id, address: `127.0.0.1:${await freePort()}` });
  }
  const group = { name: "main", mechanism: "raft", members: peers.map(({ id }) => id) };
  return Promise.all(
    peers.map(async ({ id, address }) =>
      start({ id, dataDir: join(parent, id), listen: address, peers, cluster, groups: [group], ...tuning }),
    ),
  );
}

async function clientOf(agents: readonly string[], pin = false): Promise<ClientPool> {
  const { pool } = await ClientPool.connect({ agents, pin });
  onTestFinished(() => pool.close());
  return pool;
}

describe("one agent", () => {
  test("decides what clients propose over its port and over its socket, and remembers it across restarts", async () => {
    const dataDir = folderFor("agent_1");
    let agent = await startAlone({ dataDir });
    const overTcp = await new TestSession((await clientOf([agent.address])).gateway("main")).open();
    const overSocket = await new TestSession((await clientOf([agent.socketPath])).gateway("main")).open();
    await Promise.all([overTcp.decide("a"), overTcp.decide("b"), overSocket.decide("c")]);
    const last = await overSocket.decide("d");
    await agent.close();
    agent = await startAlone({ dataDir });
    const values = await decidedValues((await clientOf([agent.socketPath])).gateway("main"), last);
    expect(values.toSorted()).toEqual(["a", "b", "c", "d"]);
    expect(values.at(-1)).toBe("d");
  });

  test("leaves nothing behind when it is closed, and may be closed twice", async () => {
    const dataDir = folderFor("agent_1");
    const agent = await startAlone({ dataDir });
    await Promise.all([agent.close(), agent.close()]);
    expect(existsSync(agent.socketPath)).toBe(false);
    expect(readdirSync(dataDir).toSorted()).toEqual([
      "identity.json",
      "journal",
      "key.pem",
      "owner.1",
      "snapshots",
    ]);
    const again = await startAlone({ dataDir, listen: agent.address });
    expect(again.address).toBe(agent.address);
  });

  test("tells who it is, where, and with whom", async () => {
    const agent = await startAlone({ peers: [{ id: "agent_2", address: "127.0.0.1:7999" }] });
    expect(agent.agents).toEqual([
      { id: "agent_1", address: agent.address },
      { id: "agent_2", address: "127.0.0.1:7999" },
    ]);
    expect(agent.groups).toEqual(["main"]);
    expect(agent.publicKey.byteLength).toBe(32);
    expect(agent.cluster.byteLength).toBe(16);
    expect(agent.links).toEqual([{ id: "agent_2", up: false, queuedBytes: 0, dropped: 0 }]);
    const { report } = await ClientPool.connect({ agents: [agent.address] });
    expect(report).toMatchObject({
      agent: "agent_1",
      groups: ["main"],
      agents: agent.agents,
      cluster: clusterIdText(agent.cluster),
      version: programVersion,
      node: process.versions.node,
      wireVersionMax: 2,
      links: [{ id: "agent_2", up: false }],
    });
    await until(() => agent.report(undefined).syncs !== undefined, "its first term is on disk");
    expect(agent.report(undefined).syncs?.count).toBeGreaterThan(0);
  });

  test("has its socket for its own user only, and elsewhere where the path is too long", async () => {
    const parent = join(temporaryFolder(), "x".repeat(110));
    mkdirSync(parent);
    const agent = await startAlone({ dataDir: folderFor("agent_1", parent) });
    expect(Buffer.byteLength(agent.socketPath)).toBeLessThanOrEqual(socketPathBytesMax);
    expect(statSync(agent.socketPath).mode & 0o777).toBe(0o600);
    await new TestSession((await clientOf([agent.socketPath])).gateway("main")).open();
    await agent.close();
    expect(existsSync(agent.socketPath)).toBe(false);
  });

  test("hosts several groups, and one more while it runs", async () => {
    const agent = await startAlone({ groups: [alone, { ...alone, name: "other" }] });
    agent.host({ ...alone, name: "third" });
    const pool = await clientOf([agent.address]);
    for (const name of ["main", "other", "third"]) {
      const session = await new TestSession(pool.gateway(name)).open();
      const index = await session.decide(`in ${name}`);
      expect(await decidedValues(agent.gateway(name), index)).toEqual([`in ${name}`]);
    }
    expect((await failure(() => agent.host(alone))).code).toBe("GROUP_MISMATCH");
    expect((await failure(() => agent.gateway("nothing"))).hint).toContain("main, other, third");
    agent.hub("third")?.close();
    expect(agent.groups).toEqual(["main", "other"]);
  });
});

describe("an agent that can't start says why, and leaves everything as it was:", () => {
  test.each([
    ["a bad name", { id: "../etc" }, "BAD_NAME"],
    ["an address beyond this machine", { listen: "0.0.0.0:7400" }, "DENIED"],
    ["no address at all", { listen: "nowhere" }, "BAD_OPTION"],
    ["a peer beyond this machine", { peers: [{ id: "agent_2", address: "10.0.0.1:7400" }] }, "DENIED"],
    [
      "a peer named twice",
      { peers: ["1", "2"].map((end) => ({ id: "b", address: `127.0.0.1:740${end}` })) },
      "BAD_OPTION",
    ],
    ["no data folder", { dataDir: "/nowhere/at/all" }, "DATA_MISSING"],
    ["another agent's folder", { id: "agent_2" }, "DATA_FOREIGN"],
    ["another cluster's folder", { cluster: new Uint8Array(16) }, "DATA_FOREIGN"],
    ["an unknown mechanism", { groups: [{ ...alone, mechanism: "telepathy" }] }, "UNKNOWN_MECHANISM"],
    ["a group without itself", { groups: [{ ...alone, members: ["agent_2"] }] }, "BAD_OPTION"],
    ["a member twice", { groups: [{ ...alone, members: ["agent_1", "agent_1"] }] }, "BAD_OPTION"],
    [
      "too many members",
      { groups: [{ ...alone, members: ["agent_1", "b", "c", "d", "e", "f", "g", "h"] }] },
      "BAD_OPTION",
    ],
    ["a group of no name", { groups: [{ ...alone, name: "" }] }, "BAD_NAME"],
    ["one group twice", { groups: [alone, alone] }, "GROUP_MISMATCH"],
    ["time-outs upside down", { electionTimeoutMs: [300, 150] }, "BAD_OPTION"],
    ["time-outs too short", { electionTimeoutMs: [1, 2] }, "BAD_OPTION"],
    ["heartbeats too rare", { heartbeatMs: 149 }, "BAD_OPTION"],
    ["heartbeats that are no number", { heartbeatMs: Number.NaN }, "BAD_OPTION"],
  ] as [string, Partial<AgentOptions>, string][])("%s", async (_name, change, code) => {
    const dataDir = folderFor("agent_1");
    const error = await failure(async () => startAlone({ dataDir, ...change }));
    expect(error.code).toBe(code);
    expect(error.hint).not.toBe("");
    expect(readdirSync(dataDir).filter((name) => name.endsWith(".sock"))).toEqual([]);
    await startAlone({ dataDir });
  });

  test("a port in use", async () => {
    const first = await startAlone();
    const dataDir = folderFor("agent_1");
    expect((await failure(async () => startAlone({ dataDir, listen: first.address }))).code).toBe(
      "ADDRESS_IN_USE",
    );
    await startAlone({ dataDir });
  });

  test("a folder in use", async () => {
    const dataDir = folderFor("agent_1");
    await startAlone({ dataDir });
    expect((await failure(async () => startAlone({ dataDir }))).code).toBe("DATA_LOCKED");
  });

  test("a journal of another agent", async () => {
    const [mine, other] = [folderFor("agent_1"), folderFor("agent_1")];
    await (await startAlone({ dataDir: other })).close();
    rmSync(join(mine, "journal"), { recursive: true });
    mkdirSync(join(mine, "journal"));
    for (const name of readdirSync(join(other, "journal"))) {
      writeFileSync(join(mine, "journal", name), readFileSync(join(other, "journal", name)));
    }
    expect((await failure(async () => startAlone({ dataDir: mine }))).code).toBe("DATA_FOREIGN");
  });
});

describe("three agents", () => {
  test("elect a leader, decide through any of them, and end up with the same", async () => {
    const agents = await startThree();
    const addresses = agents.map(({ address }) => address);
    const following = await new TestSession((await clientOf(addresses)).gateway("main")).open();
    const leader = following.gateway.status()?.leader;
    const follower = agents.find(({ id }) => id !== leader) as AgentRuntime;
    const pinned = await new TestSession((await clientOf([follower.address], true)).gateway("main")).open();
    const local = await new TestSession(follower.gateway("main")).open();
    const indices = await Promise.all(
      Array.from({ length: 30 }, async (_, at) => {
        const session = [following, pinned, local][at % 3] as TestSession;
        return session.decide(`value ${at}`);
      }),
    );
    const last = Math.max(...indices);
    const expected = Array.from({ length: 30 }, (_, at) => `value ${at}`).toSorted();
    for (const agent of agents) {
      const values = await decidedValues(agent.gateway("main"), last);
      expect(values.toSorted()).toEqual(expected);
    }
    await until(
      () => new Set(agents.map((agent) => agent.hub("main")?.status()?.digest)).size === 1,
      "one digest",
    );
    expect(new Set(indices).size).toBe(30);
  });

  test("go on without one of them, and it catches up when it is back", async () => {
    const agents = await startThree();
    const session = await new TestSession(
      (await clientOf(agents.map(({ address }) => address))).gateway("main"),
    ).open();
    await session.decide("before");
    const gone = agents.find(({ id }) => id === session.gateway.status()?.leader) as AgentRuntime;
    await gone.close();
    const during = await session.decide("during");
    const peers = agents.map(({ id, address }) => ({ id, address }));
    const members = peers.map(({ id }) => id);
    const back = await start({
      id: gone.id,
      dataDir: join(gone.socketPath, ".."),
      listen: gone.address,
      peers,
      groups: [{ name: "main", mechanism: "raft", members }],
    });
    expect(await decidedValues(back.gateway("main"), during)).toEqual(["before", "during"]);
  });

  test("say what became of a campaign at each of them", async () => {
    const agents = await startThree();
    await new TestSession((agents[0] as AgentRuntime).gateway("main")).open();
    const outcomes = await Promise.all(
      agents.map(
        async (agent) =>
          new Promise((resolve) => {
            agent.gateway("main").campaign((result) => resolve(result.kind));
          }),
      ),
    );
    expect(outcomes).toEqual(["over", "over", "over"]);
  });
});

describe("reads by lease", () => {
  const holds = (agents: readonly AgentRuntime[]): string[] =>
    agents.filter((agent) => agent.hub("main")?.status()?.holdsLease === true).map(({ id }) => id);

  test("where all agents have them, whoever leads says that it has a lease, as `quorate status --json` shows it", async () => {
    const agents = await startThree({ leaseReads: true });
    const session = await new TestSession(agents[0]!.gateway("main")).open();
    const last = await session.decide("a");
    // An idle group falls asleep, and no sleeping leader has one: so somebody is always at work.
    let index = last;
    let atWork = true;
    const working = (async () => {
      while (atWork) index = await session.decide("b");
    })();
    await until(() => holds(agents).length === 1, "one has a lease");
    expect(holds(agents)).toEqual([agents[0]!.hub("main")!.status()!.leader]);
    atWork = false;
    await working;
    expect(index).toBeGreaterThan(last);
  });

  test("off by default: nobody says so", async () => {
    const agents = await startThree();
    const session = await new TestSession(agents[0]!.gateway("main")).open();
    for (let times = 0; times < 30; times++) {
      await session.decide("a");
      expect(holds(agents)).toEqual([]);
    }
  });
});

describe("finding an agent", () => {
  test("looks for .quorate upwards, in it and one folder below", async () => {
    const top = temporaryFolder();
    const deep = join(top, "a", "b");
    mkdirSync(deep, { recursive: true });
    expect((await failure(() => findAgentSockets(deep))).code).toBe("DATA_MISSING");
    mkdirSync(join(top, ".quorate"));
    expect(findDataFolder(deep)).toBe(join(top, ".quorate"));
    const error = await failure(() => findAgentSockets(deep));
    expect(error.code).toBe("CANNOT_CONNECT");
    expect(error.hint).toContain("quorate up");
    const agent = await startAlone({ dataDir: folderFor("agent_1", join(top, ".quorate")) });
    expect(findAgentSockets(deep)).toEqual([agent.socketPath]);
    await new TestSession((await clientOf(findAgentSockets(deep))).gateway("main")).open();
  });

  test("passes over one that was killed and left its socket behind", async () => {
    const top = temporaryFolder();
    const folder = join(top, ".quorate");
    mkdirSync(join(folder, "agent_0"), { recursive: true });
    const dead = join(folder, "agent_0", "agent.sock");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${dead}.tmp`, resolve));
    renameSync(`${dead}.tmp`, dead);
    await new Promise((resolve) => server.close(resolve));
    const agent = await startAlone({ dataDir: folderFor("agent_1", folder) });
    expect(findAgentSockets(top)).toEqual([dead, agent.socketPath]);
    await new TestSession((await clientOf(findAgentSockets(top))).gateway("main")).open();
  });
});

describe("a disk that fails", () => {
  /** A disk in memory whose syncs or writes fail when told to. */
  function failingDisk(scheduler: LoopScheduler): { disk: Disk; fail: { sync: boolean } } {
    const memory = new MemoryDisk({ soon: (task) => scheduler.soon(task) });
    beginJournal(memory, new Uint8Array(16), checksum);
    const fail = { sync: false };
    const wrap = (file: DiskFile): DiskFile => ({
      name: file.name,
      byteLength: () => file.byteLength(),
      read: (offset, into) => file.read(offset, into),
      write: (offset, bytes) => file.write(offset, bytes),
      sync: (done) => {
        if (fail.sync) scheduler.soon(() => done(new Error("EIO: the disk is broken")));
        else file.sync(done);
      },
      syncNow: () => file.syncNow(),
      close: () => file.close(),
    });
    const disk: Disk = {
      list: () => memory.list(),
      open: (name, mode) => wrap(memory.open(name, mode)),
      remove: (name) => memory.remove(name),
      rename: (from, to) => memory.rename(from, to),
      syncDirectory: (done) => memory.syncDirectory(done),
      syncDirectoryNow: () => memory.syncDirectoryNow(),
    };
    return { disk, fail };
  }

  test("ends the agent: nothing is answered any more, everybody is told, once", async () => {
    const scheduler = new LoopScheduler();
    const { disk, fail } = failingDisk(scheduler);
    const fatal: Error[] = [];
    const hosting = new Hosting({
      self: "agent_1" as AgentId,
      clock: systemClock,
      scheduler,
      disk,
      snapshots: new MemoryDisk({ soon: (task) => scheduler.soon(task) }),
      journalId: new Uint8Array(16),
      network: (events) => new MemoryNetwork().join("agent_1" as AgentId, scheduler, events),
      onFatal: (error) => fatal.push(error),
    });
    onTestFinished(() => scheduler.close());
    const gateway = new LocalGateway(hosting.host(alone), scheduler);
    const session = await new TestSession(gateway).open();
    await session.decide("kept");
    const ends: unknown[] = [];
    gateway.listen({
      answered: () => {},
      refused: () => {},
      progressed: () => {},
      interrupted: () => {},
      statusChanged: () => {},
      closed: (error) => ends.push(error?.code),
    });
    fail.sync = true;
    let answered = false;
    void session.decide("in doubt").then(() => (answered = true));
    await until(() => ends.length > 0, "everybody is told");
    expect(ends).toEqual(["CLOSED"]);
    expect(fatal.map(({ message }) => message)).toEqual(["EIO: the disk is broken"]);
    expect(answered).toBe(false);
    expect(hosting.groups()).toEqual([]);
    await hosting.close();
  });
});

describe("the log of an agent", () => {
  test("has a line for what people want to know, and the library itself prints nothing", async () => {
    const logger = new Notes();
    const agent = await startAlone({
      logger,
      peers: [{ id: "agent_2", address: `127.0.0.1:${await freePort()}` }],
    });
    await until(() => logger.count("is down") > 0, "the missing peer is named");
    expect(logger.lines.slice(0, 2)).toEqual([
      "info main: its voters are agent_1",
      `info agent agent_1 listens on ${agent.address}`,
    ]);
    expect(logger.count("agent_2")).toBe(1);
    expect(logger.lines.join("\n")).not.toContain("    at ");
  });
});
