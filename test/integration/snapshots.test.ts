/**
 * Agents in processes of their own whose logs are cut off behind snapshots: whoever was away for long is sent one, whoever is
 * killed in the middle, and what is on the disk does not grow without end.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { AgentRuntime } from "../../src/runtime/agent.ts";
import { ClientPool } from "../../src/runtime/client-pool.ts";
import { createDataFolder } from "../../src/runtime/data-folder.ts";
import type { Gateway, GroupStatus, QueryResult } from "../../src/runtime/gateway.ts";
import {
  decodeAnswer,
  encodeQuestion,
  mapMachine,
  mapQuestions,
  mapReplyCodec,
} from "../../src/state/index.ts";
import { Load, ProcessCluster, type Member } from "../support/process-cluster.ts";
import { TestSession } from "../support/commands.ts";
import { temporaryFolder, until } from "../support/runtime.ts";

const mebibyte = 1024 * 1024;
const valueBytes = 64 * 1024;
const snapshotLogBytes = 4 * mebibyte;

/** Writes so much into the map, over and over the same keys. */
async function write(session: TestSession, bytes: number, keys: number): Promise<void> {
  const batchLength = 16;
  for (let at = 0; at < bytes / valueBytes; at += batchLength) {
    const batch = Array.from({ length: batchLength }, async (_, place) =>
      session.put(`key ${(at + place) % keys}`, new Uint8Array(valueBytes).fill(at + place)),
    );
    await Promise.all(batch);
  }
}

function filesIn(dataFolder: string, folder: "journal" | "snapshots"): { name: string; bytes: number }[] {
  const path = join(dataFolder, folder);
  return readdirSync(path).map((name) => ({ name, bytes: statSync(join(path, name)).size }));
}

/** Its snapshots, whole or not. */
function snapshotsOf(dataFolder: string): string[] {
  return filesIn(dataFolder, "snapshots").map(({ name }) => name);
}

const fileOf = (index: number | undefined): string =>
  `${(index ?? 0).toString(16).padStart(14, "0")}@main.snapshot`;

async function statusOf(member: Member): Promise<GroupStatus> {
  const { pool } = await ClientPool.connect({ agents: [member.address], pin: true });
  const gateway = pool.gateway("main");
  await until(() => gateway.status() !== undefined, `${member.id} says how it is`);
  const status = gateway.status();
  pool.close();
  if (status === undefined) throw new Error(`${member.id} says nothing of its group`);
  return status;
}

/** Once both have applied the same, at least up to there, they are in the same state. */
async function expectSameState(one: Member, other: Member, through: number): Promise<void> {
  let states: readonly GroupStatus[] = [];
  await until(async () => {
    states = await Promise.all([statusOf(one), statusOf(other)]);
    const [first, second] = states;
    return (first?.applied ?? 0) >= through && first?.applied === second?.applied;
  }, `${one.id} and ${other.id} have applied the same`);
  expect(states[0]?.digest).toBe(states[1]?.digest);
}

/** How many keys there are. */
async function sizeOfMap(gateway: Gateway): Promise<number | undefined> {
  const question = encodeQuestion("map", mapQuestions.size());
  const result = await new Promise<QueryResult>((resolve) =>
    gateway.query(question, "linearizable", resolve),
  );
  if (result.kind !== "reply") return undefined;
  const answer = decodeAnswer(result.bytes);
  const reply = answer.kind === "answered" ? mapReplyCodec.decode(answer.bytes) : undefined;
  return reply?.kind === "size" ? reply.size : undefined;
}

const gets = /gets the snapshot up to (\d+) .* from (\w+)(?:, and goes on with the (\d+) bytes)?/;

/** The snapshots that it has begun to get since it was started. */
const arrivals = ({ child }: Member): { index: number; from: string; bytesHere: number }[] =>
  child.said.flatMap((line) => {
    const [, index, from = "", bytesHere = 0] = gets.exec(line) ?? [];
    return index === undefined ? [] : [{ index: Number(index), from, bytesHere: Number(bytesHere) }];
  });

