import { describe, expect, onTestFinished, test } from "vitest";
import { byHand, command } from "../../test/support/client-by-hand.ts";
import { FakeAgent, fakeCluster } from "../../test/support/fake-agent.ts";
import type { FakeGroup } from "../../test/support/fake-group.ts";
import { freePort, pause, until } from "../../test/support/runtime.ts";
import { ByteReader, concatBytes } from "../core/bytes.ts";
import { limits } from "../core/limits.ts";
import { ClientPool } from "./client-pool.ts";
import { readChangesAnswer } from "./client-wire.ts";
import type { FrameKind, FrameWriter } from "./frame.ts";

const answer = Uint8Array.of(1, 2, 3);
const question = Uint8Array.of(9);

describe("a client that breaks the rules is closed with one line, and nothing else changes:", () => {
  const brokenCommand = command(5, 1);
  brokenCommand[53] = 1;
  const noop = command(5, 1);
  noop[52] = 0;
  const members = command(5, 1);
  members[52] = 4;

  test.each<[string, FrameKind, (writer: FrameWriter) => void]>([
    ["a request number that is in use", "entries", (writer) => writer.uint32(1).uint53(1)],
    ["a request number 0", "query", (writer) => writer.uint32(0).uint8(0)],
    ["an unknown flag", "propose", (writer) => writer.uint8(4).raw(command(5, 1))],
    ["no flag at all", "propose", () => {}],
    ["half a command", "propose", (writer) => writer.uint8(0).raw(command(5, 1).subarray(0, 40))],
    ["a malformed command", "propose", (writer) => writer.uint8(0).raw(brokenCommand)],
    ["an entry that only the mechanism makes", "propose", (writer) => writer.uint8(0).raw(noop)],
    ["another one", "propose", (writer) => writer.uint8(0).raw(members)],
    ["an agent's frame", "answers", () => {}],
    ["an agent's report", "progress", () => {}],
    ["a peer's frame", "message", () => {}],
    ["a second hello", "hello", () => {}],
    ["bytes behind a request", "campaign", (writer) => writer.uint32(3).uint8(0)],
    ["a frame over the limit", "query", (writer) => writer.uint32(3).raw(new Uint8Array(2_200_000))],
  ])("%s", async (_name, kind, write) => {
    const { agents, groups } = await fakeCluster(1);
    const pool = new ClientPool({ agents: [agents[0]!.address] });
    onTestFinished(() => pool.close());
    const good = pool.gateway("main");
    await until(() => good.status() !== undefined, "a good client is there");
    const { send, isClosed } = await byHand(agents[0]!);
    send("entries", (writer) => writer.uint32(1).uint53(1));
    send(kind, write);
    await until(isClosed, "it is closed");
    await until(() => agents[0]!.server.clientCount === 1, "it is forgotten");
    expect(agents[0]!.notes.count("closed the connection of a client")).toBe(1);
    expect(groups[0]!.proposals).toEqual([]);
    good.propose([command(6, 1)]);
    await until(() => groups[0]!.proposals.length === 1, "the good one is not disturbed");
  });

  test("requests for a group that is not there fail one by one, and the connection stays", async () => {
    const agent = await new FakeAgent("agent_1", await freePort()).start();
    const { send, frames, isClosed } = await byHand(agent);
    send("query", (writer) => writer.uint32(1).uint8(0));
    send("propose", (writer) => writer.uint8(0).raw(command(5, 1)));
    send("campaign", (writer) => writer.uint32(2));
    send("status", (writer) => writer.uint32(3).uint8(1));
    send("cancel", (writer) => writer.uint32(77));
    await until(() => frames.length === 4, "four answers");
    expect(frames.map(({ kind, head }) => [kind, head[0], head[4]])).toEqual([
      ["failed", 1, 0],
      ["failed", 0, 0],
      ["failed", 2, 0],
      ["failed", 3, 0],
    ]);
    expect(isClosed()).toBe(false);
  });

  test("one that does not read its answers is read no further, then closed", async () => {
    const { agents, groups } = await fakeCluster(1);
    const { socket, send, isClosed } = await byHand(agents[0]!);
    socket.pause();
    send("propose", (writer) => writer.uint8(0).raw(command(5, 1)));
    await until(() => groups[0]!.proposals.length === 1, "it arrives");
    for (let count = 0; count < 8; count++) groups[0]!.apply(5, 1, new Uint8Array(1_000_000));
    await pause(50);
    send("propose", (writer) => writer.uint8(0).raw(command(5, 2)));
    await pause(100);
    expect(groups[0]!.proposals).toHaveLength(1);
    for (let count = 0; count < 90; count++) {
      groups[0]!.apply(5, 1, new Uint8Array(1_000_000));
      await pause(1);
    }
    socket.resume();
    await until(isClosed, "it is closed");
    await until(() => agents[0]!.server.clientCount === 0, "it is forgotten");
    expect(agents[0]!.notes.count("does not read its answers")).toBe(1);
  });

  test("pitfall 29: one with too many commands under way is read no further until answers come, or a second has passed", async () => {
    const { agents, groups } = await fakeCluster(1);
    const [group] = groups as [FakeGroup];
    const { send } = await byHand(agents[0]!);
    const many = concatBytes(
      Array.from({ length: limits.clientRequestsMax }, (_, at) => command(5, at + 1, 0)),
    );
    send("propose", (writer) => writer.uint8(0).raw(many));
    await until(() => group.proposals.length === 1, "they arrive");
    send("propose", (writer) => writer.uint8(0).raw(command(5, 99_999)));
    await pause(100);
    expect(group.proposals).toHaveLength(1);
    group.apply(5, 1, answer);
    await until(() => group.proposals.length === 2, "an answer makes room");
    send("propose", (writer) => writer.uint8(0).raw(command(5, 99_998)));
    await pause(100);
    expect(group.proposals).toHaveLength(2);
    await until(() => group.proposals.length === 3, "lost answers do not block it for ever");
  });
});

