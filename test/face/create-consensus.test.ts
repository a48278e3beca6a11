import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  createConsensus,
  defineMachine,
  map,
  MemoryNetwork,
  QuorateError,
  type Options,
  type Group,
  type Log,
} from "../../src/index.ts";

const opened = new Set<Group>();
const folders: string[] = [];

afterEach(async () => {
  const closing = [...opened].map((group) => group.close());
  opened.clear();
  await Promise.all(closing);
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A group of members a, b, c in a network of its own, closed after the test. */
function abc(network: MemoryNetwork = new MemoryNetwork(), options: Options = {}): Log {
  return keep(createConsensus("raft", "a", ["b", "c"], { network, ...options }) as Log);
}

function keep<G extends Group>(group: G): G {
  opened.add(group);
  return group;
}

function errorOf(action: () => unknown): QuorateError {
  try {
    action();
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw error;
  }
  throw new Error("it did not throw, and should have");
}

async function rejectionOf(promise: Promise<unknown>): Promise<QuorateError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw error;
  }
  throw new Error("it resolved, and should not have");
}

/** Who leads, once anybody does. */
async function leaderOf(group: Log): Promise<Log> {
  await group.ready();
  for await (const { leader } of group.watch()) if (leader !== undefined) return keep(group.peer(leader));
  throw new Error("the watch ended");
}

describe("one name, one group", () => {
  test("the same call gives the same handle", () => {
    const network = new MemoryNetwork();
    expect(abc(network)).toBe(abc(network));
  });

  test("another member's id gives that member's handle of the same group, as peer() does", async () => {
    const network = new MemoryNetwork();
    const a = abc(network);
    const b = keep(createConsensus("raft", "b", ["c", "a"], { network }));
    expect(b).not.toBe(a);
    expect(a.peer("b")).toBe(b);
    expect(b.name).toBe(a.name);
    await a.ready();
    expect(b.status().self).toBe("b");
    expect(b.status().members.toSorted()).toEqual(["a", "b", "c"]);
  });

  test("an overlapping but different member set is GROUP_MISMATCH, never a second leader", () => {
    const network = new MemoryNetwork();
    abc(network);
    for (const peers of [["b"], ["b", "c", "d"], ["x", "c"]]) {
      const error = errorOf(() => createConsensus("raft", "a", peers, { network }));
      expect(error).toMatchObject({ code: "GROUP_MISMATCH", outcome: "notDone" });
      expect(error.message).toContain("a, b, c");
    }
    expect(errorOf(() => createConsensus("raft", "z", ["b"], { network })).code).toBe("GROUP_MISMATCH");
  });

  test("a member set that shares nobody is another group", () => {
    const network = new MemoryNetwork();
    const other = keep(createConsensus("raft", "x", ["y", "z"], { network }));
    expect(other.name).not.toBe(abc(network).name);
  });

  test("another network is another world", () => {
    expect(abc()).not.toBe(abc());
  });

  test("other states for a running group are GROUP_MISMATCH; none are those that it has", async () => {
    const network = new MemoryNetwork();
    const a = abc(network, { state: { config: map() } });
    const b = keep(createConsensus("raft", "b", ["a", "c"], { network }));
    expect(Object.keys(b.state)).toEqual(Object.keys(a.state));
    const error = errorOf(() =>
      createConsensus("raft", "a", ["b", "c"], { network, state: { other: map() } }),
    );
    expect(error.code).toBe("GROUP_MISMATCH");
    await a.ready();
  });

  test("peer() of somebody else is a clear error", () => {
    const error = errorOf(() => abc().peer("d"));
    expect(error).toMatchObject({ code: "BAD_OPTION" });
    expect(error.hint).toContain("a, b, c");
  });
});

