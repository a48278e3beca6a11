import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { newClusterId } from "../../runtime/cluster-file.ts";
import { agentPlaces, likelyPlaces } from "../places.ts";
import {
  agentFoldersIn,
  createAgentFolder,
  createClusterFolder,
  isAgentFolder,
  moveToPorts,
  readAgentFolder,
  readClusterFolder,
  removeClusterFolder,
  requireSameAddresses,
} from "./cluster-folder.ts";

let base: string;
let folder: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "quorate-folder-"));
  folder = join(base, ".quorate");
});

afterEach(() => {
  rmSync(base, { recursive: true });
});

describe("the folder that up fills", () => {
  test("each agent has a data folder of its own, all know the same cluster, and no two listen on one port", async () => {
    const agents = await createClusterFolder(folder, 3, undefined);
    expect(agents.map((agent) => agent.id)).toEqual(["agent_1", "agent_2", "agent_3"]);
    expect(new Set(agents.map((agent) => agent.address)).size).toBe(3);
    const files = agents.map(({ dataFolder }) => readAgentFolder(dataFolder));
    expect(files.map((file) => file.id)).toEqual(["agent_1", "agent_2", "agent_3"]);
    for (const { file } of files) expect(file).toEqual(files[0]!.file);
    const keys = agents.map(({ dataFolder }) => readFileSync(join(dataFolder, "key.pem"), "utf8"));
    expect(new Set(keys).size).toBe(3);
    expect(readClusterFolder(folder)).toEqual(agents);
  });

  test("it is whole or not there: nothing half-made stays beside it", async () => {
    await createClusterFolder(folder, 2, 7400);
    expect(readdirSync(base)).toEqual([".quorate"]);
    expect(readdirSync(folder).toSorted()).toEqual(["agent_1", "agent_2"]);
  });

  test("ports can be chosen, and changed later, on all agents at once", async () => {
    const agents = await createClusterFolder(folder, 2, 7400);
    expect(agents.map((agent) => agent.address)).toEqual(["127.0.0.1:7400", "127.0.0.1:7401"]);
    moveToPorts(folder, 7500);
    const moved = readClusterFolder(folder) ?? [];
    expect(moved.map((agent) => agent.address)).toEqual(["127.0.0.1:7500", "127.0.0.1:7501"]);
    expect(readAgentFolder(join(folder, "agent_2")).file.agents[0]?.address).toBe("127.0.0.1:7500");
  });

  test("ten agents' folders come in the order of their numbers", async () => {
    for (const number of [10, 2, 1]) {
      // oxlint-disable-next-line no-await-in-loop -- three
      await createAgentFolder(join(folder, `agent_${number}`), `agent_${number}`, {
        cluster: newClusterId(),
        agents: [],
      });
    }
    expect(agentFoldersIn(folder).map((path) => path.split("_").at(-1))).toEqual(["1", "2", "10"]);
  });

  test("no folder, or an empty one, holds no cluster", () => {
    expect(readClusterFolder(folder)).toBeUndefined();
    mkdirSync(folder);
    expect(readClusterFolder(folder)).toBeUndefined();
  });

  test("a member whose folder is gone is missed, whichever it is, and not made again", async () => {
    const made = await createClusterFolder(folder, 4, 7400);
    rmSync(join(folder, "agent_1"), { recursive: true });
    rmSync(join(folder, "agent_3/identity.json"));
    writeFileSync(join(folder, "agent_2/cluster.json"), "nonsense");
    const found = readClusterFolder(folder) ?? [];
    expect(found.map(({ id, address }) => ({ id, address }))).toEqual(
      made.map(({ id, address }) => ({ id, address })),
    );
    expect(found.map(({ lost }) => lost?.code)).toEqual([
      "DATA_MISSING",
      "DATA_CORRUPT",
      "DATA_MISSING",
      undefined,
    ]);
    expect(existsSync(join(folder, "agent_1"))).toBe(false);
    // Nobody is left to say which agents there are.
    rmSync(join(folder, "agent_4/cluster.json"));
    expect(() => readClusterFolder(folder)).toThrow(/cluster\.json/);
  });

  test("a member that was away while the ports changed does not know them: ports once more for all", async () => {
    await createClusterFolder(folder, 3, 7400);
    renameSync(join(folder, "agent_2"), join(base, "away"));
    expect(moveToPorts(folder, 7500).map(({ address }) => address)).toEqual([
      "127.0.0.1:7500",
      "127.0.0.1:7501",
      "127.0.0.1:7502",
    ]);
    expect(existsSync(join(folder, "agent_2"))).toBe(false);
    renameSync(join(base, "away"), join(folder, "agent_2"));
    expect(() => requireSameAddresses(readClusterFolder(folder) ?? [])).toThrow(/other addresses/);
    requireSameAddresses(moveToPorts(folder, 7600));
    expect(readClusterFolder(folder)?.map(({ address }) => address)).toEqual([
      "127.0.0.1:7600",
      "127.0.0.1:7601",
      "127.0.0.1:7602",
    ]);
  });

  test("a member of another cluster is found out", async () => {
    await createClusterFolder(folder, 2, 7400);
    await createClusterFolder(join(base, "other"), 2, 7500);
    rmSync(join(folder, "agent_2"), { recursive: true });
    renameSync(join(base, "other/agent_2"), join(folder, "agent_2"));
    expect(() => readClusterFolder(folder)).toThrow(/another cluster/);
  });
});