describe("a client that reads more slowly than it asks:", () => {
  test.each<FrameKind>(["query", "changes"])(
    "one that asks for more than fits into the line gets it all, a little at a time: %s",
    async (kind) => {
      const count = 60;
      const { agents, groups } = await fakeCluster(1);
      const [group] = groups as [FakeGroup];
      const large = new Uint8Array(900_000);
      group.apply(5, 1, answer, large);
      const { send, frames, isClosed, socket } = await byHand(agents[0]!);
      socket.pause();
      for (let number = 1; number <= count; number++) {
        send(kind, (writer) =>
          kind === "query"
            ? writer.uint32(number).uint8(0).raw(question)
            : writer.uint32(number).uint53(1).raw(question),
        );
      }
      if (kind === "query") await until(() => group.queries.length === count, "all were asked");
      await pause(50);
      socket.resume();
      await until(() => {
        for (const query of group.queries.splice(0)) query.done({ kind: "reply", bytes: large });
        return frames.length >= count;
      }, "all are answered");
      const numbers = frames.map(({ head }) => head[0]!);
      expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
      expect(isClosed()).toBe(false);
      expect(agents[0]!.notes.count("does not read its answers")).toBe(0);
    },
  );

  test("one that waits for a change meanwhile goes on where it was, although the history before that is gone", async () => {
    const { agents, groups } = await fakeCluster(1);
    const [group] = groups as [FakeGroup];
    const { send, frames, socket } = await byHand(agents[0]!);
    send("changes", (writer) => writer.uint32(1).uint53(1).raw(question));
    send("status", (writer) => writer.uint32(2).uint8(0));
    await until(() => frames.length === 1, "both have arrived");
    for (let index = 1; index <= 20; index++) group.apply(5, index, answer);
    await pause(0);
    group.earliest = 15;

    socket.pause();
    const count = 10;
    for (let number = 3; number < 3 + count; number++) {
      send("query", (writer) => writer.uint32(number).uint8(0).raw(question));
    }
    await until(() => group.queries.length === count, "all were asked");
    socket.resume();
    await until(() => {
      for (const query of group.queries.splice(0)) {
        query.done({ kind: "reply", bytes: new Uint8Array(900_000) });
      }
      return frames.filter(({ kind }) => kind === "queryAnswer").length === count;
    }, "all are answered");
    group.apply(5, 21, answer, Uint8Array.of(7));
    await until(() => frames.some(({ kind }) => kind === "changesAnswer"), "the change comes");
    const reader = new ByteReader(frames.find(({ kind }) => kind === "changesAnswer")!.head);
    expect(reader.uint32()).toBe(1);
    expect(readChangesAnswer(reader)).toMatchObject({ kind: "changes", changes: [{ index: 21 }] });
  });

  test("one that reads nothing is not read for either, however much it asks", async () => {
    const { agents, groups } = await fakeCluster(1);
    const [group] = groups as [FakeGroup];
    group.apply(5, 1, answer, new Uint8Array(900_000));
    let read = 0;
    const changes = group.changes.bind(group);
    group.changes = (...asked) => {
      read += 1;
      return changes(...asked);
    };
    const { send, socket, isClosed } = await byHand(agents[0]!);
    socket.pause();
    for (let number = 1; number <= 1000; number++) {
      send("changes", (writer) => writer.uint32(number).uint53(1).raw(question));
    }
    await pause(200);
    expect(read).toBeGreaterThan(1);
    expect(read).toBeLessThan(30);
    expect(isClosed()).toBe(false);
    socket.destroy();
    await until(() => agents[0]!.server.clientCount === 0, "it is forgotten");
  });
});
