import { describe, expect, test } from "vitest";
import type { Refusal } from "../../src/core/boundary.ts";
import { stampEntry, encodeCommand, type EntryKind } from "../../src/core/entry.ts";
import { QuorateError } from "../../src/core/errors.ts";
import { logIndex, term } from "../../src/core/ids.ts";
import { encodeWith } from "../../src/core/machine.ts";
import { concatBytes } from "../../src/core/bytes.ts";
import { GroupClient } from "../../src/runtime/face/group-client.ts";
import { LogHandle } from "../../src/runtime/face/log-face.ts";
import { map } from "../../src/runtime/face/state-kinds.ts";
import {
  encodeAnswer,
  encodeCommandEnvelope,
  encodeJson,
  encodeProposal,
  mapReplyCodec,
} from "../../src/state/index.ts";
import { FakeClock, settle } from "./support/fake-clock.ts";
import { FakeGateway } from "./support/fake-gateway.ts";

function world() {
  const clock = new FakeClock();
  const gateway = new FakeGateway();
  const client = new GroupClient({ gateway, proposer: "ann", clock });
  const kinds = { config: map<number>() };
  const log = new LogHandle<typeof kinds>({ client, name: "fake", mechanism: "raft", kinds, isMember: true });
  return { clock, gateway, client, log };
}

async function errorOf(promise: Promise<unknown>): Promise<QuorateError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw error;
  }
  throw new Error("it resolved, and should not have");
}

/** The bytes of one change of a map: a key that was written. */
function written(key: string, value: number): Uint8Array {
  const bytes = encodeJson(value);
  const name = new TextEncoder().encode(key);
  return concatBytes([Uint8Array.of(1, name.byteLength, 0), name, bytes]);
}

interface Line {
  session: number;
  sequence: number;
  value?: unknown;
  kind?: EntryKind;
  machine?: string;
  requestId?: string;
}

/** A run of entries, as a log has them. */
function run(from: number, lines: readonly Line[]): Uint8Array {
  return concatBytes(
    lines.map(({ session, sequence, value, kind = "command", machine = "", requestId = "" }, place) => {
      const command = kind === "command" ? encodeProposal([value]) : new Uint8Array();
      const payload =
        kind === "command"
          ? encodeCommandEnvelope({ proposer: "ann", machine, requestId, command })
          : command;
      const entry = encodeCommand({ kind, session, sequence, unsettled: 1 }, payload);
      stampEntry(entry, 0, logIndex(from + place), term(1), 0);
      return entry;
    }),
  );
}

