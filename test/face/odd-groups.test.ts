/**
 * Odd arguments of `createConsensus` and `defineMachine`, as plain JavaScript can pass them: each gets one clear error of
 * the library, nothing is ignored in silence, and nothing is left behind: no folder, no member, no changed group.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import * as library from "../../src/index.ts";
import { createConsensus, map, MemoryNetwork, type Group } from "../../src/index.ts";
import {
  expectRefusal,
  refusalOf,
  revoked,
  trapped,
  untyped,
  type OddRow,
} from "./support/plain-javascript.ts";

const javascript = untyped(library);
const opened: Group[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((group) => group.close()));
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "quorate-odd-"));
  folders.push(made);
  return made;
}

/** A three-member group with these options, in a network of its own. */
function withOptions(options: unknown): unknown {
  return javascript.createConsensus("raft", "a", ["b", "c"], options);
}

const named: readonly OddRow<unknown>[] = [
  ["nothing", () => javascript.createConsensus(), "UNKNOWN_MECHANISM", "undefined"],
  ["null", () => javascript.createConsensus(null), "UNKNOWN_MECHANISM", "null"],
  ["options first", () => javascript.createConsensus({ mecanism: "raft" }), "UNKNOWN_MECHANISM", "an object"],
  ["a bigint", () => javascript.createConsensus(1n, "a", []), "UNKNOWN_MECHANISM", "1n"],
  ["a symbol", () => javascript.createConsensus(Symbol("raft"), "a", []), "UNKNOWN_MECHANISM", "a symbol"],
  ["another case", () => javascript.createConsensus("Raft", "a", []), "UNKNOWN_MECHANISM", '"Raft"'],
  ["no id", () => javascript.createConsensus("raft"), "BAD_NAME", "undefined"],
  ["an id that is a number", () => javascript.createConsensus("raft", 5, []), "BAD_NAME", "5"],
  ["an id that is a bigint", () => javascript.createConsensus("raft", 5n, []), "BAD_NAME", "5n"],
  [
    "an id that is a symbol",
    () => javascript.createConsensus("raft", Symbol("a"), []),
    "BAD_NAME",
    "a symbol",
  ],
  ["an id in a list", () => javascript.createConsensus("raft", ["a"], []), "BAD_NAME", "an array"],
  ["an id in an object", () => javascript.createConsensus("raft", { id: "a" }, []), "BAD_NAME", "an object"],
  ["a very long id", () => javascript.createConsensus("raft", "a".repeat(1e6), []), "BAD_NAME", "aaa"],
  ["no peers", () => javascript.createConsensus("raft", "a"), "BAD_OPTION", "peers are undefined"],
  ["null for peers", () => javascript.createConsensus("raft", "a", null), "BAD_OPTION", "peers are null"],
  ["one name for peers", () => javascript.createConsensus("raft", "a", "b"), "BAD_OPTION", 'peers are "b"'],
  ["options for peers", () => javascript.createConsensus("raft", "a", {}), "BAD_OPTION", "an object"],
  ["a set of peers", () => javascript.createConsensus("raft", "a", new Set(["b"])), "BAD_OPTION", "Set"],
  [
    "a revoked proxy for peers",
    () => javascript.createConsensus("raft", "a", revoked()),
    "BAD_OPTION",
    "peers",
  ],
  ["null among the peers", () => javascript.createConsensus("raft", "a", [null]), "BAD_NAME", "null"],
  [
    "a hole among the peers",
    () => javascript.createConsensus("raft", "a", new Array(1)),
    "BAD_NAME",
    "undefined",
  ],
  ["a list among the peers", () => javascript.createConsensus("raft", "a", [["b"]]), "BAD_NAME", "an array"],
  [
    "an object among the peers",
    () => javascript.createConsensus("raft", "a", [{ id: "b" }]),
    "BAD_NAME",
    "an object",
  ],
  ["a number among the peers", () => javascript.createConsensus("raft", "1", [2]), "BAD_NAME", "2"],
];

