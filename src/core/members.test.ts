/**
 * Goal: whatever is asked of a group, and in whatever order, each configuration follows safely from the one before and the
 * last one is what was asked for. Method: a table of changes worked out by hand; random changes beside a naive list of
 * parts; and majorities counted by brute force.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Address, AgentId } from "./ids.ts";
import { limits } from "./limits.ts";
import {
  enterJoint,
  everybody,
  isJoint,
  isSameMembers,
  isSound,
  leaveJoint,
  mayFollow,
  membersOf,
  planMembers,
  unknownMembers,
  type MemberChange,
  type Members,
  type MemberStep,
} from "./members.ts";
import { jointVoteResult } from "./quorum.ts";

const ids = (text: string): AgentId[] => text.split(" ").filter((id) => id !== "") as AgentId[];

/** As in "a b c | learners d | next a b d"; the voters come first. */
function read(text: string): Members {
  const [voters = "", ...parts] = text.split("|");
  const part = (name: string): AgentId[] =>
    ids(parts.find((one) => one.trim().startsWith(name))?.replace(name, "") ?? "");
  const given = membersOf(ids(voters), part("learners"));
  return { ...given, outgoing: part("outgoing"), next: part("next") };
}

function show({ voters, outgoing, learners, next }: Members): string {
  const sorted = (list: readonly AgentId[]): string => list.toSorted().join(" ");
  const parts = [sorted(voters)];
  if (outgoing.length > 0) parts.push(`outgoing ${sorted(outgoing)}`);
  if (learners.length > 0) parts.push(`learners ${sorted(learners)}`);
  if (next.length > 0) parts.push(`next ${sorted(next)}`);
  return parts.join(" | ");
}

/** As in "+d ~c -b": d a voter, c a learner, b removed. */
function change(text: string): MemberChange {
  const kinds = { "+": "voter", "~": "learner", "-": "removed" } as const;
  return {
    steps: ids(text).map((step) => ({
      kind: kinds[step[0] as keyof typeof kinds],
      id: step.slice(1) as AgentId,
    })),
  };
}

function plan(members: Members, asked: MemberChange): Members {
  const result = planMembers(members, asked);
  if (result.kind === "fault") throw new Error(`a fault: ${result.fault}`);
  return result.members;
}

/** Every configuration from the plan on. */
function carryOut(members: Members, asked: MemberChange): Members[] {
  const planned = plan(members, asked);
  if (planned.next.length === 0) return [planned];
  const joint = enterJoint(planned);
  return [planned, joint, leaveJoint(joint)];
}

/** By brute force: no majority of the one without a voter in common with every majority of the other. */
function majoritiesMeet(before: Members, after: Members): boolean {
  const all = [...everybody(before), ...everybody(after)];
  const agents = [...new Set(all)];
  for (let mask = 0; mask < 2 ** agents.length; mask++) {
    const isIn = (id: AgentId): boolean => (mask & (1 << agents.indexOf(id))) !== 0;
    const wins = jointVoteResult(before, isIn) === "won";
    if (wins && jointVoteResult(after, (id) => !isIn(id)) === "won") return false;
  }
  return true;
}

