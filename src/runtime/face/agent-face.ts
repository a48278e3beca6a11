/** Groups across processes: an agent of one's own (`Agent.start`), or a client of agents elsewhere (`connect`). */
import { badOption } from "../../core/arguments.ts";
import { QuorateError } from "../../core/errors.ts";
import { groupName, type AgentId } from "../../core/ids.ts";
import { AgentRuntime } from "../agent.ts";
import { ClientPool } from "../client-pool.ts";
import { createDataFolder } from "../data-folder.ts";
import { findAgentSockets } from "../find-socket.ts";
import type { Gateway } from "../gateway.ts";
import { clusterIdText } from "../handshake.ts";
import { abortedError, closedError } from "./call.ts";
import { nodeFaceClock } from "./face-clock.ts";
import { GroupClient } from "./group-client.ts";
import {
  checkAgentOptions,
  checkConnect,
  checkInit,
  checkSpec,
  type AgentInit,
  type AgentOptions,
  type CheckedSpec,
  type ConnectOptions,
  type GroupSpec,
} from "./host-options.ts";
import { LogHandle } from "./log-face.ts";
import { makeMachines, type KindsOf, type NoState, type StateKinds } from "./state-kinds.ts";
import type { Mechanism, Mechanisms } from "./types.ts";

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

  make(name: string, { mechanism, kinds }: CheckedSpec, way: () => Way): LogHandle<StateKinds> {
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
    const group = groupName(name);
    const checked = checkSpec(spec);
    const handle = this.#handles.make(group, checked, () => {
      this.#bringUp(group, checked);
      return { gateway: this.#runtime.gateway(group), proposer: this.id, isMember: true };
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

  #bringUp(name: string, { mechanism, kinds, members, joining }: CheckedSpec): void {
    const hub = this.#runtime.hub(name);
    if (hub !== undefined) {
      if (members !== undefined) requireMembers(name, members, hub.status()?.members ?? members);
      return;
    }
    if (members === undefined && !joining) {
      throw badOption(
        `Agent ${this.id} does not host a group ${name} yet.`,
        "Give its `members`, this agent among them, or `joining: true` where the group is there already.",
      );
    }
    this.#runtime.host({ name, mechanism, members: members ?? [], joining, machines: makeMachines(kinds) });
  }
}

/** Throws `GROUP_MISMATCH` unless both name the same, in whatever order. */
function requireMembers(name: string, given: readonly AgentId[], has: readonly string[]): void {
  if (given.length === has.length && given.every((member) => has.includes(member))) return;
  throw new QuorateError("GROUP_MISMATCH", `The group ${name} has other members: ${has.join(", ")}.`, {
    outcome: "notDone",
    hint: "Name the same members, or none, or give this group another name.",
  });
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
    const group = groupName(name);
    const handle = this.#handles.make(group, checkSpec(spec), () => {
      return { gateway: this.#pool.gateway(group), proposer: this.#name, isMember: false };
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
  init(options) {
    const { id, dataDir, cluster } = checkInit(options);
    const identity = createDataFolder(dataDir, { agent: id, ...(cluster !== undefined && { cluster }) });
    return { cluster: clusterIdText(identity.cluster) };
  },
  async start(options) {
    return new AgentHost(await AgentRuntime.start(checkAgentOptions(options)));
  },
};

/**
 * A client of agents in other processes. Resolves once one of them has answered; rejects with `CANNOT_CONNECT`,
 * `DATA_MISSING` (no `.quorate/` here), `PROTOCOL` or `DENIED`.
 */
export async function connect(options: ConnectOptions = {}): Promise<Host> {
  const { agents = findAgentSockets(), timeoutMs, signal, pin, ...given } = checkConnect(options);
  const name = given.name ?? `client-${nodeFaceClock.unique()}`;
  if (signal?.aborted === true) throw abortedError("notDone");
  const pool = new ClientPool({ agents, name, connectTimeoutMs: timeoutMs, pin });
  await openUnlessAborted(pool, signal);
  return new ClientHost(pool, name);
}

/** Rejects with `ABORTED` as soon as the signal says so; then nothing stays open. */
async function openUnlessAborted(pool: ClientPool, signal: AbortSignal | undefined): Promise<void> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      pool.close();
      reject(abortedError("notDone"));
    };
    signal?.addEventListener("abort", stop);
  });
  try {
    await Promise.race([pool.open(), aborted]);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
