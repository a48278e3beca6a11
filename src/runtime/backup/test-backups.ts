/** Backups for tests: a group's state in a file, written as a client writes it. */
import { SnapshotStage } from "../../../test/support/snapshots.ts";
import { StateLog, value } from "../../../test/support/state-log.ts";
import { groupName, logIndex, type AgentId, type Term } from "../../core/ids.ts";
import type { AnyStateMachine } from "../../core/machine.ts";
import { membersOf } from "../../core/members.ts";
import { pieceCount, type FiledSnapshot } from "../../journal/snapshot-format.ts";
import type { SnapshotPiece } from "../../journal/snapshot-reader.ts";
import { encodeAnchor } from "../../raft/fields.ts";
import { mapMachine } from "../../state/index.ts";
import { mapCommands } from "../../state/map-codec.ts";
import { BackupWriter } from "./backup-writer.ts";

export interface Sample {
  readonly log: StateLog;
  readonly snapshot: FiledSnapshot;
  readonly pieces: readonly SnapshotPiece[];
}

const machines: Readonly<Record<string, AnyStateMachine>> = { map: mapMachine() };

/** A map of a few keys, as the member of a group of three took it, in small pieces. */
export function sample(
  keys = 20,
  { pieceBytes = 100, known = machines }: { pieceBytes?: number; known?: typeof machines } = {},
): Sample {
  const log = new StateLog(known);
  const session = log.open(5);
  for (let key = 1; key <= keys; key++) {
    const put = mapCommands.put(`key ${key}`, value(`value ${key}`));
    log.command(session, key, put, { requestId: `request ${key}` });
  }
  const { state } = log;
  const stage = new SnapshotStage().open(pieceBytes);
  const results: FiledSnapshot[] = [];
  const anchor = encodeAnchor({
    term: 7 as Term,
    time: 1_700_000_000_000_000,
    members: membersOf(["a", "b", "c"] as AgentId[]),
  });
  const name = { group: groupName("main"), index: logIndex(state.applied), digest: state.digest(), anchor };
  stage.store.take(name, state.snapshot(), (result) => {
    if (result.kind === "stored") results.push(result.snapshot);
  });
  stage.clock.run();
  const [snapshot] = results;
  if (snapshot === undefined) throw new Error("it was not taken");
  const reader = stage.reader(snapshot.index);
  const pieces = Array.from({ length: pieceCount(snapshot) }, (_, number) => reader.piece(number));
  return { log, snapshot, pieces: pieces as SnapshotPiece[] };
}

/** Writes it where `path` says. */
export function write(path: string, { snapshot, pieces }: Sample): void {
  const writer = new BackupWriter(path, snapshot);
  for (const piece of pieces) writer.write(piece);
  writer.complete();
  writer.keep("keep");
}
