/**
 * All that one member of a group knows, each field with what holds of it. The duties (election, leadership, replication,
 * following, committing, proposals, reads) are functions over it, one file each.
 */
import {
  assert,
  isSound,
  jointVoteResult,
  limits,
  microsFromMs,
  type AgentId,
  type Hibernation,
  type LogIndex,
  type Members,
  type Micros,
  type Prng,
  type RecordNumber,
  type Role,
  type Term,
  type Ticket,
} from "../core/index.ts";
import { Configurations } from "./configurations.ts";
import type { Lease } from "./lease.ts";
import { Log } from "./log.ts";
import type { Append, BaseRecord, Checkpoint } from "./messages.ts";
import { priorityDefault, raftLimits, type RaftLimits, type RaftOptions } from "./options.ts";
import { PendingRecords } from "./pending-records.ts";
import type { Progress } from "./progress.ts";
import { Slab } from "./slab.ts";
import { Window } from "./window.ts";

/** Waits for a leader, or hears one. Learners are never anything else. */
export interface Following {
  readonly kind: "following";
  /** Who leads the current term, once it was heard from. */
  readonly leader: AgentId | undefined;
  /** The ticket that the next request to the leader will have; its reads are still gathering. */
  gathering: Ticket | undefined;
  /** The request that is on its way to the leader: one at a time. */
  asked: Ticket | undefined;
  askedAt: Micros;
}

/** Asks whether it would win, and has changed nothing yet. */
export interface Polling {
  readonly kind: "polling";
  readonly votes: Map<AgentId, boolean>;
}

/** A candidate: it has a term of its own and its own vote. */
export interface Standing {
  readonly kind: "standing";
  /** First answers only. Its own vote is among them once it is durable. */
  readonly votes: Map<AgentId, boolean>;
  /** Holds the term and the own vote. */
  readonly voteRecord: RecordNumber;
}

/** Reads that one heartbeat round confirms. */
export interface ReadBatch {
  /** The leader's own reads, if there are any. */
  ticket: Ticket | undefined;
  /** Reads of followers: the newest request of each. */
  readonly requests: Map<AgentId, Ticket>;
  /** Set when the round leaves: what was decided by then. */
  index: LogIndex;
  round: number;
}

/** What a leader knows of its group's rest. */
export interface Rest {
  /** Beats in a row before which nothing had happened since the one before. */
  quietBeats: number;
  /** With so many it asks the next time who may sleep. */
  askAtBeat: number;
  /** The log's end and the round as they were at the last beat. Undefined: a read came since. */
  last: LogIndex | undefined;
  round: number;
  /** The beat of the question that a peer has yet to answer; nothing else was sent to it since. */
  readonly asked: Map<Progress, number>;
  /** Those who agreed: they have all of the log, and get no heartbeats. */
  readonly sleepers: Set<Progress>;
  /** The leader sleeps, too. */
  asleep: boolean;
}

/** A hand-over that is under way; see `transfer.ts`. */
export interface Transfer {
  readonly to: AgentId;
  /** Then it is given up. */
  readonly endsAt: Micros;
  /** The end of the log, where it stays meanwhile. */
  readonly last: LogIndex;
}

export interface Leading {
  readonly kind: "leading";
  /** Its entry without a command: once that is decided, so is everything before it. */
  readonly firstIndex: LogIndex;
  /** Everybody else who takes part, voters and learners; and, for a while, whoever has just been removed. */
  readonly peers: Map<AgentId, Progress>;
  /** Instant of the next heartbeat; they keep to a grid from the day of election. */
  heartbeatAt: Micros;
  /** Heartbeats that were due so far: the leader's sense of time for what its peers owe it. */
  beat: number;
  /** The last heartbeat round that left: one per beat, and one for each batch of reads. Only rises. */
  round: number;
  /** Reads that wait for a round to leave. */
  gathering: ReadBatch | undefined;
  /** Reads whose round has left, in its order. */
  readonly confirming: ReadBatch[];
  rest: Rest;
  /** When it took office, or last woke: before that it owed nobody a heartbeat, so nobody owed it an answer. */
  awakeSince: Micros;
  /** The log's bytes up to `commitIndex`, as `Log.bytesAppended` counts them. */
  committedBytes: number;
  /** The log's end as it was noted last, when that was, and as it was noted before: see `isCaughtUp` in membership.ts. */
  markedEnd: LogIndex;
  markedAt: Micros;
  earlierEnd: LogIndex;
  /** Logged time of its last entry, in microseconds. Never falls. */
  lastTime: number;
  /** The highest priority among the other voters that are there, as of the last beat. */
  nextPriority: number;
  readonly lease: Lease;
  /** One at a time. */
  transfer: Transfer | undefined;
  /** It was removed, that is decided, and it has tried to hand over. */
  isRetiring: boolean;
  /** The last append with entries, for the next peer that needs the same; see `replication.ts`. */
  lastAppend: PackedAppend | undefined;
  /** How far each voter's disk has the log, and which round it answered. Made once: these run for every acknowledgement. */
  readonly matchedOf: (id: AgentId) => LogIndex | undefined;
  readonly roundOf: (id: AgentId) => LogIndex | undefined;
}

