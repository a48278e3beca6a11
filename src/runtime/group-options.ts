/** What a group is started with, and what is said where an option can't be. */
import { QuorateError } from "../core/errors.ts";
import { agentId, groupName, type AgentId, type GroupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { AnyStateMachine } from "../core/machine.ts";
import { raftTimings } from "../raft/options.ts";

/** The mechanisms that can be hosted; the rest of the house adds its own. */
export const hostedMechanisms = ["raft"] as const;
export type HostedMechanism = (typeof hostedMechanisms)[number];

export interface GroupTimings {
  /** Each wait for a leader is drawn anew from this range. Default 150 to 300 ms. */
  readonly electionTimeoutMs?: readonly [number, number] | undefined;
  /** A leader is heard from at least so often. Default 50 ms; at most half of the shortest election time-out. */
  readonly heartbeatMs?: number | undefined;
}

export interface GroupOptions extends GroupTimings {
  readonly name: string;
  readonly mechanism: string;
  /** The voting members, this agent among them: 1 to 7. */
  readonly members: readonly string[];
  /** State machines by name; `""` is taken by plain proposals. */
  readonly machines?: Readonly<Record<string, AnyStateMachine>>;
}

export interface CheckedGroup {
  readonly name: GroupName;
  readonly mechanism: HostedMechanism;
  readonly voters: readonly AgentId[];
  readonly machines: Readonly<Record<string, AnyStateMachine>>;
  readonly electionTimeoutMs: readonly [number, number];
  readonly heartbeatMs: number;
}

/** Throws `UNKNOWN_MECHANISM`, `BAD_NAME` and `BAD_OPTION`. */
export function checkGroup(self: AgentId, options: GroupOptions): CheckedGroup {
  const name = groupName(options.name);
  const voters = options.members.map((member) => agentId(member));
  if (!voters.includes(self)) {
    throw badOption(
      `Agent ${self} is no member of the group ${name}.`,
      `Its members are ${voters.join(", ") || "none"}: add ${self}, or start the group where its members are.`,
    );
  }
  if (new Set(voters).size < voters.length) {
    throw badOption(`The group ${name} names a member twice.`, "Name each member once.");
  }
  if (voters.length > limits.votersMax) {
    throw badOption(
      `The group ${name} has ${voters.length} voting members.`,
      `Use at most ${limits.votersMax}: each further one makes every decision slower. Others can be clients.`,
    );
  }
  return {
    name,
    mechanism: checkMechanism(options.mechanism),
    voters,
    machines: options.machines ?? {},
    ...checkTimings(options),
  };
}

function checkMechanism(mechanism: string): HostedMechanism {
  const known = hostedMechanisms.find((name) => name === mechanism);
  if (known !== undefined) return known;
  throw new QuorateError("UNKNOWN_MECHANISM", `There is no mechanism ${JSON.stringify(mechanism)}.`, {
    outcome: "notDone",
    hint: `Use one of: ${hostedMechanisms.join(", ")}.`,
  });
}

function checkTimings(timings: GroupTimings): Pick<CheckedGroup, "electionTimeoutMs" | "heartbeatMs"> {
  const electionTimeoutMs = timings.electionTimeoutMs ?? raftTimings.electionTimeoutMs;
  const heartbeatMs = timings.heartbeatMs ?? raftTimings.heartbeatMs;
  const [shortest, longest] = electionTimeoutMs;
  const fits = Number.isFinite(longest) && shortest >= 10 && longest >= shortest;
  if (!fits) {
    throw badOption(
      `electionTimeoutMs is [${shortest}, ${longest}].`,
      "Give the shortest and the longest wait in milliseconds, from 10 on, like [150, 300].",
    );
  }
  if (!(heartbeatMs >= 1 && heartbeatMs * 2 <= shortest)) {
    throw badOption(
      `heartbeatMs is ${heartbeatMs} with an election time-out from ${shortest} ms on.`,
      "Use at least 1 ms and at most half of the shortest election time-out.",
    );
  }
  return { electionTimeoutMs, heartbeatMs };
}

export function badOption(message: string, hint: string): QuorateError {
  return new QuorateError("BAD_OPTION", message, { outcome: "notDone", hint });
}
