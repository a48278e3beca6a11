/** Goal: `journal check` says whether what is on disk is sound, and finds a flipped bit. Method: one is flipped. */
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { Workplace } from "./harness.ts";

interface CheckJson {
  readonly sound: boolean;
  readonly agents: readonly {
    readonly agent: string;
    readonly inUseBy?: number;
    readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
    readonly report?: {
      readonly sound: boolean;
      readonly segments: readonly { readonly corruptAt: readonly number[] }[];
      readonly groups: readonly {
        readonly name: string;
        readonly records: number;
        readonly damaged: boolean;
      }[];
    };
  }[];
}

const sectorBytes = 4096;

/** Flips a bit in a block that is neither the first nor the last: blocks begin at whole sectors, and the rest is zeros. */
function flipBit(journal: string): void {
  const [name = ""] = readdirSync(journal)
    .filter((file) => file.endsWith(".segment"))
    .toSorted();
  const bytes = readFileSync(join(journal, name));
  const written: number[] = [];
  for (let at = 0; at < bytes.length; at += sectorBytes) {
    if (bytes.subarray(at, at + 16).some((byte) => byte !== 0)) written.push(at);
  }
  const at = written.at(-3);
  if (at === undefined || at === 0) throw new Error("the journal has several blocks");
  bytes[at + 8] = bytes[at + 8]! ^ 1;
  writeFileSync(join(journal, name), bytes);
}

describe("journal check", { timeout: 60_000 }, () => {
  test("sound journals are sound, also while an agent uses them; a flipped bit is found and nothing is changed", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "2");
    for (const value of ["1", "2", "3"])
      expect(await place.run(["put", "k", value])).toMatchObject({ code: 0 });
    const running = (await place.json(["journal", "check"])) as unknown as CheckJson;
    expect(running.sound).toBe(true);
    expect(running.agents.map((agent) => agent.inUseBy)).toEqual(pids);
    expect(running.agents[0]!.report?.groups).toMatchObject([{ name: "main", damaged: false }]);
    expect(await up.end()).toBe(0);

    const sound = await place.run(["journal", "check"]);
    expect(sound).toMatchObject({ code: 0, stderr: "" });
    expect(sound.stdout).toContain("✔ agent_1");
    expect(sound.stdout).toContain("✔ agent_2");

    flipBit(join(place.folder, ".quorate/agent_2/journal"));
    const check = await place.run(["journal", "check"]);
    expect(check.code).toBe(1);
    expect(check.stdout).toContain("✔ agent_1");
    expect(check.stdout).toContain("✖ agent_2");
    expect(check.stdout).toContain("corrupt at");
    // It is the same at a second look: looking repairs nothing and breaks nothing.
    expect(await place.run(["journal", "check"])).toEqual(check);
    expect(await place.run(["journal", "check", "--data", ".quorate/agent_1"])).toMatchObject({ code: 0 });
  });

  test("a journal that is gone is missed, and neither looking nor starting makes it again", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "1");
    expect(await up.end()).toBe(0);
    rmSync(join(place.folder, ".quorate/agent_1/journal"), { recursive: true });
    for (const args of [["journal", "check"], ["agent", "--data", ".quorate/agent_1"], ["up"]]) {
      const { code, stdout, stderr } = await place.run(args);
      expect({ args, code, said: /DATA_MISSING/.test(stdout + stderr) }).toEqual({
        args,
        code: 1,
        said: true,
      });
      expect(stderr).toContain("lost its memory");
      expect(stderr).not.toContain("    at ");
    }
    expect(readdirSync(join(place.folder, ".quorate/agent_1"))).not.toContain("journal");
  });

  test("all are looked at, whatever is wrong with one: lost, damaged, without a folder", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "5");
    for (const value of ["1", "2", "3"])
      expect(await place.run(["put", "k", value])).toMatchObject({ code: 0 });
    expect(await up.end()).toBe(0);
    const folder = join(place.folder, ".quorate");
    rmSync(join(folder, "agent_1/journal"), { recursive: true });
    rmSync(join(folder, "agent_2"), { recursive: true });
    writeFileSync(join(folder, "agent_3/identity.json"), "nonsense");
    flipBit(join(folder, "agent_4/journal"));

    const check = await place.run(["journal", "check"]);
    expect(check.code).toBe(1);
    expect(check.stdout.split("\n").filter((line) => /^[✔✖]/.test(line))).toEqual([
      expect.stringMatching(/^✖ agent_1 .* LOST: The journal is gone/),
      expect.stringMatching(/^✖ agent_2 .* LOST: Its data folder is gone/),
      expect.stringMatching(/^✖ agent_3 .* LOST: .*identity\.json does not hold what it should/),
      expect.stringMatching(/^✖ agent_4 .* DAMAGED/),
      expect.stringMatching(/^✔ agent_5 .* sound/),
    ]);
    expect(check.stderr).toContain("4 of 5 journals are not sound.  DATA_MISSING");

    const json = await place.run(["journal", "check", "--json"]);
    expect(json).toMatchObject({ code: 1, stderr: "" });
    const { sound, agents } = JSON.parse(json.stdout) as CheckJson;
    expect(sound).toBe(false);
    expect(agents.map(({ agent, error, report }) => [agent, error?.code, report?.sound])).toEqual([
      ["agent_1", "DATA_MISSING", undefined],
      ["agent_2", "DATA_MISSING", undefined],
      ["agent_3", "DATA_CORRUPT", undefined],
      ["agent_4", undefined, false],
      ["agent_5", undefined, true],
    ]);
    expect(readdirSync(folder)).not.toContain("agent_2");
    expect(readdirSync(join(folder, "agent_1"))).not.toContain("journal");
  });

  test("nothing to look at", async () => {
    await using place = new Workplace();
    const nothing = await place.run(["journal", "check"]);
    expect(nothing).toMatchObject({ code: 1, stdout: "" });
    expect(nothing.stderr).toContain("DATA_MISSING");
  });
});
