/**
 * Goal: LIMITS.md and docs/errors.md say of each limit and each error what is true, and leave none out. Method: read the
 * pages and compare them with the program, in both directions.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { errorCodes, limits } from "../../src/core/index.ts";

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");

interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly happens: string;
  readonly scopes: readonly string[];
}

/** Rows like: | `name` | 4,194,304 (4 MiB) | what happens | agent | */
function rowsOf(page: string): Row[] {
  const row = /^\| `(\w+)` \| ([\d,]+)(?: \((\d+ [KM]iB)\))? \| (.+) \| ([\w, ]+) \|$/gm;
  return [...page.matchAll(row)].map(([, name = "", value = "", unit = "", happens = "", scopes = ""]) => ({
    name,
    value: Number(value.replaceAll(",", "")),
    unit,
    happens,
    scopes: scopes.split(", "),
  }));
}

function inWords(value: number): string {
  const mebibytes = value / 1024 / 1024;
  if (Number.isInteger(mebibytes)) return `${mebibytes} MiB`;
  return Number.isInteger(value / 1024) ? `${value / 1024} KiB` : "";
}

describe("LIMITS.md", () => {
  const page = read("LIMITS.md");
  const rows = rowsOf(page);

  it("has a row for every limit, and for nothing else", () => {
    expect(rows.map(({ name }) => name).toSorted()).toEqual(Object.keys(limits).toSorted());
    // Rows that the pattern above does not understand would go unseen.
    expect(page.match(/^\| `/gm)).toHaveLength(rows.length);
  });

  it("has each value as it is", () => {
    expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual(limits);
  });

  it("says sizes in larger units too, and rightly", () => {
    for (const { name, value, unit } of rows) {
      const expected = /Bytes/.test(name) ? inWords(value) : "";
      expect({ name, unit }).toEqual({ name, unit: expected });
    }
  });

  it("says for each what happens there, and for whom a change matters", () => {
    for (const { name, happens, scopes } of rows) {
      expect({ name, tells: happens.length > 15 }).toEqual({ name, tells: true });
      for (const scope of scopes) expect(["agent", "wire", "disk", "state"]).toContain(scope);
    }
  });

  it("names only errors that there are", () => {
    for (const [, code = ""] of page.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g))
      expect(Object.keys(errorCodes)).toContain(code);
  });

  it("is named by the source where it is kept", () => {
    expect(read("src/core/limits.ts")).toContain("LIMITS.md");
  });
});

describe("docs/errors.md", () => {
  const page = read("docs/errors.md");
  const paragraphs = new Map(
    page
      .split(/^### /m)
      .slice(1)
      .map((section) => {
        const [code = "", ...rest] = section.split("\n");
        return [code, rest.join("\n").split(/^## /m)[0]?.trim() ?? ""] as const;
      }),
  );

  it("has a paragraph for every code, and for nothing else", () => {
    expect([...paragraphs.keys()].toSorted()).toEqual(Object.keys(errorCodes).toSorted());
    expect(page.match(/^### /gm)).toHaveLength(paragraphs.size);
  });

  it("says of each what it means, its outcome, and what to do", () => {
    for (const [code, paragraph] of paragraphs) {
      const found =
        /^(?<means>.+?)\s+Outcome: (?<outcome>notDone|unknown)(?<rest>.*?)\.\s+(?<todo>[A-Z].*)$/s.exec(
          paragraph,
        );
      expect({ code, complete: (found?.groups?.["todo"] ?? "").length > 15 }).toEqual({
        code,
        complete: true,
      });
    }
  });
});
