/** What is written, acknowledged and decided: pitfalls 1 to 8. */
const unit = "src/raft/pitfalls.test.ts";
const story = "src/simulator/scenarios.test.ts";

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const logBugs = [
  {
    pitfall: 1,
    bug: "a rejection leaves before its term is on disk",
    file: "src/raft/following.ts",
    text: `  out.sendsOnceDurable.push({
    to,`,
    becomes: `  out.sends.push({
    to,`,
    test: unit,
    title:
      "pitfall 1: R3, R5: neither votes nor acknowledgements leave before the disk has what they promise, rejections included",
  },
  {
    pitfall: 1,
    bug: "votes are asked for before the own vote is on disk",
    file: "src/raft/election.ts",
    text: `    out.sendsOnceDurable.push({
      to,`,
    becomes: `    out.sends.push({
      to,`,
    test: unit,
    title: "pitfall 1: R3: a candidate asks for votes only once its own is on disk",
  },
  {
    pitfall: 1,
    bug: "a promise waits for the last record but one",
    file: "src/driver/promise-gate.ts",
    text: "this.#needs.peek() <= through",
    becomes: "this.#needs.peek() <= through + 1",
    test: "src/driver/promise-gate.test.ts",
    title: "pitfall 1: D3: in any order of pushes and syncs, promises leave in order and none too early",
  },
  {
    pitfall: 1,
    bug: "a failed write is reported, and the turn goes on",
    file: "src/driver/driver.ts",
    text: `    this.#state = "failed";
    if (wasRunning) this.#stop();`,
    becomes: "",
    test: "src/driver/journal-use.test.ts",
    title: "pitfalls 1 and 24: D14: a failed write ends the driver: nothing is stepped or sent after it",
  },
  {
    pitfall: 1,
    bug: "what is written counts as durable",
    file: "src/journal/journal.ts",
    text: "    active.file.sync((error) => this.#onSynced(runs, withDirectory, error));",
    becomes: "    this.#onSynced(runs, withDirectory, undefined);",
    test: story,
    title:
      "pitfalls 1, 2 and 3: all agents lose power at once, again and again, and nothing that was acknowledged is lost",
  },
  {
    pitfall: 2,
    bug: "the own vote counts at once",
    file: "src/raft/election.ts",
    text: 'state.role = { kind: "standing", votes: new Map(), voteRecord };',
    becomes: 'state.role = { kind: "standing", votes: new Map([[state.self, true]]), voteRecord };',
    test: unit,
    title: "pitfall 2: R3: a candidate's own vote counts only once it is on disk",
  },
  {
    pitfall: 2,
    bug: "the leader's own entries count at once",
    file: "src/raft/leadership.ts",
    text: "(id === self ? state.pending.durableIndex :",
    becomes: "(id === self ? state.log.last :",
    test: unit,
    title:
      "pitfall 2: R5: a leader's own entry counts only once it is on disk; a majority of others suffices without it",
  },
  {
    pitfall: 2,
    bug: "a group of one decides at once",
    file: "src/raft/proposals.ts",
    text: `  replicate(state, leading, out);
  return`,
    becomes: `  replicate(state, leading, out);
  state.commitIndex = state.log.last;
  return`,
    test: unit,
    title: "pitfall 2: R10: in a group of one, too, nothing is decided before it is on disk",
  },
  {
    pitfall: 3,
    bug: "the term of an append is not written down",
    file: "src/raft/transitions.ts",
    text: "  persistTerm(state, term, votedFor, now, out);",
    becomes: `  state.term = term;
  state.votedFor = votedFor;`,
    test: unit,
    title: "pitfall 3: R4: the record of a term comes before the entries of it, at leader and follower",
  },
  {
    pitfall: 4,
    bug: "entries of any term are decided by counting",
    file: "src/raft/replication.ts",
    text: `if (index <= state.commitIndex || index < leading.firstIndex) return false;
  assert(state.log.termAt(index) === state.term, "R7: counting decides only entries of the own term");`,
    becomes: "if (index <= state.commitIndex) return false;",
    test: unit,
    title: "pitfall 4: R7: figure 8 of the paper: entries of an earlier term are not decided by counting",
  },
  {
    pitfall: 5,
    bug: "a follower commits as far as its own log reaches",
    file: "src/raft/following.ts",
    text: "commitThrough(state, message.commit < last ? message.commit : last);",
    becomes: "commitThrough(state, message.commit < state.log.last ? message.commit : state.log.last);",
    test: unit,
    title:
      "pitfall 5: R8: a follower with entries of a past leader takes the new one's word only as far as it has verified",
  },
  {
    pitfall: 5,
    bug: "a heartbeat carries all that is decided",
    file: "src/raft/reads.ts",
    text: "const commit = peer.matched < state.commitIndex ? peer.matched : state.commitIndex;",
    becomes: "const commit = state.commitIndex;",
    test: unit,
    title: "pitfall 5: R8: a heartbeat carries no more than its receiver has acknowledged",
  },
  {
    pitfall: 6,
    bug: "every append replaces what follows it",
    file: "src/raft/following.ts",
    text: "if (!isDecided && state.log.termAt(index as LogIndex) !== entryTerm(run.bytes, offset)) break;",
    becomes: "if (!isDecided) break;",
    test: unit,
    title: "pitfall 6: R9: a late append does not delete matching later entries",
  },
  {
    pitfall: 7,
    bug: "a completion counts by index",
    file: "src/raft/records.ts",
    text: "  state.pending.truncate(last);",
    becomes: "",
    test: unit,
    title:
      "pitfall 7: R6: a completion for entries that were replaced meanwhile does not make the new ones durable",
  },
  {
    pitfall: 7,
    bug: "acknowledgements count whatever their term",
    file: "src/raft/raft.ts",
    text: 'if (message.term !== state.term || state.role.kind !== "leading") return;',
    becomes: 'if (state.role.kind !== "leading") return;',
    test: unit,
    title: "pitfall 7: R5: an acknowledgement of an earlier term says nothing in this one",
  },
  {
    pitfall: 7,
    bug: "what is written counts as durable",
    file: "src/journal/journal.ts",
    text: "    active.file.sync((error) => this.#onSynced(runs, withDirectory, error));",
    becomes: "    this.#onSynced(runs, withDirectory, undefined);",
    test: "src/journal/journal.test.ts",
    title:
      "pitfalls 1 and 7: J1: reports nothing before the sync has returned, then each group once with its last record",
  },
  {
    pitfall: 8,
    bug: "one voter too few commits",
    file: "src/core/quorum.ts",
    text: "return descending[needed - 1] as LogIndex;",
    becomes: "return descending[Math.max(0, needed - 2)] as LogIndex;",
    test: "src/core/quorum.test.ts",
    title: "pitfall 8: commits what the definition commits, whatever is known of whom",
  },
  {
    pitfall: 8,
    bug: "a vote that is out counts as a yes",
    file: "src/core/quorum.ts",
    text: '  if (yes >= needed) return "won";',
    becomes: '  if (yes + open >= needed && yes > 0) return "won";',
    test: "src/core/quorum.test.ts",
    title: "pitfall 8: decides a vote as soon as the votes that are out can't change it, and no sooner",
  },
  {
    pitfall: 8,
    bug: "of two sets the incoming one suffices",
    file: "src/core/quorum.ts",
    text: "return incoming < outgoing ? incoming : outgoing;",
    becomes: "return incoming;",
    test: "src/core/quorum.test.ts",
    title: "pitfall 8: commit only what both sets commit",
  },
];
