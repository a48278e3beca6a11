/** Who listens at an address. */
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { connect } from "node:net";

import { QuorateError } from "../../core/errors.ts";
import { dialAddress } from "../../runtime/address.ts";
import { ClientPool } from "../../runtime/client-pool.ts";

export type Listener =
  | { readonly kind: "nobody" }
  | { readonly kind: "agent"; readonly id: string; readonly cluster: string | undefined }
  /** Something that does not speak as agents do, or says nothing. `process`: which, where that can be seen. */
  | { readonly kind: "other"; readonly process: SeenProcess | undefined };

export interface SeenProcess {
  readonly pid: number;
  readonly name: string;
}

const accepting = "0A";

export async function whoListens(address: string, timeoutMs: number): Promise<Listener> {
  const { host, port } = dialAddress(address, "address of an agent");
  if (!(await accepts(host, port, timeoutMs))) return { kind: "nobody" };
  try {
    const { pool, report } = await ClientPool.connect({
      agents: [address],
      pin: true,
      name: "quorate-doctor",
      connectTimeoutMs: timeoutMs,
    });
    pool.close();
    return { kind: "agent", id: report.agent, cluster: report.cluster };
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return { kind: "other", process: processAt(port) };
  }
}

async function accepts(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (does: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(does);
    };
    // Its queue is full, because it is stopped: it is there all the same.
    const timer = setTimeout(() => settle(true), timeoutMs);
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

/** The process that listens on a port; undefined where this user or this system does not show it. */
function processAt(port: number): SeenProcess | undefined {
  const socket = socketAt(port);
  if (socket === undefined) return undefined;
  for (const pid of listed("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of listed(`/proc/${pid}/fd`)) {
      if (linkOf(`/proc/${pid}/fd/${descriptor}`) !== `socket:[${socket}]`) continue;
      return { pid: Number(pid), name: textOf(`/proc/${pid}/comm`).trim() };
    }
  }
  return undefined;
}

/** The kernel's number of the socket that listens there. Lines are: place, local address, remote one, state, … ninth the number. */
function socketAt(port: number): string | undefined {
  const hexadecimal = port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of textOf(table).split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(`:${hexadecimal}`) === true && fields[3] === accepting) return fields[9];
    }
  }
  return undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function listed(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