describe("removing it", () => {
  test("agents, logs and the lock of an earlier up go; the name is free again", async () => {
    await createClusterFolder(folder, 2, 7400);
    writeFileSync(join(folder, "agent_1.log"), "");
    writeFileSync(join(folder, "owner.1"), "{}");
    // The socket of one that was killed.
    writeFileSync(join(folder, "lock-0a1b2c3d.sock"), "");
    removeClusterFolder(folder);
    expect(readdirSync(base)).toEqual([]);
    // Again does nothing.
    removeClusterFolder(folder);
  });

  test("with anything else in it, nothing is touched", async () => {
    await createClusterFolder(folder, 1, 7400);
    writeFileSync(join(folder, "notes.txt"), "mine");
    expect(() => removeClusterFolder(folder)).toThrow(/something else/);
    await expect(createClusterFolder(folder, 1, 7400)).rejects.toMatchObject({ code: "DATA_EXISTS" });
    expect(isAgentFolder(join(folder, "agent_1"))).toBe(true);
  });
});

describe("one agent's folder", () => {
  test("a second one is not made over it", async () => {
    const path = join(base, "a");
    const file = { cluster: newClusterId(), agents: [] };
    await createAgentFolder(path, "a", file);
    const key = readFileSync(join(path, "key.pem"), "utf8");
    await expect(createAgentFolder(path, "a", file)).rejects.toThrow(/already/);
    expect(readFileSync(join(path, "key.pem"), "utf8")).toBe(key);
  });

  test("an empty folder may be filled", async () => {
    const path = join(base, "a");
    mkdirSync(path);
    await createAgentFolder(path, "a", { cluster: newClusterId(), agents: [] });
    expect(isAgentFolder(path)).toBe(true);
  });
});

describe("which agents a command talks to", () => {
  test("those named, before those of a folder", async () => {
    await createClusterFolder(folder, 1, 7400);
    expect(
      agentPlaces({ data: folder, agent: ["127.0.0.1:1", "[::1]:2"] }).map((place) => place.target),
    ).toEqual(["127.0.0.1:1", "[::1]:2"]);
    expect(() => agentPlaces({ agent: ["nowhere"] })).toThrow(/host:port/);
  });

  test("all of a folder, or one by its own data folder; none of them runs", async () => {
    await createClusterFolder(folder, 2, 7400);
    const places = agentPlaces({ data: folder, agent: [] });
    expect(places.map(({ id, address, isLikely }) => [id, address, isLikely])).toEqual([
      ["agent_1", "127.0.0.1:7400", false],
      ["agent_2", "127.0.0.1:7401", false],
    ]);
    expect(agentPlaces({ data: join(folder, "agent_2"), agent: [] }).map((place) => place.id)).toEqual([
      "agent_2",
    ]);
    expect(() => likelyPlaces(places)).toThrow(/No agent is running/);
  });

  test("a folder without agents says how to make some", () => {
    expect(() => agentPlaces({ data: folder, agent: [] })).toThrow(/There are no agents in/);
  });
});
