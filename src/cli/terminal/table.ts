/** Columns that line up. */
import { padded, paddedLeft, visibleLength } from "./width.ts";

export interface Column {
  readonly title: string;
  /** Numbers stand on the right. */
  readonly align?: "left" | "right";
}

/** The lines of a table: the titles, then the rows, two blanks between columns and none at the ends of lines. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, at) =>
    Math.max(visibleLength(column.title), ...rows.map((row) => visibleLength(row[at] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) => {
        const cell = cells[at] ?? "";
        return column.align === "right" ? paddedLeft(cell, widths[at]!) : padded(cell, widths[at]!);
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)];
}
