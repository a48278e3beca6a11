/**
 * Brings a backup into data folders that have just been made, so that their agents begin with its state: each gets the
 * snapshot and a journal whose first record names it. They are agents of a cluster of their own, with keys of their own:
 * members of the group that was backed up can't mix in, and what those promised binds nobody here.
 */
import { assert } from "../../core/assert.ts";
import { QuorateError } from "../../core/errors.ts";
import type { Address, AgentId, RecordNumber } from "../../core/ids.ts";
import { membersOf, type Members } from "../../core/members.ts";
import { Journal } from "../../journal/journal.ts";
import type { FiledSnapshot } from "../../journal/snapshot-format.ts";
import { SnapshotStore } from "../../journal/snapshots.ts";
import { raftCodec } from "../../raft/codec.ts";
import { decodeAnchor, encodeAnchor, type Anchor } from "../../raft/fields.ts";
import type { BaseRecord } from "../../raft/messages.ts";
import { checksum } from "../checksum.ts";
import type { AgentAddress } from "../cluster-file.ts";
import { DataFolder } from "../data-folder.ts";
import type { OpenedBackup } from "./backup-file.ts";

/** Fills one folder, of which nothing was used yet. `voters`: the group's from now on. Rejects with `DATA_*`, `DISK_FULL`, `DENIED`. */
export async function restoreInto(
  dataFolder: string,
  backup: OpenedBackup,
  voters: readonly AgentAddress[],
): Promise<void> {
  const anchor = anchorFor(backup.snapshot, voters);
  const folder = await DataFolder.open(dataFolder);
  try {
    // In this order: a journal never names a snapshot that is not there.
    const snapshot = await storeSnapshot(folder, backup, anchor);
    await foundGroup(folder, snapshot, anchor);
  } finally {
    folder.close();
  }
}

/** As of the same entry, and with others taking part. */
function anchorFor({ anchor: bytes, group }: FiledSnapshot, voters: readonly AgentAddress[]): Anchor {
  const anchor = decodeAnchor(bytes);
  if (anchor === undefined) {
    throw new QuorateError(
      "DATA_CORRUPT",
      `The backup of the group ${group} does not say where its log ends.`,
      {
        outcome: "notDone",
        hint: "Use another backup. Nothing was changed.",
      },
    );
  }
  const addresses = new Map(voters.map(({ id, address }): [AgentId, Address] => [id, address as Address]));
  const members: Members = { ...membersOf(voters.map(({ id }) => id)), addresses };
  return { ...anchor, members };
}

async function storeSnapshot(
  { snapshots: disk }: DataFolder,
  backup: OpenedBackup,
  anchor: Anchor,
): Promise<FiledSnapshot> {
  const { group, index, digest } = backup.snapshot;
  return new Promise((resolve, reject) => {
    const schedule = (task: () => void): void => void setImmediate(task);
    const store = new SnapshotStore({ disk, checksum, schedule, onFailure: reject });
    store.take({ group, index, digest, anchor: encodeAnchor(anchor) }, backup.pieces(), (result) => {
      store.close(() => {
        if (result.kind === "stored") resolve(result.snapshot);
        else reject(result.error);
      });
    });
  });
}

/** The first record of the group in this journal: it starts from the snapshot, in the term of the snapshot's last entry. */
async function foundGroup(
  { disk, identity }: DataFolder,
  { group, index, digest, byteLength }: FiledSnapshot,
  { term, time, members }: Anchor,
): Promise<void> {
  const base: BaseRecord = {
    kind: "base",
    index,
    term,
    time,
    members,
    snapshot: { digest, byteLength },
    hardState: { term },
  };
  await new Promise<void>((resolve, reject) => {
    const journal = Journal.open({
      disk,
      id: identity.journal,
      begun: true,
      checksum,
      schedule: (task) => void setImmediate(task),
      onDurable: () => journal.close(resolve),
      onFailure: reject,
    });
    const { next } = journal.recover(group);
    assert(next === (1 as RecordNumber), "a group is restored into a journal that has none of that name");
    journal.append(group, raftCodec.encodeRecord(base));
    journal.flush();
  });
}
