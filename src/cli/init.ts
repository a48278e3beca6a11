import { type Command, Option } from "commander";

import { agentId } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { loopbackAddress } from "../runtime/address.ts";
import { openBackup } from "../runtime/backup/backup-file.ts";
import { restoreInto } from "../runtime/backup/restore.ts";
import { ClientPool } from "../runtime/client-pool.ts";
import { type ClusterFile, newClusterId } from "../runtime/cluster-file.ts";
import { clusterIdFrom, clusterIdText } from "../runtime/handshake.ts";
import { createAgentFolder } from "./cluster/cluster-folder.ts";
import type { CommandContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { refusal, usageFailure } from "./failure.ts";
import { type OutputOptions, newCommand } from "./options.ts";
import { provenBackup } from "./restore.ts";

interface InitOptions extends OutputOptions {
  readonly id: string;
  readonly listen: string;
  readonly peer: readonly string[];
  readonly data: string;
  readonly cluster?: string;
  readonly join?: string;
  readonly from?: string;
}

export function initCommand(context: CommandContext): Command {
  const command = newCommand("init", "make one agent's data folder by hand", [
    "quorate init --id a --listen 127.0.0.1:7400 --peer b=127.0.0.1:7401 --peer c=127.0.0.1:7402 --data a",
    "quorate init --id b --listen 127.0.0.1:7401 --peer a=127.0.0.1:7400 --peer c=127.0.0.1:7402 --data b \\",
    "             --cluster <what the first one printed>",
    "quorate init --id agent_4 --listen 127.0.0.1:7404 --join 127.0.0.1:7401 --data agent_4",
  ])
    .requiredOption("--id <name>", "the agent's name")
    .requiredOption("--listen <host:port>", "where it listens")
    .addOption(
      new Option("--peer <id=host:port>", "another agent of the cluster; once for each")
        .argParser((value: string, previous: readonly string[]) => [...previous, value])
        .default([], "none"),
    )
    .requiredOption("--data <folder>", "the folder to make")
    .option("--cluster <id>", "the cluster to belong to: the same for all of its agents (default: a new one)")
    .option(
      "--join <host:port>",
      "join the cluster of the agent that listens there, which says the rest; then: quorate members add",
    )
    .option("--from <backup>", "begin with what a backup holds: the same one for all agents of the cluster");
  return context.act(command, async (options: InitOptions): Promise<ExitCode> => {
    if (options.join !== undefined) return initJoining(options, options.join, context);
    const agents = [
      { id: agentId(options.id), address: checked(options.listen) },
      ...options.peer.map(peerFrom),
    ]
      // The same order in every agent's file.
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    checkAgents(agents.map((agent) => agent.id));
    const cluster = options.cluster === undefined ? newClusterId() : clusterFrom(options.cluster);
    await createFolder(options, { cluster, agents });
    const id = clusterIdText(cluster);
    context.result(options, { id: options.id, data: options.data, cluster: id, agents }, [
      `${options.data} is the data folder of ${options.id}, cluster ${id}.`,
      ...(agents.length > 1 && options.cluster === undefined
        ? [`Make the others with --cluster ${id}, then start each:`]
        : ["Start it:"]),
      `  quorate agent --data ${options.data}`,
    ]);
    return exitCodes.ok;
  });
}

/** One that comes later: it takes the cluster and its agents from one of them, and founds nothing. */
async function initJoining(options: InitOptions, join: string, context: CommandContext): Promise<ExitCode> {
  if (options.peer.length > 0 || options.cluster !== undefined || options.from !== undefined) {
    throw usageFailure(
      "Whoever joins is told the cluster, its agents and what they have decided.",
      "Leave out --peer, --cluster and --from, or leave out --join to found a group.",
    );
  }
  const self = { id: agentId(options.id), address: checked(options.listen) };
  loopbackAddress(join, "address to join");
  const { pool, report } = await ClientPool.connect({ agents: [join], pin: true, name: "quorate-init" });
  pool.close();
  if (report.cluster === undefined) {
    throw refusal("PROTOCOL", `The agent at ${join} is too old to be joined.`, "Upgrade it first.");
  }
  // An agent whose disk was lost may come back under its old name, once the group has removed it.
  const others = report.agents.filter(({ id }) => id !== self.id);
  const agents = [...others, self].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const file = { cluster: clusterIdFrom(report.cluster), agents, joining: true };
  await createAgentFolder(options.data, self.id, file);
  context.result(options, { id: self.id, data: options.data, cluster: report.cluster, agents }, [
    `${options.data} is the data folder of ${self.id}, which joins cluster ${report.cluster}. Start it:`,
    `  quorate agent --data ${options.data}`,
    "Then have the group take it in:",
    `  quorate members add ${self.id}=${self.address} --agent ${join}`,
  ]);
  return exitCodes.ok;
}

/** With what a backup holds, where there is one: read and checked before anything is made. */
async function createFolder({ data, id, from }: InitOptions, file: ClusterFile): Promise<void> {
  if (from === undefined) {
    await createAgentFolder(data, id, file);
    return;
  }
  provenBackup(from);
  const backup = openBackup(from);
  try {
    await createAgentFolder(data, id, file, async (folder, agents) => restoreInto(folder, backup, agents));
  } finally {
    backup.close();
  }
}

function peerFrom(text: string): { id: ReturnType<typeof agentId>; address: string } {
  const at = text.indexOf("=");
  if (at < 1)
    throw usageFailure(
      `The peer ${JSON.stringify(text)} is not id=host:port.`,
      "Write it like b=127.0.0.1:7401.",
    );
  return { id: agentId(text.slice(0, at)), address: checked(text.slice(at + 1)) };
}

/** Port 0 is for those who can be told afterwards; the peers could not. */
function checked(address: string): string {
  if (loopbackAddress(address).port > 0) return address;
  throw usageFailure(
    `The address ${address} has no fixed port.`,
    "Give each agent a port that the others can know.",
  );
}

function checkAgents(ids: readonly string[]): void {
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined)
    throw usageFailure(`The agent ${twice} is named twice.`, "Name each agent once, itself with --id.");
  if (ids.length > limits.votersMax) {
    throw usageFailure(
      `These are ${ids.length} agents, and a group has at most ${limits.votersMax} voting members.`,
      "Name fewer; any number of programs can use them as clients.",
    );
  }
}

function clusterFrom(text: string): Uint8Array {
  try {
    return clusterIdFrom(text);
  } catch {
    throw usageFailure(
      `${JSON.stringify(text)} is not the id of a cluster.`,
      "It has 32 hexadecimal digits; the first `quorate init` prints it.",
    );
  }
}
