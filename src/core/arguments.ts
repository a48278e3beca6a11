/**
 * What users pass in may be anything: plain JavaScript has no compiler that looks at it first. Here is how it is read,
 * once and by name, and how is told what is wrong with it. Whatever a user's own object throws becomes a `BAD_OPTION`.
 */
import { QuorateError } from "./errors.ts";

/** Which options a function knows; the compiler keeps the names equal to those of the type. */
export interface OptionList<T> {
  /** Whose they are, as in a sentence: `createConsensus`, `a call`. */
  readonly of: string;
  /** What one of them is called. */
  readonly noun: "option" | "part";
  /** An object of them, as an example. */
  readonly like: string;
  readonly names: { readonly [Name in keyof T & string]-?: true };
}

/** Options whose names are known, and whose values are not yet. */
export type Given<T> = { readonly [Name in keyof T & string]?: unknown };

/**
 * The options as a plain object, each read once; those that are undefined are as good as absent. Throws `BAD_OPTION`
 * where they are no object, can't be read, or hold a name that is not in the list: most likely it is misspelt, and what
 * was meant would be ignored in silence.
 */
export function readOptions<T>(list: OptionList<T>, options: unknown): Given<T> {
  if (!isRecord(options)) throw noOptions(list, options, "not an object");
  const known: Readonly<Record<string, true | undefined>> = list.names;
  const given: Record<string, unknown> = {};
  let name = "";
  let count = 0;
  try {
    for (name in options) {
      if (known[name] === true) count += 1;
      else refuseUnknown(list, name);
    }
    name = "";
    for (const one of Object.keys(known)) {
      name = one;
      const value = options[one];
      if (value === undefined) continue;
      given[one] = value;
      count += 1;
    }
    name = "";
    // A promise or a `Map` holds no option and is no object of options either: something was forgotten.
    if (count === 0 && !isPlain(options)) throw noOptions(list, options, `not like ${list.like}`);
  } catch (error) {
    throw unreadable(
      name === "" ? `The object of ${list.noun}s of ${list.of}` : `The ${list.noun} ${name} of ${list.of}`,
      error,
    );
  }
  return given as Given<T>;
}

/** What `read` gives. Throws `BAD_OPTION` where it throws: it touches objects of the user's own. */
export function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unreadable(what, error);
  }
}

export function badOption(message: string, hint: string, cause?: unknown): QuorateError {
  return new QuorateError("BAD_OPTION", message, { outcome: "notDone", hint, cause });
}

/** A value that can't be what it was given for, in a few words and whatever it is. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}…` : JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return "a symbol";
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : shownObject(value);
    case "number":
    case "boolean":
    case "undefined":
    default:
      return String(value);
  }
}

/** The message of what was thrown, without the full stop. */
export function thrownMessage(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return thrown.message.slice(0, 200).replace(/[.\s]+$/, "");
  } catch {
    // Then it is only named.
  }
  return shown(thrown);
}

/** An object that may have properties of its own: not null, no function, no list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !isList(value);
}

/** `Array.isArray`, but a revoked proxy is simply none. */
export function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** Made by `{}`, here or in another realm. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function shownObject(value: object): string {
  if (isList(value)) return "an array";
  try {
    const constructor: unknown = (value as { constructor?: unknown }).constructor;
    const name = typeof constructor === "function" && constructor !== Object ? constructor.name : "";
    return name === "" ? "an object" : `an object (${name.slice(0, 60)})`;
  } catch {
    return "an object";
  }
}

function noOptions<T>(list: OptionList<T>, options: unknown, but: string): QuorateError {
  return badOption(
    `The ${list.noun}s of ${list.of} are ${shown(options)}, ${but}.`,
    `Give an object like ${list.like}.`,
  );
}

function unreadable(what: string, error: unknown): QuorateError {
  if (error instanceof QuorateError) return error;
  return badOption(
    `${what} can't be read: ${thrownMessage(error)}.`,
    "Reading it threw an error, its cause: give plain values.",
    error,
  );
}

function refuseUnknown<T>(list: OptionList<T>, name: string): void {
  // Somebody else's addition to every object in the program is not meant for this function.
  if (name in Object.prototype) return;
  const names = Object.keys(list.names).toSorted();
  const meant = nearest(name, names);
  const all = `The ${list.noun}s are: ${names.join(", ")}.`;
  throw badOption(
    `There is no ${list.noun} ${shown(name)} for ${list.of}.`,
    meant === undefined ? all : `Did you mean ${meant}? ${all}`,
  );
}

/** The name that was probably meant; undefined where none is near. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const wrong = simplified(name);
  let best: string | undefined;
  let bestDistance = Math.min(3, wrong.length / 2);
  for (const candidate of names) {
    const right = simplified(candidate);
    const [short, long] = right.length < wrong.length ? [right, wrong] : [wrong, right];
    const distance = short.length > 3 && long.includes(short) ? 0.5 : editDistance(wrong, right);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function simplified(name: string): string {
  return name
    .slice(0, 40)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "");
}

/** How many letters have to be put in, left out or replaced (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, count) => count);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