describe("what is refused", () => {
  test("an unknown mechanism is a typed error that lists the known ones", () => {
    const error = errorOf(() => createConsensus("zab", "a", ["b"]));
    expect(error).toMatchObject({ code: "UNKNOWN_MECHANISM", outcome: "notDone" });
    expect(error.message).toContain('"zab"');
    expect(error.hint).toContain("raft");
  });

  test.each(["paxos", "pbft", "gossip", "voting", "attestation"])("%s is known to be planned", (name) => {
    const error = errorOf(() => createConsensus(name, "a", ["b"]));
    expect(error.code).toBe("UNKNOWN_MECHANISM");
    expect(error.message).toContain("planned");
  });

  test.each([
    ["a bad name", "a b", ["c"], "BAD_NAME"],
    ["an empty name", "", ["c"], "BAD_NAME"],
    ["a peer with a bad name", "a", ["-c"], "BAD_NAME"],
    ["a peer twice", "a", ["b", "b"], "BAD_OPTION"],
    ["itself among its peers", "a", ["b", "a"], "BAD_OPTION"],
    ["eight members", "a", ["b", "c", "d", "e", "f", "g", "h"], "BAD_OPTION"],
  ])("%s", (_, self, peers, code) => {
    const network = new MemoryNetwork();
    const error = errorOf(() => createConsensus("raft", self, peers, { network }));
    expect(error).toMatchObject({ code, outcome: "notDone" });
    expect(error.hint).not.toBe("");
  });

  test("peers that are no list, a network that is none, timings that can't work", () => {
    expect(errorOf(() => createConsensus("raft", "a", "b" as never)).code).toBe("BAD_OPTION");
    expect(errorOf(() => createConsensus("raft", "a", [], { network: {} as never })).code).toBe("BAD_OPTION");
    const network = new MemoryNetwork();
    const slow = errorOf(() => createConsensus("raft", "a", ["b"], { network, heartbeatMs: 1000 }));
    expect(slow.code).toBe("BAD_OPTION");
    // What was refused left nothing behind.
    keep(createConsensus("raft", "a", ["b"], { network }));
  });

  test("a state without a name, or of no kind", () => {
    const network = new MemoryNetwork();
    const unnamed = errorOf(() => createConsensus("raft", "a", [], { network, state: { "": map() } }));
    expect(unnamed.code).toBe("BAD_OPTION");
    const odd = errorOf(() => createConsensus("raft", "a", [], { network, state: { odd: {} as never } }));
    expect(odd.code).toBe("BAD_OPTION");
    for (const state of [{ x: 3 }, { x: null }, { x: "map" }] as never[])
      expect(errorOf(() => createConsensus("raft", "a", [], { state })).code).toBe("BAD_OPTION");
  });
});

describe("elections", () => {
  test("startElection campaigns at once, and the winner's entries are appended", async () => {
    const a = abc();
    expect(await a.startElection()).toBe(true);
    expect(a.status()).toMatchObject({ role: "leader", leader: "a" });
    expect(await a.appendEntries([{ type: "update" }, 2])).toBe(true);
  });

  test("a single member leads itself", async () => {
    const alone = keep(createConsensus("raft", "alone", [], { network: new MemoryNetwork() }));
    expect(await alone.startElection()).toBe(true);
    expect(await alone.propose("me")).toBe("me");
  });

  test("without a quorum it rejects NO_QUORUM, and never hangs", async () => {
    const a = abc();
    const b = keep(a.peer("b"));
    const c = keep(a.peer("c"));
    await Promise.all([b.close(), c.close()]);
    const error = await rejectionOf(a.startElection({ timeoutMs: 700 }));
    expect(error).toMatchObject({ code: "NO_QUORUM", outcome: "notDone" });
  });

  test("without a quorum a proposal rejects NO_QUORUM too", async () => {
    const a = abc();
    const b = keep(a.peer("b"));
    const c = keep(a.peer("c"));
    await Promise.all([b.close(), c.close()]);
    const error = await rejectionOf(a.propose(1, { timeoutMs: 700 }));
    expect(error.code).toBe("NO_QUORUM");
    expect(error.outcome).toBe("notDone");
  });
});

