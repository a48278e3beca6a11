#!/usr/bin/env node
/** The `quorate` command. */
import { exitCodes } from "./exit-codes.ts";
import { failureFrom, showFailure, showStack } from "./failure.ts";
import { interruptSignal } from "./interrupts.ts";
import { run } from "./program.ts";
import { type World, surfacesOf } from "./terminal/surface.ts";

const showCursor = "\u001B[?25h";

// Whoever read the output has left (`quorate watch k | head -1`): there is nobody to tell anything more.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.failed);
});

const interrupts = interruptSignal(() => {
  if (process.stdout.isTTY) process.stdout.write(showCursor);
  // Agents that this process started end with it: they watch the channel between them.
  process.exit(exitCodes.interrupted);
});

const world: World = { out: process.stdout, err: process.stderr, environment: process.env };

// Thrown where nobody waits for it: shown like every other error.
process.on("uncaughtException", (error) => {
  const failure = failureFrom(error);
  const { err } = surfacesOf(world);
  showFailure(failure, err, process.argv.includes("--json"));
  showStack(error, err, process.env);
  process.exit(failure.exitCode);
});

void run(process.argv.slice(2), world, interrupts).then((code) => {
  process.exitCode = code;
  // Handles of a failed command must not keep it alive; output to a pipe may still be on its way.
  process.stdout.write("", () => process.exit(code));
});
