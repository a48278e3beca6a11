/**
 * Three agents, each a process of its own with its own folder, and clients that go on through whatever happens to them.
 * What a client was told is decided must be in every agent's log, once.
 */
import { describe, expect, test } from "vitest";
import { expectEverythingOnce, Load, ProcessCluster } from "../support/process-cluster.ts";
import { pause, until } from "../support/runtime.ts";

// Each takes a few seconds; the rest is for machines that are busy with other things.
describe("three agents in processes of their own", { timeout: 60_000 }, () => {
  test("after kill -9 of the leader everything acknowledged is there, once, and work goes on", async () => {
    const cluster = await new ProcessCluster().start();
    const free = await cluster.session();
    const leader = cluster.member(free.gateway.status()?.leader);
    const term = free.gateway.status()?.term ?? 0;
    const follower = cluster.member(cluster.members.find(({ id }) => id !== leader.id)?.id);
    const pinned = await cluster.session(follower);
    const loads = [new Load("follows", free), new Load("through a follower", pinned)];
    await until(() => loads.every(({ acknowledged }) => acknowledged.length > 100), "both make progress");
    const before = loads.map(({ acknowledged }) => acknowledged.length);
    await leader.child.kill("SIGKILL");
    await until(
      () => loads.every(({ acknowledged }, at) => acknowledged.length > (before[at] ?? 0) + 100),
      "both make progress under another leader",
    );
    await cluster.restart(leader);
    await pause(300);
    for (const load of loads) await load.stop();
    await expectEverythingOnce(cluster, loads);
    // Whoever leads by now, perhaps the restarted one again, was elected after the kill.
    expect(free.gateway.status()?.term).toBeGreaterThan(term);
  });

  test("a leader that is stopped is replaced, and follows when it goes on", async () => {
    const cluster = await new ProcessCluster().start();
    const session = await cluster.session();
    const leader = cluster.member(session.gateway.status()?.leader);
    const load = new Load("value", session);
    await until(() => load.acknowledged.length > 100, "progress");
    leader.child.signal("SIGSTOP");
    const before = load.acknowledged.length;
    await until(() => load.acknowledged.length > before + 100, "progress under another leader");
    expect(session.gateway.status()?.leader).not.toBe(leader.id);
    leader.child.signal("SIGCONT");
    await pause(300);
    await load.stop();
    await expectEverythingOnce(cluster, [load]);
  });

  test("R40: one after the other stopped in good order, nobody waits for an election: it would take 20 s", async () => {
    const cluster = await new ProcessCluster({ electionTimeoutMs: [20_000, 30_000] }).start();
    await cluster.elect(cluster.member("agent_1"));
    const session = await cluster.session();
    const load = new Load("value", session);
    const progress = async (): Promise<void> => {
      const before = load.acknowledged.length;
      await until(() => load.acknowledged.length > before + 100, "progress");
    };
    const leaders: (string | undefined)[] = [];
    for (let times = 0; times < 4; times++) {
      await progress();
      const leader = cluster.member(session.gateway.status()?.leader);
      leaders.push(leader.id);
      await leader.child.kill("SIGTERM");
      expect(leader.child.process.exitCode).toBe(0);
      await progress();
      await cluster.restart(leader);
    }
    await load.stop();
    await expectEverythingOnce(cluster, [load]);
    for (const [at, leader] of leaders.entries()) expect(leader).not.toBe(leaders[at + 1]);
  });

  test("R42: the preferred one leads, and again once it is back; one of priority 0 never does while another can", async () => {
    const cluster = await new ProcessCluster({
      electionTimeoutMs: [100, 150],
      electionPriorities: { agent_1: 0, agent_3: 80 },
    }).start();
    const never = await cluster.session(cluster.member("agent_1"));
    const led = new Set<string | undefined>();
    const leads = async (id: string): Promise<void> =>
      until(() => {
        const { leader } = never.gateway.status() ?? {};
        led.add(leader);
        return leader === id;
      }, `${id} leads`);
    const load = new Load("value", await cluster.session());
    await leads("agent_3");
    const preferred = cluster.member("agent_3");
    await preferred.child.kill("SIGKILL");
    await leads("agent_2");
    await cluster.restart(preferred);
    await leads("agent_3");
    await load.stop();
    await expectEverythingOnce(cluster, [load]);
    expect(led).not.toContain("agent_1");
  });

  test("all of them killed at once, they come back with all that was acknowledged", async () => {
    const cluster = await new ProcessCluster().start();
    const session = await cluster.session();
    const load = new Load("value", session);
    await until(() => load.acknowledged.length > 200, "progress");
    await Promise.all(cluster.members.map(async ({ child }) => child.kill("SIGKILL")));
    const before = load.acknowledged.length;
    for (const member of cluster.members) await cluster.restart(member);
    await until(() => load.acknowledged.length > before + 50, "progress after the restart");
    await load.stop();
    await expectEverythingOnce(cluster, [load]);
  });

  test("end by SIGTERM, with nothing left behind and exit code 0", async () => {
    const cluster = await new ProcessCluster().start();
    await (await cluster.session()).decide("something");
    await Promise.all(cluster.members.map(async ({ child }) => child.kill("SIGTERM")));
    for (const { child } of cluster.members) {
      expect(child.process.exitCode).toBe(0);
      expect(child.errors.join("")).toBe("");
    }
  });
});
