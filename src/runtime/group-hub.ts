/**
 * One hosted group and everybody in this process who uses it: the connections of clients and the handles of this program.
 * It takes the driver's word of every applied entry to whoever proposed it, wakes those who wait for changes, and tells
 * all of them when the leader changes. Callbacks only: on the way of an answer nothing is allocated.
 */
import { unreachable } from "../core/assert.ts";
import type { Refusal } from "../core/boundary.ts";
import type { ProgressState } from "../core/decision.ts";
import { entryIndex, entryPayload, entrySequence, entrySession, isMembersEntry } from "../core/entry.ts";
import type { QuorateError } from "../core/errors.ts";
import {
  logIndex,
  microsFromMs,
  type Address,
  type AgentId,
  type GroupName,
  type LogIndex,
  type Micros,
} from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { Changes } from "../core/machine.ts";
import type { Members } from "../core/members.ts";
import type { GroupObserver, HostedGroup, QueryAnswer, SnapshotNews } from "../driver/hosted.ts";
import type { Order, OrderResult } from "../driver/orders.ts";
import type { Clock, Scheduler } from "../driver/world.ts";
import type { BackupAt } from "./backup/backup-wire.ts";
import { GroupBackups, type BackupResult } from "./backup/group-backups.ts";
import { decodeAnchor, decodeMembers } from "../raft/fields.ts";
import type { CampaignResult, Cancel, GroupStatus, OrderOutcome, ProposeOptions } from "./gateway.ts";

/** Somebody in this process who uses the group. */
export interface Subscriber {
  answered(session: number, sequence: number, answer: Uint8Array): void;
  refused(session: number, sequence: number, refusal: Refusal): void;
  /** Of a tracked command: how far it has come. Also where another one of this session's proposers had it tracked. */
  progressed(session: number, sequence: number, state: ProgressState): void;
  /** Another leader: what was forwarded to the last one may be lost. */
  interrupted(): void;
  /** Role, term, leader or members changed. */
  statusChanged(): void;
  /** The last call: the group is no longer hosted here. */
  closed(error?: QuorateError): void;
}

export type LocalEntries =
  | { readonly kind: "entries"; readonly bytes: Uint8Array; readonly withoutEffect: readonly LogIndex[] }
  | { readonly kind: "compacted"; readonly earliest: number };

interface Poll {
  /** True once it is answered. */
  readonly check: () => boolean;
}

interface Campaign {
  readonly term: number;
  stood: boolean;
  readonly done: (result: CampaignResult) => void;
  cancelTimer: Cancel;
}

/** What whoever hosts the group wants to know. */
export interface HubEvents {
  readonly closed?: () => void;
  /** Another leader, or another term of the same one. */
  readonly led?: (leader: string, term: number) => void;
  /** Another configuration is in force, or it has just been read from the journal. */
  readonly members?: (members: Members) => void;
  /** A configuration is decided: also those of before, after a restart. */
  readonly decided?: (index: LogIndex, members: Members) => void;
  /** Where agents listen, as far as this one knows. */
  readonly addresses?: (() => ReadonlyMap<AgentId, Address>) | undefined;
  /** Gives the leader, elsewhere, an order that was given here. */
  readonly forward?:
    | ((leader: AgentId, order: Order, done: (result: OrderOutcome) => void) => void)
    | undefined;
  /** This agent's state is not the leader's after the same entries up to `index`. */
  readonly diverged?: (index: number) => void;
  readonly snapshot?: (news: SnapshotNews) => void;
  /** The group can't go on at this agent. */
  readonly failed?: (error: QuorateError) => void;
}

/** How far a watcher is without having seen a change is told after so long. */
const changesToldMs = 1000;
const entriesBytesPerAnswerMax: number = limits.appendBytesMax;
/** A campaign that leaves this agent's role as it is (somebody else leads, and is heard) is over after so long. */
const campaignCheckMs = 1000;

export class GroupHub implements GroupObserver {
  readonly name: GroupName;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #events: HubEvents;
  readonly #subscribers = new Map<Subscriber, Set<number>>();
  /** Session → who proposed in it. */
  readonly #routes = new Map<number, Subscriber[]>();
  readonly #polls = new Set<Poll>();
  readonly #backups = new GroupBackups();
  readonly #campaigns = new Set<Campaign>();
  readonly #wakePolls = (): void => this.#checkPolls();
  #hosted: HostedGroup | undefined;
  #pollsScheduled = false;
  #led = "";
  #closed = false;

