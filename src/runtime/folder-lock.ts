/**
 * Keeps a second process out of a folder, whatever happened to the first.
 *
 * Who holds it stands in the file `owner.N` with the highest N, and counts only while that holder lives: the process has
 * the same number *and* the same start time (a number alone may have been given to another process), or, where that can't
 * be seen (another container, another operating system), the holder's Unix socket still accepts.
 *
 * Taking over is one atomic step: linking a finished file to the name `owner.(N+1)`, which fails if somebody else did.
 * The highest number is never removed, and whoever finds a higher one than its own steps back, so an old look at the
 * folder can't lead to a second holder. What a clean end leaves is that one file, which then says that nobody holds it.
 */
import { randomBytes } from "node:crypto";
import {
  linkSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { basename, join } from "node:path";
import { QuorateError } from "../core/errors.ts";
import { prepareSocketPath, removeSocket } from "./socket-path.ts";

const ownerName = /^owner\.(\d+)$/;
const attemptsMax = 16;
const probeMs = 2000;

interface Holder {
  readonly pid: number;
  /** In the kernel's own words; empty where it can't be told. */
  readonly startedAt: string;
  /** This start of the machine and this view of its processes: within them the two above name one process for good. */
  readonly world: string;
  readonly socket: string;
  /** Set when the holder gave the lock back. */
  readonly released: boolean;
}

export class FolderLock {
  readonly #folder: string;
  readonly #number: number;
  readonly #holder: Holder;
  readonly #socket: string;
  readonly #server: Server;
  #released = false;

  private constructor(folder: string, number: number, holder: Holder, socket: string, server: Server) {
    this.#folder = folder;
    this.#number = number;
    this.#holder = holder;
    this.#socket = socket;
    this.#server = server;
  }

  /** Rejects with `DATA_LOCKED` while another process (or this one, already) holds it. */
  static async acquire(folder: string): Promise<FolderLock> {
    await refuseIfHeld(folder);
    const socket = `lock-${randomBytes(4).toString("hex")}.sock`;
    const path = prepareSocketPath(folder, socket);
    const server = await listenQuietly(path);
    const holder: Holder = { pid: process.pid, ...describeSelf(), socket: path, released: false };
    try {
      const number = await link(folder, holder);
      const lock = new FolderLock(folder, number, holder, socket, server);
      lock.#tidy();
      return lock;
    } catch (error) {
      server.close();
      removeSocket(folder, socket);
      throw error;
    }
  }

  /** Gives the lock back. Calling it again does nothing. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    const temporary = join(this.#folder, `${this.#socket}.new`);
    try {
      writeFileSync(temporary, JSON.stringify({ ...this.#holder, released: true }));
      renameSync(temporary, join(this.#folder, `owner.${this.#number}`));
    } catch {
      // A full disk, or a folder that is gone: the lock then counts until this process ends, and no longer.
      rmSync(temporary, { force: true });
    }
    this.#server.close();
    removeSocket(this.#folder, this.#socket);
  }

  /** Removes what holders before this one left. */
  #tidy(): void {
    for (const name of readdirSync(this.#folder)) {
      const number = Number(ownerName.exec(name)?.[1] ?? this.#number);
      if (number >= this.#number) continue;
      const before = readHolder(this.#folder, number);
      if (before !== undefined) removeSocket(this.#folder, basename(before.socket));
      rmSync(join(this.#folder, name), { force: true });
    }
  }
}

/** Who holds the lock of `folder` at the moment, as a process number; undefined where nobody does. */
export async function lockHolder(folder: string): Promise<number | undefined> {
  const number = highest(folder);
  const holder = number === 0 ? undefined : readHolder(folder, number);
  return holder !== undefined && (await isAlive(holder)) ? holder.pid : undefined;
}

async function refuseIfHeld(folder: string): Promise<number> {
  const number = highest(folder);
  const holder = number === 0 ? undefined : readHolder(folder, number);
  if (holder !== undefined && (await isAlive(holder))) throw locked(folder, holder.pid);
  return number;
}

async function link(folder: string, holder: Holder): Promise<number> {
  const temporary = join(folder, `lock-${randomBytes(4).toString("hex")}.new`);
  writeFileSync(temporary, JSON.stringify(holder), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const number = (await refuseIfHeld(folder)) + 1;
      if (!linkOnce(temporary, join(folder, `owner.${number}`))) continue;
      if (highest(folder) === number) return number;
      unlinkSync(join(folder, `owner.${number}`));
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  throw locked(folder, undefined);
}

function linkOnce(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function highest(folder: string): number {
  let found = 0;
  for (const name of readdirSync(folder)) {
    const match = ownerName.exec(name);
    if (match !== null) found = Math.max(found, Number(match[1]));
  }
  return found;
}

/** An owner whose text can't be read was cut short by a crash of the machine: nobody who lives wrote it. */
function readHolder(folder: string, number: number): Holder | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, `owner.${number}`), "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (holder.released) return false;
  const self = describeSelf();
  if (self.world !== "" && self.world === holder.world) return startOf(holder.pid) === holder.startedAt;
  return accepts(holder.socket);
}

function describeSelf(): { startedAt: string; world: string } {
  return { startedAt: startOf("self") ?? "", world: thisWorld() };
}

function thisWorld(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return "";
  }
}

/** When that process started, in ticks since the machine did; undefined where it does not run (a zombie does not). */
function startOf(pid: number | "self"): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets and may hold anything; the state is the third field.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The kernel lets go of a socket when its process ends, however it ends; the file that stays behind then refuses. */
async function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (alive: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(alive);
    };
    // Neither accepted nor refused: its queue is full because it is stopped, but it is there.
    const timer = setTimeout(() => settle(true), probeMs);
    socket.once("connect", () => settle(true));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      settle(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

async function listenQuietly(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(path, () => {
      server.removeListener("error", reject);
      // An error later on concerns one connection that nobody needs.
      server.on("error", () => {});
      server.unref();
      resolve(server);
    });
  });
}

function locked(folder: string, pid: number | undefined): QuorateError {
  const who = pid === undefined ? "another process" : `process ${pid}`;
  return new QuorateError("DATA_LOCKED", `The data folder ${folder} is in use by ${who}.`, {
    outcome: "notDone",
    hint:
      pid === undefined
        ? "Try again in a moment."
        : "Stop that process first, or give this agent a folder of its own.",
  });
}
