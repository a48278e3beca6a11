/** The backup that one client has open at an agent, one at a time: a snapshot's file, kept open until it is read or left. */
import { limits } from "../../core/limits.ts";
import type { SnapshotPiece } from "../../journal/snapshot-reader.ts";
import type { OpenBackup } from "./group-backups.ts";

export class ClientBackup {
  #open: { readonly group: string; readonly backup: OpenBackup; readonly idle: NodeJS.Timeout } | undefined;

  /** In place of the last one. One that is not read for long is closed. */
  keep(group: string, backup: OpenBackup): void {
    this.close();
    const idle = setTimeout(() => this.close(), limits.backupIdleMsMax).unref();
    this.#open = { group, backup, idle };
  }

  /** Undefined where none is open in that group, or it has no such piece as it was written. */
  piece(group: string, number: number): SnapshotPiece | undefined {
    if (this.#open?.group !== group) return undefined;
    this.#open.idle.refresh();
    return this.#open.backup.piece(number);
  }

  /** Whichever it is, or that of one group. */
  close(group?: string): void {
    const open = this.#open;
    if (open === undefined || (group !== undefined && open.group !== group)) return;
    this.#open = undefined;
    clearTimeout(open.idle);
    open.backup.close();
  }
}
