/**
 * `kill -9` of the leader, then how long until the next write is acknowledged. A prober asks every agent in turn all the
 * time, as a client that knows all of them would; its pauses are short against what is measured.
 */
import { connect, map } from "../dist/index.js";
import { startQuorate } from "./quorate.ts";

/** Milliseconds without an acknowledged write, one number per kill. */
export async function benchFailover(
  parentFolder: string,
  kills: number,
  progress: (done: number, ms: number) => void,
): Promise<number[]> {
  const cluster = await startQuorate(parentFolder);
  const host = await connect({ agents: cluster.addresses });
  const group = host.group("main", { mechanism: "raft", state: { map: map<number>() } });
  const gaps: number[] = [];
  try {
    await group.ready();
    for (let kill = 0; kill < kills; kill++) {
      const leader = await cluster.whole();
      // The client is where the leader is, as one that is in use.
      await group.state.map.put("probe", kill, { timeoutMs: 20_000 });
      cluster.kill(leader);
      const killedAt = performance.now();
      await group.state.map.put("probe", kill, { timeoutMs: 20_000 });
      const gap = performance.now() - killedAt;
      gaps.push(gap);
      progress(kill + 1, gap);
      cluster.restart(leader);
    }
    return gaps;
  } finally {
    await host.close();
    await cluster.stop();
  }
}
