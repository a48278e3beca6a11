/** Values on a command line and on a screen. */

import type { Json } from "../state/index.ts";

/** JSON where the text is JSON, else the text itself: `put k 7` puts a number, `put k v42` a string. */
export function valueFromText(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** A text as it is, everything else as JSON: what `valueFromText` reads back, except for texts that look like JSON. */
export function textFromValue(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// What moves the cursor, changes colours or ends a line, all the way to the separators of Unicode.
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const control = /[\u0000-\u001F\u007F-\u009F\u2028\u2029]/g;

/** A value in a line for people: as {@link textFromValue}, but quoted where it is empty or holds what a terminal obeys. */
export function shownText(value: unknown): string {
  const text = textFromValue(value);
  if (text !== "" && text.search(control) < 0) return text;
  const quoted = typeof value === "string" ? JSON.stringify(text) : text;
  return quoted.replaceAll(
    control,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
