/** Goal: a change of members resolves only once it is decided, is asked for again where it may be lost, and fails clearly. */
import { describe, expect, test } from "vitest";
import { QuorateError } from "../../src/core/errors.ts";
import { checkMemberChange } from "../../src/runtime/face/member-changes.ts";
import { createConsensus, MemoryNetwork } from "../../src/index.ts";

const thrown = (act: () => unknown): unknown => {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof QuorateError ? [error.code, error.message] : error;
  }
};

describe("changeMembers", () => {
  test.each([
    [{}, undefined, ["BAD_OPTION", "Nobody is named."]],
    [["d"], undefined, ["BAD_OPTION", "The members are an array."]],
    [{ d: "boss" }, undefined, ["BAD_OPTION", 'd is to become "boss".']],
    [{ "a b": "voter" }, undefined, ["BAD_NAME", '"a b" is not a name for an agent.']],
    [{ d: "voter" }, { addresses: { d: 7 } }, ["BAD_OPTION", "The address of d is 7."]],
    [
      { d: "voter" },
      { addresses: { d: "192.0.2.1:7400" } },
      ["DENIED", "The address of d 192.0.2.1:7400 is not on this machine's loopback interface."],
    ],
    [{ d: "voter" }, { adresses: {} }, ["BAD_OPTION", expect.stringContaining("adresses")]],
  ])("refuses %j with %j", (members, options, expected) => {
    expect(thrown(() => checkMemberChange(members, options as object))).toEqual(expected);
  });

  test("within one process: a voter becomes a learner and a voter again, the leader leaves", async () => {
    await using group = createConsensus("raft", "a", ["b", "c"], { network: new MemoryNetwork() });
    await group.propose("before");
    await group.changeMembers({ c: "learner" });
    expect(group.status()).toMatchObject({ members: ["a", "b"], learners: ["c"] });
    await group.changeMembers({ c: "voter" });
    expect(group.status().learners).toEqual([]);
    const leader = group.status().leader ?? "a";
    const other = group.peer(["a", "b", "c"].find((id) => id !== leader) ?? "b");
    await other.changeMembers({ [leader]: "removed" });
    expect(other.status().members).not.toContain(leader);
    expect(await other.propose("after")).toBe("after");
    await expect(other.changeMembers({ a: "removed", b: "removed", c: "removed" })).rejects.toMatchObject({
      code: "BAD_OPTION",
      outcome: "notDone",
    });
  });
});
