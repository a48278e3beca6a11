/**
 * One member of one Raft group, as a core: every input comes in here and is passed to the duty that it concerns. The rules
 * and the invariants (R1 and on) are in SPEC.md.
 */
import {
  assert,
  isSameMembers,
  unreachable,
  type Address,
  type AgentId,
  type Hibernation,
  type LogCore,
  type LogIndex,
  type LogStatus,
  type MemberChange,
  type Members,
  type Micros,
  type Now,
  type Outbox,
  type RecordNumber,
  type Recovered,
  type Refusal,
  type Role,
  type Run,
  type Snapshot,
  type Term,
  type Ticket,
} from "../core/index.ts";
import { applyThrough, decidedLoaded, handOut } from "./committing.ts";
import {
  campaign,
  ownVoteMayCount,
  patienceMayEnd,
  receiveCampaignNow,
  receivePreVoteAnswer,
  receivePreVoteRequest,
  receiveVoteAnswer,
  receiveVoteRequest,
} from "./election.ts";
import { receiveAppend, receiveCommit, receiveHeartbeat } from "./following.ts";
import {
  askWhoLeads,
  awaken,
  awakenFor,
  isAsleep,
  peerLinkWatched,
  receiveHibernate,
  receiveHibernating,
  receiveWakeUp,
  sleepEnds,
} from "./hibernation.ts";
import { checkInvariants } from "./invariants.ts";
import { keepEarlierPledge, leaseEnds } from "./lease.ts";
import { keepOffice, receiveHeartbeatAnswer } from "./leadership.ts";
import type {
  AppendMatched,
  AppendRejected,
  Forward,
  ForwardRefused,
  HeartbeatAnswer,
  Hibernating,
  RaftMessage,
  RaftPromise,
  RaftProtocol,
  ReadAnswer,
  ReadRequest,
} from "./messages.ts";
import { carryOn, changeMembers } from "./membership.ts";
import type { RaftOptions } from "./options.ts";
import { noteHeard, noteLinkUp } from "./patience.ts";
import { propose, receiveForward, type ProposeResult } from "./proposals.ts";
import { read, receiveReadAnswer, receiveReadRequest, releaseReads } from "./reads.ts";
import { foundGroup, recover, trimTail } from "./records.ts";
import {
  decide,
  entriesLoaded,
  peerLinkChanged,
  receiveMatched,
  receiveRejected,
  snapshotDelivered,
} from "./replication.ts";
import { anchorNow, baseMayBeDurable, baseSnapshot, snapshotArrived, snapshotTaken } from "./snapshots.ts";
import { isMember, isSoleVoter, leaderOf, RaftState, roleName } from "./state.ts";
import { transferLeadership } from "./transfer.ts";
import { enterTerm, membersChanged, waitForLeader } from "./transitions.ts";

export class RaftCore implements LogCore<RaftProtocol> {
  readonly #state: RaftState;
  /** What the last `role` event said. */
  #told: { readonly role: Role; readonly term: Term; readonly leader: AgentId | undefined };
  /** What the last `members` event said. */
  #toldMembers: Members;
  /** The role when that was last compared: it is replaced, not changed, with every transition. */
  #seen: RaftState["role"];

