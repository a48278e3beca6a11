/**
 * Lines at the end of a terminal that are drawn anew in place. Other output goes above them through `print`. On anything
 * but a terminal nothing is drawn: whoever uses it prints plain lines there.
 */
import type { Surface } from "./surface.ts";
import { truncated } from "./width.ts";

const hideCursor = "\u001B[?25l";
const showCursor = "\u001B[?25h";

export class LiveRegion {
  readonly #surface: Surface;
  #lines: readonly string[] = [];
  #drawn = 0;

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  get isLive(): boolean {
    return this.#surface.isTerminal;
  }

  /** Replaces the lines. Each is cut to the width of the terminal, since a wrapped one could not be taken back. */
  draw(lines: readonly string[]): void {
    if (!this.isLive) return;
    this.#lines = lines;
    this.#surface.raw(hideCursor + this.#eraser() + this.#text());
    this.#drawn = lines.length;
  }

  /** A line that stays, above the region. */
  print(line: string): void {
    if (this.#drawn === 0) {
      this.#surface.line(line);
      return;
    }
    this.#surface.raw(`${this.#eraser()}${line}\n${this.#text()}`);
  }

  /** Leaves the lines as they are, and the cursor below them. */
  finish(): void {
    if (this.#drawn > 0) this.#surface.raw(showCursor);
    this.#drawn = 0;
    this.#lines = [];
  }

  /** Takes the lines away. */
  erase(): void {
    if (this.#drawn > 0) this.#surface.raw(this.#eraser() + showCursor);
    this.#drawn = 0;
    this.#lines = [];
  }

  /** Goes up to the first line and clears from there down. */
  #eraser(): string {
    return this.#drawn === 0 ? "" : `\u001B[${this.#drawn}A\r\u001B[J`;
  }

  #text(): string {
    return this.#lines.map((line) => `${truncated(line, this.#surface.columns - 1)}\n`).join("");
  }
}
