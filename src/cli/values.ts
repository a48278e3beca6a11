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
