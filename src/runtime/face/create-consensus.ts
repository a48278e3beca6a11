import { agentId, type AgentId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { GroupTimings } from "../group-options.ts";
import { MemoryNetwork } from "../memory-network.ts";
import { badOption } from "./call.ts";
import { inProcessGroup } from "./in-process.ts";
import { checkMechanism } from "./mechanisms.ts";
import type { KindsOf, NoState, StateKinds } from "./state-kinds.ts";
import type { Group, Mechanism, Mechanisms } from "./types.ts";

export interface ConsensusOptions<S = StateKinds> extends GroupTimings {
  /** Replicated state machines by name; all members get the same. */
  readonly state?: S | undefined;
  /** Which in-process network the group lives in; by default one for the whole process. */
  readonly network?: MemoryNetwork | undefined;
  /** Each member keeps its journal in a folder of its own in this one, and a later process goes on from there. In memory without it. */
  readonly dataDir?: string | undefined;
}

const processNetwork: MemoryNetwork = new MemoryNetwork();

/**
 * A group within this process: this agent's handle. The first call brings up all members; calling again with any
 * member's id, or `peer(id)`, gives that member's handle. It does not keep the process alive, except while a call waits.
 *
 * `peers`: the other members. Throws `UNKNOWN_MECHANISM`, `BAD_NAME`, `BAD_OPTION`, and `GROUP_MISMATCH` where one of
 * the members is in a different group already.
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
  const members = checkMembers(self, peers);
  checkNetwork(options.network);
  const group = inProcessGroup({
    mechanism: known,
    members,
    network: options.network ?? processNetwork,
    kinds: options.state ?? {},
    dataDir: options.dataDir,
    electionTimeoutMs: options.electionTimeoutMs,
    heartbeatMs: options.heartbeatMs,
  });
  return group.handle(agentId(self));
}

function checkMembers(self: string, peers: readonly string[]): AgentId[] {
  checkList(peers);
  const members = [self, ...peers].map((name) => agentId(name));
  const twice = members.find((member, place) => members.indexOf(member) !== place);
  if (twice !== undefined) {
    throw badOption(
      twice === self ? `The agent ${self} is among its own peers.` : `The peer ${twice} is named twice.`,
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

function checkList(peers: unknown): void {
  if (Array.isArray(peers)) return;
  throw badOption("The peers are no list.", 'Give the names of the other members, like ["b", "c"].');
}

function checkNetwork(network: unknown): void {
  if (network === undefined || network instanceof MemoryNetwork) return;
  throw badOption(
    "options.network is no MemoryNetwork.",
    "Make one with `new MemoryNetwork()`, or leave it out.",
  );
}
