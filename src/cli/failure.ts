/**
 * Errors as people and scripts meet them: one line what, one line what to do, an exit code that tells "certainly not"
 * from "perhaps". A stack trace only where QUORATE_DEBUG asks for it.
 */
import { CommanderError } from "commander";

import { type ErrorOutcome, QuorateError } from "../core/errors.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import type { Environment, Surface } from "./terminal/surface.ts";

/** Any error, reduced to what is shown of it. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly outcome: ErrorOutcome;
  readonly exitCode: ExitCode;
  readonly requestId?: string;
}

/** A failure that a command has found by itself, ready to be shown. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** The command line is wrong. */
export function usageFailure(message: string, hint: string): CommandFailure {
  return new CommandFailure({ code: "USAGE", message, hint, outcome: "notDone", exitCode: exitCodes.usage });
}

/** The answer is no: certainly not done. */
export function refusal(code: string, message: string, hint: string): CommandFailure {
  return new CommandFailure({ code, message, hint, outcome: "notDone", exitCode: exitCodes.failed });
}

export function failureFrom(error: unknown): Failure {
  if (error instanceof CommandFailure) return error.failure;
  if (error instanceof QuorateError) return fromQuorateError(error);
  if (error instanceof CommanderError) return fromCommander(error);
  return fromSystem(error) ?? fromBug(error);
}

/** Shows a failure: for people, two lines; for programs, one object. */
export function showFailure(failure: Failure, surface: Surface, json: boolean): void {
  if (json) {
    const { exitCode, ...error } = failure;
    surface.line(JSON.stringify({ error: { ...error, exitCode } }));
    return;
  }
  const sign = failure.outcome === "unknown" ? surface.paint("yellow", "?") : surface.paint("red", "✖");
  const code = failure.code === "USAGE" ? "" : `  ${surface.paint("dim", failure.code)}`;
  surface.line(`${sign} ${failure.message}${code}`);
  if (failure.hint !== "") surface.line(`  ${failure.hint}`);
  if (failure.requestId !== undefined) {
    surface.line(`  Its request id is ${failure.requestId}.`);
  }
}

/** The stack, for whoever set QUORATE_DEBUG. */
export function showStack(error: unknown, surface: Surface, environment: Environment): void {
  if ((environment["QUORATE_DEBUG"] ?? "") === "") return;
  for (let current = error; current instanceof Error; current = current.cause) {
    surface.line(current.stack ?? current.message);
  }
}

function fromQuorateError(error: QuorateError): Failure {
  const failure: Failure = {
    code: error.code,
    message: error.message,
    hint: error.hint,
    outcome: error.outcome,
    exitCode: exitCodeOf(error),
  };
  return error.requestId === undefined ? failure : { ...failure, requestId: error.requestId };
}

function exitCodeOf(error: QuorateError): ExitCode {
  if (error.outcome === "unknown") return exitCodes.unknown;
  return error.code === "BAD_OPTION" || error.code === "BAD_NAME" ? exitCodes.usage : exitCodes.failed;
}

/** Commander's messages begin with "error: " and may go on in a second line with a suggestion. */
function fromCommander(error: CommanderError): Failure {
  const [first = "", ...more] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = more
    .join(" ")
    .trim()
    .replaceAll(/^\(|\)$/g, "");
  const sentence = first.slice(0, 1).toUpperCase() + first.slice(1);
  return {
    code: "USAGE",
    message: /[.?!]$/.test(sentence) ? sentence : `${sentence}.`,
    hint: suggestion === "" ? "Add --help to see what the command takes." : suggestion,
    outcome: "notDone",
    exitCode: exitCodes.usage,
  };
}

/** What the operating system refuses, and what to do about it. `notDone`: it stopped this command, not a decision. */
const systemErrors: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOENT: ["There is no such file or folder", "Check the path."],
  EACCES: ["That is not allowed for this user", "Check who owns it and what its permissions are."],
  EPERM: ["That is not allowed for this user", "Check who owns it and what its permissions are."],
  EROFS: ["That file system is read-only", "Name a folder that can be written to."],
  EISDIR: ["That is a folder, and a file is needed", "Name a file."],
  ENOTDIR: ["A part of that path is a file, not a folder", "Check the path."],
  ENOSPC: ["The disk is full", "Make room, or name a folder on another disk."],
  EDQUOT: ["The disk quota is used up", "Make room, or name a folder on another disk."],
  EIO: [
    "The disk failed",
    "Look after the disk. What was acknowledged is on the other agents' disks as well.",
  ],
  EADDRINUSE: ["Another process listens on that address", "Choose another port, or stop that process."],
  EADDRNOTAVAIL: ["This machine has no such address", "Use 127.0.0.1 or localhost."],
  EMFILE: ["This process may open no more files", "Raise the limit (ulimit -n)."],
};

function fromSystem(error: unknown): Failure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path } = error as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : systemErrors[code];
  if (code === undefined || known === undefined) return undefined;
  const [what, hint] = known;
  return {
    code,
    message: path === undefined ? `${what}.` : `${what}: ${path}`,
    hint,
    outcome: "notDone",
    exitCode: exitCodes.failed,
  };
}

/** Nobody expected this, so nobody knows whether something was done. */
function fromBug(error: unknown): Failure {
  return {
    code: "INTERNAL",
    message: `Something went wrong inside quorate: ${error instanceof Error ? error.message : String(error)}`,
    hint: "This is a bug. Run it again with QUORATE_DEBUG=1 to see where, and report that, please.",
    outcome: "unknown",
    exitCode: exitCodes.unknown,
  };
}
