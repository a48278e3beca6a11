/** The disk that data folders are on: what kind it is, how much room it has, and how long a sync takes. */
import { randomBytes } from "node:crypto";
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

import { limits } from "../../core/limits.ts";
import { syncReport, type SyncReport } from "../../runtime/sync-times.ts";
import { byteSize, duration } from "../terminal/numbers.ts";
import { fine, problem, warning, type Finding } from "./finding.ts";

const probeBytes = 1024 * 1024;
const probesMax = 64;
const probeMsMax = 1000;
/** A disk that takes longer for it hangs, and the page must not wait for it; the process ends only with the sync, as the system has it. */
const patienceMs = 5000;
/** A sync that takes longer is what every decision waits for. */
const slowSyncMs = 10;
/** With fewer syncs, the slowest of them say more about one moment than about the disk. */
const manySyncs = 50;
/** A journal keeps about so many segments; with less room than for one more it is full. */
const roomWarningBytes: number = limits.segmentBytes * 64;
const roomProblemBytes: number = limits.segmentBytes * 2;

export interface DiskProbe {
  /** Its name, where it is one that is known. */
  readonly fileSystem: string | undefined;
  readonly freeBytes: number;
  /** Undefined where nothing can be written there. */
  readonly syncs: SyncReport | undefined;
  readonly error: string;
}

/** Linux's numbers (statfs(2)). `badFor`: what is wrong with it for a journal. */
const fileSystems: ReadonlyMap<number, { readonly name: string; readonly badFor?: string }> = new Map([
  [0xef53, { name: "ext4" }],
  [0x58465342, { name: "xfs" }],
  [0x9123683e, { name: "btrfs" }],
  [0x2fc12fc1, { name: "zfs" }],
  [0xf2f52010, { name: "f2fs" }],
  [0x01021994, { name: "tmpfs", badFor: "it is gone when the machine restarts" }],
  [0x858458f6, { name: "ramfs", badFor: "it is gone when the machine restarts" }],
  [0x794c7630, { name: "overlay", badFor: "it is gone with its container" }],
  [0x6969, { name: "nfs", badFor: "over a network, a sync may promise more than it keeps" }],
  [0xff534d42, { name: "cifs", badFor: "over a network, a sync may promise more than it keeps" }],
  [0xfe534d42, { name: "smb", badFor: "over a network, a sync may promise more than it keeps" }],
  [0x01021997, { name: "9p", badFor: "it is another machine's, and a sync may promise more than it keeps" }],
  [0x65735546, { name: "fuse", badFor: "what a sync promises there depends on a program" }],
]);

/** Writes a small file of zeros there, syncs it for at most a second, and removes it. */
export async function probeDisk(folder: string): Promise<DiskProbe> {
  const { type, bsize, bavail } = await statfs(folder);
  const about = {
    fileSystem: process.platform === "linux" ? fileSystems.get(type)?.name : undefined,
    freeBytes: bavail * bsize,
  };
  const path = join(folder, `doctor-${randomBytes(4).toString("hex")}.probe`);
  const hung = { syncs: undefined, error: `no sync has ended within ${duration(patienceMs)}` };
  return { ...about, ...(await Promise.race([probeAt(path), setTimeout(patienceMs, hung, { ref: false })])) };
}

type Probed = Pick<DiskProbe, "syncs" | "error">;

async function probeAt(path: string): Promise<Probed> {
  try {
    return { syncs: await timeSyncs(path), error: "" };
  } catch (error) {
    return { syncs: undefined, error: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(path, { force: true });
  }
}

/** As a journal does: sectors of a file whose length does not change, one sync each. */
async function timeSyncs(path: string): Promise<SyncReport> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.write(new Uint8Array(probeBytes));
    await file.datasync();
    const sector = new Uint8Array(limits.sectorBytes);
    const times: number[] = [];
    const endsAtMs = performance.now() + probeMsMax;
    while (times.length < probesMax && (times.length === 0 || performance.now() < endsAtMs)) {
      // oxlint-disable-next-line no-await-in-loop -- one sync after the other is what is measured
      await file.write(sector, 0, sector.length, (times.length * sector.length) % probeBytes);
      const startedAtMs = performance.now();
      // oxlint-disable-next-line no-await-in-loop -- the same
      await file.datasync();
      times.push(performance.now() - startedAtMs);
    }
    return syncReport(Float64Array.from(times));
  } finally {
    await file.close();
  }
}

export function diskFindings(of: string, probe: DiskProbe): Finding[] {
  const { fileSystem, freeBytes, syncs, error } = probe;
  const findings: Finding[] = [];
  const kind = [...fileSystems.values()].find(({ name }) => name === fileSystem);
  const room = `${byteSize(freeBytes)} free`;
  if (kind?.badFor !== undefined) {
    findings.push(
      warning(
        of,
        `it is on ${kind.name}: ${kind.badFor}`,
        "Keep data folders on a local disk; in a container, on a volume.",
      ),
    );
  }
  if (freeBytes < roomWarningBytes) {
    const [how, toDo] = [
      freeBytes < roomProblemBytes ? problem : warning,
      "Free some space, or move the folder while its agent is stopped.",
    ];
    findings.push(how(of, `only ${room}`, toDo));
  } else findings.push(fine(of, `${fileSystem === undefined ? "" : `${fileSystem}, `}${room}`));
  if (syncs === undefined) {
    findings.push(
      problem(
        of,
        `nothing can be written there: ${error}`,
        "Check who owns the folder, whether the disk is read-only or full, and what holds it up.",
      ),
    );
  } else findings.push(syncFinding(of, syncs, `${syncs.count} probed`));
  return findings;
}

/** `note`: which syncs they were. `whose`: of which agent, where that is not the part of the page. */
export function syncFinding(of: string, syncs: SyncReport, note: string, whose = ""): Finding {
  const what = `${whose}a sync takes ${duration(syncs.medianMs)}, one in a hundred ${duration(syncs.p99Ms)} (${note})`;
  const usual = syncs.count < manySyncs ? syncs.medianMs : syncs.p99Ms;
  if (usual <= slowSyncMs) return fine(of, what);
  return warning(
    of,
    what,
    "Every decision waits for such a sync. Use a faster disk, or find out who else keeps this one busy.",
  );
}
