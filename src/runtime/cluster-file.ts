/** `cluster.json`: which agents there are, and where. The same on each of those that found the group. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { QuorateError } from "../core/errors.ts";
import { agentId, type AgentId } from "../core/ids.ts";
import { parseAddress } from "./address.ts";
import { clusterIdBytes, clusterIdFrom, clusterIdText } from "./handshake.ts";
import { writeFileDurably } from "./durable-file.ts";

/** `joining`: a program that does not know it would found a group instead of joining one, so it must not read the file. */
const formats = { founding: 1, joining: 2 } as const;

export interface AgentAddress {
  readonly id: AgentId;
  readonly address: string;
}

export interface ClusterFile {
  readonly cluster: Uint8Array;
  readonly agents: readonly AgentAddress[];
  /** The agent joins a group that is there already; the others named are those that it met when its folder was made. */
  readonly joining?: boolean;
}

export function newClusterId(): Uint8Array {
  return new Uint8Array(randomBytes(clusterIdBytes));
}

export function writeClusterFile(path: string, file: ClusterFile): void {
  const { cluster, agents, joining = false } = file;
  const format = joining ? formats.joining : formats.founding;
  const text = JSON.stringify({ format, cluster: clusterIdText(cluster), agents }, undefined, 2);
  writeFileDurably(path, `${text}\n`, 0o644);
}

/** Throws `DATA_MISSING`, `DATA_VERSION`, `DATA_CORRUPT`. */
export function readClusterFile(path: string): ClusterFile {
  const value = readJsonFile(path, "cluster file");
  const joining = value["format"] === formats.joining;
  if (!joining) checkFormat(path, value["format"], formats.founding);
  try {
    const cluster = clusterIdFrom(String(value["cluster"]));
    const agents = (value["agents"] as readonly AgentAddress[]).map(({ id, address }) => {
      parseAddress(address);
      return { id: agentId(id), address };
    });
    return { cluster, agents, ...(joining && { joining }) };
  } catch (cause) {
    throw corrupt(path, cause);
  }
}

/** The object in a JSON file. Throws `DATA_MISSING` and `DATA_CORRUPT`. */
export function readJsonFile(path: string, what: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (
      (cause as NodeJS.ErrnoException).code !== "ENOENT" &&
      (cause as NodeJS.ErrnoException).code !== "ENOTDIR"
    )
      throw unreadable(path, cause);
    throw new QuorateError("DATA_MISSING", `There is no ${what} at ${path}.`, {
      outcome: "notDone",
      hint: "A new agent's is made by `quorate init`, or by `quorate up` for several. One that was there must be put back as it last was: an empty one has forgotten its votes.",
      cause,
    });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (cause) {
    throw corrupt(path, cause);
  }
  throw corrupt(path, undefined);
}

/** Throws `DATA_VERSION` unless the file has the format that this program reads. */
export function checkFormat(path: string, found: unknown, known: number): void {
  if (found === known) return;
  throw new QuorateError(
    "DATA_VERSION",
    `${path} has format ${String(found)}; this version reads ${known}.`,
    {
      outcome: "notDone",
      hint: "Use the version of quorate that wrote it.",
    },
  );
}

export function corrupt(path: string, cause: unknown): QuorateError {
  return new QuorateError("DATA_CORRUPT", `${path} does not hold what it should.`, {
    outcome: "notDone",
    hint: "Restore this file from a copy, and nothing else: an older journal has forgotten votes.",
    cause,
  });
}

function unreadable(path: string, cause: unknown): QuorateError {
  return new QuorateError("DENIED", `${path} can't be read: ${(cause as Error).message}.`, {
    outcome: "notDone",
    hint: "Check who owns the folder and what its permissions are.",
    cause,
  });
}
