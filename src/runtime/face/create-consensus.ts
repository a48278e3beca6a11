import { badOption, isList, readOptions, shown, type OptionList } from "../../core/arguments.ts";
import { agentId, type AgentId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { checkTimings, type GroupTimings } from "../group-options.ts";
import type { Logger } from "../logger.ts";
import { MemoryNetwork } from "../memory-network.ts";
import { checkFolder, checkLogger } from "./host-options.ts";
import { inProcessGroup, type InProcessOptions } from "./in-process.ts";
import { checkMechanism } from "./mechanisms.ts";
import { checkKinds, type KindsOf, type NoState, type StateKinds } from "./state-kinds.ts";
import type { Group, Mechanism, Mechanisms } from "./types.ts";

export interface ConsensusOptions<S = StateKinds> extends GroupTimings {
  /** Replicated state machines by name; all members get the same. */
  readonly state?: S | undefined;
  /** Which in-process network the group lives in; by default one for the whole process. */
  readonly network?: MemoryNetwork | undefined;
  /** Each member keeps its journal in a folder of its own in this one, and a later process goes on from there. In memory without it. */
  readonly dataDir?: string | undefined;
  /** Silent by default. What it throws is ignored. */
  readonly logger?: Logger | undefined;
}

const consensusOptions: OptionList<ConsensusOptions> = {
  of: "createConsensus",
  noun: "option",
  like: "{ state: { config: map() } }",
  names: {
    state: true,
    network: true,
    dataDir: true,
    logger: true,
    electionTimeoutMs: true,
    heartbeatMs: true,
  },
};

const processNetwork: MemoryNetwork = new MemoryNetwork();

/**
 * A group within this process: this agent's handle. The first call brings up all members; calling again with any
 * member's id, or `peer(id)`, gives that member's handle. It does not keep the process alive, except while a call waits.
 *
 * `peers`: the other members. Throws `UNKNOWN_MECHANISM`, `BAD_NAME`, `BAD_OPTION`, and `GROUP_MISMATCH` where one of
 * the members is in a different group already, or the group runs with other options than those given.
 */
export function createConsensus<M extends Mechanism, S extends KindsOf<S> = NoState>(
  mechanism: M,
  agentId: string,
  peers: readonly string[],
  options?: ConsensusOptions<S>,
): Mechanisms<S>[M];
/** The same with a mechanism that is known at run time only. */
export function createConsensus(
  mechanism: string,
  agentId: string,
  peers: readonly string[],
  options?: ConsensusOptions,
): Group;
export function createConsensus(
  mechanism: string,
  self: string,
  peers: readonly string[],
  options: ConsensusOptions = {},
): Group {
  const known = checkMechanism(mechanism);
  const members = checkNames(self, peers);
  const group = inProcessGroup({ mechanism: known, members, ...checkOptions(options) });
  return group.handle(agentId(self));
}

function checkNames(self: string, peers: unknown): AgentId[] {
  const own = agentId(self);
  if (!isList(peers)) {
    throw badOption(
      `The peers are ${shown(peers)}, not a list.`,
      'Give the names of the other members, like ["b", "c"].',
    );
  }
  const members = [own, ...Array.from(peers, (name) => agentId(name))];
  const twice = members.find((member, place) => members.indexOf(member) !== place);
  if (twice !== undefined) {
    throw badOption(
      twice === own ? `The agent ${self} is among its own peers.` : `The peer ${twice} is named twice.`,
      "Name each of the other members once.",
    );
  }
  if (members.length > limits.votersMax) {
    throw badOption(
      `A group of ${members.length} members is too large.`,
      `Use at most ${limits.votersMax}: each further one makes every decision slower.`,
    );
  }
  return members;
}

function checkOptions(options: ConsensusOptions): Omit<InProcessOptions, "mechanism" | "members"> {
  const given = readOptions(consensusOptions, options);
  const { electionTimeoutMs, heartbeatMs } = checkTimings(given);
  return {
    network: checkNetwork(given.network),
    kinds: checkKinds(given.state),
    dataDir: given.dataDir === undefined ? undefined : checkFolder(given.dataDir),
    logger: checkLogger(given.logger),
    // What was not given is the same in every running group, whatever that has.
    electionTimeoutMs: given.electionTimeoutMs === undefined ? undefined : electionTimeoutMs,
    heartbeatMs: given.heartbeatMs === undefined ? undefined : heartbeatMs,
  };
}

function checkNetwork(network: unknown): MemoryNetwork {
  if (network === undefined) return processNetwork;
  if (network instanceof MemoryNetwork) return network;
  throw badOption(
    `network is ${shown(network)}, not a MemoryNetwork.`,
    "Make one with `new MemoryNetwork()`, or leave it out.",
  );
}
