/**
 * Packs the library and looks at the very file that would be published: its manifest (publint), its types (attw), and
 * whether a stranger's project can `require` it, `import` every subpath and compile against it. Needs no network.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const folder = mkdtempSync(join(tmpdir(), "quorate-package-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** @param {string} name @param {string} command @param {readonly string[]} args @param {string} cwd */
function step(name, command, args, cwd) {
  console.log(`package-check: ${name}`);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    timeout: 120_000,
  });
  if (status === 0) return;
  console.error(`${stdout}${stderr}${error?.message ?? ""}`);
  console.error(`package-check: ${name} failed`);
  process.exit(1);
}

const manifest = /** @type {{ exports: object, dependencies: object }} */ (
  JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
);
const subpaths = Object.keys(manifest.exports).filter((path) => path !== "./package.json");
const sourceless = subpaths.filter((path) => !existsSync(join(root, "src", path, "index.ts")));
if (sourceless.length > 0) {
  console.error(`package-check: package.json exports ${sourceless.join(", ")}, but src has no such index.ts`);
  process.exit(1);
}

step("pack", "npm", ["pack", "--pack-destination", folder], root);
const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
if (tarball === undefined) throw new Error("npm pack wrote no file");
const packed = join(folder, tarball);
const bin = join(modules, ".bin");
step("publint", join(bin, "publint"), ["run", packed, "--strict"], root);
step("attw", join(bin, "attw"), [packed, "--profile", "esm-only"], root);

const stranger = join(folder, "stranger");
const installed = join(stranger, "node_modules", "quorate");
mkdirSync(installed, { recursive: true });
step("unpack", "tar", ["-xzf", packed, "-C", installed, "--strip-components=1"], folder);
mkdirSync(join(stranger, "node_modules", "@types"));
for (const name of [...Object.keys(manifest.dependencies), "@types/node", "undici-types"]) {
  symlinkSync(join(modules, name), join(stranger, "node_modules", name));
}

const names = subpaths.map((path) => `quorate${path.slice(1)}`);
const lines = names.map(
  (name, i) => `import * as m${i} from "${name}";\nif (typeof m${i} !== "object") throw new Error();\n`,
);
const options = { target: "es2023", module: "nodenext", strict: true, types: ["node"], noEmit: true };
writeFileSync(join(stranger, "package.json"), JSON.stringify({ name: "stranger", private: true }));
writeFileSync(
  join(stranger, "required.cjs"),
  `if (typeof require("quorate") !== "object") throw new Error();\n`,
);
writeFileSync(join(stranger, "imported.mjs"), lines.join(""));
writeFileSync(join(stranger, "typed.mts"), lines.join(""));
writeFileSync(
  join(stranger, "tsconfig.json"),
  JSON.stringify({
    compilerOptions: { ...options, lib: ["es2023", "esnext.disposable"] },
    files: ["typed.mts"],
  }),
);
step('require("quorate")', process.execPath, ["required.cjs"], stranger);
step("import every subpath", process.execPath, ["imported.mjs"], stranger);
step("types", process.execPath, [join(modules, "typescript", "bin", "tsc"), "-p", "."], stranger);
console.log("package-check: passed");
