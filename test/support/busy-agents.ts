/**
 * Agents with many groups each, in simulated time: the real driver and the real cores, over a network and a journal that
 * only take time. Whatever an agent does costs it time, too: a turn takes longer the more messages it takes and sends, and
 * what comes meanwhile waits. So a crowd of groups that wants something at once keeps its agents as busy as real ones.
 */
import type { Encoded } from "../../src/core/boundary.ts";
import {
  agentId,
  groupName,
  type AgentId,
  type GroupName,
  type Micros,
  type RecordNumber,
} from "../../src/core/ids.ts";
import { wireVersionMax } from "../../src/core/wire-version.ts";
import { membersOf } from "../../src/core/members.ts";
import { Prng } from "../../src/core/prng.ts";
import type { HostedGroup } from "../../src/driver/hosted.ts";
import { Driver } from "../../src/driver/driver.ts";
import type { DriverJournal, JournalCallbacks } from "../../src/driver/world.ts";
import { crc32 } from "../../src/core/checksum.ts";
import { MemoryDisk } from "../../src/journal/memory-disk.ts";
import { SnapshotStore } from "../../src/journal/snapshots.ts";
import { raftCodec } from "../../src/raft/codec.ts";
import type { RaftProtocol } from "../../src/raft/messages.ts";
import { raftHibernation, raftTimings } from "../../src/raft/options.ts";
import { RaftCore } from "../../src/raft/raft.ts";
import { EventQueue } from "../../src/simulator/event-queue.ts";
import { ReplicatedState } from "../../src/state/replicated.ts";

export interface Costs {
  readonly turnMicros: number;
  /** To take one, or to send one. */
  readonly messageMicros: number;
}

const delayMicros = 100;
const syncMicros = 300;

export interface GroupPlan {
  readonly name: string;
  readonly members: readonly string[];
}

export class World {
  readonly events: EventQueue = new EventQueue();
  readonly agents: readonly BusyAgent[];
  readonly prng = new Prng(1);
  readonly costs: Costs;
  messages = 0;
  pulses = 0;

  constructor(ids: readonly string[], plans: readonly GroupPlan[], costs: Costs) {
    this.costs = costs;
    this.agents = ids.map(
      (id) =>
        new BusyAgent(
          this,
          agentId(id),
          plans.filter(({ members }) => members.includes(id)),
        ),
    );
  }

  agent(id: string): BusyAgent {
    return this.agents.find((agent) => agent.id === id)!;
  }

  runFor(seconds: number): void {
    const until = this.events.now + seconds * 1_000_000;
    let over = false;
    this.events.after(until - this.events.now, () => (over = true));
    while (!over) this.events.step();
  }

  /** Seconds until it is so, looked at every 50 ms; throws after `secondsMax`. */
  secondsUntil(secondsMax: number, isSo: () => boolean): number {
    const from = this.events.now;
    while (!isSo()) {
      if (this.events.now - from > secondsMax * 1_000_000) throw new Error(`not within ${secondsMax} s`);
      this.runFor(0.05);
    }
    return (this.events.now - from) / 1_000_000;
  }
}

/** Everything is durable after a while; kept over a restart. */
class SlowJournal implements DriverJournal {
  readonly diskFull = false;
  readonly records: Map<GroupName, Uint8Array[]>;
  readonly #world: World;
  readonly #callbacks: JournalCallbacks;
  readonly #isAlive: () => boolean;
  #gathered = new Map<GroupName, RecordNumber>();
  #syncing = false;

  constructor(
    world: World,
    records: Map<GroupName, Uint8Array[]>,
    callbacks: JournalCallbacks,
    isAlive: () => boolean,
  ) {
    this.#world = world;
    this.records = records;
    this.#callbacks = callbacks;
    this.#isAlive = isAlive;
  }

  recover(group: GroupName) {
    const records = this.records.get(group) ?? [];
    this.records.set(group, records);
    return { records: [...records], next: (records.length + 1) as RecordNumber, damaged: false };
  }

  append(group: GroupName, { head, tail }: Encoded): RecordNumber {
    const records = this.records.get(group)!;
    records.push(Buffer.concat([head, ...tail]));
    this.#gathered.set(group, records.length as RecordNumber);
    return records.length as RecordNumber;
  }

  flush(): void {
    if (this.#syncing || this.#gathered.size === 0) return;
    this.#syncing = true;
    const block = this.#gathered;
    this.#gathered = new Map();
    this.#world.events.after(syncMicros, () => {
      this.#syncing = false;
      if (!this.#isAlive()) return;
      for (const [group, through] of block) this.#callbacks.onDurable(group, through);
      this.flush();
    });
  }

  *read(group: GroupName, from: RecordNumber) {
    const records = this.records.get(group) ?? [];
    for (let at: number = from; at <= records.length; at++)
      yield { number: at as RecordNumber, bytes: records[at - 1]! };
  }
  release(): void {}
  restart(): void {}
  close(done: () => void): void {
    done();
  }
}