describe("a change of members", () => {
  const table: readonly (readonly [name: string, from: string, asked: string, ...to: string[]])[] = [
    [
      "a voter is added",
      "a b c",
      "+d",
      "a b c | learners d | next a b c d",
      "a b c d | outgoing a b c",
      "a b c d",
    ],
    [
      "a group of one grows by two",
      "a",
      "+b +c",
      "a | learners b c | next a b c",
      "a b c | outgoing a",
      "a b c",
    ],
    ["a voter is removed", "a b c", "-c", "a b c | next a b", "a b | outgoing a b c", "a b"],
    ["a group shrinks to one", "a b c", "-b -c", "a b c | next a", "a | outgoing a b c", "a"],
    [
      "a voter is replaced",
      "a b c",
      "+d -c",
      "a b c | learners d | next a b d",
      "a b d | outgoing a b c",
      "a b d",
    ],
    ["all are replaced", "a b", "+c +d -a -b", "a b | learners c d | next c d", "c d | outgoing a b", "c d"],
    ["a learner is added: no quorum changes", "a b c", "~d", "a b c | learners d"],
    ["a learner is removed", "a b | learners c d", "-c", "a b | learners d"],
    [
      "a learner is promoted",
      "a b | learners c",
      "+c",
      "a b | learners c | next a b c",
      "a b c | outgoing a b",
      "a b c",
    ],
    [
      "a voter becomes a learner: it votes until the end",
      "a b c",
      "~c",
      "a b c | learners c | next a b",
      "a b | outgoing a b c | learners c",
      "a b | learners c",
    ],
    ["who is there already is not added again", "a b | learners c", "+a ~c", "a b | learners c"],
    ["who was never there is not removed", "a b", "-x", "a b"],
    ["the last step about somebody counts", "a b", "+c -c ~c -c", "a b"],
    ["nothing is asked for", "a b", "", "a b"],
  ];
  test.each(table)("%s", (_, from, asked, ...to) => {
    expect(carryOut(read(from), change(asked)).map((members) => show(members))).toEqual(to);
  });

  test("another plan counts on from the one before, while no voter has changed", () => {
    const first = plan(read("a b c"), change("+d -c"));
    expect(show(plan(first, change("+e")))).toBe("a b c | learners d e | next a b d e");
    expect(show(plan(first, change("-d")))).toBe("a b c | next a b");
    expect(show(plan(first, change("~d +c")))).toBe("a b c | learners d");
    expect(show(plan(first, change("-d +c")))).toBe("a b c");
    expect(show(plan(plan(read("a b c"), change("~c")), change("-c")))).toBe("a b c | next a b");
    expect(show(plan(plan(read("a b c"), change("~c")), change("+c")))).toBe("a b c");
  });

  test("addresses come with the change, and go with the members", () => {
    const d = "d" as AgentId;
    const addresses = new Map([
      [d, "10.0.0.4:7400" as Address],
      ["x" as AgentId, "10.0.0.9:7400" as Address],
    ]);
    const grown = carryOut(read("a b"), { ...change("+d"), addresses }).at(-1)!;
    expect([...grown.addresses]).toEqual([[d, "10.0.0.4:7400"]]);
    const moved = plan(grown, { steps: [], addresses: new Map([[d, "10.0.0.5:7400" as Address]]) });
    expect(moved.addresses.get(d)).toBe("10.0.0.5:7400");
    expect(isSameMembers(moved, grown)).toBe(false);
    const [planned, joint, after] = carryOut(moved, change("-d"));
    expect([planned!.addresses.size, joint!.addresses.size, after!.addresses.size]).toEqual([1, 1, 0]);
  });

  test("what can't be is refused by name", () => {
    const fault = (from: Members, asked: MemberChange): unknown => {
      const result = planMembers(from, asked);
      return result.kind === "fault" ? result.fault : result.members;
    };
    const many = (count: number, kind: MemberStep["kind"]): MemberChange => ({
      steps: Array.from({ length: count }, (_, at) => ({ kind, id: `x${at}` as AgentId })),
    });
    expect(fault(read("a b | outgoing a c"), change("+d"))).toBe("joint");
    expect(fault(read("a b"), change("-a ~b"))).toBe("noVoters");
    expect(fault(read("a"), many(limits.votersMax, "voter"))).toBe("tooManyVoters");
    expect(fault(read("a"), many(limits.votersMax - 1, "voter"))).toHaveProperty("next");
    expect(fault(read("a"), many(limits.learnersMax + 1, "learner"))).toBe("tooManyLearners");
    expect(fault(read("a"), many(limits.learnersMax, "learner"))).toHaveProperty("learners");
    expect(fault(unknownMembers, change("+a"))).toBe("noVoters");
  });

  test("a joint configuration is entered where voters change, and left once", () => {
    expect(() => enterJoint(read("a b"))).toThrow("where voters change");
    expect(() => leaveJoint(read("a b"))).toThrow("only a joint configuration");
    const joint = enterJoint(plan(read("a b"), change("+c")));
    expect(() => enterJoint({ ...joint, next: ids("a") })).toThrow("one joint configuration at a time");
  });
});

describe("what holds of every configuration", () => {
  test.each([
    ["voters twice", "a a b"],
    ["nobody votes, but somebody learns", " | learners a"],
    ["a voter who learns and stays a voter", "a b | learners b"],
    ["a voter who learns and is planned to stay", "a b c | learners b | next a b"],
    ["a new voter who learns", "a b | outgoing a | learners b"],
    ["voters planned who are nobody", "a b | next a x"],
    ["a plan for what is", "a b | next b a"],
    ["two sets that are one", "a b | outgoing b a"],
    ["a plan while two sets must agree", "a b | outgoing a | next a"],
    ["more voters than the limit", "a b c d e f g h"],
    ["more voters planned than the limit", "a | learners b c d e f g h | next a b c d e f g h"],
  ])("not: %s", (_, text) => {
    expect(isSound(read(text))).toBe(false);
  });

  test("addresses are of members, and no longer than the limit", () => {
    const at = (id: string, address: string): Members => ({
      ...read("a b"),
      addresses: new Map([[id as AgentId, address as Address]]),
    });
    expect(isSound(at("a", "h:1"))).toBe(true);
    expect(isSound(at("x", "h:1"))).toBe(false);
    expect(isSound(at("a", "h".repeat(limits.addressBytesMax)))).toBe(true);
    expect(isSound(at("a", "h".repeat(limits.addressBytesMax + 1)))).toBe(false);
  });

  test("whoever joins knows of nobody", () => {
    expect(isSound(unknownMembers)).toBe(true);
    expect(everybody(unknownMembers).size).toBe(0);
  });
});

