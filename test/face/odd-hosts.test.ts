/**
 * Odd arguments of `Agent` and `connect`, and of the hosts that they give, as plain JavaScript can pass them: each gets
 * one clear error of the library, nothing is ignored in silence, nothing stays open, and a running agent goes on.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as library from "../../src/index.ts";
import { Agent, connect, map, type Host, type RunningAgent } from "../../src/index.ts";
import {
  expectRefusal,
  refusalOf,
  revoked,
  trapped,
  untyped,
  type OddRow,
} from "./support/plain-javascript.ts";

const javascript = untyped(library);
const place = mkdtempSync(join(tmpdir(), "quorate-odd-hosts-"));
const dataDir = join(place, "made");
const hosts: Host[] = [];

beforeAll(() => {
  Agent.init({ id: "a", dataDir });
});

afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.close()));
});

afterAll(() => {
  rmSync(place, { recursive: true, force: true });
});

type OddOptions = readonly (readonly [what: string, options: unknown, says: string | RegExp])[];

/** For every function that takes one object of options. */
const oddObjects: OddOptions = [
  ["null", null, /options of .* are null/],
  ["an array", [], /options of .* are an array/],
  ["a text", "127.0.0.1:7400", /options of .* are "127/],
  ["a number", 7400, /options of .* are 7400/],
  ["a function", () => ({}), /options of .* are a function/],
  ["a promise of options", Promise.resolve({}), /options of .* are an object \(Promise\)/],
  ["a revoked proxy", revoked(), "options"],
  ["an unknown name", { colour: "red" }, /no option "colour"/],
];

describe.each([
  ["Agent.init", (options: unknown) => javascript.Agent.init(options)],
  ["Agent.start", (options: unknown) => javascript.Agent.start(options)],
  ["connect", (options: unknown) => javascript.connect(options)],
])("%s", (name, act) => {
  test.each(oddObjects)("refuses options that are or hold %s", async (_what, options, says) => {
    await expectRefusal(() => act(options), "BAD_OPTION", says);
    const error = await refusalOf(() => act(options));
    expect(error.message).toContain(name);
  });
});

/** For whatever has an agent's identity. */
const oddIdentities: readonly (readonly [
  what: string,
  given: object,
  code: "BAD_NAME" | "BAD_OPTION",
  says: string,
])[] = [
  ["no id", { id: undefined }, "BAD_NAME", "undefined is not a name"],
  ["a number for the id", { id: 5 }, "BAD_NAME", "5 is not a name"],
  ["a path for the id", { id: "../a" }, "BAD_NAME", '"../a"'],
  ["an id that can't be read", trapped("id"), "BAD_OPTION", "id"],
  ["no folder", { dataDir: undefined }, "BAD_OPTION", "dataDir is undefined"],
  ["an empty folder", { dataDir: "" }, "BAD_OPTION", 'dataDir is ""'],
  ["a folder's URL", { dataDir: pathToFileURL(dataDir) }, "BAD_OPTION", "URL"],
  ["a folder with a zero byte", { dataDir: "a\0b" }, "BAD_OPTION", "dataDir"],
  ["a text that is no cluster", { cluster: "main" }, "BAD_OPTION", 'cluster is "main"'],
  ["bytes for the cluster", { cluster: new Uint8Array(16) }, "BAD_OPTION", "cluster is an object"],
  ["null for the cluster", { cluster: null }, "BAD_OPTION", "cluster is null"],
];

test.each(oddIdentities)("Agent.init and Agent.start refuse %s", async (_what, given, code, says) => {
  const whole = { id: "a", dataDir };
  const odd = Object.create(null, { ...descriptors(whole), ...descriptors(given) }) as object;
  await expectRefusal(() => javascript.Agent.init(odd), code, says);
  await expectRefusal(() => javascript.Agent.start(odd), code, says);
});

/** Also of what throws when it is read. */
function descriptors(object: object): PropertyDescriptorMap {
  return Object.getOwnPropertyDescriptors(object);
}

/** A list of peers that is this one. */
function peers(...list: unknown[]): { peers: unknown[] } {
  return { peers: list };
}

const b = { id: "b", address: "127.0.0.1:7401" };

const oddStarts: readonly (readonly [
  what: string,
  given: object,
  code: library.Code,
  says: string | RegExp,
])[] = [
  ["a port alone", { listen: 7400 }, "BAD_OPTION", "listen is 7400"],
  ["null for the address", { listen: null }, "BAD_OPTION", "listen is null"],
  ["an empty address", { listen: "" }, "BAD_OPTION", '""'],
  ["an address without a port", { listen: "127.0.0.1" }, "BAD_OPTION", '"127.0.0.1"'],
  ["a port that is none", { listen: "127.0.0.1:99999" }, "BAD_OPTION", "99999"],
  ["a URL for the address", { listen: "tcp://127.0.0.1:7400" }, "BAD_OPTION", "tcp"],
  ["an address beyond this machine", { listen: "0.0.0.0:7400" }, "DENIED", "0.0.0.0"],
  ["null for the peers", { peers: null }, "BAD_OPTION", "peers are null"],
  ["an object of peers", { peers: { b: "127.0.0.1:7401" } }, "BAD_OPTION", "peers are an object"],
  ["a text for the peers", { peers: "127.0.0.1:7401" }, "BAD_OPTION", 'peers are "127'],
  ["an address for a peer", peers("127.0.0.1:7401"), "BAD_OPTION", /peer .* "127/],
  ["null for a peer", peers(null), "BAD_OPTION", "null"],
  ["a pair for a peer", peers(["b", "127.0.0.1:7401"]), "BAD_OPTION", "an array"],
  ["a peer without an id", peers({ address: b.address }), "BAD_NAME", "undefined is not a name"],
  ["a peer without an address", peers({ id: "b" }), "BAD_OPTION", "address of b is undefined"],
  ["a misspelt address", peers({ id: "b", adress: b.address }), "BAD_OPTION", '"adress"'],
  ["a number for a peer's address", peers({ id: "b", address: 7401 }), "BAD_OPTION", "7401"],
  ["a peer beyond this machine", peers({ id: "b", address: "10.0.0.2:7400" }), "DENIED", "10.0.0.2"],
  ["a peer at any free port", peers({ id: "b", address: "127.0.0.1:0" }), "BAD_OPTION", "port 0"],
  ["a peer twice", peers(b, { ...b, address: "127.0.0.1:7402" }), "BAD_OPTION", "named twice"],
  ["two peers at one address", peers(b, { ...b, id: "c" }), "BAD_OPTION", "b and c"],
  ["a peer at its own address", { listen: b.address, ...peers(b) }, "BAD_OPTION", "a and b"],
  ["a peer that can't be read", peers(trapped("id")), "BAD_OPTION", "id"],
  ["null for the addresses to join", { join: null }, "BAD_OPTION", "addresses to join are null"],
  ["one address to join, not a list", { join: b.address }, "BAD_OPTION", 'addresses to join are "127'],
  ["a peer to join", { join: [b] }, "BAD_OPTION", "addresses to join is an object"],
  ["an address to join that is none", { join: ["b"] }, "BAD_OPTION", '"b" is not host:port'],
  ["an address to join beyond this machine", { join: ["10.0.0.2:7400"] }, "DENIED", "10.0.0.2"],
  ["an address to join at any free port", { join: ["127.0.0.1:0"] }, "BAD_OPTION", "port 0"],
  ["a function for the logger", { logger: () => {} }, "BAD_OPTION", "logger is a function"],
  ["a logger without methods", { logger: {} }, "BAD_OPTION", "logger"],
  ["a text for onFatal", { onFatal: "exit" }, "BAD_OPTION", 'onFatal is "exit"'],
  ["null for onFatal", { onFatal: null }, "BAD_OPTION", "onFatal is null"],
  ["a version of the wire that there is not", { wireVersionMax: 3 }, "BAD_OPTION", "wireVersionMax is 3"],
  ["a version of the wire in words", { wireVersionMax: "1" }, "BAD_OPTION", "wireVersionMax"],
  ["time-outs upside down", { electionTimeoutMs: [300, 150] }, "BAD_OPTION", "electionTimeoutMs"],
  ["a text for the heartbeat", { heartbeatMs: "50" }, "BAD_OPTION", "heartbeatMs"],
  ["a priority above the limit", { electionPriority: 101 }, "BAD_OPTION", "electionPriority is 101"],
  ["half a priority", { electionPriority: 0.5 }, "BAD_OPTION", "electionPriority is 0.5"],
  ["a text for the priority", { electionPriority: "50" }, "BAD_OPTION", 'electionPriority is "50"'],
  ["a text for leases", { leaseReads: "yes" }, "BAD_OPTION", 'leaseReads is "yes"'],
  [
    "leases without check-quorum, which is always on",
    { leaseReads: true, checkQuorum: false },
    "BAD_OPTION",
    '"checkQuorum"',
  ],
  ["the name of another function", { agents: ["127.0.0.1:7401"] }, "BAD_OPTION", '"agents"'],
];

describe("Agent.start", () => {
  test.each(oddStarts)("refuses %s", async (_what, given, code, says) => {
    const whole = { id: "a", dataDir, listen: "127.0.0.1:0" };
    await expectRefusal(() => javascript.Agent.start({ ...whole, ...given }), code, says);
  });

  test("nothing of that has touched the folder or kept it locked", async () => {
    expect(readdirSync(dataDir).toSorted()).toEqual(["identity.json", "journal", "key.pem", "snapshots"]);
    const agent = await Agent.start({ id: "a", dataDir, listen: "127.0.0.1:0" });
    await agent.close();
  });

  test("a path that is a file is refused by both", async () => {
    const file = join(place, "file");
    writeFileSync(file, "a file");
    await expectRefusal(() => javascript.Agent.init({ id: "a", dataDir: file }), "DATA_EXISTS", file);
    await expectRefusal(() => javascript.Agent.start({ id: "a", dataDir: file }), "DATA_MISSING", file);
  });

  test("a relative folder is the one that it was at the start", async () => {
    const before = process.cwd();
    process.chdir(place);
    try {
      Agent.init({ id: "r", dataDir: "relative" });
      const agent = await Agent.start({ id: "r", dataDir: "relative", listen: "127.0.0.1:0" });
      hosts.push(agent);
      process.chdir(before);
      const main = agent.group("main", { mechanism: "raft", members: ["r"] });
      expect(await main.propose("kept")).toBe("kept");
      await agent.close();
    } finally {
      process.chdir(before);
    }
    expect(readdirSync(join(place, "relative"))).toContain("journal");
    expect(existsSync("relative")).toBe(false);
  });

  test("asks whether peer was meant to be peers", async () => {
    const error = await refusalOf(() => javascript.Agent.start({ id: "a", dataDir, peer: [] }));
    expect(error.hint).toContain("Did you mean peers?");
  });

  test("a logger that throws does not harm the agent", async () => {
    const raise = (): never => {
      throw new Error("the logger's own");
    };
    const logger = { info: raise, warn: raise, error: raise };
    const agent = await Agent.start({ id: "a", dataDir, listen: "127.0.0.1:0", logger });
    hosts.push(agent);
    const main = agent.group("main", { mechanism: "raft", members: ["a"] });
    expect(await main.propose("decided")).toBe("decided");
  });
});

const oddConnects: readonly (readonly [
  what: string,
  given: object,
  code: library.Code,
  says: string | RegExp,
])[] = [
  ["one address for a list", { agents: "127.0.0.1:7400" }, "BAD_OPTION", 'agents are "127'],
  ["null for the agents", { agents: null }, "BAD_OPTION", "agents are null"],
  ["an object for the agents", { agents: { a: "127.0.0.1:7400" } }, "BAD_OPTION", "agents are an object"],
  ["no agents", { agents: [] }, "BAD_OPTION", "no agent"],
  ["a port for an agent", { agents: [7400] }, "BAD_OPTION", "7400"],
  ["null for an agent", { agents: [null] }, "BAD_OPTION", "null"],
  ["an empty agent", { agents: [""] }, "BAD_OPTION", '""'],
  ["a name for an agent", { agents: ["agent_1"] }, "BAD_OPTION", '"agent_1"'],
  ["an object for an agent", { agents: [{ id: "a" }] }, "BAD_OPTION", "an object"],
  ["a URL for an agent", { agents: ["http://127.0.0.1:7400"] }, "BAD_OPTION", '"http:'],
  ["any free port", { agents: ["127.0.0.1:0"] }, "BAD_OPTION", "port 0"],
  ["an agent beyond this machine", { agents: ["10.0.0.1:7400"] }, "DENIED", "10.0.0.1"],
  ["agents that can't be read", trapped("agents"), "BAD_OPTION", "agents"],
  ["a misspelt list", { endpionts: ["127.0.0.1:7400"] }, "BAD_OPTION", '"endpionts"'],
  ["a token, which this version does not have", { token: "secret" }, "BAD_OPTION", '"token"'],
  ["a number for the name", { name: 5 }, "BAD_NAME", "5 is not a name"],
  ["an empty name", { name: "" }, "BAD_NAME", '""'],
  ["null for the name", { name: null }, "BAD_NAME", "null"],
  ["a name that is too long", { name: "n".repeat(65) }, "BAD_NAME", "nnn"],
  ["a name of half a character", { name: "\ud800" }, "BAD_NAME", "is not a name"],
  ["a text for pin", { pin: "no" }, "BAD_OPTION", 'pin is "no"'],
  ["null for pin", { pin: null }, "BAD_OPTION", "pin is null"],
  ["a text for the time", { timeoutMs: "5" }, "BAD_OPTION", 'timeoutMs is "5"'],
  ["endless time", { timeoutMs: Number.POSITIVE_INFINITY }, "BAD_OPTION", "timeoutMs is Infinity"],
  ["a signal that is none", { signal: {} }, "BAD_OPTION", "signal is an object"],
];

/** Accepts, and says nothing. */
async function silentServer(): Promise<{ server: Server; address: string }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("it listens nowhere");
  return { server, address: `127.0.0.1:${address.port}` };
}

describe("connect", () => {
  test.each(oddConnects)("refuses %s", async (_what, given, code, says) => {
    // Were the odd one ignored, somebody who does not answer would be asked.
    const odd = Object.create(null, {
      ...descriptors({ agents: ["127.0.0.1:1"] }),
      ...descriptors(given),
    }) as object;
    await expectRefusal(() => javascript.connect(odd), code, says);
  });

  test("its signal ends it while it waits, too", async () => {
    const { server, address } = await silentServer();
    const controller = new AbortController();
    const asked = new Promise<void>((resolve) => server.once("connection", () => resolve()));
    const gone = asked.then(async () => new Promise<void>((resolve) => server.close(() => resolve())));
    const connecting = refusalOf(() => connect({ agents: [address], signal: controller.signal }));
    await asked;
    controller.abort();
    expect(await connecting).toMatchObject({ code: "ABORTED", outcome: "notDone" });
    // The server has closed: so has the client's connection.
    await gone;
  });
});

const oddGroups: readonly OddRow<ReturnType<typeof untyped<Host>>>[] = [
  ["no name", (host) => host.group(undefined, { mechanism: "raft" }), "BAD_NAME", "undefined is not a name"],
  ["a number for a name", (host) => host.group(5, { mechanism: "raft" }), "BAD_NAME", "5 is not a name"],
  ["a name with a blank", (host) => host.group("a b", { mechanism: "raft" }), "BAD_NAME", '"a b"'],
  [
    "a symbol for a name",
    (host) => host.group(Symbol("main"), { mechanism: "raft" }),
    "BAD_NAME",
    "a symbol",
  ],
  ["options for a name", (host) => host.group({ mechanism: "raft" }), "BAD_NAME", "an object"],
  ["nothing but a name", (host) => host.group("main"), "BAD_OPTION", "are undefined"],
  ["null behind the name", (host) => host.group("main", null), "BAD_OPTION", "are null"],
  ["a mechanism behind the name", (host) => host.group("main", "raft"), "BAD_OPTION", 'are "raft"'],
  ["no mechanism", (host) => host.group("main", {}), "UNKNOWN_MECHANISM", "undefined"],
  ["a misspelt mechanism", (host) => host.group("main", { mecanism: "raft" }), "BAD_OPTION", '"mecanism"'],
  [
    "a planned mechanism",
    (host) => host.group("main", { mechanism: "pbft" }),
    "UNKNOWN_MECHANISM",
    "planned",
  ],
  [
    "a number of members",
    (host) => host.group("main", { mechanism: "raft", members: 3 }),
    "BAD_OPTION",
    "members are 3",
  ],
  [
    "one name for members",
    (host) => host.group("main", { mechanism: "raft", members: "a" }),
    "BAD_OPTION",
    'members are "a"',
  ],
  [
    "null for members",
    (host) => host.group("main", { mechanism: "raft", members: null }),
    "BAD_OPTION",
    "members are null",
  ],
  ["no member", (host) => host.group("main", { mechanism: "raft", members: [] }), "BAD_OPTION", "member"],
  [
    "a number for a member",
    (host) => host.group("main", { mechanism: "raft", members: ["a", 5] }),
    "BAD_NAME",
    "5 is not a name",
  ],
  [
    "a member twice",
    (host) => host.group("main", { mechanism: "raft", members: ["a", "a"] }),
    "BAD_OPTION",
    "twice",
  ],
  [
    "eight members",
    (host) => host.group("main", { mechanism: "raft", members: "abcdefgh".split("") }),
    "BAD_OPTION",
    "8 ",
  ],
  [
    "null for the state",
    (host) => host.group("main", { mechanism: "raft", state: null }),
    "BAD_OPTION",
    "state is null",
  ],
  [
    "a state that is none",
    (host) => host.group("main", { mechanism: "raft", state: { x: 1 } }),
    "BAD_OPTION",
    'state "x" is 1',
  ],
  [
    "a spec that can't be read",
    (host) => host.group("main", trapped("mechanism")),
    "BAD_OPTION",
    "mechanism",
  ],
];

describe("a host's group()", () => {
  async function both(): Promise<{ agent: RunningAgent; client: Host }> {
    const agent = await Agent.start({ id: "a", dataDir, listen: "127.0.0.1:0" });
    hosts.push(agent);
    const client = await connect({ agents: [agent.address] });
    hosts.push(client);
    return { agent, client };
  }

  test("refuses what can't be, on an agent and on a client, and both go on", async () => {
    const { agent, client } = await both();
    const main = agent.group("main", { mechanism: "raft", members: ["a"], state: { map: map<string>() } });
    for (const [, act, code, says] of oddGroups) {
      await expectRefusal(() => act(untyped<Host>(agent)), code, says);
      await expectRefusal(() => act(untyped(client)), code, says);
    }
    const same = client.group("main", { mechanism: "raft", state: { map: map<string>() } });
    await main.state.map.put("k", "v");
    expect((await same.state.map.get("k"))?.value).toBe("v");
  });

  test("other members than the group has are refused rather than ignored", async () => {
    const { agent } = await both();
    const spec = { mechanism: "raft", members: ["a"] } as const;
    const main = agent.group("main", spec);
    await expectRefusal(
      () => agent.group("main", { ...spec, members: ["a", "b"] }),
      "GROUP_MISMATCH",
      "main",
    );
    await main.ready();
    await expectRefusal(
      () => agent.group("main", { ...spec, members: ["a", "b"] }),
      "GROUP_MISMATCH",
      "main",
    );
    expect(await agent.group("main", spec).propose("goes on")).toBe("goes on");
  });
});
