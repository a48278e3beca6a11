import type { Command } from "commander";

import { agentId } from "../core/ids.ts";
import { dialAddress, formatAddress } from "../runtime/address.ts";
import type { MemberRoles, Status } from "../runtime/face/index.ts";
import { openLog, type OpenLog } from "./connection.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { refusal, usageFailure } from "./failure.ts";
import { type ConnectionOptions, groupDefault, newCommand, withConnection } from "./options.ts";
import { LiveRegion } from "./terminal/live-region.ts";
import { count, counted } from "./terminal/numbers.ts";
import { tableLines } from "./terminal/table.ts";

/** What a member is at the moment, for people. */
type Part = "voter" | "learner" | "joining" | "leaving";

interface Member {
  readonly id: string;
  readonly part: Part;
  readonly leads: boolean;
  /** How far the leader knows it to be; the leader itself is at the end of its log. */
  readonly matched: number | undefined;
}

interface Change {
  readonly members: MemberRoles;
  readonly addresses?: Readonly<Record<string, string>>;
  /** What is said once it is done. */
  readonly done: string;
}

/** A client that has met a follower goes on to the leader by itself. */
const leaderMsMax = 500;
/** Whoever waits for longer is shown how far it is. */
const progressMs = 1000;

export function membersCommand(context: CommandContext): Command {
  const command = newCommand("members", "who takes part in the group; add, promote and remove members", [
    "quorate members",
    "quorate members add agent_4=127.0.0.1:7404",
    "quorate members replace agent_1 agent_5=127.0.0.1:7405",
  ]);
  command.addCommand(listCommand(context), { isDefault: true });
  command.addCommand(addCommand(context));
  command.addCommand(roleCommand(context, "promote", "have a learner vote, once it has caught up", "voter"));
  command.addCommand(
    roleCommand(context, "demote", "have a voter vote no more; it still gets everything", "learner"),
  );
  command.addCommand(
    roleCommand(context, "remove", "have a member take no part any more, dead or alive", "removed"),
  );
  command.addCommand(replaceCommand(context));
  return command;
}

function listCommand(context: CommandContext): Command {
  const command = newCommand("list", "who takes part, and how far each is; the same without a command", [
    "quorate members",
    "quorate members list --json",
  ]);
  withConnection(command);
  return context.act(command, async (options: ConnectionOptions): Promise<ExitCode> => {
    await using connection = await openLog(options, context);
    show(await statusOf(connection), options, context);
    return exitCodes.ok;
  });
}

function addCommand(context: CommandContext): Command {
  const command = newCommand(
    "add",
    "make an agent a member: first a learner, a voter once it has caught up",
    [
      "quorate init --id agent_4 --listen 127.0.0.1:7404 --join 127.0.0.1:7401 --data agent_4",
      "quorate agent --data agent_4",
      "quorate members add agent_4=127.0.0.1:7404",
    ],
  )
    .argument("<agent=host:port>", "its name, and where it listens")
    .option("--learner", "leave it a learner: it gets everything and does not vote");
  return changing(context, command, (given: string, options: { readonly learner?: boolean }) => {
    const { id, address } = newcomer(given);
    const part = options.learner === true ? "learner" : "voter";
    return {
      members: { [id]: part },
      addresses: { [id]: address },
      done: `${id} is a ${part} now`,
    };
  });
}

function replaceCommand(context: CommandContext): Command {
  const command = newCommand("replace", "have one agent take the place of another, in one step", [
    "quorate members replace agent_1 agent_5=127.0.0.1:7405",
  ])
    .argument("<agent>", "who goes")
    .argument("<agent=host:port>", "who comes, and where it listens");
  return changing(context, command, (leaver: string, given: string) => {
    const { id, address } = newcomer(given);
    if (agentId(leaver) === id) {
      throw usageFailure(
        `${id} can't take its own place.`,
        `An agent whose data is gone is removed first, then added: quorate members remove ${id}.`,
      );
    }
    return {
      members: { [leaver]: "removed", [id]: "voter" },
      addresses: { [id]: address },
      done: `${id} votes in place of ${leaver} now`,
    };
  });
}

function roleCommand(
  context: CommandContext,
  name: string,
  summary: string,
  role: MemberRoles[string],
): Command {
  const command = newCommand(name, summary, [`quorate members ${name} agent_3`]).argument(
    "<agent...>",
    "its name; several at once are one change",
  );
  const becomes = { voter: "a voter", learner: "a learner", removed: "no member any more" }[role];
  return changing(context, command, (ids: readonly string[]) => ({
    members: Object.fromEntries(ids.map((id) => [agentId(id), role])),
    done: `${ids.join(", ")}: ${becomes}`,
  }));
}

