// Three members of a group. Here they share a process; as a rule each has its own, on the same list of addresses.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, map } from "quorate";

const ids = ["a", "b", "c"];
const addresses = ["127.0.0.1:7481", "127.0.0.1:7482", "127.0.0.1:7483"];
const place = mkdtempSync(join(tmpdir(), "quorate-members-"));

// Once for each agent: its folder, its key, and the cluster that all three belong to.
const { cluster } = Agent.init({ id: "a", dataDir: join(place, "a") });
for (const id of ["b", "c"]) Agent.init({ id, dataDir: join(place, id), cluster });

const agents = await Promise.all(
  ids.map((id, at) => Agent.start({ id, dataDir: join(place, id), listen: addresses[at], join: addresses })),
);
const groups = agents.map((agent) =>
  agent.group("main", { mechanism: "raft", members: ids, state: { map: map() } }),
);

await groups[0]?.state.map.put("model", "v42");
for (const [at, group] of groups.entries()) {
  console.log(ids[at], "reads", (await group.state.map.get("model"))?.value);
}

await Promise.all(agents.map((agent) => agent.close()));
rmSync(place, { recursive: true });
