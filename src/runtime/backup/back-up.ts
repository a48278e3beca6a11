/** A backup from an agent into a file: taken, checked and put there whole, or not at all. */
import type { AnyStateMachine } from "../../core/machine.ts";
import { checkBackup, type BackupReport } from "./backup-file.ts";
import { BackupWriter, refuseExisting } from "./backup-writer.ts";
import { RemoteBackup, type RemoteBackupOptions } from "./remote-backup.ts";

export interface BackUpOptions extends RemoteBackupOptions {
  readonly path: string;
  /** Where something has that name already. */
  readonly existing: "keep" | "replace";
  /** The state machines that are known here: with all of them the state itself is proven. */
  readonly machines: Readonly<Record<string, AnyStateMachine>>;
  /** So many bytes of the state have come. */
  readonly onProgress: (bytes: number, total: number) => void;
}

/**
 * Rejects with what `RemoteBackup.open` and its pieces do, with `DATA_EXISTS`, `DISK_FULL`, `DENIED`, and `DATA_CORRUPT`
 * where what came is not what it says. Nothing is left behind then.
 */
export async function backUp(options: BackUpOptions): Promise<BackupReport> {
  const { path, existing, signal, machines, onProgress } = options;
  if (existing === "keep") refuseExisting(path);
  const remote = await RemoteBackup.open(options);
  let writer: BackupWriter | undefined;
  try {
    const { snapshot } = remote;
    writer = new BackupWriter(path, snapshot);
    let bytes = 0;
    for await (const piece of remote.pieces()) {
      signal.throwIfAborted();
      writer.write(piece);
      bytes += piece.bytes.length;
      onProgress(bytes, snapshot.byteLength);
    }
    writer.complete();
    const report = checkBackup(writer.temporary, machines);
    writer.keep(existing);
    return report;
  } finally {
    writer?.discard();
    remote.close();
  }
}
