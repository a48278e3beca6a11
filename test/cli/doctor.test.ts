/**
 * Goal: one command tells whoever is woken at night what is wrong and what to do, whether agents run or not. Method: a
 * cluster on real disks and ports, in good order, half down and broken.
 */
import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { Workplace } from "./harness.ts";

interface Page {
  readonly problems: number;
  readonly warnings: number;
  readonly findings: readonly {
    readonly of: string;
    readonly level: string;
    readonly what: string;
    readonly toDo?: string;
  }[];
}

async function page(
  place: Workplace,
  ...args: readonly string[]
): Promise<{ code: number | null; page: Page }> {
  const { code, stdout, stderr } = await place.run(["doctor", "--json", ...args]);
  expect(stderr).toBe("");
  return { code, page: JSON.parse(stdout) as Page };
}

/** What is not fine but for how fast this machine is, which no test can promise. */
function ills({ findings }: Page): string[] {
  return findings
    .filter(
      ({ level, what }) => level !== "fine" && !/a sync takes|a timer came|wall clock|^it is on /.test(what),
    )
    .map(({ of, level, what }) => `${of}: ${level}: ${what.replaceAll(/127\.0\.0\.1:\d+/g, "ADDRESS")}`);
}

describe("doctor", { timeout: 60_000 }, () => {
  test("a cluster that is well, one that has lost an agent, one that hangs, and one that is stopped", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    expect(await place.run(["put", "k", "1"])).toMatchObject({ code: 0 });
    // Links that were dialled too early are dialled again in a moment.
    await expect.poll(async () => ills((await page(place)).page), { timeout: 20_000 }).toEqual([]);
    const well = await page(place);
    expect({ code: well.code, ills: ills(well.page) }).toEqual({ code: 0, ills: [] });
    const said = well.page.findings.map(({ what }) => what).join("\n");
    for (const part of [
      "identity, key and cluster.json belong together",
      "its journal is sound",
      "3 of 3 agents answer",
    ])
      expect(said).toContain(part);
    expect(said).toMatch(/agent_\d leads in term \d+/);
    const lines = await place.run(["doctor"]);
    expect(lines.stdout).toMatch(/^this machine\n {2}✔ quorate \S+ on Node /);
    expect(lines.stdout).toMatch(/\n(All is well|0 problems, \d+ warnings?)\.\n$/);

    process.kill(pids[0] as number, "SIGSTOP");
    const hung = await page(place);
    process.kill(pids[0] as number, "SIGCONT");
    expect(hung.code).toBe(1);
    expect(ills(hung.page).join("\n")).toMatch(
      /agent_1: problem: process \d+ runs it, (?:listens at ADDRESS, and does not answer|and at its address ADDRESS .* does not answer as an agent)/,
    );
    expect(ills(hung.page).join("\n")).toContain(
      "group main: warning: 2 of 3 voters here, 2 needed; missing: agent_1",
    );

    process.kill(pids[1] as number, "SIGKILL");
    await up.shows(/"agent":"agent_2","state":"down"/);
    const lost = await page(place);
    expect(ills(lost.page)).toContain("agent_2: warning: it does not run; its address ADDRESS is free");
    expect(ills(lost.page)).toContain("group main: warning: 2 of 3 voters here, 2 needed; missing: agent_2");
    // Works while agents run and while they don't; what is a warning is one for those who want it.
    expect(await up.end()).toBe(0);
    const stopped = await page(place);
    expect(ills(stopped.page)).toEqual([
      ...["agent_1", "agent_2", "agent_3"].map(
        (id) => `${id}: warning: it does not run; its address ADDRESS is free`,
      ),
      "agents: warning: none of them answers, so what they decide was not looked at",
    ]);
    expect(stopped.code).toBe(0);
    expect((await page(place, "--strict")).code).toBe(1);
    // Nothing stays behind, and nothing was changed.
    const folder = join(place.folder, ".quorate");
    expect(
      readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /probe/.test(name)),
    ).toEqual([]);
  });

  test("broken folders are all told of, each with what to do", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "3");
    expect(await up.end()).toBe(0);
    const folder = join(place.folder, ".quorate");
    rmSync(join(folder, "agent_1"), { recursive: true });
    rmSync(join(folder, "agent_2/journal"), { recursive: true });
    chmodSync(join(folder, "agent_3/key.pem"), 0o644);
    const broken = await page(place);
    expect(broken.code).toBe(1);
    const found = ills(broken.page).join("\n");
    expect(found).toMatch(/^agent_1: problem: Its data folder is gone/m);
    expect(found).toMatch(/^agent_2: problem: The journal is gone/m);
    expect(found).toMatch(/^agent_3: warning: its private key can be read by other users$/m);
    for (const { level, toDo } of broken.page.findings)
      expect(level === "fine" || (toDo ?? "") !== "").toBe(true);
    const text = await place.run(["doctor"]);
    expect(text.stdout).toContain("✖ Its data folder is gone");
    expect(text.stdout).toContain(`      chmod 600 ${join(folder, "agent_3/key.pem")}`);
    expect(text.stderr).toBe("");
  });

  test("agents by their addresses, and one folder by its name", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "2");
    const { agents } = (await place.json(["status"])) as unknown as { agents: { address: string }[] };
    const byAddress = await page(place, "--agent", agents[0]?.address ?? "");
    // The other one is known from the first.
    expect(byAddress.page.findings.map(({ what }) => what)).toContain("2 of 2 agents answer");
    expect(ills(byAddress.page)).toEqual([]);
    const byFolder = await page(place, "--data", ".quorate/agent_2");
    expect(byFolder.page.findings.map(({ what }) => what)).toContain("2 of 2 agents answer");
    expect(byFolder.page.findings.some(({ of }) => of === "agent_1")).toBe(false);
    expect(await up.end()).toBe(0);
  });

  test("nothing to look at, and a command line that is wrong", async () => {
    await using place = new Workplace();
    const nothing = await page(place);
    expect(ills(nothing.page)).toEqual(["data folders: warning: there is no .quorate folder here or above"]);
    expect(nothing.code).toBe(0);
    mkdirSync(join(place.folder, "empty"));
    for (const [args, code, part] of [
      [["--data", "empty"], 1, "DATA_MISSING"],
      [["--data", "nowhere"], 1, "DATA_MISSING"],
      [["--agent", "nonsense"], 2, "not host:port"],
      [["--what"], 2, "Unknown option"],
      [["more"], 2, "oo many arguments"],
    ] as const) {
      const { code: ended, stdout, stderr } = await place.run(["doctor", ...args]);
      expect({ args, ended, stdout, says: stderr.includes(part) }).toEqual({
        args,
        ended: code,
        stdout: "",
        says: true,
      });
      expect(stderr).not.toContain("    at ");
    }
  });
});
