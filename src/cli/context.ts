import type { Command } from "commander";

import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type Surfaces, type World, surfacesOf } from "./terminal/surface.ts";

/** What a command works with: where it prints, when it must end, and how it says how it went. */
export class CommandContext {
  readonly world: World;
  readonly surfaces: Surfaces;
  /** Aborts at Ctrl-C. */
  readonly interrupts: AbortSignal;
  exitCode: ExitCode = exitCodes.ok;

  constructor(world: World, interrupts: AbortSignal) {
    this.world = world;
    this.surfaces = surfacesOf(world);
    this.interrupts = interrupts;
  }

  /**
   * Makes `run` the action of `command`: the exit code that it resolves to becomes that of the process. Its last argument
   * are the options, also those that were given before the command's name.
   */
  act<Values extends readonly unknown[]>(
    command: Command,
    run: (...values: Values) => Promise<ExitCode>,
  ): Command {
    return command.action(async (...given: unknown[]) => {
      // Commander hands over the arguments, the command's own options, and the command.
      const values = [...given.slice(0, -2), command.optsWithGlobals()];
      this.exitCode = await run(...(values as unknown as Values));
    });
  }

  /** One result: an object for programs, or lines for people. */
  result(options: { readonly json?: boolean }, value: object, lines: readonly string[]): void {
    if (options.json === true) this.surfaces.out.line(JSON.stringify(value));
    else for (const line of lines) this.surfaces.out.line(line);
  }
}
