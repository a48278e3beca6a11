/** An agent that is about to end hands over what it leads: whoever takes over need not notice first that it is gone. */
import { microsFromMs, type Micros } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import type { Clock, Scheduler } from "../driver/world.ts";
import type { GroupHub } from "./group-hub.ts";

/** How often it looks whether the attempt was given up, which nobody tells. */
const lookMs = 10;

/**
 * Hands one group over, if this agent leads it. Calls `done` once, never at once: another agent leads, nobody is ready or
 * able to, or it took too long.
 */
export function handOver(hub: GroupHub, clock: Clock, scheduler: Scheduler, done: () => void): void {
  if (hub.status()?.role !== "leader") {
    scheduler.soon(done);
    return;
  }
  const inMs = (ms: number): Micros => (clock.monotonic() + microsFromMs(ms)) as Micros;
  let isOver = false;
  let stopLooking = (): void => {};
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    leave();
    stopLooking();
    stopWaiting();
    done();
  };
  const look = (): void => {
    if (isHandedOver(hub)) end();
    else stopLooking = scheduler.at(inMs(lookMs), look);
  };
  const leave = hub.subscribe({
    answered: () => {},
    refused: () => {},
    progressed: () => {},
    interrupted: () => {},
    statusChanged: () => {
      if (isHandedOver(hub)) end();
    },
    closed: end,
  });
  const stopWaiting = scheduler.at(inMs(limits.handOverMsMax), end);
  hub.order({ kind: "transfer", to: undefined }, (result) => {
    const isUnderWay =
      result.kind === "accepted" || (result.kind === "busy" && result.because === "transfer");
    if (!isUnderWay) end();
    else if (!isOver) look();
  });
}

/** Another one leads; or the leader has given up, and still is. */
function isHandedOver(hub: GroupHub): boolean {
  const status = hub.status();
  if (status === undefined) return true;
  if (status.role === "leader") return status.successor === undefined;
  return status.leader !== undefined;
}
