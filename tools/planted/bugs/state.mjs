/** What decided entries are applied to: pitfalls 17, 18 and 27. */
const story = "src/simulator/scenarios.test.ts";

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const stateBugs = [
  {
    pitfall: 17,
    bug: "a snapshot says one entry less than it holds",
    file: "src/state/replicated.ts",
    text: `        applied: this.#applied,
        digest`,
    becomes: `        applied: this.#applied - 1,
        digest`,
    test: "src/state/state-snapshot.test.ts",
    title:
      "pitfall 17: S1, S10: says up to which entry its state has come: what it is restored to takes just the next one",
  },
  {
    pitfall: 17,
    bug: "the index moves on before the entry is applied",
    file: "src/driver/applying.ts",
    text: `      const answer = this.#state.apply(run.bytes, offset);
      this.#applied = index;`,
    becomes: `      this.#applied = index;
      if (index === run.last && !digestAfter) continue;
      const answer = this.#state.apply(run.bytes, offset);`,
    test: "src/driver/commits.test.ts",
    title:
      "pitfall 17: D9: are applied in order, told to the observer, and then to the core, with the digest where it asks",
  },
  {
    pitfall: 18,
    bug: "random numbers are not the entry's own",
    file: "src/state/entry-context.ts",
    text: "new Prng((this.index % indexRange) * termRange + term)",
    becomes: "new Prng(Math.floor(Math.random() * indexRange) * termRange + term)",
    test: "src/state/replicated.test.ts",
    title:
      "pitfall 18: S12: are told their index, proposer, logged time, and the same random numbers everywhere",
  },
  {
    pitfall: 18,
    bug: "random numbers go on where the last command left off",
    file: "src/state/entry-context.ts",
    text: `    this.#proposer = undefined;
    this.#prng = undefined;`,
    becomes: "    this.#proposer = undefined;",
    test: "src/state/replicated.test.ts",
    title:
      "pitfall 18: S12: draw the same numbers, whatever was drawn before: after a restart from a snapshot, too",
  },
  {
    pitfall: 18,
    bug: "digests are not compared",
    file: "src/raft/checkpoints.ts",
    text: "if (equalBytes(own.digest, theirs.digest)) return;",
    becomes: "return;",
    test: "src/raft/checkpoints.test.ts",
    title:
      "pitfall 18: R21: a follower whose state is another one learns it with the next heartbeat, once for each checkpoint",
  },
  {
    pitfall: 27,
    bug: "a repeat runs again",
    file: "src/state/replicated.ts",
    text: `    if (sequence < expected) {
      const first`,
    becomes: `    if (sequence < 0) {
      const first`,
    test: "src/state/replicated.test.ts",
    title: "pitfall 27: S2: take effect once, and S3: a repeat gets the bytes of the first answer",
  },
  {
    pitfall: 27,
    bug: "a full table throws out whoever is at work",
    file: "src/state/sessions.ts",
    text: `      this.close(this.#quietest);
    }
    this.#insert`,
    becomes: `      this.close(this.#liveliest!);
    }
    this.#insert`,
    test: "src/state/sessions.test.ts",
    title: "pitfall 27: S6: closes the session that was quiet for longest when it is full",
  },
  {
    pitfall: 27,
    bug: "a restored session has forgotten its answers",
    file: "src/state/sessions.ts",
    text: `      this.#keep(session, last - answers.length + 1 + place, answer);
    });`,
    becomes: "    });",
    test: "src/state/sessions.test.ts",
    title: "pitfall 27: S10: stays as it was, and restored is the same table",
  },
  {
    pitfall: 27,
    bug: "a repeat runs again",
    file: "src/state/replicated.ts",
    text: `    if (sequence < expected) {
      const first`,
    becomes: `    if (sequence < 0) {
      const first`,
    test: story,
    title:
      "pitfall 27: clients that lose every tenth call or answer, and ask again, have each command done once",
  },
  {
    pitfall: 27,
    bug: "what was sent and not answered counts as not done",
    file: "src/runtime/face/session-client.ts",
    text: 'return pending.isClean ? "notDone" : "unknown";',
    becomes: 'return "notDone";',
    test: "test/face/create-consensus.test.ts",
    title:
      "pitfall 27: an unknown outcome carries the request id to ask again, and asking again appends nothing twice",
  },
];
