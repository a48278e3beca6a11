/**
 * The states of a submitted value as real groups of three report them: within one process, over real sockets, through the
 * leader and through a follower. Disks that are held and peers that are away make a state last, so no test depends on
 * how quick anything is.
 */
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { DecisionState } from "../../src/core/decision.ts";
import type { AgentId } from "../../src/core/ids.ts";
import { limits } from "../../src/core/limits.ts";
import {
  Agent,
  connect,
  createConsensus,
  MemoryNetwork,
  type Options,
  type Decision,
  type Log,
  type RunningAgent,
} from "../../src/index.ts";
import { beginJournal } from "../../src/journal/begin.ts";
import { MemoryDisk } from "../../src/journal/memory-disk.ts";
import { checksum } from "../../src/runtime/checksum.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { GroupClient } from "../../src/runtime/face/group-client.ts";
import { LogHandle } from "../../src/runtime/face/log-face.ts";
import { Hosting } from "../../src/runtime/hosting.ts";
import { LocalGateway } from "../../src/runtime/local-gateway.ts";
import { LoopScheduler } from "../../src/runtime/scheduler.ts";
import { freePort, temporaryFolder, until } from "../support/runtime.ts";

const whole: readonly DecisionState[] = ["pending", "proposed", "prepare", "commit", "decided"];
const ids = ["a", "b", "c"] as const;
type Id = (typeof ids)[number];

/** So long that whoever leads goes on leading while a test holds it. */
const patient = { electionTimeoutMs: [20_000, 30_000] } as const;
const call = { timeoutMs: 20_000 };

function reader(decision: Decision<unknown>): AsyncIterator<DecisionState> {
  return decision.states()[Symbol.asyncIterator]();
}

/** Reads along until `last` is seen. */
async function upTo(states: AsyncIterator<DecisionState>, last: DecisionState): Promise<DecisionState[]> {
  const seen: DecisionState[] = [];
  while (seen.at(-1) !== last) {
    const next = await states.next();
    if (next.done === true) throw new Error(`it ended after ${seen.join(", ")}`);
    seen.push(next.value);
  }
  return seen;
}

async function all(decision: Decision<unknown>): Promise<DecisionState[]> {
  const seen: DecisionState[] = [];
  for await (const state of decision.states()) seen.push(state);
  return seen;
}

/** Makes `leader` lead, and lets every handle open its session. */
async function settled(logs: Readonly<Record<Id, Log>>, leader: Id): Promise<void> {
  await until(() => ids.every((id) => logs[id].status().members.length === 3), "all are up");
  // What is asked before the links are up is lost, so it is asked again.
  let leads = false;
  while (!leads) leads = await logs[leader].startElection({ timeoutMs: 500 }).catch(() => false);
  for (const id of ids) await logs[id].propose(`hello from ${id}`, call);
}

// ── disks that can be held ──

interface Held {
  readonly logs: Readonly<Record<Id, Log>>;
  /** From now on nothing that this member writes becomes durable. */
  readonly hold: (id: Id) => void;
  readonly release: (id: Id) => void;
}

/** A group in this process whose members' disks the test holds. */
function withHeldDisks(): Held {
  const network = new MemoryNetwork();
  const scheduler = new LoopScheduler();
  const waiting = new Map<Id, (() => void)[]>();
  const start = (id: Id): Log => {
    const disk = new MemoryDisk({
      soon: (task) => {
        const held = waiting.get(id);
        if (held === undefined) scheduler.soon(task);
        else held.push(task);
      },
    });
    const journalId = new Uint8Array(16);
    beginJournal(disk, journalId, checksum);
    const self = id as string as AgentId;
    const hosting = new Hosting({
      self,
      clock: systemClock,
      scheduler,
      disk,
      snapshots: new MemoryDisk({ soon: (task) => scheduler.soon(task) }),
      journalId,
      network: (events) => network.join(self, scheduler, events),
      onFatal: (error) => {
        throw error;
      },
    });
    const hub = hosting.host({ name: "main", mechanism: "raft", members: ids, ...patient });
    const client = new GroupClient({ gateway: new LocalGateway(hub, scheduler), proposer: id });
    onTestFinished(async () => {
      client.close();
      await hosting.close();
    });
    return new LogHandle({ client, name: "main", mechanism: "raft", kinds: {}, isMember: true });
  };
  const release = (id: Id): void => {
    const tasks = waiting.get(id) ?? [];
    waiting.delete(id);
    for (const task of tasks) scheduler.soon(task);
  };
  onTestFinished(() => scheduler.close());
  const logs = { a: start("a"), b: start("b"), c: start("c") };
  // Comes first of all that is to be done at the end: a disk that is held can't be closed.
  onTestFinished(() => ids.forEach(release));
  return { logs, hold: (id) => void waiting.set(id, []), release };
}

