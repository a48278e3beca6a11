import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const empty = mkdtempSync(join(tmpdir(), "quorate-examples-"));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly ms: number;
}

/** Runs an example as a user would: against the built package, as a process of its own, which must end by itself. */
async function run(name: string): Promise<Ended> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, "examples", name)], { cwd: empty, timeout: 10_000 });
    let output = "";
    child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
    child.stderr.on("data", (bytes: Buffer) => (output += bytes.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output, ms: performance.now() - startedMs }));
  });
}

beforeAll(() => {
  // Incremental: nothing to do where the sources are as built.
  spawnSync(process.execPath, [join(root, "tools", "build.mjs")], { cwd: root });
  if (!existsSync(join(root, "dist", "index.js"))) throw new Error("the package could not be built");
}, 120_000);

afterAll(() => rmSync(empty, { recursive: true, force: true }));

describe("examples run as they are", () => {
  test("the chapter's lines, verbatim, end by themselves with 0 within ten seconds, and print nothing", async () => {
    const text = readFileSync(join(root, "examples", "chapter.mjs"), "utf8");
    expect(text).toContain(
      [
        'const consensus = createConsensus("raft", "agent_1", ["agent_2", "agent_3", "agent_4"]);',
        "const isLeader = await consensus.startElection();",
        'if (isLeader) await consensus.appendEntries([{ type: "update", key: "config", value: "new_config" }]);',
      ].join("\n"),
    );
    const ended = await run("chapter.mjs");
    expect(ended).toMatchObject({ code: 0, output: "" });
    expect(ended.ms).toBeLessThan(10_000);
  });

  test.each([
    ["agree.mjs", "v42"],
    ["map.mjs", "conflict"],
    ["own-machine.mjs", "owners"],
    ["members.mjs", "b reads v42"],
    ["connect.mjs", "There is no .quorate folder"],
  ])("%s", async (name, says) => {
    const ended = await run(name);
    expect(ended.output).toContain(says);
    expect(ended.code).toBe(0);
  });

  test("require() of the package works", () => {
    const script =
      'const { createConsensus } = require("quorate"); process.exit(typeof createConsensus === "function" ? 0 : 1)';
    const ended = spawnSync(process.execPath, ["-e", script], { cwd: root });
    expect(ended.status).toBe(0);
  });

  test("decisions.jsonl: a thousand decisions, each with an id of its own", () => {
    const lines = readFileSync(join(root, "examples", "decisions.jsonl"), "utf8")
      .trimEnd()
      .split("\n");
    const decisions = lines.map((line) => JSON.parse(line) as { id: string; value: object });
    expect(decisions).toHaveLength(1000);
    expect(new Set(decisions.map(({ id }) => id)).size).toBe(1000);
    for (const { id, value } of decisions) {
      expect(Buffer.byteLength(id)).toBeLessThanOrEqual(64);
      expect(Object.keys(value).length).toBeGreaterThan(2);
    }
  });
});
