/**
 * Everything at once, all the time: members come and go, leaders hand over, agents crash and sleep and get snapshots of a
 * few entries, while links and disks fail. What a seed draws otherwise seldom has more than a few of these (options.ts), and
 * some bugs need three of them in the same instant.
 */
import type { Prng } from "../core/prng.ts";
import type { Recurring, SimulationChoices, SimulationOptions } from "./options.ts";

/** What was `drawn`, in a storm. */
export function stormOptions(
  drawn: SimulationOptions,
  prng: Prng,
  { agents: chosen, seconds }: SimulationChoices,
): SimulationOptions {
  const recurring = (every: readonly number[], lasts: readonly number[]): Recurring => {
    return { everySeconds: prng.pick(every), lastsSeconds: prng.pick(lasts) };
  };
  const agents = chosen ?? prng.pick([2, 3, 4, 5, 5, 6]);
  return {
    ...drawn,
    agents,
    joiners: prng.between(0, agents - 1),
    earlierAgents: prng.chance(0.3) ? prng.between(1, agents) : 0,
    priorities: prng.chance(0.4) ? Array.from({ length: agents }, () => prng.between(1, 100)) : [],
    leases: Array.from({ length: agents }, (_, at) => drawn.leases[at % drawn.leases.length] ?? false),
    healing: "everybody",
    faultSeconds: seconds ?? prng.between(8, 30),
    partitions: { ...recurring([1, 2, 5], [0.2, 1, 3]), oneWayShare: prng.pick([0, 0.3, 1]) },
    crashes: recurring([0.5, 1, 4], [0.05, 0.5, 3]),
    pauses: recurring([1, 2, 5], [0.1, 0.4, 2]),
    wallJumps: recurring([1, 5], [0]),
    // Not both: see `drawLeases`.
    suspensions: { everySeconds: Number.POSITIVE_INFINITY, lastsSeconds: 0 },
    campaigns: recurring([1, 3], [0]),
    transfers: recurring([0.3, 1, 3], [0]),
    memberChanges: recurring([0.2, 0.5, 1, 3], [0]),
    disk: {
      ...drawn.disk,
      failures: recurring([2, 8], [0.1, 0.5]),
      hangs: recurring([1, 4], [0.1, 0.6, 2]),
    },
    snapshots: { logBytes: prng.pick([100, 200, 1000, 3000]), pieceBytes: prng.pick([64, 200, 1000]) },
    idleTimes: recurring([1, 2, 4], [0.5, 1, 3]),
    raft: {
      ...drawn.raft,
      hibernation: { quietBeats: prng.pick([1, 1, 2, 3]), renewalMs: prng.pick([100, 300, 2000, 60_000]) },
      limits: {
        ...drawn.raft.limits,
        logKeptBytesMax: prng.pick([1, 200, 2048]),
        logHeldBytesMax: prng.pick([1, 1000, 8192]),
      },
    },
  };
}
