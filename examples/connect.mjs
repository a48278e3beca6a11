// A client of agents that run already (`quorate up` in this folder or above it).
import { connect, map, QuorateError } from "quorate";

try {
  const host = await connect();
  const main = host.group("main", { mechanism: "raft", state: { map: map() } });
  await main.state.map.put("greeting", "hello");
  console.log("stored:", await main.state.map.get("greeting"));
  console.log("decided:", await main.propose({ say: "hello" }));
  await host.close();
} catch (error) {
  if (!(error instanceof QuorateError)) throw error;
  console.log(`${error.message} ${error.hint}`);
}
