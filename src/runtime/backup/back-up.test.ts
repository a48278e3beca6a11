/**
 * A backup from agents that run, over real sockets: it holds what was acknowledged before, while the group goes on; and
 * whatever goes wrong leaves no file. Restored, its agents are a group that begins there, and knows nothing of the old one.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { failure, freePort, temporaryFolder, until } from "../../../test/support/runtime.ts";
import { concatBytes } from "../../core/bytes.ts";
import { limits } from "../../core/limits.ts";
import type { WireVersion } from "../../core/wire-version.ts";
import { mapMachine } from "../../state/index.ts";
import { AgentRuntime } from "../agent.ts";
import { newClusterId, type AgentAddress } from "../cluster-file.ts";
import { createDataFolder } from "../data-folder.ts";
import { connect, map } from "../face/index.ts";
import { encodeFrame } from "../frame.ts";
import { encodeWelcome } from "../handshake.ts";
import { backUp, type BackUpOptions } from "./back-up.ts";
import { openBackup, type BackupReport } from "./backup-file.ts";
import { restoreInto } from "./restore.ts";

const machines = { map: mapMachine() };
let folder: string;
let file: string;

beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder, "backup");
});

interface Cluster {
  readonly agents: readonly AgentRuntime[];
  readonly addresses: readonly string[];
}

/** Agents in this process. `fill`: what a folder begins with. */
async function cluster(
  count: number,
  {
    version,
    fill,
  }: { version?: WireVersion; fill?: (dataDir: string, agents: AgentAddress[]) => Promise<void> } = {},
): Promise<Cluster> {
  const parent = temporaryFolder();
  const id = newClusterId();
  const peers: AgentAddress[] = [];
  for (let number = 1; number <= count; number++) {
    peers.push({ id: `agent_${number}` as AgentAddress["id"], address: `127.0.0.1:${await freePort()}` });
  }
  const members = peers.map((peer) => peer.id);
  const agents: AgentRuntime[] = [];
  for (const peer of peers) {
    const dataDir = join(parent, peer.id);
    createDataFolder(dataDir, { agent: peer.id, cluster: id });
    await fill?.(dataDir, peers);
    const agent = await AgentRuntime.start({
      id: peer.id,
      dataDir,
      listen: peer.address,
      peers,
      groups: [{ name: "main", mechanism: "raft", members, machines: { map: mapMachine() } }],
      ...(version !== undefined && { wireVersionMax: version }),
    });
    onTestFinished(async () => agent.close());
    agents.push(agent);
  }
  return { agents, addresses: peers.map(({ address }) => address) };
}

async function clientOf({ addresses }: Cluster) {
  const host = await connect({ agents: addresses, timeoutMs: 10_000 });
  onTestFinished(async () => host.close());
  return host.group("main", { mechanism: "raft", state: { map: map<string>() } });
}

async function backedUp(
  { addresses }: Pick<Cluster, "addresses">,
  more: Partial<BackUpOptions> = {},
): Promise<BackupReport> {
  return backUp({
    path: file,
    existing: "keep",
    agents: addresses,
    group: "main",
    at: "linearizable",
    timeoutMs: 10_000,
    signal: new AbortController().signal,
    machines,
    onProgress: () => {},
    ...more,
  });
}

/** Enough for a dozen pieces. */
async function enlarge(group: Awaited<ReturnType<typeof clientOf>>): Promise<void> {
  const large = "x".repeat(100_000);
  for (let at = 0; at < 30; at++) await group.state.map.put(`large ${at}`, large, { timeoutMs: 30_000 });
}