describe("with disks that are held", () => {
  test("through the leader: proposed before any disk, prepare on its own, commit once a second one has it", async () => {
    const { logs, hold, release } = withHeldDisks();
    await settled(logs, "a");
    for (const id of ids) hold(id);
    const decision = logs.a.submit("v", call);
    const states = reader(decision);
    expect(await upTo(states, "proposed")).toEqual(["pending", "proposed"]);
    expect(decision.state).toBe("proposed");
    release("a");
    expect(await upTo(states, "prepare")).toEqual(["prepare"]);
    expect(decision.state).toBe("prepare");
    release("b");
    expect(await upTo(states, "decided")).toEqual(["commit", "decided"]);
    expect(await all(decision)).toEqual(whole);
    expect(await decision.result()).toBe("v");
  });

  test("through a follower: what it sees of its own disk, while the leader's is still busy", async () => {
    const { logs, hold, release } = withHeldDisks();
    await settled(logs, "a");
    for (const id of ids) hold(id);
    const decision = logs.b.submit("v", call);
    const states = reader(decision);
    expect(await upTo(states, "proposed")).toEqual(["pending", "proposed"]);
    release("b");
    expect(await upTo(states, "prepare")).toEqual(["prepare"]);
    // One disk of three: nobody may decide it.
    expect(decision.state).toBe("prepare");
    release("a");
    expect(await upTo(states, "decided")).toEqual(["commit", "decided"]);
    expect(await all(decision)).toEqual(whole);
  });
});

// ── createConsensus ──

function inProcess(options: Options): { network: MemoryNetwork; logs: Readonly<Record<Id, Log>> } {
  const network = new MemoryNetwork();
  const a = createConsensus("raft", "a", ["b", "c"], { network, ...options }) as Log;
  const logs = { a, b: a.peer("b"), c: a.peer("c") };
  onTestFinished(async () => {
    await Promise.all(ids.map((id) => logs[id].close()));
  });
  return { network, logs };
}

function isolate(network: MemoryNetwork, id: Id, isConnected = false): void {
  for (const other of ids) if (other !== id) network.setConnected(id, other, isConnected);
}

