/**
 * The groups of one agent: one driver, one journal, and a hub per group, over whatever network and disk there are. An
 * agent with sockets and a data folder is built on it, and so are groups that live in one process alone.
 */
import { randomInt } from "node:crypto";
import { badOption } from "../core/arguments.ts";
import { QuorateError } from "../core/errors.ts";
import type { Address, AgentId, GroupName, LogIndex } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { everybody, unknownMembers, type Members } from "../core/members.ts";
import { Prng } from "../core/prng.ts";
import { Driver } from "../driver/driver.ts";
import type { Order } from "../driver/orders.ts";
import { withTransfers, type MessageCodec } from "../driver/transfer-messages.ts";
import type { Clock, Network, Scheduler } from "../driver/world.ts";
import type { Disk } from "../journal/disk.ts";
import { Journal } from "../journal/journal.ts";
import { SnapshotStore } from "../journal/snapshots.ts";
import { raftCodec } from "../raft/codec.ts";
import type { RaftProtocol } from "../raft/messages.ts";
import { raftHibernation } from "../raft/options.ts";
import { RaftCore } from "../raft/raft.ts";
import { ReplicatedState } from "../state/replicated.ts";
import { checksum } from "./checksum.ts";
import { checkGroup, type CheckedGroup, type GroupOptions } from "./group-options.ts";
import type { OrderOutcome } from "./gateway.ts";
import { GroupHub, type HubEvents } from "./group-hub.ts";
import { DiskWatch } from "./disk-watch.ts";
import { handOver } from "./hand-over.ts";
import { silentLogger, type Logger } from "./logger.ts";
import { noteSnapshot } from "./snapshot-notes.ts";
import type { NetworkEvents } from "./tcp-network.ts";

/** A network that has to know how a group's messages are encoded; one within a process has not. */
export interface HostingNetwork extends Network {
  register?(group: GroupName, codec: MessageCodec): void;
  unregister?(group: GroupName): void;
}

export interface HostingOptions {
  readonly self: AgentId;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** With a journal on it that has begun (`beginJournal`): one that is gone since is refused, never made anew. */
  readonly disk: Disk;
  /** For the snapshots of its groups, and for nothing else. */
  readonly snapshots: Disk;
  /** 16 bytes that name the journal, so that another one's segments are not taken for its own. */
  readonly journalId: Uint8Array;
  /** Smaller segments and blocks than `limits` has, for journals in memory. */
  readonly journal?: { readonly segmentBytes: number; readonly blockBytesMax: number };
  /** Makes the network, which tells what arrives through the events given. */
  readonly network: (events: NetworkEvents) => HostingNetwork;
  /**
   * This member of the group has lost part of its memory: have the others take it out, call `out` once that is decided, and have
   * it taken in again. Without `out` only the last. False: there are no others to ask.
   */
  readonly repair?: (group: GroupName, out: (() => void) | undefined) => boolean;
  /** Where this agent and others listen, as far as it knows. */
  readonly addresses?: () => ReadonlyMap<AgentId, Address>;
  /** Gives an order for that group to its leader, which is another agent. */
  readonly forward?: (
    group: GroupName,
    leader: AgentId,
    order: Order,
    done: (result: OrderOutcome) => void,
  ) => void;
  /** A group has decided who takes part. */
  readonly decided?: (group: GroupName, index: LogIndex, members: Members) => void;
  /** A group's members listen there, as the group itself says. */
  readonly members?: (addresses: ReadonlyMap<AgentId, Address>) => void;
  /** For how long the disk's oldest sync has been under way; absent where that is not known. */
  readonly syncingMs?: () => number;
  /** Silent by default. */
  readonly logger?: Logger;
  /** The disk failed or an invariant is broken: nothing runs any more, and the process should end. Called once. */
  readonly onFatal: (error: Error) => void;
}

export class Hosting {
  readonly self: AgentId;
  readonly #options: HostingOptions;
  readonly #driver: Driver;
  readonly #network: HostingNetwork;
  readonly #log: Logger;
  readonly #hubs = new Map<string, GroupHub>();
  readonly #disk: DiskWatch;
  #closing: Promise<void> | undefined;

