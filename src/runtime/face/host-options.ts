/** What agents, clients and their groups are made with: the options, read and checked once, before anything is opened. */
import { resolve } from "node:path";
import { badOption, isList, readOptions, shown, type OptionList } from "../../core/arguments.ts";
import { QuorateError } from "../../core/errors.ts";
import { agentId, type AgentId } from "../../core/ids.ts";
import { checkWireVersion, type WireVersion } from "../../core/wire-version.ts";
import type { AgentOptions as RuntimeOptions } from "../agent.ts";
import { checkMembers, checkTuning, type GroupTuning } from "../group-options.ts";
import { clusterIdFrom } from "../handshake.ts";
import type { Logger } from "../logger.ts";
import { checkMechanism } from "./mechanisms.ts";
import { checkSignal, checkTimeoutMs, type Call, type CheckedWait } from "./options.ts";
import { checkKinds, type StateKinds } from "./state-kinds.ts";
import type { Mechanism } from "./types.ts";

export interface GroupSpec<M extends Mechanism = Mechanism, S = StateKinds> {
  readonly mechanism: M;
  /** Who founds the group: its voting members' agents. An agent that does not host the group yet needs them, unless it joins. */
  readonly members?: readonly string[] | undefined;
  /**
   * The group is there already, and this agent is no founder of it: it waits until it is made a member
   * (`changeMembers`, `quorate members add`) and learns from the others who they are. Default false.
   */
  readonly joining?: boolean | undefined;
  /** State machines by name: the same on every member and client. */
  readonly state?: S | undefined;
}

