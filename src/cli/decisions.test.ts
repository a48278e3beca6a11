import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { QuorateError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { decisionText, parseDecisions, readDecisions, readDecisionsFrom } from "./decisions.ts";

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

  test("none at all is no way to say that all went well", () => {
    for (const text of ["", "\n", "  \n\r\n\t\n"]) {
      const error = errorOf(text);
      expect(error).toMatchObject({ code: "BAD_VALUE", outcome: "notDone" });
      expect(error.message).toBe("There is no decision in d.jsonl; nothing was proposed.");
    }
  });

  test("a value that no command has room for, or that JSON can't give back, is named before anything is proposed", () => {
    const fits = JSON.stringify("x".repeat(limits.entryBytesMax - 1000));
    expect(parseDecisions(`1\n${fits}`, "d.jsonl")).toHaveLength(2);
    const error = errorOf(`1\n${fits}\n${JSON.stringify("x".repeat(limits.entryBytesMax))}`);
    expect(error).toMatchObject({ code: "TOO_LARGE", outcome: "notDone" });
    expect(error.message).toMatch(
      /^Line 3 of d\.jsonl takes 1048\d+ bytes as a command, and 1048576 is the most/,
    );
    expect(errorOf("1\n1e999").message).toMatch(/^Line 2 of d\.jsonl .*finite/);
    expect(errorOf(`${"[".repeat(200)}${"]".repeat(200)}`).message).toMatch(/^Line 1 of d\.jsonl .*nested/);
  });

  test("as bytes: a byte order mark is no part of the first line, and what is not UTF-8 is refused", () => {
    const text = (bytes: readonly number[]): string => decisionText(Uint8Array.from(bytes), "d.jsonl");
    expect(parseDecisions(text([0xef, 0xbb, 0xbf, 0x31, 0x0a, 0x32]), "d.jsonl")).toMatchObject([
      { line: 1, value: 1 },
      { line: 2, value: 2 },
    ]);
    // As some shells write what is redirected to a file.
    expect(() => text([0xff, 0xfe, 0x31, 0x00])).toThrow(/d\.jsonl is not UTF-8 text; nothing was proposed/);
    expect(() => text([0x22, 0xe4, 0x22])).toThrow(/not UTF-8/);
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

  test("a stream that is longer is given up once it is", async () => {
    let pieces = 0;
    const piece = new Uint8Array(32 * 1024 * 1024).fill(0x20);
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        pieces += 1;
        yield piece;
      }
    }
    await expect(readDecisionsFrom(endless(), "stdin")).rejects.toMatchObject({ code: "TOO_LARGE" });
    expect(pieces).toBeLessThan(12);
  });

  test("a folder is none, and says which", async () => {
    await expect(readDecisions(folder)).rejects.toMatchObject({ code: "EISDIR", path: folder });
  });

  test("a file that is not there says so", async () => {
    await expect(readDecisions(join(folder, "none.jsonl"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