describe("a map's watch", () => {
  test("asks for more only when its reader does: nothing piles up", async () => {
    const { gateway, log } = world();
    const changes = log.state.config.watch("", { from: 3 })[Symbol.asyncIterator]();
    expect(gateway.changePolls).toHaveLength(0);
    const first = changes.next();
    expect(gateway.changePolls).toMatchObject([{ from: 3 }]);
    gateway.changePolls.splice(0)[0]?.done({
      kind: "changes",
      changes: [
        { index: 4, bytes: written("a", 1) },
        { index: 6, bytes: written("b", 2) },
      ],
      through: 9,
    });
    expect((await first).value).toEqual({ index: 4, key: "a", value: 1 });
    expect((await changes.next()).value).toEqual({ index: 6, key: "b", value: 2 });
    expect(gateway.changePolls).toHaveLength(0);
    void changes.next();
    expect(gateway.changePolls).toMatchObject([{ from: 10 }]);
  });

  test("keeps the process alive only while its reader waits", async () => {
    const { clock, gateway, log } = world();
    const changes = log.state.config.watch("", { from: 1 })[Symbol.asyncIterator]();
    expect(clock.keepsAlive).toBe(false);
    const next = changes.next();
    expect(clock.keepsAlive).toBe(true);
    gateway.changePolls[0]?.done({
      kind: "changes",
      changes: [{ index: 1, bytes: written("a", 1) }],
      through: 1,
    });
    await next;
    expect(clock.keepsAlive).toBe(false);
  });

  test("COMPACTED where the history is gone, with the index to go on from", async () => {
    const { gateway, log } = world();
    const next = errorOf(log.state.config.watch("", { from: 1 })[Symbol.asyncIterator]().next());
    gateway.changePolls[0]?.done({ kind: "compacted", earliest: 50 });
    const error = await next;
    expect(error).toMatchObject({ code: "COMPACTED", outcome: "notDone" });
    expect(error.hint).toContain("50");
  });

  test("what is lost is asked for again, a little later, from the same index", async () => {
    const { clock, gateway, log } = world();
    const changes = log.state.config.watch("", { from: 5 })[Symbol.asyncIterator]();
    const next = changes.next();
    gateway.changePolls.splice(0)[0]?.done({ kind: "lost" });
    expect(gateway.changePolls).toHaveLength(0);
    clock.advance(100);
    expect(gateway.changePolls).toMatchObject([{ from: 5 }]);
    gateway.changePolls[0]?.done({
      kind: "changes",
      changes: [{ index: 5, bytes: written("a", 1) }],
      through: 5,
    });
    expect((await next).value).toMatchObject({ key: "a" });
  });

  test("without an index it starts behind what the agent has applied when watch is called", () => {
    const { gateway, log } = world();
    gateway.setStatus({ applied: 41 });
    const changes = log.state.config.watch("");
    gateway.setStatus({ applied: 99 });
    void changes[Symbol.asyncIterator]().next();
    expect(gateway.changePolls).toMatchObject([{ from: 42 }]);
  });

  test("and where the agent is elsewhere, it asks for that when watch is called, not when a change is wanted", async () => {
    const { gateway, log } = world();
    gateway.isRemote = true;
    // What the client was told last, long ago.
    gateway.setStatus({ applied: 41 });
    gateway.refreshed = { applied: 70 };
    const changes = log.state.config.watch("");
    gateway.refreshed = { applied: 99 };
    await settle();
    void changes[Symbol.asyncIterator]().next();
    expect(gateway.changePolls).toMatchObject([{ from: 71 }]);
  });

  test("where no agent has been heard of yet, it asks first", async () => {
    const { gateway, log } = world();
    gateway.currentStatus = undefined;
    const next = log.state.config.watch("")[Symbol.asyncIterator]().next();
    await settle();
    expect(gateway.changePolls).toHaveLength(0);
    void next.catch(() => {});
  });

  test("a signal ends the loop, and takes the question back", async () => {
    const { gateway, log } = world();
    const controller = new AbortController();
    const changes = log.state.config
      .watch("", { from: 1, signal: controller.signal })
      [Symbol.asyncIterator]();
    const next = changes.next();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(gateway.changePolls).toHaveLength(0);
    expect(await changes.next()).toEqual({ done: true, value: undefined });
  });

  test("leaving the loop takes the question back, too", async () => {
    const { gateway, log } = world();
    const changes = log.state.config.watch("", { from: 1 })[Symbol.asyncIterator]();
    const waiting = changes.next();
    await changes.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(gateway.changePolls).toHaveLength(0);
  });

  test("several next() at once are served in order", async () => {
    const { gateway, log } = world();
    const changes = log.state.config.watch("", { from: 1 })[Symbol.asyncIterator]();
    const both = [changes.next(), changes.next()];
    gateway.changePolls.splice(0)[0]?.done({
      kind: "changes",
      changes: [{ index: 1, bytes: written("a", 1) }],
      through: 1,
    });
    gateway.changePolls.splice(0)[0]?.done({
      kind: "changes",
      changes: [{ index: 2, bytes: written("b", 2) }],
      through: 2,
    });
    expect((await Promise.all(both)).map(({ value }) => (value as { key: string }).key)).toEqual(["a", "b"]);
  });

  test("a change that can't be read is a PROTOCOL error, and `from` must be an index", async () => {
    const { gateway, log } = world();
    const next = errorOf(log.state.config.watch("", { from: 1 })[Symbol.asyncIterator]().next());
    gateway.changePolls[0]?.done({
      kind: "changes",
      changes: [{ index: 1, bytes: Uint8Array.of(9) }],
      through: 1,
    });
    expect((await next).code).toBe("PROTOCOL");
    expect(() => log.state.config.watch("", { from: -1 })).toThrow(QuorateError);
    expect(() => log.entries({ from: 0.5 })).toThrow(QuorateError);
  });
});

