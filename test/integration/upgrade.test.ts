/**
 * From one version of the program to the next: what the last one left on disk opens, and a cluster goes over one agent at
 * a time while clients work. An agent that is held at the first version of the wire (`wireVersionMax`) stands for one that
 * is not upgraded yet; test/vectors/v1 holds what such a one really says.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import { wireVersionMax } from "../../src/core/wire-version.ts";
import { connect, map } from "../../src/index.ts";
import { AgentRuntime } from "../../src/runtime/agent.ts";
import { RemoteBackup } from "../../src/runtime/backup/remote-backup.ts";
import { ClientPool } from "../../src/runtime/client-pool.ts";
import { mapMachine } from "../../src/state/index.ts";
import { expectEverythingOnce, Load, ProcessCluster, type Member } from "../support/process-cluster.ts";
import { recordedFolder } from "../support/recorded-folder.ts";
import { freePort, until } from "../support/runtime.ts";

describe("a data folder of the first version's program", () => {
  async function start(dataDir: string): Promise<AgentRuntime> {
    const agent = await AgentRuntime.start({
      id: "agent_1",
      dataDir,
      listen: `127.0.0.1:${await freePort()}`,
      groups: [{ name: "main", mechanism: "raft", members: ["agent_1"], machines: { map: mapMachine() } }],
    });
    onTestFinished(async () => agent.close());
    return agent;
  }

  test("opens with all that was decided, and goes on through restarts", async () => {
    const dataDir = recordedFolder("v1/data-folder.txt");
    for (const before of [undefined, "one more"]) {
      const agent = await start(dataDir);
      await using host = await connect({ agents: [agent.address], timeoutMs: 10_000 });
      const { state } = host.group("main", { mechanism: "raft", state: { map: map() } });
      expect(await state.map.get("colour")).toMatchObject({ value: "blue", version: 12 });
      expect(await state.map.get("shape")).toMatchObject({ value: "round", version: 5 });
      expect((await state.map.get("life"))?.value).toBe(before);
      await state.map.put("life", "one more");
      await agent.close();
    }
  });

  test("has the state whose digest its own program told: members of both versions can compare theirs", async () => {
    const agent = await start(recordedFolder("v1/data-folder.txt"));
    await until(() => (agent.hub("main")?.status()?.applied ?? 0) === 13, "all is applied");
    // As that program said after its own third start, which added one entry as this one does.
    expect(agent.hub("main")?.status()?.digest).toBe("a5451edd0753ace2adb00ebdd4e8bd94");
  });
});

/** In which versions that agent speaks to its peers, as it tells itself; a link that was lost is soon there again. */
async function expectVersions(member: Member, expected: Readonly<Record<string, number>>): Promise<void> {
  await expect
    .poll(
      async () => {
        const { pool, report } = await ClientPool.connect({ agents: [member.address], pin: true });
        pool.close();
        return Object.fromEntries((report.links ?? []).map(({ id, version }) => [id, version]));
      },
      { timeout: 10_000 },
    )
    .toEqual(expected);
}

/** Has that agent take a backup. Resolves to the index of its last entry. */
async function openBackup({ address }: Member): Promise<number> {
  const { signal } = new AbortController();
  const wanted = { agents: [address], group: "main", at: "linearizable", timeoutMs: 10_000, signal } as const;
  const backup = await RemoteBackup.open(wanted);
  backup.close();
  return backup.snapshot.index;
}

// Each takes a few seconds; the rest is for machines that are busy with other things.
describe("three agents in processes of their own", { timeout: 120_000 }, () => {
  /** Stops each in good order and starts it again, as the newest that it is, while everybody works. */
  async function roll(
    cluster: ProcessCluster,
    loads: readonly Load[],
    members = cluster.members,
  ): Promise<void> {
    const progress = async (): Promise<void> => {
      const before = loads.map(({ acknowledged }) => acknowledged.length);
      await until(
        () => loads.every(({ acknowledged }, at) => acknowledged.length > (before[at] ?? 0) + 100),
        "every client makes progress",
      );
    };
    await progress();
    for (const member of members) {
      await member.child.kill("SIGTERM");
      expect(member.child.process.exitCode).toBe(0);
      await progress();
      await cluster.restart(member);
      await progress();
    }
  }

  test("are stopped and started one after the other, each in the newest version then, and every client goes on", async () => {
    const cluster = await new ProcessCluster().start(1);
    const loads = [new Load("a", await cluster.session()), new Load("b", await cluster.session())];
    const [one, two, three] = cluster.members as [Member, Member, Member];
    await expectVersions(one, { agent_2: 1, agent_3: 1 });
    await roll(cluster, loads, [one]);
    await expectVersions(one, { agent_2: 1, agent_3: 1 });
    await roll(cluster, loads, [two]);
    await expectVersions(one, { agent_2: wireVersionMax, agent_3: 1 });
    await expectVersions(three, { agent_1: 1, agent_2: 1 });
    await expect(openBackup(one)).rejects.toThrow("agent_3 is of a version that can't be sent snapshots");
    const host = await connect({ agents: [one.address, two.address] });
    onTestFinished(async () => host.close());
    const log = host.group("main", { mechanism: "raft" });
    // One of the new ones leads, and whoever would not follow is named.
    await three.child.kill("SIGTERM");
    await cluster.restart(three, 1);
    await expectVersions(one, { agent_2: wireVersionMax, agent_3: 1 });
    await expectVersions(two, { agent_1: wireVersionMax, agent_3: 1 });
    const message: unknown = expect.stringContaining("agent_3");
    await expect(log.changeMembers({ agent_2: "learner" }, { timeoutMs: 500 })).rejects.toMatchObject({
      message:
        "The change of members could not begin in time: some that matter are not heard, or are of an earlier version (agent_3).",
      outcome: "notDone",
    });
    await expect(log.transferLeadership("agent_3")).rejects.toMatchObject({ code: "NOT_READY", message });
    expect(["agent_1", "agent_2"]).toContain(await log.transferLeadership());
    await roll(cluster, loads, [three]);
    await expectVersions(three, { agent_1: wireVersionMax, agent_2: wireVersionMax });
    expect(await openBackup(one), "under load").toBeGreaterThan(0);
    expect(await log.transferLeadership("agent_3")).toBe("agent_3");
    for (const load of loads) await load.stop();
    await expectEverythingOnce(cluster, loads);
  });
});
