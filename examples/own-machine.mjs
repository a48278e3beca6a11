// A state machine of one's own: tasks that are claimed by exactly one agent, whoever asks first.
import { createConsensus, defineMachine } from "quorate";

const tasks = defineMachine({
  version: 1,
  initial: () => ({ owners: /** @type {Record<string, string>} */ ({}) }),
  commands: {
    claim: (state, /** @type {{ task: string, agent: string }} */ { task, agent }) => {
      state.owners[task] ??= agent;
      return state.owners[task];
    },
  },
  queries: {
    ownedBy: (state, /** @type {string} */ agent) =>
      Object.keys(state.owners).filter((task) => state.owners[task] === agent),
  },
});

const scout = createConsensus("raft", "scout", ["writer", "editor"], { state: { tasks } });
const writer = scout.peer("writer");

// All at once, through different members: every member sees the same winners.
const owners = await Promise.all([
  scout.state.tasks.claim({ task: "summarise", agent: "scout" }),
  writer.state.tasks.claim({ task: "summarise", agent: "writer" }),
  writer.state.tasks.claim({ task: "translate", agent: "writer" }),
]);
console.log("owners:", owners);
console.log("writer has:", await scout.state.tasks.ownedBy("writer"));
