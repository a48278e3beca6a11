import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { QuorateError } from "../core/errors.ts";
import { parseDecisions, readDecisions } from "./decisions.ts";

function errorOf(text: string): QuorateError {
  try {
    parseDecisions(text, "d.jsonl");
  } catch (error) {
    if (error instanceof QuorateError) return error;
  }
  throw new Error("it was read, and should not have been");
}

describe("a file of decisions", () => {
  test("with an id and a value, the id becomes the request id and the value is decided", () => {
    expect(parseDecisions('{"id":"d-1","value":{"pay":5}}\n{"id":"d-2","value":null}', "d.jsonl")).toEqual([
      { line: 1, id: "d-1", value: { pay: 5 } },
      { line: 2, id: "d-2", value: null },
    ]);
  });

  test("any other line is a decision as a whole, and its id counts too", () => {
    const decisions = parseDecisions(
      '{"id":"d-1","pay":5}\n\n"plain"\n[1,2]\n{"pay":6}\n{"id":"x","value":1,"why":2}',
      "d.jsonl",
    );
    expect(decisions).toEqual([
      { line: 1, id: "d-1", value: { id: "d-1", pay: 5 } },
      { line: 3, id: undefined, value: "plain" },
      { line: 4, id: undefined, value: [1, 2] },
      { line: 5, id: undefined, value: { pay: 6 } },
      { line: 6, id: "x", value: { id: "x", value: 1, why: 2 } },
    ]);
  });

  test("lines may end as on Windows, and the last needs no end", () => {
    expect(parseDecisions("1\r\n2\r\n3", "d.jsonl").map((decision) => decision.value)).toEqual([1, 2, 3]);
  });

  test("a broken line is named, before anything is proposed", () => {
    const error = errorOf('{"id":"a"}\n{"id":\n');
    expect(error.message).toBe("Line 2 of d.jsonl is not JSON; nothing was proposed.");
    expect(error.outcome).toBe("notDone");
  });

  test("two lines with one id would be one decision: refused", () => {
    expect(errorOf('{"id":"a"}\n{"id":"b"}\n{"id":"a"}').message).toContain(
      'Line 3 of d.jsonl has the id "a" of line 1',
    );
  });

  test("an id must be a text that a request id has room for", () => {
    expect(errorOf('{"id":7}').message).toContain("an id that is not a text");
    expect(errorOf('{"id":""}').message).toContain("an id that is not a text");
    expect(errorOf(`{"id":"${"ä".repeat(33)}"}`).message).toContain("more than 64 bytes");
    expect(parseDecisions(`{"id":"${"ä".repeat(32)}"}`, "d.jsonl")).toHaveLength(1);
  });
});

describe("on disk", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "quorate-decisions-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  test("it is read whole", async () => {
    const path = join(folder, "d.jsonl");
    writeFileSync(path, '{"id":"a"}\n');
    await expect(readDecisions(path)).resolves.toHaveLength(1);
  });

  test("a file too large to be read at once is refused by its size alone", async () => {
    const path = join(folder, "huge.jsonl");
    writeFileSync(path, "");
    // Sparse: it takes no room.
    truncateSync(path, 300 * 1024 * 1024);
    await expect(readDecisions(path)).rejects.toMatchObject({ code: "TOO_LARGE" });
  });

  test("a file that is not there says so", async () => {
    await expect(readDecisions(join(folder, "none.jsonl"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
