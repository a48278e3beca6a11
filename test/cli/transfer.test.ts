/** Goal: people move leadership by a command, on real processes, and are told why it can't go where they want it. */
import { describe, expect, test } from "vitest";

import { Workplace } from "./harness.ts";

describe("quorate transfer", { timeout: 60_000 }, () => {
  test("has the agent lead that is named, or another one; and says who can't, and why", async () => {
    await using place = new Workplace();
    const { pids } = await place.up("--agents", "3");
    for (const to of ["agent_2", "agent_3", "agent_3"]) {
      expect(await place.json(["transfer", "--to", to])).toEqual({ leader: to });
      expect(await place.json(["status"])).toMatchObject({ leader: to });
    }
    const { leader } = await place.json(["transfer"]);
    expect(["agent_1", "agent_2"]).toContain(leader);
    expect(await place.json(["put", "k", "1"])).toMatchObject({ key: "k" });

    const stranger = await place.run(["transfer", "--to", "agent_9", "--json"]);
    expect(stranger.code).toBe(1);
    expect(JSON.parse(stranger.stderr)).toMatchObject({ error: { code: "NOT_READY", outcome: "notDone" } });

    await place.json(["transfer", "--to", "agent_1"]);
    process.kill(pids[2] ?? 0, "SIGKILL");
    const dead = await place.run(["transfer", "--to", "agent_3"]);
    expect(dead.code).not.toBe(0);
    expect(dead.stderr).toContain("agent_3");
    expect(await place.json(["put", "k", "2"])).toMatchObject({ key: "k" });

    const people = await place.run(["transfer", "--to", "agent_2"]);
    expect(people.stdout.trim()).toBe("agent_2 leads");
  });
});
