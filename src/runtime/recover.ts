/**
 * Recovery from a lost quorum: one agent that is stopped is made the only voter of its groups, in a cluster of its own, so
 * that nobody of the old one is ever heard again. It goes on from what its disk has.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { QuorateError } from "../core/errors.ts";
import type { AgentId, GroupName } from "../core/ids.ts";
import { membersOf } from "../core/members.ts";
import { Prng } from "../core/prng.ts";
import { Journal } from "../journal/journal.ts";
import { raftCodec } from "../raft/codec.ts";
import { forceMembers, type Forced, type Survivor } from "../raft/force.ts";
import { raftTimings } from "../raft/options.ts";
import { checksum } from "./checksum.ts";
import { newClusterId } from "./cluster-file.ts";
import { DataFolder, moveToCluster } from "./data-folder.ts";
import { syncFolder } from "./durable-file.ts";
import { clusterIdText } from "./handshake.ts";

/** Each recovery by force leaves a line here, for whoever looks at the data later. */
const recoveriesFile = "recoveries.jsonl";

export interface RecoveredByForce {
  readonly agent: AgentId;
  /** The cluster that the agent left, and the one that it is alone in now. */
  readonly from: Uint8Array;
  readonly cluster: Uint8Array;
  readonly groups: readonly { readonly group: GroupName; readonly before: Survivor }[];
}

/**
 * What an agent's disk has of its groups: of several survivors, the one that has most should go on. Changes nothing that
 * matters. Rejects as `DataFolder.open` and `Journal.open` do, with `DATA_CORRUPT` also where a group's records are damaged.
 */
export async function surviving(dataDir: string): Promise<Pick<RecoveredByForce, "agent" | "groups">> {
  const folder = await DataFolder.open(dataDir);
  try {
    const { agent } = folder.identity;
    const groups = await withJournal(folder, (journal) =>
      forcedGroups(agent, journal).map(({ group, forced }) => ({ group, before: forced.before })),
    );
    return { agent, groups };
  } finally {
    folder.close();
  }
}

/** Makes the agent the only voter of all its groups. Stopped in the middle, it can be done again. */
export async function recoverByForce(dataDir: string, wallMs: number): Promise<RecoveredByForce> {
  const from = await leaveCluster(dataDir);
  const folder = await DataFolder.open(dataDir);
  try {
    const { agent, cluster } = folder.identity;
    const groups = await withJournal(folder, (journal) => {
      const all = forcedGroups(agent, journal, wallMs * 1000);
      for (const { group, forced } of all) {
        for (const record of forced.records) journal.append(group, raftCodec.encodeRecord(record));
      }
      return all.map(({ group, forced }) => ({ group, before: forced.before }));
    });
    const done = { agent, from, cluster, groups };
    note(folder.path, done, wallMs);
    return done;
  } finally {
    folder.close();
  }
}

/** Lines for an agent's log: how often, and when, its data was recovered by force. */
export function recoveriesOf(dataDir: string): readonly string[] {
  const path = join(dataDir, recoveriesFile);
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
}

/** First of all: an agent that has new voters must not be heard by the old ones, and the other way round. */
async function leaveCluster(dataDir: string): Promise<Uint8Array> {
  const folder = await DataFolder.open(dataDir);
  try {
    // Before anything is changed: whether there is something to recover from.
    await withJournal(folder, (journal) => forcedGroups(folder.identity.agent, journal));
    moveToCluster(folder.path, newClusterId());
    return folder.identity.cluster;
  } finally {
    folder.close();
  }
}

/** Runs `work`, and waits until what it appended is on disk. */
async function withJournal<T>(folder: DataFolder, work: (journal: Journal) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const journal = Journal.open({
      disk: folder.disk,
      id: folder.identity.journal,
      begun: true,
      checksum,
      schedule: (task) => setImmediate(task),
      onDurable: () => {},
      onFailure: reject,
    });
    // It may throw, and the journal is closed all the same.
    const outcome = new Promise<T>((settle) => {
      settle(work(journal));
    });
    journal.flush();
    // Closing writes and syncs what is gathered first; where that fails, it has been told by then.
    journal.close(() => resolve(outcome));
  });
}

function forcedGroups(
  agent: AgentId,
  journal: Journal,
  wall = 0,
): { readonly group: GroupName; readonly forced: Forced }[] {
  return journal.groups().map((group) => {
    const { records, next, damaged } = journal.recover(group);
    if (damaged) throw damagedGroup(group);
    const members = membersOf([agent]);
    const decoded = [...records].map((record) => raftCodec.decodeRecord(record));
    const options = { self: agent, members, prng: new Prng(1), ...raftTimings };
    return { group, forced: forceMembers(options, { records: decoded, next }, members, wall) };
  });
}

function note(dataDir: string, { from, cluster, groups }: RecoveredByForce, wallMs: number): void {
  const line = {
    at: new Date(wallMs).toISOString(),
    from: clusterIdText(from),
    cluster: clusterIdText(cluster),
    groups: groups.map(({ group, before }) => ({ group, last: before.last, term: before.term })),
  };
  appendFileSync(join(dataDir, recoveriesFile), `${JSON.stringify(line)}\n`);
  syncFolder(dataDir);
}

function damagedGroup(group: GroupName): QuorateError {
  return new QuorateError("DATA_CORRUPT", `The journal of the group ${group} is damaged in the middle.`, {
    outcome: "notDone",
    hint: "Recover from another survivor. `quorate journal check` shows the damage. Nothing was changed.",
  });
}