describe("in a group of createConsensus", () => {
  test("every state is seen through the leader and through a follower, by several readers", async () => {
    const { logs } = inProcess(patient);
    await settled(logs, "a");
    for (const id of ids) {
      const decision = logs[id].submit({ from: id }, call);
      expect(decision.state).toBe("pending");
      expect(await Promise.all([all(decision), all(decision)])).toEqual([whole, whole]);
      expect(await logs.c.learnDecision(decision.id)).toEqual({ from: id });
    }
  });

  test("a leader without its peers gets as far as prepare, and on once they are back", async () => {
    const { network, logs } = inProcess(patient);
    await settled(logs, "a");
    isolate(network, "a");
    const decision = logs.a.submit("v", call);
    expect(await upTo(reader(decision), "prepare")).toEqual(["pending", "proposed", "prepare"]);
    expect(decision.state).toBe("prepare");
    isolate(network, "a", true);
    expect(await all(decision)).toEqual(whole);
  });

  test("an entry that another leader replaced is handed in again: its states go on, never back", async () => {
    const { network, logs } = inProcess({ electionTimeoutMs: [1000, 1500] });
    await settled(logs, "a");
    isolate(network, "a");
    const decision = logs.a.submit("v", call);
    expect(await upTo(reader(decision), "prepare")).toEqual(["pending", "proposed", "prepare"]);
    // The others elect one of them, who has something else in that place.
    expect(await logs.b.propose("w", call)).toBe("w");
    expect(decision.state).toBe("prepare");
    isolate(network, "a", true);
    expect(await all(decision)).toEqual(whole);
    const values: unknown[] = [];
    for await (const { value } of logs.a.entries()) {
      values.push(value);
      if (value === "v") break;
    }
    expect(values.slice(-2)).toEqual(["w", "v"]);
  });

  test("of more than a group tracks, nothing is reported before they are decided: their states are skipped", async () => {
    const { network, logs } = inProcess(patient);
    await settled(logs, "a");
    isolate(network, "a");
    const decisions = Array.from({ length: limits.trackedCommandsMax + 1 }, (_, at) =>
      logs.a.submit(at, call),
    );
    const last = decisions.at(-1) as Decision<number>;
    const lastTracked = decisions.at(-2) as Decision<number>;
    await upTo(reader(lastTracked), "prepare");
    // It is in the same record, but nobody looked.
    expect(last.state).toBe("pending");
    isolate(network, "a", true);
    expect(await all(last)).toEqual(["pending", "decided"]);
    expect(await all(lastTracked)).toEqual(whole);
    // There is room again.
    expect(await all(logs.a.submit("next", call))).toEqual(whole);
  });
});

// ── agents and clients over sockets ──

interface Loopback {
  readonly agents: Record<Id, RunningAgent>;
  readonly logs: Record<Id, Log>;
  readonly restart: (id: Id) => Promise<void>;
  /** A client that stays with this agent. */
  readonly client: (id: Id) => Promise<Log>;
}

async function overSockets(): Promise<Loopback> {
  const folder = temporaryFolder();
  const peers: { id: Id; address: string }[] = [];
  let cluster: string | undefined;
  for (const id of ids) {
    ({ cluster } = Agent.init({ id, dataDir: join(folder, id), cluster }));
    peers.push({ id, address: `127.0.0.1:${await freePort()}` });
  }
  const addressOf = (id: Id): string => peers.find((peer) => peer.id === id)?.address ?? "";
  const agents: Partial<Record<Id, RunningAgent>> = {};
  const logs: Partial<Record<Id, Log>> = {};
  const start = async (id: Id): Promise<void> => {
    const agent = await Agent.start({
      id,
      dataDir: join(folder, id),
      listen: addressOf(id),
      peers,
      ...patient,
    });
    onTestFinished(() => agent.close());
    agents[id] = agent;
    logs[id] = agent.group("main", { mechanism: "raft", members: ids });
  };
  for (const id of ids) await start(id);
  const made = { agents, logs } as Pick<Loopback, "agents" | "logs">;
  await settled(made.logs, "a");
  return {
    ...made,
    restart: start,
    client: async (id) => {
      const host = await connect({ agents: [addressOf(id)], pin: true });
      onTestFinished(() => host.close());
      const log = host.group("main", { mechanism: "raft" });
      await log.propose(`hello from a client of ${id}`, call);
      return log;
    },
  };
}

describe("for clients of agents over sockets", { timeout: 60_000 }, () => {
  test("every state is seen through the leader and through a follower", async () => {
    const { client } = await overSockets();
    for (const id of ["a", "b"] as const) {
      const log = await client(id);
      expect(log.status().self).toBe(id);
      const decisions = Array.from({ length: 20 }, (_, at) => log.submit(`${id} ${at}`, call));
      for (const decision of decisions) expect(await all(decision)).toEqual(whole);
    }
  });

  test("while the leader's peers are stopped it stays at prepare; one of them is enough to go on", async () => {
    const { agents, restart, client } = await overSockets();
    const log = await client("a");
    await Promise.all([agents.b.close(), agents.c.close()]);
    const decision = log.submit("v", call);
    expect(await upTo(reader(decision), "prepare")).toEqual(["pending", "proposed", "prepare"]);
    expect(decision.state).toBe("prepare");
    await restart("b");
    expect(await all(decision)).toEqual(whole);
    expect(await log.learnDecision(decision.id)).toBe("v");
  });
});
