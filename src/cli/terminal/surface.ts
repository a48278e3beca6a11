/** Where output goes: a stream that may be a terminal. */
import { type Paint, coloured, plain, showsColours } from "./colours.ts";

/** What of a stream is used, so that tests can give a string buffer. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The world of one run of the command. */
export interface World {
  readonly out: OutputStream;
  readonly err: OutputStream;
  readonly environment: Environment;
}

export class Surface {
  readonly #stream: OutputStream;
  readonly paint: Paint;
  /** A terminal, on which lines can be drawn anew. */
  readonly isTerminal: boolean;

  constructor(stream: OutputStream, environment: Environment) {
    this.#stream = stream;
    this.paint = showsColours(stream, environment) ? coloured : plain;
    this.isTerminal = stream.isTTY === true && environment["TERM"] !== "dumb";
  }

  get columns(): number {
    return this.#stream.columns ?? 80;
  }

  line(text: string): void {
    this.#stream.write(`${text}\n`);
  }

  raw(text: string): void {
    this.#stream.write(text);
  }
}

/** The two surfaces of a run: results go to `out`, everything else to `err`. */
export interface Surfaces {
  readonly out: Surface;
  readonly err: Surface;
}

export function surfacesOf(world: World): Surfaces {
  return {
    out: new Surface(world.out, world.environment),
    err: new Surface(world.err, world.environment),
  };
}
