/**
 * A Unix socket's path has room for some 100 bytes only. Where a data folder's own path is longer, the socket lives in
 * a short folder below the system's temporary one, and a pointer file in the data folder says where.
 */
import { mkdtempSync, readFileSync, renameSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** Linux has 108, macOS 104, both with a zero at the end. */
export const socketPathBytesMax = 100;

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= socketPathBytesMax;
}

/**
 * Where to listen for the socket `name` of `folder`. Removes what an earlier owner left there, so the folder's lock must
 * be held. On Windows it is a named pipe.
 */
export function prepareSocketPath(folder: string, name: string): string {
  const direct = directPath(folder, name);
  removeSocket(folder, name);
  if (fits(direct)) return direct;
  // Made by `mkdtemp`, so that only this user may look inside.
  const short = join(mkdtempSync(join(tmpdir(), "quorate-")), name);
  const pointer = pointerPath(folder, name);
  writeFileSync(`${pointer}.new`, short, { mode: 0o600 });
  renameSync(`${pointer}.new`, pointer);
  return short;
}

/** Where the socket `name` of `folder` is, if it is there. */
export function findSocketPath(folder: string, name: string): string {
  const direct = directPath(folder, name);
  if (fits(direct)) return direct;
  return readPointer(folder, name) ?? direct;
}

/** Removes the socket and its pointer. */
export function removeSocket(folder: string, name: string): void {
  const direct = directPath(folder, name);
  if (!direct.startsWith("\\\\")) rmSync(direct, { force: true });
  const elsewhere = readPointer(folder, name);
  if (elsewhere === undefined) return;
  rmSync(pointerPath(folder, name), { force: true });
  // A pointer is only ever to a folder that `prepareSocketPath` made: anything else is not ours to remove.
  if (!elsewhere.startsWith(join(tmpdir(), "quorate-"))) return;
  rmSync(elsewhere, { force: true });
  try {
    rmdirSync(dirname(elsewhere));
  } catch {
    // Somebody put something else there, or it is gone: either way there is nothing left to do.
  }
}

function directPath(folder: string, name: string): string {
  const path = join(resolve(folder), name);
  return process.platform === "win32" ? `\\\\.\\pipe\\${path.replaceAll(/[^a-zA-Z0-9._-]/g, "-")}` : path;
}

function pointerPath(folder: string, name: string): string {
  return join(resolve(folder), `${name}.path`);
}

function readPointer(folder: string, name: string): string | undefined {
  try {
    return readFileSync(pointerPath(folder, name), "utf8");
  } catch {
    return undefined;
  }
}
