/**
 * One agent in a process of its own, whose group has a map: id, data folder, all agents' addresses and further options come
 * as arguments. Says what it logs, and `up`; ends with SIGTERM.
 */
import { AgentRuntime, type AgentOptions } from "../../src/runtime/agent.ts";
import type { GroupOptions } from "../../src/runtime/group-options.ts";
import { mapMachine } from "../../src/state/map.ts";

const [id = "", dataDir = "", agentsText = "[]", optionsText = "{}"] = process.argv.slice(2);
const { snapshotLogBytes, logHeldBytes, ...options } = JSON.parse(optionsText) as Partial<AgentOptions> &
  Pick<GroupOptions, "snapshotLogBytes" | "logHeldBytes">;
const peers = JSON.parse(agentsText) as { id: string; address: string }[];
const listen = peers.find((peer) => peer.id === id)?.address ?? "127.0.0.1:0";
const log = (message: string): void => void process.stdout.write(`${message}\n`);
const agent = await AgentRuntime.start({
  id,
  dataDir,
  listen,
  peers,
  groups: [
    {
      name: "main",
      mechanism: "raft",
      members: peers.map((peer) => peer.id),
      machines: { map: mapMachine() },
      snapshotLogBytes,
      logHeldBytes,
    },
  ],
  ...options,
  logger: { info: log, warn: log, error: log },
  onFatal: () => process.exit(1),
});
process.once("SIGTERM", () => void agent.close().then(() => process.stdin.destroy()));
// Whoever started this is gone: so is the test.
process.stdin.on("end", () => process.exit(0)).resume();
log("up");
