/** A backup as a client reads it: an agent's snapshot of a group, piece by piece, several of them on their way at a time. */
import { setTimeout as pause } from "node:timers/promises";
import type { Refusal } from "../../core/boundary.ts";
import { QuorateError, type Code } from "../../core/errors.ts";
import { groupName, type GroupName } from "../../core/ids.ts";
import { pieceCount, type FiledSnapshot } from "../../journal/snapshot-format.ts";
import type { SnapshotPiece } from "../../journal/snapshot-reader.ts";
import type { ClientLink, LinkFailure } from "../client-link.ts";
import { ClientPool } from "../client-pool.ts";
import { unreachableAgent } from "../dial.ts";
import {
  readBackupAnswer,
  readBackupPieceAnswer,
  writeBackup,
  type BackupAnswer,
  type BackupAt,
} from "./backup-wire.ts";

export interface RemoteBackupOptions {
  /** Tried one after the other, again and again while none of them can. */
  readonly agents: readonly string[];
  readonly group: string;
  readonly at: BackupAt;
  /** By when one of them has to have taken the snapshot. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Pieces on their way at a time: enough to keep a disk and a connection busy. */
const window = 8;
const retryMs = 100;
/** An agent that is there reads a piece in milliseconds, whatever else it does. */
const pieceMsMax = 30_000;

export class RemoteBackup {
  readonly snapshot: FiledSnapshot;
  readonly #agent: string;
  readonly #pool: ClientPool;
  readonly #link: ClientLink;

  private constructor(agent: string, pool: ClientPool, link: ClientLink, snapshot: FiledSnapshot) {
    this.#agent = agent;
    this.#pool = pool;
    this.#link = link;
    this.snapshot = snapshot;
  }

  /**
   * Has one of the agents take a snapshot. Rejects with what one of them said: `CANNOT_CONNECT`, `NO_QUORUM`,
   * `GROUP_MISMATCH`, `PROTOCOL`, `OVERLOADED`, `TIMEOUT`; with `DATA_MISSING` where nothing is decided yet, and with
   * `ABORTED`.
   */
  static async open(options: RemoteBackupOptions): Promise<RemoteBackup> {
    const ends = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
    let why: Error | undefined;
    while (!ends.aborted) {
      for (const agent of options.agents) {
        try {
          // oxlint-disable-next-line no-await-in-loop -- one is enough
          return await RemoteBackup.#openAt(agent, options, ends);
        } catch (error) {
          if (!ends.aborted) why = moreTelling(why, asError(error));
        }
      }
      if (!isPassing(why)) break;
      // oxlint-disable-next-line no-await-in-loop -- meanwhile somebody may be elected
      await pause(retryMs, undefined, { signal: ends }).catch(() => {});
    }
    if (options.signal.aborted) throw aborted();
    throw why ?? tooLate(options.timeoutMs);
  }

  /** What is under way ends with the signal. */
  static async #openAt(
    agent: string,
    { group, at }: RemoteBackupOptions,
    ends: AbortSignal,
  ): Promise<RemoteBackup> {
    const name = groupName(group);
    const pool = new ClientPool({ agents: [agent], pin: true, name: "quorate-backup" });
    const stop = (): void => pool.close();
    ends.addEventListener("abort", stop);
    try {
      const link = await linkTo(pool, agent);
      const answer = await askedOf(link, agent, name, at);
      if (answer.kind !== "opened") throw notOpened(name, answer);
      return new RemoteBackup(agent, pool, link, { ...answer.snapshot, group: name });
    } catch (error) {
      pool.close();
      throw error;
    } finally {
      ends.removeEventListener("abort", stop);
    }
  }

  /** All pieces, in order. Rejects with `CANNOT_CONNECT` where the agent is gone, `TIMEOUT` where it hangs, and `DATA_CORRUPT` where its file is damaged. */
  async *pieces(): AsyncGenerator<SnapshotPiece, void, undefined> {
    const count = pieceCount(this.snapshot);
    const underWay: Promise<SnapshotPiece>[] = [];
    for (let number = 0; number < count; number++) {
      while (underWay.length < window && number + underWay.length < count) {
        const piece = this.#piece(number + underWay.length);
        // Whoever stops reading does not hear of those behind.
        piece.catch(() => {});
        underWay.push(piece);
      }
      const piece = underWay.shift();
      // oxlint-disable-next-line no-await-in-loop -- in order; the next ones are on their way
      if (piece !== undefined) yield await piece;
    }
  }

  /** Idempotent. */
  close(): void {
    this.#pool.close();
  }

