import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";

import { unreachable } from "../core/assert.ts";
import { askAgent, type AskedAgent } from "./ask-agent.ts";
import { type AgentRow, agentsTable, snapshotLines } from "./cluster/agents-table.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { refusal } from "./failure.ts";
import { type ConnectionOptions, groupDefault, newCommand, withConnection } from "./options.ts";
import { type AgentPlace, agentPlaces } from "./places.ts";
import { LiveRegion } from "./terminal/live-region.ts";

interface StatusOptions extends ConnectionOptions {
  readonly watch?: boolean;
}

const refreshMs = 500;
/** An agent that is stopped in the middle must not hold up what is known of the others. */
const answerMsMax = 1500;

export function statusCommand(context: CommandContext): Command {
  const command = newCommand("status", "show each agent's role, term, log and lag", [
    "quorate status",
    "quorate status --watch",
    "quorate status --json | jq .leader",
  ]).option("--watch", "go on showing it until Ctrl-C; without a terminal, a line for each change");
  withConnection(command);
  return context.act(command, async (options: StatusOptions): Promise<ExitCode> => {
    const places = agentPlaces(options);
    const timeoutMs = Math.min(answerMsMax, options.timeout);
    if (options.watch === true) return watch(places, timeoutMs, options, context);
    const rows = await ask(places, timeoutMs);
    show(rows, options, context);
    if (rows.some((row) => row.status !== undefined)) return exitCodes.ok;
    throw refusal("CANNOT_CONNECT", "No agent answers.", "Start them with `quorate up`.");
  });
}

interface Asked {
  readonly place: AgentPlace;
  readonly answer: AskedAgent;
}

/** All at once: each has its own connection and its own time-out. Then the members that only the others know of. */
async function ask(places: readonly AgentPlace[], timeoutMs: number): Promise<AgentRow[]> {
  const askEach = async (those: readonly AgentPlace[]): Promise<Asked[]> =>
    Promise.all(those.map(async (place) => ({ place, answer: await askAgent(place, timeoutMs) })));
  const asked = await askEach(places);
  asked.push(...(await askEach(furtherPlaces(asked))));
  return asked.map(rowOf);
}

/** Members that are somewhere else than those that were asked: in another folder, say. */
function furtherPlaces(asked: readonly Asked[]): AgentPlace[] {
  const known = new Set(
    asked.flatMap(({ place, answer }) => [place.id, answer.kind === "down" ? undefined : answer.id]),
  );
  const places = new Map<string, AgentPlace>();
  for (const { answer } of asked) {
    if (answer.kind !== "running") continue;
    const { members, learners } = answer.status;
    for (const { id, address } of answer.agents) {
      const isMember = members.includes(id) || learners.includes(id);
      if (!isMember || known.has(id) || places.has(id)) continue;
      places.set(id, { id, address, target: address, isLikely: true, dataFolder: undefined, note: "" });
    }
  }
  return [...places.values()];
}

function rowOf({ place, answer }: Asked): AgentRow {
  const { address, note } = place;
  const id = place.id ?? "?";
  switch (answer.kind) {
    case "running":
      return { id: answer.id, address, pid: undefined, status: answer.status, state: "running", note: "" };
    case "silent":
      return { id: answer.id, address, pid: undefined, status: undefined, state: "silent", note: "" };
    case "down": {
      // Of an agent that has a folder it is known what is there.
      const why = place.id === undefined ? answer.why : note;
      return { id, address, pid: undefined, status: undefined, state: "down", note: why };
    }
    default:
      return unreachable(answer);
  }
}

function show(rows: readonly AgentRow[], options: StatusOptions, context: CommandContext): void {
  const { paint } = context.surfaces.out;
  context.result(options, toJson(rows), [...agentsTable(rows, paint), ...snapshotLines(rows, paint)]);
}

function toJson(rows: readonly AgentRow[]): object {
  const leader = rows.find((row) => row.status?.role === "leader");
  return {
    group: groupDefault,
    leader: leader?.id ?? null,
    term: Math.max(0, ...rows.map((row) => row.status?.term ?? 0)),
    agents: rows.map(({ id, address, status, state }) => ({
      id,
      address,
      state: status === undefined ? state : "running",
      ...(status === undefined ? {} : { status }),
    })),
  };
}

async function watch(
  places: readonly AgentPlace[],
  timeoutMs: number,
  options: StatusOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out } = context.surfaces;
  const region = new LiveRegion(out);
  const isLive = region.isLive && options.json !== true;
  let last = "";
  try {
    while (!context.interrupts.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      const rows = await ask(places, timeoutMs);
      const text = JSON.stringify(
        // Groups fall asleep and wake all the time, as lag comes and goes.
        rows.map(({ status, ...row }) => ({ ...row, ...status, lagMs: 0, hibernating: false, peers: [] })),
      );
      if (isLive)
        region.draw([
          ...agentsTable(rows, out.paint),
          out.paint("dim", "Ctrl-C ends this; the agents go on."),
        ]);
      else if (text !== last) show(rows, options, context);
      last = text;
      // oxlint-disable-next-line no-await-in-loop -- and a pause between them
      await pause(context.interrupts);
    }
  } finally {
    region.finish();
  }
  return exitCodes.ok;
}

async function pause(interrupts: AbortSignal): Promise<void> {
  // It rejects where the pause is cut short, which the loop sees by itself.
  await setTimeout(refreshMs, undefined, { signal: interrupts }).catch(() => {});
}
