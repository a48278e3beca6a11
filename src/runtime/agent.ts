/**
 * An agent: one process (or a part of one) that hosts members of groups. It has a data folder, listens on a TCP port and
 * on a Unix socket in that folder, keeps links to its peers, and serves clients on the same two.
 */
import { badOption } from "../core/arguments.ts";
import { QuorateError } from "../core/errors.ts";
import { agentId, type Address, type AgentId, type GroupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { checkWireVersion, wireVersionMax, type WireVersion } from "../core/wire-version.ts";
import { dialAddress, formatAddress, isDialAddress, loopbackAddress, type HostPort } from "./address.ts";
import { AgentServer } from "./agent-server.ts";
import type { StatusReport } from "./client-wire.ts";
import type { AgentAddress } from "./cluster-file.ts";
import { systemClock } from "./clock.ts";
import { DataFolder, unusable } from "./data-folder.ts";
import type { GroupHub } from "./group-hub.ts";
import { checkTuning, type GroupOptions, type GroupTuning } from "./group-options.ts";
import { Hosting, type HostingNetwork } from "./hosting.ts";
import { clusterIdText } from "./handshake.ts";
import { LocalGateway } from "./local-gateway.ts";
import { describeError, harmless, silentLogger, type Logger } from "./logger.ts";
import { orderAt } from "./order-at.ts";
import { Outgoing } from "./outgoing.ts";
import { PeerFinder } from "./peer-finder.ts";
import { PeerKeys } from "./peer-keys.ts";
import { recoveriesOf } from "./recover.ts";
import { Repair } from "./repair.ts";
import { LoopScheduler } from "./scheduler.ts";
import { programVersion } from "./program-version.ts";
import { prepareSocketPath, removeSocket } from "./socket-path.ts";
import { TcpNetwork, type NetworkEvents } from "./tcp-network.ts";

/** The agent's Unix socket, in its data folder. */
export const agentSocketName = "agent.sock";
export const defaultListen = "127.0.0.1:7400";

export interface AgentOptions extends GroupTuning {
  readonly id: string;
  /** Made before, by `createDataFolder`. */
  readonly dataDir: string;
  /** `host:port`. Default `127.0.0.1:7400`; port 0 stands for any free one. */
  readonly listen?: string;
  /** Where other agents listen, whichever they are: it asks who is there, for as long as it takes. Its own address may be among them. */
  readonly join?: readonly string[];
  /** The same where it is known who they are. */
  readonly peers?: readonly { readonly id: string; readonly address: string }[];
  /** Refuse a data folder of another cluster. */
  readonly cluster?: Uint8Array;
  readonly groups?: readonly GroupOptions[];
  /**
   * Speak no version of the wire above this one, to agents and clients: until every agent of the cluster is upgraded, nothing
   * is then done that older ones do not understand. Default: the newest.
   */
  readonly wireVersionMax?: WireVersion;
  /** Silent by default. */
  readonly logger?: Logger;
  /** The disk failed, or an invariant is broken: the agent has stopped for good, and its process should end. */
  readonly onFatal?: (error: Error) => void;
}

type Undo = () => Promise<void> | void;

interface Checked {
  readonly id: AgentId;
  readonly listen: HostPort;
  readonly peers: ReadonlyMap<AgentId, HostPort>;
  readonly join: readonly HostPort[];
  readonly folder: DataFolder;
}

/** What a running agent is made of. */
interface Parts {
  readonly id: AgentId;
  readonly folder: DataFolder;
  readonly keys: PeerKeys;
  readonly logger: Logger;
  readonly scheduler: LoopScheduler;
  readonly server: AgentServer;
  readonly network: TcpNetwork;
  readonly finder: PeerFinder;
  readonly hosting: Hosting;
}

export class AgentRuntime {
  readonly id: AgentId;
  /** Where it listens, with the actual port. */
  readonly address: string;
  /** The path of its Unix socket. */
  readonly socketPath: string;
  readonly #parts: Parts;
  readonly #options: AgentOptions;
  readonly #repairs = new Set<Repair>();
  #closing: Promise<void> | undefined;

  private constructor(options: AgentOptions, parts: Parts, address: string, socketPath: string) {
    this.id = parts.id;
    this.address = address;
    this.socketPath = socketPath;
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Rejects with what the folder, the address, the journal or an option is refused for: `DATA_*`, `ADDRESS_IN_USE`,
   * `DENIED`, `BAD_OPTION`, `BAD_NAME`. Nothing stays open then.
   */
  static async start(options: AgentOptions): Promise<AgentRuntime> {
    const id = agentId(options.id);
    const listen = loopbackAddress(options.listen ?? defaultListen, "listen address");
    const peers = new Map(checkPeers(id, options));
    checkAddresses(id, listen, peers);
    const join = checkJoin(listen, peers, options);
    checkTuning(options);
    checkWireVersion(options.wireVersionMax);
    const folder = await DataFolder.open(options.dataDir, { agent: id, cluster: options.cluster });
    const undo: Undo[] = [() => folder.close()];
    try {
      const agent = await AgentRuntime.#launch(options, { id, listen, peers, join, folder }, undo);
      for (const line of recoveriesOf(folder.path)) {
        agent.#parts.logger.warn(`recovered by force, without a quorum: ${line}`);
      }
      agent.#parts.logger.info(`agent ${id} listens on ${agent.address}`);
      return agent;
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw unusable(options.dataDir, error);
    }
  }

  static async #launch(options: AgentOptions, checked: Checked, undo: Undo[]): Promise<AgentRuntime> {
    const { id, listen, folder } = checked;
    const logger = options.logger === undefined ? silentLogger : harmless(options.logger);
    const scheduler = new LoopScheduler();
    const answers = new Outgoing(scheduler);
    const later: Later = {};
    const keys = new PeerKeys(folder.path, {
      schedule: (task) => scheduler.soon(task),
      failed: (error) => logger.error(`who the peers are can't be written: ${describeError(error)}`),
    });
    const { network, server, finder } = socketsOf(options, checked, { logger, answers, later, keys });
    undo.push(async () => {
      finder.close();
      network.close();
      await server.close();
    });
    const address = await server.listen(listen);
    const socketPath = prepareSocketPath(folder.path, agentSocketName);
    undo.push(() => removeSocket(folder.path, agentSocketName));
    await server.listenAt(socketPath);
    const hosting = new Hosting({
      self: id,
      clock: systemClock,
      scheduler,
      disk: folder.disk,
      snapshots: folder.snapshots,
      syncingMs: () => folder.disk.syncTimes.syncingMs(performance.now()),
      journalId: folder.identity.journal,
      logger,
      network: (events) => {
        later.events = events;
        return networkWithAnswers(network, answers);
      },
      addresses: () => new Map(later.agent?.agents.map((agent) => [agent.id, agent.address as Address])),
      decided: (group, index, members) => keys.decided(group, index, members),
      repair: (group, out) => later.agent?.repair(group, out) ?? false,
      forward: (group, leader, order, done) => {
        const at = network.addressOf(leader);
        if (at === undefined) done({ kind: "lost" });
        else orderAt(at, { agent: id, cluster: folder.identity.cluster, group }, order, done);
      },
      members: (addresses) => {
        for (const [peer, at] of addresses) {
          if (peer !== id && isDialAddress(at)) network.move(peer, dialAddress(at, `address of ${peer}`));
        }
      },
      onFatal: (error) => {
        logger.error(`agent ${id} stops: ${describeError(error)}`);
        void later.agent?.close().catch((failure: unknown) => logger.error(describeError(failure)));
        options.onFatal?.(error);
      },
    });
    undo.push(async () => hosting.close());
    const parts = { id, folder, keys, logger, scheduler, server, network, finder, hosting };
    const agent = new AgentRuntime(options, parts, address, socketPath);
    later.agent = agent;
    for (const group of options.groups ?? []) agent.host(group);
    network.start();
    finder.start();
    return agent;
  }

  get cluster(): Uint8Array {
    return this.#parts.folder.identity.cluster;
  }

  /** Ed25519, 32 bytes. */
  get publicKey(): Uint8Array {
    return this.#parts.folder.identity.publicKey;
  }

  /** All agents that it knows, itself included, and where they listen. */
  get agents(): readonly AgentAddress[] {
    return [{ id: this.id, address: this.address }, ...this.#parts.network.peers];
  }

  get groups(): readonly string[] {
    return this.#parts.hosting.groups();
  }

  /** Per peer: whether its link is up, what waits for it, and what was dropped. */
  get links(): ReturnType<TcpNetwork["status"]> {
    return this.#parts.network.status();
  }

  /** Brings one more group up. Throws as `Hosting.host` does. */
  host(group: GroupOptions): GroupHub {
    return this.#parts.hosting.host(withTuning(group, this.#options));
  }

  hub(group: string): GroupHub | undefined {
    return this.#parts.hosting.hub(group);
  }

  /** A way into a hosted group from within this process. Throws `GROUP_MISMATCH` where it is not hosted here. */
  gateway(group: string): LocalGateway {
    const hub = this.hub(group);
    if (hub !== undefined) return new LocalGateway(hub, this.#parts.scheduler);
    throw new QuorateError("GROUP_MISMATCH", `Agent ${this.id} does not host a group ${group}.`, {
      outcome: "notDone",
      hint: `It hosts: ${this.groups.join(", ") || "none"}.`,
    });
  }

  /** Has the others repair this agent's part of a group. False: there is nobody to do it. */
  repair(group: GroupName, out: (() => void) | undefined): boolean {
    const { network, logger, folder } = this.#parts;
    const peers = network.peers.map(({ address }) => address);
    if (peers.length === 0) return false;
    const repair = new Repair({
      self: this.id,
      address: this.address,
      cluster: folder.identity.cluster,
      group,
      peers,
      logger,
      ...(out !== undefined && { out }),
      done: () => this.#repairs.delete(repair),
    });
    this.#repairs.add(repair);
    repair.start();
    return true;
  }

  /** What clients are told. */
  report(hub: GroupHub | undefined): StatusReport {
    const status = hub?.status();
    const { groups, agents } = this;
    const { syncTimes } = this.#parts.folder.disk;
    const syncs = syncTimes.report();
    const syncingMs = Math.round(syncTimes.syncingMs(performance.now()));
    return {
      agent: this.id,
      groups,
      agents,
      cluster: clusterIdText(this.cluster),
      version: programVersion,
      node: process.versions.node,
      wallMs: Date.now(),
      ...(syncs !== undefined && { syncs }),
      ...(syncingMs >= limits.syncMsMax && { diskHangsMs: syncingMs }),
      ...(status === undefined ? {} : { status }),
      wireVersionMax: this.#options.wireVersionMax ?? wireVersionMax,
      links: this.links.map(({ id, up, version }) => ({ id, up, ...(version !== undefined && { version }) })),
    };
  }

  /** Ends everything: when it resolves, no socket, file, timer or lock is left. Idempotent. */
  async close(): Promise<void> {
    for (const repair of this.#repairs) repair.close();
    this.#closing ??= takeDown(this.#parts);
    return this.#closing;
  }
}

/** What sockets tell goes to the groups as soon as there are any. */
interface Later {
  agent?: AgentRuntime;
  events?: NetworkEvents;
}

/** All that listens and dials; nothing does yet. */
function socketsOf(
  options: AgentOptions,
  { id, peers, join, folder }: Checked,
  { logger, answers, later, keys }: { logger: Logger; answers: Outgoing; later: Later; keys: PeerKeys },
): Pick<Parts, "network" | "server" | "finder"> {
  const { cluster } = folder.identity;
  const { wireVersionMax: versionMax = wireVersionMax } = options;
  const network = new TcpNetwork({
    self: id,
    cluster,
    peers,
    wireVersionMax: versionMax,
    logger,
    key: folder.identity.publicKey,
    keys,
    events: {
      receive: (from, group, message) => later.events?.receive(from, group, message),
      linkChanged: (peer, up) => later.events?.linkChanged(peer, up),
      heard: (peer) => later.events?.heard(peer),
    },
  });
  const server = new AgentServer({
    agent: id,
    cluster,
    network,
    wireVersionMax: versionMax,
    logger,
    clients: {
      hub: (group) => later.agent?.hub(group),
      report: (hub) => later.agent?.report(hub) ?? { agent: id, groups: [], agents: [] },
      waiting: (client) => answers.add(client),
    },
  });
  const finder = new PeerFinder({
    self: id,
    cluster,
    addresses: join,
    logger,
    found: (peer, at) => network.add(peer, at),
  });
  return { network, server, finder };
}

/** First others take over what it leads; then nobody gets in and no peer hears more; then the groups and the journal end, then the folder is free. */
async function takeDown(parts: Parts): Promise<void> {
  const { folder, keys, scheduler, server, network, finder, hosting } = parts;
  await hosting.handOver();
  finder.close();
  network.close();
  const closed = server.close();
  await hosting.close();
  await closed;
  keys.flush();
  scheduler.close();
  removeSocket(folder.path, agentSocketName);
  folder.close();
}

/** The end of a turn is when peers' messages and clients' answers leave. */
function networkWithAnswers(network: TcpNetwork, answers: Outgoing): HostingNetwork {
  return {
    send: (to, group, channel, message) => network.send(to, group, channel, message),
    pulse: (to) => network.pulse(to),
    versionOf: (to) => network.versionOf(to),
    flush: () => {
      network.flush();
      answers.flush();
    },
    register: (group, codec) => network.register(group, codec),
    unregister: (group) => network.unregister(group),
  };
}

function checkPeers(self: AgentId, options: AgentOptions): [AgentId, HostPort][] {
  const peers: [AgentId, HostPort][] = [];
  for (const { id, address } of options.peers ?? []) {
    const peer = agentId(id);
    // A list of the whole cluster is welcome: this agent's own line is no peer.
    if (peer === self) continue;
    if (peers.some(([known]) => known === peer)) {
      throw badOption(`The peer ${peer} is named twice.`, "Name each peer once, with one address.");
    }
    peers.push([peer, dialAddress(address, `address of ${peer}`)]);
  }
  return peers;
}

/** Throws `BAD_OPTION` where two agents would listen at one address. */
function checkAddresses(self: AgentId, listen: HostPort, peers: ReadonlyMap<AgentId, HostPort>): void {
  const takenBy = new Map(listen.port === 0 ? [] : [[formatAddress(listen), self]]);
  for (const [peer, at] of peers) {
    const address = formatAddress(at);
    const other = takenBy.get(address);
    if (other !== undefined) {
      throw badOption(
        `The agents ${other} and ${peer} have the same address ${address}.`,
        "Give each the address where it listens.",
      );
    }
    takenBy.set(address, peer);
  }
}

/** Addresses of nobody in particular. This agent's own and those of peers that are named need no search. */
function checkJoin(
  listen: HostPort,
  peers: ReadonlyMap<AgentId, HostPort>,
  { join = [] }: AgentOptions,
): HostPort[] {
  const known = new Set([listen, ...peers.values()].map(formatAddress));
  const searched = new Map(
    join.map((address) => {
      const at = dialAddress(address, "address to join");
      return [formatAddress(at), at];
    }),
  );
  return [...searched].flatMap(([address, at]) => (known.has(address) ? [] : [at]));
}

/** A group takes what the agent has, unless it has its own. */
function withTuning(group: GroupOptions, defaults: GroupTuning): GroupOptions {
  return {
    ...group,
    electionTimeoutMs: group.electionTimeoutMs ?? defaults.electionTimeoutMs,
    heartbeatMs: group.heartbeatMs ?? defaults.heartbeatMs,
    electionPriority: group.electionPriority ?? defaults.electionPriority,
    leaseReads: group.leaseReads ?? defaults.leaseReads,
  };
}
