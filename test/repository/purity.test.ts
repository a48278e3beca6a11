/**
 * Goal: nobody can make a pure folder impure by accident. Method: plant one violation per file in a small copy of the
 * repository, run the compiler and the linter over it, and see each file refused for the reason expected. A clean file
 * stands among them: it must be accepted, or the refusals would prove nothing.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

interface Planted {
  readonly file: string;
  readonly text: string;
  /** What the linter says, or nothing where it has no say. */
  readonly lint?: string;
  /** What the compiler says; nothing where its types allow it. */
  readonly compiler?: string;
}

const globals = "eslint(no-restricted-globals)";
const imports = "eslint(no-restricted-imports)";
const unknownName = "Cannot find name";

const violations: readonly Planted[] = [
  { file: "raft/date-now.ts", text: "export const now: number = Date.now();", lint: globals },
  { file: "raft/new-date.ts", text: "export const now: object = new Date();", lint: globals },
  {
    file: "core/random.ts",
    text: "export const n: number = Math.random();",
    lint: "eslint(no-restricted-properties)",
  },
  { file: "raft/global-this.ts", text: "export const g: object = globalThis;", lint: globals },
  {
    file: "raft/timer.ts",
    text: "setTimeout(() => {}, 1);\nexport {};",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "driver/interval.ts",
    text: "setInterval(() => {}, 1);\nexport {};",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "simulator/immediate.ts",
    text: "setImmediate(() => {});\nexport {};",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "core/microtask.ts",
    text: "queueMicrotask(() => {});\nexport {};",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "raft/fetch.ts",
    text: 'export const f: unknown = fetch("http://a");',
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "raft/process.ts",
    text: "export const p: unknown = process.argv;",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "raft/console.ts",
    text: 'console.log("hello");\nexport {};',
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "raft/buffer.ts",
    text: "export const b: unknown = Buffer.alloc(1);",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "raft/crypto.ts",
    text: "export const c: unknown = crypto.subtle;",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "raft/clock.ts",
    text: "export const t: unknown = performance.now();",
    lint: globals,
    compiler: unknownName,
  },
  {
    file: "raft/node-import.ts",
    text: 'import { readFileSync } from "node:fs";\nexport const r: unknown = readFileSync;',
    lint: imports,
    compiler: "'node:fs'",
  },
  {
    file: "raft/below.ts",
    text: 'import { socket } from "../runtime/x.ts";\nexport const s: unknown = socket;',
    lint: imports,
    compiler: "is not listed within the file list",
  },
  {
    file: "core/upside-down.ts",
    text: 'import { ok } from "../raft/clean.ts";\nexport const o: unknown = ok;',
    lint: imports,
  },
  {
    file: "raft/package.ts",
    text: 'import { z } from "zod";\nexport const y: unknown = z;',
    lint: imports,
  },
  {
    file: "raft/waits.ts",
    text: "export async function wait(): Promise<void> {\n  await Promise.resolve();\n}",
    lint: "oxc(no-async-await)",
  },
  {
    file: "driver/waits.ts",
    text: "export const wait = async (): Promise<void> => {\n  await Promise.resolve();\n};",
    lint: "oxc(no-async-await)",
  },
  {
    file: "raft/too-free.test.ts",
    text: 'import { expect, test } from "vitest";\nimport { socket } from "../runtime/x.ts";\ntest("x", () => expect(socket).toBe(1));',
    lint: imports,
  },
];

const clean: readonly Planted[] = [
  { file: "core/index.ts", text: "export const one: number = 1;" },
  {
    file: "raft/clean.ts",
    text: 'import { one } from "../core/index.ts";\nexport const ok: number = one + 1;',
  },
  {
    file: "simulator/world.ts",
    text: "export async function settle(): Promise<void> {\n  await Promise.resolve();\n}",
  },
  { file: "runtime/x.ts", text: "export const socket: number = Date.now();" },
  { file: "runtime/files.ts", text: 'export { readFileSync } from "node:fs";' },
  {
    file: "raft/clean.test.ts",
    text:
      'import fc from "fast-check";\nimport { expect, test } from "vitest";\nimport { settle } from "../simulator/world.ts";\n' +
      'import { ok } from "./clean.ts";\ntest("x", async () => {\n  await settle();\n  expect([ok, typeof fc]).toEqual([2, "object"]);\n});',
  },
];

const root = fileURLToPath(new URL("../../", import.meta.url));
let copy = "";
/** Complaints by file, as `rule: message` for the linter and plain text for the compiler. */
const linted = new Map<string, string[]>();
const compiled = new Map<string, string[]>();

function add(map: Map<string, string[]>, file: string, complaint: string): void {
  map.set(file, [...(map.get(file) ?? []), complaint]);
}

/** A tool of `node_modules`, run in the copy; its output, whatever its exit code. */
function run(script: string, ...args: string[]): string {
  const path = join(root, "node_modules", script);
  const { stdout, stderr, error } = spawnSync(process.execPath, [path, ...args], {
    cwd: copy,
    encoding: "utf8",
    timeout: 60_000,
  });
  if (error !== undefined) throw error;
  return stdout + stderr;
}

interface LintReport {
  readonly diagnostics: readonly {
    readonly code: string;
    readonly filename: string;
    readonly message: string;
  }[];
}

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), "quorate-purity-"));
  for (const name of ["package.json", ".oxlintrc.json", "tsconfig.json"])
    cpSync(join(root, name), join(copy, name));
  for (const name of ["base", "pure", "node", "test"]) {
    cpSync(join(root, `tsconfig.${name}.json`), join(copy, `tsconfig.${name}.json`));
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");
  for (const { file, text } of [...clean, ...violations]) {
    mkdirSync(dirname(join(copy, "src", file)), { recursive: true });
    writeFileSync(join(copy, "src", file), `${text}\n`);
  }

  const report = JSON.parse(run("oxlint/bin/oxlint", "-f", "json", "src")) as LintReport;
  for (const { code, filename, message } of report.diagnostics) {
    add(linted, filename.replaceAll("\\", "/").replace(/^.*?src\//, ""), `${code}: ${message}`);
  }
  for (const line of run("typescript/bin/tsc", "-b", "tsconfig.pure.json", "--pretty", "false").split("\n")) {
    const match = /^src\/(.+?)\(\d+,\d+\): error (.*)$/.exec(line.replaceAll("\\", "/"));
    if (match !== null) add(compiled, match[1] ?? "", match[2] ?? "");
  }
}, 60_000);

afterAll(() => rmSync(copy, { recursive: true, force: true }));

test.each(violations.filter(({ lint }) => lint !== undefined))(
  "the linter refuses $file",
  ({ file, lint }) => {
    expect(linted.get(file)?.join("\n") ?? "accepted").toContain(lint);
  },
);

test.each(violations.filter(({ compiler }) => compiler !== undefined))(
  "the compiler refuses $file",
  ({ file, compiler }) => {
    expect(compiled.get(file)?.join("\n") ?? "accepted").toContain(compiler);
  },
);

test.each(clean)("both accept $file", ({ file }) => {
  expect(linted.get(file) ?? []).toEqual([]);
  expect(compiled.get(file) ?? []).toEqual([]);
});
