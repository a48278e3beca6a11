/**
 * What must hold across the agents of one Raft group, checked after every input of every core (Ongaro and Ousterhout,
 * "In Search of an Understandable Consensus Algorithm", 2014, figure 3). Every check is of constant cost: a log is
 * compared where it grows, a leader where it is elected, a commit where it rises.
 */
import type { Role } from "../core/boundary.ts";
import { present } from "../core/assert.ts";
import { readUint32 } from "../core/bytes.ts";
import {
  entryIndex,
  entryKind,
  entryLength,
  entrySequence,
  entrySession,
  entryTerm,
  type EntryKind,
} from "../core/entry.ts";
import type { AgentId, LogIndex, Term } from "../core/ids.ts";
import { isSameMembers, membersOf, unknownMembers, type Members } from "../core/members.ts";
import { majority } from "../core/quorum.ts";
import type { SnapshotNews } from "../driver/hosted.ts";
import type { BaseRecord, HardState, RaftPromise, RaftRecord } from "../raft/messages.ts";
import { Mirror, type Configuration } from "./mirror.ts";
import { Violation } from "./violation.ts";

/** What the checks read of a core: cheap, and after every input. */
export interface CoreView {
  readonly role: Role;
  readonly term: Term;
  readonly votedFor: AgentId | undefined;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  termAt(index: LogIndex): Term | undefined;
  checkInvariants(): void;
}

/** One entry that some agent has had at an index. */
interface SeenEntry {
  readonly term: number;
  readonly checksum: number;
  readonly previousTerm: number;
}

/** An entry as decided: the same on every agent. */
export interface DecidedEntry {
  readonly term: number;
  readonly checksum: number;
  readonly kind: EntryKind;
  readonly session: number;
  readonly sequence: number;
}

/** Per agent: what the last look saw. */
interface Seen {
  role: Role;
  term: number;
  commit: number;
  applied: number;
}

export class ClusterChecker {
  readonly mirrors: readonly Mirror[];
  readonly #names: readonly AgentId[];
  readonly #seen: Seen[];
  readonly #leaders = new Map<number, number>();
  readonly #votes: Map<number, string>[];
  readonly #entries: SeenEntry[][] = [];
  /** Term of each committed entry, by index. */
  readonly #committed: number[] = [0];
  /** How far the log was committed when a leader of each term said so; both rise. */
  readonly #commits: { readonly term: number; readonly index: number }[] = [];
  readonly #decided: (DecidedEntry | undefined)[] = [undefined];
  /** Those that are decided, rising. */
  readonly #configurations: Configuration[];
  elections = 0;
  /** Snapshots that were taken, that began to come from a peer, and that came; states that began from one. */
  snapshots = 0;
  arriving = 0;
  arrivals = 0;
  restores = 0;

  /** `joiners`: so many of the last are no founders, and know nobody at first. */
  constructor(names: readonly AgentId[], joiners: number) {
    this.#names = names;
    const founders = names.slice(0, names.length - joiners);
    const members = membersOf(founders);
    this.#configurations = [{ index: 0, members }];
    this.mirrors = names.map((_, at) => new Mirror(at < founders.length ? members : unknownMembers));
    this.#votes = names.map(() => new Map<number, string>());
    this.#seen = names.map(() => ({ role: "follower", term: 0, commit: 0, applied: 0 }));
  }

  get committed(): number {
    return this.#committed.length - 1;
  }

  /** The newest configuration that is decided. */
  get members(): Members {
    return this.#membersAt(this.committed);
  }

