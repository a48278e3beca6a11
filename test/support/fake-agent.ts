/** An agent's sockets without its mechanisms: real links and clients, and groups that the test moves by hand. */
import type { AgentId, GroupName } from "../../src/core/ids.ts";
import { wireVersionMax } from "../../src/core/wire-version.ts";
import { loopbackAddress, type HostPort } from "../../src/runtime/address.ts";
import { AgentServer } from "../../src/runtime/agent-server.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { GroupHub } from "../../src/runtime/group-hub.ts";
import { Outgoing } from "../../src/runtime/outgoing.ts";
import { LoopScheduler } from "../../src/runtime/scheduler.ts";
import { TcpNetwork } from "../../src/runtime/tcp-network.ts";
import { raftCodec } from "../../src/raft/codec.ts";
import { onTestFinished } from "vitest";
import { FakeGroup } from "./fake-group.ts";
import { freePort, Notes } from "./runtime.ts";

export const testCluster: Uint8Array = new Uint8Array(16).fill(7);
const scheduler = new LoopScheduler();

export class FakeAgent {
  readonly id: AgentId;
  readonly port: number;
  readonly notes = new Notes();
  readonly received: { from: string; group: string; message: object }[] = [];
  readonly links: string[] = [];
  readonly network: TcpNetwork;
  readonly server: AgentServer;
  readonly answers = new Outgoing(scheduler);
  readonly #hubs = new Map<string, GroupHub>();
  /** What clients are told of the whole cluster. */
  agents: readonly { id: AgentId; address: string }[] = [];
  /** Whose pulses came. */
  readonly heard: AgentId[] = [];

  constructor(
    id: string,
    port: number,
    peers: Readonly<Record<string, number>> = {},
    cluster = testCluster,
    versionMax = wireVersionMax,
  ) {
    this.id = id as AgentId;
    this.port = port;
    const addresses = new Map<AgentId, HostPort>();
    for (const [peer, at] of Object.entries(peers)) {
      if (peer !== id) addresses.set(peer as AgentId, loopbackAddress(`127.0.0.1:${at}`));
    }
    this.agents = [{ id: this.id, address: this.address }];
    this.network = new TcpNetwork({
      self: this.id,
      cluster,
      peers: addresses,
      wireVersionMax: versionMax,
      logger: this.notes,
      events: {
        receive: (from, group, message) => this.received.push({ from, group, message }),
        linkChanged: (peer, up) => this.links.push(`${peer} ${up ? "up" : "down"}`),
        heard: (peer) => this.heard.push(peer),
      },
    });
    this.network.register("main" as GroupName, raftCodec);
    this.server = new AgentServer({
      agent: this.id,
      cluster,
      network: this.network,
      wireVersionMax: versionMax,
      logger: this.notes,
      clients: {
        hub: (group) => this.#hubs.get(group),
        report: (hub) => {
          const status = hub?.status();
          const groups = [...this.#hubs.keys()];
          return { agent: this.id, groups, agents: this.agents, ...(status === undefined ? {} : { status }) };
        },
        waiting: (client) => this.answers.add(client),
      },
    });
    onTestFinished(async () => this.close());
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    await this.server.listen(loopbackAddress(this.address));
    this.network.start();
    return this;
  }

  /** Hosts a group that the test moves. */
  host(name = "main"): FakeGroup {
    const group = new FakeGroup(name, this.id);
    const hub = new GroupHub(name as GroupName, systemClock, scheduler, {
      closed: () => this.#hubs.delete(name),
    });
    group.observer = hub;
    hub.attach(group);
    this.#hubs.set(name, hub);
    return group;
  }

  hub(name = "main"): GroupHub {
    const hub = this.#hubs.get(name);
    if (hub === undefined) throw new Error("there is no such group");
    return hub;
  }

  send(to: FakeAgent, round: number, channel: "urgent" | "lazy" | "stream" | "bulk" = "stream"): void {
    const message = { kind: "heartbeatAnswer", term: 1, round };
    this.network.send(to.id, "main" as GroupName, channel, message);
    this.network.flush();
  }

  rounds(): number[] {
    return this.received.map(({ message }) => (message as { round: number }).round);
  }

  async close(): Promise<void> {
    this.network.close();
    await this.server.close();
  }
}

/** Some agents that know each other's addresses, each with a group that the test moves. */
export async function fakeCluster(count: number): Promise<{ agents: FakeAgent[]; groups: FakeGroup[] }> {
  const agents: FakeAgent[] = [];
  for (let number = 1; number <= count; number++) {
    agents.push(await new FakeAgent(`agent_${number}`, await freePort()).start());
  }
  const addresses = agents.map(({ id, address }) => ({ id, address }));
  for (const agent of agents) agent.agents = addresses;
  return { agents, groups: agents.map((agent) => agent.host()) };
}
