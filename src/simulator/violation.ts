/** What a run can find to be wrong. The names are stable: reports, tests and the track record use them. */
export const invariants = {
  electionSafety: "At most one agent leads in a term (Raft, figure 3).",
  oneVote: "An agent gives its vote in a term to one candidate only, restarts included (Raft, section 5.2).",
  logMatching:
    "Entries of one index and term are the same everywhere, and so is all before them (Raft, figure 3).",
  leaderCompleteness: "Whoever leads holds every entry committed before its term (Raft, figure 3).",
  stateMachineSafety: "All agents apply the same entry at an index, in order, each once (Raft, figure 3).",
  commitDurability:
    "What counts as committed is on the disks of a quorum of the members in force, of both while two are.",
  electionQuorum:
    "Whoever leads has the votes of a quorum of the members in force (Ongaro's thesis, section 4.3).",
  oneChange: "One configuration at a time is undecided (Ongaro, raft-dev, 2015).",
  snapshotMembers: "A snapshot says who takes part as the entries up to it do (the paper, section 7).",
  promiseDurability: "A vote or an acknowledgement leaves only once what it promises is on disk.",
  journalDurability: "After a crash, everything that was reported durable is back, as it was written.",
  recovery: "A core restarts with the term, the vote and the log that its records say.",
  acknowledgedKept: "What a client was told is decided stays decided, with the same answer.",
  exactlyOnce: "Each command of a session takes effect once, in the order of the session.",
  linearizable: "A read reflects every write acknowledged before it began, and nothing that is not decided.",
  equalDigests: "Agents that applied the same entries are in the same state.",
  sleepIsWatched: "Nobody sleeps for long who cannot hear the agent of its leader.",
  noCrash: "No agent fails by itself: no broken assertion, no unexpected error.",
  convergence: "Once the faults end, a quorum decides everything that is asked of it, in bounded time.",
  expectation: "What a scenario says comes true, in the time that it gives.",
} as const;

export type Invariant = keyof typeof invariants;

export class Violation extends Error {
  override readonly name = "Violation";
  readonly invariant: Invariant;

  constructor(invariant: Invariant, detail: string, options?: { readonly cause?: unknown }) {
    super(detail, options);
    this.invariant = invariant;
  }
}
