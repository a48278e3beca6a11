/**
 * The peer: three `etcd` members on loopback with their defaults (fsync on), as Debian's package `etcd-server` has them.
 * The load speaks gRPC with the two messages it needs encoded by hand, so that the client costs little.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GrpcConnection } from "./grpc-connection.ts";
import { endProcess, freePort } from "./processes.ts";

/** The version of the `etcd` on the PATH, or undefined where there is none. */
export function etcdVersion(): string | undefined {
  try {
    return /etcd Version: (\S+)/.exec(execFileSync("etcd", ["--version"], { encoding: "utf8" }))?.[1];
  } catch {
    return undefined;
  }
}

export interface EtcdCluster {
  readonly endpoints: readonly string[];
  readonly pids: readonly number[];
  /** The member that leads, as a position in `endpoints`. */
  leader(): Promise<number>;
  kill(member: number): void;
  stop(): Promise<void>;
}

export async function startEtcd(parentFolder: string): Promise<EtcdCluster> {
  const folder = mkdtempSync(join(parentFolder, "etcd-"));
  const members = await Promise.all(
    [0, 1, 2].map(async (member) => ({
      name: `m${member}`,
      client: `http://127.0.0.1:${await freePort()}`,
      peer: `http://127.0.0.1:${await freePort()}`,
    })),
  );
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const children = members.map(({ name, client, peer }) =>
    spawn(
      "etcd",
      [
        "--name",
        name,
        "--data-dir",
        join(folder, name),
        "--listen-client-urls",
        client,
        "--advertise-client-urls",
        client,
        "--listen-peer-urls",
        peer,
        "--initial-advertise-peer-urls",
        peer,
        "--initial-cluster",
        cluster,
        "--initial-cluster-state",
        "new",
      ],
      { stdio: "ignore" },
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(async (child) => endProcess(child, "SIGKILL")));
    rmSync(folder, { recursive: true, force: true });
  };
  const endpoints = members.map(({ client }) => client);
  try {
    await untilHealthy(endpoints);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoints,
    pids: children.map((child) => child.pid ?? 0),
    leader: async () => findLeader(endpoints),
    kill: (member) => void children[member]?.kill("SIGKILL"),
    stop,
  };
}

async function untilHealthy(endpoints: readonly string[]): Promise<void> {
  const givesUpAt = performance.now() + 20_000;
  while (performance.now() < givesUpAt) {
    const answers = await Promise.all(
      endpoints.map(async (endpoint) =>
        fetch(`${endpoint}/health`).then(
          async (answer) => answer.text(),
          () => "",
        ),
      ),
    );
    if (answers.every((text) => text.includes('"true"'))) return;
    await sleep(100);
  }
  throw new Error("etcd did not become healthy in 20 s");
}

async function findLeader(endpoints: readonly string[]): Promise<number> {
  for (const [member, endpoint] of endpoints.entries()) {
    const answer = await fetch(`${endpoint}/v3/maintenance/status`, { method: "POST", body: "{}" }).catch(
      () => undefined,
    );
    const status = (await answer?.json()) as { leader?: string; header?: { member_id?: string } } | undefined;
    if (status?.leader !== undefined && status.leader === status.header?.member_id) return member;
  }
  throw new Error("no etcd member leads");
}

/** Calls over several connections, spread over the members as a client that knows all endpoints spreads them. */
export class EtcdClient {
  readonly #connections: GrpcConnection[];

  constructor(endpoints: readonly string[], connectionsPerEndpoint: number) {
    this.#connections = Array.from({ length: connectionsPerEndpoint }, () => endpoints)
      .flat()
      .map((endpoint) => {
        const { hostname, port } = new URL(endpoint);
        return new GrpcConnection(hostname, Number(port));
      });
  }

  put(caller: number, key: string, value: Uint8Array): Promise<void> {
    return this.#call(caller, "/etcdserverpb.KV/Put", putRequest(key, value));
  }

  /** Linearizable, as is etcd's default. */
  get(caller: number, key: string): Promise<void> {
    return this.#call(caller, "/etcdserverpb.KV/Range", field(1, Buffer.from(key)));
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  async #call(caller: number, path: string, message: Buffer): Promise<void> {
    const connection = this.#connections[caller % this.#connections.length];
    if (connection === undefined) throw new Error("the client has no connection");
    await new Promise<void>((resolve, reject) =>
      connection.call(path, message, (error) => (error === undefined ? resolve() : reject(error))),
    );
  }
}

/** `message PutRequest { bytes key = 1; bytes value = 2; }` */
function putRequest(key: string, value: Uint8Array): Buffer {
  return Buffer.concat([field(1, Buffer.from(key)), field(2, value)]);
}

/** A protobuf field of bytes: tag, length as a varint, the bytes. */
function field(number: number, bytes: Uint8Array): Buffer {
  const head = [(number << 3) | 2];
  let length = bytes.byteLength;
  while (length > 0x7f) {
    head.push((length & 0x7f) | 0x80);
    length >>>= 7;
  }
  head.push(length);
  return Buffer.concat([Buffer.from(head), bytes]);
}
