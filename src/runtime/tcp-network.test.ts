import { connect, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { FakeAgent, testCluster } from "../../test/support/fake-agent.ts";
import { failure, freePort, pause, until } from "../../test/support/runtime.ts";
import { concatBytes } from "../core/bytes.ts";
import { encodeCommand, stampEntry } from "../core/entry.ts";
import type { AgentId, GroupName, LogIndex, Term } from "../core/ids.ts";
import type { WireVersion } from "../core/wire-version.ts";
import { loopbackAddress } from "./address.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { decodeRefuse, encodeHello, encodeWelcome, type Hello } from "./handshake.ts";

async function pair(): Promise<[FakeAgent, FakeAgent]> {
  const peers = { agent_1: await freePort(), agent_2: await freePort() };
  const one = new FakeAgent("agent_1", peers.agent_1, peers);
  const other = new FakeAgent("agent_2", peers.agent_2, peers);
  return [one, other];
}

async function linked(): Promise<[FakeAgent, FakeAgent]> {
  const [one, other] = await pair();
  await one.start();
  await other.start();
  await until(() => one.links.length > 0 && other.links.length > 0, "the link comes up");
  return [one, other];
}

const hello: Hello = {
  versionMin: 1,
  versionMax: 1,
  role: "control",
  cluster: testCluster,
  from: "agent_1",
  to: "agent_2",
};

/** A stranger's socket at an agent, and the frames that come back. */
async function stranger(
  agent: FakeAgent,
  first?: Partial<Hello>,
): Promise<{ socket: Socket; frames: Frame[]; isClosed: () => boolean }> {
  const socket = connect(agent.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const frames: Frame[] = [];
  const reader = new FrameReader(100_000);
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => (closed = true));
  socket.on("data", (bytes) => reader.push(bytes, (frame) => frames.push(frame) > 0));
  await new Promise((resolve) => {
    socket.once("connect", resolve);
  });
  if (first !== undefined) {
    socket.write(concatBytes(encodeFrame("hello", "", encodeHello({ ...hello, ...first })).parts));
    await until(() => frames.length > 0 || closed, "an answer to hello");
  }
  return { socket, frames, isClosed: () => closed };
}

describe("a link", () => {
  test("comes up in whatever order the agents start, with two connections dialled by the smaller id", async () => {
    const [one, other] = await pair();
    await one.start();
    await pause(50);
    expect(one.links).toEqual([]);
    expect(one.notes.count("is down")).toBe(1);
    await other.start();
    await until(() => one.links.length > 0 && other.links.length > 0, "the link comes up");
    expect(one.links).toEqual(["agent_2 up"]);
    expect(other.links).toEqual(["agent_1 up"]);
    expect(one.network.status()).toEqual([
      { id: "agent_2", up: true, version: 2, queuedBytes: 0, dropped: 0 },
    ]);
  });

  test("carries messages of every channel both ways, each channel in order", async () => {
    const [one, other] = await linked();
    for (let round = 0; round < 200; round++) {
      one.send(other, round, "stream");
      other.send(one, round, round % 2 === 0 ? "urgent" : "bulk");
    }
    await until(() => one.received.length === 200 && other.received.length === 200, "everything arrives");
    expect(other.rounds()).toEqual(Array.from({ length: 200 }, (_, at) => at));
    const evens = one.rounds().filter((round) => round % 2 === 0);
    expect(evens).toEqual(evens.toSorted((a, b) => a - b));
    expect(other.received[0]).toEqual({
      from: "agent_1",
      group: "main",
      message: { kind: "heartbeatAnswer", term: 1, round: 0 },
    });
  });

  test("lets a lazy message leave with the next that is not, ahead of the stream, or alone after a while", async () => {
    const [one, other] = await linked();
    one.send(other, 1, "lazy");
    one.send(other, 2, "lazy");
    expect(one.network.status()[0]?.queuedBytes, "both wait").toBeGreaterThan(0);
    one.send(other, 3, "stream");
    expect(one.network.status()[0]?.queuedBytes, "all have left").toBe(0);
    await until(() => other.received.length === 3, "all arrive");
    one.send(other, 4, "lazy");
    await until(() => other.received.length === 4, "nothing else left, so it left alone");
    one.send(other, 5, "lazy");
    await until(() => other.received.length === 5, "and so does the next");
    expect(other.rounds()).toEqual([1, 2, 3, 4, 5]);
  });

  test("comes up again after the peer was gone, and what was said meanwhile is dropped, not queued", async () => {
    const [one, other] = await linked();
    await other.close();
    await until(() => one.links.at(-1) === "agent_2 down", "the loss is noticed");
    for (let round = 0; round < 10; round++) one.send(other, round);
    expect(one.network.status()[0]).toMatchObject({ up: false, queuedBytes: 0, dropped: 10 });
    const again = new FakeAgent("agent_2", other.port, { agent_1: one.port });
    await again.start();
    await until(() => one.links.at(-1) === "agent_2 up", "it comes up again");
    one.send(again, 77);
    await until(() => again.received.length === 1, "the new message arrives");
    expect(again.rounds()).toEqual([77]);
    // One line for each change, however often it was tried in between.
    expect(one.notes.count("link to agent_2 is up")).toBe(2);
    expect(one.notes.count("link to agent_2 is down")).toBeLessThanOrEqual(2);
  });

  test("a message for a group that is not hosted is ignored, and the link stays", async () => {
    const [one, other] = await linked();
    one.network.register("elsewhere" as GroupName, {
      encodeMessage: () => ({ head: Uint8Array.of(1), tail: [] }),
      decodeMessage: () => ({}),
    });
    one.network.send(other.id, "elsewhere" as GroupName, "stream", {});
    one.network.send(other.id, "unknown" as GroupName, "stream", {});
    one.network.send("nobody" as AgentId, "main" as GroupName, "stream", {});
    one.send(other, 1);
    await until(() => other.received.length === 1, "the next message arrives");
    expect(other.links).toEqual(["agent_1 up"]);
  });

  test("a message that makes no sense closes its connection with one line, and the link comes back", async () => {
    const [one, other] = await linked();
    one.network.register("main" as GroupName, {
      encodeMessage: () => ({ head: Uint8Array.of(99), tail: [] }),
      decodeMessage: () => ({}),
    });
    one.network.send(other.id, "main" as GroupName, "stream", {});
    one.network.flush();
    await until(() => other.links.length === 3, "down and up again");
    expect(other.links).toEqual(["agent_1 up", "agent_1 down", "agent_1 up"]);
    expect(other.notes.count("closed the control connection with agent_1")).toBe(1);
    expect(other.received).toEqual([]);
  });

  test("a peer that dials anew replaces its older connection, which it has given up", async () => {
    const [, other] = await linked();
    const { frames, isClosed } = await stranger(other, {});
    expect(frames.map(({ kind }) => kind)).toEqual(["welcome"]);
    // Agent 1 loses its connection by this, dials again, and in turn replaces this one.
    await until(isClosed, "it is replaced");
    await until(() => other.network.status()[0]?.up === true, "the link is up in the end");
  });

  test("a peer that reads nothing costs a bounded queue, and nothing else", async () => {
    const [one, other] = await pair();
    await other.start();
    const { socket } = await stranger(other, { from: "agent_1" });
    socket.pause();
    await stranger(other, { from: "agent_1", role: "bulk" });
    await until(() => other.links.length > 0, "the link comes up");
    const entry = new Uint8Array(200_000);
    other.network.register("main" as GroupName, {
      encodeMessage: () => ({ head: Uint8Array.of(1), tail: [entry] }),
      decodeMessage: () => ({}),
    });
    for (let count = 0; count < 300; count++) {
      other.network.send(one.id, "main" as GroupName, "stream", {});
      other.network.flush();
    }
    const [status] = other.network.status();
    expect(status?.queuedBytes).toBeLessThanOrEqual(16 * 1024 * 1024);
    expect(status?.dropped).toBeGreaterThan(100);
  });
});

describe("between two versions, a link", () => {
  const versions = [
    [1, 2],
    [2, 1],
  ] as const;
  const refusedFor = (because: "election" | "transfer"): object => ({
    kind: "forwardRefused",
    commands: [],
    refusal: { kind: "busy", because },
  });

  async function linkedIn(
    versionOfOne: WireVersion,
    versionOfOther: WireVersion,
  ): Promise<[FakeAgent, FakeAgent]> {
    const peers = { agent_1: await freePort(), agent_2: await freePort() };
    const one = await new FakeAgent("agent_1", peers.agent_1, peers, testCluster, versionOfOne).start();
    const other = await new FakeAgent("agent_2", peers.agent_2, peers, testCluster, versionOfOther).start();
    await until(() => one.links.length > 0 && other.links.length > 0, "the link comes up");
    return [one, other];
  }

  /** What one says, as the other reads it. */
  async function heard(from: FakeAgent, to: FakeAgent, message: object): Promise<unknown> {
    to.received.length = 0;
    from.network.send(to.id, "main" as GroupName, "stream", message);
    from.network.flush();
    await until(() => to.received.length === 1, "it arrives");
    return to.received[0]?.message;
  }

  test.each(versions)("R22: of %i and %i speaks the lower one, both ways", async (...both) => {
    const [one, other] = await linkedIn(...both);
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      expect(await heard(from, to, refusedFor("transfer"))).toEqual(refusedFor("transfer"));
      expect(await heard(from, to, refusedFor("election"))).toMatchObject({ refusal: { kind: "notLeader" } });
    }
    expect(one.network.status()[0]?.version).toBe(1);
  });

  test("R22: drops what the peer's version does not have, and carries what follows", async () => {
    const [one, other] = await linkedIn(2, 1);
    const entry = encodeCommand(
      { kind: "members", session: 0, sequence: 0, unsettled: 0 },
      new Uint8Array(2),
    );
    stampEntry(entry, 0, 1 as LogIndex, 1 as Term, 0);
    const runs = [{ first: 1 as LogIndex, last: 1 as LogIndex, bytes: entry }];
    one.network.send(other.id, "main" as GroupName, "stream", {
      kind: "append",
      term: 1,
      prevIndex: 0,
      prevTerm: 0,
      commit: 0,
      runs,
    });
    expect(await heard(one, other, refusedFor("transfer"))).toEqual(refusedFor("transfer"));
    expect(one.network.status()[0]).toMatchObject({ up: true, dropped: 1 });
    expect(other.notes.count("closed")).toBe(0);
  });

  test("is in the newer one as soon as the peer is back with that", async () => {
    const [one, other] = await linkedIn(2, 1);
    await other.close();
    await until(() => one.links.at(-1) === "agent_2 down", "the loss is noticed");
    const again = await new FakeAgent("agent_2", other.port, { agent_1: one.port }).start();
    await until(() => one.links.at(-1) === "agent_2 up", "it comes up again");
    expect(await heard(one, again, refusedFor("election"))).toEqual(refusedFor("election"));
    expect(one.network.status()[0]?.version).toBe(2);
  });

  test("is not kept with a peer that answers in a version that was not offered", async () => {
    const [one, other] = await pair();
    const server = createServer((socket) => {
      socket.on("error", () => {});
      const welcome = encodeWelcome({ version: 3, cluster: testCluster, agent: "agent_2" });
      socket.write(concatBytes(encodeFrame("welcome", "", welcome).parts));
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(other.port, "127.0.0.1", resolve));
    await one.start();
    await until(() => one.notes.lines.length > 0, "a line in the log");
    expect(one.notes.lines[0]).toContain("in version 3 of the wire protocol, which was not offered");
  });
});

describe("a handshake is refused, with the reason,", () => {
  test.each([
    ["in an unknown version", { versionMin: 3, versionMax: 4 }, "PROTOCOL", "versions 1 to 2"],
    ["from another cluster", { cluster: new Uint8Array(16).fill(8) }, "DENIED", "another cluster"],
    ["for another agent", { to: "agent_3" }, "DENIED", "this is agent agent_2"],
    ["from a peer that is not known", { from: "agent_9" }, "DENIED", "no peer"],
    [
      "from a client of another cluster",
      { role: "client", cluster: new Uint8Array(16).fill(8) },
      "DENIED",
      "cluster",
    ],
  ] as const)("%s", async (_name, change, code, message) => {
    const [, other] = await pair();
    await other.start();
    const { frames, isClosed } = await stranger(other, change);
    expect(frames).toHaveLength(1);
    const refusal = decodeRefuse((frames[0] as Frame).head);
    expect(refusal.code).toBe(code);
    expect(refusal.message).toContain(message);
    await until(isClosed, "it is closed");
    expect(other.notes.count("refused")).toBe(1);
  });

  test("and whoever dialled the wrong agent says so once and keeps trying", async () => {
    const [one, other] = await pair();
    await new FakeAgent("agent_3", other.port, { agent_1: one.port }).start();
    await one.start();
    await until(() => one.notes.lines.length > 0, "a line in the log");
    await pause(100);
    expect(one.notes.count("is down")).toBe(1);
    expect(one.notes.lines[0]).toContain("this is agent agent_3, not agent_2");
  });

  test("or by something that is no agent at all", async () => {
    const [one, other] = await pair();
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(other.port, "127.0.0.1", resolve));
    await one.start();
    await until(() => one.notes.lines.length > 0, "a line in the log");
    expect(one.notes.lines[0]).toContain("is not a Quorate agent");
  });
});

