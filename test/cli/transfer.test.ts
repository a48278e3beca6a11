/** Goal: people move leadership by a command, on real processes, and are told why it can't go where they want it. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { Agent } from "../../src/index.ts";
import { freePort } from "../support/runtime.ts";
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

  test("of agents with several groups, each is led by whomever it is given to; one that is not there is told", async () => {
    await using place = new Workplace();
    const ids = ["a", "b", "c"];
    const addresses = await Promise.all(ids.map(async () => `127.0.0.1:${await freePort()}`));
    let cluster: string | undefined;
    const agents: Awaited<ReturnType<typeof Agent.start>>[] = [];
    try {
      for (const [at, id] of ids.entries()) {
        const dataDir = join(place.folder, id);
        ({ cluster } = Agent.init({ id, dataDir, cluster }));
        const agent = await Agent.start({ id, dataDir, listen: addresses[at], join: addresses });
        agents.push(agent);
        for (const name of ["main", "orders"]) agent.group(name, { mechanism: "raft", members: ids });
      }
      const at = ["--agent", addresses[0] ?? ""];
      for (const [group, to] of [
        ["orders", "b"],
        ["main", "c"],
        ["orders", "a"],
      ] as const)
        expect(await place.json(["transfer", "--group", group, "--to", to, ...at])).toEqual({ leader: to });
      const led = agents.map((agent) => agent.group("main", { mechanism: "raft" }).status().leader);
      expect(new Set(led)).toEqual(new Set(["c"]));
      const stranger = await place.run(["transfer", "--group", "bills", ...at]);
      expect(stranger).toMatchObject({ code: 1, stdout: "" });
      expect(stranger.stderr).toMatch(/does not host a group bills.*GROUP_MISMATCH/);
    } finally {
      await Promise.all(agents.map(async (agent) => agent.close()));
    }
  });
});
