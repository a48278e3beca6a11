/** The folder of this package, whether its commands run compiled or as TypeScript. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { assert } from "../core/assert.ts";

const thisFile = fileURLToPath(import.meta.url);

export const packageRoot: string = rootAbove(thisFile);

/** The program that runs now: compiled, or TypeScript where a loader runs it as it is. */
export const mainFile: string = join(
  packageRoot,
  thisFile.endsWith(".ts") ? "src/cli/main.ts" : "dist/cli/main.js",
);

function rootAbove(file: string): string {
  let folder = dirname(file);
  while (!existsSync(join(folder, "package.json"))) {
    assert(folder !== dirname(folder), "the package's files lie below its package.json");
    folder = dirname(folder);
  }
  return folder;
}
