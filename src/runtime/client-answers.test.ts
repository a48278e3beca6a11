/**
 * Goal: the answers to a client's commands are of any size, and however many are decided at once, a client that reads
 * gets all of them, a client that does not is closed, and nobody else notices. Method: real sockets, and a group in which
 * the test decides; one byte string stands for very many large answers.
 */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { answersOf, byHand, command, type ClientByHand } from "../../test/support/client-by-hand.ts";
import { fakeCluster, type FakeAgent } from "../../test/support/fake-agent.ts";
import type { FakeGroup } from "../../test/support/fake-group.ts";
import { until } from "../../test/support/runtime.ts";
import { concatBytes } from "../core/bytes.ts";
import { entrySequence, splitCommands } from "../core/entry.ts";
import { limits } from "../core/limits.ts";
import { decodeAnswer, encodeAnswer } from "../state/index.ts";

const small = encodeAnswer("answered", 1, new Uint8Array(8));
const large = encodeAnswer("answered", 1, new Uint8Array(100_000));
const huge = encodeAnswer("answered", 1, new Uint8Array(1_000_000));

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** One agent, one group, one client. */
async function oneClient(): Promise<{ agent: FakeAgent; group: FakeGroup; client: ClientByHand }> {
  const { agents, groups } = await fakeCluster(1);
  const [agent, group] = [agents[0] as FakeAgent, groups[0] as FakeGroup];
  return { agent, group, client: await byHand(agent) };
}

/** All in one frame, as a program does that calls without waiting. */
function propose(client: ClientByHand, session: number, sequences: readonly number[], group = "main"): void {
  const commands = sequences.map((sequence) => command(session, sequence, 0));
  client.send("propose", (writer) => writer.uint8(0).raw(concatBytes(commands)), group);
}

/** The sequences of what was handed to the group, in order. */
function handedIn(group: FakeGroup): number[] {
  return group.proposals.flatMap(({ commands }) =>
    commands.flatMap((bytes) => splitCommands(bytes).map((one) => entrySequence(one, 0))),
  );
}

/** Decides whatever is handed to the group, as it comes, until that many are. */
async function decideThrough(group: FakeGroup, last: number, answer: Uint8Array): Promise<void> {
  let decided = 0;
  await until(() => {
    for (const sequence of handedIn(group).slice(decided)) {
      group.apply(5, sequence, answer);
      decided += 1;
    }
    return decided >= last;
  }, "everything is handed in");
}

/** So many commands of small answers: the agent now expects small ones. */
async function warmUp(group: FakeGroup, client: ClientByHand): Promise<void> {
  propose(client, 5, numbers(1, 2000));
  await decideThrough(group, 2000, small);
  await until(() => answersOf(client).length === 2000, "all answers");
  client.frames.splice(0);
  group.proposals.splice(0);
}

/** From here on no timer fires unless the test lets time pass. */
function holdTimers(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
}

async function turns(condition: () => boolean): Promise<void> {
  for (let count = 0; count < 100_000 && !condition(); count++) await new Promise(setImmediate);
  expect(condition()).toBe(true);
}

