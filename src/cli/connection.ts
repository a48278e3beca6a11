/** A client of the group that `up` and `agent` run. */
import { type Call, type Log, type MapKind, connect, map } from "../runtime/face/index.ts";
import type { CommandContext } from "./context.ts";
import { usageFailure } from "./failure.ts";
import { type ConnectionOptions, groupDefault } from "./options.ts";
import { agentPlaces, likelyPlaces } from "./places.ts";
import type { Json } from "../state/index.ts";

/** What the group's agents keep beside plain decisions. */
interface State {
  readonly map: MapKind<Json>;
}

export interface OpenLog extends AsyncDisposable {
  readonly log: Log<State>;
  /** For each call: its time-out, and Ctrl-C. */
  readonly call: Call;
}

/** Opens the group through the agents that the options name: `main`, or theirs. Rejects where none answers. */
export async function openLog(
  options: ConnectionOptions & { readonly to?: string; readonly group?: string },
  context: CommandContext,
): Promise<OpenLog> {
  const places = agentPlaces(options);
  const call: Call = { timeoutMs: options.timeout, signal: context.interrupts };
  const { group } = options;
  if (options.to === undefined) {
    const targets = likelyPlaces(places).map((place) => place.target);
    return connectTo(targets, { pin: false, call, group });
  }
  const place = places.find(({ id }) => id === options.to);
  if (place === undefined) {
    const known = places.flatMap(({ id }) => id ?? []);
    throw usageFailure(
      `There is no agent ${options.to}.`,
      known.length > 0 ? `There are: ${known.join(", ")}.` : "Name it by its address: --agent host:port.",
    );
  }
  return connectTo([place.target], { pin: true, call, group });
}

/** Opens the group through these agents. `pin`: stay with the first that answers, rather than go where the leader is. */
export async function connectTo(
  agents: readonly string[],
  options: { readonly pin: boolean; readonly call?: Call; readonly group?: string | undefined },
): Promise<OpenLog> {
  const { pin, call = {}, group = groupDefault } = options;
  const host = await connect({ agents, pin, ...call });
  const log = host.group(group, { mechanism: "raft", state: { map: map<Json>() } });
  return { log, call, [Symbol.asyncDispose]: async () => host.close() };
}
