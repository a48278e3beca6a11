/**
 * Groups whose members all live in this process. Mechanism and member set name the group: the first call brings it up
 * whole, further calls give the handles of its members. When the last handle that was given out is closed, the group is
 * gone and its names are free.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { badOption, shown } from "../../core/arguments.ts";
import { QuorateError } from "../../core/errors.ts";
import { groupName, type AgentId, type GroupName } from "../../core/ids.ts";
import { limits } from "../../core/limits.ts";
import { beginJournal } from "../../journal/begin.ts";
import type { Disk } from "../../journal/disk.ts";
import { MemoryDisk } from "../../journal/memory-disk.ts";
import { checksum } from "../checksum.ts";
import { systemClock } from "../clock.ts";
import { createDataFolder, DataFolder } from "../data-folder.ts";
import type { Order } from "../../driver/orders.ts";
import type { Gateway, OrderOutcome } from "../gateway.ts";
import type { GroupTimings } from "../group-options.ts";
import { Hosting } from "../hosting.ts";
import { LocalGateway } from "../local-gateway.ts";
import { harmless, type Logger } from "../logger.ts";
import type { MemoryNetwork, MemoryPort } from "../memory-network.ts";
import { LoopScheduler } from "../scheduler.ts";
import { closedError } from "./call.ts";
import { DeferredGateway } from "./deferred-gateway.ts";
import { GroupClient } from "./group-client.ts";
import { LogHandle } from "./log-face.ts";
import { makeMachines, sameKinds, type StateKinds } from "./state-kinds.ts";
import type { Mechanism } from "./types.ts";

export interface InProcessOptions extends GroupTimings {
  readonly mechanism: Mechanism;
  /** All of them, in any order. */
  readonly members: readonly AgentId[];
  readonly network: MemoryNetwork;
  readonly kinds: StateKinds;
  /** Where each member keeps its journal, in a folder of its own; in memory without it. */
  readonly dataDir?: string | undefined;
  readonly logger?: Logger | undefined;
}

/** Nothing is gained by large segments in memory, and each one is filled with zeros when a group begins. */
const memoryJournal = { segmentBytes: 4 * 1024 * 1024, blockBytesMax: 2 * limits.batchBytesMax } as const;

/**
 * A snapshot in memory takes about as much as the state, and frees the log before it, which has brought all of that state and
 * more. So it is taken when there is as much log as here, and no less than the last one's size: then it never costs more
 * than it frees, and a group that runs for long takes no more than a few times its state.
 */
const memorySnapshotLogBytes = 2 * memoryJournal.segmentBytes;

/** Which group each member of each network belongs to. */
const groupsOf = new WeakMap<MemoryNetwork, Map<AgentId, InProcessGroup>>();

/** The group of these members: the one that is there, or a new one. Throws `GROUP_MISMATCH` and `BAD_OPTION`. */
export function inProcessGroup(options: InProcessOptions): InProcessGroup {
  const groups = groupsOf.get(options.network) ?? new Map<AgentId, InProcessGroup>();
  groupsOf.set(options.network, groups);
  for (const member of options.members) {
    const group = groups.get(member);
    if (group === undefined) continue;
    group.checkSame(member, options);
    return group;
  }
  const group = new InProcessGroup(options, (gone) => {
    for (const member of options.members) if (groups.get(member) === gone) groups.delete(member);
  });
  for (const member of options.members) groups.set(member, group);
  return group;
}

/** Whether a member that leads has another one lead first, where the group goes on without it. */
type Farewell = "handOver" | "atOnce";

/** What a running member is made of. */
interface Running {
  readonly gateway: Gateway;
  /** Leaves the network, at once or as soon as another one leads; the promise is for the journal and the folder as well. */
  stop(farewell: Farewell): Promise<void>;
}

/** Where a member's journal is, and its snapshots. */
interface Home {
  readonly disk: Disk;
  readonly snapshots: Disk;
  readonly journal?: { readonly segmentBytes: number; readonly blockBytesMax: number };
  readonly snapshotLogBytes?: number;
  readonly journalId: Uint8Array;
  readonly close: () => void;
}

class Member {
  readonly id: AgentId;
  /** The handle that was given out, until it is closed. */
  handle: LogHandle<StateKinds> | undefined = undefined;
  running: Running | undefined = undefined;
  /** Settles once the member's last life has given its files back. */
  stopped: Promise<void> | undefined = undefined;
  /** What is in memory outlives a member that is stopped, as its group does. */
  memory: Home | undefined = undefined;

