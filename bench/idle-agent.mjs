/**
 * One of the agents of `idle.ts`, as a process of its own: it hosts many groups, and answers how many of them sleep. Plain
 * JavaScript over the built package, so that nothing else runs in the process.
 */
import { AgentRuntime, createDataFolder } from "../dist/runtime/index.js";
import { mapMachine } from "../dist/state/index.js";

const { id, dataDir, cluster, addresses, groups } = /** @type {import("./idle.ts").IdleAgentOptions} */ (
  JSON.parse(process.argv[2] ?? "")
);

createDataFolder(dataDir, { agent: id, cluster: Uint8Array.from(Buffer.from(cluster, "hex")) });
const agent = await AgentRuntime.start({
  id,
  dataDir,
  listen: addresses[id] ?? "",
  peers: Object.entries(addresses).map(([peer, address]) => ({ id: peer, address })),
  groups: groups.map(({ name, members }) => ({
    name,
    mechanism: "raft",
    members,
    machines: { map: mapMachine() },
  })),
});

process.on("message", () => {
  const statuses = groups.map(({ name }) => agent.hub(name)?.status());
  process.send?.({
    asleep: statuses.filter((status) => status?.hibernating).length,
    led: statuses.filter((status) => status?.leader !== undefined).length,
    leading: statuses.filter((status) => status?.role === "leader").length,
  });
});
process.send?.("started");