// Each takes a few seconds; the rest is for machines that are busy with other things.
describe("snapshots between agents in processes of their own", { timeout: 120_000 }, () => {
  test("bring back whoever was away for long: receiver and sender are killed in the middle, the others go on", async () => {
    const cluster = await new ProcessCluster({ snapshotLogBytes, logHeldBytes: mebibyte }).start();
    const session = await cluster.session();
    await write(session, mebibyte, 16);
    const leader = cluster.member(session.gateway.status()?.leader);
    const [away, other] = cluster.members.filter((member) => member !== leader) as [Member, Member];
    await away.child.kill("SIGKILL");
    await write(session, 24 * mebibyte, 160);
    const load = new Load("value", session);
    onTestFinished(async () => load.stop());
    await cluster.restart(away);

    const folder = cluster.folder(away);
    const arriving = (): { name: string; bytes: number } | undefined =>
      filesIn(folder, "snapshots").find(({ name }) => name.endsWith(".arriving"));
    await until(() => (arriving()?.bytes ?? 0) > 2 * mebibyte, "a part of it has come");
    await away.child.kill("SIGKILL");
    expect(arriving()).toBeDefined();
    const [first] = arrivals(away);
    await cluster.restart(away);
    await until(() => arrivals(away).length > 0, "it is offered again");
    const [again] = arrivals(away);
    await cluster.member(again?.from).child.kill("SIGKILL");
    expect(again).toMatchObject({ index: first?.index, from: first?.from });
    expect(again?.bytesHere).toBeGreaterThanOrEqual(mebibyte);
    expect(arriving()).toBeDefined();

    // Nothing is decided any more before it has come as far as the one that is left.
    const before = load.acknowledged.length;
    await until(() => load.acknowledged.length > before + 100, "the two of them go on");
    await load.stop();
    await cluster.restart(cluster.member(again?.from));
    await expectSameState(away, leader, load.last);
    await expectSameState(away, other, load.last);
    // The one of before, or one of the leader of then: and none after that.
    expect(arrivals(away).length).toBeLessThanOrEqual(2);
    await until(async () => {
      const { base } = await statusOf(away);
      return snapshotsOf(folder).join() === fileOf(base?.index);
    }, "it has one snapshot, the one that it would begin from");
    // What was applied before is in the snapshot, and no longer in the log.
    const { gateway } = await cluster.session(away);
    const entries = await new Promise((resolve) => gateway.entries(1, resolve));
    expect(entries).toMatchObject({ kind: "compacted" });
  });

  test("are of no use while whoever leads next has the log: a change of leadership costs no snapshot", async () => {
    const cluster = await new ProcessCluster({ snapshotLogBytes }).start();
    const session = await cluster.session();
    await write(session, mebibyte, 16);
    const leader = cluster.member(session.gateway.status()?.leader);
    const [away, other] = cluster.members.filter((member) => member !== leader) as [Member, Member];
    await away.child.kill("SIGKILL");
    // More than the tail of 16 MiB that is kept in any case.
    await write(session, 22 * mebibyte, 16);
    await until(async () => (await statusOf(other)).base !== undefined, "the follower has let go of its log");
    await leader.child.kill("SIGKILL");
    await cluster.restart(away);
    await write(session, mebibyte, 16);
    await expectSameState(away, other, 0);
    expect(arrivals(away)).toEqual([]);
  });
});

describe("one agent that writes for long", { timeout: 60_000 }, () => {
  test("lets go of its log: what it keeps is bounded, and all that it needs", async () => {
    const dataDir = join(temporaryFolder(), "agent_1");
    createDataFolder(dataDir, { agent: "agent_1" });
    const start = async (): Promise<AgentRuntime> => {
      const main = { name: "main", mechanism: "raft", members: ["agent_1"], snapshotLogBytes };
      const groups = [{ ...main, machines: { map: mapMachine() } }];
      const agent = await AgentRuntime.start({ id: "agent_1", dataDir, listen: "127.0.0.1:0", groups });
      onTestFinished(async () => agent.close());
      return agent;
    };
    const agent = await start();
    const session = await new TestSession(agent.gateway("main")).open();
    const sizes: number[] = [];
    for (let round = 1; round <= 3; round++) {
      await write(session, 40 * mebibyte, 48);
      sizes.push(filesIn(dataDir, "journal").reduce((sum, { bytes }) => sum + bytes, 0));
    }
    // 4 MiB until a snapshot is due, 16 MiB kept for those that lag, the segments of 16 MiB that these begin and end in, one to spare.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(5 * 16 * mebibyte);
    const applied = agent.hub("main")?.status()?.applied ?? 0;
    await agent.close();

    const again = await start();
    const status = (): GroupStatus | undefined => again.hub("main")?.status();
    const further = await new TestSession(again.gateway("main")).open();
    expect(await further.put("another key", new Uint8Array(8))).toBeGreaterThan(applied);
    expect(await sizeOfMap(again.gateway("main"))).toBe(48 + 1);
    // Where it was closed while it took a snapshot, that is due at once: what the last life had of it is gone.
    await until(() => {
      const base = status()?.base;
      return base !== undefined && snapshotsOf(dataDir).join() === fileOf(base.index);
    }, "it has one snapshot, the one that it would begin from");
  });
});
