/** The rules that no other tool keeps, as functions of a file's path and text. `tidy.test.ts` runs them. */

export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const linesMax = 600;

// Spelled in halves, so that this file keeps its own rules.
const leftover = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`);
const looseType = new RegExp(`@ts-${"ignore"}|@ts-${"nocheck"}|\\bas ${"any"}\\b(?! [a-z])`);
const muffledTest = new RegExp(
  `\\b(test|it|describe|suite)(\\.\\w+)*\\.(${["only", "skip", "to" + "do"].join("|")})\\b`,
);
const machinePath = new RegExp(`(?<![\\w.:~-])/(${["wo" + "rk", "ro" + "ot"].join("|")})/`);
const exportAll = /^export (type )?\*/;
const topLevelAwait = /^(export )?((const|let|var) .*= )?(await\b|for await\b)/;

/** Each rule answers whether a line is wrong; `only` says which files it looks at. */
const lineRules: readonly { readonly name: string; readonly only: RegExp; readonly wrong: RegExp }[] = [
  { name: "unfinished work belongs in an issue", only: /./, wrong: leftover },
  { name: "types may not be switched off", only: /\.m?ts$/, wrong: looseType },
  { name: "no test is left out, except by skipIf", only: /\.test\.ts$/, wrong: muffledTest },
  { name: "a path of one machine", only: /./, wrong: machinePath },
  { name: "tab or trailing blank", only: /\.(m?ts|mjs|md)$/, wrong: /\t|[ \t]$/ },
  { name: "an index exports by name", only: /^src\/.*index\.ts$/, wrong: exportAll },
  { name: "no await at top level in src", only: /^src\/.*(?<!\.test)\.ts$/, wrong: topLevelAwait },
];

function titles(text: string): number {
  const withoutCode = text.replaceAll(/^(```|~~~)[^]*?^\1/gm, "");
  return [...withoutCode.matchAll(/^# /gm)].length;
}

/** Hosts from which a clone of this repository would fetch packages. */
function packageHosts(text: string): string[] {
  const urls = text.matchAll(/(?:"resolved":\s*"|registry\s*=\s*)(?:git\+)?\w+:\/\/([^/"\s]+)/g);
  return [...urls].map((match) => match[1] ?? "");
}

/** What is wrong with one file, as `path:line: rule`. */
export function complaints({ path, text }: SourceFile): string[] {
  const found: string[] = [];
  const lines = text.split("\n");
  if (path === "package-lock.json" || path.endsWith(".npmrc")) {
    const strange = packageHosts(text).filter((host) => host !== "registry.npmjs.org");
    return strange.map((host) => `${path}: packages come from ${host}`);
  }
  for (const [position, line] of lines.entries()) {
    for (const { name, only, wrong } of lineRules) {
      if (only.test(path) && wrong.test(line)) found.push(`${path}:${position + 1}: ${name}`);
    }
  }
  const count = text.endsWith("\n") ? lines.length - 1 : lines.length;
  if (path.startsWith("src/") && count > linesMax)
    found.push(`${path}: ${count} lines, more than ${linesMax}`);
  if (path.endsWith(".md") && titles(text) !== 1) found.push(`${path}: ${titles(text)} titles, not one`);
  return found;
}

const numbered = /^\s*(?:[-*] |\d+\. |\|\s*)\*\*([A-Z]+\d+)\*\*/gm;
const testFile = /[\w-]+\.test\.ts\b/g;
const cited = /\b[Ii]nvariants? ([A-Z]+\d+(?:(?:, | and |, and )[A-Z]+\d+)*)/g;

/** Both directions between the specifications' numbered invariants and the code that names them. */
export function unkeptInvariants(files: readonly SourceFile[]): string[] {
  const found: string[] = [];
  const specified = new Map<string, string>();
  for (const { path, text } of files.filter((file) => /^src\/.*SPEC\.md$/.test(file.path))) {
    for (const [, name = ""] of text.matchAll(numbered)) {
      const other = specified.get(name);
      if (other !== undefined) found.push(`${path}: ${name} is already an invariant of ${other}`);
      specified.set(name, path);
    }
  }

  const code = files.filter(
    ({ path }) => /^(src|test)\/.*\.ts$/.test(path) && !path.startsWith("test/repository/"),
  );
  for (const [name, spec] of specified) {
    const word = new RegExp(`\\b${name}\\b`);
    const asserted = new RegExp(`\\bassert\\w*\\(.*\\b${name}\\b`, "s");
    const kept = code.some(({ path, text }) =>
      path.startsWith("test/") || path.endsWith(".test.ts")
        ? word.test(text)
        : text.split(";").some((statement) => asserted.test(statement)),
    );
    if (!kept) found.push(`${spec}: no test and no assertion names ${name}`);
  }
  for (const { path, text } of code) {
    for (const [, names = ""] of text.matchAll(cited)) {
      const unknown = names.split(/, and |, | and /).filter((name) => !specified.has(name));
      for (const name of unknown) found.push(`${path}: invariant ${name} is in no SPEC.md`);
    }
  }
  return found;
}

/** Tests that a folder's specification names, and that are neither in the folder nor among the tests across folders. */
export function lostTests(files: readonly SourceFile[]): string[] {
  const paths = new Set(files.map(({ path }) => path));
  const across = new Set(
    files.flatMap(({ path }) => (path.startsWith("test/") ? path.split("/").slice(-1) : [])),
  );
  return files
    .filter(({ path }) => /^src\/.*SPEC\.md$/.test(path))
    .flatMap(({ path, text }) => {
      const folder = path.slice(0, path.lastIndexOf("/"));
      const names = new Set(text.match(testFile));
      return [...names]
        .filter((name) => !paths.has(`${folder}/${name}`) && !across.has(name))
        .map((name) => `${path}: there is no ${name}`);
    });
}
