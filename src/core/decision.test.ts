import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canFollow, type DecisionState, decisionStates, isSettled } from "./decision.ts";

const yes = true;
const no = false;

// Total: a new state does not compile until each of its cells is thought about.
const follows: Record<DecisionState, Record<DecisionState, boolean>> = {
  pending: { pending: no, proposed: yes, prepare: yes, commit: yes, decided: yes, rejected: yes },
  proposed: { pending: no, proposed: no, prepare: yes, commit: yes, decided: yes, rejected: yes },
  prepare: { pending: no, proposed: no, prepare: no, commit: yes, decided: yes, rejected: yes },
  commit: { pending: no, proposed: no, prepare: no, commit: no, decided: yes, rejected: yes },
  decided: { pending: no, proposed: no, prepare: no, commit: no, decided: no, rejected: no },
  rejected: { pending: no, proposed: no, prepare: no, commit: no, decided: no, rejected: no },
};

describe("the states of a decision", () => {
  it("are six, in the order in which a proposal goes through them", () => {
    expect(decisionStates).toEqual(["pending", "proposed", "prepare", "commit", "decided", "rejected"]);
    expect(Object.keys(follows)).toEqual(decisionStates);
  });

  it.each(decisionStates.flatMap((from) => decisionStates.map((to) => [from, to] as const)))(
    "from %s to %s: as the table says",
    (from, to) => {
      expect(canFollow(from, to)).toBe(follows[from][to]);
    },
  );

  it("are settled where nothing can follow", () => {
    for (const state of decisionStates) {
      expect(isSettled(state)).toBe(Object.values(follows[state]).every((follow) => !follow));
    }
  });

  it("never come twice and always end, whatever path is taken", () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.constantFrom(...decisionStates)), (stream) => {
        const path: DecisionState[] = ["pending"];
        for (const next of stream) {
          const last = path.at(-1) ?? "pending";
          if (isSettled(last)) break;
          if (canFollow(last, next)) path.push(next);
        }
        expect(new Set(path).size).toBe(path.length);
        expect(["decided", "rejected"]).toContain(path.at(-1));
      }),
    );
  });
});