export class BusyAgent {
  readonly id: AgentId;
  readonly #world: World;
  readonly #plans: readonly GroupPlan[];
  readonly #disk = new Map<GroupName, Uint8Array[]>();
  readonly #snapshots: MemoryDisk = new MemoryDisk({
    soon: (task) => void this.#world.events.after(0, task),
  });
  groups: HostedGroup[] = [];
  #driver: Driver | undefined;
  #life = 0;
  #busyUntil = 0;
  /** What this turn took and sent so far. */
  #handled = 0;
  readonly outgoing: (() => void)[] = [];

  constructor(world: World, id: AgentId, plans: readonly GroupPlan[]) {
    this.#world = world;
    this.id = id;
    this.#plans = plans;
  }

  get running(): boolean {
    return this.#driver !== undefined;
  }

  start(): void {
    const { events } = this.#world;
    const life = this.#life;
    const isAlive = (): boolean => life === this.#life;
    this.#driver = new Driver({
      self: this.id,
      clock: { monotonic: () => events.now as Micros, wall: () => events.now as Micros },
      scheduler: {
        soon: (task) => this.#soon(task, isAlive),
        at: (instant, task) => {
          const event = events.after(Math.max(0, instant - events.now), () => isAlive() && task());
          return () => events.cancel(event);
        },
      },
      network: {
        send: (to, group, _channel, message) =>
          this.#send(to as AgentId, (other) => other.take(this.id, group, message)),
        pulse: (to) => {
          this.#world.pulses += 1;
          this.#send(to, (other) => other.hear(this.id));
        },
        versionOf: () => wireVersionMax,
        flush: () => {},
      },
      journal: (callbacks) => new SlowJournal(this.#world, this.#disk, callbacks, isAlive),
      snapshots: (callbacks) =>
        new SnapshotStore({
          disk: this.#snapshots,
          checksum: crc32,
          schedule: (task) => this.#soon(task, isAlive),
          ...callbacks,
        }),
      onFailure: (error) => {
        throw error;
      },
    });
    this.groups = this.#plans.map((plan) => this.#host(plan));
    this.#tellOthers(true);
  }

  /** `silently`: no link breaks, as when a cable is cut. */
  kill(how: "atOnce" | "silently" = "atOnce"): void {
    this.#life += 1;
    this.#driver = undefined;
    this.groups = [];
    if (how === "atOnce") this.#tellOthers(false);
  }

  take(from: AgentId, group: GroupName, message: object): void {
    this.#handled += 1;
    this.#driver?.receive(from, group, message);
  }

  hear(from: AgentId): void {
    this.#handled += 1;
    this.#driver?.heard(from);
  }

  #tellOthers(up: boolean): void {
    for (const other of this.#world.agents) {
      if (other === this || !other.running) continue;
      this.#world.events.after(delayMicros, () => {
        other.#driver?.linkChanged(this.id, up);
        if (up) this.#driver?.linkChanged(other.id, true);
      });
    }
  }

  #host({ name, members }: GroupPlan): HostedGroup {
    return this.#driver!.host<RaftProtocol>({
      name: groupName(name),
      mechanism: "raft",
      codec: raftCodec,
      create: (recovered) =>
        new RaftCore(
          {
            self: this.id,
            members: membersOf(members.map(agentId)),
            prng: this.#world.prng.fork(),
            hibernation: raftHibernation,
            ...raftTimings,
          },
          recovered,
        ),
      state: new ReplicatedState({}),
      observer: {
        applied: () => {},
        refused: () => {},
        progressed: () => {},
        statusChanged: () => {},
        membersChanged: () => {},
        diverged: () => {},
        restored: () => {},
        snapshotNews: () => {},
        failed: () => {},
      },
    });
  }

  /** A turn runs when the agent has time for it. */
  #soon(task: () => void, isAlive: () => boolean): void {
    const { events, costs } = this.#world;
    events.after(Math.max(0, this.#busyUntil - events.now), () => {
      if (!isAlive()) return;
      const waited = this.#busyUntil > events.now;
      if (waited) {
        this.#soon(task, isAlive);
        return;
      }
      task();
      const cost = costs.turnMicros + this.#handled * costs.messageMicros;
      this.#handled = 0;
      this.#busyUntil = events.now + cost;
      for (const leave of this.outgoing.splice(0)) events.after(cost + delayMicros, leave);
    });
  }

  #send(to: AgentId, arrive: (other: BusyAgent) => void): void {
    this.#handled += 1;
    this.#world.messages += 1;
    const life = this.#world.agent(to).#life;
    this.outgoing.push(() => {
      const other = this.#world.agent(to);
      if (other.running && other.#life === life) arrive(other);
    });
  }
}
