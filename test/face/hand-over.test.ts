/**
 * Leadership that goes over because somebody asked. Within one process it does; over a group that does only what the test
 * says, every way in which it can fail ends in an error of its own. Time is the test's there.
 */
import { describe, expect, test } from "vitest";
import { createConsensus, MemoryNetwork, QuorateError } from "../../src/index.ts";
import { GroupClient } from "../../src/runtime/face/group-client.ts";
import { LogHandle } from "../../src/runtime/face/log-face.ts";
import type { OrderOutcome } from "../../src/runtime/gateway.ts";
import { FakeClock, settle } from "./support/fake-clock.ts";
import { FakeGateway } from "./support/fake-gateway.ts";

describe("within one process", () => {
  test("to the one that is named, from whichever member it is asked, and to anybody", async () => {
    await using a = createConsensus("raft", "a", ["b", "c"], { network: new MemoryNetwork() });
    const [b, c] = [a.peer("b"), a.peer("c")];
    await a.ready();
    for (const [from, to] of [
      [a, "b"],
      [c, "c"],
      [b, "a"],
      [b, "a"],
    ] as const) {
      expect(await from.transferLeadership(to)).toBe(to);
      expect(await from.propose(`under ${to}`)).toBe(`under ${to}`);
    }
    expect(["b", "c"]).toContain(await a.transferLeadership());
  });

  test("a member that is closed hands over first: to wait for an election would take ten seconds", async () => {
    await using a = createConsensus("raft", "a", ["b", "c"], {
      network: new MemoryNetwork(),
      electionTimeoutMs: [10_000, 20_000],
    });
    const [b, c] = [a.peer("b"), a.peer("c")];
    expect(await a.startElection()).toBe(true);
    await a.propose("under a");
    await a.close();
    expect(await b.propose("decided", { timeoutMs: 5000 })).toBe("decided");
    await b.close();
    await c.close();
  });

  test("not to a stranger, nor from a group of one; and a name has to be one", async () => {
    await using a = createConsensus("raft", "a", ["b", "c"], { network: new MemoryNetwork() });
    await a.ready();
    await expect(a.transferLeadership("x")).rejects.toMatchObject({
      code: "NOT_READY",
      outcome: "notDone",
      message: "x is not ready to take over.",
    });
    await expect(a.transferLeadership("no name")).rejects.toMatchObject({ code: "BAD_NAME" });
    await using alone = createConsensus("raft", "alone", [], { network: new MemoryNetwork() });
    await alone.ready();
    await expect(alone.transferLeadership()).rejects.toMatchObject({ code: "NOT_READY" });
    expect(await alone.transferLeadership("alone")).toBe("alone");
  });
});

describe("whatever the group answers", () => {
  function asking(to?: string): {
    gateway: FakeGateway;
    /** Lets time pass until it orders, and answers. */
    answer: (result: OrderOutcome) => Promise<void>;
    pass: (ms: number) => Promise<void>;
    ended: () => string | QuorateError | undefined;
  } {
    const gateway = new FakeGateway();
    const clock = new FakeClock();
    const client = new GroupClient({ gateway, proposer: "test", clock });
    const log = new LogHandle({ client, name: "fake", mechanism: "raft", kinds: {}, isMember: false });
    let ended: string | QuorateError | undefined;
    log.transferLeadership(to, { timeoutMs: 3000 }).then(
      (leader) => (ended = leader),
      (error: unknown) => (ended = error instanceof QuorateError ? error : undefined),
    );
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 10) {
        clock.advance(10);
        await settle();
      }
    };
    const answer = async (result: OrderOutcome): Promise<void> => {
      while (gateway.orders.length === 0) await pass(10);
      gateway.orders.shift()?.done(result);
    };
    return { gateway, answer, pass, ended: () => ended };
  }

  const code = (ended: string | QuorateError | undefined): unknown =>
    ended instanceof QuorateError ? [ended.code, ended.outcome] : ended;

  test("it is over once another leads, and not before", async () => {
    const { gateway, answer, pass, ended } = asking("b");
    await answer({ kind: "accepted" });
    await answer({ kind: "busy", because: "transfer" });
    expect(ended()).toBeUndefined();
    gateway.setStatus({ role: "follower", noLeader: true, term: 2 });
    await pass(100);
    expect(ended()).toBeUndefined();
    gateway.setStatus({ leader: "b" });
    await pass(500);
    expect(ended()).toBe("b");
  });

  test("another than the one that was named is not enough, and is asked in turn", async () => {
    const { gateway, answer, pass, ended } = asking("b");
    await answer({ kind: "accepted" });
    gateway.setStatus({ role: "follower", leader: "c", term: 2 });
    await answer({ kind: "accepted" });
    gateway.setStatus({ leader: "b", term: 3 });
    await pass(1000);
    expect(ended()).toBe("b");
  });

  test("whom to, where nobody is named: somebody else than before", async () => {
    const { gateway, answer, pass, ended } = asking();
    await answer({ kind: "accepted" });
    await answer({ kind: "busy", because: "transfer" });
    expect(ended()).toBeUndefined();
    gateway.setStatus({ role: "follower", leader: "c", term: 2 });
    await pass(500);
    expect(ended()).toBe("c");
  });

  test("a hand-over that was given up is begun again, until time is up: then it is unknown", async () => {
    const { gateway, answer, pass, ended } = asking("b");
    await answer({ kind: "accepted" });
    await answer({ kind: "accepted" });
    await pass(100);
    gateway.currentStatus = undefined;
    await pass(3000);
    expect(code(ended())).toEqual(["TIMEOUT", "unknown"]);
  });

  test("nobody is ready: a new leader may only have to hear from them, but not for long", async () => {
    const { answer, pass, ended } = asking();
    await answer({ kind: "notReady", agents: ["b" as never, "c" as never] });
    expect(ended()).toBeUndefined();
    for (let times = 0; times < 20 && ended() === undefined; times++) {
      await answer({ kind: "notReady", agents: ["b" as never, "c" as never] });
      await pass(0);
      await settle();
    }
    expect(ended()).toMatchObject({ code: "NOT_READY", message: "b, c: not ready to take over." });
  });

  test("a leader that stays busy is told as that", async () => {
    const { gateway, answer, pass, ended } = asking("b");
    await answer({ kind: "busy", because: "memberChange" });
    gateway.currentStatus = undefined;
    await pass(3000);
    expect(code(ended())).toEqual(["BUSY", "notDone"]);
  });

  test("nobody leads: the group has no quorum", async () => {
    const { gateway, pass, ended } = asking("b");
    gateway.setStatus({ role: "follower", noLeader: true });
    await pass(3100);
    expect(code(ended())).toEqual(["NO_QUORUM", "notDone"]);
  });

  test("an agent whose program is too old says so", async () => {
    const { answer, ended } = asking("b");
    await answer({ kind: "tooOld" });
    await settle();
    expect(code(ended())).toEqual(["PROTOCOL", "notDone"]);
  });
});
