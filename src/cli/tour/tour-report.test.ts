import { describe, expect, test } from "vitest";

import { Surface } from "../terminal/surface.ts";
import { progressBar } from "../terminal/progress-bar.ts";
import { TourReport } from "./tour-report.ts";

function linesOf(json: boolean, print: (report: TourReport) => void): string[] {
  let text = "";
  print(new TourReport(new Surface({ write: (piece: string) => (text += piece) }, {}), json));
  return text.split("\n").slice(0, -1);
}

function tell(report: TourReport): void {
  report.step({
    kind: "proof",
    left: "agent_3 leads, term 1",
    right: "elected in 212 ms",
    data: { step: "elected" },
  });
  report.passing({ kind: "progress", left: progressBar(250, 1000) });
  report.step({ kind: "progress", left: progressBar(500, 1000), right: "p50 1 ms", data: { step: "half" } });
  report.step({
    kind: "fault",
    left: "kill -9 4103",
    right: "the leader, mid-write",
    data: { step: "killed" },
  });
  report.step({ kind: "note", left: "1,000 decisions", data: { step: "decisions" } });
  report.words("Try: npx quorate status");
  report.end();
}

describe("the lines of the tour", () => {
  test("on a narrow terminal what was measured moves to the left, so that no line wraps", () => {
    let text = "";
    const stream = { isTTY: true, columns: 60, write: (piece: string) => (text += piece) };
    const report = new TourReport(new Surface(stream, { NO_COLOR: "1" }), false);
    const right = "no leader for 186 ms; 64 calls retried";
    report.step({ kind: "proof", left: "agent_3 leads", right, data: { step: "re-elected" } });
    report.step({ kind: "note", left: "x".repeat(30), right, data: { step: "re-elected" } });
    const [fits, tooLong] = text.split("\n");
    expect(fits).toBe(`✔ agent_3 leads       ${right}`);
    expect(fits).toHaveLength(60);
    // Where even that is not enough, nothing is lost.
    expect(tooLong).toBe(`▸ ${"x".repeat(30)}  ${right}`);
  });

  test("what was measured lines up, and without a terminal nothing is drawn that does not stay", () => {
    expect(linesOf(false, tell)).toEqual([
      "✔ agent_3 leads, term 1                      elected in 212 ms",
      "  ████████░░░░░░░░  500/1000                 p50 1 ms",
      "✖ kill -9 4103                               the leader, mid-write",
      "▸ 1,000 decisions",
      "Try: npx quorate status",
    ]);
  });

  test("for programs each step is one object, and words for people are left out", () => {
    const steps = linesOf(true, tell).map((line) => (JSON.parse(line) as { step: string }).step);
    expect(steps).toEqual(["elected", "half", "killed", "decisions"]);
  });
});
