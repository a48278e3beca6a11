/** Decided values out of a real log that holds repeats, and commands out of order, read from every index. */
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { encodeCommand, entrySequence, entrySession } from "../../src/core/entry.ts";
import { AgentRuntime } from "../../src/runtime/agent.ts";
import { ClientPool } from "../../src/runtime/client-pool.ts";
import { createDataFolder } from "../../src/runtime/data-folder.ts";
import { GroupClient } from "../../src/runtime/face/group-client.ts";
import { LogHandle } from "../../src/runtime/face/log-face.ts";
import type { Gateway } from "../../src/runtime/gateway.ts";
import {
  decodeAnswer,
  encodeCommandEnvelope,
  encodeProposal,
  type Answer,
  type Json,
} from "../../src/state/index.ts";
import { temporaryFolder, until } from "../support/runtime.ts";

type Found = readonly [index: number, value: Json];

const toClose: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of toClose.splice(0).toReversed()) await one.close();
});

async function startAgent(dataDir: string): Promise<AgentRuntime> {
  const groups = [{ name: "main", mechanism: "raft", members: ["a"] }];
  const agent = await AgentRuntime.start({ id: "a", dataDir, listen: "127.0.0.1:0", groups });
  toClose.push(agent);
  return agent;
}

/** Hands in commands one by one, each once the one before is applied: the log is what the test says. */
class Scribe {
  readonly #gateway: Gateway;
  #waits: { readonly key: string; readonly done: (answer: Answer) => void } | undefined;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    gateway.listen({
      answered: (session, sequence, bytes) => {
        if (`${session}/${sequence}` === this.#waits?.key) this.#waits.done(decodeAnswer(bytes));
      },
      refused: (_session, _sequence, { kind }) => {
        throw new Error(`it leads, and refuses: ${kind}`);
      },
      progressed: () => {},
      interrupted: () => {},
      statusChanged: () => {},
      closed: () => {},
    });
  }

  async open(nonce: number): Promise<number> {
    const header = { kind: "openSession", session: nonce, sequence: 0, unsettled: 0 } as const;
    return (await this.#write(encodeCommand(header, new Uint8Array(0)))).index;
  }

  async close(session: number): Promise<Answer> {
    const header = { kind: "closeSession", session, sequence: 99, unsettled: 0 } as const;
    return this.#write(encodeCommand(header, new Uint8Array(0)));
  }

  /** Values to be decided all or none; an empty list is rejected. */
  async values(session: number, sequence: number, values: readonly Json[], requestId = ""): Promise<Answer> {
    const command = values.length === 0 ? new Uint8Array(0) : encodeProposal(values);
    const envelope = encodeCommandEnvelope({ proposer: "ann", machine: "", requestId, command });
    return this.#write(encodeCommand({ kind: "command", session, sequence, unsettled: 100 }, envelope));
  }

  async #write(command: Uint8Array): Promise<Answer> {
    return new Promise((done) => {
      this.#waits = { key: `${entrySession(command, 0)}/${entrySequence(command, 0)}`, done };
      this.#gateway.propose([command]);
    });
  }
}

/** Everything that a fault of the network can do to a log. Gives the kinds of the answers, entry by entry. */
async function writeLog(gateway: Gateway): Promise<string[]> {
  const scribe = new Scribe(gateway);
  const one = await scribe.open(101);
  const two = await scribe.open(102);
  const answers = [
    await scribe.values(one, 1, ["a"]),
    await scribe.values(one, 1, ["a"]),
    await scribe.values(one, 3, ["c"]),
    await scribe.values(one, 2, ["b"]),
    await scribe.values(one, 1, ["a"]),
    await scribe.values(one, 2, ["b"]),
    await scribe.values(one, 3, ["c"]),
    await scribe.values(one, 4, ["d"], "refund"),
    await scribe.values(two, 1, ["d"], "refund"),
    await scribe.values(two, 2, ["other"], "refund"),
    await scribe.values(two, 3, ["e", "f"]),
    await scribe.values(two, 3, ["e", "f"]),
    await scribe.values(two, 4, []),
    await scribe.values(98_765, 1, ["of no session"]),
    await scribe.close(one),
    await scribe.values(one, 5, ["after the end"]),
  ];
  // The same session, opened once more: its commands go on.
  expect(await scribe.open(102)).toBe(two);
  answers.push(await scribe.values(two, 5, ["z"]));
  return answers.map(({ kind }) => kind);
}

async function read(log: LogHandle<Record<string, never>>, from?: number): Promise<Found[]> {
  const found: Found[] = [];
  for await (const { index, value } of log.entries({ from })) {
    found.push([index, value]);
    if (value === "z") break;
  }
  return found;
}

/** Reads everything, and then from every index on: the same, without what lies before. */
async function readFromEverywhere(gateway: Gateway): Promise<Found[]> {
  const client = new GroupClient({ gateway, proposer: "reader" });
  toClose.push(client);
  const log = new LogHandle({ client, name: "main", mechanism: "raft", kinds: {}, isMember: false });
  const all = await read(log);
  const last = all.at(-1)?.[0] ?? 0;
  for (let from = 1; from <= last; from++) {
    expect(await read(log, from), `from ${from}`).toEqual(all.filter(([index]) => index >= from));
  }
  return all;
}

describe("a log with repeats and commands out of order", () => {
  test("S2, S5: gives every decided value once, from every index, in the process and over a link, before and after a restart", async () => {
    const dataDir = join(temporaryFolder(), "a");
    createDataFolder(dataDir, { agent: "a" });
    const agent = await startAgent(dataDir);
    await until(() => agent.gateway("main").status()?.role === "leader", "it leads");
    const kinds = await writeLog(agent.gateway("main"));
    expect(kinds.filter((kind) => kind === "outOfOrder")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "rejected")).toHaveLength(2);
    expect(kinds.filter((kind) => kind === "sessionExpired")).toHaveLength(2);

    const inProcess = await readFromEverywhere(agent.gateway("main"));
    expect(inProcess.map(([, value]) => value)).toEqual(["a", "b", "c", "d", "e", "f", "z"]);
    const pool = new ClientPool({ agents: [agent.address] });
    toClose.push(pool);
    expect(await readFromEverywhere(pool.gateway("main"))).toEqual(inProcess);

    pool.close();
    await agent.close();
    const again = await startAgent(dataDir);
    expect(await readFromEverywhere(again.gateway("main"))).toEqual(inProcess);
  });
});