// Real disks and sockets: quick, but for a machine that is busy with other things.
describe("a backup", { timeout: 60_000 }, () => {
  test("from any agent holds what was acknowledged before, and the group goes on meanwhile", async () => {
    const three = await cluster(3);
    const group = await clientOf(three);
    await enlarge(group);
    for (const [at, address] of three.addresses.entries()) {
      const version = await group.state.map.put("last", String(at));
      const path = join(folder, `backup ${at}`);
      const told: number[] = [];
      const during = { decided: 0, stop: false };
      const load = (async () => {
        while (!during.stop) {
          await group.state.map.put("during", "y");
          during.decided += 1;
        }
      })();
      const report = await backedUp(
        { addresses: [address] },
        { path, onProgress: (bytes) => told.push(bytes) },
      );
      during.stop = true;
      await load;
      expect(report.proven).toBe("state");
      expect(report.snapshot.index).toBeGreaterThanOrEqual(version);
      expect(told).toHaveLength(Math.ceil(report.snapshot.byteLength / limits.snapshotPieceBytesMax));
      expect(told.at(-1)).toBe(report.snapshot.byteLength);
      expect(during.decided).toBeGreaterThan(0);
    }
    expect(readdirSync(folder)).toHaveLength(3);
  });

  test("of what one agent has, where nobody leads, and only if that is wanted", async () => {
    const two = await cluster(2);
    const group = await clientOf(two);
    await group.state.map.put("k", "v");
    await two.agents[1]?.close();
    const [first = ""] = two.addresses;
    await until(
      () => two.agents[0]?.hub("main")?.status()?.leader === undefined,
      "it knows that it is alone",
    );
    const error = await failure(async () => backedUp({ addresses: [first] }, { timeoutMs: 500 }));
    expect(error.code).toBe("NO_QUORUM");
    expect(error.hint).toContain("--local");
    expect((await backedUp({ addresses: [first] }, { at: "local" })).proven).toBe("state");
  });

  test("an agent that does not answer is passed over for the next", async () => {
    const one = await cluster(1);
    await (await clientOf(one)).state.map.put("k", "v");
    const nobody = `127.0.0.1:${await freePort()}`;
    expect((await backedUp({ addresses: [nobody, ...one.addresses] })).proven).toBe("state");
  });

  test.each<[string, (one: Cluster) => Partial<BackUpOptions>, string]>([
    ["of a group that there is not", () => ({ group: "other" }), "GROUP_MISMATCH"],
    ["over a file that is there", () => ({ path: folder }), "DATA_EXISTS"],
    ["into a folder that there is not", () => ({ path: join(folder, "nowhere", "backup") }), "DENIED"],
    ["given up before it began", () => ({ signal: AbortSignal.abort() }), "ABORTED"],
  ])("%s is refused, and leaves nothing", async (_what, change, code) => {
    const one = await cluster(1);
    await (await clientOf(one)).state.map.put("k", "v");
    const error = await failure(async () => backedUp(one, change(one)));
    expect(error.code).toBe(code);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("from an agent of the first version is refused, and says that it is too old", async () => {
    const one = await cluster(1, { version: 1 });
    const error = await failure(async () => backedUp(one));
    expect(error.code).toBe("PROTOCOL");
    expect(error.message).toContain("too old");
  });

  test("whose agent ends in the middle leaves no file", async () => {
    const one = await cluster(1);
    const [agent] = one.agents;
    await enlarge(await clientOf(one));
    let closing: Promise<void> | undefined;
    const error = await failure(async () =>
      backedUp(one, { onProgress: () => void (closing ??= agent?.close()) }),
    );
    expect(error.code).toBe("CANNOT_CONNECT");
    expect(readdirSync(folder)).toEqual([]);
    await closing;
  });

  test("given up in the middle leaves no file, and the agent goes on", async () => {
    const one = await cluster(1);
    const group = await clientOf(one);
    await enlarge(group);
    const giveUp = new AbortController();
    const error = await failure(async () =>
      backedUp(one, { signal: giveUp.signal, onProgress: () => giveUp.abort() }),
    );
    expect(error.message).toBeTruthy();
    expect(readdirSync(folder)).toEqual([]);
    expect(await group.state.map.put("k", "v")).toBeGreaterThan(0);
  });

  test("from something that only says welcome ends in time", async () => {
    const port = await freePort();
    const server = createServer((socket) => {
      socket.on("error", () => {});
      const welcome = encodeWelcome({ version: 2, cluster: newClusterId(), agent: "agent_1" });
      socket.write(concatBytes(encodeFrame("welcome", "", welcome).parts));
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    const error = await failure(async () =>
      backedUp({ addresses: [`127.0.0.1:${port}`] }, { timeoutMs: 300 }),
    );
    expect(error.code).toBe("TIMEOUT");
  });

  test("so many at a time, and one more once one of them is over", async () => {
    const one = await cluster(1);
    await enlarge(await clientOf(one));
    let open = 0;
    let most = 0;
    const paths = Array.from({ length: limits.backupsMax + 3 }, (_, at) => join(folder, `${at}`));
    const reports = await Promise.all(
      paths.map(async (path) => {
        let begun = false;
        const report = await backedUp(one, {
          path,
          onProgress: (bytes, total) => {
            if (!begun) open += 1;
            begun = true;
            most = Math.max(most, open);
            if (bytes === total) open -= 1;
          },
        });
        return report.proven;
      }),
    );
    expect(reports).toEqual(paths.map(() => "state"));
    expect(most).toBeLessThanOrEqual(limits.backupsMax);
  });
});

describe("restored", { timeout: 60_000 }, () => {
  async function restored(count: number): Promise<Cluster> {
    const backup = openBackup(file);
    onTestFinished(() => backup.close());
    return cluster(count, { fill: async (dataDir, agents) => restoreInto(dataDir, backup, agents) });
  }

  test("a group of three goes on as one of one, and as one of five, with all that was decided", async () => {
    const three = await cluster(3);
    const before = await clientOf(three);
    const version = await before.state.map.put("k", "v");
    await before.propose({ pay: "bob" }, { requestId: "order-17" });
    const report = await backedUp(three);
    await before.state.map.put("k", "later");
    for (const agent of three.agents) await agent.close();
    for (const count of [1, 5]) {
      const again = await restored(count);
      const group = await clientOf(again);
      expect(await group.state.map.get("k")).toMatchObject({ value: "v", version });
      expect(await group.learnDecision("order-17")).toEqual({ pay: "bob" });
      // Decided before the backup, so not again.
      await group.propose({ pay: "bob" }, { requestId: "order-17" });
      const next = await group.state.map.put("k", "on");
      expect(next).toBeGreaterThan(report.snapshot.index);
      const status = again.agents[0]?.hub("main")?.status();
      expect(status?.members).toEqual(again.agents.map(({ id }) => id));
      for (const agent of again.agents) {
        await until(() => (agent.hub("main")?.status()?.applied ?? 0) >= next, "all have it");
        await agent.close();
      }
    }
  });

  test("its agents are of another cluster, with other keys, and start again from their own folders", async () => {
    const one = await cluster(1);
    await (await clientOf(one)).state.map.put("k", "v");
    await backedUp(one);
    const backup = openBackup(file);
    const dataDir = join(folder, "data");
    const id = createDataFolder(dataDir, { agent: "agent_1" });
    expect(id.cluster).not.toEqual(one.agents[0]?.cluster);
    expect(id.publicKey).not.toEqual(one.agents[0]?.publicKey);
    const address = `127.0.0.1:${await freePort()}`;
    await restoreInto(dataDir, backup, [{ id: "agent_1" as AgentAddress["id"], address }]);
    backup.close();
    for (let life = 1; life <= 3; life++) {
      const agent = await AgentRuntime.start({
        id: "agent_1",
        dataDir,
        listen: address,
        groups: [{ name: "main", mechanism: "raft", members: ["agent_1"], machines: { map: mapMachine() } }],
      });
      const group = await clientOf({ agents: [agent], addresses: [address] });
      expect((await group.state.map.get("k"))?.value).toBe("v");
      expect((await group.state.map.get("life"))?.value).toBe(life === 1 ? undefined : `${life - 1}`);
      await group.state.map.put("life", `${life}`);
      await agent.close();
    }
  });

  test("a folder in use, and a backup that is damaged, are refused", async () => {
    const one = await cluster(1);
    await (await clientOf(one)).state.map.put("k", "v");
    await backedUp(one);
    const backup = openBackup(file);
    onTestFinished(() => backup.close());
    const dataDir = join(folder, "data");
    createDataFolder(dataDir, { agent: "agent_1" });
    const agent = await AgentRuntime.start({ id: "agent_1", dataDir, listen: "127.0.0.1:0" });
    const error = await failure(async () =>
      restoreInto(dataDir, backup, [{ id: "agent_1" as AgentAddress["id"], address: agent.address }]),
    );
    expect(error.code).toBe("DATA_LOCKED");
    await agent.close();
    mkdirSync(join(folder, "empty"));
    expect((await failure(async () => restoreInto(join(folder, "empty"), backup, []))).code).toBe(
      "DATA_MISSING",
    );
  });
});
