import type { Micros } from "../core/ids.ts";
import type { Clock } from "../driver/world.ts";

/** This process's clocks. */
export const systemClock: Clock = {
  monotonic: () => Math.round(performance.now() * 1000) as Micros,
  wall: () => Math.round(Date.now() * 1000) as Micros,
};
