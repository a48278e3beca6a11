/**
 * Odd arguments of the calls of a running group, as plain JavaScript can pass them: each gets one clear error of the
 * library at once, nothing is ignored in silence, and the group goes on as if nothing had been asked. All of it on the
 * leader and on a follower; at the end the log holds nothing but what was rightly proposed.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createConsensus, defineMachine, map, MemoryNetwork, type Log } from "../../src/index.ts";
import { limits } from "../../src/core/limits.ts";
import {
  expectRefusal,
  refusalOf,
  revoked,
  trapped,
  untyped,
  type OddRow,
  type Untyped,
} from "./support/plain-javascript.ts";

const number = {
  "~standard": {
    validate: (value: unknown) => {
      if (value === "raise") throw new TypeError("raised by the user's own schema");
      return typeof value === "number" ? { value } : { issues: [{ message: "not a number" }] };
    },
  },
};

const counter = defineMachine({
  version: 1,
  initial: () => ({ n: 0 }),
  commands: { add: (state, by: number) => (state.n += by) },
  queries: { value: (state) => state.n },
  schemas: { add: number },
});
const kinds = { map: map(), counter };
type Kinds = typeof kinds;
type Loose = Untyped<Log<Kinds>>;

const sides = ["the leader", "a follower"] as const;
type Side = (typeof sides)[number];
const logs = new Map<Side, Log<Kinds>>();
const network = new MemoryNetwork();

beforeAll(async () => {
  // So long that nobody but "a" ever leads, however long one of these tests keeps the loop.
  const electionTimeoutMs = [60_000, 120_000] as const;
  const a = createConsensus("raft", "a", ["b", "c"], { network, state: kinds, electionTimeoutMs });
  expect(await a.startElection()).toBe(true);
  logs.set("the leader", a);
  logs.set("a follower", a.peer("b"));
});

afterAll(async () => {
  await Promise.all([...logs.values()].map((log) => log.close()));
});

function logOf(side: Side): Log<Kinds> {
  const log = logs.get(side);
  if (log === undefined) throw new Error("there is no group");
  return log;
}

/** Every call that decides something, with these options. */
const commands: Record<string, (log: Loose, options: unknown) => unknown> = {
  propose: (log, options) => log.propose("odd", options),
  submit: (log, options) => (log.submit("odd", options) as { result(): unknown }).result(),
  appendEntries: (log, options) => log.appendEntries(["odd"], options),
  put: (log, options) => log.state.map.put("odd", 1, options),
  cas: (log, options) => log.state.map.cas("odd", 0, 1, options),
  delete: (log, options) => log.state.map.delete("odd", options),
  command: (log, options) => log.state.counter.add(1, options),
};

/** Every call that waits, but changes nothing. */
const questions: Record<string, (log: Loose, options: unknown) => unknown> = {
  startElection: (log, options) => log.startElection(options),
  ready: (log, options) => log.ready(options),
  learnDecision: (log, options) => log.learnDecision("odd", options),
  get: (log, options) => log.state.map.get("odd", options),
  size: (log, options) => log.state.map.size(options),
  range: (log, options) => log.state.map.range(options),
  query: (log, options) => log.state.counter.value(undefined, options),
};

const streams: Record<string, (log: Loose, options: unknown) => unknown> = {
  watch: (log, options) => log.watch(options),
  entries: (log, options) => log.entries(options),
  "map.watch": (log, options) => log.state.map.watch("odd", options),
};

type OddOptions = readonly (readonly [what: string, options: unknown, says: string | RegExp])[];