const optioned: readonly (readonly [what: string, options: unknown, says: string | RegExp])[] = [
  ["null", null, "options of createConsensus are null"],
  ["an array", [], "options of createConsensus are an array"],
  ["a text", "x", 'options of createConsensus are "x"'],
  ["a number", 5, "options of createConsensus are 5"],
  ["a boolean", true, "options of createConsensus are true"],
  ["a function", () => ({}), "options of createConsensus are a function"],
  ["a promise of options", Promise.resolve({}), "Promise"],
  ["a map", new Map(), "Map"],
  ["a revoked proxy", revoked(), "createConsensus"],
  ["a getter that throws", trapped("state"), "state"],
  ["a misspelt name", { dataDirr: "x" }, /no option "dataDirr"/],
  ["a name of another function", { peers: [] }, /no option "peers"/],
  ["an unknown name without a value", { heartbeat: undefined }, /no option "heartbeat"/],
  ["a network that is none", { network: {} }, "network"],
  ["null for the network", { network: null }, "network is null"],
  ["null for the state", { state: null }, "state is null"],
  ["an array of states", { state: [map()] }, "state is an array"],
  ["a text for the state", { state: "map" }, 'state is "map"'],
  ["a map of states", { state: new Map([["x", map()]]) }, "Map"],
  ["a kind instead of states by name", { state: map() }, 'state "kind"'],
  ["a state whose getter throws", { state: trapped("x") }, "states"],
  ["a state that is null", { state: { x: null } }, 'state "x" is null'],
  ["a kind that was not called", { state: { x: map } }, 'state "x" is a function'],
  ["a kind that nobody knows", { state: { x: { kind: "mpa" } } }, 'state "x"'],
  ["a machine without queries", { state: { x: { version: 1, initial: () => 0, commands: {} } } }, "queries"],
  ["an empty state name", { state: { "": map() } }, '""'],
  ["a state name of half a character", { state: { "\ud800": map() } }, "name for a state"],
  ["a very long state name", { state: { ["x".repeat(1e6)]: map() } }, "name for a state"],
  ["an empty folder", { dataDir: "" }, "dataDir"],
  ["a number for the folder", { dataDir: 5 }, "dataDir is 5"],
  ["null for the folder", { dataDir: null }, "dataDir is null"],
  ["a folder's URL", { dataDir: pathToFileURL("/tmp/x") }, "URL"],
  ["a folder with a zero byte", { dataDir: "a\0b" }, "dataDir"],
  ["one number for two", { electionTimeoutMs: 150 }, "electionTimeoutMs is 150"],
  ["a text for two numbers", { electionTimeoutMs: "150,300" }, "electionTimeoutMs"],
  ["a list of one number", { electionTimeoutMs: [150] }, "electionTimeoutMs"],
  ["a list of three numbers", { electionTimeoutMs: [150, 300, 400] }, "electionTimeoutMs"],
  ["texts for numbers", { electionTimeoutMs: ["150", "300"] }, "electionTimeoutMs"],
  ["not a number", { electionTimeoutMs: [Number.NaN, 300] }, "NaN"],
  ["no end", { electionTimeoutMs: [150, Number.POSITIVE_INFINITY] }, "Infinity"],
  ["null for two numbers", { electionTimeoutMs: null }, "null"],
  ["a text for the heartbeat", { heartbeatMs: "50" }, "heartbeatMs"],
  ["no number for the heartbeat", { heartbeatMs: Number.NaN }, "heartbeatMs is NaN"],
  ["no heartbeat", { heartbeatMs: 0 }, "heartbeatMs is 0"],
  ["null for the heartbeat", { heartbeatMs: null }, "heartbeatMs is null"],
  ["a logger that is a function", { logger: () => {} }, "logger"],
  ["a logger without methods", { logger: { info: () => {} } }, "logger"],
  ["null for the logger", { logger: null }, "logger is null"],
];

