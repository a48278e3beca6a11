/**
 * The bugs that the tests of docs/pitfalls.md were shown to catch: for each, a piece of our code, and what it becomes when
 * somebody steps into the pitfall. `npm run planted` plants them one by one.
 */
import { diskBugs } from "./bugs/disk.mjs";
import { flowBugs } from "./bugs/flow.mjs";
import { leaseBugs } from "./bugs/leases.mjs";
import { logBugs } from "./bugs/log.mjs";
import { memberBugs } from "./bugs/members.mjs";
import { officeBugs } from "./bugs/office.mjs";
import { snapshotBugs } from "./bugs/snapshots.mjs";
import { stateBugs } from "./bugs/state.mjs";

/**
 * @typedef {object} PlantedBug
 * @property {number} pitfall Its number in docs/pitfalls.md.
 * @property {string} bug What the code does wrong with it, in a few words.
 * @property {string} file Where it is planted.
 * @property {string} text What is there, once.
 * @property {string} becomes What is there instead.
 * @property {string} test The file with the test that must fail.
 * @property {string} title Of that test, without the titles of the groups around it.
 */

/** @type {readonly PlantedBug[]} */
export const plantedBugs = [
  ...logBugs,
  ...officeBugs,
  ...leaseBugs,
  ...memberBugs,
  ...snapshotBugs,
  ...flowBugs,
  ...diskBugs,
  ...stateBugs,
].toSorted((a, b) => a.pitfall - b.pitfall);
