/** A data folder that is broken by hand in each way, and the port that its agent would listen on. */
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { AgentRuntime } from "../../runtime/agent.ts";
import { createClusterFolder } from "../cluster/cluster-folder.ts";
import { folderFindings, type FolderPlace } from "./folder.ts";
import { ills } from "./test-views.ts";

const timeoutMs = 1000;
let place: FolderPlace;
let other: FolderPlace;

beforeEach(async () => {
  const base = mkdtempSync(join(tmpdir(), "quorate-doctor-"));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const [one, two] = await createClusterFolder(join(base, "c"), 2, undefined);
  if (one === undefined || two === undefined) throw new Error("two were made");
  [place, other] = [one, two];
});

async function found(): Promise<string[]> {
  return ills(await folderFindings(place, timeoutMs));
}

async function run({ id, address, dataFolder }: FolderPlace, listen = address): Promise<AgentRuntime> {
  const agent = await AgentRuntime.start({ id, dataDir: dataFolder, listen });
  onTestFinished(async () => agent.close());
  return agent;
}

const stopped = (): string => `warning: it does not run; its address ${place.address} is free`;

describe("an agent that does not run", () => {
  test("and a folder that is as it should be; looking changes nothing", async () => {
    const before = readdirSync(place.dataFolder);
    expect(await found()).toEqual([stopped()]);
    expect(readdirSync(place.dataFolder)).toEqual(before);
  });

  test.runIf(process.platform !== "win32")("a key and a folder that others may read", async () => {
    chmodSync(join(place.dataFolder, "key.pem"), 0o640);
    chmodSync(place.dataFolder, 0o755);
    expect(await found()).toEqual([
      "warning: its folder can be read by other users",
      "warning: its private key can be read by other users",
      stopped(),
    ]);
  });

  test("another agent's key", async () => {
    cpSync(join(other.dataFolder, "key.pem"), join(place.dataFolder, "key.pem"));
    expect((await found())[0]).toMatch(/^problem: .*private key file holds another.*DATA_FOREIGN$/);
  });

  test("no key at all", async () => {
    rmSync(join(place.dataFolder, "key.pem"));
    expect((await found())[0]).toMatch(/^problem: .*key\.pem.*DATA_CORRUPT$/);
  });

  test("a cluster.json that is gone, of another cluster, or without this agent", async () => {
    const file = join(place.dataFolder, "cluster.json");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replaceAll(place.id, "agent_9"));
    expect((await found())[0]).toMatch(/^problem: .* does not name agent_1$/);
    writeFileSync(file, text.replace(/"cluster": "../, '"cluster": "00'));
    expect((await found())[0]).toMatch(/^problem: .* is that of another cluster.*DATA_FOREIGN$/);
    rmSync(file);
    expect((await found())[0]).toMatch(/^problem: .*DATA_MISSING$/);
  });

  test("a journal that is gone", async () => {
    rmSync(join(place.dataFolder, "journal"), { recursive: true });
    expect((await found())[0]).toMatch(/^problem: The journal is gone.*DATA_MISSING$/);
  });

  test("a port that is taken, by another agent or by whatever else", async () => {
    const agent = await run(other, place.address);
    expect((await found())[0]).toBe(
      `problem: it does not run, and its address ${place.address} is taken by the agent agent_2`,
    );
    await agent.close();
    const { port } = portOf(place);
    const server = createServer((socket) => void socket.on("error", () => {}).end("HTTP/1.1 400\r\n\r\n"));
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    expect((server.address() as AddressInfo).port).toBe(port);
    const [taken = ""] = await found();
    const seen = new RegExp(`is taken by .* \\(${process.pid}\\)$`);
    expect(taken).toMatch(process.platform === "linux" ? seen : /is taken by/);
  });
});

function portOf({ address }: FolderPlace): { port: number } {
  return { port: Number(address.split(":")[1]) };
}

describe("an agent that runs", () => {
  test("where it should", async () => {
    await run(place);
    const findings = await folderFindings(place, timeoutMs);
    expect(ills(findings)).toEqual([]);
    expect(findings.at(-1)?.what).toBe(`process ${process.pid} runs it, at ${place.address}`);
  });

  test("elsewhere than the others look for it", async () => {
    await run(place, "127.0.0.1:0");
    expect(await found()).toEqual([
      `problem: process ${process.pid} runs it, and nobody listens at its address ${place.address}`,
    ]);
  });

  test("elsewhere, while another one listens at its address", async () => {
    await run(place, "127.0.0.1:0");
    await run(other, place.address);
    expect(await found()).toEqual([
      `problem: process ${process.pid} runs it, and at its address ${place.address} listens agent_2`,
    ]);
  });

  test.runIf(process.platform !== "win32")("and whose socket somebody removed", async () => {
    const agent = await run(place);
    rmSync(agent.socketPath);
    expect((await found())[0]).toMatch(/^problem: process \d+ runs it, and its socket .* is gone$/);
  });
});