  async #piece(number: number): Promise<SnapshotPiece> {
    const { group } = this.snapshot;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(stuck(this.#agent, number)), pieceMsMax);
      this.#link.request(
        "backupPiece",
        "backupPieceAnswer",
        group,
        (writer) => writer.uint32(number),
        (answer, tail, failure) => {
          clearTimeout(late);
          if (answer === undefined) {
            reject(notAnswered(this.#agent, group, failure));
            return;
          }
          const piece = readBackupPieceAnswer(answer, tail);
          // A copy: it waits for those before it, and the connection's bytes are not kept for so long.
          if (piece !== undefined) resolve({ ...piece, bytes: piece.bytes.slice() });
          else reject(pieceLost(this.#agent, number));
        },
      );
    });
  }
}

async function linkTo(pool: ClientPool, agent: string): Promise<ClientLink> {
  return new Promise((resolve, reject) => {
    pool.watch(agent, { opened: resolve, lost: reject });
  });
}

async function askedOf(
  link: ClientLink,
  agent: string,
  group: GroupName,
  at: BackupAt,
): Promise<BackupAnswer> {
  return new Promise((resolve, reject) => {
    link.request(
      "backup",
      "backupAnswer",
      group,
      (writer) => writeBackup(writer, at),
      (answer, _tail, failure) => {
        if (answer === undefined) reject(notAnswered(agent, group, failure));
        else resolve(readBackupAnswer(answer, link.version));
      },
    );
  });
}

// ── why not ──

/** What an agent says is worth more than that another one does not answer. */
function moreTelling(before: Error | undefined, now: Error): Error {
  return before !== undefined && isCode(now, "CANNOT_CONNECT") ? before : now;
}

/** Whether it may be otherwise in a moment. */
function isPassing(error: Error | undefined): boolean {
  return isCode(error, "NO_QUORUM") || isCode(error, "OVERLOADED");
}

function isCode(error: Error | undefined, code: Code): boolean {
  return error instanceof QuorateError && error.code === code;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error("what was thrown is no error", { cause: thrown });
}

function notDone(code: Code, message: string, hint: string): QuorateError {
  return new QuorateError(code, message, { outcome: "notDone", hint });
}

function aborted(): QuorateError {
  return notDone("ABORTED", "The backup was given up.", "Nothing was written.");
}

function tooLate(timeoutMs: number): QuorateError {
  return notDone(
    "TIMEOUT",
    `No agent has taken a snapshot within ${timeoutMs} ms.`,
    "A large state takes its time: give it more with --timeout.",
  );
}

function notAnswered(agent: string, group: GroupName, failure: LinkFailure | undefined): QuorateError {
  switch (failure) {
    case undefined:
      return unreachableAgent(agent, "the connection broke");
    case "notInVersion":
      return notDone(
        "PROTOCOL",
        `The agent at ${agent} is too old to be asked for a backup.`,
        "Upgrade it, or name another one with --agent.",
      );
    case "overloaded":
      return notDone("OVERLOADED", `The agent at ${agent} has too much to do.`, "Try again a little later.");
    case "unknownGroup":
    case "closed":
      return notDone(
        "GROUP_MISMATCH",
        `The agent at ${agent} does not host a group ${group}.`,
        "Check the group's name: quorate doctor lists the groups.",
      );
  }
}

function notOpened(group: GroupName, answer: Exclude<BackupAnswer, { kind: "opened" }>): QuorateError {
  switch (answer.kind) {
    case "nothing":
      return notDone(
        "DATA_MISSING",
        `Nothing is decided in the group ${group} yet, so there is nothing to back up.`,
        "Try again when there is.",
      );
    case "failed":
      return notDone(
        "DISK_FULL",
        `The agent could not write the snapshot down: ${answer.why}.`,
        "Free some space there, or ask another agent with --agent.",
      );
    case "refused":
      return ofRefusal(group, answer.refusal);
  }
}

function ofRefusal(group: GroupName, { kind }: Refusal): QuorateError {
  if (kind === "overloaded") {
    return notDone("OVERLOADED", "Too many backups are being read there.", "Try again a little later.");
  }
  return notDone(
    "NO_QUORUM",
    `Nobody leads the group ${group}, so nobody knows whether an agent has all that was acknowledged.`,
    "Start more of its members; or take what one agent has, with --local.",
  );
}

function stuck(agent: string, number: number): QuorateError {
  return notDone(
    "TIMEOUT",
    `The agent at ${agent} has not sent piece ${number} within ${pieceMsMax / 1000} s.`,
    "Ask another agent with --agent, and look at that one: quorate doctor.",
  );
}

function pieceLost(agent: string, number: number): QuorateError {
  return notDone(
    "DATA_CORRUPT",
    `The agent at ${agent} can't read piece ${number} of its snapshot any more.`,
    "Ask another agent with --agent, and look at that one's disk: quorate doctor.",
  );
}