  constructor(name: GroupName, clock: Clock, scheduler: Scheduler, events: HubEvents = {}) {
    this.name = name;
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#events = events;
  }

  /** The driver has brought the group up. */
  attach(hosted: HostedGroup): void {
    this.#hosted = hosted;
    this.#events.members?.(hosted.status().members);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  // ── what the driver tells ──

  applied(bytes: Uint8Array, offset: number, answer: Uint8Array): void {
    if (isMembersEntry(bytes, offset))
      this.#events.decided?.(entryIndex(bytes, offset), decodeMembers(entryPayload(bytes, offset)));
    if (this.#polls.size > 0) this.#schedulePolls();
    if (answer.length === 0) return;
    const session = entrySession(bytes, offset);
    const routes = this.#routes.get(session);
    if (routes === undefined) return;
    const sequence = entrySequence(bytes, offset);
    for (const subscriber of routes) subscriber.answered(session, sequence, answer);
    // A session's opening is asked for under a nonce, which has served its purpose.
    if (sequence === 0) this.#forget(session, routes);
  }

  refused(session: number, sequence: number, refusal: Refusal): void {
    const routes = this.#routes.get(session);
    if (routes === undefined) return;
    for (const subscriber of routes) subscriber.refused(session, sequence, refusal);
  }

  progressed(session: number, sequence: number, state: ProgressState): void {
    for (const subscriber of this.#routes.get(session) ?? []) subscriber.progressed(session, sequence, state);
  }

  statusChanged(): void {
    const status = this.#hosted?.status();
    if (status === undefined || this.#closed) return;
    for (const campaign of this.#campaigns) this.#checkCampaign(campaign, false);
    const led = status.leader === undefined ? "" : `${status.term} ${status.leader}`;
    const interrupted = led !== "" && led !== this.#led;
    if (led !== "") this.#led = led;
    if (interrupted && status.leader !== undefined) this.#events.led?.(status.leader, status.term);
    for (const subscriber of this.#subscribers.keys()) {
      subscriber.statusChanged();
      if (interrupted) subscriber.interrupted();
    }
  }

  membersChanged(members: Members): void {
    this.#events.members?.(members);
    // Part of what `status` says.
    for (const subscriber of this.#subscribers.keys()) subscriber.statusChanged();
  }

  /** What was asked for since the last answer may be in the state that has come: it finds its first answer there. */
  restored(): void {
    if (this.#polls.size > 0) this.#schedulePolls();
    for (const subscriber of this.#subscribers.keys()) subscriber.interrupted();
  }

  snapshotNews(news: SnapshotNews): void {
    this.#events.snapshot?.(news);
    if (news.kind !== "received") return;
    const { index, anchor } = news.snapshot;
    const decided = decodeAnchor(anchor);
    if (decided !== undefined) this.#events.decided?.(index, decided.members);
  }

  failed(error: QuorateError): void {
    this.#events.failed?.(error);
    this.close(error);
  }

  diverged(index: LogIndex): void {
    this.#events.diverged?.(index);
  }

  // ── what its users do ──

  subscribe(subscriber: Subscriber): Cancel {
    this.#subscribers.set(subscriber, new Set());
    return () => this.#leave(subscriber);
  }

  propose(subscriber: Subscriber, commands: readonly Uint8Array[], options: ProposeOptions = {}): void {
    const sessions = this.#subscribers.get(subscriber);
    if (sessions === undefined || this.#hosted === undefined || this.#closed) return;
    let before = -1;
    for (const command of commands) {
      const session = entrySession(command, 0);
      if (session === before) continue;
      before = session;
      this.#route(session, subscriber, sessions);
    }
    const { onlyAsLeader = false, tracked = false } = options;
    this.#hosted.propose(commands, { onlyAsLeader, tracked });
  }

  query(question: Uint8Array, at: "linearizable" | "local", done: (answer: QueryAnswer) => void): void {
    if (this.#hosted === undefined || this.#closed) {
      this.#scheduler.soon(() => done({ kind: "refused", refusal: { kind: "closed" } }));
      return;
    }
    this.#hosted.query(question, at, done);
  }

  /**
   * Answers once there is a change, or the history there is gone; never at once. Also without a change, after a while in
   * which there were others: whoever asked would otherwise ask again, elsewhere, from where the history may be gone.
   * `passed` hears how far there is no change.
   */
  changes(
    filter: Uint8Array,
    from: number,
    done: (changes: Changes) => void,
    passed?: (through: number) => void,
  ): Cancel {
    let next = from;
    const dueAt = this.#clock.monotonic() + microsFromMs(changesToldMs);
    return this.#poll(() => {
      const hosted = this.#hosted;
      if (hosted === undefined || hosted.applied < next) return false;
      const found = hosted.changes(filter, next, limits.watchAnswerChangesMax);
      switch (found.kind) {
        case "changes":
          if (found.changes.length > 0) break;
          next = found.through + 1;
          passed?.(found.through);
          if (found.through < from || this.#clock.monotonic() < dueAt) return false;
          break;
        case "compacted":
          break;
        default:
          return unreachable(found);
      }
      done(found);
      return true;
    });
  }

  /** Answers once an entry at `from` is applied; never at once. */
  entries(from: number, done: (entries: LocalEntries) => void): Cancel {
    return this.#poll(() => {
      const found = this.#hosted?.entries(logIndex(Math.max(from, 1)), entriesBytesPerAnswerMax);
      if (found === undefined) return false;
      if ("kind" in found) done({ kind: "compacted", earliest: found.earliest });
      else done({ kind: "entries", bytes: found.bytes, withoutEffect: found.withoutEffect });
      return true;
    });
  }

  /** Campaigns, and says whether this agent leads when that is over. Never at once. */
  campaign(done: (result: CampaignResult) => void): Cancel {
    const hosted = this.#hosted;
    if (hosted === undefined || this.#closed) {
      this.#scheduler.soon(() => done({ kind: "refused", refusal: { kind: "closed" } }));
      return () => {};
    }
    const campaign: Campaign = { term: hosted.status().term, stood: false, done, cancelTimer: () => {} };
    this.#campaigns.add(campaign);
    if (hosted.role === "leader") this.#scheduler.soon(() => this.#checkCampaign(campaign, true));
    else {
      hosted.campaign();
      this.#watchCampaign(campaign);
    }
    return () => this.#endCampaign(campaign);
  }

  /** What the leader is asked for: `notLeader` where this agent is not it. Never at once. */
  order(order: Order, done: (result: OrderResult) => void): void {
    if (this.#hosted === undefined || this.#closed) this.#scheduler.soon(() => done({ kind: "closed" }));
    else this.#hosted.order(this.#withAddresses(order), done);
  }

  /** The same, wherever the leader is. */
  orderAnywhere(order: Order, done: (result: OrderOutcome) => void): void {
    const { forward } = this.#events;
    this.order(order, (result) => {
      const leader = result.kind === "notLeader" ? result.leader : undefined;
      if (leader === undefined || forward === undefined) done(result);
      else forward(leader, order, done);
    });
  }

  /** Newcomers have to find everybody, and everybody the newcomers: so the leader says where each listens, as far as it knows. */
  #withAddresses(order: Order): Order {
    if (order.kind !== "members") return order;
    const addresses = new Map([...(this.#events.addresses?.() ?? []), ...(order.change.addresses ?? [])]);
    return { ...order, change: { ...order.change, addresses } };
  }

  /**
   * Opens a snapshot of the group for reading: one that holds all that was acknowledged before, or what is applied here.
   * Never at once.
   */
  backUp(at: BackupAt, done: (result: BackupResult) => void): Cancel {
    if (this.#hosted !== undefined && !this.#closed) return this.#backups.open(this.#hosted, at, done);
    this.#scheduler.soon(() => done({ kind: "refused", refusal: { kind: "closed" } }));
    return () => {};
  }

  status(): GroupStatus | undefined {
    const hosted = this.#hosted;
    if (hosted === undefined || this.#closed) return undefined;
    const status = hosted.status();
    const { members } = status;
    return {
      mechanism: status.mechanism,
      group: this.name,
      self: status.self,
      role: status.role,
      term: status.term,
      ...(status.leader === undefined ? {} : { leader: status.leader }),
      ...(status.successor === undefined ? {} : { successor: status.successor }),
      members: members.voters,
      ...(members.outgoing.length === 0 ? {} : { outgoing: members.outgoing }),
      learners: members.learners,
      ...(members.next.length === 0 ? {} : { next: members.next }),
      last: status.last,
      committed: status.committed,
      applied: status.applied,
      hibernating: status.hibernating,
      electionPriority: status.electionPriority,
      ...(status.holdsLease && { holdsLease: true as const }),
      ...(status.base === 0 ? {} : { base: { index: status.base, bytes: status.baseBytes } }),
      lagMs: Math.round(status.lagMs),
      digest: Buffer.from(hosted.digest()).toString("hex"),
      diskFull: status.diskFull,
      peers: status.peers.map(({ id, matched, mode }) => ({ id, matched, mode })),
    };
  }

  /** Stops hosting the group. Idempotent. */
  close(error?: QuorateError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#hosted?.close();
    this.#events.closed?.();
    for (const campaign of this.#campaigns) {
      campaign.cancelTimer();
      campaign.done({ kind: "lost" });
    }
    this.#campaigns.clear();
    this.#polls.clear();
    const subscribers = [...this.#subscribers.keys()];
    this.#subscribers.clear();
    this.#routes.clear();
    for (const subscriber of subscribers) subscriber.closed(error);
  }

  // ── inside ──

  #route(session: number, subscriber: Subscriber, sessions: Set<number>): void {
    const routes = this.#routes.get(session);
    if (routes === undefined) {
      if (this.#routes.size >= limits.sessionRoutesMax) this.#forgetFirst();
      this.#routes.set(session, [subscriber]);
    } else if (routes.includes(subscriber)) return;
    else routes.push(subscriber);
    sessions.add(session);
  }

  #forgetFirst(): void {
    for (const [session, routes] of this.#routes) {
      this.#forget(session, routes);
      return;
    }
  }

  #forget(session: number, routes: readonly Subscriber[]): void {
    this.#unroute(session);
    for (const subscriber of routes) this.#subscribers.get(subscriber)?.delete(session);
  }

  #unroute(session: number): void {
    this.#routes.delete(session);
    this.#hosted?.untrack(session);
  }

  #leave(subscriber: Subscriber): void {
    const sessions = this.#subscribers.get(subscriber);
    if (sessions === undefined) return;
    this.#subscribers.delete(subscriber);
    for (const session of sessions) {
      const left = (this.#routes.get(session) ?? []).filter((other) => other !== subscriber);
      if (left.length === 0) this.#unroute(session);
      else this.#routes.set(session, left);
    }
  }

  #poll(check: () => boolean): Cancel {
    const poll: Poll = { check };
    this.#polls.add(poll);
    this.#schedulePolls();
    return () => this.#polls.delete(poll);
  }

  #schedulePolls(): void {
    if (this.#pollsScheduled) return;
    this.#pollsScheduled = true;
    this.#scheduler.soon(this.#wakePolls);
  }

  #checkPolls(): void {
    this.#pollsScheduled = false;
    if (this.#closed) return;
    for (const poll of this.#polls) if (poll.check()) this.#polls.delete(poll);
  }

  #watchCampaign(campaign: Campaign): void {
    const at = (this.#clock.monotonic() + microsFromMs(campaignCheckMs)) as Micros;
    campaign.cancelTimer = this.#scheduler.at(at, () => {
      this.#checkCampaign(campaign, true);
      if (this.#campaigns.has(campaign)) this.#watchCampaign(campaign);
    });
  }

  /** `waited`: long enough that a known leader means that this agent has not become it. */
  #checkCampaign(campaign: Campaign, waited: boolean): void {
    const status = this.#hosted?.status();
    if (status === undefined || !this.#campaigns.has(campaign)) return;
    // Whoever asks for votes follows nobody meanwhile.
    if (status.role === "candidate" || status.leader === undefined) campaign.stood = true;
    const another = status.role !== "candidate" && status.leader !== undefined;
    const lost = another && (waited || campaign.stood || status.term > campaign.term);
    if (status.role !== "leader" && !lost) return;
    this.#endCampaign(campaign);
    campaign.done({ kind: "over", leading: status.role === "leader" });
  }

  #endCampaign(campaign: Campaign): void {
    campaign.cancelTimer();
    this.#campaigns.delete(campaign);
  }
}
