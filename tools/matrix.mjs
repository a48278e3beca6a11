/**
 * Runs the test suite on each supported Node: this one, and others fetched from npm into `node_modules/.cache`.
 * `npm run matrix` takes every version of the list; `npm run matrix -- 24` only those named.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = join(root, "node_modules", ".cache", "matrix");
const platform = process.platform === "win32" ? "win" : process.platform;
const packageName = `node-${platform}-${process.arch}`;
const executable = process.platform === "win32" ? "node.exe" : "node";
const current = process.versions.node.split(".")[0] ?? "";
const asked = process.argv.slice(2);
const versions = asked.length > 0 ? asked : ["20", "22", "24"];

/** The suite takes two minutes on a machine of its own, and more than ten on one that others use, too. */
const minutesMax = 30;

/** @type {import("node:child_process").ChildProcess | undefined} */
let running;
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.on(signal, () => {
    running?.kill("SIGTERM");
    console.log("\nmatrix: stopped");
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}

/**
 * The child's exit code and the end of its output.
 * @param {string} command @param {readonly string[]} args @param {string} cwd @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ code: number, output: string }>}
 */
function run(command, args, cwd, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    running = child;
    let output = "";
    const keep = (/** @type {Buffer} */ bytes) => (output = (output + bytes.toString()).slice(-8_000));
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const timer = setTimeout(() => {
      console.error(`matrix: stopped after ${minutesMax} minutes`);
      child.kill("SIGTERM");
    }, minutesMax * 60_000);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      running = undefined;
      resolve({ code: code ?? 1, output });
    });
  });
}

/** The path of a Node of that major version, fetched when it is not here yet. @param {string} version */
async function nodeBinary(version) {
  if (version === current) return process.execPath;
  const folder = join(cache, version);
  const binary = join(folder, "node_modules", packageName, "bin", executable);
  if (existsSync(binary)) return binary;
  console.log(`matrix: fetching ${packageName}@${version}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
  const args = ["install", "--no-save", "--no-package-lock", "--ignore-scripts", `${packageName}@${version}`];
  const { code, output } = await run("npm", args, folder);
  if (code !== 0 || !existsSync(binary)) throw new Error(`matrix: no Node ${version}\n${output}`);
  return binary;
}

/** @param {string} version */
async function testOn(version) {
  const binary = await nodeBinary(version);
  const exact = (await run(binary, ["--version"], root)).output.trim();
  console.log(`matrix: testing on ${exact}`);
  const report = join(cache, `report-${version}.json`);
  mkdirSync(cache, { recursive: true });
  rmSync(report, { force: true });
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const args = [vitest, "run", "--reporter=dot", "--reporter=json", `--outputFile.json=${report}`];
  // Tests that start processes of their own must find the same Node.
  const env = { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env["PATH"] ?? ""}` };
  const started = performance.now();
  const { code, output } = await run(binary, args, root, env);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (code !== 0) console.error(output);
  const found = reported(report);
  for (const name of found.failed) console.error(`matrix: ${exact}: failed: ${name}`);
  return {
    node: exact,
    passed: found.passedCount,
    failed: found.failed.length,
    seconds,
    result: code === 0 ? "ok" : "FAILED",
  };
}

/**
 * Where the suite was stopped there is no report.
 * @param {string} report @returns {{ passedCount: number, failed: readonly string[] }}
 */
function reported(report) {
  if (!existsSync(report)) return { passedCount: 0, failed: [] };
  /** @typedef {{ name: string, assertionResults: readonly { status: string, fullName: string }[] }} File */
  const { numPassedTests, testResults } =
    /** @type {{ numPassedTests: number, testResults: readonly File[] }} */ (
      JSON.parse(readFileSync(report, "utf8"))
    );
  const failed = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === "failed")
      .map(({ fullName }) => `${relative(root, name)}: ${fullName}`),
  );
  return { passedCount: numPassedTests, failed };
}

const rows = [];
for (const version of versions) rows.push(await testOn(version));
console.table(rows);
process.exitCode = rows.every(({ result }) => result === "ok") ? 0 : 1;
