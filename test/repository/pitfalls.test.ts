/**
 * Goal: docs/pitfalls.md stays true. Method: its two tables are compared with the invariants of the specifications, the
 * tests that call themselves after a pitfall, and the bugs that `npm run planted` plants.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { plantedBugs } from "../../tools/planted/bugs.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const text = (path: string): string => readFileSync(join(root, path), "utf8");

/** Played by the test of that name, under their own titles. */
const stories = "src/simulator/scenarios.ts";
const document = text("docs/pitfalls.md");
/** Rows with four cells, the first of which is a number. */
const rows = [...document.matchAll(/^\| (\d+) \| (.+) \| (.+) \| (.+) \|$/gm)].map((match) => match.slice(1));
const isTest = (cell: string | undefined): boolean => cell?.endsWith(".test.ts`") ?? false;
const pitfalls = rows.filter(([, , cell]) => !isTest(cell));
const tried = rows
  .filter(([, , cell]) => isTest(cell))
  .map(([number, bug, file = "", title]) => ({
    pitfall: Number(number),
    bug,
    test: file.slice(1, -1),
    title: title ?? "",
  }));

interface Title {
  readonly file: string;
  /** Of the tests that it stands for; a part that is only known when it runs fits anything. */
  readonly fits: RegExp;
  readonly written: string;
  readonly numbers: readonly number[];
}

/** The numbers in "pitfall 3: …", "pitfalls 1, 2 and 3: …". */
function numbersOf(title: string): number[] {
  const [, list = ""] = /^pitfalls? ([\d, and]+)/.exec(title) ?? [];
  return [...list.matchAll(/\d+/g)].map(([number]) => Number(number));
}

/** Titles of tests and stories that begin with a pitfall. */
function titlesIn(path: string): Title[] {
  const file = path === stories ? "src/simulator/scenarios.test.ts" : path;
  return [...text(path).matchAll(/(?<=[(:] ?\n? *)(["`])(pitfalls? \d.*)\1/g)].map(([, , written = ""]) => {
    const pieces = written
      .split(/\$\{.*?\}|%s/)
      .map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
    return { file, fits: new RegExp(`^${pieces.join(".*")}$`), written, numbers: numbersOf(written) };
  });
}

const files = ["src", "test"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map(
    (file) => `${folder}/${file.replaceAll("\\", "/")}`,
  ),
);
const titles = files
  .filter((path) => path.endsWith(".test.ts") || path === stories)
  .filter((path) => !path.startsWith("test/repository/"))
  .flatMap(titlesIn);

describe("docs/pitfalls.md", () => {
  it("has all thirty, each once, in order", () => {
    const there = pitfalls.map(([number]) => Number(number));
    expect(there).toEqual(Array.from({ length: 30 }, (_, position) => position + 1));
  });

  it("names only invariants that a specification has", () => {
    const specified = files
      .filter((path) => path.endsWith("/SPEC.md"))
      .flatMap((path) => [...text(path).matchAll(/\*\*([A-Z]+\d+)\*\*/g)])
      .map(([, name]) => name);
    for (const [number, , , invariants = ""] of pitfalls) {
      for (const name of invariants.split(", ")) expect(specified, `pitfall ${number}`).toContain(name);
    }
  });

  it("has a test for each of its pitfalls, and only tests that there are, under that number", () => {
    expect(new Set(tried.map(({ pitfall }) => pitfall))).toEqual(
      new Set(pitfalls.map(([number]) => Number(number))),
    );
    for (const { pitfall, test, title } of tried) {
      const found = titles.find(({ file, fits }) => file === test && fits.test(title));
      expect(found?.numbers, `${test}: ${title}`).toContain(pitfall);
    }
  });

  it("has every test that calls itself after a pitfall", () => {
    for (const { file, fits, written } of titles) {
      const listed = tried.some(({ test, title }) => test === file && fits.test(title));
      expect(listed, `a row for ${file}: ${written}`).toBe(true);
    }
  });

  it("says of each bug that is planted what it does and which test fails, and of no other", () => {
    const said = tried.filter(({ bug }) => bug?.startsWith("(") !== true);
    const planted = plantedBugs.map(({ pitfall, bug, test, title }) => ({ pitfall, bug, test, title }));
    expect(said).toEqual(planted);
  });

  it("plants bugs in code that there is: who rewrites it says what the bug would be now", () => {
    for (const { bug, pitfall, file, text: code } of plantedBugs) {
      const pieces = text(file).split(code).length - 1;
      expect(pieces, `what "${bug}" (pitfall ${pitfall}, tools/planted/bugs) changes in ${file}`).toBe(1);
    }
  });
});
