/** The backups of one group that clients read at this agent: each holds on to a snapshot's file until it is closed. */
import { unreachable } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import type { HostedGroup, SnapshotTaken } from "../../driver/hosted.ts";
import { pieceCount, type FiledSnapshot } from "../../journal/snapshot-format.ts";
import type { SnapshotPiece } from "../../journal/snapshot-reader.ts";
import type { Cancel } from "../gateway.ts";
import type { BackupAnswer, BackupAt } from "./backup-wire.ts";

export interface OpenBackup {
  readonly snapshot: FiledSnapshot;
  /** Undefined where it is not what was written. */
  piece(number: number): SnapshotPiece | undefined;
  /** Idempotent. */
  close(): void;
}

export type BackupResult =
  | { readonly kind: "opened"; readonly backup: OpenBackup }
  | Exclude<BackupAnswer, { readonly kind: "opened" }>;

/** To no machine in particular: that it is answered says enough. */
const anyQuestion = new Uint8Array(1);

export class GroupBackups {
  #open = 0;

  /** Takes a snapshot, unless there is one as new, and opens it. `done` is called later; not once it was taken back. */
  open(group: HostedGroup, at: BackupAt, done: (result: BackupResult) => void): Cancel {
    let isWanted = true;
    const inFlight = this.#open;
    this.#open += 1;
    const end = (result: BackupResult): void => {
      if (result.kind !== "opened") this.#open -= 1;
      else if (!isWanted) result.backup.close();
      if (isWanted) done(result);
    };
    // A question like any other: once it is answered, this agent has applied all that was acknowledged before.
    group.query(anyQuestion, at, (answer) => {
      if (answer.kind === "refused") end(answer);
      else if (inFlight >= limits.backupsMax) end(tooMany(inFlight));
      else group.takeSnapshot((taken) => end(this.#opened(group, taken)));
    });
    return () => {
      isWanted = false;
    };
  }

  #opened(group: HostedGroup, taken: SnapshotTaken): BackupResult {
    switch (taken.kind) {
      case "taken":
        return this.#read(group, taken.snapshot.index);
      case "nothing":
        return taken;
      case "failed":
        return { kind: "failed", why: taken.error.message };
      case "closed":
        return { kind: "refused", refusal: { kind: "closed" } };
      default:
        return unreachable(taken);
    }
  }

  #read(group: HostedGroup, index: FiledSnapshot["index"]): BackupResult {
    const found = group.readSnapshot(index);
    if (found.kind !== "found") return { kind: "failed", why: `its file is ${found.kind}` };
    const { reader } = found;
    let isOpen = true;
    return {
      kind: "opened",
      backup: {
        snapshot: reader.snapshot,
        piece: (number) =>
          isOpen && number < pieceCount(reader.snapshot) ? reader.piece(number) : undefined,
        close: () => {
          if (!isOpen) return;
          isOpen = false;
          this.#open -= 1;
          reader.close();
        },
      },
    };
  }
}

function tooMany(inFlight: number): BackupResult {
  return { kind: "refused", refusal: { kind: "overloaded", inFlight, inFlightMax: limits.backupsMax } };
}