  #membersAt(index: number): Members {
    const found = this.#configurations.findLast((configuration) => configuration.index <= index);
    return present(found, "a group begins with its founders").members;
  }

  /** The entry decided at `index`, once some agent has applied it. */
  decided(index: number): DecidedEntry | undefined {
    return this.#decided[index];
  }

  // ── records ──

  recordPushed(agent: number, record: RaftRecord, number: number, checksum: number): void {
    const mirror = this.#mirror(agent);
    if (record.kind === "base") this.#checkBase(agent, record);
    if (record.kind === "entries")
      this.#checkNotUndone(agent, record.run.first, entryTerm(record.run.bytes, 0));
    mirror.push(record, number, checksum);
    if (record.kind !== "entries") return;
    this.#checkEntries(agent, record.run.bytes, mirror.pushed.terms[record.run.first - 1] ?? 0);
    this.#checkOneChange(agent);
  }

  reportedDurable(agent: number, through: number): void {
    this.#mirror(agent).reportedDurable(through, (record) => this.#noteVote(agent, record));
  }

  /** What a restart finds in the journal, before any core sees it. */
  recovered(agent: number, records: readonly RaftRecord[], checksums: readonly number[], next: number): void {
    this.#mirror(agent).recover(this.#name(agent), records, checksums, next);
    for (const record of records) this.#noteVote(agent, record);
  }

  /** Entries of one index and term are the same, and follow an entry of the same term: by induction, so is all before. */
  #checkEntries(agent: number, bytes: Uint8Array, termBefore: number): void {
    let previousTerm = termBefore;
    for (let offset = 0; offset < bytes.length; offset += entryLength(bytes, offset)) {
      const index = entryIndex(bytes, offset);
      const term = entryTerm(bytes, offset);
      const checksum = readUint32(bytes, offset + 4);
      const at = (this.#entries[index] ??= []);
      const same = at.find((entry) => entry.term === term);
      if (same === undefined) at.push({ term, checksum, previousTerm });
      else if (same.checksum !== checksum || same.previousTerm !== previousTerm) {
        throw new Violation(
          "logMatching",
          `${this.#name(agent)} has another entry ${index} of term ${term}, or another before it`,
        );
      }
      previousTerm = term;
    }
  }

  /** What a state starts from is decided, and so is who takes part then. Before a first entry nobody needs to know. */
  #checkBase(agent: number, { index, term, members }: BaseRecord): void {
    if (this.#committed[index] !== term) {
      throw new Violation(
        "stateMachineSafety",
        `${this.#name(agent)} has a base at ${index} of term ${term}, which is not committed`,
      );
    }
    if (index === 0 || isSameMembers(members, this.#membersAt(index))) return;
    throw new Violation("snapshotMembers", `${this.#name(agent)} has a base at ${index} with other members`);
  }

  /** Whoever wrote the newest had seen the one before decided; and a log that has the newest has all before it. */
  #checkOneChange(agent: number): void {
    const { previousConfiguration } = this.#mirror(agent).pushed;
    if (previousConfiguration === undefined || previousConfiguration.index <= this.committed) return;
    throw new Violation(
      "oneChange",
      `${this.#name(agent)} has new members while those of entry ${previousConfiguration.index} are undecided`,
    );
  }

  #checkNotUndone(agent: number, first: number, term: number): void {
    const committedTerm = this.#committed[first];
    if (committedTerm === undefined || committedTerm === term) return;
    if (this.#mirror(agent).pushed.terms[first] !== committedTerm) return;
    throw new Violation(
      "commitDurability",
      `${this.#name(agent)} replaces the committed entry ${first} of term ${committedTerm}`,
    );
  }

  /** Only a vote on disk counts: one that a crash took was never told to anybody. */
  #noteVote(agent: number, record: RaftRecord): void {
    const { term, votedFor } = hardStateOf(record) ?? {};
    if (term === undefined || votedFor === undefined) return;
    const votes = this.#votes[agent] as Map<number, string>;
    const before = votes.get(term);
    votes.set(term, votedFor);
    if (before === undefined || before === votedFor) return;
    throw new Violation(
      "oneVote",
      `${this.#name(agent)} voted for ${before} and for ${votedFor} in term ${term}`,
    );
  }

  // ── words ──

  /** A promise leaves its agent: what it says must be on disk by what the journal reported. */
  promiseSent(agent: number, to: string, promise: RaftPromise): void {
    const { durable } = this.#mirror(agent);
    const broken = (what: string): never => {
      throw new Violation(
        "promiseDurability",
        `${this.#name(agent)} sends ${promise.kind} of term ${promise.term} to ${to}, but ${what} on its disk`,
      );
    };
    if (promise.term > durable.term) broken(`only term ${durable.term} is`);
    if (promise.term < durable.term) return;
    if (promise.kind === "voteRequest" && durable.vote !== this.#name(agent))
      broken("its vote for itself is not");
    if (promise.kind === "voteAnswer" && promise.granted && durable.vote !== to) broken("the vote is not");
    if (promise.kind === "appendMatched" && promise.matched > durable.last)
      broken(`its log ends at ${durable.last}`);
  }

  // ── cores ──

  /** After a restart: the core must say what its records say. */
  restarted(agent: number, core: CoreView): void {
    const { pushed } = this.#mirror(agent);
    const name = this.#name(agent);
    if (core.term !== pushed.term)
      throw new Violation("recovery", `${name} restarts in term ${core.term}, not ${pushed.term}`);
    if (core.votedFor !== pushed.vote) {
      throw new Violation(
        "recovery",
        `${name} restarts with its vote at ${core.votedFor ?? "nobody"}, not ${pushed.vote ?? "nobody"}`,
      );
    }
    if (core.lastIndex !== pushed.last)
      throw new Violation(
        "recovery",
        `${name} restarts with a log up to ${core.lastIndex}, not ${pushed.last}`,
      );
    if (core.termAt(core.lastIndex) !== pushed.terms[pushed.last])
      throw new Violation("recovery", `${name} restarts with another last entry`);
    this.#seen[agent] = { role: core.role, term: core.term, commit: 0, applied: 0 };
  }

  /** After every input of a core. True: role, term or commit changed. */
  stepped(agent: number, core: CoreView): boolean {
    core.checkInvariants();
    const seen = this.#seen[agent] as Seen;
    const changed = core.role !== seen.role || core.term !== seen.term;
    if (changed) {
      if (core.term < seen.term)
        throw new Violation(
          "recovery",
          `${this.#name(agent)} went from term ${seen.term} back to ${core.term}`,
        );
      seen.role = core.role;
      seen.term = core.term;
      if (core.role === "leader") this.#elected(agent, core);
    }
    if (core.commitIndex === seen.commit) return changed;
    this.#committedUpTo(agent, core, seen.commit);
    seen.commit = core.commitIndex;
    return true;
  }

  #elected(agent: number, core: CoreView): void {
    const before = this.#leaders.get(core.term);
    if (before !== undefined && before !== agent) {
      throw new Violation(
        "electionSafety",
        `${this.#name(before)} and ${this.#name(agent)} both lead in term ${core.term}`,
      );
    }
    if (before === undefined) this.elections += 1;
    this.#leaders.set(core.term, agent);
    this.#checkVotes(agent, core);
    for (let at = this.#commits.length - 1; at >= 0; at--) {
      const commit = this.#commits[at] as { term: number; index: number };
      if (commit.term >= core.term) continue;
      const expected = this.#committed[commit.index];
      if (core.termAt(commit.index as LogIndex) === expected) return;
      // It is in the snapshot, which was found to be of what is committed.
      if (commit.index <= this.#mirror(agent).pushed.base) return;
      throw new Violation(
        "leaderCompleteness",
        `${this.#name(agent)} leads in term ${core.term} without entry ${commit.index} of term ${expected}, committed in term ${commit.term}`,
      );
    }
  }

  /** It may be on its way out itself: its own vote counts for nothing then. */
  #checkVotes(agent: number, core: CoreView): void {
    const name = this.#name(agent);
    const { configuration, previousConfiguration } = this.#mirror(agent).pushed;
    const leaving = configuration.index > core.commitIndex ? previousConfiguration?.members : undefined;
    if (!votersOf(configuration.members).includes(name) && !votersOf(leaving).includes(name))
      throw new Violation("electionQuorum", `${name} leads in term ${core.term} and is no voter`);
    if (this.#areEnough(configuration.members, (at) => this.#votes[at]?.get(core.term) === name)) return;
    throw new Violation(
      "electionQuorum",
      `${name} leads in term ${core.term} without the votes of ${inWords(configuration.members)}`,
    );
  }

  /** Whether those who `have` are a majority of the voters, and of those whom they replace. */
  #areEnough({ voters, outgoing }: Members, have: (agent: number) => boolean): boolean {
    return [voters, outgoing].every((ids) => {
      const count = ids.filter((id) => have(this.#names.indexOf(id))).length;
      return ids.length === 0 || count >= majority(ids.length);
    });
  }

  #committedUpTo(agent: number, core: CoreView, before: number): void {
    const index = core.commitIndex;
    if (index < before)
      throw new Violation(
        "commitDurability",
        `${this.#name(agent)} takes back its commit of ${before}, to ${index}`,
      );
    const term = core.termAt(index);
    if (index <= this.committed) {
      if (term === this.#committed[index]) return;
      throw new Violation(
        "stateMachineSafety",
        `${this.#name(agent)} commits entry ${index} of term ${term}, others of term ${this.#committed[index]}`,
      );
    }
    // What this input adds to its log is not there yet: these are the members by whom it counted.
    const { pushed } = this.#mirror(agent);
    const { members } = pushed.configuration;
    const holds = (at: number): boolean => this.mirrors[at]?.durable.terms[index] === term;
    if (!this.#areEnough(members, holds)) {
      const holders = this.#names.filter((_, at) => holds(at));
      throw new Violation(
        "commitDurability",
        `${this.#name(agent)} commits entry ${index} of term ${term}, which the disks of ${holders.join(", ")} hold, by ${inWords(members)}`,
      );
    }
    this.#configurations.push(...pushed.configurationsBetween(this.committed + 1, index));
    for (let at = this.committed + 1; at <= index; at++)
      this.#committed.push(core.termAt(at as LogIndex) ?? -1);
    const last = this.#commits.at(-1);
    if (last?.term === core.term) this.#commits.pop();
    this.#commits.push({ term: Math.max(core.term, last?.term ?? 0), index });
  }

  // ── states ──

  /** An agent's state is that of a snapshot now. */
  restored(agent: number, index: number): void {
    const seen = this.#seen[agent] as Seen;
    const name = this.#name(agent);
    if (index > this.committed)
      throw new Violation("stateMachineSafety", `${name} has a state of ${index}, which is not committed`);
    if (index <= seen.applied)
      throw new Violation("stateMachineSafety", `${name} goes from ${seen.applied} back to ${index}`);
    seen.applied = index;
    this.restores += 1;
  }

  snapshotNews(news: SnapshotNews): void {
    if (news.kind === "taken") this.snapshots += 1;
    if (news.kind === "receiving") this.arriving += 1;
    if (news.kind === "received") this.arrivals += 1;
  }

  /** Before an agent applies an entry. */
  applying(agent: number, bytes: Uint8Array, offset: number): DecidedEntry {
    const seen = this.#seen[agent] as Seen;
    const index = entryIndex(bytes, offset);
    const entry: DecidedEntry = {
      term: entryTerm(bytes, offset),
      checksum: readUint32(bytes, offset + 4),
      kind: entryKind(bytes, offset),
      session: entrySession(bytes, offset),
      sequence: entrySequence(bytes, offset),
    };
    const name = this.#name(agent);
    if (index !== seen.applied + 1)
      throw new Violation("stateMachineSafety", `${name} applies entry ${index} after ${seen.applied}`);
    if (index > this.committed)
      throw new Violation("stateMachineSafety", `${name} applies entry ${index}, which is not committed`);
    if (entry.term !== this.#committed[index])
      throw new Violation("stateMachineSafety", `${name} applies another entry ${index} than was committed`);
    const before = this.#decided[index];
    if (before !== undefined && before.checksum !== entry.checksum) {
      throw new Violation("stateMachineSafety", `${name} applies another entry ${index} than others did`);
    }
    if (before === undefined) this.#decided[index] = entry;
    seen.applied = index;
    return before ?? entry;
  }

  #mirror(agent: number): Mirror {
    return this.mirrors[agent] as Mirror;
  }

  #name(agent: number): AgentId {
    return this.#names[agent] as AgentId;
  }
}

function hardStateOf(record: RaftRecord): HardState | undefined {
  if (record.kind === "base") return record.hardState;
  return record.kind === "hardState" ? record : undefined;
}

function votersOf(members: Members | undefined): readonly AgentId[] {
  return members === undefined ? [] : [...members.voters, ...members.outgoing];
}

function inWords({ voters, outgoing }: Members): string {
  return outgoing.length === 0 ? voters.join(", ") : `${voters.join(", ")} and of ${outgoing.join(", ")}`;
}
