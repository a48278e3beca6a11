// Three members in one process agree on a value, and share a map.
import { createConsensus, map } from "quorate";

const ann = createConsensus("raft", "ann", ["bob", "cleo"], { state: { config: map() } });
const decided = await ann.propose({ release: "2.4.0", approved: true });
console.log("decided:", decided);

await ann.state.config.put("model", "v42");
console.log("bob reads:", await ann.peer("bob").state.config.get("model"));