const names = ids("a b c d e f");
const step = fc.record({
  kind: fc.constantFrom("voter" as const, "learner" as const, "removed" as const),
  id: fc.constantFrom(...names),
});
const founding = fc
  .subarray(names, { minLength: 1, maxLength: 5 })
  .chain((voters) =>
    fc.subarray(names.filter((id) => !voters.includes(id))).map((learners) => membersOf(voters, learners)),
  );
const move = fc.oneof(
  { weight: 2, arbitrary: fc.record({ steps: fc.array(step, { maxLength: 5 }) }) },
  { weight: 3, arbitrary: fc.constant("carryOn" as const) },
);

describe("R23 R24 any sequence of changes", () => {
  test("keeps every configuration sound, and majorities of neighbours share a voter", () => {
    fc.assert(
      fc.property(founding, fc.array(move, { maxLength: 12 }), (first, moves) => {
        let members = first;
        for (const one of moves) {
          const after = follow(members, one);
          if (after === undefined) continue;
          expect(isSound(after)).toBe(true);
          expect(mayFollow(members, after)).toBe(true);
          expect(majoritiesMeet(members, after)).toBe(true);
          members = after;
        }
      }),
    );
  });

  function follow(members: Members, one: MemberChange | "carryOn"): Members | undefined {
    if (one !== "carryOn") {
      const result = planMembers(members, one);
      return result.kind === "members" ? result.members : undefined;
    }
    if (isJoint(members)) return leaveJoint(members);
    return members.next.length > 0 ? enterJoint(members) : undefined;
  }

  test("leads to what was asked for, as a naive list of parts says", () => {
    fc.assert(
      fc.property(
        founding,
        fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 5 }),
        (first, changes) => {
          let members = first;
          let parts = new Map<AgentId, string>([
            ...first.voters.map((id) => [id, "voter"] as const),
            ...first.learners.map((id) => [id, "learner"] as const),
          ]);
          for (const steps of changes) {
            const asked = new Map(parts);
            for (const { kind, id } of steps) {
              if (kind === "removed") asked.delete(id);
              else asked.set(id, kind);
            }
            const result = planMembers(members, { steps });
            expect(result.kind).toBe([...asked.values()].includes("voter") ? "members" : "fault");
            if (result.kind === "fault") continue;
            ({ members } = result);
            parts = asked;
          }
          const of = (part: string): AgentId[] => names.filter((id) => parts.get(id) === part);
          const end = members.next.length > 0 ? leaveJoint(enterJoint(members)) : members;
          expect(show(end)).toBe(show(membersOf(of("voter"), of("learner"))));
        },
      ),
    );
  });

  test("asked for once more, leads nowhere else", () => {
    fc.assert(
      fc.property(founding, fc.array(step, { maxLength: 5 }), (first, steps) => {
        const result = planMembers(first, { steps });
        if (result.kind === "fault") return;
        expect(isSameMembers(plan(result.members, { steps }), result.members)).toBe(true);
        const after = carryOut(first, { steps }).at(-1)!;
        expect(isSameMembers(plan(after, { steps }), after)).toBe(true);
      }),
    );
  });

  test("whatever may follow, its majorities meet those before it; and two strangers may not", () => {
    const sound = fc
      .record({
        voters: fc.subarray(names, { minLength: 1 }),
        outgoing: fc.subarray(names),
        learners: fc.subarray(names),
        next: fc.subarray(names),
      })
      .map((lists): Members => ({ ...lists, addresses: new Map() }))
      .filter((members) => isSound(members));
    let followers = 0;
    fc.assert(
      fc.property(sound, sound, (before, after) => {
        if (!mayFollow(before, after)) return;
        followers += 1;
        expect(majoritiesMeet(before, after)).toBe(true);
      }),
      { numRuns: 3000 },
    );
    expect(followers).toBeGreaterThan(20);
    expect(mayFollow(read("a b c"), read("a b c d"))).toBe(false);
    expect(mayFollow(read("a b"), read("c d | outgoing a c"))).toBe(false);
    expect(mayFollow(read("a b | outgoing b c"), read("b c"))).toBe(false);
    expect(mayFollow(read("a b | outgoing b c"), read("a b | outgoing b d"))).toBe(false);
    expect(mayFollow(unknownMembers, read("a b"))).toBe(true);
  });
});
