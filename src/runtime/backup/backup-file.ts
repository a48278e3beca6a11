/** A backup as it is read: judged to the last byte before anything is made of it. */
import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { equalBytes } from "../../core/bytes.ts";
import { MalformedError, QuorateError } from "../../core/errors.ts";
import type { AnyStateMachine } from "../../core/machine.ts";
import type { FiledSnapshot } from "../../journal/snapshot-format.ts";
import { fileBytesOf, openSnapshotFile, SnapshotReader } from "../../journal/snapshot-reader.ts";
import { inspectSnapshot, ReplicatedState } from "../../state/index.ts";
import { checksum } from "../checksum.ts";
import { unusable } from "../data-folder.ts";
import { NodeDisk } from "../node-disk.ts";

/** A backup to be read. Its pieces are judged as they are read. */
export interface OpenedBackup {
  readonly snapshot: FiledSnapshot;
  /** Of the whole file. */
  readonly byteLength: number;
  /** Again at each call. Throws `DATA_CORRUPT` where one is not what was written. */
  pieces(): Iterable<Uint8Array>;
  close(): void;
}

/** Throws `DATA_MISSING`, `DATA_CORRUPT` (no backup, or cut short), `DATA_VERSION`, `DENIED`. */
export function openBackup(path: string): OpenedBackup {
  const at = resolve(path);
  if (!existsSync(at)) throw missing(path);
  let disk: NodeDisk | undefined;
  try {
    disk = new NodeDisk(dirname(at), "read");
    const found = openSnapshotFile(disk, basename(at), checksum);
    if (found.kind === "missing") throw missing(path);
    if (found.kind === "otherVersion") throw otherVersion(path, found.version);
    if (found.kind === "unreadable") throw damaged(`${path} is no backup, or its beginning`);
    const { snapshot, file } = found;
    const byteLength = file.byteLength();
    if (byteLength < fileBytesOf(snapshot)) throw damaged(`${path} was cut short, or what is left of it`);
    if (byteLength > fileBytesOf(snapshot)) throw damaged(`${path} has something behind its end, so it`);
    const folder = disk;
    return {
      snapshot,
      byteLength,
      pieces: () => soundPieces(path, new SnapshotReader(snapshot, file, checksum, () => {})),
      close: () => folder.close(),
    };
  } catch (error) {
    disk?.close();
    throw unusable(path, error);
  }
}

function* soundPieces(path: string, reader: SnapshotReader): Generator<Uint8Array, void, undefined> {
  try {
    yield* reader.pieces();
  } catch (error) {
    if (error instanceof MalformedError) throw damaged(path, error);
    throw error;
  }
}

export interface BackupReport {
  readonly snapshot: FiledSnapshot;
  readonly byteLength: number;
  /** The state machines in it, by name. */
  readonly machines: readonly string[];
  /**
   * `state`: its state was brought up as an agent does it, and has the digest that it says. `bytes`: it has machines that are
   * not known here, so only its checksums and its form are known to be right.
   */
  readonly proven: "state" | "bytes";
}

/** Reads all of it. The machines that are `known` are used up by it: they have its state then. Throws as {@link openBackup} does. */
export function checkBackup(path: string, known: Readonly<Record<string, AnyStateMachine>>): BackupReport {
  const backup = openBackup(path);
  const { snapshot, byteLength } = backup;
  try {
    const { applied, digest, machines } = inspectSnapshot(backup.pieces());
    if (applied !== snapshot.index || !equalBytes(digest, snapshot.digest)) throw damaged(path);
    const names = machines.map(({ name }) => name);
    const isKnown = names.every((name) => name === "" || Object.hasOwn(known, name));
    if (isKnown) new ReplicatedState(known).restore(backup.pieces(), snapshot);
    return { snapshot, byteLength, machines: names, proven: isKnown ? "state" : "bytes" };
  } catch (error) {
    if (error instanceof MalformedError) throw damaged(path, error);
    throw error;
  } finally {
    backup.close();
  }
}

function missing(path: string): QuorateError {
  return new QuorateError("DATA_MISSING", `There is no file ${path}.`, {
    outcome: "notDone",
    hint: "Check the path of the backup.",
  });
}

function otherVersion(path: string, version: number): QuorateError {
  return new QuorateError(
    "DATA_VERSION",
    `${path} has the format ${version}, which this program does not read.`,
    {
      outcome: "notDone",
      hint: "Use the version of quorate that wrote it, or a later one.",
    },
  );
}

/** `what`: the subject of a sentence. */
export function damaged(what: string, cause?: Error): QuorateError {
  return new QuorateError("DATA_CORRUPT", `${what} is damaged.`, {
    outcome: "notDone",
    hint: "Use another backup. Nothing was changed.",
    cause,
  });
}
