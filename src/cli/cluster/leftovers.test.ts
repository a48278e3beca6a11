import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Child } from "../../../test/support/child.ts";
import { temporaryFolder } from "../../../test/support/runtime.ts";
import { createDataFolder } from "../../runtime/data-folder.ts";
import { removeLeftovers } from "./leftovers.ts";

function dataFolder(): string {
  const path = join(temporaryFolder(), "agent_1");
  createDataFolder(path, { agent: "agent_1" });
  return path;
}

describe("what an agent leaves behind", () => {
  test("is removed once it was killed, and not while it lives", async () => {
    const path = dataFolder();
    const holder = new Child("./hold-lock.ts", path);
    expect(await holder.line()).toBe("open");
    writeFileSync(join(path, "agent.sock"), "");
    const before = readdirSync(path);
    await removeLeftovers(path);
    expect(readdirSync(path)).toEqual(before);
    await holder.kill("SIGKILL");
    await removeLeftovers(path);
    expect(readdirSync(path).toSorted()).toEqual([
      "identity.json",
      "journal",
      "key.pem",
      "owner.2",
      "snapshots",
    ]);
  });

  test("is nothing after a good end: the folder is not touched then, nor made where it is gone", async () => {
    const path = dataFolder();
    const before = readdirSync(path);
    await removeLeftovers(path);
    expect(readdirSync(path)).toEqual(before);
    const gone = join(path, "..", "agent_2");
    await removeLeftovers(gone);
    expect(existsSync(gone)).toBe(false);
    mkdirSync(gone);
    await removeLeftovers(gone);
    expect(readdirSync(gone)).toEqual([]);
  });
});
