/**
 * Goal: a file of decisions is decided once each, whatever happens to the leader meanwhile. Method: the leader is killed in
 * the middle by its process number; what every agent has in the end is read back through the library.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { connect } from "../../src/index.ts";
import { Workplace, root } from "./harness.ts";

const examples = join(root, "examples/decisions.jsonl");

/** The values that an agent has applied, up to a last one. */
async function decidedOn(socket: string, last: string): Promise<unknown[]> {
  const host = await connect({ agents: [socket], pin: true });
  const values: unknown[] = [];
  try {
    const log = host.group("main", { mechanism: "raft" });
    for await (const { value } of log.entries({ signal: AbortSignal.timeout(20_000) })) {
      if (value === last) return values;
      values.push(value);
    }
    throw new Error("the last value never came");
  } finally {
    await host.close();
  }
}

describe("propose", { timeout: 60_000 }, () => {
  test("a file, and kill -9 of the leader in the middle: all once, in order, on every agent", async () => {
    await using place = new Workplace();
    const { up, pids } = await place.up("--agents", "3");
    const { leader } = (await place.json(["status"])) as { leader: string };
    const killed = Number(leader.slice("agent_".length)) - 1;
    const follower = `agent_${((killed + 1) % 3) + 1}`;
    const ids = readFileSync(examples, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { value: unknown }).value);

    const propose = ["propose", "--file", examples, "--json"];
    const proposing = place.start([...propose, "--to", follower, "--concurrency", "16", "--timeout", "20s"]);
    await place.committed(50);
    process.kill(pids[killed]!, "SIGKILL");
    expect(await proposing.exited).toBe(0);
    expect(JSON.parse(proposing.stdout)).toMatchObject({
      total: 1000,
      decided: 1000,
      unknown: 0,
      failed: 0,
      notSent: 0,
    });

    // The whole file again: every line has an id, so nothing is decided twice.
    const again = await place.json(["propose", "--file", examples]);
    expect(again).toMatchObject({ decided: 1000 });
    await place.json(["propose", "last"]);
    for (const agent of [0, 1, 2].filter((at) => at !== killed)) {
      const socket = join(place.folder, `.quorate/agent_${agent + 1}/agent.sock`);
      expect(await decidedOn(socket, "last")).toEqual(ids);
    }
    expect(await up.end()).toBe(0);
  });

  test("one value, stdin, a broken file, and an agent that is none", async () => {
    await using place = new Workplace();
    const { up } = await place.up("--agents", "1");
    expect(await place.run(["propose", '{"pay":5}'])).toMatchObject({
      code: 0,
      stdout: 'decided: {"pay":5}\n',
    });
    const piped = await place.runProcess(["propose", "--file", "-"], '{"id":"a","value":1}\n"two"\n');
    expect(piped.stdout).toContain("decided 2 of 2");
    writeFileSync(join(place.folder, "bad.jsonl"), '{"id":"a"}\n{"id":\n');
    const broken = await place.run(["propose", "--file", "bad.jsonl"]);
    expect(broken).toMatchObject({ code: 1, stdout: "" });
    expect(broken.stderr).toContain("Line 2 of bad.jsonl is not JSON; nothing was proposed.");
    const empty = await place.runProcess(["propose", "--file", "-"], "\n\n");
    expect(empty).toMatchObject({ code: 1, stdout: "" });
    expect(empty.stderr).toContain("There is no decision in stdin; nothing was proposed.");
    const folder = await place.run(["propose", "--file", ".quorate"]);
    expect(folder).toMatchObject({ code: 1, stdout: "" });
    expect(folder.stderr).toContain("That is a folder, and a file is needed: .quorate");
    writeFileSync(join(place.folder, "windows.jsonl"), '\uFEFF{"id":"w1"}\r\n\r\n{"id":"w2"}');
    expect((await place.run(["propose", "--file", "windows.jsonl"])).stdout).toContain("decided 2 of 2");
    writeFileSync(join(place.folder, "large.jsonl"), `1\n"${"x".repeat(1_100_000)}"\n`);
    const large = await place.run(["propose", "--file", "large.jsonl", "--json"]);
    expect(large).toMatchObject({ code: 1, stdout: "" });
    expect(JSON.parse(large.stderr)).toMatchObject({ error: { code: "TOO_LARGE", outcome: "notDone" } });
    expect(large.stderr).toContain("Line 2 of large.jsonl");
    const missing = await place.run(["propose", "--file", "none.jsonl"]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("no such file");
    const nobody = await place.run(["propose", "v", "--to", "agent_7"]);
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toContain("There are: agent_1.");
    // The same id with the same value, from another process: the first answer.
    for (const _ of [1, 2]) {
      expect(await place.run(["propose", "7", "--request-id", "once"])).toMatchObject({
        code: 0,
        stdout: "decided: 7\n",
      });
    }
    expect(await up.end()).toBe(0);
  });
});
