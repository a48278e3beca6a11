/**
 * One agent in a process of its own: id, data folder, all agents' addresses and further options come as arguments. Says
 * `up`, ends with SIGTERM.
 */
import { AgentRuntime, type AgentOptions } from "../../src/runtime/agent.ts";

const [id = "", dataDir = "", agentsText = "[]", optionsText = "{}"] = process.argv.slice(2);
const options = JSON.parse(optionsText) as Partial<AgentOptions>;
const peers = JSON.parse(agentsText) as { id: string; address: string }[];
const listen = peers.find((peer) => peer.id === id)?.address ?? "127.0.0.1:0";
const agent = await AgentRuntime.start({
  id,
  dataDir,
  listen,
  peers,
  groups: [{ name: "main", mechanism: "raft", members: peers.map((peer) => peer.id) }],
  ...options,
  onFatal: () => process.exit(1),
});
process.once("SIGTERM", () => void agent.close().then(() => process.stdin.destroy()));
// Whoever started this is gone: so is the test.
process.stdin.on("end", () => process.exit(0)).resume();
process.stdout.write("up\n");
