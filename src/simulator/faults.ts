/**
 * What goes wrong in a run: agents crash and pause, links break, disks hang and fail, clocks are set. Chance says when, or
 * a scenario does. In the end a quorum gets well for good; the others stay as they are, or fare worse.
 */
import { present } from "../core/assert.ts";
import { majority } from "../core/quorum.ts";
import type { Prng } from "../core/prng.ts";
import type { SimulatedAgent } from "./agent.ts";
import type { Recurring } from "./options.ts";
import type { Stage } from "./stage.ts";

export interface FaultCounts {
  crashes: number;
  pauses: number;
  partitions: number;
  diskHangs: number;
  diskFailures: number;
  /** Accepted ones. */
  memberChanges: number;
}

/** How long a link's ends take to notice that it broke or came back. Mean. */
const noticeMicros = 20_000;
/** A fault befalls one of the next operations of a disk. */
const operationsAhead = 20;
const wallJumpMicros = 60_000_000;
/** So often a crash looks for the leader: what it leaves half done is where bugs hide. */
const leaderShare = 0.4;
/** What an agent is to be after a change; as often as each is listed. */
const memberKinds = ["voter", "voter", "voter", "learner", "removed", "removed"] as const;

export class Faults {
  readonly counts: FaultCounts = {
    crashes: 0,
    pauses: 0,
    partitions: 0,
    diskHangs: 0,
    diskFailures: 0,
    memberChanges: 0,
  };
  readonly #stage: Stage;
  readonly #prng: Prng;
  readonly #agents: readonly SimulatedAgent[];
  #over = false;
  /** Those that come back when they end. */
  #recovering: readonly SimulatedAgent[];
  /** Counts partitions: the end of an earlier one does not heal a later one. */
  #partition = 0;

  constructor(stage: Stage, agents: readonly SimulatedAgent[]) {
    this.#stage = stage;
    this.#agents = agents;
    this.#recovering = agents;
    this.#prng = stage.prng.fork();
  }

