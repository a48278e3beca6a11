import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AgentId, LogIndex } from "./ids.ts";
import {
  committedIndex,
  everyIndex,
  flexible,
  jointCommittedIndex,
  jointVoteResult,
  majority,
  voteResult,
  weighted,
  weightedCommittedIndex,
  weightedVoteResult,
} from "./quorum.ts";

const agents = (count: number): AgentId[] =>
  Array.from({ length: count }, (_, at) => `agent_${at}` as AgentId);

/** Every subset of the voters, as a list of members. */
function subsets(voters: readonly AgentId[]): AgentId[][] {
  const all: AgentId[][] = [];
  for (let mask = 0; mask < 1 << voters.length; mask++) {
    all.push(voters.filter((_, at) => (mask & (1 << at)) !== 0));
  }
  return all;
}

type Enough = (members: readonly AgentId[]) => boolean;

/** The definition itself: the highest index such that those who have reached it are enough. */
function committedByBruteForce(
  voters: readonly AgentId[],
  matched: ReadonlyMap<AgentId, number>,
  enough: Enough,
): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  let best = 0;
  for (const members of subsets(voters)) {
    if (enough(members)) best = Math.max(best, Math.min(...members.map((id) => matched.get(id) ?? 0)));
  }
  return best;
}

/** The definition itself: try every way in which the votes that are still out could come in. */
function voteByBruteForce(
  voters: readonly AgentId[],
  votes: ReadonlyMap<AgentId, boolean>,
  enough: Enough,
): string {
  const out = voters.filter((id) => !votes.has(id));
  const yes = voters.filter((id) => votes.get(id) === true);
  const wins = subsets(out).map((late) => enough([...yes, ...late]));
  if (wins.every(Boolean)) return "won";
  return wins.some(Boolean) ? "pending" : "lost";
}

const moreThanHalfOf =
  (voters: readonly AgentId[]): Enough =>
  (members) =>
    members.length * 2 > voters.length;

const situation = fc.integer({ min: 1, max: 7 }).chain((count) =>
  fc.record({
    voters: fc.constant(agents(count)),
    matched: fc.array(fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }), {
      minLength: count,
      maxLength: count,
    }),
    votes: fc.array(fc.option(fc.boolean(), { nil: undefined }), { minLength: count, maxLength: count }),
    weights: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: count, maxLength: count }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

function mapOf<T>(voters: readonly AgentId[], values: readonly (T | undefined)[]): Map<AgentId, T> {
  const map = new Map<AgentId, T>();
  voters.forEach((id, at) => {
    const value = values[at];
    if (value !== undefined) map.set(id, value);
  });
  return map;
}

const lookUp =
  (matched: ReadonlyMap<AgentId, number>) =>
  (id: AgentId): LogIndex | undefined =>
    matched.get(id) as LogIndex | undefined;

describe("a majority", () => {
  it("is the smallest count that is more than half", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(majority)).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
  });

  it("is not of half a voter", () => {
    expect(() => majority(2.5)).toThrow("whole number");
    expect(() => majority(-1)).toThrow("whole number");
  });

  it("pitfall 8: commits what the definition commits, whatever is known of whom", () => {
    fc.assert(
      fc.property(situation, ({ voters, matched }) => {
        const map = mapOf(voters, matched);
        const expected = committedByBruteForce(voters, map, moreThanHalfOf(voters));
        expect(committedIndex(voters, lookUp(map))).toBe(expected);
      }),
    );
  });

  it("pitfall 8: decides a vote as soon as the votes that are out can't change it, and no sooner", () => {
    fc.assert(
      fc.property(situation, ({ voters, votes }) => {
        const map = mapOf(voters, votes);
        const expected = voteByBruteForce(voters, map, moreThanHalfOf(voters));
        expect(voteResult(voters, (id) => map.get(id))).toBe(expected);
      }),
    );
  });

  it("of nobody has no objection: everything is committed, every vote is won", () => {
    expect(committedIndex([], () => undefined)).toBe(everyIndex);
    expect(voteResult([], () => undefined)).toBe("won");
  });

  it("asks about each voter once, since it runs at every acknowledgement", () => {
    let asked = 0;
    committedIndex(agents(7), () => {
      asked += 1;
      return 1 as LogIndex;
    });
    expect(asked).toBe(7);
  });

  it("forgets nothing from one call to the next: a small group after a large one", () => {
    committedIndex(agents(7), () => 100 as LogIndex);
    const two = new Map([["agent_0" as AgentId, 3]]);
    expect(committedIndex(agents(2), lookUp(two))).toBe(0);
  });
});

describe("joint quorums", () => {
  const sets = fc.record({
    voters: fc.subarray(agents(6)),
    outgoing: fc.subarray(agents(6)),
    matched: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 6, maxLength: 6 }),
    votes: fc.array(fc.option(fc.boolean(), { nil: undefined }), { minLength: 6, maxLength: 6 }),
  });

  it("pitfall 8: commit only what both sets commit", () => {
    fc.assert(
      fc.property(sets, ({ voters, outgoing, matched }) => {
        const map = mapOf(agents(6), matched);
        const expected = Math.min(committedIndex(voters, lookUp(map)), committedIndex(outgoing, lookUp(map)));
        expect(jointCommittedIndex({ voters, outgoing }, lookUp(map))).toBe(expected);
      }),
    );
  });

  it("are won by both, lost by either, whichever is which", () => {
    fc.assert(
      fc.property(sets, ({ voters, outgoing, votes }) => {
        const map = mapOf(agents(6), votes);
        const voteOf = (id: AgentId): boolean | undefined => map.get(id);
        const results = [voteResult(voters, voteOf), voteResult(outgoing, voteOf)];
        const expected = results.includes("lost") ? "lost" : results.includes("pending") ? "pending" : "won";
        expect(jointVoteResult({ voters, outgoing }, voteOf)).toBe(expected);
        expect(jointVoteResult({ voters: outgoing, outgoing: voters }, voteOf)).toBe(expected);
      }),
    );
  });

  it("with nobody outgoing are plain majorities", () => {
    const members = { voters: agents(3), outgoing: [] };
    const map = new Map([
      ["agent_0" as AgentId, 7],
      ["agent_1" as AgentId, 5],
    ]);
    expect(jointCommittedIndex(members, lookUp(map))).toBe(5);
    expect(jointVoteResult(members, (id) => id === "agent_0" || undefined)).toBe("pending");
  });
});