export interface PackedAppend {
  readonly message: Append;
  /** The last entry in it. */
  readonly last: LogIndex;
  readonly byteLength: number;
  /** The log's end when it was packed. */
  readonly logLast: LogIndex;
}

/** A read that is confirmed and waits for this agent's state to reach its index. */
export interface SettledRead {
  readonly ticket: Ticket;
  readonly index: LogIndex;
}

export class RaftState {
  readonly self: AgentId;
  readonly prng: Prng;
  readonly limits: RaftLimits;
  readonly electionTimeoutMin: Micros;
  readonly electionTimeoutMax: Micros;
  readonly heartbeatInterval: Micros;
  /** 0 to `limits.priorityMax`; 0: it leads only where somebody asks it to. */
  readonly priority: number;
  readonly leaseReads: boolean;
  /** Somebody may still count on what it had acknowledged as the member that it was before. */
  readonly beginsAnew: boolean;
  /** Undefined: it never sleeps. */
  readonly hibernationOptions: { readonly quietBeats: number; readonly renewalInterval: Micros } | undefined;

  // ── as the records say; changed by `fold` in records.ts and by nothing else ──
  readonly configurations: Configurations;
  /** Never falls. */
  term = 0 as Term;
  /** Never changes within a term once it is somebody. */
  votedFor: AgentId | undefined;
  /** It pledges its vote for so long at a time, or did in an earlier life; 0: it never did. */
  pledge = 0 as Micros;
  readonly log: Log;
  /** What the state starts from at a restart. Its index only rises; the log starts there or, for followers that lag, before. */
  base: BaseRecord;
  /** 0: not yet pushed. */
  baseRecord = 0 as RecordNumber;
  /** The log had no entry behind the base when that was pushed. */
  baseEndsLog = true;

  // ── volatile ──
  nextRecord: RecordNumber;
  pending: PendingRecords;
  /** Recovery needs no record below this one. Never falls; behind it is only what durable records replace. */
  neededFrom = 1 as RecordNumber;
  /** The index of the newest base that is durable. */
  durableBase = 0 as LogIndex;
  role: Leading | Standing | Polling | Following = following(undefined);
  /** Known to be decided. Never falls, never above the log's end. */
  commitIndex = 0 as LogIndex;
  /** Given to the state machine. Never above `commitIndex` or what is durable here. */
  handedOut = 0 as LogIndex;
  /** Never above `handedOut`. */
  applied = 0 as LogIndex;
  /** Runs given to the state machine and not yet applied. */
  readonly applying: Window = new Window(limits.applyRunsMax);
  /** A snapshot has arrived and is the base; until that is durable, the state is not replaced by it, and nothing is handed out. */
  installing = false;
  /** The driver was told to replace the state, and has not reported so. Until then, nothing is handed out. */
  restoring = false;
  /** The read from the journal that the next commit waits for. */
  commitLoad: Ticket | undefined;
  readonly settledReads: SettledRead[] = [];
  /** The digests of this agent's state at the newest checkpoints, oldest first. */
  readonly checkpoints: Checkpoint[] = [];
  /** The leader's word about a checkpoint that is still to come here. */
  awaitedCheckpoint: Checkpoint | undefined;
  /** Checkpoints up to here were compared already. */
  comparedThrough = 0 as LogIndex;
  /** Where a leader's runs are written. */
  readonly slab: Slab = new Slab();
  /** Tickets of loads and reads. The first is drawn at random, so that one of an earlier life is not taken for a new one. */
  nextTicket: number;

  // ── time ──
  woken = false;
  deadline = 0 as Micros;
  /** The patience for a leader started anew here: a word from it, a vote granted, a new attempt. */
  quietSince = 0 as Micros;
  /** The patience of this attempt. */
  electionTimeout = 0 as Micros;
  /** As the leader told last: some voter that is there should lead next, and has this priority. */
  nextPriority = 0;
  /** The log behind this index is held for members that lag, as the leader told last; all of it until one has told so. */
  heldBehind = 0 as LogIndex;
  /** Campaigns since a leader was last heard from. */
  attempts = 0;
  /** Polls in a row while no quorum of voters was heard of. */
  pollsUnheard = 0;
  /** The other voters that were heard of since the last of those polls. */
  readonly heardSincePoll: Set<AgentId> = new Set();
  /** When the current leader was last heard from; it keeps this agent from voting for others. */
  leaderHeardAt = Number.NEGATIVE_INFINITY as Micros;
  /** It has pledged its vote until then, whatever term it is in by now. Never falls. */
  pledgedUntil = Number.NEGATIVE_INFINITY as Micros;
  /** What earlier lives pledged is over then. */
  earlierPledgeEnds = Number.NEGATIVE_INFINITY as Micros;
  /** Has the present `pledge`; 0: one of an earlier life does. */
  pledgeRecord = 0 as RecordNumber;
  /** While it sleeps. Only whoever leads, or follows a known leader, does. */
  hibernation: Hibernation | undefined;
  /** Members to whom the link is known to be down, or who answered their leader nothing for long, and of whom nothing was heard since. */
  readonly absent: Set<AgentId> = new Set();

