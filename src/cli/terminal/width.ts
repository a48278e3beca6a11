/** Lengths as they appear on a terminal: the escape sequences of colours take no room. */

// oxlint-disable-next-line no-control-regex -- colours begin with the escape character
const styling = /\u001B\[\d+m/g;
// oxlint-disable-next-line no-control-regex -- the same, as a splitter that keeps them
const stylingKept = /(\u001B\[\d+m)/;

/** How many columns a text takes. Every character that this program prints itself takes one. */
export function visibleLength(text: string): number {
  return Array.from(text.replaceAll(styling, "")).length;
}

/** Filled with blanks on the right, up to `columns`. */
export function padded(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - visibleLength(text)));
}

/** Filled with blanks on the left, up to `columns`. */
export function paddedLeft(text: string, columns: number): string {
  return " ".repeat(Math.max(0, columns - visibleLength(text))) + text;
}

/** Cut to `columns`, with an ellipsis where something is missing. A style that was on at the cut is switched off as it would have been. */
export function truncated(text: string, columns: number): string {
  if (visibleLength(text) <= columns) return text;
  const room = Math.max(0, columns - 1);
  let taken = 0;
  let result = "";
  for (const part of text.split(stylingKept)) {
    if (part.startsWith("\u001B")) {
      result += part;
      continue;
    }
    const characters = Array.from(part).slice(0, room - taken);
    taken += characters.length;
    result += characters.join("");
    if (taken === room && characters.length < Array.from(part).length) {
      result += "…";
      taken += 1;
    }
    if (taken > room) break;
  }
  return result + (result.includes("\u001B") ? "\u001B[0m" : "");
}
