/** What the tour reads back from each agent, to see whether what it claims is so. */
import { createHash } from "node:crypto";

import type { FileDecision } from "../decisions.ts";
import type { Json } from "../../state/index.ts";

/** Where the reading of a log ends: a value that nobody else proposes. */
export interface EndMark {
  readonly tour: string;
  readonly end: string;
}

export function isEndMark(value: Json, mark: EndMark): boolean {
  return JSON.stringify(value) === JSON.stringify(mark);
}

/** SHA-256 over the values, in order, each as JSON and ended by a line feed. */
export function digestOf(values: readonly Json[]): string {
  const hash = createHash("sha256");
  for (const value of values) hash.update(`${JSON.stringify(value)}\n`);
  return hash.digest("hex");
}

/**
 * Compares what an agent has with what was sent. Undefined: each is there once, in order, and nothing else is. Otherwise
 * what is wrong, in words.
 */
export function difference(values: readonly Json[], decisions: readonly FileDecision[]): string | undefined {
  const found = values.map((value) => JSON.stringify(value));
  const sent = decisions.map((decision) => JSON.stringify(decision.value));
  const missing = sent.filter((text) => !found.includes(text)).length;
  if (missing > 0) return `${missing} of ${sent.length} decisions are not there`;
  if (found.length > sent.length) return `${found.length - sent.length} decisions are there more than once`;
  const at = found.findIndex((text, position) => text !== sent[position]);
  return at === -1 ? undefined : `decision ${at + 1} is out of order`;
}