describe("appendEntries: all or none", () => {
  test("false where this agent does not lead, and nothing is appended", async () => {
    const a = abc();
    const leader = await leaderOf(a);
    const follower = keep(leader.peer(leader.status().self === "a" ? "b" : "a"));
    expect(await follower.appendEntries(["no"])).toBe(false);
    await leader.propose("end");
    const values: unknown[] = [];
    for await (const { value } of leader.entries()) {
      values.push(value);
      if (value === "end") break;
    }
    expect(values).toEqual(["end"]);
  });

  test("all entries of one call have one index, and are found under its request id", async () => {
    const leader = await leaderOf(abc());
    expect(await leader.appendEntries(["x", "y"], { requestId: "both" })).toBe(true);
    expect(await leader.appendEntries(["x", "y"], { requestId: "both" })).toBe(true);
    await leader.propose("end");
    const found: [unknown, number][] = [];
    for await (const { value, index, proposer } of leader.entries()) {
      if (value === "end") break;
      found.push([value, index]);
      expect(proposer).toBe(leader.status().self);
    }
    expect(found.map(([value]) => value)).toEqual(["x", "y"]);
    expect(found[0]?.[1]).toBe(found[1]?.[1]);
    expect(await leader.learnDecision("both")).toEqual(["x", "y"]);
  });

  test("pitfall 27: an unknown outcome carries the request id to ask again, and asking again appends nothing twice", async () => {
    const network = new MemoryNetwork();
    const leader = await leaderOf(abc(network));
    const [self = "", ...others] = [leader.status().self, ...leader.status().members].filter(
      (id, place, all) => all.indexOf(id) === place,
    );
    await leader.propose("first");
    for (const other of others) network.setConnected(self, other, false);
    const error = await rejectionOf(leader.appendEntries(["once"], { timeoutMs: 600 }));
    expect(error.outcome).toBe("unknown");
    expect(error.requestId).toBeDefined();
    for (const other of others) network.setConnected(self, other, true);
    await leader.ready();
    const now = await leaderOf(leader);
    const { requestId } = error;
    expect(await now.appendEntries(["once"], { requestId })).toBe(true);
    await now.propose("end");
    const values: unknown[] = [];
    for await (const { value } of now.entries()) {
      values.push(value);
      if (value === "end") break;
    }
    expect(values).toEqual(["first", "once", "end"]);
  });

  test("nothing to append: whether this agent leads", async () => {
    const leader = await leaderOf(abc());
    expect(await leader.appendEntries([])).toBe(true);
  });

  test("a value that is not plain data is BAD_VALUE", async () => {
    const leader = await leaderOf(abc());
    const error = await rejectionOf(leader.appendEntries([new Date() as never]));
    expect(error).toMatchObject({ code: "BAD_VALUE", outcome: "notDone" });
  });
});

describe("proposals and their ids", () => {
  test("every member's proposals are decided, by whichever it is asked", async () => {
    const a = abc();
    const values = await Promise.all(["a", "b", "c"].map((id) => keep(a.peer(id)).propose({ by: id })));
    expect(values).toEqual([{ by: "a" }, { by: "b" }, { by: "c" }]);
  });

  test("a thousand at once are decided once each", async () => {
    const a = abc();
    const values = Array.from({ length: 1000 }, (_, number) => number);
    expect(await Promise.all(values.map((value) => a.propose(value)))).toEqual(values);
    const seen: unknown[] = [];
    for await (const { value } of keep(a.peer("b")).entries()) {
      seen.push(value);
      if (seen.length === 1000) break;
    }
    expect(seen).toEqual(values);
  });

  test("a decision is learned by its id from any member; an unknown id is undefined", async () => {
    const a = abc();
    const decision = a.submit({ pay: 5 });
    await decision.result();
    expect(await keep(a.peer("c")).learnDecision(decision.id)).toEqual({ pay: 5 });
    expect(await a.learnDecision("never")).toBeUndefined();
  });

  test("the same request id with the same value is decided once; with another value it is REJECTED", async () => {
    const a = abc();
    await a.propose("v", { requestId: "r" });
    expect(await keep(a.peer("b")).propose("v", { requestId: "r" })).toBe("v");
    expect(await rejectionOf(a.propose("w", { requestId: "r" }))).toMatchObject({ code: "REJECTED" });
  });
});

