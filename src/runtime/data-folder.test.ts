import { createPublicKey, verify } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { failure, temporaryFolder } from "../../test/support/runtime.ts";
import { QuorateError } from "../core/errors.ts";
import { agentId } from "../core/ids.ts";
import { newClusterId, readClusterFile, writeClusterFile } from "./cluster-file.ts";
import { createDataFolder, DataFolder, readIdentity, unusable } from "./data-folder.ts";
import { clusterIdText } from "./handshake.ts";

describe("a data folder", () => {
  test("is made whole: identity, journal, and a key that only its owner may read", () => {
    const path = join(temporaryFolder(), "deep", "agent_1");
    const made = createDataFolder(path, { agent: "agent_1" });
    expect(readIdentity(path)).toEqual(made);
    expect(readdirSync(path).toSorted()).toEqual(["identity.json", "journal", "key.pem", "snapshots"]);
    expect(statSync(join(path, "key.pem")).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, ".."))).toEqual(["agent_1"]);
  });

  test("two folders have different keys, clusters and journals", () => {
    const path = temporaryFolder();
    const one = createDataFolder(join(path, "1"), { agent: "a" });
    const other = createDataFolder(join(path, "2"), { agent: "a" });
    expect(one.publicKey).not.toEqual(other.publicKey);
    expect(one.journal).not.toEqual(other.journal);
    expect(one.cluster).not.toEqual(other.cluster);
    const same = createDataFolder(join(path, "3"), { agent: "b", cluster: one.cluster });
    expect(same.cluster).toEqual(one.cluster);
  });

  test("is never made over anything that is there", async () => {
    const path = temporaryFolder();
    createDataFolder(join(path, "a"), { agent: "a" });
    const before = readFileSync(join(path, "a", "identity.json"), "utf8");
    expect((await failure(() => createDataFolder(join(path, "a"), { agent: "b" }))).code).toBe("DATA_EXISTS");
    expect(readFileSync(join(path, "a", "identity.json"), "utf8")).toBe(before);
    mkdirSync(join(path, "full"));
    writeFileSync(join(path, "full", "precious"), "");
    expect((await failure(() => createDataFolder(join(path, "full"), { agent: "b" }))).code).toBe(
      "DATA_EXISTS",
    );
    expect(readdirSync(path).toSorted()).toEqual(["a", "full"]);
  });

  test("may be made where an empty folder waits for it", () => {
    const path = temporaryFolder();
    mkdirSync(join(path, "empty"));
    createDataFolder(join(path, "empty"), { agent: "a" });
    expect(readIdentity(join(path, "empty")).agent).toBe("a");
  });

  test("of the first version gets a place for snapshots when it is opened; one that is there keeps what it has", async () => {
    const path = join(temporaryFolder(), "a");
    createDataFolder(path, { agent: "a" });
    rmdirSync(join(path, "snapshots"));
    const folder = await DataFolder.open(path);
    expect(folder.snapshots.list()).toEqual([]);
    folder.close();
    writeFileSync(join(path, "snapshots", "one"), "");
    const again = await DataFolder.open(path);
    expect(again.snapshots.list()).toEqual(["one"]);
    again.close();
  });

  test("that is missing is never made by opening it; the message says which command makes it", async () => {
    const path = temporaryFolder();
    const error = await failure(async () => DataFolder.open(join(path, "nothing")));
    expect(error.code).toBe("DATA_MISSING");
    expect(error.hint).toMatch(/quorate init|quorate up/);
    expect(readdirSync(path)).toEqual([]);
  });

  test("signs with its own key", async () => {
    const path = join(temporaryFolder(), "a");
    createDataFolder(path, { agent: "a" });
    const folder = await DataFolder.open(path);
    const message = Buffer.from("what was decided");
    const key = createPublicKey({
      key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(folder.identity.publicKey).toString("base64url") },
      format: "jwk",
    });
    expect(verify(undefined, message, key, folder.sign(message))).toBe(true);
    folder.close();
  });

  test("of another agent or cluster is refused as foreign, and left unlocked", async () => {
    const path = join(temporaryFolder(), "a");
    const { cluster } = createDataFolder(path, { agent: "agent_1" });
    for (const expected of [{ agent: "agent_2" }, { cluster: newClusterId() }]) {
      const error = await failure(async () => DataFolder.open(path, expected));
      expect(error.code).toBe("DATA_FOREIGN");
      expect(error.hint).toContain("quorate init");
    }
    (await DataFolder.open(path, { agent: "agent_1", cluster })).close();
  });

  test("with the private key of another is refused as foreign", async () => {
    const path = temporaryFolder();
    createDataFolder(join(path, "a"), { agent: "a" });
    createDataFolder(join(path, "b"), { agent: "b" });
    writeFileSync(join(path, "a", "key.pem"), readFileSync(join(path, "b", "key.pem")));
    const error = await failure(async () => DataFolder.open(join(path, "a")));
    expect(error.code).toBe("DATA_FOREIGN");
    writeFileSync(join(path, "a", "key.pem"), "no key");
    expect((await failure(async () => DataFolder.open(join(path, "a")))).code).toBe("DATA_CORRUPT");
  });

  test.each([
    ["{", "DATA_CORRUPT"],
    ["[]", "DATA_VERSION"],
    ["7", "DATA_CORRUPT"],
    ['{"format":2}', "DATA_VERSION"],
    ['{"format":1,"agent":"a"}', "DATA_CORRUPT"],
    ['{"format":1,"agent":"../a","cluster":"00","journal":"00","publicKey":""}', "DATA_CORRUPT"],
  ])("whose identity file holds %j is refused as %s", async (text, code) => {
    const path = join(temporaryFolder(), "a");
    createDataFolder(path, { agent: "a" });
    writeFileSync(join(path, "identity.json"), text);
    expect((await failure(() => readIdentity(path))).code).toBe(code);
  });
});

