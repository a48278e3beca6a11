/** Snapshots that arrive: pitfalls 15 and 16. */
const test = "src/raft/snapshots.test.ts";

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const snapshotBugs = [
  {
    pitfall: 15,
    bug: "the configuration that a snapshot brings is ignored",
    file: "src/raft/records.ts",
    text: "  configurations.startAt(index, record.members);",
    becomes: "  if (index === 0) configurations.startAt(index, record.members);",
    test,
    title: "pitfall 15: R23: who takes part is what it says, from then on and after a restart",
  },
  {
    pitfall: 16,
    bug: "a snapshot is installed whatever is there",
    file: "src/raft/snapshots.ts",
    text: `  if (ownTerm === anchor.term) {
    // The entries have caught up. That a snapshot has the entry says that it is decided.
    commitThrough(state, index);
  } else if (index > state.commitIndex) {`,
    becomes: "  if (index > state.base.index) {",
    test,
    title: "pitfall 16: R32: one that says nothing new is acknowledged and not installed",
  },
  {
    pitfall: 16,
    bug: "a snapshot that contradicts what is decided is acknowledged",
    file: "src/raft/snapshots.ts",
    text: `    out.events.push({ kind: "diverged", index });
    return;`,
    becomes: "",
    test,
    title: "pitfall 16: R32: one that contradicts what is decided here is an alarm, and nothing else",
  },
  {
    pitfall: 16,
    bug: "entries behind a snapshot stay, whatever they follow",
    file: "src/raft/records.ts",
    text: "} else if (index > log.start && log.termAt(index) !== term) {",
    becomes: "} else if (index > log.start && log.termAt(index) === undefined) {",
    test,
    title:
      "pitfall 16: R32, R6: entries that contradict it go, with all behind them, and what of them reaches the disk late counts for nothing",
  },
  {
    pitfall: 16,
    bug: "the state is replaced before the snapshot's record is durable",
    file: "src/raft/snapshots.ts",
    text: "const isNew = state.durableBase < state.base.index && state.baseRecord <= state.pending.durableRecord;",
    becomes: "const isNew = state.durableBase < state.base.index;",
    test,
    title: "pitfall 16: R33: before the first is durable: the state follows the second alone",
  },
  {
    pitfall: 16,
    bug: "a second snapshot does not interrupt the first",
    file: "src/raft/snapshots.ts",
    text: "if (state.installing) restore(state, out);",
    becomes: "if (state.installing && !state.restoring) restore(state, out);",
    test,
    title: "pitfall 16: R33: while the state is being replaced by the first: the second takes its place",
  },
];
