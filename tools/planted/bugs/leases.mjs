/** Reads by lease: pitfall 11. */
const leases = "src/raft/lease.test.ts";
const pledges = "src/raft/pledges.test.ts";

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const leaseBugs = [
  {
    pitfall: 11,
    bug: "the whole of a pledge counts, however fast the voter's clock",
    file: "src/raft/lease.ts",
    text: "(pledge * (100 - limits.clockDriftPercentMax)) / 100",
    becomes: "pledge + 0 * limits.clockDriftPercentMax",
    test: leases,
    title:
      "pitfall 11: R44: lasts from when the round left until the pledges end, less what clocks may differ by",
  },
  {
    pitfall: 11,
    bug: "a lease is counted from the answer",
    file: "src/raft/lease.ts",
    text: "peer.pledge = { from: left, certain };",
    becomes:
      "peer.pledge = { from: { monotonic: peer.heardAt, wall: (left.wall + peer.heardAt - left.monotonic) as Micros }, certain };",
    test: leases,
    title: "pitfall 11: R44: is no longer where answers are late",
  },
  {
    pitfall: 11,
    bug: "any answer is a pledge",
    file: "src/raft/lease.ts",
    text: "{ round, pledge }: HeartbeatAnswer",
    becomes: "{ round, pledge = state.electionTimeoutMin }: HeartbeatAnswer",
    test: leases,
    title:
      "pitfall 11: R44: counts on no voter that pledged nothing, be it of an earlier version, and on others for as long as they say",
  },
  {
    pitfall: 11,
    bug: "a lease is of use before an own entry is decided",
    file: "src/raft/lease.ts",
    text: "commitIndex >= firstIndex",
    becomes: "firstIndex > 0",
    test: leases,
    title:
      "pitfall 11: R14: begin once the leader's own first entry is decided: before, others may know of other voters",
  },
  {
    pitfall: 11,
    bug: "a lease outlives the summons of a successor",
    file: "src/raft/transfer.ts",
    text: "  leading.lease.isForfeited = true;\n",
    becomes: "",
    test: leases,
    title:
      "pitfall 11: R44: the summons of a successor, before it leaves and for the whole term: its votes break pledges",
  },
  {
    pitfall: 11,
    bug: "only the monotonic clock is looked at",
    file: "src/raft/lease.ts",
    text: "from.wall <= wall && wall < from.wall + certain",
    becomes: "from.wall + wall > 0",
    test: leases,
    title:
      "pitfall 11: R44: either clock: a machine that was suspended, and whose monotonic clock stood still",
  },
  {
    pitfall: 11,
    bug: "a voter's pledge ends with the term",
    file: "src/raft/transitions.ts",
    text: "  follow(state, undefined, now, out);\n}\n\n/** Follows",
    becomes: "  state.pledgedUntil = now.monotonic;\n  follow(state, undefined, now, out);\n}\n\n/** Follows",
    test: pledges,
    title:
      "pitfall 11: R43: it holds in whatever term the voter is by then, for requests of that term as for later ones",
  },
  {
    pitfall: 11,
    bug: "a restart forgets that the vote is pledged",
    file: "src/raft/lease.ts",
    text: "  state.pledgedUntil = state.earlierPledgeEnds;\n",
    becomes: "",
    test: pledges,
    title: "pitfall 11: R43: it waits for as long as it pledged before, and votes then",
  },
  {
    pitfall: 11,
    bug: "a voter pledges before its disk knows",
    file: "src/raft/lease.ts",
    text: "pledge <= state.pledge && state.pledgeRecord <= state.pending.durableRecord",
    becomes: "pledge <= state.pledge",
    test: pledges,
    title: "pitfall 11: R43: nothing before its disk has for how long",
  },
  {
    pitfall: 11,
    bug: "a core is asked with the time of when the turn began",
    file: "src/driver/group.ts",
    text: "    this.#host.readClock();\n",
    becomes: "",
    test: "src/driver/queries.test.ts",
    title: "pitfall 11: D19: a core is asked with the time as it is then, not as it was when the turn began",
  },
  {
    pitfall: 11,
    bug: "a lease has no end",
    file: "src/raft/lease.ts",
    text: "monotonic < from.monotonic + certain && from.wall <= wall && wall < from.wall + certain",
    becomes: "from.monotonic + certain + monotonic + wall > 0",
    test: "src/simulator/scenarios.test.ts",
    title:
      "pitfall 11: who reads by lease answers nothing from an old state, though voters begin anew, links break and its machine is suspended",
  },
];
