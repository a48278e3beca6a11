/** The doctor's page: what was found, part by part, and a last line that counts what is not fine. */
import type { Paint, Style } from "../terminal/colours.ts";
import { counted } from "../terminal/numbers.ts";
import type { Finding, Level } from "./finding.ts";
import { grouped } from "./grouped.ts";

const signs: Readonly<Record<Level, readonly [sign: string, style: Style]>> = {
  fine: ["✔", "green"],
  warning: ["!", "yellow"],
  problem: ["✖", "red"],
};

export interface Counts {
  readonly problems: number;
  readonly warnings: number;
}

export function countsOf(findings: readonly Finding[]): Counts {
  const of = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  return { problems: of("problem"), warnings: of("warning") };
}

export function pageLines(findings: readonly Finding[], paint: Paint): string[] {
  const lines: string[] = [];
  for (const [part, those] of grouped(findings, ({ of }) => of)) {
    lines.push(paint("bold", part));
    for (const finding of those) {
      const [sign, style] = signs[finding.level];
      lines.push(`  ${paint(style, sign)} ${finding.what}`);
      if (finding.level !== "fine") lines.push(`      ${finding.toDo}`);
    }
  }
  const { problems, warnings } = countsOf(findings);
  const verdict =
    problems + warnings === 0
      ? paint("green", "All is well.")
      : `${counted(problems, "problem")}, ${counted(warnings, "warning")}.`;
  return [...lines, verdict];
}