describe("answers that are decided faster than they can leave", () => {
  test("wait, and a client that reads gets them all, in order: 300 of 100 KB at once", async () => {
    const { agent, group, client } = await oneClient();
    await warmUp(group, client);
    propose(client, 5, numbers(1, 300));
    await until(() => handedIn(group).length === 300, "all are handed in");
    for (const sequence of numbers(1, 300)) group.apply(5, sequence, large);
    await until(() => client.isClosed() || answersOf(client).length === 300, "all answers, or none more");
    expect(answersOf(client).map(({ sequence }) => sequence)).toEqual(numbers(1, 300));
    expect(answersOf(client).every(({ bytes }) => bytes.byteLength === large.byteLength)).toBe(true);
    expect(client.isClosed()).toBe(false);
    expect(agent.notes.lines).toEqual([]);
  });

  test("keep their place before a refusal that came later", async () => {
    const { group, client } = await oneClient();
    client.socket.pause();
    propose(client, 5, [1, 2, 3]);
    await until(() => handedIn(group).length === 3, "all are handed in");
    for (let count = 0; count < 10; count++) group.apply(5, 1, huge);
    group.refuse(5, 2, { kind: "notLeader" });
    group.apply(5, 3, small);
    client.socket.resume();
    await until(() => answersOf(client).length === 11, "all answers");
    const kinds = client.frames.map(({ kind }) => kind);
    expect(kinds.indexOf("refusals")).toBe(kinds.length - 2);
  });

  test("wait for a client that does not read up to their limit; then it is closed, and others are served", async () => {
    const { agent, group, client } = await oneClient();
    const good = await byHand(agent);
    client.socket.pause();
    propose(client, 5, [1]);
    await until(() => handedIn(group).length === 1, "it is handed in");
    const fitting = Math.floor(limits.clientAnswersBytesMax / huge.byteLength) - 2;
    for (let count = 0; count < fitting; count++) group.apply(5, 1, huge);
    propose(good, 6, [1]);
    await until(() => handedIn(group).length === 2, "another client is read");
    group.apply(6, 1, small);
    await until(() => answersOf(good).length === 1, "and gets its answer");
    expect(agent.notes.lines).toEqual([]);
    expect(agent.server.clientCount).toBe(2);
    for (let count = 0; count < 20; count++) group.apply(5, 1, huge);
    await until(() => agent.server.clientCount === 1, "it is closed");
    expect(agent.notes.lines).toHaveLength(1);
    expect(agent.notes.lines[0]).toMatch(/closed the connection of a client .*it does not read its answers/);
    propose(good, 6, [2]);
    await until(() => handedIn(group).length === 3, "the other one is still read");
    group.apply(6, 2, small);
    await until(() => answersOf(good).length === 2, "and gets its answer");
  });

  test("of many clients that do not read are bounded together: who lets most wait is closed", async () => {
    const { agents, groups } = await fakeCluster(1);
    const [agent, group] = [agents[0] as FakeAgent, groups[0] as FakeGroup];
    const each = Math.floor(limits.clientAnswersBytesMax / huge.byteLength) - 2;
    const count = Math.ceil(limits.agentAnswersBytesMax / (each * huge.byteLength));
    const clients: ClientByHand[] = [];
    for (const session of numbers(1, count)) {
      const client = await byHand(agent);
      client.socket.pause();
      clients.push(client);
      propose(client, session, [1]);
      await until(() => handedIn(group).length === session, "it is handed in");
      // The second lets most wait.
      for (let times = 0; times < (session === 2 ? each : each - 2); times++) group.apply(session, 1, huge);
    }
    for (let times = 0; times < 2 * count && agent.server.clientCount === count; times++) {
      group.apply(1 + (times % count), 1, huge);
      await new Promise(setImmediate);
    }
    await until(() => agent.server.clientCount === count - 1, "one is closed");
    clients[1]!.socket.resume();
    await until(() => clients[1]!.isClosed(), "the one with most");
    expect(agent.notes.count("clients do not read")).toBe(1);
  });

  test("of a client that reads nothing for too long end its connection, however few they are", async () => {
    const { agent, group, client } = await oneClient();
    client.socket.pause();
    holdTimers();
    propose(client, 5, [1]);
    await turns(() => handedIn(group).length === 1);
    for (let count = 0; count < 20; count++) group.apply(5, 1, huge);
    for (let count = 0; count < 100; count++) await new Promise(setImmediate);
    vi.advanceTimersByTime(limits.clientUnreadMsMax - limits.clientPausedMsMax);
    expect(agent.notes.lines).toEqual([]);
    vi.advanceTimersByTime(2 * limits.clientPausedMsMax);
    await turns(() => agent.server.clientCount === 0);
    expect(agent.notes.lines).toHaveLength(1);
    expect(agent.notes.lines[0]).toContain("it has read none of its answers for 60 s");
  });

  test("that no frame can carry are told as forgotten, and the agent goes on", async () => {
    const { agent, group, client } = await oneClient();
    propose(client, 5, [1]);
    await until(() => handedIn(group).length === 1, "it is handed in");
    group.apply(5, 1, encodeAnswer("answered", 77, new Uint8Array(limits.frameBytesMax)));
    await until(() => answersOf(client).length === 1, "an answer");
    expect(decodeAnswer(answersOf(client)[0]!.bytes)).toEqual({ kind: "forgotten", index: 77 });
    expect(agent.notes.lines).toEqual([]);
  });
});

