/** `quorate sim` as a whole command line: what it prints, and which code it ends with. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { exitCodes } from "./exit-codes.ts";
import { run } from "./program.ts";

async function sim(
  args: readonly string[],
  interrupts = new AbortController().signal,
): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const code = await run(
    ["sim", ...args],
    { out: { write: (text) => (out += text) }, err: { write: (text) => (err += text) }, environment: {} },
    interrupts,
  );
  return { code, out, err };
}

describe("quorate sim", () => {
  it("replays a seed and says what happened in it", async () => {
    const { code, out } = await sim(["--seed", "7", "--agents", "3", "--seconds", "2"]);
    expect(code).toBe(exitCodes.ok);
    expect(out).toContain("seed 7");
    expect(out).toContain("elections");
    expect(out).toMatch(/hash [0-9a-f]{16}/);
    expect(out).toContain("nothing is wrong");
  });

  it("prints the same hash for the same seed, as JSON too", async () => {
    const args = ["--seed", "3", "--agents", "3", "--seconds", "2", "--json"];
    const [first, second] = [await sim(args), await sim(args)];
    expect(second.out).toBe(first.out);
    expect(JSON.parse(first.out)).toMatchObject({
      seed: 3,
      ok: true,
      options: { agents: 3, faultSeconds: 2 },
    });
  });

  it("writes a trace to a file, one line of JSON for each event", async () => {
    const folder = mkdtempSync(join(tmpdir(), "quorate-sim-"));
    try {
      const file = join(folder, "trace.jsonl");
      const { code } = await sim(["--seed", "3", "--agents", "3", "--seconds", "1", "--trace", file]);
      expect(code).toBe(exitCodes.ok);
      const lines = readFileSync(file, "utf8").trimEnd().split("\n");
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ name: "begin", seed: 3 });
      expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ name: "end" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("keeps standard output to the trace where that is where it goes", async () => {
    const { out, err } = await sim(["--seed", "3", "--agents", "1", "--seconds", "1", "--trace", "-"]);
    for (const line of out.trimEnd().split("\n")) expect(JSON.parse(line)).toHaveProperty("name");
    expect(err).toContain("nothing is wrong");
  });

  it("runs many fresh seeds and sums them up", async () => {
    const { code, out } = await sim(["--seeds", "3", "--agents", "1", "--seconds", "1", "--json"]);
    expect(code).toBe(exitCodes.ok);
    expect(JSON.parse(out)).toMatchObject({ seeds: 3, failures: [], interrupted: false });
  });

  it("ends early after so many steps", async () => {
    const { out } = await sim(["--seed", "3", "--steps", "100", "--json"]);
    expect(JSON.parse(out)).toMatchObject({ counts: { steps: 100 } });
  });

  it("plays a scenario by its name, with one seed or with many, and lists them", async () => {
    const one = await sim(["--scenario", "lost-window", "--seed", "4"]);
    expect(one.code).toBe(exitCodes.ok);
    expect(one.out).toContain("a follower that lost a full window");
    const many = await sim(["--scenario", "lost-window", "--seeds", "2", "--json"]);
    expect(JSON.parse(many.out)).toMatchObject({ seeds: 2, failures: [] });
    const listed = await sim(["--scenario"]);
    expect(listed.out).toMatch(/^hung-disk +pitfall 28: a leader whose disk hangs/m);
  });

  it("ends in good order at Ctrl-C, with what it has so far", async () => {
    const controller = new AbortController();
    const running = sim(["--soak", "--agents", "1", "--seconds", "1", "--json"], controller.signal);
    setTimeout(() => controller.abort(), 50);
    const { code, out } = await running;
    expect(code).toBe(exitCodes.ok);
    expect(JSON.parse(out)).toMatchObject({ interrupted: true });
  });

  it("refuses a command line that asks for two things", async () => {
    expect(await sim(["--seed", "1", "--seeds", "2"])).toMatchObject({ code: exitCodes.usage });
    expect(await sim(["--trace", "x"])).toMatchObject({ code: exitCodes.usage });
    expect(await sim(["--seed", "-1"])).toMatchObject({ code: exitCodes.usage });
    expect(await sim(["--agents", "8"])).toMatchObject({ code: exitCodes.usage });
    expect(await sim(["--scenario", "hub", "--agents", "3"])).toMatchObject({ code: exitCodes.usage });
    expect(await sim(["--scenario", "no-such"])).toMatchObject({ code: exitCodes.usage });
  });
});
