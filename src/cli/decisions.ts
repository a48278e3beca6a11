/**
 * Files of decisions: JSON lines, one decision a line, best as `{"id": …, "value": …}`. The id becomes the request id:
 * proposing the same file again then decides nothing twice. Any other JSON is a decision as well, the whole line; if it is
 * an object with an `id`, that counts too.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";

import { emptyBytes } from "../core/bytes.ts";
import { entryHeaderBytes } from "../core/entry.ts";
import { QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { encodeText } from "../core/text.ts";
import { encodeCommandEnvelope, encodeProposal, type Json } from "../state/index.ts";

export interface FileDecision {
  /** Counted from 1. */
  readonly line: number;
  readonly id: string | undefined;
  readonly value: Json;
}

/** The longest name that whoever proposes may have. */
const proposerBytesMax = 64;
/** What a command takes beside its value, at most. */
const overheadBytes: number =
  entryHeaderBytes +
  encodeCommandEnvelope({
    proposer: "x".repeat(proposerBytesMax),
    machine: "",
    requestId: "x".repeat(limits.requestIdBytesMax),
    command: emptyBytes,
  }).length;

/**
 * Reads and checks the whole file before anything is proposed. Throws `BAD_VALUE` and `TOO_LARGE` naming the line, and
 * what the system says of the file.
 */
export async function readDecisions(path: string): Promise<FileDecision[]> {
  const about = await stat(path);
  // Reading says so as well, but not of which file.
  if (about.isDirectory()) throw Object.assign(new Error("it is a folder"), { code: "EISDIR", path });
  if (about.size > limits.decisionFileBytesMax) throw tooLargeFile(path, about.size);
  return readDecisionsFrom(createReadStream(path), path);
}

/** The same for a stream; `name` is what messages call it. */
export async function readDecisionsFrom(
  stream: AsyncIterable<Uint8Array>,
  name: string,
): Promise<FileDecision[]> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of stream) {
    size += piece.length;
    if (size > limits.decisionFileBytesMax) throw tooLargeFile(name, size);
    pieces.push(piece);
  }
  return parseDecisions(decisionText(Buffer.concat(pieces, size), name), name);
}

/** Without the mark that some editors put in front. Throws `BAD_VALUE` where it is not UTF-8. */
export function decisionText(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw bad(`${name} is not UTF-8 text; nothing was proposed.`, "Save it as UTF-8.", cause);
  }
}

/** The decisions in a text, at least one. Blank lines are skipped. */
export function parseDecisions(text: string, name: string): FileDecision[] {
  const decisions: FileDecision[] = [];
  const lineOfId = new Map<string, number>();
  for (const [at, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const line = at + 1;
    const parsed = parsedLine(content, line, name);
    const id = idOf(parsed, line, name);
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
    const value = valueOf(parsed);
    checkValue(value, line, name);
    decisions.push({ line, id, value });
  }
  if (decisions.length > 0) return decisions;
  throw bad(
    `There is no decision in ${name}; nothing was proposed.`,
    "Write one JSON value a line, as in examples/decisions.jsonl.",
  );
}

/** It would be refused where it is proposed, but by then others are on their way. */
function checkValue(value: Json, line: number, name: string): void {
  let byteLength: number;
  try {
    byteLength = overheadBytes + encodeProposal([value]).length;
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    throw badLine(name, line, `can't be proposed. ${error.message.replace(/\.$/, "")}`, error.hint, error);
  }
  if (byteLength <= limits.entryBytesMax) return;
  throw new QuorateError(
    "TOO_LARGE",
    `Line ${line} of ${name} takes ${byteLength} bytes as a command, and ${limits.entryBytesMax} is the most; nothing was proposed.`,
    { outcome: "notDone", hint: "Store large values elsewhere, and agree on where they are." },
  );
}

function tooLargeFile(name: string, size: number): QuorateError {
  return new QuorateError(
    "TOO_LARGE",
    `${name} has at least ${size} bytes, more than the ${limits.decisionFileBytesMax} that are read at once.`,
    {
      outcome: "notDone",
      hint: "Split it; with an id on each line the parts can be proposed one after the other, and again.",
    },
  );
}

function parsedLine(content: string, line: number, name: string): Json {
  try {
    return JSON.parse(content) as Json;
  } catch (cause) {
    const hint = "Write one JSON value a line, as in examples/decisions.jsonl.";
    throw badLine(name, line, "is not JSON", hint, cause);
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
  if (encodeText(id).length > limits.requestIdBytesMax) {
    throw badLine(
      name,
      line,
      `has an id of more than ${limits.requestIdBytesMax} bytes`,
      "Shorten it; it is kept as the request id.",
    );
  }
  return id;
}

function badLine(name: string, line: number, what: string, hint: string, cause?: unknown): QuorateError {
  return bad(`Line ${line} of ${name} ${what}; nothing was proposed.`, hint, cause);
}

function bad(message: string, hint: string, cause?: unknown): QuorateError {
  return new QuorateError("BAD_VALUE", message, { outcome: "notDone", hint, cause });
}
