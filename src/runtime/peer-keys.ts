/**
 * Who the peers are, by their keys. A member's key lives in its data folder and nowhere else: whoever comes under a known
 * name with another key has lost its folder, and with it what it promised. It is not let in before every group that had it
 * has decided to go on without it; then it may join again, as somebody new.
 *
 * A key is on the disk before its owner is believed anything. What groups have decided is written a moment later, once for all
 * that did so meanwhile: a crash in between loses nothing but time, as a group tells its decisions again when it begins anew, and
 * whoever still has an old key refuses more than it need, never less.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { equalBytes } from "../core/bytes.ts";
import { QuorateError } from "../core/errors.ts";
import type { AgentId, GroupName, LogIndex } from "../core/ids.ts";
import { everybody, areSameNames, type Members } from "../core/members.ts";
import { checkFormat, corrupt, readJsonFile } from "./cluster-file.ts";
import { writeFileDurably } from "./durable-file.ts";

const fileName = "peers.json";
const format = 1;

/** The members that a group had as of its newest decided configuration, and where in its log that is. */
interface KnownGroup {
  readonly index: number;
  readonly members: readonly string[];
}

export interface PeerKeysOptions {
  /** Runs a task once what goes on now is over. */
  readonly schedule: (task: () => void) => void;
  /** What groups have decided can't be written; the next decision tries again. */
  readonly failed: (error: unknown) => void;
}

export class PeerKeys {
  readonly #path: string;
  readonly #options: PeerKeysOptions;
  readonly #keys = new Map<string, Uint8Array>();
  readonly #groups = new Map<string, KnownGroup>();
  readonly #flush = (): void => this.flush();
  /** The disk has not all of what is known. */
  #isStale = false;
  #isScheduled = false;

  /** Throws `DATA_CORRUPT` and `DATA_VERSION`. */
  constructor(dataFolder: string, options: PeerKeysOptions) {
    this.#options = options;
    this.#path = join(dataFolder, fileName);
    if (!existsSync(this.#path)) return;
    const value = readJsonFile(this.#path, "list of peers");
    checkFormat(this.#path, value["format"], format);
    try {
      for (const [id, key] of Object.entries(value["keys"] as Record<string, string>))
        this.#keys.set(id, new Uint8Array(Buffer.from(key, "base64url")));
      for (const [name, group] of Object.entries(value["groups"] as Record<string, KnownGroup>))
        this.#groups.set(name, { index: group.index, members: [...group.members] });
    } catch (cause) {
      throw corrupt(this.#path, cause);
    }
  }

  /**
   * Undefined where that peer may be talked to: the first key that it shows is kept, durably, before it is believed anything.
   * A program of the first version shows none. Throws what writing throws; then the key is not known either.
   */
  admit(peer: AgentId, key: Uint8Array | undefined): QuorateError | undefined {
    const known = this.#keys.get(peer);
    if (key === undefined || (known !== undefined && equalBytes(known, key))) return undefined;
    if (known !== undefined) return anotherKey(peer);
    this.#keys.set(peer, key.slice());
    try {
      this.#write();
    } catch (error) {
      this.#keys.delete(peer);
      throw error;
    }
    return undefined;
  }

  /** A group has decided who takes part. Told again in the same order after a restart, which changes nothing. */
  decided(group: GroupName, index: LogIndex, members: Members): void {
    const before = this.#groups.get(group);
    if (before !== undefined && before.index >= index) return;
    const now: string[] = [...everybody(members)];
    this.#groups.set(group, { index, members: now });
    // The same members later: after a restart they are told again, and are still the same.
    if (before !== undefined && areSameNames(before.members, now)) return;
    for (const id of before?.members ?? []) {
      const isMember = [...this.#groups.values()].some((other) => other.members.includes(id));
      if (!isMember) this.#keys.delete(id);
    }
    this.#isStale = true;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.schedule(this.#flush);
  }

  /** Writes what has yet to be written. */
  flush(): void {
    this.#isScheduled = false;
    if (!this.#isStale) return;
    try {
      this.#write();
    } catch (error) {
      this.#options.failed(error);
    }
  }

  #write(): void {
    const keys = Object.fromEntries(
      [...this.#keys].map(([id, key]) => [id, Buffer.from(key).toString("base64url")]),
    );
    const groups = Object.fromEntries(this.#groups);
    writeFileDurably(this.#path, `${JSON.stringify({ format, keys, groups }, undefined, 2)}\n`, 0o644);
    this.#isStale = false;
  }
}

function anotherKey(peer: AgentId): QuorateError {
  return new QuorateError(
    "DENIED",
    `${peer} has another key than before: its data folder was made anew, and it has forgotten what it promised.`,
    {
      outcome: "notDone",
      hint: `Put the old folder back as it last was. Where it is lost: \`quorate members remove ${peer}\`, then have it join again (\`quorate init --join\`, \`quorate members add\`).`,
    },
  );
}
