/** Goal: what a program says of its version is true. Method: compare it with the package. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { programVersion } from "../../src/runtime/program-version.ts";

test("agents and commands tell the version that the package has, and the changelog begins with it", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  expect(programVersion).toBe(manifest.version);
  const changelog = readFileSync(new URL("../../CHANGELOG.md", import.meta.url), "utf8");
  expect(/^## (\S+)/m.exec(changelog)?.[1]).toBe(programVersion);
});