  /** Throws what opening the journal throws (`DATA_FOREIGN`, `DATA_MISSING`, `DATA_CORRUPT`, `DATA_VERSION`). */
  constructor(options: HostingOptions) {
    this.self = options.self;
    this.#options = options;
    this.#log = options.logger ?? silentLogger;
    this.#network = options.network({
      receive: (from, group, message) => this.#driver.receive(from, group, message),
      linkChanged: (peer, up) => this.#driver.linkChanged(peer, up),
      heard: (peer) => this.#driver.heard(peer),
    });
    this.#driver = new Driver({
      self: options.self,
      clock: options.clock,
      scheduler: options.scheduler,
      network: this.#network,
      journal: (callbacks) =>
        Journal.open({
          disk: options.disk,
          id: options.journalId,
          begun: true,
          checksum,
          schedule: (task) => options.scheduler.soon(task),
          ...options.journal,
          ...callbacks,
        }),
      snapshots: (callbacks) =>
        new SnapshotStore({
          disk: options.snapshots,
          checksum,
          schedule: (task) => options.scheduler.soon(task),
          ...callbacks,
        }),
      onFailure: (error) => this.#failed(error),
    });
    this.#disk = new DiskWatch(
      options.clock,
      options.scheduler,
      this.#log,
      () => ({ isFull: this.#driver.diskFull, syncingMs: options.syncingMs?.() ?? 0 }),
      () => void this.handOver(),
    );
  }

  /**
   * Brings a group up from what the journal holds of it. Throws `BAD_OPTION`, `BAD_NAME`, `UNKNOWN_MECHANISM`,
   * `GROUP_MISMATCH` where it is hosted already, and `DATA_CORRUPT` where its records or its snapshot are damaged; the others go on.
   */
  host(options: GroupOptions): GroupHub {
    const group = checkGroup(this.self, options);
    if (this.#hubs.has(group.name)) {
      throw new QuorateError("GROUP_MISMATCH", `Agent ${this.self} hosts a group ${group.name} already.`, {
        outcome: "notDone",
        hint: "Use the one that is there, or another name.",
      });
    }
    if (this.#hubs.size >= limits.groupsPerAgentMax) {
      throw badOption(
        `Agent ${this.self} hosts ${limits.groupsPerAgentMax} groups already, as many as it may.`,
        "Put more into each group, or have other agents host the others.",
      );
    }
    const hub = new GroupHub(group.name, this.#options.clock, this.#options.scheduler, {
      closed: () => {
        this.#hubs.delete(group.name);
        this.#network.unregister?.(group.name);
      },
      led: (leader, term) => this.#log.info(`${group.name}: ${leader} leads in term ${term}`),
      members: (members) => this.#noteMembers(group.name, members),
      decided: (index, members) => this.#options.decided?.(group.name, index, members),
      addresses: this.#options.addresses,
      forward: this.#forwarding(group.name),
      diverged: (index) =>
        this.#log.error(
          `${group.name}: the state of this agent is not the leader's after the same entries up to ${index}; ` +
            "a state machine is not deterministic, or memory is damaged: stop this agent and compare",
        ),
      snapshot: (news) => noteSnapshot(this.#log, group.name, news),
      failed: (error) => this.#log.error(`${group.name}: ends on this agent: ${error.message} ${error.hint}`),
    });
    this.#network.register?.(group.name, withTransfers(raftCodec));
    try {
      hub.attach(this.#bringUp(group, hub, false));
      this.#mayComeBack(group, hub);
    } catch (error) {
      if (!this.#isRepaired(group, hub, error)) {
        this.#network.unregister?.(group.name);
        throw error;
      }
    }
    this.#hubs.set(group.name, hub);
    return hub;
  }

  hub(group: string): GroupHub | undefined {
    return this.#hubs.get(group);
  }

  groups(): readonly string[] {
    return [...this.#hubs.keys()];
  }

  /** Before it is closed, or while its disk is full: has others lead what it leads, as far as that can be done soon. */
  async handOver(): Promise<void> {
    const { clock, scheduler } = this.#options;
    const hubs = [...this.#hubs.values()];
    await Promise.all(
      hubs.map(async (hub) => new Promise<void>((resolve) => handOver(hub, clock, scheduler, resolve))),
    );
  }

  /** Ends every group, then the journal: what is gathered is written and synced first. Idempotent. */
  async close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#disk.close();
      for (const hub of this.#hubs.values()) hub.close();
      this.#driver.close(() => resolve());
    });
    return this.#closing;
  }

  /** True: what is damaged is being repaired by the others, and until then the group is there and silent. */
  #isRepaired(group: CheckedGroup, hub: GroupHub, error: unknown): boolean {
    if (!(error instanceof QuorateError) || error.code !== "DATA_CORRUPT") return false;
    const begun = this.#options.repair?.(group.name, () => {
      if (hub.isClosed) return;
      this.#log.warn(`${group.name}: this agent is out of the group, and begins anew with an empty memory`);
      hub.attach(this.#bringUp({ ...group, members: unknownMembers }, hub, true));
    });
    if (begun !== true) return false;
    this.#log.error(
      `${group.name}: ${error.message} This agent neither votes nor acknowledges; the others are asked to take it out of the group and in again.`,
    );
    return true;
  }

  /** A founder that has an empty memory was repaired, and stopped before it was taken in again. */
  #mayComeBack(group: CheckedGroup, hub: GroupHub): void {
    const isFounder = group.members.voters.length > 0;
    if (isFounder && hub.status()?.members.length === 0) this.#options.repair?.(group.name, undefined);
  }

  #bringUp(group: CheckedGroup, hub: GroupHub, anew: boolean): ReturnType<Driver["host"]> {
    const { members, electionTimeoutMs, heartbeatMs, electionPriority, leaseReads, logHeldBytes } = group;
    return this.#driver.host<RaftProtocol>({
      name: group.name,
      mechanism: group.mechanism,
      codec: raftCodec,
      state: new ReplicatedState(group.machines),
      observer: hub,
      anew,
      snapshotLogBytes: group.snapshotLogBytes,
      create: (recovered) =>
        new RaftCore(
          {
            self: this.self,
            members,
            prng: new Prng(randomInt(2 ** 48 - 1)),
            electionTimeoutMs,
            heartbeatMs,
            priority: electionPriority,
            leaseReads,
            beginsAnew: anew,
            hibernation: raftHibernation,
            limits: {
              logKeptBytesMax: Math.min(limits.logKeptBytesMax, logHeldBytes),
              logHeldBytesMax: logHeldBytes,
            },
          },
          recovered,
        ),
    });
  }

  #forwarding(group: GroupName): HubEvents["forward"] {
    const { forward } = this.#options;
    return forward && ((leader, order, done) => forward(group, leader, order, done));
  }

  #noteMembers(group: GroupName, members: Members): void {
    this.#options.members?.(members.addresses);
    const known = everybody(members);
    if (known.size === 0) this.#log.info(`${group}: waits to be made a member`);
    else this.#log.info(`${group}: ${describeMembers(members, this.self)}`);
  }

  #failed(error: Error): void {
    this.#disk.close();
    for (const hub of this.#hubs.values()) {
      hub.close(
        new QuorateError("CLOSED", `Agent ${this.self} has ended: ${error.message}.`, {
          outcome: "unknown",
          hint: "Look at the agent's log, mend what failed, and start it again.",
          cause: error,
        }),
      );
    }
    this.#options.onFatal(error);
  }
}

/** For the log. */
function describeMembers({ voters, outgoing, learners, next }: Members, self: AgentId): string {
  const parts = [`its voters are ${voters.join(", ")}`];
  if (outgoing.length > 0) parts.push(`in place of ${outgoing.join(", ")}`);
  if (learners.length > 0) parts.push(`its learners ${learners.join(", ")}`);
  if (next.length > 0) parts.push(`its voters to be ${next.join(", ")}`);
  const isIn = [voters, outgoing, learners].some((list) => list.includes(self));
  if (!isIn) parts.push(`${self} takes no part any more`);
  return parts.join("; ");
}