describe("whatever a stranger sends", () => {
  const frame = (kind: "ping" | "query" | "hello" | "message"): Uint8Array =>
    concatBytes(encodeFrame(kind, kind === "message" ? "main" : "", Uint8Array.of(1, 0, 0, 0)).parts);

  test.each([
    ["no hello first", frame("query")],
    ["a hello that is none", frame("hello")],
    ["a long frame before the handshake", Uint8Array.of(0, 8, 0, 0)],
    ["a request for a page", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ])("%s closes that connection with one line", async (_name, bytes) => {
    const [, other] = await linked();
    const { socket, isClosed } = await stranger(other);
    socket.write(bytes);
    await until(isClosed, "it is closed");
    await pause(10);
    expect(other.notes.count("closed a connection from 127.0.0.1")).toBe(1);
    expect(other.links).toEqual(["agent_1 up"]);
  });

  test("as a peer: a second hello, a client's frame, a repeated welcome close it with one line", async () => {
    for (const kind of ["hello", "query"] as const) {
      const [, other] = await pair();
      await other.start();
      const { socket, isClosed } = await stranger(other, {});
      socket.write(frame(kind));
      await until(isClosed, "it is closed");
      await until(() => other.notes.count(`a frame of kind ${kind} from a peer`) === 1, "one line");
    }
  });

  test("random and damaged bytes never disturb the links and clients that are there", async () => {
    const [one, other] = await linked();
    const valid = concatBytes(encodeFrame("hello", "", encodeHello({ ...hello, role: "client" })).parts);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        fc.nat({ max: valid.byteLength - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (noise, greets, at, mask) => {
          const { socket, isClosed } = await stranger(other);
          const damaged = valid.slice();
          damaged[at] = (damaged[at] ?? 0) ^ mask;
          socket.write(greets ? concatBytes([valid, noise]) : concatBytes([damaged, noise]));
          socket.end();
          await until(isClosed, "it is closed");
        },
      ),
      { numRuns: 60 },
    );
    one.send(other, 5);
    await until(() => other.received.length === 1, "the link works");
    expect(other.links).toEqual(["agent_1 up"]);
    await until(() => other.server.clientCount === 0, "no client is left");
  });
});

describe("listening", () => {
  test("on a port in use is refused, and says what to do", async () => {
    const [one] = await pair();
    await one.start();
    const second = new FakeAgent("agent_3", one.port);
    const error = await failure(async () => second.start());
    expect(error.code).toBe("ADDRESS_IN_USE");
    expect(error.message).toContain(one.address);
    expect(error.hint).toContain("another port");
  });

  test("closing frees the port and every connection, and may be repeated", async () => {
    const [one, other] = await linked();
    await stranger(other, { role: "client", from: "", to: "" });
    await other.close();
    await other.close();
    await until(() => one.links.at(-1) === "agent_2 down", "the peer sees it");
    const again = new FakeAgent("agent_2", other.port);
    expect(await again.server.listen(loopbackAddress(again.address))).toBe(again.address);
  });
});
