/**
 * The driver's `Network` between the agents of one process. Messages are immutable, so they are handed over as they are;
 * each arrives in a turn of its receiver, never inside the sender's.
 */
import { badOption, shown } from "../core/arguments.ts";
import { QuorateError } from "../core/errors.ts";
import type { Address, AgentId, GroupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { wireVersionMax } from "../core/wire-version.ts";
import type { Network, Scheduler } from "../driver/world.ts";
import type { NetworkEvents } from "./tcp-network.ts";

interface Letter {
  readonly from: AgentId;
  /** Undefined: a pulse. */
  readonly about: { readonly group: GroupName; readonly message: object } | undefined;
}

class Station {
  readonly id: AgentId;
  readonly scheduler: Scheduler;
  readonly events: NetworkEvents;
  inbox: Letter[] = [];
  scheduled = false;
  gone = false;

  constructor(id: AgentId, scheduler: Scheduler, events: NetworkEvents) {
    this.id = id;
    this.scheduler = scheduler;
    this.events = events;
  }
}

/** One agent's end of the network. */
export interface MemoryPort extends Network {
  /** The agent leaves; what is under way to it is lost. Idempotent. */
  close(): void;
}

export class MemoryNetwork {
  readonly #stations = new Map<string, Station>();
  readonly #cuts = new Set<string>();

  /** Throws `GROUP_MISMATCH` where an agent of that name is there already. */
  join(id: AgentId, scheduler: Scheduler, events: NetworkEvents): MemoryPort {
    if (this.#stations.has(id)) {
      throw new QuorateError("GROUP_MISMATCH", `There is an agent ${id} in this network already.`, {
        outcome: "notDone",
        hint: "Use its handle, close it first, or give this group a network of its own.",
      });
    }
    const station = new Station(id, scheduler, events);
    this.#stations.set(id, station);
    for (const other of this.#stations.values()) if (other !== station) this.#announce(station, other, true);
    return {
      send: (to, group, _channel, message) => this.#send(station, to, { group, message }),
      pulse: (to) => this.#send(station, to, undefined),
      versionOf: () => wireVersionMax,
      flush: () => {},
      close: () => this.#leave(station),
    };
  }

  /** Cuts, or mends, the connection between two agents: for tests and demonstrations. Throws `BAD_OPTION`. */
  setConnected(a: string, b: string, connected: boolean): void {
    if (typeof a !== "string" || typeof b !== "string" || typeof connected !== "boolean") {
      throw badOption(
        `setConnected got ${shown(a)}, ${shown(b)} and ${shown(connected)}.`,
        'Give two agents\' names and whether they are connected, like ("a", "b", false).',
      );
    }
    const name = pairName(a, b);
    if (connected === !this.#cuts.has(name)) return;
    if (connected) this.#cuts.delete(name);
    else this.#cuts.add(name);
    const [one, other] = [this.#stations.get(a), this.#stations.get(b)];
    if (one !== undefined && other !== undefined) this.#announce(one, other, connected);
  }

  #send(from: Station, to: AgentId | Address, about: Letter["about"]): void {
    const station = this.#stations.get(to);
    if (station === undefined || from.gone || this.#cuts.has(pairName(from.id, to))) return;
    if (station.inbox.length >= limits.memoryLettersMax) return;
    station.inbox.push({ from: from.id, about });
    if (station.scheduled) return;
    station.scheduled = true;
    station.scheduler.soon(() => deliver(station));
  }

  #leave(station: Station): void {
    if (station.gone) return;
    station.gone = true;
    station.inbox = [];
    this.#stations.delete(station.id);
    for (const other of this.#stations.values()) this.#announce(station, other, false);
  }

  #announce(one: Station, other: Station, up: boolean): void {
    for (const [to, about] of [
      [one, other],
      [other, one],
    ] as const) {
      to.scheduler.soon(() => {
        if (!to.gone) to.events.linkChanged(about.id, up);
      });
    }
  }
}

function deliver(station: Station): void {
  station.scheduled = false;
  const letters = station.inbox;
  station.inbox = [];
  for (const { from, about } of letters) {
    if (station.gone) return;
    if (about === undefined) station.events.heard(from);
    else station.events.receive(from, about.group, about.message);
  }
}

function pairName(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