export interface AgentOptions extends GroupTuning {
  readonly id: string;
  /** The agent's data folder, made once by `Agent.init` or `quorate init`. */
  readonly dataDir: string;
  /** `host:port`; default `127.0.0.1:7400`. Port 0 stands for any free one. */
  readonly listen?: string | undefined;
  /**
   * Where other agents of the cluster listen, whichever they are: this one asks who is there, for as long as it takes. One
   * list for all agents will do, since its own address is left out.
   */
  readonly join?: readonly string[] | undefined;
  /** The same where it is known who they are. */
  readonly peers?: readonly { readonly id: string; readonly address: string }[] | undefined;
  /** Refuse a data folder of another cluster: an id that `Agent.init` gave. */
  readonly cluster?: string | undefined;
  /**
   * Speak no version of the wire above this one: until every agent of the cluster is upgraded, nothing is then done that
   * older ones do not understand. Default: the newest.
   */
  readonly wireVersionMax?: WireVersion | undefined;
  /** Silent by default. What it throws is ignored. */
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

const agentOptions: OptionList<AgentOptions> = {
  of: "Agent.start",
  noun: "option",
  like: '{ id: "a", dataDir: "./data" }',
  names: {
    id: true,
    dataDir: true,
    listen: true,
    join: true,
    peers: true,
    cluster: true,
    wireVersionMax: true,
    logger: true,
    onFatal: true,
    electionTimeoutMs: true,
    heartbeatMs: true,
    electionPriority: true,
    leaseReads: true,
  },
};

const initOptions: OptionList<AgentInit> = {
  of: "Agent.init",
  noun: "option",
  like: '{ id: "a", dataDir: "./data" }',
  names: { id: true, dataDir: true, cluster: true },
};

const connectOptions: OptionList<ConnectOptions> = {
  of: "connect",
  noun: "option",
  like: '{ agents: ["127.0.0.1:7400"] }',
  names: { agents: true, name: true, pin: true, signal: true, timeoutMs: true },
};

const groupOptions: OptionList<GroupSpec> = {
  of: "a group",
  noun: "option",
  like: '{ mechanism: "raft", members: ["a", "b", "c"] }',
  names: { mechanism: true, members: true, joining: true, state: true },
};

type PeerAddress = NonNullable<RuntimeOptions["peers"]>[number];

const peerParts: OptionList<PeerAddress> = {
  of: "a peer",
  noun: "part",
  like: '{ id: "b", address: "127.0.0.1:7401" }',
  names: { id: true, address: true },
};

/** Throws `BAD_NAME` and `BAD_OPTION`. */
export function checkAgentOptions(options: AgentOptions): RuntimeOptions {
  const given = readOptions(agentOptions, options);
  const { listen, join, peers, cluster, onFatal } = given;
  const logger = checkLogger(given.logger);
  const wireVersionMax = checkWireVersion(given.wireVersionMax);
  if (onFatal !== undefined && !isFunction(onFatal)) {
    throw badOption(
      `onFatal is ${shown(onFatal)}.`,
      "Give a function that takes the error, or leave it out.",
    );
  }
  return {
    id: agentId(given.id),
    dataDir: checkFolder(given.dataDir),
    ...checkTuning(given),
    ...(listen !== undefined && { listen: checkAddress("listen", listen) }),
    ...(join !== undefined && { join: checkAddresses("addresses to join", join) }),
    ...(peers !== undefined && { peers: checkPeers(peers) }),
    ...(cluster !== undefined && { cluster: checkCluster(cluster) }),
    ...(wireVersionMax !== undefined && { wireVersionMax }),
    ...(logger !== undefined && { logger }),
    ...(onFatal !== undefined && { onFatal }),
  };
}

export interface CheckedInit {
  readonly id: AgentId;
  readonly dataDir: string;
  readonly cluster: Uint8Array | undefined;
}

/** Throws `BAD_NAME` and `BAD_OPTION`. */
export function checkInit(options: AgentInit): CheckedInit {
  const { id, dataDir, cluster } = readOptions(initOptions, options);
  return {
    id: agentId(id),
    dataDir: checkFolder(dataDir),
    cluster: cluster === undefined ? undefined : checkCluster(cluster),
  };
}

export interface CheckedConnect extends CheckedWait {
  readonly agents: readonly string[] | undefined;
  readonly name: string | undefined;
  readonly pin: boolean;
}

/** Throws `BAD_NAME` and `BAD_OPTION`. */
export function checkConnect(options: ConnectOptions): CheckedConnect {
  const { agents, name, pin, signal, timeoutMs } = readOptions(connectOptions, options);
  if (pin !== undefined && typeof pin !== "boolean") {
    throw badOption(`pin is ${shown(pin)}.`, "Give true or false, or leave it out.");
  }
  return {
    agents: agents === undefined ? undefined : checkAddresses("agents", agents),
    name: name === undefined ? undefined : checkClientName(name),
    pin: pin ?? false,
    signal: checkSignal(signal),
    timeoutMs: checkTimeoutMs(timeoutMs),
  };
}

export interface CheckedSpec {
  readonly mechanism: Mechanism;
  readonly members: readonly AgentId[] | undefined;
  readonly joining: boolean;
  readonly kinds: StateKinds;
}

/** Throws `UNKNOWN_MECHANISM`, `BAD_NAME` and `BAD_OPTION`. */
export function checkSpec(spec: GroupSpec<Mechanism, unknown>): CheckedSpec {
  const { mechanism, members, joining = false, state } = readOptions(groupOptions, spec);
  if (typeof joining !== "boolean") {
    throw badOption(`joining is ${shown(joining)}.`, "Give true or false, or leave it out.");
  }
  if (joining && members !== undefined) {
    throw badOption(
      "A group is given members and is to be joined.",
      "Give its founders `members`, and those who come later `joining: true`.",
    );
  }
  return {
    mechanism: checkMechanism(mechanism),
    members: members === undefined ? undefined : checkMembers(members),
    joining,
    kinds: checkKinds(state),
  };
}

/** The whole path, so that it stays the same folder wherever the process goes later. Throws `BAD_OPTION`. */
export function checkFolder(dataDir: unknown): string {
  if (typeof dataDir === "string" && dataDir !== "" && !dataDir.includes("\0")) return resolve(dataDir);
  throw badOption(`dataDir is ${shown(dataDir)}.`, 'Give the path of a folder as text, like "./data".');
}

/** Throws `BAD_OPTION`. */
export function checkLogger(logger: unknown): Logger | undefined {
  if (logger === undefined || isLogger(logger)) return logger;
  throw badOption(
    `logger is ${shown(logger)}, which does not have what a logger needs.`,
    "Give an object with the methods info, warn and error, like console.",
  );
}

function isFunction(value: unknown): value is (...given: unknown[]) => void {
  return typeof value === "function";
}

function isLogger(logger: unknown): logger is Logger {
  try {
    const { info, warn, error } = logger as Partial<Logger>;
    return [info, warn, error].every((method) => typeof method === "function");
  } catch {
    return false;
  }
}

function checkPeers(peers: unknown): readonly PeerAddress[] {
  if (!isList(peers)) {
    throw badOption(`The peers are ${shown(peers)}, not a list.`, `Give a list of ${peerParts.like}.`);
  }
  return Array.from(peers, (peer) => {
    const given = readOptions(peerParts, peer);
    const id = agentId(given.id);
    return { id, address: checkAddress(`The address of ${id}`, given.address) };
  });
}

function checkAddresses(what: string, addresses: unknown): readonly string[] {
  if (!isList(addresses)) {
    throw badOption(
      `The ${what} are ${shown(addresses)}, not a list.`,
      'Give a list of addresses: ["127.0.0.1:7400"].',
    );
  }
  return Array.from(addresses, (address) => checkAddress(`One of the ${what}`, address));
}

/** Only that it is a text: whether it is an address is known where it is used. */
function checkAddress(what: string, address: unknown): string {
  if (typeof address === "string") return address;
  throw badOption(`${what} is ${shown(address)}.`, 'Give a text like "127.0.0.1:7400".');
}

function checkCluster(cluster: unknown): Uint8Array {
  if (typeof cluster === "string" && /^[0-9a-f]{32}$/.test(cluster)) return clusterIdFrom(cluster);
  throw badOption(
    `cluster is ${shown(cluster)}.`,
    "Give the id that Agent.init gave: 32 hexadecimal digits in lower case.",
  );
}

/** It stands in the log beside what the client proposes, and in the agents' notes. */
function checkClientName(name: unknown): string {
  const fits = typeof name === "string" && name !== "" && name.length <= 64 && !/\p{Surrogate}/u.test(name);
  if (fits) return name;
  throw new QuorateError("BAD_NAME", `${shown(name)} is not a name for a client.`, {
    outcome: "notDone",
    hint: "Use 1 to 64 characters of text, or leave it out.",
  });
}
