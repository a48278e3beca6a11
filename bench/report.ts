/** Numbers for people. */

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** A Markdown table, so that what a terminal shows can go into a document as it is. A number that is missing is a dash. */
export function table(title: string, rows: readonly Record<string, number | string>[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => columns.map((column) => cell(row[column])));
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...cells.map((row) => (row[at] ?? "").length)),
  );
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, at) => text.padStart(widths[at] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => `${"-".repeat(width + 1)}:`).join("|")}|`;
  return ["", title, "", line(columns), rule, ...cells.map(line)].join("\n");
}

function cell(value: number | string | undefined): string {
  if (typeof value === "number") return Number.isFinite(value) ? value.toLocaleString("en") : "–";
  return value === undefined || value === "NaN" ? "–" : value;
}
