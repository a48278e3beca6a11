import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { failure, temporaryFolder } from "../../test/support/runtime.ts";
import { DiskError, isDiskFull, type DiskFile } from "../journal/disk.ts";
import { NodeDisk } from "./node-disk.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** What this process has open. */
function openFiles(): string[] {
  return readdirSync("/proc/self/fd").flatMap((number) => {
    try {
      return [readlinkSync(`/proc/self/fd/${number}`)];
    } catch {
      // The one that listed the folder is gone again.
      return [];
    }
  });
}

/** Files of a folder that have no name any more, and that this process still has open. */
function nameless(path: string): string[] {
  return openFiles().filter((file) => file.startsWith(`${path}/`) && file.endsWith(" (deleted)"));
}

/** Resolves once the thread pool has freed all of them but so many. */
async function freed(path: string, left: number): Promise<void> {
  while (nameless(path).length > left) await new Promise((resolve) => void setImmediate(resolve));
}

async function synced(file: DiskFile): Promise<Error | undefined> {
  return new Promise((resolve) => {
    file.sync((error) => resolve(error));
  });
}

describe("the disk over node:fs", () => {
  test("keeps what was written, also across its own end", async () => {
    const path = temporaryFolder();
    mkdirSync(join(path, "journal"));
    const disk = new NodeDisk(join(path, "journal"));
    const file = disk.open("a", "create");
    file.write(0, bytes(1, 2, 3));
    file.write(5, bytes(6));
    expect(file.byteLength()).toBe(6);
    expect(await synced(file)).toBeUndefined();
    disk.close();
    const again = new NodeDisk(join(path, "journal"));
    const into = new Uint8Array(10);
    const found = again.open("a", "existing");
    expect(found.read(0, into)).toBe(6);
    expect([...into.subarray(0, 6)]).toEqual([1, 2, 3, 0, 0, 6]);
    expect(found.read(4, into)).toBe(2);
    expect(found.read(6, into)).toBe(0);
    expect(again.list()).toEqual(["a"]);
    again.close();
  });

  test.skipIf(process.platform !== "linux")(
    "closed while a sync runs, it keeps the descriptor until that is through, so that no other file gets its number",
    async () => {
      const path = temporaryFolder();
      const disk = new NodeDisk(path);
      const file = disk.open("a", "create");
      file.write(0, bytes(1));
      const open = (): boolean => openFiles().includes(join(path, "a"));
      const sync = synced(file);
      file.close();
      expect(open()).toBe(true);
      expect(await sync).toBeUndefined();
      expect(open()).toBe(false);
    },
  );

  test.skipIf(process.platform !== "linux")(
    "J29: whoever removes files waits for none: names go at once, and their bytes one file after the other",
    async () => {
      const path = temporaryFolder();
      const disk = new NodeDisk(path);
      const names = ["a", "b", "c"];
      for (const name of names) disk.open(name, "create").close();
      for (const name of names) disk.remove(name);
      expect(disk.list()).toEqual([]);
      // The pool may be done with the first by now. It gets the next one only once this function waits for something.
      expect(nameless(path).length).toBeGreaterThanOrEqual(2);
      // Their names are free for others, who keep them.
      disk.open("a", "create").write(0, bytes(7));
      await freed(path, 0);
      expect([...readFileSync(join(path, "a"))]).toEqual([7]);
      disk.close();
    },
  );

  test.skipIf(process.platform !== "linux")(
    "J29: a file that is removed while it is open can be read on, and whoever closes it then waits for nothing either",
    async () => {
      const path = temporaryFolder();
      const disk = new NodeDisk(path);
      const files = ["a", "b"].map((name) => disk.open(name, "create"));
      for (const file of files) file.write(0, bytes(1, 2));
      for (const { name } of files) disk.remove(name);
      await freed(path, 2);
      for (const file of files) expect(file.read(0, new Uint8Array(2))).toBe(2);
      for (const file of files) file.close();
      expect(nameless(path).length).toBeGreaterThanOrEqual(1);
      await freed(path, 0);
      disk.close();
    },
  );

  test.skipIf(process.platform !== "linux")(
    "an end waits for no more than the file that the pool is at, and leaves none open",
    () => {
      const path = temporaryFolder();
      const disk = new NodeDisk(path);
      const names = ["a", "b", "c"];
      for (const name of names) disk.open(name, "create").close();
      for (const name of names) disk.remove(name);
      disk.close();
      expect(nameless(path).length).toBeLessThanOrEqual(1);
    },
  );

  test("read only, it reads whatever it may not write, and writes nothing", async () => {
    const path = temporaryFolder();
    const disk = new NodeDisk(path);
    disk.open("a", "create").write(0, bytes(1, 2, 3));
    disk.close();
    const looking = new NodeDisk(path, "read");
    const file = looking.open("a", "existing");
    const into = new Uint8Array(3);
    expect(file.read(0, into)).toBe(3);
    expect([...into]).toEqual([1, 2, 3]);
    expect((await failure(() => file.write(0, bytes(9)))).code).toBe("EBADF");
    expect((await failure(() => looking.open("b", "create"))).message).toContain("only to be read");
    looking.close();
    expect(readdirSync(path)).toEqual(["a"]);
  });

  test("names the system's code where it refuses", async () => {
    const disk = new NodeDisk(temporaryFolder());
    disk.open("a", "create");
    for (const [action, code] of [
      [() => disk.open("a", "create"), "EEXIST"],
      [() => disk.open("b", "existing"), "ENOENT"],
      [() => disk.remove("b"), "ENOENT"],
      [() => disk.rename("b", "c"), "ENOENT"],
    ] as const) {
      const error = await failure(action);
      expect(error).toBeInstanceOf(DiskError);
      expect(error.code).toBe(code);
    }
    disk.close();
  });

  test("says that a disk is full, and that this is not the end", async () => {
    const path = temporaryFolder();
    // Linux has a device that is always full.
    if (!existsSync("/dev/full")) return;
    symlinkSync("/dev/full", join(path, "full"));
    const disk = new NodeDisk(path);
    const error = await failure(() => disk.open("full", "existing").write(0, bytes(1)));
    expect(error.code).toBe("ENOSPC");
    expect(isDiskFull(error)).toBe(true);
    disk.close();
  });

  test("a sync never answers inside the call, and fails with the code where the file is no file", async () => {
    const path = temporaryFolder();
    const disk = new NodeDisk(path);
    const file = disk.open("a", "create");
    let answered = false;
    const done = synced(file).then((error) => {
      answered = true;
      return error;
    });
    expect(answered).toBe(false);
    expect(await done).toBeUndefined();
    if (!existsSync("/dev/null")) return;
    symlinkSync("/dev/null", join(path, "null"));
    const failed = await synced(disk.open("null", "existing"));
    expect(failed).toBeInstanceOf(DiskError);
    expect((failed as DiskError).code).toBe("EINVAL");
    disk.close();
  });

  test("syncs its folder, renames and removes", async () => {
    const path = temporaryFolder();
    const disk = new NodeDisk(path);
    disk.open("a", "create").write(0, bytes(9));
    disk.rename("a", "b");
    await new Promise<void>((resolve, reject) => {
      disk.syncDirectory((error) => (error === undefined ? resolve() : reject(error)));
    });
    disk.syncDirectoryNow();
    expect([...readFileSync(join(path, "b"))]).toEqual([9]);
    disk.remove("b");
    expect(disk.list()).toEqual([]);
    disk.close();
  });

  test("closing in the middle of a sync waits for it, and closing twice does nothing", async () => {
    const disk = new NodeDisk(temporaryFolder());
    const file = disk.open("a", "create");
    file.write(0, bytes(1));
    const done = synced(file);
    disk.close();
    disk.close();
    file.close();
    expect(await done).toBeUndefined();
  });

  test("never makes its folder: one that is not there is refused with its code", async () => {
    const path = temporaryFolder();
    expect((await failure(() => new NodeDisk(join(path, "journal")))).code).toBe("ENOENT");
    expect(readdirSync(path)).toEqual([]);
    writeFileSync(join(path, "file"), "");
    expect((await failure(() => new NodeDisk(join(path, "file", "journal")))).code).toBe("ENOTDIR");
  });
});
