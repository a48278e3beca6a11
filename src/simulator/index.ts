/** Whole clusters from one seed: the production driver, journal, core and state over a simulated world that goes wrong. */
export {
  Simulation,
  type Failure,
  type RunCounts,
  type RunResult,
  type SimulationExtras,
} from "./simulation.ts";
export { drawOptions, type SimulationChoices, type SimulationOptions } from "./options.ts";
export { invariants, Violation, type Invariant } from "./violation.ts";
export { countLines, failureLines, optionLines, replayCommand } from "./report.ts";
export { pass, throughout, within, type Play, type Scenario, type Script, type Wait } from "./scenario.ts";
export { scenarios } from "./scenarios.ts";
export { traceVersion, type TraceSink } from "./trace.ts";
export { productionParts, type Parts, type SimulatedCore } from "./parts.ts";
export { SimulatedDisk, type DiskFault, type SimulatedDiskOptions } from "./disk.ts";
export { EventQueue } from "./event-queue.ts";
