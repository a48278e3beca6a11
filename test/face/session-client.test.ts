import { describe, expect, test } from "vitest";
import type { ProgressState } from "../../src/core/decision.ts";
import { QuorateError } from "../../src/core/errors.ts";
import { GroupClient } from "../../src/runtime/face/group-client.ts";
import { checkCall, type Call } from "../../src/runtime/face/options.ts";
import { writeBytes } from "../../src/runtime/face/pending-command.ts";
import { SessionClient } from "../../src/runtime/face/session-client.ts";
import { Waiters } from "../../src/runtime/face/waiters.ts";
import { FakeClock, settle } from "./support/fake-clock.ts";
import { FakeGateway, type Applied } from "./support/fake-gateway.ts";

interface World {
  readonly clock: FakeClock;
  readonly gateway: FakeGateway;
  readonly session: SessionClient;
  readonly waiters: Waiters;
}

function world(limits: { unsettledMax?: number; lineMax?: number } = {}): World {
  const clock = new FakeClock();
  const gateway = new FakeGateway();
  const waiters = new Waiters(clock);
  const session = new SessionClient({ gateway, clock, waiters, proposer: "ann", ...limits });
  gateway.listen({
    answered: (...told) => session.answered(...told),
    refused: (...told) => session.refused(...told),
    progressed: (...told) => session.progressed(...told),
    interrupted: () => session.interrupted(),
    statusChanged: (status) => session.leaderKnown(status.leader !== undefined),
    closed: (error) => session.close(error),
  });
  return { clock, gateway, session, waiters };
}

/** A world whose session is open, with nothing under way. */
async function opened(limits: { unsettledMax?: number; lineMax?: number } = {}): Promise<World> {
  const ready = world(limits);
  const first = run(ready, "first");
  ready.clock.tick();
  ready.gateway.deliver();
  ready.clock.tick();
  ready.gateway.deliver();
  await first;
  ready.gateway.applied.length = 0;
  ready.gateway.proposals = 0;
  return ready;
}

function run({ session }: World, text: string, call?: Call, machine = "m"): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return session.run(
    { machine, write: writeBytes(bytes), decode: (answer) => new TextDecoder().decode(answer) },
    checkCall(call),
  );
}

function runAsLeader({ session }: World, text: string, call?: Call): Promise<boolean> {
  const bytes = new TextEncoder().encode(text);
  return session.run(
    { machine: "m", write: writeBytes(bytes), decode: () => true, unlessLeader: { value: false } },
    checkCall(call),
  );
}

