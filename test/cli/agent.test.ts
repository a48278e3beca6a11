/**
 * Goal: each thing that can be wrong with an agent's folder or its peers is one clear message, with what to do, an exit code
 * that is not 0, and no stack trace. Method: folders made by `init`, broken by hand.
 */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { freePort } from "../support/runtime.ts";
import { type Finished, Workplace, allGone, leftBehind, takePort } from "./harness.ts";

/** One line what, one line what to do; no stack. */
function expectClear(
  { code, stdout, stderr }: Finished,
  exitCode: number,
  ...parts: readonly string[]
): void {
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
  expect(stderr.trimEnd().split("\n")).toHaveLength(2);
  for (const part of parts) expect(stderr).toContain(part);
  expect(stderr).not.toContain("    at ");
}

/** A data folder of a cluster of one. */
async function makeAgent(
  place: Workplace,
  id: string,
  ...more: readonly string[]
): Promise<{ port: number }> {
  const port = await freePort();
  await place.json(["init", "--id", id, "--listen", `127.0.0.1:${port}`, "--data", id, ...more]);
  return { port };
}

describe("init and agent", { timeout: 60_000 }, () => {
  test("two agents made by hand find each other, serve clients by address, and end in good order", async () => {
    await using place = new Workplace();
    const [a, b] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const made = await place.json(["init", "--id", "a", "--listen", a, "--peer", `b=${b}`, "--data", "a"]);
    const cluster = String(made["cluster"]);
    await place.json([
      "init",
      "--id",
      "b",
      "--listen",
      b,
      "--peer",
      `a=${a}`,
      "--data",
      "b",
      "--cluster",
      cluster,
    ]);
    const agents = [place.start(["agent", "--data", "a"]), place.start(["agent", "--data", "b"])];
    await Promise.all(agents.map(async (agent) => agent.shows(/listens on 127\.0\.0\.1:\d+\. Ctrl-C/)));
    expect(await place.run(["put", "k", "7", "--agent", a])).toMatchObject({ code: 0 });
    expect(await place.run(["get", "k", "--agent", b])).toMatchObject({ code: 0, stdout: "7\n" });
    // Logs are JSON lines on stderr.
    const [line = ""] = agents[0]!.stderr.split("\n");
    expect(JSON.parse(line)).toMatchObject({
      agent: "a",
      msg: expect.stringContaining("its voters are a, b") as string,
    });

    // A missing peer: nothing is decided, and the caller is told that nothing was, or that nobody knows.
    await agents[1]!.end("SIGKILL");
    const alone = await place.run(["put", "k", "8", "--agent", a, "--timeout", "1500ms"]);
    expect([1, 3]).toContain(alone.code);
    expect(alone.stderr).toMatch(alone.code === 1 ? /NO_QUORUM/ : /may or may not|NO_QUORUM/);
    expect(await agents[0]!.end("SIGTERM")).toBe(0);
    expect(leftBehind(join(place.folder, "a"))).toEqual([]);
  });

  test("calls that time out are unknown, never failed: exit code 3; the same ids again decide nothing twice", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "2");
    const { leader } = (await place.json(["status"])) as { leader: string };
    const follower = leader === "agent_1" ? 1 : 0;
    const lines = Array.from({ length: 2000 }, (_, at) => JSON.stringify({ id: `d-${at}`, value: at }));
    writeFileSync(join(place.folder, "many.jsonl"), lines.join("\n"));
    const propose = ["propose", "--file", "many.jsonl", "--json", "--to", leader, "--timeout", "1500ms"];
    const proposing = place.start([...propose, "--concurrency", "2"]);
    await place.committed(20);
    // The leader is there and has taken some, but nobody is left to confirm them.
    process.kill(pids[follower]!, "SIGSTOP");
    try {
      expect(await proposing.exited).toBe(3);
      const summary = JSON.parse(proposing.stdout) as Record<string, number> & {
        undecided: { outcome: string }[];
      };
      expect(summary["unknown"]).toBeGreaterThan(0);
      expect(summary["decided"]! + summary["unknown"]! + summary["failed"]! + summary["notSent"]!).toBe(
        lines.length,
      );
      expect(summary.undecided[0]).toMatchObject({ outcome: "unknown" });
    } finally {
      process.kill(pids[follower]!, "SIGCONT");
    }
    expect(await place.json(["propose", "--file", "many.jsonl"])).toMatchObject({ decided: lines.length });
    expect(await up.end()).toBe(0);
    await allGone(pids);
  });

  test("no folder: an agent never makes one by itself", async () => {
    await using place = new Workplace();
    expectClear(
      await place.run(["agent", "--data", "nowhere"]),
      1,
      "nowhere",
      "DATA_MISSING",
      "quorate init",
    );
    expect(existsSync(join(place.folder, "nowhere"))).toBe(false);
    expectClear(await place.run(["status"]), 1, "no agents here", "DATA_MISSING", "quorate up");
    expectClear(await place.run(["get", "k", "--data", "nowhere"]), 1, "nowhere", "DATA_MISSING");
    expectClear(
      await place.run(["get", "k", "--agent", `127.0.0.1:${await freePort()}`]),
      1,
      "CANNOT_CONNECT",
    );
  });

  test("a folder that is there already is not overwritten", async () => {
    await using place = new Workplace();
    await makeAgent(place, "a");
    const key = readFileSync(join(place.folder, "a/key.pem"), "utf8");
    const again = await place.run(["init", "--id", "a", "--listen", "127.0.0.1:7400", "--data", "a"]);
    expectClear(again, 1, "DATA_EXISTS", "Nothing was changed");
    expect(readFileSync(join(place.folder, "a/key.pem"), "utf8")).toBe(key);
  });

  test("a second process on the folder is kept out", async () => {
    await using place = new Workplace();
    await makeAgent(place, "a");
    const first = place.start(["agent", "--data", "a"]);
    await first.shows(/listens on/);
    const second = await place.run(["agent", "--data", "a", "--log-level", "error"]);
    expectClear(second, 1, `in use by process ${first.pid}`, "DATA_LOCKED");
    expect(await first.end()).toBe(0);
  });

  test("a port in use", async () => {
    await using place = new Workplace();
    const { port, server } = await takePort();
    await place.json(["init", "--id", "a", "--listen", `127.0.0.1:${port}`, "--data", "a"]);
    const taken = await place.run(["agent", "--data", "a", "--log-level", "error"]);
    expectClear(taken, 1, `127.0.0.1:${port}`, "ADDRESS_IN_USE");
    server.close();
  });

  test("a journal from another cluster, another agent's key, another cluster's file", async () => {
    await using place = new Workplace();
    for (const id of ["a", "b"]) {
      await makeAgent(place, id);
      const agent = place.start(["agent", "--data", id]);
      await agent.shows(/listens on/);
      expect(await place.run(["put", "k", "v", "--data", id])).toMatchObject({ code: 0 });
      expect(await agent.end()).toBe(0);
    }
    const swapped = async (file: string): Promise<Finished> => {
      const [own, other] = [join(place.folder, "a", file), join(place.folder, "b", file)];
      cpSync(own, `${own}.kept`, { recursive: true });
      rmSync(own, { recursive: true });
      cpSync(other, own, { recursive: true });
      const result = await place.run(["agent", "--data", "a", "--log-level", "error"]);
      rmSync(own, { recursive: true });
      cpSync(`${own}.kept`, own, { recursive: true });
      return result;
    };
    expectClear(await swapped("journal"), 1, "DATA_FOREIGN");
    expectClear(await swapped("key.pem"), 1, "DATA_FOREIGN");
    expectClear(await swapped("cluster.json"), 1, "DATA_FOREIGN");
  });

  test("files that do not hold what they should", async () => {
    await using place = new Workplace();
    await makeAgent(place, "a");
    const identity = join(place.folder, "a/identity.json");
    const good = readFileSync(identity, "utf8");
    writeFileSync(identity, good.slice(0, 20));
    expectClear(await place.run(["agent", "--data", "a"]), 1, "DATA_CORRUPT", "identity.json");
    writeFileSync(identity, good.replace('"format": 1', '"format": 99'));
    expectClear(await place.run(["agent", "--data", "a"]), 1, "DATA_VERSION", "format 99");
  });
});
