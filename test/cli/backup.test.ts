/**
 * Goal: what a group has decided comes back from one file, in a cluster that the old one can't mix into; and no wrong file,
 * folder or option costs anybody anything. Method: real agents, a backup while they run, and everything that can be wrong.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { type Finished, Workplace, takePort } from "./harness.ts";

function expectRefused({ code, stdout, stderr }: Finished, exitCode: number, part: string): void {
  expect({ code, stdout, says: stderr.includes(part) ? part : stderr }).toEqual({
    code: exitCode,
    stdout: "",
    says: part,
  });
  expect(stderr).not.toContain("    at ");
}

describe("backup and restore", { timeout: 60_000 }, () => {
  test("a cluster is backed up while it runs, and comes back as another one", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "3");
    for (const key of ["a", "b"]) expect(await place.run(["put", key, "1"])).toMatchObject({ code: 0 });
    const paid = ["propose", "--request-id", "order-17", '{"pay": "bob"}'];
    expect(await place.run(paid)).toMatchObject({ code: 0 });
    const backup = await place.run(["backup", "monday.snapshot"]);
    expect(backup).toMatchObject({ code: 0, stderr: "" });
    expect(backup.stdout).toMatch(
      /^monday\.snapshot: the group main up to entry \d+, .*its state has the digest that it should\n$/,
    );
    expect(await place.run(["put", "a", "2"])).toMatchObject({ code: 0 });

    // A file that is there is precious; who wants it replaced has to say so.
    expectRefused(await place.run(["backup", "monday.snapshot"]), 1, "DATA_EXISTS");
    const again = await place.json([
      "backup",
      "monday.snapshot",
      "--force",
      "--agent",
      await anyAddress(place),
    ]);
    expect(again).toMatchObject({
      file: "monday.snapshot",
      group: "main",
      machines: ["", "map"],
      proven: "state",
    });
    expectRefused(await place.run(["backup", "x", "--group", "other"]), 1, "GROUP_MISMATCH");
    expectRefused(await place.run(["restore", "monday.snapshot"]), 1, "DATA_EXISTS");
    const old = await place.json(["status"]);
    expect(await up.end()).toBe(0);
    expect(readdirSync(place.folder).toSorted()).toEqual([".quorate", "monday.snapshot"]);

    const restored = await place.run(["restore", "monday.snapshot", "--data", "restored", "--agents", "2"]);
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    expect(restored.stdout).toContain("quorate up --data restored");
    const fresh = await place.up("--data", "restored");
    const at = ["--data", "restored"];
    // As of the backup that replaced the first.
    expect(await place.run(["get", "a", ...at])).toMatchObject({ stdout: "2\n" });
    expect(await place.run([...paid, ...at])).toMatchObject({ code: 0 });
    const before = await place.json(["get", "b", ...at]);
    expect(before).toMatchObject({ value: 1 });
    expect(await place.run(["put", "c", "3", ...at])).toMatchObject({ code: 0 });
    const doctor = await place.json(["doctor", ...at]);
    expect(doctor).toMatchObject({ problems: 0 });
    // Nothing of the old cluster is known there.
    const cluster = (folder: string): string =>
      readFileSync(join(place.folder, folder, "agent_1/cluster.json"), "utf8");
    expect(cluster("restored")).not.toContain(clusterIdIn(cluster(".quorate")));
    expect(await place.json(["status", ...at])).not.toEqual(old);
    expect(await fresh.up.end()).toBe(0);
  });

  test("agents made by hand begin with a backup, too", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "1");
    expect(await place.run(["put", "k", '"v"'])).toMatchObject({ code: 0 });
    expect(await place.run(["backup", "b"])).toMatchObject({ code: 0 });
    expect(await up.end()).toBe(0);
    const { port, server } = await takePort();
    await new Promise((resolve) => server.close(resolve));
    const init = ["init", "--id", "a", "--listen", `127.0.0.1:${port}`, "--data", "a", "--from"];
    expectRefused(await place.run([...init, "nowhere"]), 1, "DATA_MISSING");
    expect(existsSync(join(place.folder, "a"))).toBe(false);
    expect(await place.run([...init, "b"])).toMatchObject({ code: 0 });
    const agent = place.start(["agent", "--data", "a"]);
    await agent.shows(/listens on/);
    expect(await place.run(["get", "k", "--data", "a"])).toMatchObject({ stdout: "v\n" });
    expect(await agent.end("SIGTERM")).toBe(0);
    // A folder that is there is never filled.
    expectRefused(await place.run([...init, "b"]), 1, "DATA_EXISTS");

    // What an agent begins with is looked over like its journal, and never guessed at.
    const check = ["journal", "check", "--data", "a"];
    const sound = await place.run(check);
    expect(sound).toMatchObject({ code: 0 });
    expect(sound.stdout).toMatch(/snapshot of +up to +size\n +main +\d+/);
    const snapshots = join(place.folder, "a/snapshots");
    const [name = ""] = readdirSync(snapshots);
    const bytes = readFileSync(join(snapshots, name));
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(join(snapshots, name), bytes);
    expect(await place.run(check)).toMatchObject({ code: 1 });
    const doctor = await place.run(["doctor", "--data", "a"]);
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/✖ 1 snapshot, .*; damaged: of main up to entry \d+/);
    const broken = await place.run(["agent", "--data", "a", "--log-level", "error"]);
    expect(broken.code).toBe(1);
    expect(broken.stderr).toContain("DATA_CORRUPT");
  });

  test("wrong files, folders and options are refused, and nothing is made", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "1");
    expect(await place.run(["put", "k", "1"])).toMatchObject({ code: 0 });
    expect(await place.run(["backup", "b"])).toMatchObject({ code: 0 });
    expect(await up.end()).toBe(0);
    const whole = readFileSync(join(place.folder, "b"));
    writeFileSync(join(place.folder, "cut"), whole.subarray(0, whole.length - 10));
    writeFileSync(join(place.folder, "longer"), Buffer.concat([whole, Buffer.from("more")]));
    const flipped = Buffer.from(whole);
    flipped[whole.length - 5] = (flipped[whole.length - 5] ?? 0) ^ 1;
    writeFileSync(join(place.folder, "flipped"), flipped);
    writeFileSync(join(place.folder, "text"), "not a backup");
    const before = readdirSync(place.folder).toSorted();
    for (const [args, code, part] of [
      [["restore", "nowhere", "--data", "r"], 1, "DATA_MISSING"],
      [["restore", "cut", "--data", "r"], 1, "DATA_CORRUPT"],
      [["restore", "longer", "--data", "r"], 1, "DATA_CORRUPT"],
      [["restore", "flipped", "--data", "r"], 1, "DATA_CORRUPT"],
      [["restore", "text", "--data", "r"], 1, "DATA_CORRUPT"],
      [["restore", ".quorate", "--data", "r"], 1, "DENIED"],
      [["restore", "b", "--data", ".quorate"], 1, "DATA_EXISTS"],
      [["restore", "b", "--data", "text"], 1, "DATA_EXISTS"],
      [["restore", "b", "--data", "r", "--agents", "8"], 2, "from 1 to 7"],
      [["restore", "b", "--what"], 2, "Unknown option"],
      [["restore"], 2, "issing required argument"],
      [["backup"], 2, "issing required argument"],
      [["backup", "x", "--what"], 2, "Unknown option"],
      [["backup", "x"], 1, "CANNOT_CONNECT"],
      [["backup", "x", "--data", "text"], 1, "ENOTDIR"],
      [["backup", "x", "--agent", "nonsense"], 2, "not host:port"],
    ] as const) {
      const ended = await place.run(args);
      expect({ args, ...ended }).toMatchObject({ args, code, stdout: "" });
      expectRefused(ended, code, part);
    }
    expect(readdirSync(place.folder).toSorted()).toEqual(before);
  });

  test("where nobody leads, what one agent has can be backed up, if that is wanted", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "2");
    expect(await place.run(["put", "k", "1"])).toMatchObject({ code: 0 });
    process.kill(pids[1] as number, "SIGKILL");
    await up.shows(/"agent":"agent_2","state":"down"/);
    expectRefused(await place.run(["backup", "b", "--timeout", "2s"]), 1, "NO_QUORUM");
    expect(await place.run(["backup", "b", "--local"])).toMatchObject({ code: 0 });
    expect(await up.end()).toBe(0);
    expect(await place.run(["restore", "b", "--data", "r", "--agents", "1"])).toMatchObject({ code: 0 });
  });
});

async function anyAddress(place: Workplace): Promise<string> {
  const { agents } = (await place.json(["status"])) as unknown as { agents: { address: string }[] };
  return agents.at(-1)?.address ?? "";
}

function clusterIdIn(text: string): string {
  return (JSON.parse(text) as { cluster: string }).cluster;
}