/** A call that wants to hear how far it comes; `seen` is what it hears. */
function runTracked(
  { session }: World,
  text: string,
  call?: Call,
): { readonly answer: Promise<string>; readonly seen: ProgressState[] } {
  const seen: ProgressState[] = [];
  const command = {
    machine: "m",
    write: writeBytes(new TextEncoder().encode(text)),
    decode: (answer: Uint8Array) => new TextDecoder().decode(answer),
    progressed: (state: ProgressState) => void seen.push(state),
  };
  return { answer: session.run(command, checkCall(call)), seen };
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

const texts = (applied: readonly Applied[]): string[] => applied.map(({ text }) => text);

describe("a session's ordinary life", () => {
  test("the session is opened by the first call and not before", async () => {
    const it = world();
    it.clock.tick();
    expect(it.gateway.proposals).toBe(0);
    const answer = run(it, "hello");
    it.clock.tick();
    expect(it.gateway.inFlight).toHaveLength(1);
    it.gateway.deliver();
    it.clock.tick();
    it.gateway.deliver();
    expect(await answer).toBe("hello");
    expect(it.gateway.applied).toMatchObject([{ sequence: 1, unsettled: 1, machine: "m", requestId: "" }]);
  });

  test("all calls of one tick leave in one batch, in order", async () => {
    const it = await opened();
    const answers = ["a", "b", "c"].map((text) => run(it, text));
    it.clock.tick();
    expect(it.gateway.proposals).toBe(1);
    it.gateway.deliver();
    expect(await Promise.all(answers)).toEqual(["a", "b", "c"]);
    expect(texts(it.gateway.applied)).toEqual(["a", "b", "c"]);
  });

  test("calls are pipelined: a second batch leaves while the first is on its way", async () => {
    const it = await opened();
    const one = run(it, "one");
    it.clock.tick();
    const two = run(it, "two");
    it.clock.tick();
    expect(it.gateway.inFlight).toHaveLength(2);
    it.gateway.deliverAll();
    expect(await Promise.all([one, two])).toEqual(["one", "two"]);
  });

  test("`unsettled` says from which sequence on an answer may still be asked for", async () => {
    const it = await opened();
    const calls = ["a", "b", "c"].map((text) => run(it, text));
    it.clock.tick();
    const last = run(it, "d");
    it.clock.tick();
    it.gateway.deliverAll();
    await Promise.all([...calls, last]);
    const after = run(it, "e");
    it.clock.tick();
    it.gateway.deliverAll();
    await after;
    expect(it.gateway.applied.map(({ sequence, unsettled }) => [sequence, unsettled])).toEqual([
      [2, 1],
      [3, 2],
      [4, 3],
      [5, 4],
      [6, 1],
    ]);
  });

  test("a process stays alive while a caller waits, and only then", async () => {
    const it = await opened();
    expect(it.clock.keepsAlive).toBe(false);
    const answer = run(it, "x");
    expect(it.clock.keepsAlive).toBe(true);
    it.clock.tick();
    it.gateway.deliver();
    await answer;
    expect(it.clock.keepsAlive).toBe(false);
  });

  test("a thousand calls need no more timers than one", async () => {
    const it = await opened();
    const before = it.clock.timers;
    const calls = Array.from({ length: 1000 }, (_, number) => run(it, `${number}`));
    it.clock.tick();
    expect(it.clock.timers - before).toBeLessThanOrEqual(2);
    it.gateway.deliverAll();
    await Promise.all(calls);
  });

  test("what the state machine refuses is REJECTED, with its message, and certainly not done", async () => {
    const it = await opened();
    const refused = errorOf(run(it, "throw: no"));
    it.clock.tick();
    it.gateway.deliver();
    expect(await refused).toMatchObject({ code: "REJECTED", outcome: "notDone", message: "throw: no" });
  });

  test("a state that the group does not have is named", async () => {
    const it = await opened();
    const refused = errorOf(run(it, "x", undefined, "unknown"));
    it.clock.tick();
    it.gateway.deliver();
    expect(await refused).toMatchObject({ code: "BAD_OPTION", outcome: "notDone" });
    expect((await refused).message).toContain('"unknown"');
  });

  test("an answer that can't be read rejects that call and no other", async () => {
    const it = await opened();
    const bytes = new TextEncoder().encode("x");
    const decode = (): string => {
      throw new Error("not my form");
    };
    const broken = errorOf(it.session.run({ machine: "m", write: writeBytes(bytes), decode }));
    const sound = run(it, "y");
    it.clock.tick();
    it.gateway.deliver();
    expect(await broken).toMatchObject({ code: "PROTOCOL", outcome: "unknown" });
    expect(await sound).toBe("y");
  });
});

describe("what is lost or comes twice", () => {
  test("a lost batch is handed in again by the slow timer, and applied once", async () => {
    const it = await opened();
    const answer = run(it, "x");
    it.clock.tick();
    it.gateway.lose();
    it.clock.advance(700);
    expect(it.gateway.inFlight).toHaveLength(1);
    it.gateway.deliver();
    expect(await answer).toBe("x");
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });

  test("a lost answer: the command comes again and gets its first answer", async () => {
    const it = await opened();
    it.gateway.losesAnswers = true;
    const answer = run(it, "x");
    it.clock.tick();
    it.gateway.deliver();
    it.gateway.losesAnswers = false;
    it.clock.advance(700);
    it.gateway.deliverAll();
    expect(await answer).toBe("x");
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });

  test("the slow timer slows down while nothing is heard", async () => {
    const it = await opened();
    const answer = run(it, "x");
    const repeats: number[] = [];
    for (let second = 0; second < 4; second++) {
      const before = it.gateway.proposals;
      it.clock.advance(1000);
      repeats.push(it.gateway.proposals - before);
    }
    expect(repeats[0]).toBeGreaterThan(repeats[3] ?? 0);
    it.gateway.deliverAll();
    expect(await answer).toBe("x");
  });

  test("a lost session opening is repeated; the first answer counts", async () => {
    const it = world();
    const answer = run(it, "x");
    it.clock.tick();
    it.gateway.lose();
    it.clock.advance(700);
    it.gateway.repeat();
    it.gateway.deliver();
    it.gateway.deliver();
    it.clock.tick();
    it.gateway.deliverAll();
    expect(await answer).toBe("x");
  });

  test("interrupted: everything unanswered is handed in again at once, in order", async () => {
    const it = await opened();
    const answers = ["a", "b", "c"].map((text) => run(it, text));
    it.clock.tick();
    it.gateway.lose();
    it.gateway.interrupt();
    it.clock.tick();
    expect(it.gateway.inFlight).toHaveLength(1);
    it.gateway.deliver();
    expect(await Promise.all(answers)).toEqual(["a", "b", "c"]);
    expect(texts(it.gateway.applied)).toEqual(["a", "b", "c"]);
  });

  test("a batch that arrives back to front is applied in order all the same", async () => {
    const it = await opened();
    const answers = ["a", "b", "c", "d"].map((text) => run(it, text));
    it.clock.tick();
    it.gateway.tear();
    it.gateway.deliver();
    it.gateway.deliver();
    it.clock.advance(500);
    it.gateway.deliverAll();
    expect(await Promise.all(answers)).toEqual(["a", "b", "c", "d"]);
    expect(texts(it.gateway.applied)).toEqual(["a", "b", "c", "d"]);
  });
});

describe("refusals", () => {
  const overloaded = { kind: "overloaded", inFlight: 9, inFlightMax: 9 } as const;

  test("overloaded: it tries again with back-off, and holds back new calls that would only be out of order", async () => {
    const it = await opened();
    const one = run(it, "one");
    it.clock.tick();
    it.gateway.refuse(overloaded);
    const two = run(it, "two");
    it.clock.tick();
    expect(it.gateway.inFlight).toHaveLength(0);
    it.clock.advance(20);
    it.gateway.deliverAll();
    it.clock.tick();
    it.gateway.deliverAll();
    expect(await Promise.all([one, two])).toEqual(["one", "two"]);
    expect(texts(it.gateway.applied)).toEqual(["one", "two"]);
  });

  test("overloaded until the time-out: OVERLOADED, certainly not done, and its place in the session is filled", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "lost", { timeoutMs: 100 }));
    const kept = run(it, "kept");
    it.clock.tick();
    for (let round = 0; round < 10; round++) {
      while (it.gateway.inFlight.length > 0) it.gateway.refuse(overloaded);
      it.clock.advance(20);
    }
    expect(await lost).toMatchObject({ code: "OVERLOADED", outcome: "notDone" });
    expect((await lost).retryAfterMs).toBeGreaterThan(0);
    it.clock.advance(1000);
    it.gateway.deliverAll();
    expect(await kept).toBe("kept");
    expect(texts(it.gateway.applied)).toEqual(["kept"]);
  });

  test("no leader until the time-out: NO_QUORUM, certainly not done, and never appended later", async () => {
    const it = await opened();
    it.gateway.setStatus({ noLeader: true });
    const lost = errorOf(run(it, "lost", { timeoutMs: 200 }));
    for (let round = 0; round < 30; round++) {
      it.clock.advance(10);
      while (it.gateway.inFlight.length > 0) it.gateway.refuse({ kind: "notLeader" });
    }
    expect(await lost).toMatchObject({ code: "NO_QUORUM", outcome: "notDone" });
    it.gateway.setStatus({ leader: "b" });
    const kept = run(it, "kept");
    it.clock.advance(2000);
    it.gateway.deliverAll();
    it.clock.advance(2000);
    it.gateway.deliverAll();
    expect(await kept).toBe("kept");
    expect(texts(it.gateway.applied)).toEqual(["kept"]);
  });

  test("handed in, lost, then no leader: NO_QUORUM with an unknown outcome", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "lost", { timeoutMs: 200 }));
    it.clock.tick();
    it.gateway.lose();
    it.gateway.setStatus({ noLeader: true });
    it.clock.advance(250);
    expect(await lost).toMatchObject({ code: "NO_QUORUM", outcome: "unknown", requestId: "@1.2" });
  });

  test("a full disk until the time-out: DISK_FULL, not done", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "lost", { timeoutMs: 100 }));
    for (let round = 0; round < 120; round++) {
      it.clock.advance(1);
      while (it.gateway.inFlight.length > 0) it.gateway.refuse({ kind: "diskFull" });
    }
    expect(await lost).toMatchObject({ code: "DISK_FULL", outcome: "notDone" });
  });

  test("why nothing comes through is the error's code, where the gateway knows", async () => {
    const it = world();
    it.gateway.currentProblem = new QuorateError("CANNOT_CONNECT", "No agent answers at 10.0.0.1.", {
      outcome: "unknown",
      hint: "Start it.",
    });
    const lost = errorOf(run(it, "lost", { timeoutMs: 100 }));
    it.clock.advance(150);
    expect(await lost).toMatchObject({ code: "CANNOT_CONNECT", outcome: "notDone", hint: "Start it." });
  });

  test("for the leader only, and it does not lead: nothing is appended, and the session goes on", async () => {
    const it = await opened();
    const before = run(it, "before");
    const asLeader = runAsLeader(it, "as leader");
    const after = run(it, "after");
    it.clock.tick();
    expect(it.gateway.inFlight.map(({ onlyAsLeader }) => onlyAsLeader)).toEqual([false, true, false]);
    it.gateway.deliver();
    it.gateway.refuse({ kind: "notLeader", leader: "b" as never });
    expect(await asLeader).toBe(false);
    it.gateway.deliver();
    it.clock.advance(100);
    it.gateway.deliverAll();
    expect(await Promise.all([before, after])).toEqual(["before", "after"]);
    expect(texts(it.gateway.applied)).toEqual(["before", "after"]);
  });

  test("for the leader only, refused as the last one: its sequence is given again", async () => {
    const it = await opened();
    const asLeader = runAsLeader(it, "as leader");
    it.clock.tick();
    it.gateway.refuse({ kind: "notLeader" });
    expect(await asLeader).toBe(false);
    const after = run(it, "after");
    it.clock.tick();
    it.gateway.deliverAll();
    expect(await after).toBe("after");
    expect(it.gateway.applied).toMatchObject([{ sequence: 2, text: "after" }]);
  });

  test("the sequence of a command under whose id somebody may ask again is never given to another", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "lost", { timeoutMs: 50 }));
    const asLeader = runAsLeader(it, "as leader");
    it.clock.advance(60);
    const { requestId } = await lost;
    it.gateway.refuse({ kind: "notLeader" });
    it.gateway.refuse({ kind: "notLeader" });
    expect(await asLeader).toBe(false);
    const other = run(it, "other");
    it.clock.advance(1000);
    it.gateway.deliverAll();
    it.clock.advance(1000);
    it.gateway.deliverAll();
    expect(await other).toBe("other");
    expect(await run(it, "lost", { requestId })).toBe("lost");
    expect(it.gateway.applied).toMatchObject([
      { sequence: 2, text: "lost" },
      { sequence: 3, text: "other" },
    ]);
  });

  test("for the leader only, in doubt: it is carried through by whoever leads, and applied once", async () => {
    const it = await opened();
    const asLeader = runAsLeader(it, "as leader");
    it.clock.tick();
    it.gateway.lose();
    it.gateway.interrupt();
    it.clock.tick();
    expect(it.gateway.inFlight).toMatchObject([{ onlyAsLeader: false }]);
    it.gateway.deliver();
    expect(await asLeader).toBe(true);
    expect(texts(it.gateway.applied)).toEqual(["as leader"]);
  });
});

