/**
 * Agents that have sleeping groups in common hear of each other in short intervals: one pulse per pair of agents stands for
 * the heartbeats of all those groups. A group that counts on an agent learns that it was silent for longer than the group
 * allows.
 *
 * Silence is counted in own pulses, not read from a clock: while this agent is stopped or stalls it counts nothing, so it
 * does not take its own sleep for the silence of the others.
 */
import { assert } from "../core/assert.ts";
import type { Hibernation } from "../core/boundary.ts";
import { never, type AgentId, type Micros } from "../core/ids.ts";

/** One peer, and the groups here that count on it in their sleep. */
interface Watch<Group> {
  /** By how long they let it be silent. */
  readonly groups: Map<Micros, Set<Group>>;
  /** Those that know of the silence that goes on. */
  readonly told: Set<Group>;
  /** Since the last pulse. */
  heard: boolean;
  silentFor: Micros;
}

export interface PulseEvents<Group> {
  /** The peer's agent is to hear of this one. */
  send(peer: AgentId): void;
  fellSilent(group: Group, peer: AgentId): void;
}

export class Pulse<Group> {
  /** When the next pulse is due; {@link never} while no group counts on anybody. */
  deadline: Micros = never;
  readonly #events: PulseEvents<Group>;
  readonly #watches = new Map<AgentId, Watch<Group>>();
  /** How many sleeping groups ask for each interval. There are as many as there are different settings. */
  readonly #intervals = new Map<Micros, number>();
  #interval: Micros = never;

  constructor(events: PulseEvents<Group>) {
    this.#events = events;
  }

  /** A group fell asleep (`after`), woke (`before`), or counts on others than before (both). */
  replace(group: Group, before: Hibernation | undefined, after: Hibernation | undefined, now: Micros): void {
    if (before !== undefined) this.#leave(group, before);
    if (after !== undefined) this.#enter(group, after);
    this.#interval = Math.min(never, ...this.#intervals.keys()) as Micros;
    if (this.#interval === never) this.deadline = never;
    else if (now + this.#interval < this.deadline) this.deadline = (now + this.#interval) as Micros;
  }

  /** Something came from that agent, whatever it is. */
  heard(peer: AgentId): void {
    const watch = this.#watches.get(peer);
    if (watch === undefined) return;
    watch.heard = true;
    watch.told.clear();
  }

  /** Whether nothing has been heard from that agent for so long, up to now. */
  isSilent(peer: AgentId, silence: Micros): boolean {
    const watch = this.#watches.get(peer);
    return watch !== undefined && !watch.heard && watch.silentFor >= silence;
  }

  /** The deadline has come, perhaps long ago. */
  beat(now: Micros): void {
    // Whoever is late itself blames nobody: what the others said may wait to be read.
    const counts = now - this.deadline <= this.#interval ? this.#interval : 0;
    for (const [peer, watch] of this.#watches) {
      watch.silentFor = (watch.heard ? 0 : watch.silentFor + counts) as Micros;
      watch.heard = false;
      for (const [silence, groups] of watch.groups) {
        if (silence <= watch.silentFor) this.#tell(peer, watch, groups);
      }
      this.#events.send(peer);
    }
    this.deadline = (now + this.#interval) as Micros;
  }

  #tell(peer: AgentId, { told }: Watch<Group>, groups: ReadonlySet<Group>): void {
    for (const group of groups) {
      if (told.has(group)) continue;
      told.add(group);
      this.#events.fellSilent(group, peer);
    }
  }

  #enter(group: Group, { present, pulseInterval, silence }: Hibernation): void {
    for (const peer of present) {
      const { groups } = this.#watchOf(peer);
      const alike = groups.get(silence);
      if (alike === undefined) groups.set(silence, new Set([group]));
      else alike.add(group);
    }
    if (present.length > 0) this.#intervals.set(pulseInterval, (this.#intervals.get(pulseInterval) ?? 0) + 1);
  }

  #leave(group: Group, { present, pulseInterval, silence }: Hibernation): void {
    for (const peer of present) {
      const { groups, told } = this.#watchOf(peer);
      told.delete(group);
      const alike = groups.get(silence);
      alike?.delete(group);
      if (alike?.size === 0) groups.delete(silence);
      if (groups.size === 0) this.#watches.delete(peer);
    }
    if (present.length === 0) return;
    const count = this.#intervals.get(pulseInterval);
    assert(count !== undefined, "a group that wakes fell asleep before");
    if (count === 1) this.#intervals.delete(pulseInterval);
    else this.#intervals.set(pulseInterval, count - 1);
  }

  #watchOf(peer: AgentId): Watch<Group> {
    const known = this.#watches.get(peer);
    if (known !== undefined) return known;
    const watch = {
      groups: new Map<Micros, Set<Group>>(),
      told: new Set<Group>(),
      heard: false,
      silentFor: 0 as Micros,
    };
    this.#watches.set(peer, watch);
    return watch;
  }
}
