import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Agent, connect, defineMachine, type RunningAgent } from "../../src/index.ts";
import { freePort } from "../support/runtime.ts";

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step();
});

const ledger = defineMachine({
  version: 1,
  initial: () => ({ numbers: [] as number[] }),
  commands: { add: (state, number: number) => state.numbers.push(number) },
  queries: { all: (state) => state.numbers },
});

test("the leader's agent ends while a client has a hundred calls under way: each is applied once, in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-failover-"));
  cleanUp.push(() => Promise.resolve(rmSync(folder, { recursive: true, force: true })));
  const ids = ["a", "b", "c"];
  const ports = [await freePort(), await freePort(), await freePort()];
  const peers = ids.map((id, place) => ({ id, address: `127.0.0.1:${ports[place] ?? 0}` }));
  let cluster: string | undefined;
  for (const id of ids) ({ cluster } = Agent.init({ id, dataDir: join(folder, id), cluster }));
  const agents = new Map<string, RunningAgent>();
  for (const { id, address } of peers) {
    const agent = await Agent.start({ id, dataDir: join(folder, id), listen: address, peers });
    cleanUp.push(() => agent.close());
    agents.set(id, agent);
    agent.group("main", { mechanism: "raft", members: ids, state: { ledger } });
  }

  const client = await connect({ agents: peers.map(({ address }) => address) });
  cleanUp.push(() => client.close());
  const main = client.group("main", { mechanism: "raft", state: { ledger } });
  await main.ready();
  const numbers = Array.from({ length: 300 }, (_, number) => number);
  const call = { timeoutMs: 15_000 };
  const first = numbers.slice(0, 100).map((number) => main.state.ledger.add(number, call));
  const leader = main.status().leader ?? "";
  const second = numbers.slice(100, 200).map((number) => main.state.ledger.add(number, call));
  await first[0];
  await agents.get(leader)?.close();
  const third = numbers.slice(200).map((number) => main.state.ledger.add(number, call));
  const lengths = await Promise.all([...first, ...second, ...third]);
  expect(lengths).toEqual(numbers.map((number) => number + 1));
  expect(await main.state.ledger.all(undefined, call)).toEqual(numbers);
});
