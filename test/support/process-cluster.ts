/** Three agents, each in a process of its own with a folder of its own, and clients that decide one value after the other. */
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { WireVersion } from "../../src/core/wire-version.ts";
import { ClientPool } from "../../src/runtime/client-pool.ts";
import { newClusterId } from "../../src/runtime/cluster-file.ts";
import { createDataFolder } from "../../src/runtime/data-folder.ts";
import { Child } from "./child.ts";
import { decidedValues, TestSession } from "./commands.ts";
import { freePort, temporaryFolder, until } from "./runtime.ts";

export interface ClusterOptions {
  readonly electionTimeoutMs?: readonly [number, number];
  readonly snapshotLogBytes?: number;
  /** By agent; the usual one for those who are not named. */
  readonly electionPriorities?: Readonly<Record<string, number>>;
  readonly logHeldBytes?: number;
}

export interface Member {
  readonly id: string;
  readonly address: string;
  child: Child;
}

/** Agents in processes of their own, in a folder of the test's. */
export class ProcessCluster {
  readonly members: Member[] = [];
  readonly #folder = temporaryFolder();
  readonly #options: ClusterOptions;
  #agents = "";

  constructor(options: ClusterOptions = {}) {
    this.#options = options;
  }

  /** Where the agent keeps its data. */
  folder(member: Member): string {
    return join(this.#folder, member.id);
  }

  /** `wireVersionMax`: which version of the wire they speak at most. */
  async start(wireVersionMax?: WireVersion): Promise<this> {
    const cluster = newClusterId();
    const agents: { id: string; address: string }[] = [];
    for (const id of ["agent_1", "agent_2", "agent_3"]) {
      createDataFolder(join(this.#folder, id), { agent: id, cluster });
      agents.push({ id, address: `127.0.0.1:${await freePort()}` });
    }
    this.#agents = JSON.stringify(agents);
    for (const { id, address } of agents)
      this.members.push({ id, address, child: this.#spawn(id, wireVersionMax) });
    await Promise.all(this.members.map(isUp));
    return this;
  }

  member(id: string | undefined): Member {
    const member = this.members.find((one) => one.id === id);
    if (member === undefined) throw new Error(`there is no ${id}`);
    return member;
  }

  async restart(member: Member, wireVersionMax?: WireVersion): Promise<void> {
    member.child = this.#spawn(member.id, wireVersionMax);
    await isUp(member);
  }

  /** Has that agent lead, without waiting for anybody's patience. */
  async elect(member: Member): Promise<void> {
    const { pool } = await ClientPool.connect({ agents: [member.address], pin: true });
    const gateway = pool.gateway("main");
    const leads = async (): Promise<boolean> =>
      new Promise((resolve) => {
        gateway.campaign((result) => resolve(result.kind === "over" && result.leading));
      });
    await until(leads, `${member.id} leads`);
    pool.close();
  }

  /** `at`: that agent only; otherwise wherever the leader is. */
  async session(at?: Member): Promise<TestSession> {
    const agents = at === undefined ? this.members.map(({ address }) => address) : [at.address];
    const { pool } = await ClientPool.connect({ agents, pin: at !== undefined });
    onTestFinished(() => pool.close());
    return new TestSession(pool.gateway("main")).open();
  }

  #spawn(id: string, wireVersionMax?: WireVersion): Child {
    const { electionPriorities = {}, ...forAll } = this.#options;
    const options = JSON.stringify({ wireVersionMax, electionPriority: electionPriorities[id], ...forAll });
    return new Child("./run-agent.ts", id, join(this.#folder, id), this.#agents, options);
  }
}

async function isUp({ child }: Member): Promise<void> {
  while ((await child.line()) !== "up");
}

/** Decides one value after the other, from several callers at once, until it is told to stop. */
export class Load {
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

/** Every agent has what was acknowledged, once, in the same order, and nothing else. */
export async function expectEverythingOnce(cluster: ProcessCluster, loads: readonly Load[]): Promise<void> {
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