describe("decided entries", () => {
  /** What a reader sees of these lines, the first at `from`; `withoutEffect` is what the agent says of them. */
  async function read(
    lines: readonly Line[],
    withoutEffect: readonly number[] = [],
    from?: number,
  ): Promise<[number, unknown][]> {
    const { gateway, log } = world();
    const controller = new AbortController();
    const found: [number, unknown][] = [];
    const entries = log.entries({ ...(from !== undefined && { from }), signal: controller.signal });
    const reading = (async () => {
      for await (const { index, value } of entries) found.push([index, value]);
    })();
    const poll = gateway.entryPolls.splice(0)[0];
    poll?.done({ kind: "entries", bytes: run(poll.from, lines), withoutEffect });
    await settle();
    controller.abort();
    await reading;
    return found;
  }

  test("only plain values: no machinery, no other machine's commands", async () => {
    expect(
      await read([
        { kind: "noop", session: 0, sequence: 0 },
        { kind: "openSession", session: 77, sequence: 0 },
        { session: 2, sequence: 1, value: "a" },
        { session: 2, sequence: 2, value: "map", machine: "config" },
        { session: 2, sequence: 3, value: "b" },
        { kind: "closeSession", session: 2, sequence: 4 },
      ]),
    ).toEqual([
      [3, "a"],
      [5, "b"],
    ]);
  });

  test("which of them took effect is the agent's word, not a guess from what was read", async () => {
    const lines: Line[] = [
      { session: 1, sequence: 2, value: "b, too early" },
      { session: 1, sequence: 1, value: "a", requestId: "r" },
      { session: 1, sequence: 1, value: "a", requestId: "r" },
      { session: 2, sequence: 9, value: "a", requestId: "r" },
      { session: 1, sequence: 2, value: "b" },
    ];
    expect(await read(lines, [1, 3, 4])).toEqual([
      [2, "a"],
      [5, "b"],
    ]);
    expect(await read(lines, [41, 43, 44], 41)).toEqual([
      [42, "a"],
      [45, "b"],
    ]);
  });

  test("from an index: what is asked for begins there, and goes on behind the last entry, whatever it was", async () => {
    const { gateway, log } = world();
    const entries = log.entries({ from: 5000 })[Symbol.asyncIterator]();
    const next = entries.next();
    const [poll] = gateway.entryPolls.splice(0);
    expect(poll?.from).toBe(5000);
    const lines: Line[] = [
      { session: 1, sequence: 1, value: "a" },
      { session: 1, sequence: 1, value: "a" },
    ];
    poll?.done({ kind: "entries", bytes: run(5000, lines), withoutEffect: [5001] });
    expect((await next).value).toMatchObject({ index: 5000, value: "a" });
    void entries.next();
    expect(gateway.entryPolls).toMatchObject([{ from: 5002 }]);
  });

  test("a payload that makes no sense is passed over, also where the agent has forgotten that it was refused", async () => {
    const { gateway, log } = world();
    const next = log.entries()[Symbol.asyncIterator]().next();
    const nonsense = encodeCommand(
      { kind: "command", session: 9, sequence: 1, unsettled: 1 },
      Uint8Array.of(200),
    );
    stampEntry(nonsense, 0, logIndex(1), term(1), 0);
    const sound = run(2, [{ session: 9, sequence: 2, value: "sound" }]);
    const bytes = concatBytes([nonsense, sound]);
    gateway.entryPolls[0]?.done({ kind: "entries", bytes, withoutEffect: [] });
    expect((await next).value).toMatchObject({ index: 2, value: "sound" });
  });

  test("COMPACTED where what was asked for is gone, with the index to go on from", async () => {
    const { gateway, log } = world();
    const next = errorOf(log.entries({ from: 5000 })[Symbol.asyncIterator]().next());
    gateway.entryPolls.splice(0)[0]?.done({ kind: "compacted", earliest: 6000 });
    const error = await next;
    expect(error).toMatchObject({ code: "COMPACTED", outcome: "notDone" });
    expect(error.hint).toContain("6000");
  });
});

