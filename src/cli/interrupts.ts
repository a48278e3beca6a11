/**
 * Ctrl-C and its relatives. The first asks the command to end in good order; later ones are ignored for a moment, since
 * a terminal sends the signal to every process of a pipeline and npm passes it on once more; after that one ends at once.
 */
import { setMaxListeners } from "node:events";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const patienceMs = 1500;

/** Aborts at the first signal. `onImpatience` runs at a second one that comes later. */
export function interruptSignal(onImpatience: () => void): AbortSignal {
  const controller = new AbortController();
  // Every call on its way listens to it.
  setMaxListeners(0, controller.signal);
  let firstAtMs = 0;
  for (const signal of signals) {
    process.on(signal, () => {
      if (!controller.signal.aborted) {
        firstAtMs = performance.now();
        controller.abort();
      } else if (performance.now() - firstAtMs > patienceMs) {
        onImpatience();
      }
    });
  }
  return controller.signal;
}

/** Resolves at the first signal. */
export async function untilInterrupted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
