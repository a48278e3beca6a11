/** Groups across processes: an agent of one's own (`Agent.start`), or a client of agents elsewhere (`connect`). */
import { agentId } from "../../core/ids.ts";
import { AgentRuntime, type AgentOptions as RuntimeOptions } from "../agent.ts";
import { ClientPool } from "../client-pool.ts";
import { createDataFolder } from "../data-folder.ts";
import { findAgentSockets } from "../find-socket.ts";
import type { Gateway } from "../gateway.ts";
import type { GroupTimings } from "../group-options.ts";
import { clusterIdFrom, clusterIdText } from "../handshake.ts";
import type { Logger } from "../logger.ts";
import { abortedError, badOption, callTimeoutMs, closedError, type Call } from "./call.ts";
import { nodeFaceClock } from "./face-clock.ts";
import { GroupClient } from "./group-client.ts";
import { LogHandle } from "./log-face.ts";
import { checkMechanism } from "./mechanisms.ts";
import { makeMachines, type KindsOf, type NoState, type StateKinds } from "./state-kinds.ts";
import type { Mechanism, Mechanisms } from "./types.ts";

export interface GroupSpec<M extends Mechanism = Mechanism, S = StateKinds> {
  readonly mechanism: M;
  /** The voting members' agents; an agent that does not host the group yet needs them. */
  readonly members?: readonly string[] | undefined;
  /** State machines by name: the same on every member and client. */
  readonly state?: S | undefined;
}

/** Where groups can be had: an agent, or a client. Both have the same face. */
export interface Host extends AsyncDisposable {
  /** A handle; made at once, without I/O. On an agent, the first call for a group brings its member up. */
  group<M extends Mechanism, S extends KindsOf<S> = NoState>(
    name: string,
    spec: GroupSpec<M, S>,
  ): Mechanisms<S>[M];
  /** Ends everything that it opened. Idempotent. */
  close(): Promise<void>;
}

export interface RunningAgent extends Host {
  readonly id: string;
  /** Where it listens, with the actual port. */
  readonly address: string;
}

export interface AgentOptions extends GroupTimings {
  readonly id: string;
  /** The agent's data folder, made once by `Agent.init` or `quorate init`. */
  readonly dataDir: string;
  /** `host:port`; default `127.0.0.1:7400`. Port 0 stands for any free one. */
  readonly listen?: string | undefined;
  /** Where the other agents listen. */
  readonly peers?: readonly { readonly id: string; readonly address: string }[] | undefined;
  /** Refuse a data folder of another cluster: an id that `Agent.init` gave. */
  readonly cluster?: string | undefined;
  /** Silent by default. */
  readonly logger?: Logger | undefined;
  /** The disk failed or an invariant is broken: the agent has stopped for good, and its process should end. */
  readonly onFatal?: ((error: Error) => void) | undefined;
}

export interface AgentInit {
  readonly id: string;
  readonly dataDir: string;
  /** The cluster to belong to; a new one by default. */
  readonly cluster?: string | undefined;
}

export interface ConnectOptions extends Pick<Call, "signal" | "timeoutMs"> {
  /** `host:port` or paths of Unix sockets. Without it: the agents of the nearest `.quorate/` folder upwards. */
  readonly agents?: readonly string[] | undefined;
  /** In whose name this client proposes; made up by default. */
  readonly name?: string | undefined;
  /** Stay with the first agent that answers, rather than go where the leader is. */
  readonly pin?: boolean | undefined;
}

/** What a host needs for a handle. */
interface Way {
  readonly gateway: Gateway;
  readonly proposer: string;
  readonly isMember: boolean;
}

/** The handles of one host: closing the host closes them. */
class Handles {
  readonly #open = new Set<GroupClient>();
  #closed = false;

  make(name: string, mechanism: Mechanism, kinds: StateKinds, way: () => Way): LogHandle<StateKinds> {
    if (this.#closed) throw closedError("notDone");
    const { gateway, proposer, isMember } = way();
    const client: GroupClient = new GroupClient({
      gateway,
      proposer,
      onClose: () => this.#open.delete(client),
    });
    this.#open.add(client);
    return new LogHandle({ client, name, mechanism, kinds, isMember });
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#open) client.close();
  }
}

class AgentHost implements RunningAgent {
  readonly id: string;
  readonly address: string;
  readonly #runtime: AgentRuntime;
  readonly #handles: Handles = new Handles();

