/** Members that change: pitfalls 9, 13, 14 and 15. */

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const memberBugs = [
  {
    pitfall: 9,
    bug: "a leader changes members before its first entry is decided",
    file: "src/raft/membership.ts",
    text: `  if (commitIndex < role.firstIndex) return { kind: "busy", because: "election" };
`,
    becomes: "",
    test: "src/raft/membership.test.ts",
    title: "pitfall 9: a leader changes nothing before its first entry is decided",
  },
  {
    pitfall: 13,
    bug: "a learner does not answer candidates",
    file: "src/raft/election.ts",
    text: `  const isNewTerm = message.term > state.term;
`,
    becomes: `  if (!isVoter(state, state.self)) return;
  const isNewTerm = message.term > state.term;
`,
    test: "src/raft/newcomers.test.ts",
    title: "pitfall 13: votes if it is asked: whoever asks may know that it is a voter by now",
  },
  {
    pitfall: 13,
    bug: "whoever joins answers no candidate",
    file: "src/raft/election.ts",
    text: `  const isNewTerm = message.term > state.term;
`,
    becomes: `  if (state.members.voters.length === 0) return;
  const isNewTerm = message.term > state.term;
`,
    test: "src/raft/newcomers.test.ts",
    title: "pitfall 13: votes even if it has nothing yet, once that is on its disk",
  },
  {
    pitfall: 14,
    bug: "a second change may begin in the middle of the first",
    file: "src/raft/membership.ts",
    text: '  if (commitIndex < configurations.newestIndex) return { kind: "busy", because: "memberChange" };',
    becomes: "",
    test: "src/raft/membership.test.ts",
    title: "pitfall 14: a second change waits until the first is over, or at least planned",
  },
  {
    pitfall: 14,
    bug: "only who began a change finishes it",
    file: "src/raft/membership.ts",
    text: "else if (isJoint(members)) appendMembers",
    becomes: "else if (isJoint(members) && configurations.newestIndex > leading.firstIndex) appendMembers",
    test: "src/raft/membership.test.ts",
    title: "pitfall 14: the leader is lost when both sets are to agree",
  },
  {
    pitfall: 14,
    bug: "a leader that is removed goes before that is decided",
    file: "src/raft/membership.ts",
    text: `  if (commitIndex < leading.firstIndex || commitIndex < configurations.newestIndex) return;
  if (!isVoter(state, state.self)) retire(state, leading, now, out);`,
    becomes: `  if (!isVoter(state, state.self)) return retire(state, leading, now, out);
  if (commitIndex < leading.firstIndex || commitIndex < configurations.newestIndex) return;
  if (members.voters.length === 0) return;`,
    test: "src/raft/leavers.test.ts",
    title: "pitfall 14: a leader that removes itself leads until that is decided, and hands over then",
  },
  {
    pitfall: 15,
    bug: "a configuration outlives its entry",
    file: "src/raft/records.ts",
    text: "  state.configurations.truncate(last);",
    becomes: "",
    test: "src/raft/membership.test.ts",
    title: "pitfall 15: it goes with its entry: whoever it made a voter has patience without end again",
  },
  {
    pitfall: 15,
    bug: "a restart knows only the configuration that the log starts from",
    file: "src/raft/records.ts",
    text: "  noteMembers(state, run);\n}",
    becomes: "  if (state.woken) noteMembers(state, run);\n}",
    test: "src/raft/membership.test.ts",
    title: "pitfall 15: it comes back at a restart, from the base and the entries behind it",
  },
  {
    pitfall: 15,
    bug: "a snapshot has the newest configuration",
    file: "src/raft/snapshots.ts",
    text: "members: configurations.at(applied) }",
    becomes: "members: configurations.newest }",
    test: "src/raft/membership.test.ts",
    title: "pitfall 15: a snapshot has the one as of what is applied, not the newest",
  },
];
