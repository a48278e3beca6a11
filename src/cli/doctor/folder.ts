/** One agent's data folder: whether its parts are there and belong together, who uses it, and whether its port is its own. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";

import { unreachable } from "../../core/assert.ts";
import { QuorateError } from "../../core/errors.ts";
import type { SnapshotReport } from "../../journal/index.ts";
import { agentSocketName } from "../../runtime/agent.ts";
import { readIdentity, requireKey } from "../../runtime/data-folder.ts";
import { lockHolder } from "../../runtime/folder-lock.ts";
import { clusterIdText } from "../../runtime/handshake.ts";
import { findSocketPath } from "../../runtime/socket-path.ts";
import { readAgentFolder } from "../cluster/cluster-folder.ts";
import { checkJournal } from "../journal.ts";
import { byteSize, count, counted } from "../terminal/numbers.ts";
import { fine, problem, warning, type Finding } from "./finding.ts";
import { whoListens, type Listener } from "./port.ts";

export interface FolderPlace {
  readonly id: string;
  readonly address: string;
  readonly dataFolder: string;
}

const repairedByOthers =
  "Run it beside the others: with what is left it neither votes nor acknowledges, and they repair it. quorate journal check shows where.";

/** What others may not do with these: the bits of their mode that have to be off. */
const privateParts = [
  { name: "", what: "its folder can be read by other users", bits: 0o077, mode: "700" },
  { name: "key.pem", what: "its private key can be read by other users", bits: 0o077, mode: "600" },
] as const;

/** Looks at all of it; nothing is changed. */
export async function folderFindings(place: FolderPlace, timeoutMs: number): Promise<Finding[]> {
  const { id, dataFolder } = place;
  const parts = partsFindings(place);
  const isReadable = parts.every(({ level }) => level !== "problem");
  return [
    ...parts,
    ...permissionFindings(id, dataFolder),
    ...(isReadable ? await journalFindings(id, dataFolder) : []),
    ...(await processFindings(place, timeoutMs)),
  ];
}

function partsFindings({ id, dataFolder }: FolderPlace): Finding[] {
  try {
    const identity = readIdentity(dataFolder);
    requireKey(dataFolder, identity);
    const { file } = readAgentFolder(dataFolder);
    const cluster = `cluster ${clusterIdText(identity.cluster)}`;
    if (file.agents.some((agent) => agent.id === identity.agent)) {
      return [fine(id, `${dataFolder}: identity, key and cluster.json belong together, ${cluster}`)];
    }
    const toDo = "Put back the cluster.json that was made with this folder.";
    return [problem(id, `${dataFolder}: its cluster.json does not name ${identity.agent}`, toDo)];
  } catch (error) {
    return [lost(id, error)];
  }
}

/** What is gone, or can't be read, in its own words. */
export function lost(of: string, error: unknown): Finding {
  if (error instanceof QuorateError) return problem(of, `${error.message}  ${error.code}`, error.hint);
  throw error;
}

function permissionFindings(id: string, dataFolder: string): Finding[] {
  // Windows has no such bits.
  if (process.platform === "win32") return [];
  return privateParts.flatMap(({ name, what, bits, mode }) => {
    const path = join(dataFolder, name);
    if (!existsSync(path) || (statSync(path).mode & bits) === 0) return [];
    return [warning(id, what, `chmod ${mode} ${path}`)];
  });
}

async function journalFindings(id: string, dataFolder: string): Promise<Finding[]> {
  try {
    const { report, snapshots } = await checkJournal(dataFolder);
    const records = report.segments.reduce((sum, segment) => sum + segment.records, 0);
    const size = `${counted(records, "record")} in ${counted(report.segments.length, "segment")}`;
    const journal = report.sound
      ? fine(id, `its journal is sound: ${size}`)
      : problem(id, `its journal is damaged: ${size}`, repairedByOthers);
    return [journal, ...snapshotFindings(id, snapshots)];
  } catch (error) {
    return [lost(id, error)];
  }
}

function snapshotFindings(id: string, snapshots: readonly SnapshotReport[]): Finding[] {
  if (snapshots.length === 0) return [];
  const damaged = snapshots.filter(({ state }) => state === "damaged");
  const bytes = snapshots.reduce((sum, snapshot) => sum + snapshot.bytes, 0);
  const size = `${counted(snapshots.length, "snapshot")}, ${byteSize(bytes)}`;
  if (damaged.length === 0) return [fine(id, `${size}, all of them sound`)];
  const names = damaged.map(({ group, index }) => `of ${group} up to entry ${count(index)}`).join(", ");
  return [problem(id, `${size}; damaged: ${names}`, repairedByOthers)];
}

async function processFindings(place: FolderPlace, timeoutMs: number): Promise<Finding[]> {
  const { id, address, dataFolder } = place;
  const holder = await lockHolder(dataFolder).catch(() => undefined);
  const listener = await whoListens(address, timeoutMs);
  if (holder === undefined) return [stoppedFinding(place, listener)];
  const socket = findSocketPath(dataFolder, agentSocketName);
  const findings = [runningFinding(place, holder, listener)];
  if (process.platform !== "win32" && !existsSync(socket)) {
    const toDo =
      "Commands that look for it in its folder don't find it: restart this agent. Nothing that was decided is lost.";
    findings.push(problem(id, `process ${holder} runs it, and its socket ${socket} is gone`, toDo));
  }
  return findings;
}

function runningFinding({ id, address }: FolderPlace, holder: number, listener: Listener): Finding {
  switch (listener.kind) {
    case "agent":
      if (listener.id === id) return fine(id, `process ${holder} runs it, at ${address}`);
      return problem(
        id,
        `process ${holder} runs it, and at its address ${address} listens ${listener.id}`,
        "Give each agent an address of its own in cluster.json, the same in all folders, and restart them.",
      );
    case "other":
      if (listener.process?.pid === holder)
        return problem(
          id,
          `process ${holder} runs it, listens at ${address}, and does not answer`,
          "It hangs, or was stopped: see its log, and restart it.",
        );
      return problem(
        id,
        `process ${holder} runs it, and at its address ${address} ${named(listener)} does not answer as an agent`,
        "If it is this agent, it hangs: see its log, and restart it. Otherwise stop the other program.",
      );
    case "nobody":
      return problem(
        id,
        `process ${holder} runs it, and nobody listens at its address ${address}`,
        "It listens elsewhere (--listen), or is just ending. Start it where the others look for it.",
      );
    default:
      return unreachable(listener);
  }
}

function stoppedFinding({ id, address, dataFolder }: FolderPlace, listener: Listener): Finding {
  const start = `Start it: quorate agent --data ${dataFolder}`;
  switch (listener.kind) {
    case "nobody":
      return warning(id, `it does not run; its address ${address} is free`, start);
    case "agent":
    case "other": {
      const who = listener.kind === "agent" ? `the agent ${listener.id}` : named(listener);
      return problem(
        id,
        `it does not run, and its address ${address} is taken by ${who}`,
        "Stop that one, or give the agents other ports: quorate up --port.",
      );
    }
    default:
      return unreachable(listener);
  }
}

function named({ process: who }: Extract<Listener, { kind: "other" }>): string {
  return who === undefined ? "a process that can't be seen from here" : `${who.name} (${who.pid})`;
}