/** Adds the connection's options, and an action that has the change done and shows who takes part then. */
function changing<Given extends readonly unknown[]>(
  context: CommandContext,
  command: Command,
  read: (...given: Given) => Change,
): Command {
  // Catching up takes longer than an answer does.
  withConnection(command, "60s");
  return context.act(command, async (...given: unknown[]): Promise<ExitCode> => {
    const options = given.at(-1) as ConnectionOptions;
    const change = read(...(given as unknown as Given));
    await using connection = await openLog(options, context);
    await requireMembers(connection, change);
    await carriedOut(connection, change, options, context);
    show(await statusOf(connection), options, context, change.done);
    return exitCodes.ok;
  });
}

/** Somebody who is no member can't be promoted, demoted or removed: more likely a name is misspelt. */
async function requireMembers(connection: OpenLog, { members, addresses = {} }: Change): Promise<void> {
  const status = await statusOf(connection);
  const known = membersIn(status).map(({ id }) => id);
  const strangers = Object.keys(members).filter((id) => !known.includes(id) && !Object.hasOwn(addresses, id));
  if (strangers.length === 0) return;
  throw refusal(
    "BAD_OPTION",
    `${strangers.join(", ")}: no member of the group.`,
    `Its members are: ${known.join(", ")}.`,
  );
}

async function carriedOut(
  { log, call }: OpenLog,
  { members, addresses }: Change,
  options: ConnectionOptions,
  context: CommandContext,
): Promise<void> {
  const region = new LiveRegion(context.surfaces.err);
  const ids = Object.keys(members);
  const timer = setInterval(() => {
    const line = progressOf(log.status(), ids);
    if (region.isLive && options.json !== true) region.draw([line]);
  }, progressMs);
  try {
    await log.changeMembers(members, { ...call, ...(addresses !== undefined && { addresses }) });
  } finally {
    clearInterval(timer);
    region.erase();
  }
}

function progressOf(status: Status, ids: readonly string[]): string {
  const parts = membersIn(status).filter(({ id }) => ids.includes(id));
  if (parts.length === 0) return "waits for the leader …";
  return parts
    .map(({ id, part, matched }) => {
      const far =
        matched === undefined ? "" : `, ${count(matched)} of ${counted(status.last, "entry", "entries")}`;
      return `${id}: ${part}${far}`;
    })
    .join("; ");
}

/** As the leader sees it, where it can be found soon: only it knows how far the others are. */
async function statusOf({ log, call }: OpenLog): Promise<Status> {
  await log.ready(call);
  const patience = AbortSignal.timeout(leaderMsMax);
  try {
    for await (const status of log.watch({ signal: patience })) if (status.role === "leader") return status;
  } catch (error) {
    if (!patience.aborted) throw error;
  }
  return log.status();
}

function membersIn(status: Status): Member[] {
  const { members, outgoing = [], learners, next = [], leader, peers, self, last } = status;
  const ids = [...new Set([...members, ...outgoing, ...learners])];
  const partOf = (id: string): Part => {
    if (members.includes(id)) return next.length > 0 && !next.includes(id) ? "leaving" : "voter";
    if (outgoing.includes(id)) return "leaving";
    return next.includes(id) ? "joining" : "learner";
  };
  const matchedOf = (id: string): number | undefined =>
    id === self && id === leader ? last : peers.find((peer) => peer.id === id)?.matched;
  return ids.map((id) => ({ id, part: partOf(id), leads: id === leader, matched: matchedOf(id) }));
}

function show(status: Status, options: ConnectionOptions, context: CommandContext, done?: string): void {
  const members = membersIn(status);
  const { paint } = context.surfaces.out;
  const [titles = "", ...rows] = tableLines(
    [{ title: "agent" }, { title: "part" }, { title: "log", align: "right" }],
    members.map(({ id, part, leads, matched }) => [
      id,
      leads ? paint("green", `${part}, leads`) : part,
      matched === undefined ? "" : count(matched),
    ]),
  );
  context.result(
    options,
    { group: groupDefault, leader: status.leader ?? null, last: status.last, members },
    [...(done === undefined ? [] : [`${done}.`]), paint("dim", titles), ...rows],
  );
}

function newcomer(text: string): { readonly id: string; readonly address: string } {
  const at = text.indexOf("=");
  if (at < 1) {
    throw usageFailure(
      `${JSON.stringify(text)} is not agent=host:port.`,
      "Say where it listens, so that the others find it: agent_4=127.0.0.1:7404.",
    );
  }
  const id = agentId(text.slice(0, at));
  return { id, address: formatAddress(dialAddress(text.slice(at + 1), `address of ${id}`)) };
}
