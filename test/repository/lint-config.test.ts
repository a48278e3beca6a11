import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { layers } from "../../tools/layers.mjs";
import { lintConfig } from "../../tools/lint-config.mjs";

const root = new URL("../../", import.meta.url);

test("the lint configuration on disk is the one that its source writes (npm run lint:config)", () => {
  expect(readFileSync(new URL(".oxlintrc.json", root), "utf8")).toBe(lintConfig());
});

test("the pure folders of the lint rules are those that compile without Node's types", () => {
  const config = readFileSync(new URL("tsconfig.pure.json", root), "utf8");
  const compiled = [...config.matchAll(/"src\/([a-z]+)"/g)].map((match) => match[1]);
  expect(compiled).toEqual(layers.filter((layer) => layer.pure).map(({ name }) => name));
});

test("every folder of src has its place in the order", () => {
  const folders = readdirSync(new URL("src/", root), { withFileTypes: true })
    .filter((item) => item.isDirectory())
    .map(({ name }) => name);
  const known = layers.map(({ name }) => String(name));
  expect(folders.filter((name) => !known.includes(name))).toEqual([]);
});
