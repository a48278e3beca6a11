/** The lines of the tour: what happened on the left, what was measured on the right. For programs: one object a step. */
import { unreachable } from "../../core/assert.ts";
import { LiveRegion } from "../terminal/live-region.ts";
import type { Surface } from "../terminal/surface.ts";
import { padded, visibleLength } from "../terminal/width.ts";

/** `note`: something was done; `proof`: a claim was checked and holds; `fault`: something was broken on purpose. */
export type StepKind = "note" | "proof" | "fault" | "progress";

export interface Step {
  readonly kind: StepKind;
  readonly left: string;
  readonly right?: string;
  /** The same for programs. */
  readonly data: { readonly step: string; readonly [key: string]: unknown };
}

const leftColumns = 43;
const gapColumns = 2;
/** The sign and a blank. */
const signColumns = 2;

export class TourReport {
  readonly #surface: Surface;
  readonly #live: LiveRegion;
  readonly #json: boolean;

  constructor(surface: Surface, json: boolean) {
    this.#surface = surface;
    this.#live = new LiveRegion(surface);
    this.#json = json;
  }

  /** A line that stays. */
  step(step: Step): void {
    this.#live.erase();
    this.#surface.line(this.#json ? JSON.stringify(step.data) : this.#line(step));
  }

  /** A line that the next one replaces; only where there is a terminal. */
  passing(step: Omit<Step, "data">): void {
    if (!this.#json) this.#live.draw([this.#line(step)]);
  }

  /** Words for people only. */
  words(text: string): void {
    this.#live.erase();
    if (!this.#json) this.#surface.line(text);
  }

  /** The cursor is back and nothing half-drawn is left. */
  end(): void {
    this.#live.erase();
  }

  #line(step: Omit<Step, "data">): string {
    const { paint } = this.#surface;
    const right = step.right === undefined ? "" : paint("dim", step.right);
    // Where the terminal is too narrow for both, the right one moves to the left as far as it can.
    const room = this.#surface.isTerminal
      ? this.#surface.columns - signColumns - visibleLength(right)
      : leftColumns;
    const width = Math.max(visibleLength(step.left) + gapColumns, Math.min(leftColumns, room));
    return `${this.#sign(step.kind)} ${right === "" ? step.left : `${padded(step.left, width)}${right}`}`;
  }

  #sign(kind: StepKind): string {
    const { paint } = this.#surface;
    switch (kind) {
      case "note":
        return paint("cyan", "▸");
      case "proof":
        return paint("green", "✔");
      case "fault":
        return paint("red", "✖");
      case "progress":
        return " ";
      default:
        return unreachable(kind);
    }
  }
}
