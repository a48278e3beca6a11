/** What the doctor finds: one line each, and whatever is not fine says what to do. */

export type Level = "fine" | "warning" | "problem";

interface About {
  /** The part of the page: what it is about. */
  readonly of: string;
  readonly what: string;
}

export interface Fine extends About {
  readonly level: "fine";
}

/** `warning`: it works, and would not for long, or not after one more failure. `problem`: it does not work, or is not safe. */
export interface Ill extends About {
  readonly level: "warning" | "problem";
  readonly toDo: string;
}

export type Finding = Fine | Ill;

export function fine(of: string, what: string): Fine {
  return { of, level: "fine", what };
}

export function warning(of: string, what: string, toDo: string): Ill {
  return { of, level: "warning", what, toDo };
}

export function problem(of: string, what: string, toDo: string): Ill {
  return { of, level: "problem", what, toDo };
}