describe("status", () => {
  test("a watch tells what is so, then what changes; a slow reader sees the newest only", async () => {
    const { gateway, log } = world();
    const statuses = log.watch()[Symbol.asyncIterator]();
    expect((await statuses.next()).value).toMatchObject({ role: "leader", term: 1 });
    const next = statuses.next();
    gateway.setStatus({ role: "follower", leader: "b", term: 2 });
    expect((await next).value).toMatchObject({ role: "follower", leader: "b", term: 2 });
    gateway.setStatus({ term: 3 });
    gateway.setStatus({ term: 4 });
    expect((await statuses.next()).value).toMatchObject({ term: 4 });
  });

  test("before any word of an agent it is empty, not a guess", () => {
    const { gateway, log } = world();
    gateway.currentStatus = undefined;
    expect(log.status()).toMatchObject({ mechanism: "raft", group: "fake", self: "", members: [], term: 0 });
  });
});

describe("questions", () => {
  const found = (): Uint8Array => {
    const value = encodeJson(5);
    return encodeAnswer("answered", 9, encodeWith(mapReplyCodec, { kind: "found", version: 3, value }));
  };

  test("a refused or lost question is asked again until it is answered", async () => {
    const { clock, gateway, log } = world();
    const answer = log.state.config.get("k");
    gateway.queries.splice(0)[0]?.done({ kind: "lost" });
    clock.advance(50);
    gateway.queries.splice(0)[0]?.done({ kind: "refused", refusal: { kind: "notLeader" } });
    clock.advance(50);
    expect(gateway.queries).toMatchObject([{ at: "linearizable" }]);
    gateway.queries[0]?.done({ kind: "reply", bytes: found() });
    expect(await answer).toEqual({ value: 5, version: 3 });
  });

  test.each<[string, Refusal | undefined, string]>([
    ["no leader", { kind: "notLeader" }, "NO_QUORUM"],
    ["silence", undefined, "TIMEOUT"],
  ])("until the time-out, with %s: nothing was done in any case", async (_, refusal, code) => {
    const { clock, gateway, log } = world();
    const answer = errorOf(log.state.config.get("k", { timeoutMs: 100 }));
    for (let round = 0; round < 12; round++) {
      const asked = refusal === undefined ? undefined : gateway.queries.splice(0)[0];
      if (refusal !== undefined) asked?.done({ kind: "refused", refusal });
      clock.advance(10);
    }
    expect(await answer).toMatchObject({ code, outcome: "notDone" });
    expect(gateway.queries).toHaveLength(0);
    expect(clock.keepsAlive).toBe(false);
  });

  test("`local` is passed on, an abort takes the question back, a closed handle asks nothing", async () => {
    const { gateway, log } = world();
    const controller = new AbortController();
    const answer = errorOf(log.state.config.get("k", { at: "local", signal: controller.signal }));
    expect(gateway.queries).toMatchObject([{ at: "local" }]);
    controller.abort();
    expect(await answer).toMatchObject({ code: "ABORTED", outcome: "notDone" });
    expect(gateway.queries).toHaveLength(0);
    await log.close();
    expect(await errorOf(log.state.config.get("k"))).toMatchObject({ code: "CLOSED" });
    expect(gateway.queries).toHaveLength(0);
  });

  test("what a machine says in refusal is REJECTED; an unknown state is named; nonsense is PROTOCOL", async () => {
    const { gateway, log } = world();
    const asked = (bytes: Uint8Array): Promise<QuorateError> => {
      const answer = errorOf(log.state.config.get("k"));
      gateway.queries.splice(0)[0]?.done({ kind: "reply", bytes });
      return answer;
    };
    const message = new TextEncoder().encode("not today");
    expect(await asked(encodeAnswer("rejected", 1, message))).toMatchObject({
      code: "REJECTED",
      message: "not today",
    });
    expect((await asked(encodeAnswer("unknownMachine", 1))).message).toContain('"config"');
    expect(await asked(Uint8Array.of(1))).toMatchObject({ code: "PROTOCOL" });
    expect(await asked(encodeAnswer("answered", 1, Uint8Array.of(9)))).toMatchObject({ code: "PROTOCOL" });
  });

  test("a campaign that was lost or refused is repeated; its end is the answer", async () => {
    const { clock, gateway, log } = world();
    const won = log.startElection();
    gateway.campaigns.splice(0)[0]?.({ kind: "lost" });
    clock.advance(50);
    gateway.campaigns.splice(0)[0]?.({ kind: "over", leading: false });
    expect(await won).toBe(false);
  });
});
