/** What a group is started with, and what is said where an option can't be. */
import { badOption, isList, shown, type Given } from "../core/arguments.ts";
import { QuorateError } from "../core/errors.ts";
import { agentId, groupName, type AgentId, type GroupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { AnyStateMachine } from "../core/machine.ts";
import { membersOf, unknownMembers, type Members } from "../core/members.ts";
import { priorityDefault, raftTimings } from "../raft/options.ts";

/** The mechanisms that can be hosted; the rest of the house adds its own. */
export const hostedMechanisms = ["raft"] as const;
export type HostedMechanism = (typeof hostedMechanisms)[number];

const logBytesMin = 4096;

export interface GroupTimings {
  /** Each wait for a leader is drawn anew from this range. Default 150 to 300 ms. */
  readonly electionTimeoutMs?: readonly [number, number] | undefined;
  /** A leader is heard from at least so often. Default 50 ms; at most half of the shortest election time-out. */
  readonly heartbeatMs?: number | undefined;
}

/** How a member behaves as one that leads, or might. */
export interface GroupTuning extends GroupTimings {
  /**
   * 0 to 100, 50 by default: among members that could lead, the one of the highest priority should. It goes first when a
   * leader is gone, and gets leadership once it has been there and caught up for ten longest election time-outs. 0: it
   * leads only where somebody asks it to (`transferLeadership`, `startElection`); give it to fewer than a majority.
   */
  readonly electionPriority?: number | undefined;
  /**
   * False by default. A leader answers linearizable reads without asking the others, as long as a majority of them has just
   * promised to vote for nobody else. Give it to all members. It trusts their clocks to run equally fast, to 10 %, and a machine
   * to notice that it was suspended; otherwise reads may be stale. See "Reads by lease" in docs/operations.md.
   */
  readonly leaseReads?: boolean | undefined;
}

export interface GroupOptions extends GroupTuning {
  readonly name: string;
  readonly mechanism: string;
  /** Who founds the group, this agent among them: 1 to 7 voting members. Later ones are agreed on in the group itself. */
  readonly members: readonly string[];
  /** The group is there already: this agent waits until it is made a member, and learns from the others who they are. */
  readonly joining?: boolean | undefined;
  /** State machines by name; `""` is taken by plain proposals. */
  readonly machines?: Readonly<Record<string, AnyStateMachine>>;
  /** A snapshot is taken, and the log before it let go, when so many bytes were applied since the last. Default 32 MiB. */
  readonly snapshotLogBytes?: number | undefined;
  /**
   * So many bytes of the log before a snapshot are held, at the most, for members that lag: with more missing, one gets the
   * snapshot. As many as the snapshot has are held in any case. Default 256 MiB.
   */
  readonly logHeldBytes?: number | undefined;
}

/** What every group has, given or by default. */
export interface Timings {
  readonly electionTimeoutMs: readonly [number, number];
  readonly heartbeatMs: number;
}

export interface Tuning extends Timings {
  readonly electionPriority: number;
  readonly leaseReads: boolean;
}

export interface CheckedGroup extends Tuning {
  readonly name: GroupName;
  readonly mechanism: HostedMechanism;
  /** Whoever joins knows of nobody. */
  readonly members: Members;
  readonly machines: Readonly<Record<string, AnyStateMachine>>;
  readonly snapshotLogBytes: number;
  readonly logHeldBytes: number;
}

/** Throws `UNKNOWN_MECHANISM`, `BAD_NAME` and `BAD_OPTION`. */
export function checkGroup(self: AgentId, options: GroupOptions): CheckedGroup {
  const name = groupName(options.name);
  return {
    name,
    mechanism: checkMechanism(options.mechanism),
    members: options.joining === true ? unknownMembers : founders(self, name, options.members),
    machines: options.machines ?? {},
    snapshotLogBytes: checkLogBytes("snapshotLogBytes", limits.snapshotLogBytes, options.snapshotLogBytes),
    logHeldBytes: checkLogBytes("logHeldBytes", limits.logHeldBytesMax, options.logHeldBytes),
    ...checkTuning(options),
  };
}

function founders(self: AgentId, group: GroupName, members: readonly string[]): Members {
  const voters = checkMembers(members);
  if (voters.includes(self)) return membersOf(voters);
  throw badOption(
    `Agent ${self} is no member of the group ${group}.`,
    `Its members are ${voters.join(", ")}: add ${self} if it founds the group with them, or have it join the group.`,
  );
}

/** The voting members of a group. Throws `BAD_NAME` and `BAD_OPTION`. */
export function checkMembers(members: unknown): readonly AgentId[] {
  if (!isList(members)) {
    throw badOption(
      `The members are ${shown(members)}, not a list.`,
      'Give their names, like ["a", "b", "c"].',
    );
  }
  const voters = Array.from(members, (member) => agentId(member));
  if (voters.length === 0) throw badOption("A group needs a member.", "Name the agents that decide in it.");
  const twice = voters.find((voter, place) => voters.indexOf(voter) !== place);
  if (twice !== undefined) throw badOption(`The member ${twice} is named twice.`, "Name each member once.");
  if (voters.length > limits.votersMax) {
    throw badOption(
      `A group of ${voters.length} members is too large.`,
      `Use at most ${limits.votersMax}: each further one makes every decision slower. Others can be clients.`,
    );
  }
  return voters;
}

function checkLogBytes(name: string, usual: number, given: unknown = usual): number {
  if (typeof given === "number" && Number.isSafeInteger(given) && given >= logBytesMin) return given;
  throw badOption(
    `${name} is ${shown(given)}.`,
    `Give a whole number from ${logBytesMin} on: with less, an agent does little else than to take or send snapshots.`,
  );
}

function checkMechanism(mechanism: string): HostedMechanism {
  const known = hostedMechanisms.find((name) => name === mechanism);
  if (known !== undefined) return known;
  throw new QuorateError("UNKNOWN_MECHANISM", `There is no mechanism ${shown(mechanism)}.`, {
    outcome: "notDone",
    hint: `Use one of: ${hostedMechanisms.join(", ")}.`,
  });
}

/** With the defaults for what was not given. Throws `BAD_OPTION`. */
export function checkTimings(given: Given<GroupTimings>): Timings {
  const { electionTimeoutMs = raftTimings.electionTimeoutMs, heartbeatMs = raftTimings.heartbeatMs } = given;
  if (!isRange(electionTimeoutMs)) {
    throw badOption(
      `electionTimeoutMs is ${isList(electionTimeoutMs) ? `[${electionTimeoutMs.map(shown).join(", ")}]` : shown(electionTimeoutMs)}.`,
      "Give the shortest and the longest wait in milliseconds, from 10 on, like [150, 300].",
    );
  }
  const [shortest, longest] = electionTimeoutMs;
  if (!(typeof heartbeatMs === "number" && heartbeatMs >= 1 && heartbeatMs * 2 <= shortest)) {
    throw badOption(
      `heartbeatMs is ${shown(heartbeatMs)} with an election time-out from ${shortest} ms on.`,
      "Use at least 1 ms and at most half of the shortest election time-out.",
    );
  }
  return { electionTimeoutMs: [shortest, longest], heartbeatMs };
}

/** With the defaults for what was not given. Throws `BAD_OPTION`. */
export function checkTuning(given: Given<GroupTuning>): Tuning {
  const { electionPriority = priorityDefault, leaseReads = false } = given;
  if (!isPriority(electionPriority)) {
    throw badOption(
      `electionPriority is ${shown(electionPriority)}.`,
      `Give a whole number from 0, which leads only where it is asked to, to ${limits.priorityMax}; ${priorityDefault} is the usual.`,
    );
  }
  if (typeof leaseReads !== "boolean") {
    throw badOption(
      `leaseReads is ${shown(leaseReads)}.`,
      "Give true, where clocks can be trusted to run equally fast, or false.",
    );
  }
  return { ...checkTimings(given), electionPriority, leaseReads };
}

function isPriority(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= limits.priorityMax;
}

function isRange(value: unknown): value is readonly [number, number] {
  if (!isList(value) || value.length !== 2) return false;
  const [shortest, longest] = value;
  const areNumbers = typeof shortest === "number" && typeof longest === "number" && Number.isFinite(longest);
  return areNumbers && shortest >= 10 && longest >= shortest;
}
