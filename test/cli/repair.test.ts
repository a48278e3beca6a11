/**
 * Goal: a member whose journal has rotted in the middle is repaired by the others, without ever voting with what is left of it.
 * Method: real agents; a bit flipped in the journal of one that is stopped.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { Workplace, allGone } from "./harness.ts";

const sectorBytes = 4096;

/** Flips a bit in a block in the middle of the journal: blocks begin at whole sectors, with their magic. */
function rot(journal: string): void {
  for (const name of readdirSync(journal).toSorted().toReversed()) {
    const path = join(journal, name);
    const bytes = readFileSync(path);
    const blocks: number[] = [];
    for (let at = sectorBytes; at < bytes.length; at += sectorBytes) {
      if (bytes.toString("latin1", at, at + 4) === "QJBK") blocks.push(at);
    }
    if (blocks.length < 5) continue;
    const at = (blocks[Math.floor(blocks.length / 2)] ?? 0) + 60;
    bytes[at] = (bytes[at] ?? 0) ^ 8;
    writeFileSync(path, bytes);
    return;
  }
  throw new Error("the journal has too few blocks");
}

describe("a damaged journal", { timeout: 120_000 }, () => {
  test("is repaired by the others: its agent is taken out, begins anew, catches up and votes again", async () => {
    await using place = new Workplace();
    const first = await place.up("--agents", "3");
    for (let at = 0; at < 8; at++) await place.json(["put", `key-${at}`, String(at)]);
    await first.up.end();
    await allGone(first.pids);
    rot(join(place.folder, ".quorate", "agent_3", "journal"));

    await place.up();
    const log = (): string => readFileSync(join(place.folder, ".quorate", "agent_3.log"), "utf8");
    const said = async (words: string): Promise<void> => {
      while (!log().includes(words)) await place.json(["put", "meanwhile", "1"]);
    };
    await said("neither votes nor acknowledges");
    await said("begins anew with an empty memory");
    await said("repaired; this agent votes again");
    const { members } = (await place.json(["members"])) as unknown as {
      members: { id: string; part: string }[];
    };
    expect(members.map(({ id, part }) => `${id} ${part}`).toSorted()).toEqual([
      "agent_1 voter",
      "agent_2 voter",
      "agent_3 voter",
    ]);
    // Between the damage and its new beginning it took part in nothing.
    const silence = log().slice(log().lastIndexOf("neither votes"), log().lastIndexOf("begins anew"));
    expect(silence).not.toMatch(/leads in term|its voters/);
    const { agents } = (await place.json(["status"])) as unknown as {
      agents: { id: string; address: string }[];
    };
    const at = agents.find(({ id }) => id === "agent_3")?.address ?? "";
    expect(await place.json(["get", "key-5", "--local", "--agent", at])).toMatchObject({ value: 5 });
    const checked = await place.run(["journal", "check"]);
    expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining("agent_3")]);
  });

  test("is repaired also under a leader that still knows what the agent had acknowledged", async () => {
    await using place = new Workplace();
    const { pids } = await place.up("--agents", "3");
    for (let at = 0; at < 8; at++) await place.json(["put", `key-${at}`, String(at)]);
    const { leader } = (await place.json(["status"])) as { leader: string };
    const number = [1, 2, 3].find((one) => `agent_${one}` !== leader) ?? 0;
    const pid = pids[number - 1] ?? 0;
    process.kill(pid, "SIGKILL");
    await allGone([pid]);
    const folder = join(".quorate", `agent_${number}`);
    rot(join(place.folder, folder, "journal"));

    const back = place.start(["agent", "--data", folder]);
    await back.shows(/begins anew with an empty memory/);
    await back.shows(/repaired; this agent votes again/);
    expect(await place.json(["status"])).toMatchObject({ leader });
    await expect(back.end()).resolves.toBe(0);
  });

  test("of an agent that is alone is an error, and nothing is made anew", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "1");
    for (let at = 0; at < 8; at++) await place.json(["put", `key-${at}`, String(at)]);
    await up.end();
    await allGone(pids);
    rot(join(place.folder, ".quorate", "agent_1", "journal"));
    const { code, stderr } = await place.run(["agent", "--data", join(".quorate", "agent_1")]);
    expect(code).toBe(1);
    expect(stderr).toContain("DATA_CORRUPT");
  });
});