  constructor(options: RaftOptions, recovered: Recovered<RaftProtocol>) {
    this.#state = new RaftState(options);
    recover(this.#state, recovered);
    this.#told = { role: this.role, term: this.term, leader: undefined };
    this.#toldMembers = this.#state.members;
    this.#seen = this.#state.role;
  }

  // ── what can be asked at any time, cheaply ──

  get deadline(): Micros {
    return this.#state.deadline;
  }

  get neededFrom(): RecordNumber {
    return this.#state.neededFrom;
  }

  get hibernation(): Hibernation | undefined {
    return this.#state.hibernation;
  }

  get base(): Snapshot | undefined {
    return baseSnapshot(this.#state);
  }

  get role(): Role {
    return roleName(this.#state);
  }

  get term(): Term {
    return this.#state.term;
  }

  get votedFor(): AgentId | undefined {
    return this.#state.votedFor;
  }

  get leader(): AgentId | undefined {
    return leaderOf(this.#state);
  }

  get lastIndex(): LogIndex {
    return this.#state.log.last;
  }

  get durableIndex(): LogIndex {
    return this.#state.pending.durableIndex;
  }

  get commitIndex(): LogIndex {
    return this.#state.commitIndex;
  }

  get appliedIndex(): LogIndex {
    return this.#state.applied;
  }

  /** Term of the entry at `index`; undefined before the log's start and behind its end. */
  termAt(index: LogIndex): Term | undefined {
    return this.#state.log.termAt(index);
  }

  recordOf(index: LogIndex): RecordNumber | undefined {
    return this.#state.log.recordOf(index);
  }

  status(): LogStatus {
    const { role, log, base, pending, commitIndex, applied, members } = this.#state;
    const isLeading = role.kind === "leading";
    const peers = isLeading ? [...role.peers.values()] : [];
    return {
      role: this.role,
      term: this.term,
      leader: this.leader,
      base: base.index,
      first: (log.start + 1) as LogIndex,
      last: log.last,
      durable: pending.durableIndex,
      committed: commitIndex,
      applied,
      hibernating: isAsleep(this.#state),
      electionPriority: this.#state.priority,
      members,
      peers: peers.map(({ id, matched, mode, heardAt }) => ({ id, matched, mode, heardAt })),
      successor: isLeading ? role.transfer?.to : undefined,
      leaseEnds: isLeading ? leaseEnds(this.#state, role) : undefined,
    };
  }

  checkInvariants(): void {
    checkInvariants(this.#state);
  }

  // ── inputs ──

  wake(now: Now, out: Outbox<RaftProtocol>): void {
    const state = this.#state;
    if (!state.woken) this.#wakeFirst(now, out);
    else if (now.monotonic < state.deadline) return;
    else if (isAsleep(state)) sleepEnds(state, now, out);
    else if (state.role.kind === "leading") keepOffice(state, state.role, now, out);
    else patienceMayEnd(state, now, out);
    this.#finish(now, out);
  }

  #wakeFirst(now: Now, out: Outbox<RaftProtocol>): void {
    const state = this.#state;
    state.woken = true;
    keepEarlierPledge(state, now.monotonic);
    if (state.baseRecord === 0) foundGroup(state, now, out);
    waitForLeader(state, now);
    askWhoLeads(state, out);
    if (isSoleVoter(state)) campaign(state, now, out);
  }

  receive(
    from: AgentId | Address,
    message: RaftMessage | RaftPromise,
    now: Now,
    out: Outbox<RaftProtocol>,
  ): void {
    // Before the first wake nothing may be sent or written: a message then is one that got lost.
    if (!this.#state.woken) return;
    this.#route(from as AgentId, message, now, out);
    this.#finish(now, out);
  }

  /** What only members may say is passed on only from them; a candidate or leader may be a member that this agent has yet to hear of. */
  #route(from: AgentId, message: RaftMessage | RaftPromise, now: Now, out: Outbox<RaftProtocol>): void {
    const state = this.#state;
    if (from === state.self) return;
    noteHeard(state, from, now);
    awakenFor(state, from, message, now, out);
    switch (message.kind) {
      case "append":
        receiveAppend(state, from, message, now, out);
        return;
      case "appendMatched":
      case "appendRejected":
      case "heartbeatAnswer":
      case "hibernating":
        this.#answered(from, message, now, out);
        return;
      case "hibernate":
        receiveHibernate(state, from, message, now, out);
        return;
      case "wakeUp":
        receiveWakeUp(state, from, now, out);
        return;
      case "commit":
        receiveCommit(state, from, message, now, out);
        return;
      case "heartbeat":
        receiveHeartbeat(state, from, message, now, out);
        return;
      case "campaignNow":
        receiveCampaignNow(state, from, message, now, out);
        return;
      case "forward":
      case "forwardRefused":
      case "readRequest":
      case "readAnswer":
        this.#served(from, message, now, out);
        return;
      case "preVoteRequest":
        receivePreVoteRequest(state, from, message, now, out);
        return;
      case "preVoteAnswer":
        receivePreVoteAnswer(state, from, message, now, out);
        return;
      case "voteRequest":
        receiveVoteRequest(state, from, message, now, out);
        return;
      case "voteAnswer":
        receiveVoteAnswer(state, from, message, now, out);
        return;
      default:
        unreachable(message);
    }
  }

  /** What agents ask of their leader for those whom they serve, and its answers. */
  #served(
    from: AgentId,
    message: Forward | ForwardRefused | ReadRequest | ReadAnswer,
    now: Now,
    out: Outbox<RaftProtocol>,
  ): void {
    const state = this.#state;
    switch (message.kind) {
      case "forward":
        receiveForward(state, from, message, now, out);
        return;
      case "forwardRefused":
        if (!this.#mayHaveAsked(from)) return;
        out.events.push({ kind: "refused", commands: message.commands, refusal: message.refusal });
        return;
      case "readRequest":
        receiveReadRequest(state, from, message.ticket, now, out);
        return;
      case "readAnswer":
        if (this.#mayHaveAsked(from)) receiveReadAnswer(state, message, now, out);
        return;
      default:
        unreachable(message);
    }
  }

  /** Whether this agent may have asked that one as its leader. A leader on its way out is no member any more. */
  #mayHaveAsked(from: AgentId): boolean {
    return from === this.leader || isMember(this.#state, from);
  }

  /** A peer answers its leader: a higher term ends this one's office, an older one speaks of an office that is over. */
  #answered(
    from: AgentId,
    message: AppendMatched | AppendRejected | HeartbeatAnswer | Hibernating,
    now: Now,
    out: Outbox<RaftProtocol>,
  ): void {
    const state = this.#state;
    if (message.term > state.term && isMember(state, from))
      enterTerm(state, message.term, undefined, now, out);
    if (message.term !== state.term || state.role.kind !== "leading") return;
    const peer = state.role.peers.get(from);
    if (peer === undefined) return;
    switch (message.kind) {
      case "appendMatched":
        receiveMatched(state, state.role, peer, message, now, out);
        return;
      case "appendRejected":
        receiveRejected(state, state.role, peer, message, now, out);
        return;
      case "heartbeatAnswer":
        receiveHeartbeatAnswer(state, state.role, peer, message, now, out);
        return;
      case "hibernating":
        receiveHibernating(state, state.role, peer, message, now);
        return;
      default:
        unreachable(message);
    }
  }

  durable(through: RecordNumber, now: Now, out: Outbox<RaftProtocol>): void {
    const state = this.#state;
    state.pending.durable(through);
    baseMayBeDurable(state, out);
    ownVoteMayCount(state, now, out);
    if (state.role.kind === "leading" && state.pending.durableIndex > state.commitIndex) {
      decide(state, state.role, out);
    }
    this.#finish(now, out);
  }

  /** Raft signs nothing, so it never asks for a check. */
  checked(_ticket: Ticket, _valid: boolean, _now: Now, _out: Outbox<RaftProtocol>): void {}

  linkChanged(peer: AgentId, up: boolean, now: Now, out: Outbox<RaftProtocol>): void {
    if (up) noteLinkUp(this.#state, peer, now);
    peerLinkWatched(this.#state, peer, up, now, out);
    const { role } = this.#state;
    const progress = role.kind === "leading" ? role.peers.get(peer) : undefined;
    if (role.kind === "leading" && progress !== undefined)
      peerLinkChanged(this.#state, role, progress, up, out);
    this.#finish(now, out);
  }

  /** All of the commands or none. `overloaded`: as long as more is undecided than `limits.uncommittedBytesMax`. */
  propose(commands: readonly Uint8Array[], now: Now, out: Outbox<RaftProtocol>): ProposeResult {
    awaken(this.#state, "other", now, out);
    const result = propose(this.#state, commands, now, out);
    this.#finish(now, out);
    return result;
  }

  campaign(now: Now, out: Outbox<RaftProtocol>): void {
    if (!this.#state.woken) return;
    awaken(this.#state, "other", now, out);
    campaign(this.#state, now, out);
    this.#finish(now, out);
  }

  /** In a group of one the `readable` event can come with the ticket. */
  read(now: Now, out: Outbox<RaftProtocol>): { kind: "ticket"; ticket: Ticket } | Refusal {
    awaken(this.#state, "other", now, out);
    return read(this.#state, now, out);
  }

  changeMembers(change: MemberChange, now: Now, out: Outbox<RaftProtocol>): { kind: "accepted" } | Refusal {
    awaken(this.#state, "other", now, out);
    const result = changeMembers(this.#state, change, now, out);
    this.#finish(now, out);
    return result;
  }

  transferLeadership(
    to: AgentId | undefined,
    now: Now,
    out: Outbox<RaftProtocol>,
  ): { kind: "accepted" } | Refusal {
    awaken(this.#state, "other", now, out);
    return transferLeadership(this.#state, to, now, out);
  }

  applied(through: LogIndex, digest: Uint8Array | undefined, now: Now, out: Outbox<RaftProtocol>): void {
    applyThrough(this.#state, through, digest, out);
    releaseReads(this.#state, out);
    this.#finish(now, out);
  }

  loaded(ticket: Ticket, run: Run | undefined, now: Now, out: Outbox<RaftProtocol>): void {
    const state = this.#state;
    if (!decidedLoaded(state, ticket, run, out) && state.role.kind === "leading") {
      entriesLoaded(state, state.role, ticket, run, out);
    }
    this.#finish(now, out);
  }

  // ── snapshots ──

  /** Term, logged time and members as of the applied entry. */
  anchor(): Uint8Array {
    return anchorNow(this.#state);
  }

  snapshotTaken(snapshot: Snapshot, now: Now, out: Outbox<RaftProtocol>): void {
    snapshotTaken(this.#state, snapshot, now, out);
    this.#finish(now, out);
  }

  snapshotArrived(from: AgentId, snapshot: Snapshot, now: Now, out: Outbox<RaftProtocol>): void {
    snapshotArrived(this.#state, from, snapshot, now, out);
    this.#finish(now, out);
  }

  snapshotSent(
    to: AgentId,
    index: LogIndex,
    outcome: "stored" | "failed",
    _now: Now,
    out: Outbox<RaftProtocol>,
  ): void {
    const { role } = this.#state;
    const peer = role.kind === "leading" ? role.peers.get(to) : undefined;
    if (role.kind !== "leading" || peer === undefined) return;
    snapshotDelivered(this.#state, role, peer, index, outcome, out);
  }

  /**
   * Ends an input: goes on with a change of members, hands out what was decided, lets go of what memory need not hold, tells
   * of other members and of another role, term or leader.
   */
  #finish(now: Now, out: Outbox<RaftProtocol>): void {
    const state = this.#state;
    if (state.role.kind === "leading") carryOn(state, state.role, now, out);
    const hasOtherMembers = state.members !== this.#toldMembers && this.#tellMembers(now, out);
    handOut(state, out);
    trimTail(state);
    if (state.role === this.#seen && state.term === this.#told.term && !hasOtherMembers) return;
    this.#seen = state.role;
    const { role, term, leader } = this;
    if (role === this.#told.role && term === this.#told.term && leader === this.#told.leader) return;
    assert(term >= this.#told.term, "R2: terms only rise");
    this.#told = { role, term, leader };
    out.events.push(
      leader === undefined ? { kind: "role", role, term } : { kind: "role", role, term, leader },
    );
  }

  /** False where they are the same in other words: a base repeats them. */
  #tellMembers(now: Now, out: Outbox<RaftProtocol>): boolean {
    const { members } = this.#state;
    const areOthers = !isSameMembers(members, this.#toldMembers);
    this.#toldMembers = members;
    if (!areOthers) return false;
    membersChanged(this.#state, now);
    out.events.push({ kind: "members", members });
    return true;
  }
}