  start(): void {
    const { crashes, pauses, partitions, campaigns, transfers, memberChanges, disk, wallJumps, suspensions } =
      this.#stage.options;
    this.#recur(crashes, () => this.#crashOne());
    this.#recur(pauses, (lastsSeconds) => this.#pauseOne("process", lastsSeconds));
    this.#recur(suspensions, (lastsSeconds) => this.#pauseOne("machine", lastsSeconds));
    this.#recur(partitions, () => this.#partitionAll());
    this.#recur(campaigns, () => this.#one("running")?.campaign());
    this.#recur(transfers, () => this.#transfer());
    this.#recur(disk.hangs, () => this.#hangOne());
    this.#recur(disk.failures, () => this.#failDisk());
    this.#recur(wallJumps, () =>
      this.#prng.pick(this.#agents).clock.jumpWall(this.#prng.between(-wallJumpMicros, wallJumpMicros)),
    );
    this.#recur(memberChanges, () => this.#changeMembers());
  }

  /** An agent ended by itself, because its disk failed: it restarts like after a crash. A scenario restarts it itself. */
  died(agent: SimulatedAgent): void {
    const { failures } = this.#stage.options.disk;
    this.counts.diskFailures += 1;
    this.#stage.trace?.fault("diskFailure", agent.name);
    if (failures.everySeconds !== Number.POSITIVE_INFINITY) this.#restartLater(agent, failures.lastsSeconds);
  }

  /** Ends the faults. Returns the agents that are well from now on: all, or a quorum. */
  end(): readonly SimulatedAgent[] {
    this.#over = true;
    const { healing } = this.#stage.options;
    const sound = this.#agents.filter((agent) => !agent.rotten);
    const well =
      healing === "everybody" ? sound : this.#prng.shuffled(sound).slice(0, majority(this.#agents.length));
    this.#recovering = well;
    for (const agent of this.#agents) if (!well.includes(agent) && !agent.rotten) this.#worsen(agent);
    for (const from of well) for (const to of well) this.#cut(from, to, false);
    this.#stage.network.calm();
    for (const agent of well) {
      if (agent.condition === "paused") this.resume(agent);
      if (agent.condition === "down") this.restart(agent);
    }
    return well;
  }

  /**
   * For good: it is down, or cut off in one or both directions, or left as it is but for its links. With links to some of
   * the others only it could lead them, and Raft has no way around that for those whom it does not reach.
   */
  #worsen(agent: SimulatedAgent): void {
    const fate = this.#prng.pick(["down", "deaf", "mute", "cutOff", "asItIs"] as const);
    if (fate === "down" && agent.condition !== "down") agent.crash("powerFailure");
    for (const other of this.#agents) {
      this.#cut(other, agent, fate === "deaf" || fate === "cutOff");
      this.#cut(agent, other, fate === "mute" || fate === "cutOff");
    }
  }

  #recur({ everySeconds, lastsSeconds }: Recurring, happen: (lastsSeconds: number) => void): void {
    if (everySeconds === Number.POSITIVE_INFINITY) return;
    this.#stage.events.after(this.#prng.exponential(everySeconds * 1_000_000), () => {
      if (this.#over) return;
      happen(lastsSeconds);
      this.#recur({ everySeconds, lastsSeconds }, happen);
    });
  }

  #one(condition: SimulatedAgent["condition"]): SimulatedAgent | undefined {
    const agents = this.#agents.filter((agent) => agent.condition === condition);
    return agents.length === 0 ? undefined : this.#prng.pick(agents);
  }

  // ── what chance or a scenario does ──

  crash(agent: SimulatedAgent, how: "kill" | "powerFailure"): void {
    this.counts.crashes += 1;
    this.#stage.trace?.fault("crash", agent.name, { how });
    agent.crash(how);
    this.#noticed(agent, false);
  }

  restart(agent: SimulatedAgent): void {
    agent.start();
    this.#noticed(agent, true);
  }

  pause(agent: SimulatedAgent, what: "process" | "machine"): void {
    this.counts.pauses += 1;
    this.#stage.trace?.fault("pause", agent.name, { what });
    agent.pause(what);
  }

  resume(agent: SimulatedAgent): void {
    this.#stage.trace?.fault("resume", agent.name);
    agent.resume();
  }

  hangDisk(agent: SimulatedAgent, micros: number): void {
    this.counts.diskHangs += 1;
    this.#stage.trace?.fault("diskHang", agent.name);
    for (const disk of [agent.disk, agent.snapshots]) disk.hang(micros);
  }

  /** The agent is down. From now on it refuses to start: it is lost, unless it gets an empty disk and another name. */
  rot(agent: SimulatedAgent): void {
    this.#stage.trace?.fault("rot", agent.name);
    agent.rot();
  }

  /** Only those directions are whole that `linked` says; every other is cut. `facts`: more for the trace. */
  partition(
    linked: (from: SimulatedAgent, to: SimulatedAgent) => boolean,
    facts: Readonly<Record<string, unknown>> = {},
  ): void {
    this.counts.partitions += 1;
    this.#partition += 1;
    const cut: string[] = [];
    for (const from of this.#agents) {
      for (const to of this.#agents) {
        if (from === to) continue;
        const whole = linked(from, to);
        if (!whole) cut.push(`${from.name}>${to.name}`);
        this.#cut(from, to, !whole);
      }
    }
    this.#stage.trace?.fault("partition", undefined, { cut, ...facts });
  }

  /** What one sends the other is lost from now on, or no longer. Neither notices anything. */
  setLost(from: SimulatedAgent, to: SimulatedAgent, lost: boolean): void {
    this.#stage.trace?.fault(lost ? "cut" : "mend", from.name, { to: to.name });
    this.#stage.network.setCut(from.index, to.index, lost);
  }

  heal(): void {
    this.#stage.trace?.fault("heal", undefined);
    for (const from of this.#agents) for (const to of this.#agents) this.#cut(from, to, false);
  }

  // ── processes ──

  #crashOne(): void {
    const leader = this.#prng.chance(leaderShare) ? this.#agents.find((each) => each.leads()) : undefined;
    const agent = leader ?? this.#one("running") ?? this.#one("paused");
    if (agent === undefined) return;
    this.crash(agent, this.#prng.chance(0.5) ? "kill" : "powerFailure");
    this.#restartLater(agent, this.#stage.options.crashes.lastsSeconds);
  }

  #restartLater(agent: SimulatedAgent, meanSeconds: number): void {
    this.#stage.events.after(this.#prng.exponential(meanSeconds * 1_000_000), () => {
      if (agent.condition === "down" && this.#recovering.includes(agent)) this.restart(agent);
    });
  }

  #pauseOne(what: "process" | "machine", lastsSeconds: number): void {
    const agent = this.#one("running");
    if (agent === undefined) return;
    this.pause(agent, what);
    const { crashes } = agent;
    this.#stage.events.after(this.#prng.exponential(lastsSeconds * 1_000_000), () => {
      if (!this.#over && agent.condition === "paused" && agent.crashes === crashes) this.resume(agent);
    });
  }

  /** To somebody in particular, down or not, or to whom the leader chooses. */
  #transfer(): void {
    const leader = this.#agents.find((each) => each.leads());
    const to = this.#prng.chance(0.5) ? this.#prng.pick(this.#agents).name : undefined;
    leader?.transferLeadership(to);
  }

  /** Asks the leader, or now and then anybody, to make a few agents what they are to be from now on. */
  #changeMembers(): void {
    const leader = this.#prng.chance(0.9) ? this.#agents.find((each) => each.leads()) : undefined;
    const agent = leader ?? this.#one("running");
    if (agent === undefined) return;
    const chosen = this.#prng.shuffled(this.#agents).slice(0, this.#prng.between(1, 3));
    const steps = chosen.map(({ name }) => ({ kind: this.#prng.pick(memberKinds), id: name }));
    agent.changeMembers({ steps }, () => {
      this.counts.memberChanges += 1;
    });
    this.#stage.trace?.fault("memberChange", agent.name, { steps });
  }

  // ── links ──

  #partitionAll(): void {
    const { oneWayShare, lastsSeconds } = this.#stage.options.partitions;
    if (this.#agents.length < 2) return;
    const oneWay = this.#prng.chance(oneWayShare);
    const side = this.#sides();
    const linked = (from: SimulatedAgent, to: SimulatedAgent): boolean => {
      const apart = side[from.index] !== side[to.index];
      return !apart || (oneWay && present(side[from.index], "every agent has a side") === 0);
    };
    this.partition(linked, { sides: side, oneWay });
    const partition = this.#partition;
    this.#stage.events.after(this.#prng.exponential(lastsSeconds * 1_000_000), () => {
      if (!this.#over && partition === this.#partition) this.heal();
    });
  }

  /** Which side each agent is on: one alone, the leader alone, or any split. */
  #sides(): number[] {
    const alone = this.#prng.pick(this.#agents).index;
    const leader = this.#agents.find((agent) => agent.leads())?.index ?? alone;
    switch (this.#prng.pick(["one", "leader", "any"] as const)) {
      case "one":
        return this.#agents.map((agent) => (agent.index === alone ? 1 : 0));
      case "leader":
        return this.#agents.map((agent) => (agent.index === leader ? 1 : 0));
      case "any":
        return this.#agents.map(() => this.#prng.between(0, 1));
    }
  }

  #cut(from: SimulatedAgent, to: SimulatedAgent, cut: boolean): void {
    if (from === to || this.#stage.network.isCut(from.index, to.index) === cut) return;
    this.#stage.network.setCut(from.index, to.index, cut);
    if (this.#prng.chance(0.7)) this.#tell(from, to, !cut);
  }

  #noticed(agent: SimulatedAgent, up: boolean): void {
    for (const other of this.#agents)
      if (other !== agent && this.#prng.chance(0.7)) this.#tell(other, agent, up);
  }

  #tell(agent: SimulatedAgent, peer: SimulatedAgent, up: boolean): void {
    this.#stage.events.after(this.#prng.exponential(noticeMicros), () => agent.linkChanged(peer.name, up));
  }

  // ── disks ──

  #hangOne(): void {
    const agent = this.#prng.pick(this.#agents);
    const { lastsSeconds } = this.#stage.options.disk.hangs;
    this.hangDisk(agent, Math.ceil(this.#prng.exponential(lastsSeconds * 1_000_000)));
  }

  #failDisk(): void {
    const agent = this.#prng.pick(this.#agents);
    const disk = this.#prng.pick([agent.disk, agent.snapshots]);
    disk.failOperation(disk.operations + this.#prng.between(1, operationsAhead), "error");
  }
}