describe("states", () => {
  test("a map: put, get, delete, compare and set, range, size", async () => {
    const a = createConsensus("raft", "a", ["b", "c"], {
      network: new MemoryNetwork(),
      state: { config: map<{ n: number } | string>() },
    });
    keep(a);
    const { config } = a.state;
    const version = await config.put("k/1", { n: 1 });
    expect(await config.get("k/1")).toEqual({ value: { n: 1 }, version });
    expect(await config.get("none")).toBeUndefined();
    expect(await config.cas("k/1", version + 1, "lost")).toEqual({
      kind: "conflict",
      version,
      value: { n: 1 },
    });
    expect(await config.cas("k/2", 0, "new")).toMatchObject({ kind: "swapped" });
    expect(await config.cas("k/3", 7, "x")).toEqual({ kind: "conflict", version: 0 });
    const page = await config.range({ prefix: "k/", limit: 1 });
    expect(page).toEqual({ entries: [{ key: "k/1", value: { n: 1 }, version }], more: true });
    expect((await config.range({ prefix: "k/", after: "k/1" })).entries.map(({ key }) => key)).toEqual([
      "k/2",
    ]);
    expect((await config.range({ from: "k/2", to: "l" })).entries).toHaveLength(1);
    expect(await config.size()).toBe(2);
    expect(await config.delete("k/1")).toBe(true);
    expect(await config.delete("k/1")).toBe(false);
    expect(await config.size({ at: "local" })).toBe(1);
  });

  test("a read at another member sees what was acknowledged before it", async () => {
    const options = { network: new MemoryNetwork(), state: { config: map<number>() } };
    const a = keep(createConsensus("raft", "a", ["b", "c"], options));
    for (let round = 0; round < 20; round++) {
      await a.state.config.put("n", round);
      expect((await keep(a.peer(round % 2 === 0 ? "b" : "c")).state.config.get("n"))?.value).toBe(round);
    }
  });

  test("a watch gives every change in order, from now on or from an index", async () => {
    const options = { network: new MemoryNetwork(), state: { config: map<number>() } };
    const a = keep(createConsensus("raft", "a", ["b", "c"], options));
    const first = await a.state.config.put("x/1", 1);
    const fromNow = a.state.config.watch("x/");
    await a.state.config.put("y", 0);
    await a.state.config.put("x/2", 2);
    await a.state.config.delete("x/1");
    const collect = async (changes: AsyncIterable<object>, count: number): Promise<object[]> => {
      const found: object[] = [];
      for await (const change of changes) {
        found.push(change);
        if (found.length === count) break;
      }
      return found;
    };
    expect(await collect(fromNow, 2)).toMatchObject([{ key: "x/2", value: 2 }, { key: "x/1" }]);
    expect(await collect(a.state.config.watch("x/", { from: first }), 3)).toMatchObject([
      { index: first, key: "x/1", value: 1 },
      { key: "x/2", value: 2 },
      { key: "x/1" },
    ]);
  });

  test("a machine of one's own: commands once, queries, and a refusal that changes nothing", async () => {
    const account = defineMachine({
      version: 1,
      initial: () => ({ cents: 0 }),
      commands: {
        add: (state, cents: number) => {
          state.cents += cents;
          if (state.cents < 0) throw new Error("no credit");
          return state.cents;
        },
      },
      queries: { balance: (state) => state.cents },
    });
    const options = { network: new MemoryNetwork(), state: { account } };
    const a = keep(createConsensus("raft", "a", ["b", "c"], options));
    expect(await a.state.account.add(5)).toBe(5);
    expect(await rejectionOf(a.state.account.add(-9))).toMatchObject({
      code: "REJECTED",
      message: "no credit",
    });
    expect(await keep(a.peer("b")).state.account.balance()).toBe(5);
    expect(await a.state.account.balance(undefined, { at: "local" })).toBe(5);
  });
});

