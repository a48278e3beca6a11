/**
 * Goal: what the README says, works. Method: its blocks of code that are marked `runnable` run as they are, in order; those
 * that are not (they would run for ever) are compiled only; commands of npm are looked up, since they are these very tests.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { Workplace, root } from "./harness.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");

interface Block {
  readonly language: string;
  readonly runnable: boolean;
  readonly code: string;
}

const blocks: readonly Block[] = [...readme.matchAll(/^```(\w+)( runnable)?\n([^]*?)^```$/gm)].map(
  (match) => ({
    language: match[1] ?? "",
    runnable: match[2] !== undefined,
    code: match[3] ?? "",
  }),
);

function blocksOf(language: string, runnable: boolean): Block[] {
  return blocks.filter((block) => block.language === language && block.runnable === runnable);
}

/** What a line of a block should print, from the comments at its ends. */
function expectedOutput(code: string): string[] {
  return [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1] ?? "");
}

/** Splits a line of a shell as far as the README needs it. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
}

/** A folder in which `import "quorate"` finds this package. */
function installIn(folder: string): void {
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules/quorate"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
}

/** The block as JavaScript; complains where it does not compile. */
function compiled(folder: string, name: string, code: string): string {
  const options = [
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--strict",
    "--skipLibCheck",
    "--lib",
    "es2023,esnext.disposable",
  ];
  writeFileSync(join(folder, `${name}.ts`), code);
  // Made here and not taken from the repository: it has to compile as its reader would.
  symlinkSync(join(root, "node_modules/@types"), join(folder, "node_modules/@types"));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [compiler, ...options, "--types", "node", `${name}.ts`], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(stdout).toBe("");
  return join(folder, `${name}.js`);
}

describe("the README", { timeout: 60_000 }, () => {
  test("its first screen: the sentence, the picture, two commands, ten lines of code", () => {
    const [title, , sentence, , picture] = readme.split("\n");
    expect(title).toBe("# Quorate");
    expect(sentence).toContain(
      "locks that fence, actions that run at most once, votes that count, proof of who decided",
    );
    const [, image = ""] = /^!\[.+\]\((.+)\)$/.exec(picture ?? "") ?? [];
    expect(existsSync(join(root, image))).toBe(true);
    expect(blocks[0]).toMatchObject({ language: "sh", code: "npm ci && npm start\nnpm ci && npm test\n" });
    const first = blocksOf("ts", true)[0]!;
    expect(
      first.code
        .trim()
        .split("\n")
        .filter((line) => line !== ""),
    ).toHaveLength(10);
  });

  test("the commands of npm that it names are there", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    for (const [, name = ""] of readme.matchAll(/npm (?:run )?(start|test|check)\b/g))
      expect(scripts).toHaveProperty(name);
  });

  test("every link leads somewhere", () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1] ?? "");
    expect(links.length).toBeGreaterThan(8);
    expect(links.filter((link) => !link.startsWith("https://") && !existsSync(join(root, link)))).toEqual([]);
  });

  test("every mechanism is marked as what it is, and only raft works", () => {
    const rows = [...readme.matchAll(/^\|.*\| `(\w+)` \|.*\| \*+(works|planned)\*+ \|$/gm)].map((match) => [
      match[1],
      match[2],
    ]);
    expect(Object.fromEntries(rows)).toEqual({
      gossip: "planned",
      voting: "planned",
      raft: "works",
      paxos: "planned",
      pbft: "planned",
      attestation: "planned",
    });
  });

  test.each(blocksOf("ts", true).map((block, at) => [at + 1, block.code] as const))(
    "runnable code %i compiles, runs, prints what it says, and ends by itself",
    async (_, code) => {
      await using place = new Workplace();
      installIn(place.folder);
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [compiled(place.folder, "block", code)],
        {
          encoding: "utf8",
          timeout: 20_000,
        },
      );
      expect(stderr).toBe("");
      expect(status).toBe(0);
      expect(stdout.trimEnd().split("\n")).toEqual(expectedOutput(code));
    },
  );

  test.each(blocksOf("ts", false).map((block, at) => [at + 1, block.code] as const))(
    "code %i of what is not marked runnable compiles",
    async (_, code) => {
      await using place = new Workplace();
      installIn(place.folder);
      compiled(place.folder, "block", code);
    },
  );

  test("its shell commands run, in order, in one folder", async () => {
    await using place = new Workplace();
    const lines = blocksOf("sh", true).flatMap((block) => block.code.trim().split("\n"));
    expect(lines.length).toBeGreaterThan(3);
    const commands = lines.map((line) => wordsOf(line));
    expect(commands.map((words) => words.slice(0, 2))).toEqual(lines.map(() => ["npx", "quorate"]));
    const [first = [], ...others] = commands.map((words) => words.slice(2));
    expect(first[0]).toBe("up");
    const up = place.start(first);
    await up.shows(/ready after/);
    for (const args of others) expect(await place.run(args)).toMatchObject({ code: 0, stderr: "" });
    expect(await up.end()).toBe(0);
  });
});
