/**
 * Who takes part in a group, and how that changes: pure functions from one configuration to the next (joint consensus:
 * Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, section 6). The leader writes what
 * they give into the log; here is only what may follow what.
 *
 * A change of voters takes up to three entries: the *plan* (the newcomers as learners, and the voters to be), the *joint*
 * configuration once they have caught up, in which the old voters and the new must both agree, and the *new* one.
 */
import { assert } from "./assert.ts";
import { limits } from "./limits.ts";
import type { Address, AgentId } from "./ids.ts";

/** Who takes part in a group. Lists are without repeats. */
export interface Members {
  readonly voters: readonly AgentId[];
  /** The voters being replaced, while both sets must agree (joint consensus); else empty. */
  readonly outgoing: readonly AgentId[];
  /** Get the log and do not vote. A voter or outgoing voter among them is a learner once it votes no more. */
  readonly learners: readonly AgentId[];
  /** The voters to be, once each of them has caught up; empty: no change is planned. Those who don't vote yet are learners. */
  readonly next: readonly AgentId[];
  /** Where members listen, as far as whoever changed the members said so. */
  readonly addresses: ReadonlyMap<AgentId, Address>;
}

/** What one member becomes. */
export interface MemberStep {
  readonly kind: "voter" | "learner" | "removed";
  readonly id: AgentId;
}

/** What somebody asks for: any number of members at once. */
export interface MemberChange {
  readonly steps: readonly MemberStep[];
  /** Where newcomers listen, or members from now on. */
  readonly addresses?: ReadonlyMap<AgentId, Address>;
}

/** Why a configuration can't follow another. `joint`: the change before has to end first. */
export type MemberFault = "joint" | "noVoters" | "tooManyVoters" | "tooManyLearners";

export type MembersResult =
  | { readonly kind: "members"; readonly members: Members }
  | { readonly kind: "fault"; readonly fault: MemberFault };

const nobody: readonly AgentId[] = [];
const nowhere: ReadonlyMap<AgentId, Address> = new Map();

/** A configuration at rest. */
export function membersOf(voters: readonly AgentId[], learners: readonly AgentId[] = nobody): Members {
  return { voters, outgoing: nobody, learners, next: nobody, addresses: nowhere };
}

export function isJoint(members: Members): boolean {
  return members.outgoing.length > 0;
}

/** Everybody, each once. */
export function everybody({ voters, outgoing, learners }: Members): Set<AgentId> {
  return new Set([...voters, ...outgoing, ...learners]);
}

/**
 * The configuration that says what `change` will lead to. It asks for no other quorum than `members` does: newcomers are
 * learners, learners that go are gone, and the voters to be are named. Steps count on from what was planned before, in their
 * order. Its `next` is empty where the voters stay who they are.
 */
export function planMembers(members: Members, change: MemberChange): MembersResult {
  if (isJoint(members)) return { kind: "fault", fault: "joint" };
  const target = new Set(members.next.length > 0 ? members.next : members.voters);
  const learners = new Set(members.learners);
  for (const { kind, id } of change.steps) {
    if (kind === "voter") target.add(id);
    else target.delete(id);
    if (kind === "removed" || (kind === "voter" && members.voters.includes(id))) learners.delete(id);
    else learners.add(id);
  }
  if (target.size === 0) return { kind: "fault", fault: "noVoters" };
  if (target.size > limits.votersMax) return { kind: "fault", fault: "tooManyVoters" };
  if (learners.size > limits.learnersMax) return { kind: "fault", fault: "tooManyLearners" };
  const voters = new Set(members.voters);
  const next = isSame(target, voters) ? nobody : [...target];
  const addresses = new Map([...members.addresses, ...(change.addresses ?? nowhere)]);
  return {
    kind: "members",
    members: withoutStrangers({ ...members, learners: [...learners], next, addresses }),
  };
}

/** Old and new voters together: from here on majorities of both must agree. */
export function enterJoint(planned: Members): Members {
  assert(planned.next.length > 0, "a joint configuration is entered where voters change");
  assert(!isJoint(planned), "one joint configuration at a time");
  return {
    ...planned,
    voters: planned.next,
    outgoing: planned.voters,
    learners: planned.learners.filter((id) => !planned.next.includes(id)),
    next: nobody,
  };
}

/** The new voters alone. */
export function leaveJoint(joint: Members): Members {
  assert(isJoint(joint), "only a joint configuration is left");
  return withoutStrangers({ ...joint, outgoing: nobody });
}

/** Without the addresses of those who take no part. */
function withoutStrangers(members: Members): Members {
  const known = everybody(members);
  const addresses = new Map([...members.addresses].filter(([id]) => known.has(id)));
  return { ...members, addresses };
}

function isSame(left: ReadonlySet<AgentId>, right: ReadonlySet<AgentId>): boolean {
  return left.size === right.size && [...left].every((id) => right.has(id));
}
