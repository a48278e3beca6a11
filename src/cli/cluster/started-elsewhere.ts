/** An agent that ended can be started again by hand, in a process that is none of ours: then only the agent itself tells. */
import { lockHolder } from "../../runtime/folder-lock.ts";
import { askAgent } from "../ask-agent.ts";
import { placeAt } from "../places.ts";
import type { AgentProcess } from "./agent-process.ts";
import type { AgentFolder } from "./cluster-folder.ts";

const lookMs = 500;
/** Longer than that, and it is not there for those who ask. */
const answerMsMax = 1500;

/** Looks again and again whether agents that are down here run elsewhere, and tells them. Returns how to stop that. */
export function watchElsewhere(agents: readonly AgentProcess[], folders: readonly AgentFolder[]): () => void {
  let isOver = false;
  const asked = new Set<AgentProcess>();
  const look = async (agent: AgentProcess, folder: AgentFolder): Promise<void> => {
    const { id, address, dataFolder } = folder;
    const answer = await askAgent(placeAt(id, address, dataFolder), answerMsMax);
    // What it said last grows old, and that is shown.
    if (answer.kind === "silent") return;
    const isThere = answer.kind === "running" && answer.id === id;
    const pid = isThere ? await lockHolder(dataFolder) : undefined;
    if (!isOver) agent.seenElsewhere(isThere ? { status: answer.status, pid } : undefined);
  };
  const timer = setInterval(() => {
    agents.forEach((agent, at) => {
      const folder = folders[at];
      if (folder === undefined || agent.isOurs || asked.has(agent)) return;
      asked.add(agent);
      void look(agent, folder).finally(() => asked.delete(agent));
    });
  }, lookMs);
  return () => {
    isOver = true;
    clearInterval(timer);
  };
}
