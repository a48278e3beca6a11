/**
 * Goal: the repository stays as a newcomer would like to find it. Method: every file that git knows, or would add, goes
 * through the rules of `tidy.ts`; before that, each rule is shown a sample that it must refuse.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { complaints, lostTests, unkeptInvariants } from "./tidy.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const binary = /\.(png|jpg|gif|ico|woff2?|bin|wasm|gz)$|^test\/vectors\//;

function repositoryFiles() {
  const args = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const paths = execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 }).split("\0");
  return paths
    .filter((path) => path !== "" && !binary.test(path) && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

const samples = [
  { path: "src/a.ts", text: `// ${"TO" + "DO"}: later\n` },
  { path: "src/a.ts", text: `const a = b as ${"any"};\n` },
  { path: "src/a.ts", text: `// @ts-${"ignore"}\n` },
  { path: "src/a.test.ts", text: `test.${"only"}("x", () => {});\n` },
  { path: "src/a.test.ts", text: `describe.${"skip"}("x", () => {});\n` },
  { path: "docs/a.md", text: `# A\nsee ${"/wo" + "rk"}/notes.md\n` },
  { path: "docs/a.md", text: "# A\n# B\n" },
  { path: "docs/a.md", text: "no title\n" },
  { path: "docs/a.md", text: "# A\ntrailing \n" },
  { path: "src/a.ts", text: "\tconst a = 1;\n" },
  { path: "src/raft/index.ts", text: 'export * from "./raft.ts";\n' },
  { path: "src/a.ts", text: "export const a = await b();\n" },
  { path: "src/a.ts", text: "a();\n".repeat(601) },
  { path: "package-lock.json", text: '"resolved": "https://packages.example.com/a.tgz"\n' },
  { path: ".npmrc", text: "registry=http://mirror.example.com/\n" },
];

test.each(samples)("a sample is refused: $path $text", (sample) => {
  expect(complaints(sample)).toHaveLength(1);
});

test.each([
  { path: "src/a.ts", text: "// the same as any other line\nreturn a();\n" },
  { path: "src/a.test.ts", text: 'test.skipIf(a)("x", () => {});\n' },
  { path: "docs/a.md", text: "# A\n```sh\n# a comment\n```\nhttps://example.com/work/\n" },
  { path: "src/a.ts", text: "a();\n".repeat(600) },
])("what is tidy is accepted: $path $text", (sample) => {
  expect(complaints(sample)).toEqual([]);
});

test("invariants and the code that keeps them are compared in both directions", () => {
  const spec = {
    path: "src/raft/SPEC.md",
    text: "# Raft\n- **R1** one leader\n- **R2** no hole\n| **R3** | table |\n",
  };
  const story = {
    path: "src/raft/raft.test.ts",
    text: 'test("R1: two leaders never share a term", () => {});',
  };
  const assertion = { path: "src/raft/raft.ts", text: 'assert(a,\n  "R2: the log has no hole");' };
  const mention = { path: "src/raft/log.ts", text: "// Invariants R3 and R9 hold here." };
  expect(unkeptInvariants([spec, story, assertion, mention])).toEqual([
    "src/raft/SPEC.md: no test and no assertion names R3",
    "src/raft/log.ts: invariant R9 is in no SPEC.md",
  ]);
});

test("a test that a specification names and that is nowhere is missed", () => {
  const text = "# Raft\n- **R1** by `log.test.ts`, `all.test.ts` and `gone.test.ts`\n";
  const spec = { path: "src/raft/SPEC.md", text };
  const there = ["src/raft/log.test.ts", "test/face/all.test.ts", "src/state/gone.test.ts"];
  expect(lostTests([spec, ...there.map((path) => ({ path, text: "" }))])).toEqual([
    "src/raft/SPEC.md: there is no gone.test.ts",
  ]);
});

test("every test that a specification names is there", () => {
  expect(lostTests(repositoryFiles())).toEqual([]);
});

test("every file of the repository is tidy", () => {
  expect(repositoryFiles().flatMap(complaints)).toEqual([]);
});

test("every numbered invariant is kept by a test or an assertion, and no other is named", () => {
  expect(unkeptInvariants(repositoryFiles())).toEqual([]);
});
