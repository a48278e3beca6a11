/**
 * How fast a durable three-process Raft in Node could be here at this minute: a probe of the machine, not a protocol
 * (fixed leader, normal case only). It is no part of the project; where its file is absent, its column stays empty.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const probe =
  process.env["QUORATE_LIMIT_PROBE"] ??
  fileURLToPath(new URL("../../shared/limits/raft-limit.mjs", import.meta.url));

export interface LimitResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function hasLimitProbe(): boolean {
  return existsSync(probe);
}

export async function measureLimit(
  parentFolder: string,
  callers: number,
  seconds: number,
  sync: "cb" | "none" = "cb",
): Promise<LimitResult> {
  const folder = mkdtempSync(join(parentFolder, "limit-"));
  try {
    const args = [probe, `sync=${sync}`, "pre=1", `secs=${seconds}`, `clients=${callers}`, "repeats=1"];
    const output = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, args, { env: { ...process.env, LIMIT_DATA: folder } }, (error, stdout) =>
        error === null
          ? resolve(stdout)
          : reject(new Error("The probe of the disk failed.", { cause: error })),
      );
    });
    const line = output.split("\n").find((text) => text.startsWith("{"));
    const { ops, p50ms, p99ms } = JSON.parse(line ?? "{}") as { ops: number; p50ms: number; p99ms: number };
    return { perSecond: ops, p50Ms: p50ms, p99Ms: p99ms };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
