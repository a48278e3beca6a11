/** How far a proposal has come; one vocabulary for every mechanism. Table: ARCHITECTURE.md, "Decision states". */
export const decisionStates = ["pending", "proposed", "prepare", "commit", "decided", "rejected"] as const;

export type DecisionState = (typeof decisionStates)[number];

/** Those in between, which an agent reports of a command while it is on its way. The order is on the wire: never change it. */
export const progressStates = ["proposed", "prepare", "commit"] as const;

export type ProgressState = (typeof progressStates)[number];

/** `decided` and `rejected` are final. */
export function isSettled(state: DecisionState): boolean {
  return state === "decided" || state === "rejected";
}

/**
 * Whether a proposal may go from one state to the other: forward along the list, steps may be skipped (an observer may
 * see only every other one), and to `rejected` from any that is not settled.
 */
export function canFollow(from: DecisionState, to: DecisionState): boolean {
  if (isSettled(from)) return false;
  return decisionStates.indexOf(to) > decisionStates.indexOf(from);
}