describe("commands of one client are handed in", () => {
  test("a few at first, as nobody knows how large their answers will be, and in order", async () => {
    const { group, client } = await oneClient();
    propose(client, 5, numbers(1, 100));
    await until(() => handedIn(group).length > 0, "the first are handed in");
    const first = handedIn(group).length;
    expect(first * limits.entryBytesMax).toBeLessThanOrEqual(limits.clientAnswersBytesMax);
    expect(first).toBeGreaterThan(16);
    propose(client, 5, numbers(101, 200));
    await decideThrough(group, 200, large);
    expect(handedIn(group)).toEqual(numbers(1, 200));
    await until(() => answersOf(client).length === 200, "all answers");
    expect(answersOf(client).map(({ sequence }) => sequence)).toEqual(numbers(1, 200));
  });

  test("as many as may be at once where answers are small, and no more before some are answered", async () => {
    const { group, client } = await oneClient();
    await warmUp(group, client);
    propose(client, 5, numbers(1, limits.clientRequestsMax + 10));
    await until(() => handedIn(group).length > 0, "they are handed in");
    expect(handedIn(group)).toHaveLength(limits.clientRequestsMax);
    group.apply(5, 1, small);
    await until(() => handedIn(group).length > limits.clientRequestsMax, "an answer makes room");
    expect(handedIn(group)).toEqual(numbers(1, limits.clientRequestsMax + 1));
  });

  test.each([
    ["2,000 of 100 KB", 2000, large],
    ["300 of 1 MB", 300, huge],
  ])("no more than fit, where answers are large: %s", async (_name, count, answer) => {
    const { agent, group, client } = await oneClient();
    propose(client, 5, numbers(1, count));
    await decideThrough(group, count, answer);
    await until(() => client.isClosed() || answersOf(client).length === count, "all answers, or none more");
    expect(client.isClosed()).toBe(false);
    expect(agent.notes.lines).toEqual([]);
  });

  test("no further while their client does not read, and all once it does", async () => {
    const { group, client } = await oneClient();
    client.socket.pause();
    propose(client, 5, numbers(1, 1000));
    await until(() => handedIn(group).length > 0, "the first are handed in");
    const first = handedIn(group).length;
    for (const sequence of numbers(1, first)) group.apply(5, sequence, huge);
    for (let count = 0; count < 200; count++) await new Promise(setImmediate);
    expect(handedIn(group)).toHaveLength(first);
    client.socket.resume();
    let decided = first;
    await until(() => {
      for (const sequence of handedIn(group).slice(decided)) group.apply(5, sequence, large);
      decided = handedIn(group).length;
      return answersOf(client).length === 1000;
    }, "all answers");
    expect(handedIn(group)).toEqual(numbers(1, 1000));
  });

  test("and while no more are read, the client hears that its agent is there before it gives it up", async () => {
    const { group, client } = await oneClient();
    holdTimers();
    propose(client, 5, numbers(1, 100));
    await turns(() => handedIn(group).length > 0);
    client.send("ping", () => {});
    vi.advanceTimersByTime(limits.clientSilenceMsMax / 2);
    await turns(() => client.frames.length > 0);
    expect(client.frames.map(({ kind }) => kind)).toEqual(["pong"]);
  });

  test("unless their group is closed: then those of other groups go ahead", async () => {
    const { agent, group, client } = await oneClient();
    const other = agent.host("other");
    holdTimers();
    propose(client, 5, numbers(1, 300));
    await turns(() => handedIn(group).length > 0);
    agent.hub().close();
    propose(client, 6, [1], "other");
    // At once, and not after what would never be answered.
    await turns(() => handedIn(other).length === 1);
  });

  test("after another leader at once: what was under way may be lost", async () => {
    const { group, client } = await oneClient();
    propose(client, 5, numbers(1, 60));
    await until(() => handedIn(group).length > 0, "the first are handed in");
    expect(handedIn(group).length).toBeLessThan(60);
    group.lead("follower", "agent_2", 2);
    await until(() => handedIn(group).length === 60, "the others, too");
  });
});
