#!/usr/bin/env node
/** The `quorate` command. */
import { exitCodes } from "./exit-codes.ts";
import { interruptSignal } from "./interrupts.ts";
import { run } from "./program.ts";

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

void run(
  process.argv.slice(2),
  { out: process.stdout, err: process.stderr, environment: process.env },
  interrupts,
).then((code) => {
  process.exitCode = code;
  // Handles of a failed command must not keep it alive; output to a pipe may still be on its way.
  process.stdout.write("", () => process.exit(code));
});
