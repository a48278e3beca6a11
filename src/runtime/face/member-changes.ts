/** Members that come and go, as users ask for it: by name, what each becomes; done once that is decided. */
import { badOption, isRecord, reading, readOptions, shown, type OptionList } from "../../core/arguments.ts";
import { unreachable } from "../../core/assert.ts";
import type { Refusal } from "../../core/boundary.ts";
import { QuorateError } from "../../core/errors.ts";
import { agentId, type Address, type AgentId } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import type { MemberChange, MemberFault, MemberStep } from "../../core/members.ts";
import { dialAddress, formatAddress } from "../address.ts";
import type { Cancel, Gateway } from "../gateway.ts";
import { MemberOrder } from "../member-order.ts";
import { checkSignal, checkTimeoutMs, type Call, type CheckedWait } from "./options.ts";
import type { Attempt, Questions } from "./questions.ts";

/** What an agent becomes: a voter (once it has caught up), a learner, or no member any more. */
export type MemberRole = MemberStep["kind"];

/** By agent. */
export type MemberRoles = Readonly<Record<string, MemberRole>>;

export interface MemberOptions extends Pick<Call, "signal" | "timeoutMs"> {
  /** Where newcomers listen, as `host:port` by agent. */
  readonly addresses?: Readonly<Record<string, string>> | undefined;
}

export interface CheckedChange {
  readonly change: MemberChange;
  readonly wait: CheckedWait;
}

const roles: readonly MemberRole[] = ["voter", "learner", "removed"];

const memberOptions: OptionList<MemberOptions> = {
  of: "changeMembers",
  noun: "option",
  like: '{ addresses: { d: "127.0.0.1:7404" } }',
  names: { addresses: true, signal: true, timeoutMs: true },
};

/** Throws `BAD_NAME`, `BAD_OPTION`, and `DENIED` for an address beyond this machine. */
export function checkMemberChange(wanted: unknown, options: MemberOptions | undefined): CheckedChange {
  const given = options === undefined ? {} : readOptions(memberOptions, options);
  const steps = entriesOf("The members", wanted, '{ d: "voter", a: "removed" }').map(
    ([id, role]): MemberStep => ({ id: agentId(id), kind: checkRole(id, role) }),
  );
  if (steps.length === 0)
    throw badOption("Nobody is named.", 'Say what becomes of whom, like { d: "voter" }.');
  if (steps.length > limits.votersMax + limits.learnersMax) {
    throw badOption(`These are ${steps.length} members.`, "Name no more than a group may have.");
  }
  const addresses = new Map<AgentId, Address>();
  if (given.addresses !== undefined) {
    for (const [id, address] of entriesOf("The addresses", given.addresses, memberOptions.like)) {
      addresses.set(agentId(id), checkAddress(id, address));
    }
  }
  return {
    change: { steps, addresses },
    wait: { timeoutMs: checkTimeoutMs(given.timeoutMs), signal: checkSignal(given.signal) },
  };
}

function entriesOf(what: string, value: unknown, like: string): [string, unknown][] {
  if (isRecord(value)) return reading(what, () => Object.entries(value));
  throw badOption(`${what} are ${shown(value)}.`, `Give an object by agent, like ${like}.`);
}

function checkRole(id: string, role: unknown): MemberRole {
  const known = roles.find((one) => one === role);
  if (known !== undefined) return known;
  throw badOption(`${id} is to become ${shown(role)}.`, `Give one of: ${roles.join(", ")}.`);
}

function checkAddress(id: string, address: unknown): Address {
  if (typeof address !== "string") {
    throw badOption(`The address of ${id} is ${shown(address)}.`, 'Give a text like "127.0.0.1:7404".');
  }
  return formatAddress(dialAddress(address, `address of ${id}`)) as Address;
}

/**
 * Resolves once every named member is what it was to become, and that is decided. Rejects with `BAD_OPTION` where the group
 * can't be so, and with `TIMEOUT` or `NO_QUORUM` where it took too long: a change that has begun goes on then.
 */
export function changeMembers(
  gateway: Gateway,
  questions: Questions,
  { change, wait }: CheckedChange,
): Promise<void> {
  const order = new MemberOrder(gateway, change);
  const start = (attempt: Attempt<void>): Cancel => {
    attempt.whenLate = () => lateError(attempt.refusal, order.begun);
    return order.attempt((step) => {
      if (step.kind === "decided") attempt.succeed();
      else if (step.kind === "tooOld") attempt.fail(tooOldError());
      else if (step.refusal?.kind === "badChange") attempt.fail(faultError(step.refusal.fault));
      else attempt.again(step.refusal);
    });
  };
  return questions.attempt(start, wait);
}

const faults: Readonly<Record<MemberFault, readonly [message: string, hint: string]>> = {
  joint: ["Another change of members is under way.", "Wait until it is done."],
  noVoters: ["The group would have no voter left.", "Leave at least one, or close the group everywhere."],
  tooManyVoters: [
    `A group has at most ${limits.votersMax} voters.`,
    "Make the others learners: they get everything, and don't slow decisions down.",
  ],
  tooManyLearners: [`A group has at most ${limits.learnersMax} learners.`, "Let the others be clients."],
};

function faultError(fault: MemberFault): QuorateError {
  return badOption(...faults[fault]);
}

function tooOldError(): QuorateError {
  return new QuorateError("PROTOCOL", "The leader's program is too old to change members.", {
    outcome: "notDone",
    hint: "Upgrade all agents first.",
  });
}

function lateError(refusal: Refusal | undefined, begun: boolean): QuorateError {
  if (begun) {
    return new QuorateError("TIMEOUT", "The change of members has begun and is not through yet.", {
      outcome: "unknown",
      hint: "It goes on by itself once the newcomers run, can be reached and have caught up. Ask again to wait for it, or name them `removed` to take it back.",
    });
  }
  return new QuorateError("NO_QUORUM", `The change of members could not begin in time${because(refusal)}.`, {
    outcome: "notDone",
    hint: "Start the members that are missing, upgrade those of an earlier version, or wait until a leader is found, and try again.",
  });
}

function because(refusal: Refusal | undefined): string {
  switch (refusal?.kind) {
    case "notReady":
      return `: some that matter are not heard, or are of an earlier version (${refusal.agents.join(", ")})`;
    case "busy":
      return `: the leader is busy with ${refusal.because === "memberChange" ? "another change" : `its ${refusal.because}`}`;
    case "notLeader":
      return ": no leader is known";
    case "overloaded":
    case "diskFull":
    case "closed":
    case "badChange":
    case undefined:
      return "";
    default:
      return unreachable(refusal);
  }
}
