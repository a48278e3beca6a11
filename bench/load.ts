/**
 * The process that makes the load, apart from the servers: started by `load-process.ts`, told by messages what to run,
 * and it answers each with what it measured.
 */
import { connect, map } from "../dist/index.js";
import { type LoadResult, runClosedLoop } from "./closed-loop.ts";
import { EtcdClient } from "./etcd.ts";

export interface LoadRequest {
  readonly target: { readonly kind: "quorate" | "etcd"; readonly endpoints: readonly string[] };
  readonly workload: "put" | "get";
  readonly callers: number;
  readonly seconds: number;
  /** Bytes of a value; 256 by default. */
  readonly valueBytes?: number;
  /** 16 by default. */
  readonly keysPerCaller?: number;
}

/** Both get the same keys and values, and the same number of keys. */
const usual = { valueBytes: 256, keysPerCaller: 16 } as const;
const etcdConnectionsPerEndpoint = 4;
/** Many callers and one take different ways through a server, and one caller takes long to warm it. */
const warmUps = [
  { callers: 64, seconds: 10 },
  { callers: 1, seconds: 5 },
] as const;

interface Target {
  /** `text` is what the JSON of the value holds. */
  put(caller: number, key: string, text: string): Promise<unknown>;
  get(caller: number, key: string): Promise<unknown>;
}

const targets = new Map<string, Promise<Target>>();

async function open({ kind, endpoints }: LoadRequest["target"]): Promise<Target> {
  if (kind === "etcd") {
    const client = new EtcdClient(endpoints, etcdConnectionsPerEndpoint);
    return {
      put: (caller, key, text) => client.put(caller, key, Buffer.from(JSON.stringify(text))),
      get: (caller, key) => client.get(caller, key),
    };
  }
  const host = await connect({ agents: endpoints });
  const group = host.group("main", { mechanism: "raft", state: { map: map<string>() } });
  await group.ready();
  return {
    put: (_caller, key, text) => group.state.map.put(key, text, { timeoutMs: 30_000 }),
    get: (_caller, key) => group.state.map.get(key, { timeoutMs: 30_000 }),
  };
}

async function measure(request: LoadRequest): Promise<LoadResult> {
  const name = request.target.endpoints.join();
  const known = targets.get(name);
  const isNew = known === undefined;
  const opening = known ?? open(request.target);
  targets.set(name, opening);
  const target = await opening;
  const { callers, seconds, workload, valueBytes, keysPerCaller } = { ...usual, ...request };
  const text = "x".repeat(valueBytes - 2);
  const call = (caller: number, number: number): Promise<unknown> =>
    target[workload](caller, `bench/${caller}/${number % keysPerCaller}`, text);
  // Once for each target: what is measured is a server that has been running, not a compiler at work.
  for (const warmUp of isNew ? warmUps : []) await runClosedLoop({ ...warmUp, call });
  await runClosedLoop({ callers, seconds: Math.min(0.5, seconds), call });
  return runClosedLoop({ callers, seconds, call });
}

process.on("message", (request: LoadRequest) => {
  measure(request).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
