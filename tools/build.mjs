/**
 * Compiles `src` into `dist`, incrementally. `--clean` starts from nothing, so that no deleted file is published.
 * `--lenient` is for `prepare`: an error in the sources is shown, but does not stop `npm ci`.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

if (process.argv.includes("--clean")) rmSync("dist", { recursive: true, force: true });

const projects = [
  ...(existsSync("src/core") ? ["tsconfig.pure.json"] : []),
  ...(existsSync("src/index.ts") || existsSync("src/runtime") ? ["tsconfig.node.json"] : []),
];

if (projects.length === 0) {
  console.log("build: no sources");
} else {
  const compiler = "node_modules/typescript/bin/tsc";
  const { status } = spawnSync(process.execPath, [compiler, "-b", ...projects], { stdio: "inherit" });
  if (status !== 0) process.exit(process.argv.includes("--lenient") ? 0 : (status ?? 1));
  if (existsSync("dist/cli/main.js")) chmodSync("dist/cli/main.js", 0o755);
}
