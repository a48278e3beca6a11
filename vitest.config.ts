import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = fileURLToPath(new URL("./src/", import.meta.url));

export default defineConfig({
  // Node 20 knows Symbol.asyncDispose but not `await using`, so that syntax is compiled away.
  oxc: { target: "node20" },
  resolve: {
    alias: [
      { find: /^quorate$/, replacement: `${source}index.ts` },
      { find: /^quorate\/(.+)$/, replacement: `${source}$1/index.ts` },
    ],
  },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 20_000,
    // To load the sources anew for each of 190 files takes as long as most of the tests in them.
    isolate: false,
    // More than cores: the longest tests run real processes, and mostly wait for them.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      exclude: ["src/**/*.test.ts", "src/**/test-*.ts"],
      reporter: ["text-summary", "html", "json-summary"],
    },
  },
});