describe("createConsensus", () => {
  test.each(named)("refuses %s", async (_what, act, code, says) => {
    await expectRefusal(() => act(undefined), code, says);
  });

  test.each(optioned)("refuses options that are or hold %s", async (_what, options, says) => {
    await expectRefusal(() => withOptions(options), "BAD_OPTION", says);
  });

  test("says how to call it where something else than a mechanism comes first", async () => {
    const error = await refusalOf(() => javascript.createConsensus({ mechanism: "raft" }));
    expect(error.hint).toContain('createConsensus("raft", ');
  });

  test.each([
    ["stat", "state"],
    ["States", "state"],
    ["dataDirectory", "dataDir"],
    ["heartbeat", "heartbeatMs"],
    ["electionTimeout", "electionTimeoutMs"],
    ["netwrok", "network"],
  ])("asks whether %s was meant to be %s", async (wrong, right) => {
    const error = await refusalOf(() => withOptions({ [wrong]: 1 }));
    expect(error.hint).toContain(`Did you mean ${right}?`);
  });

  test("names all options where none is near", async () => {
    const error = await refusalOf(() => withOptions({ colour: "red" }));
    expect(error.hint).not.toContain("Did you mean");
    expect(error.hint).toContain("dataDir, electionTimeoutMs, heartbeatMs, logger, network, state");
  });

  test("makes no folder and no member for what it refuses", async () => {
    const dataDir = join(folder(), "data");
    const network = new MemoryNetwork();
    for (const odd of [
      { state: { x: null } },
      { state: { x: { version: 1, initial: () => new Date(), commands: {}, queries: {} } } },
      { heartbeatMs: 0 },
      { logger: 5 },
      { colour: "red" },
    ]) {
      await expectRefusal(() => withOptions({ network, dataDir, ...odd }), "BAD_OPTION", /./);
    }
    expect(existsSync(dataDir)).toBe(false);
    opened.push(createConsensus("raft", "a", [], { network }));
  });

  test("a folder that is a file is refused with what is in the way", async () => {
    const dataDir = join(folder(), "data");
    writeFileSync(dataDir, "a file");
    await expectRefusal(() => withOptions({ network: new MemoryNetwork(), dataDir }), "DENIED", dataDir);
  });

  test("other options for a running group are refused rather than ignored", async () => {
    const dataDir = join(folder(), "data");
    const network = new MemoryNetwork();
    const logger = { info: () => {}, warn: () => {}, error: () => {} };
    const running = { network, dataDir, heartbeatMs: 40, electionTimeoutMs: [200, 400], logger } as const;
    const group = createConsensus("raft", "a", ["b", "c"], running);
    opened.push(group);
    for (const [name, odd] of Object.entries({
      dataDir: join(folder(), "other"),
      heartbeatMs: 50,
      electionTimeoutMs: [200, 401],
      logger: { ...logger },
    })) {
      await expectRefusal(() => withOptions({ network, [name]: odd }), "GROUP_MISMATCH", name);
    }
    expect(createConsensus("raft", "a", ["b", "c"], running)).toBe(group);
    expect(createConsensus("raft", "a", ["b", "c"], { network })).toBe(group);
    expect(await group.propose("goes on")).toBe("goes on");
  });

  test("a relative folder is the one that it was when the group was made", async () => {
    const before = process.cwd();
    const place = folder();
    process.chdir(place);
    try {
      const group = createConsensus("raft", "a", [], { network: new MemoryNetwork(), dataDir: "data" });
      opened.push(group);
      process.chdir(before);
      await group.ready();
    } finally {
      process.chdir(before);
    }
    expect(readdirSync(join(place, "data"))).toEqual(["a"]);
  });

  test("a logger is told who leads; one that throws does not harm the group", async () => {
    const notes: string[] = [];
    const logger = {
      info(note: string) {
        notes.push(note);
        throw new Error("the logger's own");
      },
      warn() {},
      error() {},
    };
    const group = createConsensus("raft", "a", [], { network: new MemoryNetwork(), logger });
    opened.push(group);
    expect(await group.propose("decided")).toBe("decided");
    expect(notes.join("\n")).toContain("a leads in term");
  });

  test.each([
    ["undefined", undefined],
    ["null", null],
    ["a number", 5],
    ["a bigint", 5n],
    ["a symbol", Symbol("b")],
    ["an object", {}],
  ])("peer() of %s is no member", async (_what, id) => {
    const group = createConsensus("raft", "a", ["b"], { network: new MemoryNetwork() });
    opened.push(group);
    await expectRefusal(() => untyped(group).peer(id), "BAD_OPTION", "no member");
  });

  test.each([
    ["no names", []],
    ["a name alone", ["a"]],
    ["no word on whether", ["a", "b"]],
    ["a text for whether", ["a", "b", "false"]],
    ["a number for a name", [1, "b", false]],
  ])("a memory network does not cut what it is given with %s", async (_what, given) => {
    const network = untyped(new MemoryNetwork());
    await expectRefusal(() => network.setConnected(...given), "BAD_OPTION", "setConnected");
  });
});