  constructor(runtime: AgentRuntime) {
    this.id = runtime.id;
    this.address = runtime.address;
    this.#runtime = runtime;
  }

  group<M extends Mechanism, S extends KindsOf<S> = NoState>(
    name: string,
    spec: GroupSpec<M, S>,
  ): Mechanisms<S>[M] {
    const mechanism = checkMechanism(spec.mechanism);
    const kinds: StateKinds = spec.state ?? {};
    const handle = this.#handles.make(name, mechanism, kinds, () => {
      this.#bringUp(name, mechanism, kinds, spec.members);
      return { gateway: this.#runtime.gateway(name), proposer: this.id, isMember: true };
    });
    // The faces are those of the kinds that were given.
    return handle as unknown as Mechanisms<S>[M];
  }

  async close(): Promise<void> {
    this.#handles.close();
    await this.#runtime.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #bringUp(name: string, mechanism: string, kinds: StateKinds, members: readonly string[] | undefined): void {
    if (this.#runtime.hub(name) !== undefined) return;
    if (members === undefined) {
      throw badOption(
        `Agent ${this.id} does not host a group ${name} yet.`,
        "Give its `members`, this agent among them.",
      );
    }
    this.#runtime.host({ name, mechanism, members, machines: makeMachines(kinds) });
  }
}

class ClientHost implements Host {
  readonly #pool: ClientPool;
  readonly #name: string;
  readonly #handles: Handles = new Handles();

  constructor(pool: ClientPool, name: string) {
    this.#pool = pool;
    this.#name = name;
  }

  group<M extends Mechanism, S extends KindsOf<S> = NoState>(
    name: string,
    spec: GroupSpec<M, S>,
  ): Mechanisms<S>[M] {
    const mechanism = checkMechanism(spec.mechanism);
    const handle = this.#handles.make(name, mechanism, spec.state ?? {}, () => {
      return { gateway: this.#pool.gateway(name), proposer: this.#name, isMember: false };
    });
    return handle as unknown as Mechanisms<S>[M];
  }

  close(): Promise<void> {
    this.#handles.close();
    this.#pool.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export interface AgentStarter {
  /**
   * Makes a data folder with a new key for an agent; gives the id of its cluster, for the other agents' folders.
   * Throws `DATA_EXISTS` where there is one: an agent's memory is never overwritten.
   */
  init(options: AgentInit): { readonly cluster: string };
  /** Opens the data folder, listens, and connects to the peers. Rejects with `DATA_*`, `ADDRESS_IN_USE`, `DENIED`, `BAD_OPTION`. */
  start(options: AgentOptions): Promise<RunningAgent>;
}

/** A member of groups, with a data folder and an address of its own. */
export const Agent: AgentStarter = {
  init({ id, dataDir, cluster }) {
    const options = { agent: agentId(id), ...(cluster !== undefined && { cluster: clusterIdFrom(cluster) }) };
    return { cluster: clusterIdText(createDataFolder(dataDir, options).cluster) };
  },
  async start(options) {
    const { listen, peers, cluster, logger, onFatal, ...rest } = options;
    const runtime: RuntimeOptions = {
      ...rest,
      ...(listen !== undefined && { listen }),
      ...(peers !== undefined && { peers }),
      ...(cluster !== undefined && { cluster: clusterIdFrom(cluster) }),
      ...(logger !== undefined && { logger }),
      ...(onFatal !== undefined && { onFatal }),
    };
    return new AgentHost(await AgentRuntime.start(runtime));
  },
};

/**
 * A client of agents in other processes. Resolves once one of them has answered; rejects with `CANNOT_CONNECT`,
 * `DATA_MISSING` (no `.quorate/` here), `PROTOCOL` or `DENIED`.
 */
export async function connect(options: ConnectOptions = {}): Promise<Host> {
  const connectTimeoutMs = callTimeoutMs(options);
  if (options.signal?.aborted === true) throw abortedError("notDone");
  const name = options.name ?? `client-${nodeFaceClock.unique()}`;
  const agents = options.agents ?? findAgentSockets();
  const { pool } = await ClientPool.connect({ agents, name, connectTimeoutMs, pin: options.pin ?? false });
  return new ClientHost(pool, name);
}