describe("time-outs, aborts and asking again", () => {
  test("a time-out says that the outcome is unknown, and under which id to ask again", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "x", { timeoutMs: 50 }));
    it.clock.advance(60);
    expect(await lost).toMatchObject({ code: "TIMEOUT", outcome: "unknown", requestId: "@1.2" });
  });

  test("asking again while it is still on its way waits for the same answer", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "x", { timeoutMs: 50 }));
    it.clock.advance(60);
    const { requestId } = await lost;
    const again = run(it, "x", { requestId });
    it.clock.tick();
    it.gateway.deliverAll();
    expect(await again).toBe("x");
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });

  test("asking again after the answer came gives that answer", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "x", { timeoutMs: 50 }));
    it.clock.advance(60);
    const { requestId } = await lost;
    it.gateway.deliverAll();
    expect(await run(it, "x", { requestId })).toBe("x");
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });

  test("another client may ask: it gets the first answer, or has the command applied only now", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "x", { timeoutMs: 50 }));
    it.clock.advance(60);
    const { requestId } = await lost;
    it.gateway.inFlight.length = 0;
    const other = new GroupClient({ gateway: it.gateway, proposer: "bob", clock: it.clock });
    const bytes = new TextEncoder().encode("x");
    const command = {
      machine: "m",
      write: writeBytes(bytes),
      decode: (answer: Uint8Array) => answer.byteLength,
    };
    const again = other.session.run(command, checkCall({ requestId }));
    it.gateway.deliverAll();
    expect(await again).toBe(1);
    // The session's own client may still ask for everything: the table must not forget on behalf of another.
    expect(it.gateway.applied).toMatchObject([{ sequence: 2, unsettled: 2 }]);
    const third = other.session.run(command, checkCall({ requestId }));
    it.gateway.deliverAll();
    expect(await third).toBe(1);
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });

  test("a request id of the caller's own is applied once, whichever session asks", async () => {
    const it = await opened();
    const first = run(it, "x", { requestId: "refund-1" });
    it.clock.tick();
    it.gateway.deliverAll();
    await first;
    const other = new GroupClient({ gateway: it.gateway, proposer: "bob", clock: it.clock });
    const bytes = new TextEncoder().encode("x");
    const again = other.session.run(
      { machine: "m", write: writeBytes(bytes), decode: () => "got it" },
      checkCall({ requestId: "refund-1" }),
    );
    it.clock.tick();
    it.gateway.deliverAll();
    it.clock.tick();
    it.gateway.deliverAll();
    expect(await again).toBe("got it");
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });

  test("an id of a session that is gone, or whose answer is: SESSION_EXPIRED, unknown", async () => {
    const it = await opened();
    const gone = errorOf(run(it, "x", { requestId: "@77.1" }));
    it.gateway.deliverAll();
    expect(await gone).toMatchObject({ code: "SESSION_EXPIRED", outcome: "unknown", requestId: "@77.1" });
    const early = errorOf(run(it, "x", { requestId: "@1.9", timeoutMs: 1000 }));
    it.gateway.deliverAll();
    it.clock.advance(1500);
    expect(await early).toMatchObject({ code: "TIMEOUT", outcome: "unknown", requestId: "@1.9" });
    expect(texts(it.gateway.applied)).toEqual([]);
  });

  test("an abandoned command does not hold up those behind it", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "lost", { timeoutMs: 50 }));
    const kept = run(it, "kept");
    it.clock.tick();
    it.gateway.lose();
    it.clock.advance(60);
    await lost;
    it.clock.advance(700);
    it.gateway.deliverAll();
    expect(await kept).toBe("kept");
  });

  test("aborted before the call: nothing is sent", async () => {
    const it = await opened();
    const aborted = await errorOf(run(it, "x", { signal: AbortSignal.abort() }));
    expect(aborted).toMatchObject({ code: "ABORTED", outcome: "notDone" });
    it.clock.tick();
    expect(it.gateway.inFlight).toHaveLength(0);
  });

  test("aborted before its batch left: nothing is sent", async () => {
    const it = await opened();
    const controller = new AbortController();
    const aborted = errorOf(run(it, "x", { signal: controller.signal }));
    controller.abort();
    expect(await aborted).toMatchObject({ code: "ABORTED", outcome: "notDone" });
    it.clock.tick();
    expect(it.gateway.inFlight).toHaveLength(0);
  });

  test("aborted on its way: the outcome is unknown", async () => {
    const it = await opened();
    const controller = new AbortController();
    const aborted = errorOf(run(it, "x", { signal: controller.signal }));
    it.clock.tick();
    controller.abort();
    expect(await aborted).toMatchObject({ code: "ABORTED", outcome: "unknown", requestId: "@1.2" });
    expect(it.clock.keepsAlive).toBe(false);
  });

  test("bad options are refused before anything is sent", async () => {
    const it = await opened();
    for (const call of [
      { timeoutMs: 0 },
      { timeoutMs: Number.NaN },
      { requestId: "" },
      { requestId: "x".repeat(65) },
      { requestId: "@mine" },
      { requestId: "half \ud800" },
    ]) {
      expect(() => run(it, "x", call)).toThrow(
        expect.objectContaining({ code: "BAD_OPTION", outcome: "notDone" }),
      );
    }
    const huge = await errorOf(run(it, "x".repeat(1024 * 1024)));
    expect(huge).toMatchObject({ code: "TOO_LARGE", outcome: "notDone" });
    it.clock.tick();
    expect(it.gateway.inFlight).toHaveLength(0);
  });
});

