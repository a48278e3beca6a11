/**
 * An agent's data folder: who it is, its private key, its journal and its snapshots. A folder is made by an explicit `init` or `up` and
 * by nothing else: an agent whose disk was wiped must not come back under its old name with an empty memory, or what it
 * promised would be forgotten.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { QuorateError } from "../core/errors.ts";
import { agentId, type AgentId } from "../core/ids.ts";
import { beginJournal, hasSegment, journalMissing } from "../journal/begin.ts";
import { checksum } from "./checksum.ts";
import { checkFormat, corrupt, newClusterId, readJsonFile } from "./cluster-file.ts";
import { syncFolder, writeFileDurably } from "./durable-file.ts";
import { FolderLock } from "./folder-lock.ts";
import { clusterIdFrom, clusterIdText } from "./handshake.ts";
import { NodeDisk } from "./node-disk.ts";

const format = 1;
const files = {
  identity: "identity.json",
  key: "key.pem",
  journal: "journal",
  snapshots: "snapshots",
} as const;

/** What makes an agent the one it is. */
export interface Identity {
  readonly agent: AgentId;
  readonly cluster: Uint8Array;
  readonly journal: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** Makes the folder, with a new key. Throws `DATA_EXISTS` where there is something already. */
export function createDataFolder(path: string, options: { agent: string; cluster?: Uint8Array }): Identity {
  const agent = agentId(options.agent);
  if (existsSync(join(path, files.identity))) throw exists(path);
  // Filled under another name first, so that a folder is whole or not there.
  const temporary = `${resolve(path)}.new-${randomBytes(4).toString("hex")}`;
  try {
    mkdirSync(dirname(temporary), { recursive: true });
    mkdirSync(temporary, { mode: 0o700 });
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const identity: Identity = {
      agent,
      cluster: options.cluster ?? newClusterId(),
      journal: new Uint8Array(randomBytes(16)),
      publicKey: rawPublicKey(publicKey),
    };
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    beginJournalIn(join(temporary, files.journal), identity);
    mkdirSync(join(temporary, files.snapshots), { mode: 0o700 });
    writeFileDurably(join(temporary, files.key), pem, 0o600);
    writeFileDurably(join(temporary, files.identity), identityText(identity), 0o644);
    renameSync(temporary, resolve(path));
    syncFolder(dirname(resolve(path)));
    return identity;
  } catch (error) {
    if (existsSync(temporary)) rmSync(temporary, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code ?? "";
    // What is in the way of the finished folder is a file, or a folder that is not empty.
    const inTheWay = ["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(code) && existsSync(path);
    throw inTheWay ? exists(path) : unusable(path, error);
  }
}

/** From here on the folder is never without a journal, and an agent never starts without the one it had. */
function beginJournalIn(path: string, identity: Identity): void {
  mkdirSync(path, { mode: 0o700 });
  const disk = new NodeDisk(path);
  try {
    beginJournal(disk, identity.journal, checksum);
  } finally {
    disk.close();
  }
}

function identityText(identity: Identity): string {
  const value = {
    format,
    agent: identity.agent,
    cluster: clusterIdText(identity.cluster),
    journal: Buffer.from(identity.journal).toString("hex"),
    publicKey: Buffer.from(identity.publicKey).toString("base64url"),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Reads who the folder belongs to, without a lock. Throws `DATA_MISSING`, `DATA_VERSION`, `DATA_CORRUPT`. */
export function readIdentity(path: string): Identity {
  const file = join(path, files.identity);
  const value = readJsonFile(file, "agent's identity");
  checkFormat(file, value["format"], format);
  try {
    const publicKey = new Uint8Array(Buffer.from(String(value["publicKey"]), "base64url"));
    if (publicKey.length !== 32) throw new RangeError("a public key has 32 bytes");
    return {
      agent: agentId(String(value["agent"])),
      cluster: clusterIdFrom(String(value["cluster"])),
      // The same form as a cluster's id: 16 bytes in hexadecimal digits.
      journal: clusterIdFrom(String(value["journal"])),
      publicKey,
    };
  } catch (cause) {
    throw corrupt(file, cause);
  }
}

/** Throws `DATA_CORRUPT` where the private key can't be read, and `DATA_FOREIGN` where it is not this identity's. */
export function requireKey(path: string, identity: Identity): void {
  readKey(path, identity);
}

/** The folder's agent belongs to that cluster from now on. Whoever does it holds the folder's lock. */
export function moveToCluster(path: string, cluster: Uint8Array): void {
  const identity = { ...readIdentity(path), cluster };
  writeFileDurably(join(path, files.identity), identityText(identity), 0o644);
}

export interface DataFolderExpectation {
  readonly agent?: string | undefined;
  readonly cluster?: Uint8Array | undefined;
}

/** Where a data folder's snapshots are, if it has any. */
export function snapshotFolderOf(path: string): string {
  return join(path, files.snapshots);
}

/** Throws `DATA_MISSING` where nothing is left of the folder's journal. */
export function requireJournal(path: string): void {
  const journal = join(path, files.journal);
  if (!existsSync(journal) || !hasSegment(readdirSync(journal))) throw journalMissing(journal);
}

/** A data folder in use by this process. */
export class DataFolder {
  readonly path: string;
  readonly identity: Identity;
  /** Where the journal lives. */
  readonly disk: NodeDisk;
  /** Where the snapshots live. */
  readonly snapshots: NodeDisk;
  readonly #key: KeyObject;
  readonly #lock: FolderLock;

  private constructor(path: string, identity: Identity, key: KeyObject, lock: FolderLock) {
    this.path = path;
    this.identity = identity;
    this.disk = new NodeDisk(join(path, files.journal));
    this.snapshots = new NodeDisk(snapshotsIn(path));
    this.#key = key;
    this.#lock = lock;
  }

  /**
   * Locks the folder for this process. Rejects with `DATA_MISSING` (also where its journal is gone), `DATA_LOCKED`, `DATA_VERSION`, `DATA_CORRUPT`, and
   * with `DATA_FOREIGN` where it belongs to another agent or cluster than expected.
   */
  static async open(path: string, expected: DataFolderExpectation = {}): Promise<DataFolder> {
    const identity = readIdentity(path);
    checkOwner(path, identity, expected);
    requireJournal(path);
    const lock = await FolderLock.acquire(path).catch((error: unknown) => {
      throw unusable(path, error);
    });
    try {
      return new DataFolder(resolve(path), identity, readKey(path, identity), lock);
    } catch (error) {
      lock.release();
      throw unusable(path, error);
    }
  }

  /** An Ed25519 signature of 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(sign(undefined, bytes, this.#key));
  }

  /** Closes all files and gives the lock back. Idempotent. */
  close(): void {
    this.disk.close();
    this.snapshots.close();
    this.#lock.release();
  }
}

/** Data folders of the first version have none. One that is gone is missed by the groups whose snapshots were in it. */
function snapshotsIn(path: string): string {
  const snapshots = join(path, files.snapshots);
  if (!existsSync(snapshots)) {
    mkdirSync(snapshots, { mode: 0o700 });
    syncFolder(path);
  }
  return snapshots;
}

function checkOwner(path: string, identity: Identity, expected: DataFolderExpectation): void {
  if (expected.agent !== undefined && expected.agent !== identity.agent) {
    throw foreign(path, `to agent ${identity.agent}, not to ${expected.agent}`);
  }
  if (expected.cluster !== undefined && clusterIdText(expected.cluster) !== clusterIdText(identity.cluster)) {
    throw foreign(
      path,
      `to cluster ${clusterIdText(identity.cluster)}, not to ${clusterIdText(expected.cluster)}`,
    );
  }
}

function readKey(path: string, identity: Identity): KeyObject {
  const file = join(path, files.key);
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(file));
  } catch (cause) {
    throw corrupt(file, cause);
  }
  const found = rawPublicKey(createPublicKey(key));
  if (Buffer.compare(found, identity.publicKey) !== 0) {
    throw foreign(path, "to one key while its private key file holds another");
  }
  return key;
}

/** The last 32 bytes of the standard form are the key itself. */
function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: "spki", format: "der" }).subarray(-32));
}

function exists(path: string): QuorateError {
  return new QuorateError("DATA_EXISTS", `There is something at ${path} already.`, {
    outcome: "notDone",
    hint: "Start the agent that lives there, or name another folder. Nothing was changed.",
  });
}

/** What the system says of a folder, in words for people. Other errors come back as they are. */
export function unusable(path: string, cause: unknown): unknown {
  const error = cause as NodeJS.ErrnoException;
  if (cause instanceof QuorateError || typeof error.code !== "string") return cause;
  if (error.code === "ENOSPC" || error.code === "EDQUOT") {
    return new QuorateError("DISK_FULL", `There is no room left for ${path}.`, {
      outcome: "notDone",
      hint: "Free some space on that disk, then try again.",
      cause,
    });
  }
  return new QuorateError("DENIED", `The folder ${path} can't be used: ${error.message}.`, {
    outcome: "notDone",
    hint: "Check that it is on a local disk, who owns it, and what its permissions are.",
    cause,
  });
}

function foreign(path: string, belongs: string): QuorateError {
  return new QuorateError("DATA_FOREIGN", `The data folder ${path} belongs ${belongs}.`, {
    outcome: "notDone",
    hint: "Name the folder that was made for this agent, or make a new one with `quorate init`.",
  });
}
