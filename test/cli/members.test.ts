/**
 * Goal: members come and go while the group decides, as people do it: by commands, on real processes. Method: a cluster of
 * one grows to three, loses its leader from the configuration, has a dead member replaced; what was decided stays.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { freePort } from "../support/runtime.ts";
import { Workplace, allGone, type Running } from "./harness.ts";

interface Listed {
  readonly leader: string | null;
  readonly members: readonly { readonly id: string; readonly part: string }[];
}

async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

/** One more agent that joins whoever listens at `at`; it runs, and waits to be taken in. */
async function joins(place: Workplace, id: string, at: string): Promise<{ address: string; agent: Running }> {
  const address = await freeAddress();
  await place.json(["init", "--id", id, "--listen", address, "--join", at, "--data", id]);
  const agent = place.start(["agent", "--data", id]);
  await agent.shows(/waits to be made a member/);
  return { address, agent };
}

async function list(place: Workplace, ...more: readonly string[]): Promise<Listed> {
  return (await place.json(["members", ...more])) as unknown as Listed;
}

const voters = ({ members }: Listed): string[] =>
  members
    .filter(({ part }) => part === "voter")
    .map(({ id }) => id)
    .toSorted();

describe("quorate members", { timeout: 120_000 }, () => {
  test("one member grows to three while it decides; its leader leaves, a dead one is replaced", async () => {
    await using place = new Workplace();
    const first = await freeAddress();
    await place.json(["init", "--id", "a", "--listen", first, "--data", "a"]);
    const a = place.start(["agent", "--data", "a"]);
    await a.shows(/leads in term/);
    await place.json(["put", "before", "1", "--agent", first]);

    const b = await joins(place, "b", first);
    const c = await joins(place, "c", first);
    for (const [id, { address }] of [["b", b] as const, ["c", c] as const]) {
      await place.json(["members", "add", `${id}=${address}`, "--agent", first]);
      await place.json(["put", `with-${id}`, "2", "--agent", first]);
    }
    const three = await list(place, "--agent", first);
    expect([three.leader, voters(three)]).toEqual(["a", ["a", "b", "c"]]);

    // The leader itself goes; b and c go on, and their clients find them.
    await place.json(["members", "remove", "a", "--agent", first, "--agent", b.address]);
    const two = await list(place, "--agent", b.address);
    expect(voters(two)).toEqual(["b", "c"]);
    expect(two.leader).not.toBe("a");
    expect(await place.json(["get", "before", "--agent", b.address])).toMatchObject({ value: 1 });

    // d takes the place of c, which is dead by then; it has all that was decided.
    const d = await joins(place, "d", b.address);
    await place.json(["members", "add", `d=${d.address}`, "--agent", b.address]);
    await c.agent.end("SIGKILL");
    await place.json(["members", "remove", "c", "--agent", b.address, "--agent", d.address]);
    expect(voters(await list(place, "--agent", d.address))).toEqual(["b", "d"]);
    expect(await place.json(["get", "with-b", "--agent", d.address])).toMatchObject({ value: 2 });

    // A restart finds the others where the group says they are, not where the folder was made.
    await d.agent.end("SIGTERM");
    const again = place.start(["agent", "--data", "d"]);
    await again.shows(/the link to b is up/);
    await place.json(["put", "after", "3", "--agent", d.address]);
  });

  test("what can't be is one clear error, and changes nothing", async () => {
    await using place = new Workplace();
    const first = await freeAddress();
    await place.json(["init", "--id", "a", "--listen", first, "--data", "a"]);
    await place.start(["agent", "--data", "a"]).shows(/leads in term/);
    const fails = async (code: number, says: RegExp, ...args: readonly string[]): Promise<void> => {
      const finished = await place.run(["members", ...args]);
      expect({ code: finished.code, stdout: finished.stdout }).toEqual({ code, stdout: "" });
      expect(finished.stderr).toMatch(says);
      expect(finished.stderr.trimEnd().split("\n")).toHaveLength(2);
    };
    await fails(2, /no voter left/, "remove", "a", "--agent", first);
    await fails(1, /z: no member of the group/, "promote", "z", "--agent", first);
    await fails(2, /not agent=host:port/, "add", "b", "--agent", first);
    await fails(1, /not on this machine/, "add", "b=192.0.2.1:7400", "--agent", first);
    // Nobody listens there: the plan is in the log, and is taken back by name.
    const nobody = await freeAddress();
    await fails(3, /has begun and is not through/, "add", `b=${nobody}`, "--timeout", "1s", "--agent", first);
    expect((await list(place, "--agent", first)).members).toContainEqual(
      expect.objectContaining({ id: "b", part: "joining" }),
    );
    await place.json(["members", "remove", "b", "--agent", first]);
    expect(voters(await list(place, "--agent", first))).toEqual(["a"]);
    // An agent that joins nobody's group must not found one of its own.
    const refused = await place.run([
      "init",
      "--id",
      "b",
      "--listen",
      nobody,
      "--join",
      nobody,
      "--data",
      "b",
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/No agent answers/);
  });

  test("pitfall 26: an agent whose disk was wiped is not let in as the voter that it was, and comes back as a learner", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    await place.json(["put", "k", "1"]);
    await up.end();
    await allGone(pids);
    const folder = join(place.folder, ".quorate", "agent_3");
    const identity = JSON.parse(readFileSync(join(folder, "identity.json"), "utf8")) as { cluster: string };
    const file = JSON.parse(readFileSync(join(folder, "cluster.json"), "utf8")) as {
      agents: { id: string; address: string }[];
    };
    const [one, two, three] = file.agents.map(({ address }) => address) as [string, string, string];
    rmSync(folder, { recursive: true });
    const running = ["agent_1", "agent_2"].map((id) =>
      place.start(["agent", "--data", join(".quorate", id)]),
    );
    await running[0]?.shows(/leads in term/);

    // Made anew as if nothing had happened: with the same name, address and founding members.
    const peers = ["--peer", `agent_1=${one}`, "--peer", `agent_2=${two}`];
    await place.json([
      "init",
      "--id",
      "agent_3",
      "--listen",
      three,
      ...peers,
      "--data",
      folder,
      "--cluster",
      identity.cluster,
    ]);
    const wiped = place.start(["agent", "--data", folder]);
    await running[1]?.shows(/agent_3 has another key than before/);
    await wiped.end("SIGKILL");

    // The way back: out, and in again.
    await place.json(["members", "remove", "agent_3", "--agent", one]);
    rmSync(folder, { recursive: true });
    await place.json(["init", "--id", "agent_3", "--listen", three, "--join", one, "--data", folder]);
    place.start(["agent", "--data", folder]);
    await place.json(["members", "add", `agent_3=${three}`, "--agent", one]);
    expect(voters(await list(place, "--agent", one))).toEqual(["agent_1", "agent_2", "agent_3"]);
    expect(await place.json(["get", "k", "--agent", three])).toMatchObject({ value: 1 });
  });
});