describe("what the system says of a folder", () => {
  test.each([
    ["ENOSPC", "DISK_FULL", "Free some space"],
    ["EDQUOT", "DISK_FULL", "Free some space"],
    ["EROFS", "DENIED", "permissions"],
    ["EPERM", "DENIED", "permissions"],
  ])("%s becomes %s, with what to do", (code, expected, hint) => {
    const error = unusable(
      "the/folder",
      Object.assign(new Error(`${code}: so it is`), { code }),
    ) as QuorateError;
    expect(error).toMatchObject({ code: expected, outcome: "notDone" });
    expect(error.message).toContain("the/folder");
    expect(error.hint).toContain(hint);
  });

  test("is left as it is where it is none of the system's errors", () => {
    const own = new QuorateError("DATA_LOCKED", "", { outcome: "notDone", hint: "" });
    const bug = new Error("a bug");
    expect(unusable("x", own)).toBe(own);
    expect(unusable("x", bug)).toBe(bug);
  });

  test("a folder can't be made inside a file", async () => {
    const path = temporaryFolder();
    writeFileSync(join(path, "file"), "");
    const error = await failure(() => createDataFolder(join(path, "file", "agent"), { agent: "a" }));
    expect(error.code).toBe("DENIED");
    const onFile = await failure(() => createDataFolder(join(path, "file"), { agent: "a" }));
    expect(onFile.code).toBe("DATA_EXISTS");
    expect(readdirSync(path)).toEqual(["file"]);
  });
});

describe("the cluster file", () => {
  test("names the cluster and where its agents listen", () => {
    const path = join(temporaryFolder(), "cluster.json");
    const file = {
      cluster: newClusterId(),
      agents: [
        { id: agentId("agent_1"), address: "127.0.0.1:7401" },
        { id: agentId("agent_2"), address: "127.0.0.1:7402" },
      ],
    };
    writeClusterFile(path, file);
    expect(readClusterFile(path)).toEqual(file);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({
      format: 1,
      cluster: clusterIdText(file.cluster),
    });
  });

  test.each([
    ['{"format":9}', "DATA_VERSION"],
    ['{"format":1,"cluster":"x","agents":[]}', "DATA_CORRUPT"],
    [`{"format":1,"cluster":"${"0".repeat(32)}","agents":[{"id":"a","address":"nowhere"}]}`, "DATA_CORRUPT"],
    [`{"format":1,"cluster":"${"0".repeat(32)}"}`, "DATA_CORRUPT"],
  ])("that holds %j is refused as %s", async (text, code) => {
    const path = join(temporaryFolder(), "cluster.json");
    writeFileSync(path, text);
    expect((await failure(() => readClusterFile(path))).code).toBe(code);
  });

  test("that is missing is said to be missing", async () => {
    const error = await failure(() => readClusterFile(join(temporaryFolder(), "cluster.json")));
    expect(error.code).toBe("DATA_MISSING");
  });
});