describe("back-pressure", () => {
  test("more calls than the window holds wait in line, and leave in order", async () => {
    const it = await opened({ unsettledMax: 4 });
    const answers = Array.from({ length: 10 }, (_, number) => run(it, `${number}`));
    it.clock.tick();
    expect(it.gateway.inFlight[0]?.commands).toHaveLength(4);
    for (let round = 0; round < 5; round++) {
      it.gateway.deliverAll();
      it.clock.tick();
    }
    expect(await Promise.all(answers)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    expect(texts(it.gateway.applied)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  });

  test("in line until the time-out: OVERLOADED, certainly not done", async () => {
    const it = await opened({ unsettledMax: 1 });
    const first = run(it, "first");
    const second = errorOf(run(it, "second", { timeoutMs: 50 }));
    it.clock.advance(60);
    expect(await second).toMatchObject({ code: "OVERLOADED", outcome: "notDone" });
    it.gateway.deliverAll();
    expect(await first).toBe("first");
    it.clock.advance(1000);
    it.gateway.deliverAll();
    expect(texts(it.gateway.applied)).toEqual(["first"]);
  });

  test("a line that is full refuses at once", async () => {
    const it = await opened({ unsettledMax: 1, lineMax: 2 });
    const waiting = [run(it, "a"), run(it, "b")];
    expect(await errorOf(run(it, "c"))).toMatchObject({ code: "OVERLOADED", outcome: "notDone" });
    for (let round = 0; round < 3; round++) {
      it.clock.tick();
      it.gateway.deliverAll();
    }
    expect(await Promise.all(waiting)).toEqual(["a", "b"]);
  });
});

describe("a session that the group has closed", () => {
  test("what was on its way without a request id is unknown; the next call opens a new session", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "lost"));
    it.clock.tick();
    it.gateway.expireSessions();
    it.gateway.deliver();
    expect(await lost).toMatchObject({ code: "SESSION_EXPIRED", outcome: "unknown" });
    const next = run(it, "next");
    it.clock.tick();
    it.gateway.deliverAll();
    it.clock.tick();
    it.gateway.deliverAll();
    expect(await next).toBe("next");
    expect(texts(it.gateway.applied)).toEqual(["next"]);
  });

  test("what carries a request id goes on in a new session, and is applied once", async () => {
    const it = await opened();
    it.gateway.losesAnswers = true;
    const first = run(it, "x", { requestId: "id-1" });
    it.clock.tick();
    it.gateway.deliver();
    it.gateway.losesAnswers = false;
    it.gateway.expireSessions();
    it.clock.advance(700);
    for (let round = 0; round < 3; round++) {
      it.gateway.deliverAll();
      it.clock.tick();
    }
    expect(await first).toBe("x");
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });

  test("after a long silence commands carry an id by themselves, so a session that was closed meanwhile costs nothing", async () => {
    const it = await opened();
    it.clock.advance(60_000);
    it.gateway.expireSessions();
    const answer = run(it, "x");
    for (let round = 0; round < 3; round++) {
      it.clock.tick();
      it.gateway.deliverAll();
    }
    expect(await answer).toBe("x");
    expect(texts(it.gateway.applied)).toEqual(["x"]);
  });
});

