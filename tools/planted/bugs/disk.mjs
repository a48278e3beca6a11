/** Disks that fail, rot and lie: pitfalls 24 and 25. */
const story = "src/simulator/scenarios.test.ts";

/** @type {readonly import("../bugs.mjs").PlantedBug[]} */
export const diskBugs = [
  {
    pitfall: 24,
    bug: "a sync that failed counts as done",
    file: "src/journal/journal.ts",
    text: "if (error !== undefined || this.#failed) {",
    becomes: "if (this.#failed) {",
    test: "src/journal/journal.test.ts",
    title: "pitfall 24: J13: a failed sync is told once, and everything after is refused",
  },
  {
    pitfall: 24,
    bug: "a sync that failed counts as done",
    file: "src/journal/journal.ts",
    text: "if (error !== undefined || this.#failed) {",
    becomes: "if (this.#failed) {",
    test: story,
    title: "pitfall 24: an agent ends itself where a sync fails, though the next would succeed",
  },
  {
    pitfall: 24,
    bug: "what is missing in the middle is cut like a torn end",
    file: "src/journal/decision.ts",
    text: `  gapHere: "corrupt",
  gapLater: "corrupt",
  gapRecycled: "corrupt",
};`,
    becomes: `  gapHere: "torn",
  gapLater: "torn",
  gapRecycled: "torn",
};`,
    test: "src/journal/decision.test.ts",
    title: "pitfall 24: J6, J15: torn only where no block number is missing behind it",
  },
  {
    pitfall: 24,
    bug: "a torn end damages its groups",
    file: "src/journal/decision.ts",
    text: '  nothing: "torn",',
    becomes: '  nothing: "corrupt",',
    test: "src/journal/decision.test.ts",
    title: "pitfall 24: J7, J15: corrupt only where a later block shows that numbers are missing",
  },
  {
    pitfall: 24,
    bug: "a damaged group is hosted with what is left",
    file: "src/driver/driver.ts",
    text: "if (recovered.damaged) throw corrupt(options.name);",
    becomes: "",
    test: "src/driver/journal-use.test.ts",
    title: "pitfall 24: D13: a group whose records are damaged is not hosted",
  },
  {
    pitfall: 24,
    bug: "a damaged group that is to begin anew does not",
    file: "src/driver/driver.ts",
    text: "if (options.anew === true) this.#journal.restart(options.name);",
    becomes: "",
    test: "src/driver/journal-use.test.ts",
    title: "pitfall 24: D38: a damaged group begins anew where that is asked for, and its core finds nothing",
  },
  {
    pitfall: 24,
    bug: "a follower that lost acknowledged entries goes on",
    file: "src/raft/following.ts",
    text: `  if (commit > state.log.last) throw forgotten(state.log.last, commit);
`,
    becomes: `  if (commit > state.log.last) return;
`,
    test: "src/raft/replication.test.ts",
    title:
      "pitfall 24: R5: a leader that counts on entries which are gone ends the agent, and says that its journal is to blame",
  },
  {
    pitfall: 24,
    bug: "a damaged group is hosted with what is left",
    file: "src/driver/driver.ts",
    text: "if (recovered.damaged) throw corrupt(options.name);",
    becomes: "",
    test: story,
    title:
      "pitfalls 24 and 25: an agent whose journal rotted in the middle stays out of its group, and the others go on",
  },
  {
    pitfall: 25,
    bug: "the folder is not synced after a rename",
    file: "src/journal/segments.ts",
    text: "(done) => this.#o.disk.syncDirectory(done),",
    becomes: "(done) => done(),",
    test: "src/journal/crash.test.ts",
    title:
      "pitfalls 24 and 25: J3, J9, J10, J11, J13: every promise is kept where the n-th operation meets: crash",
  },
  {
    pitfall: 25,
    bug: "a segment has its name before it has its length",
    file: "src/journal/segments.ts",
    text: `    this.#fill(file, temporary, 0);
`,
    becomes: `    this.#attempt(() => this.#settle(this.#named(temporary, file)));
`,
    test: "src/journal/segments.test.ts",
    title:
      "pitfall 25: J10: is zeroed and synced under a temporary name, then renamed, then the folder is synced",
  },
  {
    pitfall: 25,
    bug: "the checksum of a block does not start from its segment",
    file: "src/journal/format.ts",
    text: "writeUint32(message, journalIdBytes, segment);",
    becomes: "",
    test: "src/journal/format.test.ts",
    title:
      "pitfall 25: J5: a block is not valid under any other segment's number, even if its header is made to fit",
  },
  {
    pitfall: 25,
    bug: "block numbers are not looked at",
    file: "src/journal/scan.ts",
    text: 'if (found.kind === "block" && found.header.number > before) {',
    becomes: 'if (found.kind === "block") {',
    test: "src/journal/recovery.test.ts",
    title: "pitfall 25: J7: a block written over another one is corrupt too",
  },
  {
    pitfall: 25,
    bug: "a block behind missing ones counts like any other",
    file: "src/journal/decision.ts",
    text: 'ahead: whatever("acceptBehindGap"),',
    becomes: 'ahead: whatever("accept"),',
    test: "src/journal/recovery.test.ts",
    title: "pitfall 25: J7: damages a group of which nothing later tells the last number",
  },
  {
    pitfall: 25,
    bug: "an entry's checksum is not looked at",
    file: "src/core/entry.ts",
    text: "if (crc32Range(bytes, offset + at.index, end) !== readUint32(bytes, offset + at.checksum)) {",
    becomes: "if (end < offset) {",
    test: "src/core/entry.test.ts",
    title: "pitfall 25: is refused if any one bit of it is flipped",
  },
];
