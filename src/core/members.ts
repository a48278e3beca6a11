/**
 * Who takes part in a group, and how that changes: pure functions from one configuration to the next (joint consensus:
 * Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, section 6). The leader writes what
 * they give into the log; here is only what may follow what.
 *
 * A change of voters takes up to three entries: the *plan* (the newcomers as learners, and the voters to be), the *joint*
 * configuration once they have caught up, in which the old voters and the new must both agree, and the *new* one.
 */
import { assert } from "./assert.ts";
import type { Address, AgentId } from "./ids.ts";
import { limits } from "./limits.ts";
import { encodeText } from "./text.ts";

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

/** A group that an agent is about to join: it learns from the log who takes part. It has no voter, so nobody campaigns by it. */
export const unknownMembers: Members = membersOf(nobody);

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
  // A group is founded with voters: from nobody no change leads anywhere.
  if (target.size === 0 || members.voters.length === 0) return { kind: "fault", fault: "noVoters" };
  if (target.size > limits.votersMax) return { kind: "fault", fault: "tooManyVoters" };
  if (learners.size > limits.learnersMax) return { kind: "fault", fault: "tooManyLearners" };
  const next = areSameNames([...target], members.voters) ? nobody : [...target];
  const addresses = new Map([...members.addresses, ...(change.addresses ?? nowhere)]);
  assert([...addresses.values()].every(isShort), "an address is checked where it comes in");
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

/**
 * What holds of every configuration: there are voters, or {@link unknownMembers}; lists are without repeats and within their
 * limits; `next` is another set than `voters`, of members, and empty while two sets must agree; a learner does not vote, or
 * won't once what is planned is done; addresses are of members.
 */
export function isSound(members: Members): boolean {
  const { voters, outgoing, learners, next, addresses } = members;
  const known = everybody(members);
  if (voters.length === 0) return known.size + next.length + addresses.size === 0;
  const lists = [voters, outgoing, learners, next];
  if (lists.some((list) => new Set(list).size !== list.length)) return false;
  if (Math.max(voters.length, outgoing.length, next.length) > limits.votersMax) return false;
  if (learners.length > limits.learnersMax) return false;
  if (next.length > 0 && (isJoint(members) || areSameNames(next, voters))) return false;
  if (areSameNames(outgoing, voters)) return false;
  const mayLearn = (id: AgentId): boolean => !voters.includes(id) || (next.length > 0 && !next.includes(id));
  return (
    learners.every(mayLearn) &&
    next.every((id) => known.has(id)) &&
    [...addresses].every(([id, address]) => known.has(id) && isShort(address))
  );
}

/**
 * Whether `after` may stand behind `before` in a log: the sets whose majorities decide change one at a time, so a majority by
 * the one and a majority by the other always share a voter. Whoever knew nobody takes what it is given.
 */
export function mayFollow(before: Members, after: Members): boolean {
  if (before.voters.length === 0) return true;
  if (isJoint(before)) return !isJoint(after) && areSameNames(after.voters, before.voters);
  return areSameNames(isJoint(after) ? after.outgoing : after.voters, before.voters);
}

/** The same members in the same parts, in whatever order they are listed. */
export function isSameMembers(left: Members, right: Members): boolean {
  return (
    areSameNames(left.voters, right.voters) &&
    areSameNames(left.outgoing, right.outgoing) &&
    areSameNames(left.learners, right.learners) &&
    areSameNames(left.next, right.next) &&
    left.addresses.size === right.addresses.size &&
    [...left.addresses].every(([id, address]) => right.addresses.get(id) === address)
  );
}

function isShort(address: Address): boolean {
  return encodeText(address).length <= limits.addressBytesMax;
}

/** Whether two lists without repeats name the same. */
export function areSameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((id) => right.includes(id));
}
