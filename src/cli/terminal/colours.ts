/** Colours: only on a terminal, never with NO_COLOR set (https://no-color.org), and never what carries the meaning alone. */
const codes = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

export type Style = keyof typeof codes;

/** Wraps a text in a style, or leaves it as it is where there are no colours. */
export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_style, text) => text;

export const coloured: Paint = (style, text) => {
  const [on, off] = codes[style];
  return `\u001B[${on}m${text}\u001B[${off}m`;
};

/** Whether a stream shows colours, by what it is and what its user wants. */
export function showsColours(
  stream: { readonly isTTY?: boolean | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  if ((environment["NO_COLOR"] ?? "") !== "") return false;
  return stream.isTTY === true && environment["TERM"] !== "dumb";
}
