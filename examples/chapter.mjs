// The usage lines of the chapter that this library grew from. Four agents, all in this process; the script ends by itself.
import { createConsensus } from "quorate";
const consensus = createConsensus("raft", "agent_1", ["agent_2", "agent_3", "agent_4"]);
const isLeader = await consensus.startElection();
if (isLeader) await consensus.appendEntries([{ type: "update", key: "config", value: "new_config" }]);