describe("progress", () => {
  const tracked = ({ gateway }: World): boolean[] => gateway.inFlight.map((batch) => batch.tracked);

  test("is asked for by those calls only that want it, and the order of the calls is kept", async () => {
    const it = await opened();
    const before = run(it, "before");
    const { answer, seen } = runTracked(it, "tracked");
    const after = run(it, "after");
    it.clock.tick();
    expect(tracked(it)).toEqual([false, true, false]);
    for (let place = 0; place < 3; place++) it.gateway.progress("proposed", place);
    it.gateway.progress("prepare", 1);
    expect(seen).toEqual(["proposed", "prepare"]);
    it.gateway.deliverAll();
    expect(await Promise.all([before, answer, after])).toEqual(["before", "tracked", "after"]);
    expect(texts(it.gateway.applied)).toEqual(["before", "tracked", "after"]);
  });

  test("is heard until the call is over, and of its own session and sequence only", async () => {
    const it = await opened();
    const { answer, seen } = runTracked(it, "x");
    it.clock.tick();
    it.session.progressed(1, 3, "proposed");
    it.session.progressed(2, 2, "proposed");
    expect(seen).toEqual([]);
    it.session.progressed(1, 2, "commit");
    it.gateway.deliver();
    expect(await answer).toBe("x");
    it.session.progressed(1, 2, "prepare");
    expect(seen).toEqual(["commit"]);
  });

  test("is asked for again with every repeat, until the caller has left", async () => {
    const it = await opened();
    const { answer, seen } = runTracked(it, "x", { timeoutMs: 5000 });
    it.clock.tick();
    it.gateway.progress("proposed");
    it.gateway.lose();
    it.gateway.interrupt();
    it.clock.tick();
    expect(tracked(it)).toEqual([true]);
    it.gateway.progress("proposed");
    expect(seen).toEqual(["proposed", "proposed"]);
    const failed = errorOf(answer);
    it.clock.advance(5001);
    expect(await failed).toMatchObject({ code: "TIMEOUT" });
    it.gateway.inFlight.length = 0;
    it.gateway.interrupt();
    it.clock.tick();
    expect(tracked(it)).toEqual([false]);
    it.session.progressed(1, 2, "commit");
    expect(seen).toHaveLength(2);
  });

  test("reaches those who ask again for the same answer, and is asked for on their behalf", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "x", { timeoutMs: 50 }));
    it.clock.advance(60);
    it.gateway.lose();
    const { requestId } = await lost;
    const { answer, seen } = runTracked(it, "x", { requestId });
    it.gateway.interrupt();
    it.clock.tick();
    expect(tracked(it)).toEqual([true]);
    it.gateway.progress("prepare");
    it.gateway.deliver();
    expect(await answer).toBe("x");
    expect(seen).toEqual(["prepare"]);
  });

  test("of an earlier session's command is asked for, too", async () => {
    const it = await opened();
    const { answer, seen } = runTracked(it, "y", { requestId: "@77.1" });
    const failed = errorOf(answer);
    expect(tracked(it)).toEqual([true]);
    it.gateway.progress("commit");
    expect(seen).toEqual(["commit"]);
    it.gateway.lose();
    it.gateway.interrupt();
    it.clock.tick();
    expect(tracked(it)).toEqual([true]);
    it.gateway.deliver();
    expect(await failed).toMatchObject({ code: "SESSION_EXPIRED" });
    it.session.progressed(77, 1, "commit");
    expect(seen).toEqual(["commit"]);
  });

  test("goes on in a new session, where the old one was closed", async () => {
    const it = await opened();
    it.gateway.expireSessions();
    const { answer, seen } = runTracked(it, "x", { requestId: "mine" });
    it.clock.tick();
    it.gateway.progress("proposed");
    it.gateway.deliver();
    it.clock.tick();
    it.gateway.deliver();
    it.clock.tick();
    expect(tracked(it)).toEqual([true]);
    it.gateway.progress("commit");
    it.gateway.deliver();
    expect(await answer).toBe("x");
    expect(seen).toEqual(["proposed", "commit"]);
  });
});

