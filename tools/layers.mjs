/**
 * The order of the house. A folder of `src` imports only folders above it in this list; `index.ts` comes last.
 * The lint configuration and its tests are made from this file and from nothing else.
 */
export const layers = /** @type {const} */ ([
  { name: "core", pure: true, awaits: false },
  { name: "raft", pure: true, awaits: false },
  { name: "paxos", pure: true, awaits: false },
  { name: "pbft", pure: true, awaits: false },
  { name: "gossip", pure: true, awaits: false },
  { name: "state", pure: true, awaits: false },
  { name: "voting", pure: true, awaits: false },
  { name: "attestation", pure: true, awaits: false },
  { name: "selection", pure: true, awaits: false },
  { name: "journal", pure: true, awaits: false },
  { name: "driver", pure: true, awaits: false },
  { name: "simulator", pure: true, awaits: true },
  { name: "runtime", pure: false, awaits: true },
  { name: "testing", pure: false, awaits: true },
  { name: "serving", pure: false, awaits: true },
  { name: "mcp", pure: false, awaits: true },
  { name: "cli", pure: false, awaits: true },
  { name: "dashboard", pure: false, awaits: true },
]);

/** What a pure folder may not name, and why. The compiler knows none of the first group; lint catches both. */
export const bannedGlobals = [
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask"].map((name) => ({
    name,
    message: "Time is an input: state a deadline instead.",
  })),
  ...["fetch", "process", "console", "Buffer"].map((name) => ({
    name,
    message: "A pure folder does no input or output.",
  })),
  ...["performance", "Date"].map((name) => ({ name, message: "Time is an input: use the clock given." })),
  { name: "crypto", message: "Take a hasher, signer or verifier as an argument." },
  { name: "globalThis", message: "A way around the rules of a pure folder." },
  ...["WeakRef", "FinalizationRegistry"].map((name) => ({
    name,
    message: "Garbage collection is not deterministic.",
  })),
];