  constructor(options: RaftOptions) {
    const [shortest, longest] = options.electionTimeoutMs;
    assert(shortest <= longest, "the election time-outs are a range, its lower end first");
    assert(options.heartbeatMs > 0, "heartbeats have an interval");
    assert(options.heartbeatMs * 2 <= shortest, "one lost heartbeat does not start an election");
    assert(isSound(options.members), "R23: a group has voters, or its members are yet to be learnt");
    this.self = options.self;
    this.configurations = new Configurations(options.members);
    this.prng = options.prng;
    this.limits = raftLimits(options.limits);
    this.electionTimeoutMin = microsFromMs(shortest);
    this.electionTimeoutMax = microsFromMs(longest);
    this.heartbeatInterval = microsFromMs(options.heartbeatMs);
    this.priority = options.priority ?? priorityDefault;
    assert(
      Number.isInteger(this.priority) && this.priority >= 0 && this.priority <= limits.priorityMax,
      "a priority is a whole number up to the limit",
    );
    this.leaseReads = options.leaseReads ?? false;
    this.beginsAnew = options.beginsAnew ?? false;
    this.hibernationOptions = checkHibernation(options.hibernation);
    this.log = new Log(this.limits.logKeptBytesMax);
    const start = { index: 0 as LogIndex, term: 0 as Term, time: 0 };
    this.base = { kind: "base", ...start, members: options.members };
    this.nextRecord = 1 as RecordNumber;
    this.pending = new PendingRecords(0, 0 as LogIndex);
    this.nextTicket = options.prng.uint32() * 2 ** 20 + 1;
  }

  /** Who takes part: the newest configuration in the log, decided or not. */
  get members(): Members {
    return this.configurations.newest;
  }
}

function checkHibernation(options: RaftOptions["hibernation"]): RaftState["hibernationOptions"] {
  if (options === undefined) return undefined;
  const { quietBeats, renewalMs } = options;
  assert(Number.isSafeInteger(quietBeats) && quietBeats > 0, "a group is idle for at least a beat");
  assert(renewalMs > 0, "a sleep is renewed after some time");
  return { quietBeats, renewalInterval: microsFromMs(renewalMs) };
}

export function following(leader: AgentId | undefined): Following {
  return { kind: "following", leader, gathering: undefined, asked: undefined, askedAt: 0 as Micros };
}

export function isVoter(state: RaftState, id: AgentId): boolean {
  return votesIn(state.members, id);
}

function votesIn({ voters, outgoing }: Members, id: AgentId): boolean {
  return voters.includes(id) || outgoing.includes(id);
}

export function isMember(state: RaftState, id: AgentId): boolean {
  return isVoter(state, id) || state.members.learners.includes(id);
}

/** Whether this agent and those others are a quorum of the voters. */
export function isQuorum(state: RaftState, includes: (other: AgentId) => boolean): boolean {
  return jointVoteResult(state.members, (id) => id === state.self || includes(id)) === "won";
}

/** A group of one: nobody to ask, nobody to wait for. */
export function isSoleVoter(state: RaftState): boolean {
  const { voters, outgoing } = state.members;
  return voters.length === 1 && voters[0] === state.self && outgoing.length === 0;
}

/**
 * Who votes; and who did, until it is known to be decided that it does not any more: until then the others may need its log,
 * which is the longest (thesis, section 4.2.2 and figure 4.6). Its own vote and its own disk don't count then.
 */
export function mayCampaign(state: RaftState): boolean {
  const { configurations, commitIndex, self } = state;
  if (isVoter(state, self)) return true;
  const { previous } = configurations;
  return previous !== undefined && commitIndex < configurations.newestIndex && votesIn(previous, self);
}

/** Who leads the current term, as far as this agent knows. */
export function leaderOf(state: RaftState): AgentId | undefined {
  if (state.role.kind === "leading") return state.self;
  return state.role.kind === "following" ? state.role.leader : undefined;
}

/** The role as the boundary names it. A poll changes nothing, so whoever polls is still a follower. */
export function roleName(state: RaftState): Role {
  if (state.role.kind === "leading") return "leader";
  if (state.role.kind === "standing") return "candidate";
  return isVoter(state, state.self) ? "follower" : "learner";
}

export function newTicket(state: RaftState): Ticket {
  const ticket = state.nextTicket as Ticket;
  state.nextTicket += 1;
  return ticket;
}

/**
 * A leader is being heard from: no vote for anybody else (thesis, section 4.2.3). To one who sleeps, the leader's agent is
 * heard from.
 */
export function hearsLeader(state: RaftState, now: Micros): boolean {
  if (state.role.kind === "leading" || state.hibernation !== undefined) return true;
  return state.leaderHeardAt + state.electionTimeoutMin > now;
}

/** The oldest record waits for the disk longer than an election may take: whoever depends on this disk is better off without. */
export function diskStalls(state: RaftState, now: Micros): boolean {
  return state.pending.oldestPushedAt + state.electionTimeoutMax < now;
}
