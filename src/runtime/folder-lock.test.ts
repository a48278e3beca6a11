import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Child } from "../../test/support/child.ts";
import { failure, temporaryFolder } from "../../test/support/runtime.ts";
import { createDataFolder, DataFolder } from "./data-folder.ts";
import { FolderLock, lockHolder } from "./folder-lock.ts";
import { findSocketPath, prepareSocketPath, removeSocket, socketPathBytesMax } from "./socket-path.ts";

function leftIn(path: string): string[] {
  return readdirSync(path).toSorted();
}

describe("the lock of a folder", () => {
  test("keeps this very process from opening it twice, and is free after", async () => {
    const path = temporaryFolder();
    const lock = await FolderLock.acquire(path);
    const error = await failure(async () => FolderLock.acquire(path));
    expect(error.code).toBe("DATA_LOCKED");
    expect(error.message).toContain(String(process.pid));
    expect(await lockHolder(path)).toBe(process.pid);
    lock.release();
    lock.release();
    expect(await lockHolder(path)).toBeUndefined();
    (await FolderLock.acquire(path)).release();
  });

  test("leaves no lock and no socket behind, but who had it last, however often it was taken", async () => {
    const path = temporaryFolder();
    for (let round = 0; round < 5; round++) (await FolderLock.acquire(path)).release();
    expect(leftIn(path)).toEqual(["owner.5"]);
  });

  test("of many that want it at once exactly one gets it", async () => {
    const path = temporaryFolder();
    for (let round = 0; round < 10; round++) {
      const attempts = await Promise.allSettled(
        Array.from({ length: 8 }, async () => FolderLock.acquire(path)),
      );
      const held = attempts.filter((attempt) => attempt.status === "fulfilled");
      expect(held).toHaveLength(1);
      const refusals = attempts.flatMap((attempt) =>
        attempt.status === "rejected" ? [attempt.reason as unknown] : [],
      );
      expect(refusals).toMatchObject(Array.from({ length: 7 }, () => ({ code: "DATA_LOCKED" })));
      held[0]?.value.release();
    }
  });

  test("is not fooled by a process number that was given to somebody else", async () => {
    const path = temporaryFolder();
    // A holder with the number of a process that lives (this one), but that was started at another time.
    const lock = await FolderLock.acquire(path);
    const holder = JSON.parse(readFileSync(join(path, "owner.1"), "utf8")) as Record<string, unknown>;
    lock.release();
    if (holder["world"] === "") return;
    writeFileSync(join(path, "owner.2"), JSON.stringify({ ...holder, startedAt: "1" }));
    expect(await lockHolder(path)).toBeUndefined();
    (await FolderLock.acquire(path)).release();
    expect(leftIn(path)).toEqual(["owner.3"]);
  });

  test("of a process that can't be seen from here counts while its socket accepts", async () => {
    const path = temporaryFolder();
    const lock = await FolderLock.acquire(path);
    const text = readFileSync(join(path, "owner.1"), "utf8");
    const holder = JSON.parse(text) as Record<string, unknown>;
    // As if written in another container: the process numbers there mean nothing here.
    writeFileSync(join(path, "owner.1"), JSON.stringify({ ...holder, world: "elsewhere", pid: 1 }));
    expect((await failure(async () => FolderLock.acquire(path))).code).toBe("DATA_LOCKED");
    lock.release();
    writeFileSync(join(path, "owner.2"), JSON.stringify({ ...holder, world: "elsewhere", pid: 1 }));
    (await FolderLock.acquire(path)).release();
  });

  test("that was cut short by a crash of the machine is nobody's", async () => {
    const path = temporaryFolder();
    writeFileSync(join(path, "owner.7"), '{"pid":');
    (await FolderLock.acquire(path)).release();
    expect(leftIn(path)).toEqual(["owner.8"]);
  });

  test("holds against a second process, survives its being stopped, and falls with kill -9", async () => {
    const path = join(temporaryFolder(), "agent_1");
    createDataFolder(path, { agent: "agent_1" });
    const holder = new Child("./hold-lock.ts", path);
    expect(await holder.line()).toBe("open");
    const error = await failure(async () => DataFolder.open(path));
    expect(error.code).toBe("DATA_LOCKED");
    expect(error.message).toContain(`process ${holder.pid}`);
    holder.signal("SIGSTOP");
    expect((await failure(async () => DataFolder.open(path))).code).toBe("DATA_LOCKED");
    expect(await new Child("./hold-lock.ts", path).line()).toBe("DATA_LOCKED");
    holder.signal("SIGCONT");
    await holder.kill("SIGKILL");
    const folder = await DataFolder.open(path);
    expect(readdirSync(path).filter((name) => name.endsWith(".sock"))).toHaveLength(1);
    folder.close();
  });
});

describe("a socket's path", () => {
  test("is in the folder where it fits", () => {
    const path = temporaryFolder();
    expect(prepareSocketPath(path, "agent.sock")).toBe(join(path, "agent.sock"));
    expect(findSocketPath(path, "agent.sock")).toBe(join(path, "agent.sock"));
  });

  test("is a short one elsewhere where it does not fit, and a pointer leads there", async () => {
    const path = join(temporaryFolder(), "x".repeat(120));
    mkdirSync(path);
    const short = prepareSocketPath(path, "agent.sock");
    expect(Buffer.byteLength(short)).toBeLessThanOrEqual(socketPathBytesMax);
    expect(findSocketPath(path, "agent.sock")).toBe(short);
    // A second start clears away what the first one left.
    const next = prepareSocketPath(path, "agent.sock");
    expect(existsSync(join(short, ".."))).toBe(false);
    removeSocket(path, "agent.sock");
    expect(existsSync(join(next, ".."))).toBe(false);
    expect(readdirSync(path)).toEqual([]);
    (await FolderLock.acquire(path)).release();
  });

  test("never removes what a pointer names outside of its own short folders", () => {
    const path = join(temporaryFolder(), "x".repeat(120));
    mkdirSync(path);
    const precious = join(path, "precious");
    writeFileSync(precious, "");
    writeFileSync(join(path, "agent.sock.path"), precious);
    removeSocket(path, "agent.sock");
    expect(existsSync(precious)).toBe(true);
  });
});
