/**
 * Goal: a group that has lost its quorum for ever goes on from one survivor's disk, and nobody of the old cluster can come
 * back into it. Method: three real agents, two of whose folders are thrown away.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { Workplace, allGone } from "./harness.ts";

interface Shown {
  readonly changed: boolean;
  readonly cluster?: string;
  readonly groups: readonly {
    readonly group: string;
    readonly last: number;
    readonly voters: readonly string[];
  }[];
}

describe("quorate recover", { timeout: 120_000 }, () => {
  test("the survivor goes on alone with all that it had, and the old members can't reach it", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    for (const key of ["a", "b", "c"]) await place.json(["put", key, key]);
    const folder = join(".quorate", "agent_2");
    const busy = await place.run(["recover", "--data", folder, "--force"]);
    expect([busy.code, busy.stderr]).toEqual([1, expect.stringContaining("DATA_LOCKED")]);
    await up.end();
    await allGone(pids);

    const looked = (await place.json(["recover", "--data", folder])) as unknown as Shown;
    expect(looked.changed).toBe(false);
    expect(looked.groups).toEqual([
      expect.objectContaining({ group: "main", voters: ["agent_1", "agent_2", "agent_3"] }),
    ]);
    // agent_1 is dead for good; agent_3 will come back although nobody should start it.
    rmSync(join(place.folder, ".quorate", "agent_1"), { recursive: true });
    const done = (await place.json(["recover", "--data", folder, "--force"])) as unknown as Shown;
    expect(done.groups[0]?.last).toBe(looked.groups[0]?.last);

    const survivor = place.start(["agent", "--data", folder]);
    const [, address = ""] = await survivor.shows(/listens on (127\.0\.0\.1:\d+)\. Ctrl-C/);
    await survivor.shows(/recovered by force, without a quorum/);
    await place.json(["put", "after", "1", "--agent", address]);
    expect(await place.json(["get", "b", "--agent", address])).toMatchObject({ value: "b" });
    const ghost = place.start(["agent", "--data", join(".quorate", "agent_3")]);
    const [, old = ""] = await ghost.shows(/listens on (127\.0\.0\.1:\d+)\. Ctrl-C/);
    const cut = await place.run(["put", "lost", "1", "--agent", old, "--timeout", "1s"]);
    expect([cut.code, cut.stderr]).toEqual([1, expect.stringContaining("NO_QUORUM")]);
    const { members } = (await place.json(["members", "--agent", address])) as unknown as {
      members: { id: string }[];
    };
    expect(members.map(({ id }) => id)).toEqual(["agent_2"]);
    const note = readFileSync(join(place.folder, folder, "recoveries.jsonl"), "utf8");
    expect(JSON.parse(note)).toMatchObject({ cluster: done.cluster });
  });

  test("what is no agent's folder is refused, and nothing is made", async () => {
    await using place = new Workplace();
    const { code, stderr } = await place.run(["recover", "--data", ".", "--force"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("is not the data folder of one agent")]);
  });
});
