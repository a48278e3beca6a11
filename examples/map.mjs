// A replicated map: compare and set, so that two writers can't overwrite each other unseen, and a watch.
import { createConsensus, map } from "quorate";

const state = { budget: map() };
const planner = createConsensus("raft", "planner", ["buyer", "auditor"], { state });
const buyer = planner.peer("buyer");

const changes = planner.peer("auditor").state.budget.watch("team/");

const version = await planner.state.budget.put("team/research", 1000);
console.log(await planner.state.budget.cas("team/research", version, 800)); // swapped
console.log(await buyer.state.budget.cas("team/research", version, 500)); // conflict: says what is there
await buyer.state.budget.put("team/sales", 300);
console.log(await buyer.state.budget.range({ prefix: "team/" }));
await buyer.state.budget.delete("team/sales");

let seen = 0;
for await (const { index, key, value } of changes) {
  console.log(`index ${index}: ${key} is ${value === undefined ? "gone" : JSON.stringify(value)}`);
  seen += 1;
  if (seen === 4) break;
}