describe("flexible quorums", () => {
  const isRefused = (sizes: Parameters<typeof flexible>[0]): boolean => {
    try {
      expect(flexible(sizes)).toEqual(sizes);
      return false;
    } catch (error) {
      expect(error).toMatchObject({ code: "BAD_OPTION", outcome: "notDone" });
      return true;
    }
  };

  it("are refused exactly where a replication quorum could miss an election quorum", () => {
    for (let count = 1; count <= 6; count++) {
      for (let replicationQuorum = 1; replicationQuorum <= count; replicationQuorum++) {
        for (let electionQuorum = 1; electionQuorum <= count; electionQuorum++) {
          const voters = agents(count);
          const alwaysMeet = subsets(voters)
            .filter((members) => members.length === replicationQuorum)
            .every((one) =>
              subsets(voters)
                .filter((members) => members.length === electionQuorum)
                .every((other) => one.some((id) => other.includes(id))),
            );
          expect(isRefused({ count, replicationQuorum, electionQuorum })).toBe(!alwaysMeet);
        }
      }
    }
  });

  it.each([
    { count: 0, replicationQuorum: 1, electionQuorum: 1 },
    { count: 3, replicationQuorum: 0, electionQuorum: 3 },
    { count: 3, replicationQuorum: 4, electionQuorum: 1 },
    { count: 3, replicationQuorum: 1.5, electionQuorum: 3 },
    { count: 3, replicationQuorum: 3, electionQuorum: Number.NaN },
  ])("are refused where a size makes no sense: %o", (sizes) => {
    expect(() => flexible(sizes)).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
  });

  it("commit and elect by their own sizes", () => {
    fc.assert(
      fc.property(situation, fc.nat(), ({ voters, matched, votes }, pick) => {
        const needed = 1 + (pick % voters.length);
        const enough: Enough = (members) => members.length >= needed;
        const matchedMap = mapOf(voters, matched);
        const votesMap = mapOf(voters, votes);
        expect(committedIndex(voters, lookUp(matchedMap), needed)).toBe(
          committedByBruteForce(voters, matchedMap, enough),
        );
        expect(voteResult(voters, (id) => votesMap.get(id), needed)).toBe(
          voteByBruteForce(voters, votesMap, enough),
        );
      }),
    );
  });

  it("can't need more voters than there are, or none", () => {
    expect(() => committedIndex(agents(3), () => undefined, 4)).toThrow("at most all");
    expect(() => voteResult(agents(3), () => undefined, 0)).toThrow("at least one");
  });
});

describe("weighted quorums", () => {
  it("commit and elect as the definition says, whatever the weights", () => {
    fc.assert(
      fc.property(situation, ({ voters, matched, votes, weights, share }) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        fc.pre(total > 0);
        const lowest = Math.floor(total / 2) + 1;
        const threshold = lowest + Math.floor(share * (total - lowest));
        const quorum = weighted({ weights: mapOf(voters, weights), threshold });
        const enough: Enough = (members) =>
          members.reduce((sum, id) => sum + (quorum.weights.get(id) ?? 0), 0) >= threshold;
        const matchedMap = mapOf(voters, matched);
        const votesMap = mapOf(voters, votes);
        expect(weightedCommittedIndex(quorum, lookUp(matchedMap))).toBe(
          committedByBruteForce(voters, matchedMap, enough),
        );
        expect(weightedVoteResult(quorum, (id) => votesMap.get(id))).toBe(
          voteByBruteForce(voters, votesMap, enough),
        );
      }),
    );
  });

  it("of nobody has no objection either", () => {
    const nobody = { weights: new Map<AgentId, number>(), threshold: 1 };
    expect(weightedCommittedIndex(nobody, () => undefined)).toBe(everyIndex);
    expect(weightedVoteResult(nobody, () => undefined)).toBe("won");
  });

  it("are refused where two of them need not meet, or weights can't be counted exactly", () => {
    const of = (weights: number[], threshold: number): unknown =>
      weighted({ weights: mapOf(agents(weights.length), weights), threshold });
    for (const [weights, threshold] of [
      [[1, 1, 2], 2],
      [[1, 1, 2], 5],
      [[1, 1, 1], 1.5],
      [[1, -1, 3], 2],
      [[0.5, 1], 1],
      [[2 ** 53 - 1, 2 ** 53 - 1], 2 ** 53 - 1],
      [[], 0],
    ] as const) {
      expect(() => of([...weights], threshold)).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
    }
    expect(of([1, 1, 2], 3)).toEqual({ weights: mapOf(agents(3), [1, 1, 2]), threshold: 3 });
  });

  it("keep the weights that were checked, though the caller's map changes later", () => {
    const weights = mapOf(agents(3), [1, 1, 1]);
    const quorum = weighted({ weights, threshold: 2 });
    weights.set("agent_0" as AgentId, 100);
    expect(weightedVoteResult(quorum, (id) => id === "agent_0")).toBe("lost");
  });
});
