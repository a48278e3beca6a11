/**
 * Three agents, each a process of its own with its own folder, and clients that go on through whatever happens to them.
 * What a client was told is decided must be in every agent's log, once.
 */
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createDataFolder } from "../../src/runtime/data-folder.ts";
import { ClientPool } from "../../src/runtime/client-pool.ts";
import { newClusterId } from "../../src/runtime/cluster-file.ts";
import { Child } from "../support/child.ts";
import { decidedValues, TestSession } from "../support/commands.ts";
import { freePort, pause, temporaryFolder, until } from "../support/runtime.ts";

interface Member {
  readonly id: string;
  readonly address: string;
  child: Child;
}

class Cluster {
  readonly members: Member[] = [];
  readonly #folder = temporaryFolder();
  #agents = "";

  async start(): Promise<this> {
    const cluster = newClusterId();
    const agents: { id: string; address: string }[] = [];
    for (const id of ["agent_1", "agent_2", "agent_3"]) {
      createDataFolder(join(this.#folder, id), { agent: id, cluster });
      agents.push({ id, address: `127.0.0.1:${await freePort()}` });
    }
    this.#agents = JSON.stringify(agents);
    for (const { id, address } of agents) this.members.push({ id, address, child: this.#spawn(id) });
    for (const { child } of this.members) expect(await child.line()).toBe("up");
    return this;
  }

  member(id: string | undefined): Member {
    const member = this.members.find((one) => one.id === id);
    if (member === undefined) throw new Error(`there is no ${id}`);
    return member;
  }

  async restart(member: Member): Promise<void> {
    member.child = this.#spawn(member.id);
    expect(await member.child.line()).toBe("up");
  }

  /** `at`: that agent only; otherwise wherever the leader is. */
  async session(at?: Member): Promise<TestSession> {
    const agents = at === undefined ? this.members.map(({ address }) => address) : [at.address];
    const { pool } = await ClientPool.connect({ agents, pin: at !== undefined });
    onTestFinished(() => pool.close());
    return new TestSession(pool.gateway("main")).open();
  }

  #spawn(id: string): Child {
    return new Child("./run-agent.ts", id, join(this.#folder, id), this.#agents);
  }
}

/** Decides one value after the other, from several callers at once, until it is told to stop. */
class Load {
  readonly acknowledged: string[] = [];
  last = 0;
  #stopped = false;
  #proposed = 0;
  readonly #callers: Promise<void>[];

  constructor(name: string, session: TestSession, callers = 8) {
    this.#callers = Array.from({ length: callers }, async () => this.#call(name, session));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#callers);
  }

  async #call(name: string, session: TestSession): Promise<void> {
    while (!this.#stopped) {
      this.#proposed += 1;
      const value = `${name} ${this.#proposed}`;
      const index = await session.decide(value);
      this.acknowledged.push(value);
      this.last = Math.max(this.last, index);
    }
  }
}

async function expectEverythingOnce(cluster: Cluster, loads: readonly Load[]): Promise<void> {
  const last = Math.max(...loads.map((load) => load.last));
  const expected = loads.flatMap(({ acknowledged }) => acknowledged).toSorted();
  const logs: string[][] = [];
  for (const member of cluster.members) {
    const { gateway } = await cluster.session(member);
    logs.push(await decidedValues(gateway, last));
  }
  // Every value that was proposed was acknowledged in the end, so the logs hold these and no others.
  for (const values of logs) expect(values.toSorted()).toEqual(expected);
  expect(logs[1]).toEqual(logs[0]);
  expect(logs[2]).toEqual(logs[0]);
}

// Each takes a few seconds; the rest is for machines that are busy with other things.
describe("three agents in processes of their own", { timeout: 60_000 }, () => {
  test("after kill -9 of the leader everything acknowledged is there, once, and work goes on", async () => {
    const cluster = await new Cluster().start();
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
    const cluster = await new Cluster().start();
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

  test("all of them killed at once, they come back with all that was acknowledged", async () => {
    const cluster = await new Cluster().start();
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
    const cluster = await new Cluster().start();
    await (await cluster.session()).decide("something");
    await Promise.all(cluster.members.map(async ({ child }) => child.kill("SIGTERM")));
    for (const { child } of cluster.members) {
      expect(child.process.exitCode).toBe(0);
      expect(child.errors.join("")).toBe("");
    }
  });
});