describe("closing", () => {
  test("what waits rejects with CLOSED and says what is known; later calls reject too", async () => {
    const it = await opened();
    const sent = errorOf(run(it, "sent"));
    it.clock.tick();
    const waiting = errorOf(run(it, "waiting"));
    it.session.close();
    expect(await sent).toMatchObject({ code: "CLOSED", outcome: "unknown", requestId: "@1.2" });
    expect(await waiting).toMatchObject({ code: "CLOSED", outcome: "notDone" });
    expect(await errorOf(run(it, "late"))).toMatchObject({ code: "CLOSED", outcome: "notDone" });
    expect(it.clock.keepsAlive).toBe(false);
  });

  test("whoever asks again for an answer is told, too", async () => {
    const it = await opened();
    const lost = errorOf(run(it, "x", { timeoutMs: 50 }));
    it.clock.advance(60);
    const { requestId } = await lost;
    const attached = errorOf(run(it, "x", { requestId }));
    const foreign = errorOf(run(it, "y", { requestId: "@77.1" }));
    it.session.close();
    expect(await attached).toMatchObject({ code: "CLOSED", outcome: "unknown", requestId });
    expect(await foreign).toMatchObject({ code: "CLOSED", outcome: "unknown", requestId: "@77.1" });
    expect(it.clock.keepsAlive).toBe(false);
  });

  test("with nothing under way, the session is closed in the group too; twice is once", async () => {
    const it = await opened();
    it.session.close();
    it.session.close();
    expect(it.gateway.inFlight).toHaveLength(1);
    await settle();
  });

  test("the gateway's own reason is passed on", async () => {
    const it = await opened();
    const sent = errorOf(run(it, "sent"));
    it.clock.tick();
    it.gateway.fail(new QuorateError("DENIED", "Go away.", { outcome: "notDone", hint: "Ask for a token." }));
    expect(await sent).toMatchObject({ code: "DENIED", outcome: "unknown", hint: "Ask for a token." });
  });
});
