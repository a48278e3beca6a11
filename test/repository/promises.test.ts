/**
 * Goal: a promise (a vote, an acknowledgement) can't leave before what it promises is on disk, because it does not
 * compile. Method: plant files that push one thing into one lane each, and see the compiler refuse just the wrong ones.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const repository = fileURLToPath(new URL("../../", import.meta.url));

const head = `
import type { AgentId, Outbox } from "./core/index.ts";
interface Voting {
  message: { readonly kind: "heartbeat"; readonly term: number };
  promise: { readonly kind: "voteAnswer"; readonly term: number; readonly granted: boolean };
  record: { readonly kind: "hardState"; readonly term: number };
  event: { readonly kind: "leading" };
}
declare const out: Outbox<Voting>;
declare const to: AgentId;
declare const promise: Voting["promise"];
declare const either: Voting["promise"] | Voting["message"];
`;

const heartbeat = `{ kind: "heartbeat", term: 1 }`;
const voteAnswer = `{ kind: "voteAnswer", term: 1, granted: true }`;

/** File, statement, and whether it compiles. */
const planted: readonly (readonly [file: string, statement: string, compiles: boolean])[] = [
  ["message-now.ts", `out.sends.push({ to, channel: "urgent", message: ${heartbeat} });`, true],
  [
    "promise-once-durable.ts",
    `out.sendsOnceDurable.push({ to, channel: "urgent", message: ${voteAnswer} });`,
    true,
  ],
  ["record.ts", `out.records.push({ kind: "hardState", term: 1 });`, true],
  ["promise-now.ts", `out.sends.push({ to, channel: "urgent", message: ${voteAnswer} });`, false],
  ["promise-variable-now.ts", `out.sends.push({ to, channel: "urgent", message: promise });`, false],
  ["either-now.ts", `out.sends.push({ to, channel: "urgent", message: either });`, false],
  [
    "message-once-durable.ts",
    `out.sendsOnceDurable.push({ to, channel: "urgent", message: ${heartbeat} });`,
    false,
  ],
  ["promise-as-record.ts", `out.records.push(${voteAnswer});`, false],
  [
    "promise-to-nobody.ts",
    `out.sendsOnceDurable.push({ channel: "urgent", message: ${voteAnswer} });`,
    false,
  ],
];

let folder = "";
let refused: ReadonlySet<string> = new Set();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-promises-"));
  cpSync(join(repository, "src/core"), join(folder, "core"), {
    recursive: true,
    filter: (file) => !file.endsWith(".test.ts"),
  });
  for (const [file, statement] of planted) writeFileSync(join(folder, file), `${head}${statement}\n`);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: join(repository, "tsconfig.base.json"),
      compilerOptions: { noEmit: true, lib: ["es2023"], types: [], noUnusedLocals: false, rootDir: "." },
      include: ["*.ts"],
    }),
  );
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [compiler, "-p", folder], { cwd: folder, encoding: "utf8" });
  refused = new Set([...stdout.matchAll(/^([\w/-]+\.ts)\(/gm)].map((match) => match[1] ?? ""));
}, 60_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("the compiler", () => {
  it.each(planted.filter(([, , compiles]) => compiles))("accepts %s", (file) => {
    expect(refused).not.toContain(file);
  });

  it.each(planted.filter(([, , compiles]) => !compiles))("refuses %s", (file) => {
    expect(refused).toContain(file);
  });

  it("refuses nothing else, so that the refusals mean what they say", () => {
    expect([...refused].toSorted()).toEqual(
      planted
        .filter(([, , compiles]) => !compiles)
        .map(([file]) => file)
        .toSorted(),
    );
  });
});
