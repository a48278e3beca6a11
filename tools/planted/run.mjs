/**
 * Steps into every pitfall of docs/pitfalls.md, one by one, and sees the test that is named there fail: `npm run planted`.
 * `npm run planted -- 24 30` takes only those pitfalls. Nothing on the disk changes: a bug is planted while its file is
 * loaded. Ends with 1 where a bug lives on, or where the code that it changes is no longer there.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startVitest } from "vitest/node";
import { plantedBugs } from "./bugs.mjs";

/** @typedef {import("./bugs.mjs").PlantedBug} PlantedBug */

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Loads the bug's file as it is, and as if somebody had written the bug. @param {PlantedBug} bug @returns {import("vite").Plugin} */
function planting({ file, text, becomes }) {
  return {
    name: "planted-bug",
    enforce: "pre",
    load: (id) => {
      if (id !== join(root, file)) return undefined;
      return readFileSync(id, "utf8").replace(text, () => becomes);
    },
  };
}

/** What became of a bug: `caught`, or why not. @param {PlantedBug} bug */
async function outcome(bug) {
  const pieces = readFileSync(join(root, bug.file), "utf8").split(bug.text).length - 1;
  if (pieces !== 1) return `what it changes is ${pieces} times in ${bug.file}`;
  const title = bug.title.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const vitest = await startVitest(
    "test",
    [bug.test],
    { root, watch: false, testNamePattern: title, reporters: [{}] },
    { plugins: [planting(bug)] },
  );
  const tests = vitest.state.getTestModules().flatMap((module) => [...module.children.allTests()]);
  const states = tests.filter(({ name }) => name === bug.title).map((test) => test.result().state);
  await vitest.close();
  if (states.length === 0) return "no test of that title ran";
  return states.includes("failed") ? "caught" : "lives on";
}

const asked = new Set(process.argv.slice(2).map(Number));
let unseen = 0;
for (const bug of plantedBugs) {
  if (asked.size > 0 && !asked.has(bug.pitfall)) continue;
  // oxlint-disable-next-line no-await-in-loop -- one bug at a time
  const became = await outcome(bug);
  if (became !== "caught") unseen += 1;
  console.log(`${became === "caught" ? "✔" : "✖"} ${bug.pitfall}: ${bug.bug}: ${became}`);
}
console.log(unseen === 0 ? "planted: every bug was caught" : `planted: ${unseen} were not caught`);
process.exit(unseen === 0 ? 0 : 1);
