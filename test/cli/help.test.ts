/**
 * Goal: whoever is lost finds the way: every command explains itself, and a wrong command line is answered by one line that
 * says what is wrong and one that says what to do. Method: the program in this process, with text buffers for a terminal.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { CommandContext } from "../../src/cli/context.ts";
import { createProgram, run } from "../../src/cli/program.ts";
import { root } from "./harness.ts";

async function quorate(...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const world = {
    out: { write: (text: string) => (out += text), columns: 100 },
    err: { write: (text: string) => (err += text) },
    environment: {},
  };
  const code = await run(argv, world, new AbortController().signal);
  return { code, out, err };
}

/** Every command, by the words that one types. */
function commandLines(): string[][] {
  const silent = { write: () => true };
  const world = { out: silent, err: silent, environment: {} };
  const program = createProgram(new CommandContext(world, new AbortController().signal));
  return program.commands.flatMap((command) => [
    [command.name()],
    ...command.commands.map((inner) => [command.name(), inner.name()]),
  ]);
}

describe("help", () => {
  test("the program lists its commands in groups, and what the exit codes mean", async () => {
    const { code, out, err } = await quorate("--help");
    expect(code).toBe(0);
    expect(err).toBe("");
    for (const title of ["Run agents:", "Use them:", "Look behind them:", "Exit codes:"])
      expect(out).toContain(title);
    for (const name of [
      "up",
      "agent",
      "init",
      "status",
      "put",
      "get",
      "cas",
      "watch",
      "propose",
      "transfer",
      "backup",
      "restore",
      "doctor",
      "journal",
      "sim",
      "tour",
    ]) {
      expect(out).toMatch(new RegExp(`^  ${name}\\b`, "m"));
    }
    expect(out).toContain("3  unknown");
  });

  test("the exit codes are the same in the guide", () => {
    const guide = readFileSync(join(root, "docs/cli.md"), "utf8");
    for (const code of ["0", "1", "2", "3", "130"]) expect(guide).toContain(`| ${code} |`);
  });

  test.each(commandLines().map((words) => [words.join(" "), words] as const))(
    "quorate %s --help explains itself",
    async (name, words) => {
      const { code, out } = await quorate(...words, "--help");
      expect(code).toBe(0);
      expect(out).toContain(`Usage: quorate ${name}`);
      expect(out).toContain("--json");
      // Nothing is wider than the terminal that it was made for, except examples that must stay in one line.
      const [explanation = ""] = out.split("\nExamples:");
      expect(Math.max(...explanation.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    },
  );

  test("every command has its part in the guide", () => {
    const guide = readFileSync(join(root, "docs/cli.md"), "utf8");
    for (const words of commandLines()) expect(guide).toContain(`quorate ${words.join(" ")}`);
  });

  test("put --help, word by word", async () => {
    const { out } = await quorate("put", "--help");
    expect(out).toMatchInlineSnapshot(`
      "Usage: quorate put [options] <key> <value>

      set a key, once it is on a majority of disks

      Arguments:
        key                  the key
        value                JSON; what is not JSON is a text

      Options:
        --json               print JSON instead of text
        --request-id <id>    a retry with the same id is applied once and gets the first answer
        --data <folder>      the folder that \`quorate up\` runs in, or one agent's data folder (default:
                             the nearest .quorate)
        --agent <host:port>  talk to this agent instead; give it again to name others to fall back on
                             (default: those of --data)
        --timeout <time>     how long to wait for an answer: 500ms, 5s, 1min (default: 5s)
        -h, --help           display help for command

      Examples:
        $ quorate put model v42
        $ quorate put limits '{"tokens": 4096}'
      "
    `);
  });

  test("help is a word, too", async () => {
    expect(await quorate("help")).toEqual({ ...(await quorate("--help")), code: 0 });
    expect((await quorate("help", "put")).out).toBe((await quorate("put", "--help")).out);
  });

  test("the version is the package's", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect((await quorate("--version")).out).toBe(`${version}\n`);
  });
});

describe("a wrong command line", () => {
  test.each([
    ["a mistyped command", ["stauts"], "Unknown command 'stauts'.", "Did you mean status?"],
    ["a mistyped option", ["put", "k", "v", "--jsno"], "Unknown option '--jsno'.", "Did you mean --json?"],
    ["a value missing", ["put", "k"], "Missing required argument 'value'.", "--help"],
    ["a value too many", ["get", "k", "v"], "Too many arguments", "--help"],
    ["too many agents", ["up", "--agents", "9"], "from 1 to 7", "--help"],
    ["a time that is none", ["get", "k", "--timeout", "soon"], "like 500ms, 5s or 1min", "--help"],
    ["a version that is none", ["cas", "k", "latest", "v"], "whole number", "--help"],
    ["an address that is none", ["get", "k", "--agent", "here"], "is not host:port", "127.0.0.1:7400"],
    [
      "a log level that is none",
      ["agent", "--data", "d", "--log-level", "loud"],
      "error, warn, info",
      "--help",
    ],
    ["nothing to propose", ["propose"], "nothing to propose", "--file"],
    ["two things to propose", ["propose", "v", "--file", "f"], "two things", "one of them"],
    ["one id for many values", ["propose", "--file", "f", "--request-id", "r"], "for one value", "line"],
    [
      "a peer without an address",
      ["init", "--id", "a", "--listen", "127.0.0.1:7400", "--data", "d", "--peer", "b"],
      "id=host:port",
      "b=127.0.0.1:7401",
    ],
    [
      "an agent named twice",
      ["init", "--id", "a", "--listen", "127.0.0.1:7400", "--data", "d", "--peer", "a=127.0.0.1:7401"],
      "named twice",
      "once",
    ],
    [
      "a port that nobody can know",
      ["init", "--id", "a", "--listen", "127.0.0.1:0", "--data", "d"],
      "no fixed port",
      "port",
    ],
    [
      "a name that is none",
      ["init", "--id", "a b", "--listen", "127.0.0.1:7400", "--data", "d"],
      "not a name",
      "letter",
    ],
    [
      "a cluster that is none",
      ["init", "--id", "a", "--listen", "127.0.0.1:7400", "--data", "d", "--cluster", "7"],
      "not the id of a cluster",
      "32",
    ],
  ] as const)("%s", async (_, argv, what, todo) => {
    const { code, out, err } = await quorate(...argv);
    expect(code).toBe(2);
    expect(out).toBe("");
    const [first = "", second = "", ...more] = err.trimEnd().split("\n");
    expect(first).toContain(what);
    expect(second).toContain(todo);
    expect(more).toEqual([]);
  });

  test("an address beyond this machine is refused, not tried", async () => {
    const { code, err } = await quorate("init", "--id", "a", "--listen", "10.0.0.1:7400", "--data", "d");
    expect(code).toBe(1);
    expect(err).toContain("loopback");
    expect(err).toContain("TLS");
  });

  test("--json may stand before the command as well", async () => {
    const { code, err } = await quorate("--json", "get", "k", "--agent", "here");
    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ error: { code: "BAD_OPTION" } });
  });

  test("with --json the error is one object", async () => {
    const { code, err } = await quorate("put", "k", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ error: { code: "USAGE", outcome: "notDone", exitCode: 2 } });
  });
});
