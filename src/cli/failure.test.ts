import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";

import { QuorateError, errorCodes, type Code } from "../core/errors.ts";
import { exitCodes } from "./exit-codes.ts";
import { failureFrom, refusal, showFailure, showStack, usageFailure } from "./failure.ts";
import { Surface } from "./terminal/surface.ts";

function shown(error: unknown, json = false): string {
  let text = "";
  const surface = new Surface({ write: (piece: string) => (text += piece) }, {});
  showFailure(failureFrom(error), surface, json);
  return text;
}

const timeout = new QuorateError("TIMEOUT", "No answer in time.", {
  outcome: "unknown",
  hint: "Ask again with the same request id.",
  requestId: "r-1",
});

describe("what an error looks like", () => {
  test("one line says what, one says what to do; no stack", () => {
    const error = new QuorateError("DATA_LOCKED", "The folder is in use by process 7.", {
      outcome: "notDone",
      hint: "Stop that process first.",
    });
    expect(shown(error)).toBe(
      "✖ The folder is in use by process 7.  DATA_LOCKED\n  Stop that process first.\n",
    );
  });

  test("a call that times out is unknown, never failed, and names its request id", () => {
    expect(shown(timeout)).toBe(
      "? No answer in time.  TIMEOUT\n  Ask again with the same request id.\n  Its request id is r-1.\n",
    );
  });

  test("for programs it is one object", () => {
    expect(JSON.parse(shown(timeout, true))).toEqual({
      error: {
        code: "TIMEOUT",
        message: "No answer in time.",
        hint: "Ask again with the same request id.",
        outcome: "unknown",
        exitCode: 3,
        requestId: "r-1",
      },
    });
  });

  test("a bug says that it is one, without a stack unless asked", () => {
    const bug = new TypeError("x is not a function");
    expect(shown(bug)).toContain("inside quorate: x is not a function");
    expect(shown(bug)).toContain("QUORATE_DEBUG=1");
    expect(shown(bug)).not.toContain("    at ");
    let text = "";
    const surface = new Surface({ write: (piece: string) => (text += piece) }, {});
    showStack(bug, surface, {});
    expect(text).toBe("");
    showStack(bug, surface, { QUORATE_DEBUG: "1" });
    expect(text).toContain("    at ");
  });

  test("what the operating system refuses is said in words", () => {
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    expect(shown(full)).toBe("✖ The disk is full.  ENOSPC\n  Make room, or name a folder on another disk.\n");
    const missing = Object.assign(new Error("ENOENT"), { code: "ENOENT", path: "d.jsonl" });
    expect(shown(missing)).toContain("There is no such file or folder: d.jsonl");
  });

  test("a mistyped option is corrected", () => {
    const error = new CommanderError(
      1,
      "commander.unknownOption",
      "error: unknown option '--jsn'\n(Did you mean --json?)",
    );
    expect(shown(error)).toBe("✖ Unknown option '--jsn'.\n  Did you mean --json?\n");
  });
});

describe("exit codes", () => {
  test("unknown is 3, a wrong command line 2, everything that certainly did not happen 1", () => {
    expect(failureFrom(timeout).exitCode).toBe(exitCodes.unknown);
    expect(failureFrom(usageFailure("m", "h")).exitCode).toBe(exitCodes.usage);
    expect(failureFrom(refusal("NO_SUCH_KEY", "m", "h")).exitCode).toBe(exitCodes.failed);
    expect(failureFrom(new CommanderError(1, "commander.x", "error: x")).exitCode).toBe(exitCodes.usage);
    expect(failureFrom(new Error("bug")).exitCode).toBe(exitCodes.unknown);
  });

  test("no code of an error ends with success", () => {
    for (const code of Object.keys(errorCodes) as Code[]) {
      for (const outcome of ["notDone", "unknown"] as const) {
        const { exitCode } = failureFrom(new QuorateError(code, "m", { outcome, hint: "h" }));
        expect(exitCode).not.toBe(exitCodes.ok);
        expect(exitCode === exitCodes.unknown).toBe(outcome === "unknown");
      }
    }
  });
});
