/** Small helpers for tests with real files and sockets. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder of the test's own, removed at its end. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "q-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/**
 * Ports of loopback that the system gives to nobody by itself, as it does from 32,768 on: so an agent that ends and comes back
 * finds its own again, whatever else connects meanwhile. Each worker of the runner has its own.
 */
const portsPerWorker = 1000;
const workersMax = 12;
const firstPort = 20_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % workersMax) * portsPerWorker;
let portsTaken = process.pid;

/** A port on which nobody listens, nor on the ones behind it, `count` in all. None is given twice before all have been. */
export async function freePort(count = 1): Promise<number> {
  for (let attempt = 0; attempt < portsPerWorker; attempt++) {
    const offset = portsTaken % portsPerWorker;
    portsTaken += count;
    if (offset + count > portsPerWorker) continue;
    const ports = Array.from({ length: count }, (_, at) => firstPort + offset + at);
    const areFree = await Promise.all(ports.map(isFree));
    if (areFree.every(Boolean)) return firstPort + offset;
  }
  throw new Error("somebody listens on all ports that are for tests");
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Resolves once `condition` holds; rejects with `what` after ten seconds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`it did not happen in time: ${what}`);
    await pause(5);
  }
}

export async function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** A logger that remembers. */
export class Notes {
  readonly lines: string[] = [];
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
  count(part: string): number {
    return this.lines.filter((line) => line.includes(part)).length;
  }
}

/** The rejection of a promise, or what a call throws. */
export async function failure(action: () => unknown): Promise<Error & { code?: string; hint?: string }> {
  try {
    await action();
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error("it did not fail");
}

/** Two ends of a TCP connection over loopback, closed at the end of the test. */
export async function socketPair(): Promise<[Socket, Socket]> {
  return new Promise((resolve, reject) => {
    const server = createServer((accepted) => {
      server.close();
      onTestFinished(() => {
        accepted.destroy();
        dialled.destroy();
      });
      resolve([dialled, accepted]);
    });
    let dialled: Socket;
    server.listen(0, "127.0.0.1", () => {
      dialled = connect((server.address() as AddressInfo).port, "127.0.0.1");
      dialled.once("error", reject);
    });
  });
}