/** For everything that takes options. */
const oddOptions: OddOptions = [
  ["null", null, /options of .* are null/],
  ["an array", [], /options of .* are an array/],
  ["a text", "5", /options of .* are "5"/],
  ["a number", 5000, /options of .* are 5000/],
  ["not a number", Number.NaN, /options of .* are NaN/],
  ["a negative number", -1, /options of .* are -1/],
  ["a boolean", false, /options of .* are false/],
  ["a function", () => ({}), /options of .* are a function/],
  ["a promise of options", Promise.resolve({}), /options of .* are an object \(Promise\)/],
  ["a revoked proxy", revoked(), "options"],
  ["the signal itself", new AbortController().signal, /no option "/],
  ["the signal's controller", new AbortController(), /no option "abort"/],
  ["a misspelt name", { singal: undefined }, /no option "singal"/],
  ["an empty object for the signal", { signal: {} }, "signal is an object"],
  ["null for the signal", { signal: null }, "signal is null"],
  ["a text for the signal", { signal: "abort" }, 'signal is "abort"'],
  ["a controller for the signal", { signal: new AbortController() }, "signal is an object (AbortController)"],
  ["a signal that can't be read", trapped("signal"), "signal"],
  ["a signal that can't be asked", { signal: trapped("aborted") }, "signal"],
];

const oddWaits: OddOptions = [
  ["not a number of milliseconds", { timeoutMs: Number.NaN }, "timeoutMs is NaN"],
  ["a negative number of milliseconds", { timeoutMs: -1 }, "timeoutMs is -1"],
  ["no time", { timeoutMs: 0 }, "timeoutMs is 0"],
  ["endless time", { timeoutMs: Number.POSITIVE_INFINITY }, "timeoutMs is Infinity"],
  ["a text for the time", { timeoutMs: "5" }, 'timeoutMs is "5"'],
  ["null for the time", { timeoutMs: null }, "timeoutMs is null"],
  ["a bigint for the time", { timeoutMs: 5n }, "timeoutMs is 5n"],
  ["a symbol for the time", { timeoutMs: Symbol("5") }, "timeoutMs is a symbol"],
  ["a time that can't be read", trapped("timeoutMs"), "timeoutMs"],
  ["another library's name for the time", { timeout: 5 }, /no option "timeout"/],
];

const oddIds: OddOptions = [
  ["an empty request id", { requestId: "" }, 'requestId is ""'],
  ["null for the request id", { requestId: null }, "requestId is null"],
  ["a number for the request id", { requestId: 5 }, "requestId is 5"],
  ["a symbol for the request id", { requestId: Symbol("r") }, "requestId is a symbol"],
  ["an object for the request id", { requestId: {} }, "requestId is an object"],
  ["a request id that is too long", { requestId: "x".repeat(65) }, "65 bytes"],
  ["a request id of half a character", { requestId: "\ud800" }, "well-formed"],
  ["a request id that looks like one of ours", { requestId: "@mine" }, '"@mine"'],
  ["a request id that can't be read", trapped("requestId"), "requestId"],
];

const oddReads: OddOptions = [
  ["a number for the request id", { requestId: 5 }, "requestId is 5"],
  ["an unknown way to read", { at: "leader" }, 'at is "leader"'],
  ["null for the way to read", { at: null }, "at is null"],
];

const oddBeginnings: OddOptions = [
  ["a negative index", { from: -1 }, "from is -1"],
  ["an index that is no number", { from: Number.NaN }, "from is NaN"],
  ["an index between two", { from: 1.5 }, "from is 1.5"],
  ["an index without end", { from: Number.POSITIVE_INFINITY }, "from is Infinity"],
  ["a text for an index", { from: "1" }, 'from is "1"'],
  ["a bigint for an index", { from: 1n }, "from is 1n"],
  ["a symbol for an index", { from: Symbol("1") }, "from is a symbol"],
  ["null for an index", { from: null }, "from is null"],
  ["an index that can't be read", trapped("from"), "from"],
];

async function expectAllRefused(
  side: Side,
  calls: Record<string, (log: Loose, options: unknown) => unknown>,
  options: unknown,
  says: string | RegExp,
): Promise<void> {
  const log = untyped(logOf(side));
  for (const call of Object.values(calls)) await expectRefusal(() => call(log, options), "BAD_OPTION", says);
}

describe.each(sides)("options, on %s", (side) => {
  test.each(oddOptions)("every call refuses %s", async (_what, options, says) => {
    await expectAllRefused(side, { ...commands, ...questions, ...streams }, options, says);
  });

  test.each(oddWaits)("every call that waits refuses %s", async (_what, options, says) => {
    await expectAllRefused(side, { ...commands, ...questions }, options, says);
  });

  test.each(oddIds)("every call that decides refuses %s", async (_what, options, says) => {
    await expectAllRefused(side, commands, options, says);
  });

  test.each(oddReads)("every question to a state refuses %s", async (_what, options, says) => {
    const { get, size, range, query } = questions;
    await expectAllRefused(side, { get: get!, size: size!, range: range!, query: query! }, options, says);
  });

  test.each(oddBeginnings)("every stream of a log refuses %s", async (_what, options, says) => {
    const { entries } = streams;
    await expectAllRefused(side, { entries: entries!, watch: streams["map.watch"]! }, options, says);
  });

  test.each([
    ["timeout", "timeoutMs"],
    ["timeoutMS", "timeoutMs"],
    ["timeOutMs", "timeoutMs"],
    ["abortSignal", "signal"],
    ["requestID", "requestId"],
    ["request_id", "requestId"],
  ])("asks whether %s was meant to be %s", async (wrong, right) => {
    const log = untyped(logOf(side));
    const error = await refusalOf(() => log.propose("odd", { [wrong]: 5 }));
    expect(error.hint).toContain(`Did you mean ${right}?`);
  });

  test("an object of a class may hold the options, behind getters or not, and undefined is as good as absent", async () => {
    class Options {
      timeoutMs = 5000;
      get signal(): AbortSignal {
        return new AbortController().signal;
      }
    }
    class Unset {
      timeoutMs: number | undefined = undefined;
    }
    const log = logOf(side);
    expect(await log.state.map.get("none", new Options())).toBeUndefined();
    expect(await log.state.map.get("none", new Unset())).toBeUndefined();
    expect(await log.state.map.get("none", Object.create(null) as object)).toBeUndefined();
    const absent = { timeoutMs: undefined, signal: undefined, requestId: undefined };
    expect(await log.state.map.delete("none", absent)).toBe(false);
  });
});

/** What no value of a log or a map can be. */
const oddValues: readonly (readonly [
  what: string,
  value: unknown,
  code: "BAD_VALUE" | "TOO_LARGE",
  says: string,
])[] = [
  ["undefined", undefined, "BAD_VALUE", "undefined"],
  ["a function", () => 1, "BAD_VALUE", "function"],
  ["a symbol", Symbol("s"), "BAD_VALUE", "symbol"],
  ["a bigint", 1n, "BAD_VALUE", "bigint"],
  ["not a number", Number.NaN, "BAD_VALUE", "not finite"],
  ["a date", new Date(0), "BAD_VALUE", "class"],
  ["bytes", new Uint8Array(3), "BAD_VALUE", "class"],
  ["a promise of a value", Promise.resolve(1), "BAD_VALUE", "class"],
  ["a function deep within", { a: [{ b: () => 1 }] }, "BAD_VALUE", "function"],
  ["a hole", new Array(3), "BAD_VALUE", "undefined"],
  ["what contains itself", cyclic(), "BAD_VALUE", "itself"],
  ["a getter that throws", trapped("cents"), "BAD_VALUE", "raised by the user's own object"],
  ["a revoked proxy", revoked(), "BAD_VALUE", "revoked"],
  ["a text beyond the limit", "x".repeat(limits.entryBytesMax), "TOO_LARGE", "bytes"],
  ["a text beyond what a text can be as JSON", new Array(600).fill("x".repeat(1e6)), "TOO_LARGE", "JSON"],
];

function cyclic(): unknown {
  const value: unknown[] = [];
  value.push({ value });
  return value;
}

describe.each(sides)("values, on %s", (side) => {
  test.each(oddValues)("nothing decides %s", async (_what, value, code, says) => {
    const log = untyped(logOf(side));
    await expectRefusal(() => log.propose(value), code, says);
    await expectRefusal(() => (log.submit(value) as { result(): unknown }).result(), code, says);
    await expectRefusal(() => log.state.map.put("odd", value), code, says);
    await expectRefusal(() => log.state.map.cas("odd", 0, value), code, says);
    // A follower need not look at the size: it appends nothing anyhow.
    if (code === "BAD_VALUE") await expectRefusal(() => log.appendEntries(["odd", value]), code, says);
  });

  test("a decision of an odd value or with odd options is rejected, and has an id", async () => {
    const log = untyped(logOf(side));
    for (const given of [[undefined], ["odd", null], ["odd", { requestId: 5 }], ["odd", { timeout: 5 }]]) {
      const decision = log.submit(...given) as ReturnType<Log["submit"]>;
      expect(decision.id).toMatch(/./);
      const seen: string[] = [];
      for await (const state of decision.states()) seen.push(state);
      expect(seen).toEqual(["pending", "rejected"]);
    }
  });
});

const oddKeys: readonly (readonly [
  what: string,
  key: unknown,
  code: "BAD_VALUE" | "TOO_LARGE",
  says: string,
])[] = [
  ["undefined", undefined, "BAD_VALUE", "key is undefined"],
  ["null", null, "BAD_VALUE", "key is null"],
  ["a number", 5, "BAD_VALUE", "key is 5"],
  ["a symbol", Symbol("k"), "BAD_VALUE", "key is a symbol"],
  ["an object", {}, "BAD_VALUE", "key is an object"],
  ["a list", ["k"], "BAD_VALUE", "key is an array"],
  ["half a character", "\ud800", "BAD_VALUE", "well-formed"],
  ["a key beyond the limit", "k".repeat(limits.mapKeyBytesMax + 1), "TOO_LARGE", "bytes"],
  ["a key far beyond the limit", "k".repeat(1e7), "TOO_LARGE", "bytes"],
];

const oddCalls: readonly OddRow<Loose>[] = [
  ["appendEntries of nothing", (log) => log.appendEntries(), "BAD_VALUE", "undefined"],
  ["appendEntries of null", (log) => log.appendEntries(null), "BAD_VALUE", "null"],
  ["appendEntries of a text", (log) => log.appendEntries("x"), "BAD_VALUE", '"x"'],
  ["appendEntries of an object", (log) => log.appendEntries({ 0: "x", length: 1 }), "BAD_VALUE", "an object"],
  ["appendEntries of a set", (log) => log.appendEntries(new Set(["x"])), "BAD_VALUE", "Set"],
  ["appendEntries of a revoked proxy", (log) => log.appendEntries(revoked()), "BAD_VALUE", "entries"],
  ["appendEntries of a hole", (log) => log.appendEntries(new Array(1)), "BAD_VALUE", "undefined"],
  ["learnDecision of nothing", (log) => log.learnDecision(), "BAD_OPTION", "undefined"],
  ["learnDecision of an empty id", (log) => log.learnDecision(""), "BAD_OPTION", '""'],
  ["learnDecision of a number", (log) => log.learnDecision(5), "BAD_OPTION", "5"],
  ["learnDecision of a decision", (log) => log.learnDecision({ id: "x" }), "BAD_OPTION", "an object"],
  ["learnDecision of half a character", (log) => log.learnDecision("\ud800"), "BAD_OPTION", "well-formed"],
  ["learnDecision of a long id", (log) => log.learnDecision("x".repeat(1e6)), "BAD_OPTION", "bytes"],
  ["cas without a version", (log) => log.state.map.cas("k"), "BAD_OPTION", "undefined"],
  ["cas with a text for a version", (log) => log.state.map.cas("k", "0", 1), "BAD_OPTION", '"0"'],
  ["cas with a negative version", (log) => log.state.map.cas("k", -1, 1), "BAD_OPTION", "-1"],
  ["cas with no number", (log) => log.state.map.cas("k", Number.NaN, 1), "BAD_OPTION", "NaN"],
  ["cas with a symbol", (log) => log.state.map.cas("k", Symbol("v"), 1), "BAD_OPTION", "a symbol"],
  ["cas with what get gave", (log) => log.state.map.cas("k", { version: 1 }, 1), "BAD_OPTION", "an object"],
  ["range with a number first", (log) => log.state.map.range({ from: 5 }), "BAD_OPTION", "from is 5"],
  [
    "range with a symbol last",
    (log) => log.state.map.range({ to: Symbol("z") }),
    "BAD_OPTION",
    "to is a symbol",
  ],
  [
    "range with null for a prefix",
    (log) => log.state.map.range({ prefix: null }),
    "BAD_OPTION",
    "prefix is null",
  ],
  [
    "range with a pattern",
    (log) => log.state.map.range({ prefix: /^a/ }),
    "BAD_OPTION",
    "prefix is an object (RegExp)",
  ],
  ["range behind a number", (log) => log.state.map.range({ after: 5 }), "BAD_OPTION", "after is 5"],
  ["range of half a character", (log) => log.state.map.range({ from: "\ud800" }), "BAD_VALUE", "well-formed"],
  ["range of a huge key", (log) => log.state.map.range({ from: "k".repeat(1e6) }), "TOO_LARGE", "bytes"],
  ["range of no keys", (log) => log.state.map.range({ limit: 0 }), "BAD_OPTION", "limit is 0"],
  ["range of a text of keys", (log) => log.state.map.range({ limit: "5" }), "BAD_OPTION", 'limit is "5"'],
  [
    "range of too many keys",
    (log) => log.state.map.range({ limit: 1e9 }),
    "BAD_OPTION",
    "limit is 1000000000",
  ],
  ["range by two ways", (log) => log.state.map.range({ prefix: "a", from: "a" }), "BAD_OPTION", "prefix"],
  ["range with a misspelt bound", (log) => log.state.map.range({ prefx: "a" }), "BAD_OPTION", '"prefx"'],
  ["watch of a map without a prefix", (log) => log.state.map.watch(), "BAD_OPTION", "prefix is undefined"],
  [
    "watch of a map with options first",
    (log) => log.state.map.watch({ from: 1 }),
    "BAD_OPTION",
    "prefix is an object",
  ],
  ["watch of a map with a number", (log) => log.state.map.watch(5), "BAD_OPTION", "prefix is 5"],
  ["watch of half a character", (log) => log.state.map.watch("\ud800"), "BAD_VALUE", "well-formed"],
  [
    "an argument that is not as its schema says",
    (log) => log.state.counter.add("1"),
    "BAD_VALUE",
    "not a number",
  ],
  ["an argument that makes its schema throw", (log) => log.state.counter.add("raise"), "BAD_OPTION", '"add"'],
  ["an argument that is no plain data", (log) => log.state.counter.value(() => 1), "BAD_VALUE", "function"],
];

describe.each(sides)("keys and other arguments, on %s", (side) => {
  test.each(oddKeys)("no key is %s", async (_what, key, code, says) => {
    const { map: states } = untyped(logOf(side)).state;
    await expectRefusal(() => states.get(key), code, says);
    await expectRefusal(() => states.put(key, 1), code, says);
    await expectRefusal(() => states.delete(key), code, says);
    await expectRefusal(() => states.cas(key, 0, 1), code, says);
  });

  test.each(oddCalls)("%s", async (_what, act, code, says) => {
    await expectRefusal(() => act(untyped(logOf(side))), code, says);
  });

  test("an empty list has nothing to append: the answer is whether this agent leads", async () => {
    expect(await logOf(side).appendEntries([])).toBe(side === "the leader");
  });
});

test("after all of this the group decides, and its log holds nothing else", async () => {
  const [leader, follower] = [logOf("the leader"), logOf("a follower")];
  expect(await leader.propose("goes on")).toBe("goes on");
  expect(await follower.state.map.size()).toBe(0);
  expect(await follower.state.counter.value()).toBe(0);
  const seen: unknown[] = [];
  for await (const { value } of follower.entries()) {
    seen.push(value);
    if (value === "goes on") break;
  }
  expect(seen).toEqual(["goes on"]);
  expect(leader.status()).toMatchObject({ role: "leader", term: 1 });
});
