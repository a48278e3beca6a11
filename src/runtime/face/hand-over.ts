/** Leadership that goes over, as users ask for it: done once another member leads. */
import { unreachable } from "../../core/assert.ts";
import type { Refusal } from "../../core/boundary.ts";
import { QuorateError } from "../../core/errors.ts";
import type { AgentId } from "../../core/ids.ts";
import type { Cancel, Gateway } from "../gateway.ts";
import type { CheckedWait } from "./options.ts";
import type { Attempt, Questions } from "./questions.ts";

/** A leader that was just elected has yet to hear from the others, so a refusal may be over soon; after that it stands. */
const notReadyMs = 500;

/** What is known of one call. */
interface Known {
  /** Who led before anything was asked. */
  before: string | undefined;
  begun: boolean;
  notReadySinceMs: number | undefined;
}

/**
 * Resolves to who leads, once it is `to`, or somebody else than before. Rejects with `NOT_READY`, `BUSY`, and with `TIMEOUT`
 * or `NO_QUORUM` where it took too long.
 */
export function transferLeadership(
  gateway: Gateway,
  questions: Questions,
  to: AgentId | undefined,
  wait: CheckedWait,
): Promise<string> {
  const known: Known = { before: undefined, begun: false, notReadySinceMs: undefined };
  let cancel: Cancel = () => {};
  const look = (attempt: Attempt<string>): void => {
    cancel = gateway.refreshStatus((result) => {
      const leader = result.kind === "status" ? result.status.leader : undefined;
      if (leader === undefined) {
        attempt.again(attempt.refusal);
      } else if (leader === to || (to === undefined && leader !== (known.before ??= leader))) {
        attempt.succeed(leader);
      } else ask(attempt);
    });
  };
  const ask = (attempt: Attempt<string>): void => {
    cancel = gateway.order({ kind: "transfer", to }, (result) => {
      if (result.kind === "tooOld") attempt.fail(tooOldError());
      else if (result.kind === "accepted" || result.kind === "lost") {
        known.begun = true;
        attempt.again(undefined);
      } else refused(questions, attempt, known, to, result);
    });
  };
  // A hand-over that its leader gave up is begun again, for as long as there is time.
  return questions.attempt((attempt: Attempt<string>) => {
    attempt.whenLate = () => lateError(questions, attempt.refusal, to, known.begun);
    look(attempt);
    return () => cancel();
  }, wait);
}

function refused(
  questions: Questions,
  attempt: Attempt<string>,
  known: Known,
  to: AgentId | undefined,
  refusal: Refusal,
): void {
  if (refusal.kind !== "notReady") {
    known.notReadySinceMs = undefined;
    attempt.again(refusal);
    return;
  }
  const nowMs = questions.clock.nowMs();
  known.notReadySinceMs ??= nowMs;
  if (nowMs - known.notReadySinceMs < notReadyMs) attempt.again(refusal);
  else attempt.fail(notReadyError(to, refusal.agents));
}

function lateError(
  questions: Questions,
  refusal: Refusal | undefined,
  to: AgentId | undefined,
  begun: boolean,
): QuorateError {
  switch (refusal?.kind) {
    case "notReady":
      return notReadyError(to, refusal.agents);
    case "busy":
      return busyError(refusal.because);
    case "notLeader":
    case "overloaded":
    case "diskFull":
    case "closed":
    case "badChange":
      return questions.noAnswer(refusal);
    case undefined:
      return begun ? unfinishedError(to) : questions.noAnswer(undefined);
    default:
      return unreachable(refusal);
  }
}

function notReadyError(to: AgentId | undefined, agents: readonly string[]): QuorateError {
  const who = agents.length === 0 ? "There is nobody else" : `${agents.join(", ")}: not ready`;
  return new QuorateError("NOT_READY", `${to === undefined ? who : `${to} is not ready`} to take over.`, {
    outcome: "notDone",
    hint: "Whoever takes over has to be a voter, run, be heard by the leader, and be able to catch up from its log.",
  });
}

function busyError(because: "memberChange" | "transfer" | "election"): QuorateError {
  const what = {
    memberChange: "a change of members",
    transfer: "another hand-over",
    election: "its election",
  };
  return new QuorateError("BUSY", `The leader is busy with ${what[because]}.`, {
    outcome: "notDone",
    hint: "Try again once that is done.",
    retryAfterMs: 500,
  });
}

function unfinishedError(to: AgentId | undefined): QuorateError {
  return new QuorateError(
    "TIMEOUT",
    `${to === undefined ? "Nobody has taken over" : `${to} has not taken over`} in time.`,
    {
      outcome: "unknown",
      hint: "It may still do so. `quorate status` shows who leads.",
    },
  );
}

function tooOldError(): QuorateError {
  return new QuorateError("PROTOCOL", "The leader's program is too old to hand over.", {
    outcome: "notDone",
    hint: "Upgrade all agents first.",
  });
}
