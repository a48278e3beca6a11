/**
 * Goal: `up` starts agents that can be used, and leaves nothing when it ends, however it ends. Method: real processes in a
 * folder of their own; what is left is looked for among processes, sockets and locks.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { until } from "../support/runtime.ts";
import { Workplace, allGone, canMount, isAlive, leftBehind, takePort } from "./harness.ts";

interface StatusJson {
  readonly leader: string | null;
  readonly term: number;
  readonly agents: readonly {
    readonly id: string;
    readonly state: string;
    readonly status?: { role: string };
  }[];
}

describe("up", { timeout: 60_000 }, () => {
  test("three agents: put, get, cas, watch, status; then Ctrl-C leaves no process, socket or lock", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    expect(new Set(pids).size).toBe(3);

    const watch = place.start(["watch", "mod", "--from", "1"]);
    // As a shell runs them, each in a process of its own.
    expect(await place.runProcess(["get", "model"])).toMatchObject({ code: 1, stdout: "" });
    const put = await place.runProcess(["put", "model", "v42", "--json"]);
    const { version } = JSON.parse(put.stdout) as { version: number };
    expect(await place.runProcess(["get", "model"])).toEqual({ code: 0, stdout: "v42\n", stderr: "" });
    expect(await place.json(["get", "model"])).toEqual({ key: "model", value: "v42", version });

    // Somebody else's version: nothing changes, and the exit code tells.
    expect(await place.runProcess(["cas", "model", String(version + 1), "v44"])).toMatchObject({ code: 1 });
    const swapped = await place.json(["cas", "model", String(version), '{"name":"v43"}']);
    expect(swapped).toMatchObject({ kind: "swapped" });
    expect(await place.run(["get", "model"])).toMatchObject({ stdout: '{"name":"v43"}\n' });

    await watch.shows(/v43/);
    expect(
      watch.stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split("  ").slice(1)),
    ).toEqual([
      ["model", "v42"],
      ["model", '{"name":"v43"}'],
    ]);
    expect(await watch.end()).toBe(0);

    const status = (await place.json(["status"])) as unknown as StatusJson;
    expect(status.agents.map((agent) => agent.id)).toEqual(["agent_1", "agent_2", "agent_3"]);
    expect(status.agents.filter((agent) => agent.status?.role === "leader").map((agent) => agent.id)).toEqual(
      [status.leader],
    );

    // A terminal sends SIGINT to every process of the group, so the agents get it as well.
    for (const pid of pids) process.kill(pid, "SIGINT");
    expect(pids.every((pid) => isAlive(pid))).toBe(true);
    expect(await up.end("SIGINT")).toBe(0);
    await allGone(pids, 1000);
    expect(leftBehind(join(place.folder, ".quorate"))).toEqual([]);
  });

  test("what was decided is still there after a restart; --fresh begins anew, but only when told twice", async () => {
    await using place = new Workplace();
    const first = await place.up("--agents", "1");
    await place.json(["put", "kept", "yes"]);
    expect(await first.up.end()).toBe(0);

    const second = await place.up();
    expect(second.up.stdout).toContain('"continued":true');
    expect(await place.run(["get", "kept"])).toMatchObject({ stdout: "yes\n" });
    expect(await second.up.end()).toBe(0);

    const refused = await place.run(["up", "--fresh"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("--yes");
    const third = await place.up("--fresh", "--yes", "--agents", "1");
    expect(await place.run(["get", "kept"])).toMatchObject({ code: 1 });
    expect(await third.up.end()).toBe(0);
  });

  test.skipIf(process.platform !== "linux")(
    "Ctrl-C while they start: nothing is left, and it is no bug",
    async () => {
      await using place = new Workplace();
      // Agents that take their time, and have not yet said what is to happen at Ctrl-C.
      const slow = join(place.folder, "slow.cjs");
      writeFileSync(
        slow,
        'if (process.argv[2] === "agent") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25_000);',
      );
      for (const [args, toAll] of [
        [["up"], true],
        [["up"], false],
        [["tour"], true],
      ] as const) {
        const up = place.start(args, { NODE_OPTIONS: `--require ${slow}` });
        let agents: number[] = [];
        await until(() => {
          agents = childrenOf(up.pid);
          return agents.length === 4;
        }, "they are started");
        const ended = up.end("SIGINT");
        // A terminal sends it to every process of the group, whoever else only to up. A terminal does so in one call, this test
        // one by one: were up the last, it could see its agents end by a signal before it hears of that itself.
        if (toAll) for (const pid of agents) process.kill(pid, "SIGINT");
        expect(await ended).toBe(130);
        expect(up.stderr).toContain("Ended before all agents ran.  ABORTED");
        expect(up.stderr.trimEnd().split("\n")).toHaveLength(2);
        await allGone(agents, 1000);
        expect(leftBehind(join(place.folder, ".quorate"))).toEqual([]);
      }
    },
  );

  test("kill -9 of up itself: its agents see that it is gone, and end by themselves", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "2");
    await up.end("SIGKILL");
    await allGone(pids);
    // The folder is free again: its lock died with its holder.
    const next = await place.up();
    expect(await next.up.end()).toBe(0);
    expect(leftBehind(join(place.folder, ".quorate"))).toEqual([]);
  });

  test("Ctrl-C of a call that did nothing is told by its exit code", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    const { leader } = (await place.json(["status"])) as unknown as StatusJson;
    const others = pids.filter((_, at) => leader !== `agent_${at + 1}`);
    for (const pid of others) process.kill(pid, "SIGSTOP");
    const get = place.start(["get", "k", "--timeout", "20s"]);
    // What is stopped is silent, not down: whoever looks for it finds a process.
    await until(async () => {
      const { agents } = (await place.json(["status"])) as unknown as StatusJson;
      return agents.filter(({ state }) => state === "silent").length === 2;
    }, "they are silent");
    expect(await get.end()).toBe(130);
    expect(get.stderr).toContain("ABORTED");
    for (const pid of others) process.kill(pid, "SIGCONT");
    expect(await up.end()).toBe(0);
  });

  test("an agent that dies is shown as down, and nothing restarts it", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    const status = (await place.json(["status"])) as unknown as StatusJson;
    const leader = status.agents.findIndex((agent) => agent.id === status.leader);
    process.kill(pids[leader]!, "SIGKILL");
    await up.shows(/"state":"down","note":"killed by SIGKILL"/);
    // A split vote costs a term more.
    const [, term = ""] = await up.shows(/"state":"down"[^]*"agent":"agent_\d","state":"leader, term (\d+)"/);
    expect(Number(term)).toBeGreaterThan(status.term);
    // The two others are a majority.
    expect(await place.run(["put", "k", "v"])).toMatchObject({ code: 0 });
    const later = (await place.json(["status"])) as unknown as StatusJson;
    expect(later.agents[leader]).toMatchObject({ id: status.leader, state: "down" });
    expect(later.agents.filter((agent) => agent.state === "running")).toHaveLength(2);
    expect(await up.end()).toBe(0);
    // Not even of the one that could not clear up behind itself.
    expect(leftBehind(join(place.folder, ".quorate"))).toEqual([]);
  });

  test("an agent that is restarted by hand is shown as up again; Ctrl-C leaves it running", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    process.kill(pids[1]!, "SIGKILL");
    await up.shows(/"agent":"agent_2","state":"down"/);
    const upAgain = /"agent_2","state":"down"[^]*"agent_2","state":"(?:up|leader, term \d+)".*"pid":(\d+)/;
    const byHand = place.start(["agent", "--data", ".quorate/agent_2", "--json"]);
    const [, pid = ""] = await up.shows(upAgain);
    expect(Number(pid)).toBe(byHand.pid);
    expect(await up.end()).toBe(0);
    expect(isAlive(byHand.pid)).toBe(true);
    expect(await byHand.end()).toBe(0);
    expect(leftBehind(join(place.folder, ".quorate"))).toEqual([]);

    // And where it ends while up goes on, it is down again.
    const again = await place.up();
    process.kill(again.pids[1]!, "SIGKILL");
    await again.up.shows(/"agent":"agent_2","state":"down"/);
    const next = place.start(["agent", "--data", ".quorate/agent_2", "--json"]);
    await again.up.shows(upAgain);
    const before = again.up.stdout.length;
    expect(await next.end()).toBe(0);
    await until(() => again.up.stdout.slice(before).includes('"agent":"agent_2","state":"down"'), "down");
    expect(await again.up.end()).toBe(0);
  });
});

describe("a member whose data is gone", { timeout: 60_000 }, () => {
  test("is left out in one line while the others are a majority, and not made anew", async () => {
    await using place = new Workplace();
    const first = await place.up("--agents", "3");
    await place.json(["put", "kept", "yes"]);
    await first.up.end();
    // The first one: the others know the cluster as well.
    rmSync(join(place.folder, ".quorate/agent_1"), { recursive: true });

    const up = place.start(["up"]);
    await up.shows(/ready after/);
    expect(up.stdout).toContain("3 agents, 2 processes");
    const told = up.stdout.split("\n").filter((line) => line.includes("agent_1"));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/agent_1 is left out: .*gone.*not made anew.*Put .* back/);
    expect(await place.run(["get", "kept"])).toMatchObject({ stdout: "yes\n" });
    expect(await place.run(["put", "k", "v"])).toMatchObject({ code: 0 });
    const status = await place.run(["status"]);
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/agent_1: .*gone/);
    expect(await up.end()).toBe(0);
    expect(readdirSync(join(place.folder, ".quorate"))).not.toContain("agent_1");
  });

  test("stops up where the others are no majority: how many there are, and what to do", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "3");
    await up.end();
    for (const id of ["agent_1", "agent_3"]) {
      rmSync(join(place.folder, ".quorate", id), { recursive: true });
    }
    const { code, stderr } = await place.run(["up"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/2 of 3 agents have lost their data.*agent_1.*gone.*DATA_MISSING/);
    expect(stderr).toContain("--fresh");
    expect(stderr.trimEnd().split("\n")).toHaveLength(2);
    const there = readdirSync(join(place.folder, ".quorate"));
    expect(there).not.toContain("agent_1");
    expect(there).not.toContain("agent_3");
  });

  test("is as much gone where only a file of it is, or holds something else; once that is back, so is the member", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "3");
    await up.end();
    for (const [name, damage] of [
      ["identity.json", (path: string) => rmSync(path)],
      ["cluster.json", (path: string) => writeFileSync(path, "nonsense")],
      ["key.pem", (path: string) => rmSync(path)],
    ] as const) {
      const path = join(place.folder, ".quorate/agent_1", name);
      const before = readFileSync(path);
      damage(path);
      const next = await place.up();
      await next.up.shows(/"agent":"agent_1","state":"down"/);
      expect(await place.run(["put", "k", "v"])).toMatchObject({ code: 0 });
      expect(await next.up.end()).toBe(0);
      writeFileSync(path, before);
    }
    const whole = await place.up();
    expect(whole.pids.filter((pid) => pid > 0)).toHaveLength(3);
    expect(whole.up.stdout).not.toContain('"state":"down"');
    expect(await whole.up.end()).toBe(0);
  });
});

describe("what up refuses", { timeout: 60_000 }, () => {
  test("a second up on the same folder says who runs it, and how to look", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "1");
    const second = await place.run(["up"]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`running already, started by process ${up.pid}`);
    expect(second.stderr).toContain("quorate status");
    expect(second.stderr.trimEnd().split("\n")).toHaveLength(2);
    const fresh = await place.run(["up", "--fresh", "--yes"]);
    expect(fresh.stderr).toContain("running already");
    // And the one process that runs an agent keeps a second one out too.
    const agent = await place.run(["agent", "--data", ".quorate/agent_1"]);
    expect(agent.code).toBe(1);
    expect(agent.stderr).toContain("DATA_LOCKED");
    expect(await place.run(["put", "k", "still here"])).toMatchObject({ code: 0 });
    expect(await up.end()).toBe(0);
  });

  test("a port in use: which one, and what to do; no process is left", async () => {
    await using place = new Workplace();
    const { port, server } = await takePort();
    try {
      const { code, stderr } = await place.run(["up", "--agents", "2", "--port", String(port)]);
      expect(code).toBe(1);
      expect(stderr).toContain(`127.0.0.1:${port}`);
      expect(stderr).toContain("ADDRESS_IN_USE");
      expect(stderr).toContain("--port");
      expect(stderr).not.toContain("    at ");
      expect(existsSync(join(place.folder, ".quorate"))).toBe(false);
    } finally {
      server.close();
    }
    // No folder is left that would go on asking for that port: another number of agents is fine as well.
    // One, since the port behind it may be somebody else's.
    const { up } = await place.up("--agents", "1", "--port", String(port));
    expect(up.stdout).toContain(`127.0.0.1:${port}`);
    expect(await up.end()).toBe(0);
    const again = await takePort(port);
    const { code, stderr } = await place.run(["up"]);
    again.server.close();
    expect(code).toBe(1);
    expect(stderr).toContain("ADDRESS_IN_USE");
  });

  test("another number of agents than there are, or a folder with something else in it", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "1");
    await up.end();
    const other = await place.run(["up", "--agents", "3"]);
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toContain("holds 1 agents, not 3");
    const strange = await place.run(["up", "--data", "."]);
    expect(strange).toMatchObject({ code: 1 });
    expect(strange.stderr).toContain("something else");
    expect(existsSync(join(place.folder, ".quorate/agent_1/key.pem"))).toBe(true);
  });

  test.skipIf(!canMount())("a full disk, and one that is read-only", async () => {
    await using place = new Workplace();
    const small = join(place.folder, "small");
    spawnSync("mkdir", [small]);
    spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", small]);
    try {
      const { code, stderr } = await place.run(["up", "--agents", "1", "--data", join(small, "q")]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/no room|full/);
      expect(stderr).toContain("Make room");
      expect(stderr).not.toContain("    at ");
      // Not even room for a key: it is the same to whoever reads it.
      writeFileSync(join(small, "fill"), "");
      spawnSync("dd", ["if=/dev/zero", `of=${join(small, "fill")}`, "bs=1k"]);
      const init = await place.run([
        "init",
        "--id",
        "a",
        "--listen",
        "127.0.0.1:7400",
        "--data",
        join(small, "a"),
      ]);
      expect(init.code).toBe(1);
      expect(init.stderr).toContain(`There is no room left for ${join(small, "a")}.  DISK_FULL`);
      // Nor may anything be written: the folder is named, and a journal can be looked at all the same.
      rmSync(join(small, "fill"));
      spawnSync("mount", ["-o", "remount,ro", small]);
      const up = await place.run(["up", "--data", join(small, "q")]);
      expect(up.code).toBe(1);
      expect(up.stderr).toContain(`The folder ${join(small, "q")} can't be used: `);
      expect(up.stderr).toContain("read-only");
      expect(await place.run(["journal", "check", "--data", join(small, "q")])).toMatchObject({ code: 0 });
    } finally {
      spawnSync("umount", [small]);
    }
  });
});

/** As Linux tells them. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