describe("closing", () => {
  test("closing a handle stops that member; the others go on, and it can come back from its journal", async () => {
    const a = abc(new MemoryNetwork(), { state: { config: map() } });
    const b = keep(a.peer("b"));
    await a.propose("before");
    await b.close();
    expect(await a.propose("meanwhile")).toBe("meanwhile");
    const again = keep(a.peer("b"));
    expect(again).not.toBe(b);
    const values: unknown[] = [];
    for await (const { value } of again.entries()) {
      values.push(value);
      if (values.length === 2) break;
    }
    expect(values).toEqual(["before", "meanwhile"]);
  });

  test("close is idempotent; later calls reject CLOSED", async () => {
    const a = abc(new MemoryNetwork(), { state: { config: map() } });
    await a.ready();
    await Promise.all([a.close(), a.close()]);
    await a.close();
    for (const call of [
      a.propose(1),
      a.submit(1).result(),
      a.startElection(),
      a.appendEntries([1]),
      a.ready(),
      a.learnDecision("x"),
    ]) {
      expect(await rejectionOf(call)).toMatchObject({ code: "CLOSED", outcome: "notDone" });
    }
    const reading = a.entries()[Symbol.asyncIterator]();
    expect(await rejectionOf(reading.next())).toMatchObject({ code: "CLOSED" });
    expect(errorOf(() => a.peer("b")).code).toBe("CLOSED");
    expect(a.status().members).toHaveLength(3);
  });

  test("after the last handle that was given out, the names are free", async () => {
    const network = new MemoryNetwork();
    const a = abc(network);
    const b = keep(a.peer("b"));
    await a.propose("old");
    await a.close();
    expect(errorOf(() => createConsensus("raft", "a", ["x"], { network })).code).toBe("GROUP_MISMATCH");
    await b.close();
    const other = keep(createConsensus("raft", "a", ["x"], { network }));
    await other.propose("new");
    for await (const { value } of other.entries()) {
      expect(value).toBe("new");
      break;
    }
  });

  test("a stream that waits ends with CLOSED", async () => {
    const a = abc();
    await a.ready();
    const next = rejectionOf(a.entries({ from: 1000 })[Symbol.asyncIterator]().next());
    await a.close();
    expect(await next).toMatchObject({ code: "CLOSED" });
  });

  test("`await using` closes", async () => {
    const network = new MemoryNetwork();
    {
      await using alone = createConsensus("raft", "a", [], { network });
      await alone.propose(1);
    }
    keep(createConsensus("raft", "a", ["b"], { network }));
  });
});

describe("dataDir", () => {
  const folder = (): string => {
    const made = mkdtempSync(join(tmpdir(), "quorate-face-"));
    folders.push(made);
    return made;
  };

  test("each member keeps its journal in a folder of its own, and a later group goes on from there", async () => {
    const dataDir = folder();
    const options = { dataDir, state: { config: map<string>() } };
    const first = createConsensus("raft", "a", ["b", "c"], { network: new MemoryNetwork(), ...options });
    await first.state.config.put("k", "kept");
    await first.propose("decided", { requestId: "d-1" });
    await first.close();
    expect(readdirSync(dataDir).toSorted()).toEqual(["a", "b", "c"]);
    const second = createConsensus("raft", "b", ["a", "c"], { network: new MemoryNetwork(), ...options });
    keep(second);
    expect((await second.state.config.get("k"))?.value).toBe("kept");
    expect(await second.learnDecision("d-1")).toBe("decided");
  });

  test("a folder in use by another group rejects DATA_LOCKED", async () => {
    const dataDir = folder();
    const first = keep(createConsensus("raft", "a", [], { network: new MemoryNetwork(), dataDir }));
    await first.propose(1);
    const second = keep(createConsensus("raft", "a", [], { network: new MemoryNetwork(), dataDir }));
    expect(await rejectionOf(second.propose(2))).toMatchObject({ code: "DATA_LOCKED", outcome: "notDone" });
  });

  test("closed before it was open: calls reject CLOSED, and the folders are free at once", async () => {
    const dataDir = folder();
    const network = new MemoryNetwork();
    const first = createConsensus("raft", "a", ["b"], { network, dataDir });
    const call = rejectionOf(first.propose(1));
    const stream = rejectionOf(first.entries()[Symbol.asyncIterator]().next());
    await first.close();
    expect(await call).toMatchObject({ code: "CLOSED", outcome: "notDone" });
    expect(await stream).toMatchObject({ code: "CLOSED" });
    const second = keep(createConsensus("raft", "a", ["b"], { network, dataDir }));
    expect(await second.propose(2)).toBe(2);
  });

  test("a member whose folder is gone must not come back with an empty memory", async () => {
    const dataDir = folder();
    const first = createConsensus("raft", "a", ["b", "c"], { network: new MemoryNetwork(), dataDir });
    await first.propose(1);
    await first.close();
    rmSync(join(dataDir, "b"), { recursive: true });
    const error = errorOf(() =>
      createConsensus("raft", "a", ["b", "c"], { network: new MemoryNetwork(), dataDir }),
    );
    expect(error.code).toBe("DATA_MISSING");
    expect(error.message).toContain("b");
    expect(existsSync(join(dataDir, "b"))).toBe(false);
  });
});
