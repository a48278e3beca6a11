/** Elections, the office, and reads: pitfalls 9, 10, 12, 13, 19, 20, 23, 28 and 30. */
const unit = "src/raft/pitfalls.test.ts";
const story = "src/simulator/scenarios.test.ts";

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const officeBugs = [
  {
    pitfall: 9,
    bug: "a new leader reads at what it knows to be decided",
    file: "src/raft/reads.ts",
    text: "state.commitIndex > leading.firstIndex ? state.commitIndex : leading.firstIndex",
    becomes: "state.commitIndex",
    test: unit,
    title: "pitfall 9: R14: a new leader serves no read before it has decided an entry of its own",
  },
  {
    pitfall: 10,
    bug: "any answer confirms every round",
    file: "src/raft/leadership.ts",
    text: "if (peer.roundAnswered < message.round) peer.roundAnswered = message.round;",
    becomes: "peer.roundAnswered = leading.round;",
    test: unit,
    title: "pitfall 10: R14: a leader that was paused serves no stale read from answers that waited for it",
  },
  {
    pitfall: 10,
    bug: "answers count whatever their term",
    file: "src/raft/raft.ts",
    text: 'if (message.term !== state.term || state.role.kind !== "leading") return;',
    becomes: 'if (state.role.kind !== "leading") return;',
    test: unit,
    title: "pitfall 10: R14: an answer of an earlier term confirms nothing",
  },
  {
    pitfall: 10,
    bug: "a confirmed read is answered before the state is there",
    file: "src/raft/reads.ts",
    text: "waiting[released]!.index <= state.applied",
    becomes: "waiting[released]!.index <= state.commitIndex",
    test: "src/raft/reads.test.ts",
    title: "pitfall 10: R14: a confirmed read waits until the state has what was decided when its round left",
  },
  {
    pitfall: 10,
    bug: "a leader answers reads without asking",
    file: "src/raft/reads.ts",
    text: "  leading.confirming.push(batch);",
    becomes: `  if (batch.ticket !== undefined) state.settledReads.push({ ticket: batch.ticket, index: batch.index });
  releaseReads(state, out);`,
    test: story,
    title:
      "pitfall 10: a leader cut off from the others, but not from its clients, answers no read from its old state",
  },
  {
    pitfall: 12,
    bug: "a poll raises the term of whoever is asked",
    file: "src/raft/election.ts",
    text: `  const granted =
    message.term > state.term &&
    !hearsLeader(`,
    becomes: `  if (message.term > state.term) enterTerm(state, message.term, undefined, now, out);
  const granted =
    message.term >= state.term &&
    !hearsLeader(`,
    test: unit,
    title: "pitfall 12: R15: a poll of any term changes no term, and its answer carries the term asked for",
  },
  {
    pitfall: 12,
    bug: "an append of a past term is not answered",
    file: "src/raft/following.ts",
    text: `    reject(state, from, message, out);
    return;
  }
  const { runs }`,
    becomes: `    return;
  }
  const { runs }`,
    test: unit,
    title:
      "pitfall 12: R15: an agent that came back with a higher term frees itself by rejecting its leader's appends",
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
    test: unit,
    title: "pitfall 13: R12: a learner votes if asked: it may have become a voter without knowing yet",
  },
  {
    pitfall: 19,
    bug: "an agent gives its vote twice",
    file: "src/raft/election.ts",
    text: "return term === state.term && state.votedFor === undefined && leaderOf(state) === undefined;",
    becomes: "return term === state.term && leaderOf(state) === undefined;",
    test: unit,
    title: "pitfall 19: R3: one input at a time: two requests in one turn get one vote",
  },
  {
    pitfall: 19,
    bug: "an input runs inside the call that brings it",
    file: "src/driver/driver.ts",
    text: "this.#inputs.push({ group: runner, from, message });",
    becomes: "runner.receive(from, message);",
    test: "src/driver/turn.test.ts",
    title:
      "pitfall 19: D1: inputs never run inside the call that brings them; one turn takes all that wait, in order",
  },
  {
    pitfall: 20,
    bug: "a vote counts whatever its term",
    file: "src/raft/election.ts",
    text: 'if (state.role.kind !== "standing" || message.term !== state.term || state.role.votes.has(from)) return;',
    becomes: 'if (state.role.kind !== "standing") return;',
    test: unit,
    title: "pitfall 20: R12: a vote that arrives twice is one vote, and one of an earlier candidacy is none",
  },
  {
    pitfall: 23,
    bug: "a leader that was asleep goes on",
    file: "src/raft/leadership.ts",
    text: "const asleep = lateness > state.electionTimeoutMax && !isSoleVoter(state);",
    becomes: "const asleep = lateness < 0;",
    test: unit,
    title:
      "pitfall 23: R90: patience is drawn per attempt, a pause is no reason to campaign, missed beats are not made up for",
  },
  {
    pitfall: 23,
    bug: "a follower that was asleep campaigns",
    file: "src/raft/election.ts",
    text: "const asleep = now.monotonic - state.deadline > state.electionTimeoutMin;",
    becomes: "const asleep = now.monotonic < state.deadline;",
    test: unit,
    title:
      "pitfall 23: R90: patience is drawn per attempt, a pause is no reason to campaign, missed beats are not made up for",
  },
  {
    pitfall: 23,
    bug: "missed heartbeats are made up for",
    file: "src/raft/leadership.ts",
    text: "const missed = Math.floor((now - due) / interval);",
    becomes: "const missed = Math.min(0, now - due);",
    test: unit,
    title:
      "pitfall 23: R90: patience is drawn per attempt, a pause is no reason to campaign, missed beats are not made up for",
  },
  {
    pitfall: 23,
    bug: "messages that waited come before the late wake",
    file: "src/driver/driver.ts",
    text: `      this.#wakeDue();
      this.#takeInputs();`,
    becomes: `      this.#takeInputs();
      this.#wakeDue();`,
    test: "src/driver/time.test.ts",
    title:
      "pitfall 23: D6: a loop that stalled wakes its core late and once, with the true time, before the messages that waited",
  },
  {
    pitfall: 23,
    bug: "a leader goes on until it hears of another",
    file: "src/raft/leadership.ts",
    text: "if (asleep || diskStalls(state, now.monotonic) || !hearsQuorum(state, leading, now)) {",
    becomes: "if (lateness < 0) {",
    test: story,
    title:
      "pitfall 23: a leader that stood still for a second, and wakes where only its clients reach it, leads no more",
  },
  {
    pitfall: 28,
    bug: "heartbeats leave whatever the disk does",
    file: "src/raft/state.ts",
    text: "return state.pending.oldestPushedAt + state.electionTimeoutMax < now;",
    becomes: "return now < 0;",
    test: unit,
    title:
      "pitfall 28: R90: heartbeats do not wait for the disk, but a leader whose disk hangs lays down its office",
  },
  {
    pitfall: 28,
    bug: "who does not answer gets fewer heartbeats while nobody wants anything",
    file: "src/raft/hibernation.ts",
    text: "    if (rest.sleepers.has(peer) || askedAt > answersBy) continue;",
    becomes: `    const isLost = leading.round - peer.roundAnswered > 2 && leading.round % 8 !== 0;
    if (rest.sleepers.has(peer) || askedAt > answersBy || isLost) continue;`,
    test: unit,
    title: "pitfall 28: R93: a follower that restarts hears the leader before it loses patience",
  },
  {
    pitfall: 28,
    bug: "who does not answer gets fewer heartbeats while the group is in use",
    file: "src/raft/reads.ts",
    text: "  for (const peer of leading.peers.values()) sendHeartbeat(state, leading, peer, out);",
    becomes: `  for (const peer of leading.peers.values()) {
    const isLost = leading.round - peer.roundAnswered > 2;
    if (!isLost || leading.round % 8 === 0) sendHeartbeat(state, leading, peer, out);
  }`,
    test: unit,
    title: "pitfall 28: R93: a follower that restarts hears the leader before it loses patience",
  },
  {
    pitfall: 28,
    bug: "heartbeats leave whatever the disk does",
    file: "src/raft/state.ts",
    text: "return state.pending.oldestPushedAt + state.electionTimeoutMax < now;",
    becomes: "return now < 0;",
    test: story,
    title: "pitfall 28: a leader whose disk hangs for 30 s lays down its office, and the others go on",
  },
  {
    pitfall: 30,
    bug: "a leader that nobody answers goes on",
    file: "src/raft/leadership.ts",
    text: "  return isQuorum(state, hears);",
    becomes: "  return isQuorum(state, hears) !== undefined;",
    test: unit,
    title:
      "pitfall 30: R90: an agent that hears nobody but is heard disturbs nobody, and a leader nobody hears gives up",
  },
  {
    pitfall: 30,
    bug: "whoever is asked gives its vote, leader or not",
    file: "src/raft/state.ts",
    text: "state.leaderHeardAt + state.electionTimeoutMin > now;",
    becomes: "now < 0;",
    test: unit,
    title:
      "pitfall 30: R11: whoever can reach only one of the others does not depose the leader that the others hear",
  },
  {
    pitfall: 30,
    bug: "whoever is asked gives its vote, leader or not",
    file: "src/raft/state.ts",
    text: "state.leaderHeardAt + state.electionTimeoutMin > now;",
    becomes: "now < 0;",
    test: story,
    title:
      "pitfall 30: of three in a chain with the leader at one end, the leader stays, and the far end disturbs nobody",
  },
  {
    pitfall: 30,
    bug: "a leader that nobody answers goes on",
    file: "src/raft/leadership.ts",
    text: "  return isQuorum(state, hears);",
    becomes: "  return isQuorum(state, hears) !== undefined;",
    test: story,
    title: "pitfall 30: where only one agent reaches the others, and its log is up to date, it comes to lead",
  },
  {
    pitfall: 30,
    bug: "a vote goes to any log",
    file: "src/raft/election.ts",
    text: "  return lastIndex >= log.last;",
    becomes: "  return true;",
    test: story,
    title:
      "pitfall 30, a limit: where only an agent with an old log reaches the others, nobody leads until a link heals",
  },
];
