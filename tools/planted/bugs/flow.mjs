/** What is on its way and what waits: pitfalls 21, 22 and 29. */
const unit = "src/raft/pitfalls.test.ts";
const story = "src/simulator/scenarios.test.ts";

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const flowBugs = [
  {
    pitfall: 21,
    bug: "a rejection hints at the entry before, and no further",
    file: "src/raft/following.ts",
    text: "const agreeing = state.log.lastOfTermAtMost(prevTerm, prevIndex);",
    becomes: "const agreeing = (prevIndex - 1) as LogIndex;",
    test: unit,
    title: "pitfall 21: R91: a long divergence costs at most one probe per term, not one per entry",
  },
  {
    pitfall: 21,
    bug: "the leader probes back one by one",
    file: "src/raft/progress.ts",
    text: "Math.max(lowest, Math.min(agreeing + 1, prevIndex))",
    becomes: "Math.max(lowest, prevIndex)",
    test: unit,
    title: "pitfall 21: R91: a follower that is merely behind costs one probe",
  },
  {
    pitfall: 22,
    bug: "answers to heartbeats ask about no lost append",
    file: "src/raft/replication.ts",
    text: "if (leading.beat - peer.quietSinceBeat < quietBeatsMax) return;",
    becomes: "return;",
    test: unit,
    title:
      "pitfall 22: R92: a full window that is lost altogether is asked about by an answer to a heartbeat",
  },
  {
    pitfall: 22,
    bug: "only a full window is asked about",
    file: "src/raft/replication.ts",
    text: `  if (peer.mode === "probe") {
    peer.asked = false;
    replicateTo(state, leading, peer, out);
  } else if`,
    becomes: "  if",
    test: unit,
    title: "pitfall 22: R92: so is a probe that is lost, and the end of a pipeline",
  },
  {
    pitfall: 22,
    bug: "a rejection counts however late it comes",
    file: "src/raft/progress.ts",
    text: `if (this.mode === "snapshot" || prevIndex <= this.matched) return false;
    if (this.mode === "probe" ? prevIndex !== this.next - 1 : prevIndex >= this.next) return false;`,
    becomes: "",
    test: unit,
    title: "pitfall 22: R13: a late rejection of an earlier probe does not rewind the progress",
  },
  {
    pitfall: 22,
    bug: "answers to heartbeats ask about no lost append",
    file: "src/raft/replication.ts",
    text: "if (leading.beat - peer.quietSinceBeat < quietBeatsMax) return;",
    becomes: "return;",
    test: story,
    title:
      "pitfall 22: a follower that lost a full window of appends is caught up, though nobody noticed the broken link",
  },
  {
    pitfall: 29,
    bug: "what is undecided has no limit",
    file: "src/raft/proposals.ts",
    text: "if (inFlight > 0 && inFlight + byteLength > inFlightMax)",
    becomes: "if (inFlight < 0)",
    test: "src/raft/flow.test.ts",
    title:
      "pitfall 29: R16: more that is undecided than the limit is overloaded, all or none, and passes once it is decided",
  },
  {
    pitfall: 29,
    bug: "a peer's window has no end",
    file: "src/raft/progress.ts",
    text: `      !this.window.full &&
      this.window.bytes`,
    becomes: "      this.window.bytes",
    test: unit,
    title: "pitfall 29: R16: what a peer that is away costs is bounded: its window, and nothing more",
  },
  {
    pitfall: 29,
    bug: "what is not applied has no limit",
    file: "src/raft/committing.ts",
    text: "if (state.applying.count > 0 && bytesAfter > state.limits.applyBytesMax) return;",
    becomes: "",
    test: "src/raft/flow.test.ts",
    title:
      "pitfall 29: R10: no more is handed out than the state machine's window takes; what is applied makes room",
  },
  {
    pitfall: 29,
    bug: "reads that wait have no limit",
    file: "src/raft/reads.ts",
    text: "if (inFlight >= limits.readTicketsMax)",
    becomes: "if (inFlight < 0)",
    test: "src/raft/reads.test.ts",
    title: "pitfall 29: R16: there is a limit to reads that nobody settles",
  },
  {
    pitfall: 29,
    bug: "what is undecided has no limit",
    file: "src/raft/proposals.ts",
    text: "if (inFlight > 0 && inFlight + byteLength > inFlightMax)",
    becomes: "if (inFlight < 0)",
    test: story,
    title:
      "pitfall 29: while the disks of a majority hang, what a leader takes is bounded, and all of it is decided after",
  },
  {
    pitfall: 29,
    bug: "each office begins with nothing undecided",
    file: "src/raft/leadership.ts",
    text: "committedBytes: log.bytesThrough(state.commitIndex),",
    becomes: "committedBytes: log.bytesAppended,",
    test: "src/raft/flow.test.ts",
    title:
      "pitfall 29: R16: what an earlier office left undecided counts, or each election would let as much in again",
  },
  {
    pitfall: 29,
    bug: "commands of one client are handed in without end",
    file: "src/runtime/command-window.ts",
    text: `return this.#waiting.count > 0 || this.#underWay >= limits.clientRequestsMax;
  }

  get #room(): number {
    const size = Math.ceil(bytesUnderWayMax / this.#expectedBytes);
    return Math.min(size, limits.clientRequestsMax) - this.#underWay;`,
    becomes: `return false;
  }

  get #room(): number {
    return limits.clientRequestsMax;`,
    test: "src/runtime/client-connection.test.ts",
    title:
      "pitfall 29: one with too many commands under way is read no further until answers come, or a second has passed",
  },
];
