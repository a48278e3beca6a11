/** An agent's two clocks: they run a little too fast or too slow, and the wall clock may be set by somebody. */
import type { Micros } from "../core/ids.ts";
import type { Clock } from "../driver/world.ts";
import type { EventQueue } from "./event-queue.ts";

/** Where the simulated wall clocks stand when a run begins: the first of January 2026. */
const wallOrigin = 1_767_225_600_000_000;

export class AgentClock implements Clock {
  readonly #events: EventQueue;
  /** Microseconds of this clock per true one. */
  readonly #rate: number;
  /** The monotonic clock counts from the boot of the machine, which outlives the process. */
  readonly #origin: number;
  #wallOffset: number;
  /** For so long the machine was suspended: only its wall clock went on. */
  #suspendedMicros = 0;

  constructor(
    events: EventQueue,
    options: { readonly rate: number; readonly origin: number; readonly wallOffset: number },
  ) {
    this.#events = events;
    this.#rate = options.rate;
    this.#origin = options.origin;
    this.#wallOffset = options.wallOffset;
  }

  monotonic(): Micros {
    return Math.floor(this.#origin + (this.#events.now - this.#suspendedMicros) * this.#rate) as Micros;
  }

  wall(): Micros {
    return Math.max(0, Math.floor(wallOrigin + this.#wallOffset + this.#events.now * this.#rate)) as Micros;
  }

  /** How long until the monotonic clock shows `instant`, in true microseconds; at least 1. */
  delayUntil(instant: Micros): number {
    const due = Math.ceil((instant - this.#origin) / this.#rate) + this.#suspendedMicros - this.#events.now;
    return Math.max(1, due);
  }

  /** The machine was suspended for so long up to now; nobody has looked at its clocks meanwhile. */
  wasSuspended(forMicros: number): void {
    this.#suspendedMicros += forMicros;
  }

  /** Somebody sets the wall clock. */
  jumpWall(byMicros: number): void {
    this.#wallOffset += byMicros;
  }
}
