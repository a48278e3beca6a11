/**
 * The journal alone, over a real disk: batches of records, one batch per sync, as the driver uses it. Beside it, in the
 * same minute, the bare minimum that Node can do: one write and one asynchronous `fdatasync` on a file of zeros.
 */
import {
  fdatasync,
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { emptyBytes, groupName } from "../dist/core/index.js";
import { Journal } from "../dist/journal/index.js";
import { NodeDisk, checksum } from "../dist/runtime/index.js";

export interface JournalResult {
  readonly batch: number;
  readonly recordsPerSecond: number;
  readonly bareRecordsPerSecond: number;
  /** Ours as a part of the bare loop's. */
  readonly ofBare: number;
}

const recordBytes = 300;
const filledBytes = 64 * 1024 * 1024;

export async function benchJournal(
  parentFolder: string,
  batch: number,
  seconds: number,
): Promise<JournalResult> {
  const folder = mkdtempSync(join(parentFolder, "journal-"));
  try {
    const bareRecordsPerSecond = await bareLoop(join(folder, "bare"), batch, seconds);
    mkdirSync(join(folder, "journal"));
    const recordsPerSecond = await journalLoop(join(folder, "journal"), batch, seconds);
    return { batch, recordsPerSecond, bareRecordsPerSecond, ofBare: recordsPerSecond / bareRecordsPerSecond };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bareLoop(path: string, batch: number, seconds: number): Promise<number> {
  const file = openSync(path, "w+");
  const zeros = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < filledBytes; at += zeros.byteLength) writeSync(file, zeros, 0, zeros.byteLength, at);
  fsyncSync(file);
  const bytes = Buffer.alloc(batch * recordBytes, 120);
  let position = 0;
  let records = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  await new Promise<void>((resolve, reject) => {
    const next = (): void => {
      if (performance.now() > endsAt) return resolve();
      if (position + bytes.byteLength > filledBytes) position = 0;
      writeSync(file, bytes, 0, bytes.byteLength, position);
      position += bytes.byteLength;
      fdatasync(file, (error) => {
        if (error !== null) return reject(error);
        records += batch;
        next();
      });
    };
    next();
  });
  const elapsed = (performance.now() - startedAt) / 1000;
  closeSync(file);
  return records / elapsed;
}

async function journalLoop(folder: string, batch: number, seconds: number): Promise<number> {
  const group = groupName("bench");
  let records = 0;
  let next: () => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const disk = new NodeDisk(folder);
  const journal = Journal.open({
    disk,
    id: Buffer.alloc(16, 7),
    checksum,
    schedule: setImmediate,
    onDurable: () => next(),
    onFailure: (error) => fail(error),
  });
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  const record = { head: emptyBytes, tail: [Buffer.alloc(recordBytes, 120)] };
  await new Promise<void>((resolve, reject) => {
    fail = reject;
    const write = (): void => {
      for (let count = 0; count < batch; count++) {
        const number = journal.append(group, record);
        // Nothing is needed again, so segments are recycled as they are behind a snapshot.
        if (count === 0) journal.release(group, number);
      }
      journal.flush();
    };
    next = () => {
      records += batch;
      if (performance.now() > endsAt) resolve();
      else write();
    };
    write();
  });
  const elapsed = (performance.now() - startedAt) / 1000;
  next = () => undefined;
  await new Promise<void>((resolve) => journal.close(() => resolve()));
  return records / elapsed;
}