  constructor(id: AgentId) {
    this.id = id;
  }
}

class InProcessGroup {
  readonly name: GroupName;
  readonly #options: InProcessOptions;
  readonly #scheduler: LoopScheduler = new LoopScheduler("held");
  readonly #members: ReadonlyMap<AgentId, Member>;
  readonly #onGone: (group: InProcessGroup) => void;
  #isGone = false;

  constructor(options: InProcessOptions, onGone: (group: InProcessGroup) => void) {
    this.#options = options;
    this.#onGone = onGone;
    this.name = nameOf(options.mechanism, options.members);
    this.#members = new Map(options.members.map((id) => [id, new Member(id)]));
    // All that can be refused comes before anything is made.
    makeMachines(options.kinds);
    this.#prepareFolders();
    try {
      for (const member of this.#members.values()) this.#start(member);
    } catch (error) {
      // The error that it could not be made for is the one to tell; how its members end is of no interest beside it.
      this.#stopAll().catch(() => {});
      throw error;
    }
  }

  /** Throws `GROUP_MISMATCH` unless a group made with these options would be this one. */
  checkSame(member: AgentId, options: InProcessOptions): void {
    const ids = [...this.#members.keys()];
    const isThis =
      options.mechanism === this.#options.mechanism &&
      options.members.length === ids.length &&
      options.members.every((id) => this.#members.has(id));
    if (!isThis) {
      throw mismatch(
        `${member} is already a member of another ${this.#options.mechanism} group in this process: ${ids.join(", ")}.`,
        "Name the same members, close that group's handles first, or give this one a network of its own.",
      );
    }
    if (Object.keys(options.kinds).length > 0 && !sameKinds(options.kinds, this.#options.kinds)) {
      throw mismatch(
        `The group of ${ids.join(", ")} runs with other states.`,
        "Give the same `state` in every call, or none.",
      );
    }
    for (const name of ["dataDir", "logger", "electionTimeoutMs", "heartbeatMs"] as const) {
      if (options[name] === undefined || isSame(options[name], this.#options[name])) continue;
      throw mismatch(
        `The group of ${ids.join(", ")} runs with another ${name}.`,
        `Give the same \`${name}\` in every call, or none.`,
      );
    }
  }

  /** The member's handle. A member that was stopped starts again, from its own journal. */
  handle(id: AgentId): LogHandle<StateKinds> {
    if (this.#isGone) throw closedError("notDone");
    const member = this.#members.get(id);
    if (member === undefined) {
      throw badOption(
        `${shown(id)} is no member of this group.`,
        `Its members are ${[...this.#members.keys()].join(", ")}.`,
      );
    }
    member.handle ??= this.#makeHandle(member);
    return member.handle;
  }

  #makeHandle(member: Member): LogHandle<StateKinds> {
    const running = member.running ?? this.#start(member);
    const client = new GroupClient({
      gateway: running.gateway,
      proposer: member.id,
      hold: () => this.#scheduler.hold(),
    });
    return new LogHandle({
      client,
      name: this.name,
      mechanism: this.#options.mechanism,
      kinds: this.#options.kinds,
      isMember: true,
      peer: (id) => this.handle(id as AgentId),
      onClose: () => this.#closed(member),
    });
  }

  async #closed(member: Member): Promise<void> {
    member.handle = undefined;
    const others = [...this.#members.values()];
    if (others.some(({ handle }) => handle !== undefined)) await this.#stop(member, "handOver");
    else await this.#stopAll();
  }

  async #stopAll(): Promise<void> {
    this.#isGone = true;
    this.#onGone(this);
    await Promise.all([...this.#members.values()].map((member) => this.#stop(member, "atOnce")));
    this.#scheduler.close();
  }

  async #stop(member: Member, farewell: Farewell): Promise<void> {
    const { running } = member;
    member.running = undefined;
    if (running !== undefined) member.stopped = running.stop(farewell);
    await member.stopped;
  }

  // ── bringing members up ──

  #start(member: Member): Running {
    const { dataDir } = this.#options;
    member.running =
      dataDir === undefined && member.stopped === undefined
        ? this.#launch(member, this.#memoryHome(member))
        : this.#startLater(member, dataDir);
    return member.running;
  }

  /** With files, or after a life whose files are still in use, it takes a moment; the handle is there at once. */
  #startLater(member: Member, dataDir: string | undefined): Running {
    const before = member.stopped;
    const open = async (): Promise<Running> => {
      await before;
      const home = dataDir === undefined ? this.#memoryHome(member) : await folderHome(dataDir, member.id);
      try {
        return this.#launch(member, home);
      } catch (error) {
        home.close();
        throw error;
      }
    };
    const opening = open();
    const release = this.#scheduler.hold();
    const settled = opening.then(release, release);
    const gateway = new DeferredGateway(
      this.name,
      opening.then((running) => running.gateway),
    );
    return {
      gateway,
      stop: async (farewell) => {
        gateway.close();
        await settled;
        await opening.then(
          (running) => running.stop(farewell),
          () => {},
        );
      },
    };
  }

  #launch(member: Member, home: Home): Running {
    const { mechanism, members, network, kinds, logger, electionTimeoutMs, heartbeatMs } = this.#options;
    const ports: MemoryPort[] = [];
    const leave = (): void => {
      for (const port of ports) port.close();
    };
    try {
      const hosting = new Hosting({
        self: member.id,
        clock: systemClock,
        scheduler: this.#scheduler,
        disk: home.disk,
        snapshots: home.snapshots,
        journalId: home.journalId,
        ...(home.journal !== undefined && { journal: home.journal }),
        ...(logger !== undefined && { logger: harmless(logger) }),
        network: (events) => {
          const port = network.join(member.id, this.#scheduler, events);
          ports.push(port);
          return port;
        },
        forward: (_group, leader, order, done) => this.#forward(leader, order, done),
        onFatal: leave,
      });
      const machines = makeMachines(kinds);
      const hub = hosting.host({
        name: this.name,
        mechanism,
        members,
        machines,
        electionTimeoutMs,
        heartbeatMs,
        snapshotLogBytes: home.snapshotLogBytes,
      });
      return {
        gateway: new LocalGateway(hub, this.#scheduler),
        stop: async (farewell) => {
          const release = this.#scheduler.hold();
          if (farewell === "handOver") await hosting.handOver();
          leave();
          await hosting.close();
          release();
          home.close();
        },
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  #forward(leader: AgentId, order: Order, done: (result: OrderOutcome) => void): void {
    const running = this.#members.get(leader)?.running;
    if (running === undefined) done({ kind: "lost" });
    else running.gateway.order(order, done);
  }

  #memoryHome(member: Member): Home {
    if (member.memory === undefined) {
      const soon = (task: () => void): void => this.#scheduler.soon(task);
      const disk = new MemoryDisk({ soon });
      const journalId = new Uint8Array(randomBytes(16));
      beginJournal(disk, journalId, checksum);
      const snapshots = new MemoryDisk({ soon });
      member.memory = {
        disk,
        snapshots,
        journalId,
        journal: memoryJournal,
        snapshotLogBytes: memorySnapshotLogBytes,
        close: () => {},
      };
    }
    return member.memory;
  }

  /** All of the members' folders, or none yet: a member that lost its own must not come back with an empty memory. */
  #prepareFolders(): void {
    const { dataDir } = this.#options;
    if (dataDir === undefined) return;
    const missing = [...this.#members.keys()].filter((id) => !existsSync(join(dataDir, id)));
    if (missing.length === 0) return;
    if (missing.length < this.#members.size) {
      throw new QuorateError("DATA_MISSING", `There is no data of ${missing.join(", ")} in ${dataDir}.`, {
        outcome: "notDone",
        hint: "Bring back the folders that are missing, or start with an empty dataDir: a member without its journal has forgotten what it promised.",
      });
    }
    for (const id of missing) createDataFolder(join(dataDir, id), { agent: id });
  }
}

export type { InProcessGroup };

/** Also of two lists of the same values. */
function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((value, place) => value === b[place]);
}

async function folderHome(dataDir: string, id: AgentId): Promise<Home> {
  const folder = await DataFolder.open(join(dataDir, id), { agent: id });
  const { disk, snapshots, identity } = folder;
  return { disk, snapshots, journalId: identity.journal, close: () => folder.close() };
}

/** The same for the same members in any order, in every process: journals find their group by it. */
function nameOf(mechanism: Mechanism, members: readonly AgentId[]): GroupName {
  const text = members.toSorted().join("\n");
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  return groupName(`${mechanism}-${hash}`);
}

function mismatch(message: string, hint: string): QuorateError {
  return new QuorateError("GROUP_MISMATCH", message, { outcome: "notDone", hint });
}
