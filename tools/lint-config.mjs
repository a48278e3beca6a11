/**
 * Writes `.oxlintrc.json`. Run `npm run lint:config` after a change here or in `layers.mjs`;
 * `test/repository/lint-config.test.ts` fails when the file on disk is older than its source.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bannedGlobals, layers } from "./layers.mjs";

const rules = {
  "typescript/no-floating-promises": "error",
  "typescript/no-misused-promises": "error",
  "typescript/await-thenable": "error",
  "typescript/return-await": "error",
  "typescript/switch-exhaustiveness-check": [
    "error",
    { allowDefaultCaseForExhaustiveSwitch: true, considerDefaultExhaustiveForUnions: false },
  ],
  "typescript/no-explicit-any": "error",
  "typescript/no-unsafe-argument": "error",
  "typescript/no-unsafe-assignment": "error",
  "typescript/no-unsafe-call": "error",
  "typescript/no-unsafe-member-access": "error",
  "typescript/no-unsafe-return": "error",
  "typescript/no-unnecessary-type-assertion": "error",
  "typescript/only-throw-error": "error",
  "typescript/prefer-promise-reject-errors": "error",
  "typescript/restrict-plus-operands": "error",
  "typescript/ban-ts-comment": "error",
  "typescript/consistent-type-imports": "error",
  "import/no-cycle": "error",
  "import/no-default-export": "error",
  // A ring of a fixed size is made by its length.
  "unicorn/no-new-array": "off",
  eqeqeq: "error",
  "no-var": "error",
  "prefer-const": "error",
  "no-shadow": "error",
  "no-param-reassign": "error",
  "no-console": "error",
  "max-lines": ["error", { max: 600, skipBlankLines: false, skipComments: false }],
  "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
  // A switch over a union counts as one: its cases are independent, and there are as many as there are messages.
  complexity: ["error", { max: 20, variant: "modified" }],
  "max-depth": ["error", { max: 4 }],
};

const testRules = {
  // Properties and scenarios assert through helpers, which these two do not see.
  "vitest/expect-expect": "off",
  "vitest/no-standalone-expect": "off",
  "max-lines": "off",
  "max-lines-per-function": "off",
  "typescript/no-non-null-assertion": "off",
};

/** @param {readonly string[]} names @param {string} message */
function folders(names, message) {
  return names.length === 0 ? [] : [{ regex: `^(\\.\\./)+(${names.join("|")})/`, message }];
}

/**
 * What a pure folder may import besides files: nothing, and its tests only vitest and fast-check. The linter's regular
 * expressions have no look-ahead, so the second case is spelled by first letter. @param {boolean} isTest
 */
function packages(isTest) {
  const message = "A pure folder has no dependency and no input or output.";
  return [{ regex: isTest ? "^([^.vf]|(v8|vm|fs)(/|$))" : "^[^.]", message }];
}

/** The imports that one folder of `src` may not make. @param {number} position @param {boolean} isTest */
function importRule(position, isTest) {
  const layer = layers[position];
  if (layer === undefined) throw new RangeError("no such layer");
  const below = layers.slice(position + 1).map(({ name }) => name);
  const banned = isTest && layer.pure ? below.filter((name) => name !== "simulator") : below;
  return [
    "error",
    {
      patterns: [
        ...folders(banned, `${layer.name} imports only folders above it (tools/layers.mjs).`),
        { regex: "^\\.\\./index\\.ts$", message: "Import the folder that has it, not the public face." },
        { regex: "^quorate(/|$)", message: "Inside the package, import by relative path." },
        ...(layer.pure ? packages(isTest) : []),
      ],
    },
  ];
}

function overrides() {
  const pure = layers.filter((layer) => layer.pure).map(({ name }) => `src/${name}/**/*.ts`);
  const still = layers.filter((layer) => !layer.awaits).map(({ name }) => `src/${name}/**/*.ts`);
  const tests = ["**/*.test.ts"];
  return [
    {
      files: pure,
      rules: {
        "no-restricted-globals": ["error", ...bannedGlobals],
        "no-restricted-properties": [
          "error",
          { object: "Math", property: "random", message: "Use the generator given." },
        ],
      },
    },
    { files: still, excludeFiles: tests, rules: { "oxc/no-async-await": "error" } },
    ...layers.map(({ name }, position) => ({
      files: [`src/${name}/**/*.ts`],
      rules: { "no-restricted-imports": importRule(position, false) },
    })),
    ...layers.map(({ name }, position) => ({
      files: [`src/${name}/**/*.test.ts`],
      rules: { "no-restricted-imports": importRule(position, true) },
    })),
    { files: [...tests, "test/**"], rules: testRules },
    { files: ["src/cli/**", "tools/**", "bench/**", "examples/**"], rules: { "no-console": "off" } },
    { files: ["*.config.ts"], rules: { "import/no-default-export": "off" } },
  ];
}

/** The text of `.oxlintrc.json`. */
export function lintConfig() {
  const config = {
    $schema: "./node_modules/oxlint/configuration_schema.json",
    plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "vitest"],
    options: { typeAware: true },
    categories: { correctness: "error" },
    ignorePatterns: ["node_modules", "dist/**", "coverage/**", "test/vectors/**"],
    rules,
    overrides: overrides(),
  };
  return `${lines(config, "")}\n`;
}

/** JSON, with whatever fits on one line on one line. @param {unknown} value @param {string} indent @returns {string} */
function lines(value, indent) {
  const flat = JSON.stringify(value);
  if (typeof value !== "object" || value === null || flat.length + indent.length <= 100) return flat;
  const deeper = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => lines(item, deeper))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${lines(item, deeper)}`);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  return `${open}\n${parts.map((part) => deeper + part).join(",\n")}\n${indent}${close}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("../.oxlintrc.json", import.meta.url), lintConfig());
}
