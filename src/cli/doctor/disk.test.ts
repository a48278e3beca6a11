/** The disk below a data folder: what is measured is plausible and leaves nothing behind, and each kind of trouble is named. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { diskFindings, probeDisk, type DiskProbe } from "./disk.ts";
import { ills } from "./test-views.ts";

const mebibyte = 1024 * 1024;
const good: DiskProbe = {
  fileSystem: "ext4",
  freeBytes: 50 * 1024 * mebibyte,
  syncs: { count: 64, medianMs: 0.2, p99Ms: 1.5, maxMs: 3 },
  error: "",
};

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "quorate-doctor-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("a probe syncs a few times, and takes its file away again", async () => {
  const folder = temporaryFolder();
  const { syncs, freeBytes, error } = await probeDisk(folder);
  expect(error).toBe("");
  expect(syncs?.count).toBeGreaterThan(0);
  expect(syncs?.count).toBeLessThanOrEqual(64);
  expect(syncs?.p99Ms).toBeGreaterThanOrEqual(syncs?.medianMs ?? 0);
  expect(freeBytes).toBeGreaterThan(0);
  expect(readdirSync(folder)).toEqual([]);
});

test.runIf(process.platform === "linux")("where nothing can be written, it says so", async () => {
  const probe = await probeDisk("/proc");
  expect(probe.syncs).toBeUndefined();
  expect(ills(diskFindings("disk", probe)).join("\n")).toContain("problem: nothing can be written there: ");
});

describe("a disk", () => {
  test("that is well", () => {
    const findings = diskFindings("disk", good);
    expect(ills(findings)).toEqual([]);
    expect(findings.map(({ what }) => what)).toEqual([
      "ext4, 50 GiB free",
      "a sync takes 0.20 ms, one in a hundred 1.5 ms (64 probed)",
    ]);
  });

  test("of a kind that is not known is not judged by it", () => {
    expect(diskFindings("disk", { ...good, fileSystem: undefined })[0]?.what).toBe("50 GiB free");
  });

  test.each<[string, Partial<DiskProbe>, string]>([
    ["in memory", { fileSystem: "tmpfs" }, "warning: it is on tmpfs: it is gone when the machine restarts"],
    ["of a container", { fileSystem: "overlay" }, "warning: it is on overlay: it is gone with its container"],
    [
      "over a network",
      { fileSystem: "nfs" },
      "warning: it is on nfs: over a network, a sync may promise more than it keeps",
    ],
    ["that fills up", { freeBytes: 900 * mebibyte }, "warning: only 900 MiB free"],
    ["that is full", { freeBytes: 20 * mebibyte }, "problem: only 20 MiB free"],
    [
      "that is slow",
      { syncs: { count: 64, medianMs: 8, p99Ms: 11, maxMs: 40 } },
      "warning: a sync takes 8.0 ms, one in a hundred 11 ms (64 probed)",
    ],
    [
      "so slow that few syncs fit into the time",
      { syncs: { count: 9, medianMs: 110, p99Ms: 140, maxMs: 140 } },
      "warning: a sync takes 110 ms, one in a hundred 140 ms (9 probed)",
    ],
  ])("%s", (_name, change, expected) => {
    expect(ills(diskFindings("disk", { ...good, ...change }))).toEqual([expected]);
  });
});