const whole = { version: 1, initial: () => ({ n: 0 }), commands: {}, queries: {} };

const machines: readonly (readonly [what: string, machine: unknown, says: string | RegExp])[] = [
  ["nothing", undefined, "undefined"],
  ["null", null, "null"],
  ["an array", [], "an array"],
  ["a function", () => whole, "a function"],
  ["a text", "counter", '"counter"'],
  ["an empty object", {}, "version"],
  ["a version that is a text", { ...whole, version: "1" }, "version"],
  ["no initial state", { ...whole, initial: undefined }, "initial"],
  ["an initial state that is not made by a function", { ...whole, initial: { n: 0 } }, "initial"],
  ["no commands", { ...whole, commands: undefined }, "commands"],
  ["null for commands", { ...whole, commands: null }, "commands"],
  ["a list of commands", { ...whole, commands: [() => 1] }, "commands"],
  ["a function for commands", { ...whole, commands: () => 1 }, "commands"],
  ["a command that is no function", { ...whole, commands: { add: 1 } }, '"add"'],
  ["a command that is async", { ...whole, commands: { add: async () => 1 } }, /"add".*async/],
  ["a command that is a generator", { ...whole, commands: { add: function* add() {} } }, /"add".*generator/],
  ["null for queries", { ...whole, queries: null }, "queries"],
  ["a query that is no function", { ...whole, queries: { value: "n" } }, '"value"'],
  ["one name twice", { ...whole, commands: { x: () => 1 }, queries: { x: () => 2 } }, '"x"'],
  ["a migration that is none", { ...whole, migrate: {} }, "migrate"],
  ["schemas that are none", { ...whole, schemas: [] }, "schemas"],
  ["a schema for nobody", { ...whole, schemas: { add: {} } }, '"add"'],
  ["a misspelt name", { ...whole, comands: {} }, 'no part "comands"'],
  ["a getter that throws", trapped("version"), "version"],
  ["a revoked proxy", revoked(), "machine"],
];

const states: readonly (readonly [what: string, initial: () => unknown, says: string])[] = [
  ["throws", () => BigInt("x"), "initial"],
  ["gives nothing", () => undefined, "initial"],
  ["gives a promise", () => Promise.resolve({}), "initial"],
  ["gives what JSON would change", () => ({ at: new Date() }), "initial"],
];

describe("defineMachine", () => {
  test.each(machines)("refuses %s", async (_what, machine, says) => {
    await expectRefusal(() => javascript.defineMachine(machine), "BAD_OPTION", says);
  });

  test.each(machines.slice(5))("what was not made by it is checked as well: %s", async (_what, x) => {
    await expectRefusal(() => withOptions({ state: { x } }), "BAD_OPTION", 'state "x"');
  });

  test.each(states)(
    "an initial state that %s is refused where the group is made",
    async (_what, initial, says) => {
      const x = javascript.defineMachine({ ...whole, initial });
      await expectRefusal(
        () => withOptions({ network: new MemoryNetwork(), state: { x } }),
        "BAD_OPTION",
        says,
      );
    },
  );

  test("asks whether comands was meant to be commands", async () => {
    const error = await refusalOf(() => javascript.defineMachine({ ...whole, comands: {} }));
    expect(error.hint).toContain("Did you mean commands?");
  });
});
