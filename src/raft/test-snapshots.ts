/**
 * What a driver does with snapshots, for this folder's tests: it takes them, keeps their files as long as the contract asks
 * for, sends them to peers, and starts states from them. A snapshot is all entries up to its index.
 */
import {
  assert,
  present,
  type AgentId,
  type LogIndex,
  type Now,
  type Outbox,
  type Snapshot,
} from "../core/index.ts";
import type { RaftProtocol } from "./messages.ts";
import type { RaftCore } from "./raft.ts";
import { digestOf, type Entry, type SnapshotFile, type TestAgent } from "./test-agent.ts";

/** One on its way to a peer. */
export interface Shipment {
  readonly from: AgentId;
  readonly to: AgentId;
  readonly file: SnapshotFile;
}

/** What it needs of the cluster that it belongs to. */
interface Stage {
  readonly now: Now;
  /** Pairs `from>to` between which nothing arrives. */
  readonly cut: ReadonlySet<string>;
  find(id: AgentId): TestAgent;
  step<T>(agent: TestAgent, input: (core: RaftCore, out: Outbox<RaftProtocol>) => T): T;
}

export class TestSnapshots {
  readonly #cluster: Stage;
  /** Whether transfers begin and end by themselves, as soon as the cluster settles. */
  flow = true;
  /** Transfers, in the order in which they began. */
  underWay: Shipment[] = [];

  constructor(cluster: Stage) {
    this.#cluster = cluster;
  }

  // ── taken ──

  /** What a snapshot of this agent's state is now. */
  freeze(agent: TestAgent): SnapshotFile {
    return this.fileOf(agent.committed, agent.core.anchor());
  }

  fileOf(entries: readonly Entry[], anchor: Uint8Array): SnapshotFile {
    const index = entries.length as LogIndex;
    const snapshot = { index, digest: digestOf(entries), byteLength: 100, anchor };
    return { snapshot, entries: [...entries] };
  }

  /** One that was frozen is on the disk now. */
  store(agent: TestAgent, file: SnapshotFile): void {
    const { snapshot } = file;
    // The driver would not keep it, nor tell the core.
    if (snapshot.index > agent.core.status().base) agent.files.set(snapshot.index, file);
    this.#cluster.step(agent, (core, out) => core.snapshotTaken(snapshot, this.#cluster.now, out));
  }

  /** Both in an instant. */
  take(agent: TestAgent): void {
    this.store(agent, this.freeze(agent));
  }

  // ── sent ──

  /** Begins the oldest transfer that was asked for; where the file is gone, it fails. */
  ship(agent: TestAgent): void {
    const asked = agent.running ? agent.transfers.shift() : undefined;
    if (asked === undefined) return;
    const file = agent.files.get(asked.index);
    if (file === undefined) this.report(agent, asked.to, asked.index, "failed");
    else this.underWay.push({ from: agent.id, to: asked.to, file });
  }

  /** A transfer ends: both cores hear of it. */
  land(shipment: Shipment | undefined = this.underWay[0]): void {
    if (shipment === undefined) return;
    this.underWay = this.underWay.filter((other) => other !== shipment);
    const { from, to, file } = shipment;
    const cluster = this.#cluster;
    const receiver = cluster.find(to);
    const passes = receiver.running && !cluster.cut.has(`${from}>${to}`);
    if (passes) this.arrive(receiver, from, file);
    this.report(cluster.find(from), to, file.snapshot.index, passes ? "stored" : "failed");
  }

  /** It may have arrived before. */
  arrive(agent: TestAgent, from: AgentId, file: SnapshotFile): void {
    const { snapshot } = file;
    if (!agent.files.has(snapshot.index)) agent.files.set(snapshot.index, file);
    this.#cluster.step(agent, (core, out) => core.snapshotArrived(from, snapshot, this.#cluster.now, out));
  }

  report(agent: TestAgent, to: AgentId, index: LogIndex, outcome: "stored" | "failed"): void {
    if (!agent.running) return;
    this.#cluster.step(agent, (core, out) => core.snapshotSent(to, index, outcome, this.#cluster.now, out));
  }

  // ── restored ──

  /** Replaces the state by the snapshot that the core has asked for. */
  restore(agent: TestAgent): void {
    const snapshot = agent.running ? agent.restoring : undefined;
    if (snapshot === undefined) return;
    agent.restoring = undefined;
    this.become(agent, snapshot);
    const { index } = snapshot;
    this.#cluster.step(agent, (core, out) => core.applied(index, undefined, this.#cluster.now, out));
  }

  become(agent: TestAgent, { index, digest }: Snapshot): void {
    const file = present(agent.files.get(index), "the snapshot that a state starts from is on the disk");
    agent.committed = [...file.entries];
    agent.applied = index;
    assert(
      String(digestOf(file.entries)) === String(digest),
      "a base names the snapshot that is on the disk",
    );
  }

  /** Removes every file that the contract does not ask for. */
  removeFiles(agent: TestAgent): void {
    if (agent.down || agent.durable < agent.records.length) return;
    const kept = new Set<number>([agent.core.status().base]);
    for (const { index } of agent.transfers) kept.add(index);
    for (const { from, file } of this.underWay) if (from === agent.id) kept.add(file.snapshot.index);
    for (const index of agent.files.keys()) if (!kept.has(index)) agent.files.delete(index);
  }
}
