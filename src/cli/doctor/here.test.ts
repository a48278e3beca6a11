/** The machine that looks: its Node, and its clocks. */
import { describe, expect, test } from "vitest";
import { clockFindings, programFindings, requiredNode, watchClocks } from "./here.ts";
import { ills } from "./test-views.ts";

describe("Node", () => {
  test.each(["20.19.0", "20.20.2", "22.1.0", "30.0.0"])("%s is new enough", (version) => {
    expect(ills(programFindings(version, "20.19"))).toEqual([]);
  });

  test.each(["20.18.9", "18.20.0"])("%s is not", (version) => {
    expect(ills(programFindings(version, "20.19"))[0]).toContain("Node 20.19 or newer is needed");
  });

  test("the one that runs this is what the package asks for", () => {
    expect(requiredNode()).toMatch(/^\d+\.\d+$/);
    expect(ills(programFindings(process.versions.node, requiredNode()))).toEqual([]);
  });
});

describe("clocks", () => {
  test("that go together", async () => {
    expect(ills(clockFindings({ wallMs: 203, monotonicMs: 201.5 }))).toEqual([]);
    const watch = await watchClocks();
    expect(watch.monotonicMs).toBeGreaterThan(199);
  });

  test.each([
    [
      { wallMs: 3201, monotonicMs: 201 },
      "warning: the wall clock was moved by 3.00 s while it was looked at",
    ],
    [
      { wallMs: -100, monotonicMs: 200 },
      "warning: the wall clock was moved by 300 ms while it was looked at",
    ],
    [
      { wallMs: 900, monotonicMs: 900 },
      "warning: a timer came 700 ms late: the machine, or this process, stood still",
    ],
  ])("%j", (watch, expected) => {
    expect(ills(clockFindings(watch))).toEqual([expected]);
  });
});
