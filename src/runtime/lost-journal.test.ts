/**
 * Goal: a member that has lost its journal never votes again under its old name. Method: an agent decides something and
 * ends; then its journal is taken away, emptied, or swapped for another one; then it is started again.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { TestSession } from "../../test/support/commands.ts";
import { failure, temporaryFolder } from "../../test/support/runtime.ts";
import { AgentRuntime } from "./agent.ts";
import { checksum } from "./checksum.ts";
import { createDataFolder, DataFolder } from "./data-folder.ts";

async function start(dataDir: string): Promise<AgentRuntime> {
  const agent = await AgentRuntime.start({
    id: "agent_1",
    dataDir,
    listen: "127.0.0.1:0",
    groups: [{ name: "main", mechanism: "raft", members: ["agent_1"] }],
  });
  onTestFinished(async () => agent.close());
  return agent;
}

/** The data folder of an agent that has voted for itself and decided something, and has ended. */
async function lived(): Promise<string> {
  const dataDir = join(temporaryFolder(), "agent_1");
  createDataFolder(dataDir, { agent: "agent_1" });
  const agent = await start(dataDir);
  await (await new TestSession(agent.gateway("main")).open()).decide("kept");
  await agent.close();
  return dataDir;
}

/** Every file with its text; who owned the folder last is no memory of the agent's. */
function image(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("owner."))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${path} ${checksum(readFileSync(path))}`;
    })
    .toSorted();
}

/** Starts the agent twice: what it says, and that it left everything as it was. */
async function refused(dataDir: string): Promise<Error & { code?: string; hint?: string }> {
  const before = image(dataDir);
  const error = await failure(async () => start(dataDir));
  expect((await failure(async () => start(dataDir))).code).toBe(error.code);
  expect(image(dataDir)).toEqual(before);
  return error;
}

describe("an agent whose journal is gone", () => {
  test("is refused without the folder, and does not make it again", async () => {
    const dataDir = await lived();
    rmSync(join(dataDir, "journal"), { recursive: true });
    const names = readdirSync(dataDir);
    const error = await refused(dataDir);
    expect(error.code).toBe("DATA_MISSING");
    expect(error.message).toContain(join(dataDir, "journal"));
    expect(error.hint).toContain("lost its memory");
    expect(existsSync(join(dataDir, "journal"))).toBe(false);
    expect(readdirSync(dataDir)).toEqual(names);
  });

  test("is refused with an empty folder, or one that holds something else", async () => {
    const dataDir = await lived();
    rmSync(join(dataDir, "journal"), { recursive: true });
    mkdirSync(join(dataDir, "journal"));
    expect((await refused(dataDir)).code).toBe("DATA_MISSING");
    writeFileSync(join(dataDir, "journal", "journal-00000003.temporary"), "");
    writeFileSync(join(dataDir, "journal", "notes.txt"), "mine");
    expect((await refused(dataDir)).code).toBe("DATA_MISSING");
  });

  test("is refused before it has ever run: a folder is made with its journal", async () => {
    const dataDir = join(temporaryFolder(), "agent_1");
    createDataFolder(dataDir, { agent: "agent_1" });
    rmSync(join(dataDir, "journal", "journal-00000001.segment"));
    expect((await refused(dataDir)).code).toBe("DATA_MISSING");
    expect((await failure(async () => DataFolder.open(dataDir))).code).toBe("DATA_MISSING");
  });

  test("is refused with files that were cut to nothing", async () => {
    const dataDir = await lived();
    for (const name of readdirSync(join(dataDir, "journal"))) truncateSync(join(dataDir, "journal", name));
    const error = await refused(dataDir);
    expect(error.code).toBe("DATA_CORRUPT");
    expect(error.hint).toContain("lost its memory");
  });

  test("goes on as before once the journal is put back", async () => {
    const dataDir = await lived();
    renameSync(join(dataDir, "journal"), join(dataDir, "..", "elsewhere"));
    expect((await refused(dataDir)).code).toBe("DATA_MISSING");
    renameSync(join(dataDir, "..", "elsewhere"), join(dataDir, "journal"));
    await (await new TestSession((await start(dataDir)).gateway("main")).open()).decide("more");
  });
});

describe("an agent with a journal that is not its own", () => {
  test("is refused with that of another agent", async () => {
    const dataDir = await lived();
    const other = await lived();
    rmSync(join(dataDir, "journal"), { recursive: true });
    cpSync(join(other, "journal"), join(dataDir, "journal"), { recursive: true });
    expect((await refused(dataDir)).code).toBe("DATA_FOREIGN");
  });

  test("is refused with the beginning of another agent's, so that nothing new can stand in for what is gone", async () => {
    const dataDir = await lived();
    const fresh = join(temporaryFolder(), "agent_1");
    createDataFolder(fresh, { agent: "agent_1" });
    rmSync(join(dataDir, "journal"), { recursive: true });
    cpSync(join(fresh, "journal"), join(dataDir, "journal"), { recursive: true });
    expect((await refused(dataDir)).code).toBe("DATA_FOREIGN");
  });

  test("is refused with one of another format", async () => {
    const dataDir = await lived();
    const [name = ""] = readdirSync(join(dataDir, "journal"));
    const path = join(dataDir, "journal", name);
    const bytes = readFileSync(path);
    // The version, and the checksum over it (SPEC.md of the journal).
    bytes.writeUInt32LE(0, 8);
    bytes.writeUInt32LE(checksum(bytes.subarray(8, 28)), 4);
    writeFileSync(path, bytes);
    const error = await refused(dataDir);
    expect(error.code).toBe("DATA_VERSION");
    expect(error.message).toContain("format 0");
  });
});
