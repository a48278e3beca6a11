/**
 * Files of decisions: JSON lines, one decision a line, best as `{"id": …, "value": …}`. The id becomes the request id:
 * proposing the same file again then decides nothing twice. Any other JSON is a decision as well, the whole line; if it is
 * an object with an `id`, that counts too.
 */
import { readFile, stat } from "node:fs/promises";

import { QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { encodeText } from "../core/text.ts";
import type { Json } from "../state/index.ts";

export interface FileDecision {
  /** Counted from 1. */
  readonly line: number;
  readonly id: string | undefined;
  readonly value: Json;
}

/** Reads and checks the whole file before anything is proposed. Throws `BAD_VALUE` and `TOO_LARGE` naming the line. */
export async function readDecisions(path: string): Promise<FileDecision[]> {
  const { size } = await stat(path);
  if (size > limits.decisionFileBytesMax) {
    throw new QuorateError(
      "TOO_LARGE",
      `${path} has ${size} bytes, more than the ${limits.decisionFileBytesMax} that are read at once.`,
      {
        outcome: "notDone",
        hint: "Split it; with an id on each line the parts can be proposed one after the other, and again.",
      },
    );
  }
  return parseDecisions(await readFile(path, "utf8"), path);
}

/** The decisions in a text; `name` is what messages call it. Blank lines are skipped. */
export function parseDecisions(text: string, name: string): FileDecision[] {
  const decisions: FileDecision[] = [];
  const lineOfId = new Map<string, number>();
  for (const [at, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const line = at + 1;
    const value = parsedLine(content, line, name);
    const id = idOf(value, line, name);
    if (id !== undefined) {
      const earlier = lineOfId.get(id);
      if (earlier !== undefined) {
        throw badLine(
          name,
          line,
          `has the id ${JSON.stringify(id)} of line ${earlier}`,
          "Give each line an id of its own.",
        );
      }
      lineOfId.set(id, line);
    }
    decisions.push({ line, id, value: valueOf(value) });
  }
  return decisions;
}

function parsedLine(content: string, line: number, name: string): Json {
  try {
    return JSON.parse(content) as Json;
  } catch {
    throw badLine(name, line, "is not JSON", "Write one JSON value a line, as in examples/decisions.jsonl.");
  }
}

/** What stands under `value` where there is nothing else but an id; otherwise all of it. */
function valueOf(line: Json): Json {
  if (typeof line !== "object" || line === null || Array.isArray(line)) return line;
  const { id, value, ...rest } = line as { readonly [key: string]: Json };
  return id !== undefined && value !== undefined && Object.keys(rest).length === 0 ? value : line;
}

function idOf(value: Json, line: number, name: string): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const id = (value as { readonly [key: string]: Json })["id"];
  if (id === undefined) return undefined;
  if (typeof id !== "string" || id === "") {
    throw badLine(name, line, "has an id that is not a text", "Write the id as a text, or leave it out.");
  }
  if (encodeText(id).byteLength > limits.requestIdBytesMax) {
    throw badLine(
      name,
      line,
      `has an id of more than ${limits.requestIdBytesMax} bytes`,
      "Shorten it; it is kept as the request id.",
    );
  }
  return id;
}

function badLine(name: string, line: number, what: string, hint: string): QuorateError {
  return new QuorateError("BAD_VALUE", `Line ${line} of ${name} ${what}; nothing was proposed.`, {
    outcome: "notDone",
    hint,
  });
}
