/** A backup's file: whole or not there, never over another one, and whatever is done to it is noticed before it is used. */
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Counter } from "../../../test/support/counter.ts";
import { temporaryFolder } from "../../../test/support/runtime.ts";
import { QuorateError } from "../../core/errors.ts";
import { mapMachine } from "../../state/index.ts";
import { checkBackup, openBackup } from "./backup-file.ts";
import { BackupWriter, refuseExisting } from "./backup-writer.ts";
import { sample, write } from "./test-backups.ts";

const known = { map: mapMachine() };
const taken = sample();
let folder: string;
let path: string;

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "backup");
});

function codeOf(action: () => unknown): string {
  try {
    action();
    return "none";
  } catch (error) {
    return error instanceof QuorateError ? error.code : String(error);
  }
}

describe("writing", () => {
  test("gives a file with its name only once it is whole, and nothing else", () => {
    const writer = new BackupWriter(path, taken.snapshot);
    for (const piece of taken.pieces) writer.write(piece);
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^backup\.part-/)]);
    writer.complete();
    writer.keep("keep");
    writer.discard();
    expect(readdirSync(folder)).toEqual(["backup"]);
    expect(checkBackup(path, known)).toMatchObject({ snapshot: taken.snapshot, proven: "state" });
  });

  test("leaves nothing where it is given up, and takes no piece but the next one", () => {
    const [first, second] = taken.pieces as [(typeof taken.pieces)[0], (typeof taken.pieces)[0]];
    const flipped = { ...first, bytes: first.bytes.map((byte, at) => (at === 3 ? byte ^ 1 : byte)) };
    for (const wrong of [second, flipped, { ...first, checksum: first.checksum ^ 1 }]) {
      const writer = new BackupWriter(path, taken.snapshot);
      expect(codeOf(() => writer.write(wrong))).toBe("DATA_CORRUPT");
      writer.discard();
    }
    const early = new BackupWriter(path, taken.snapshot);
    early.write(first);
    expect(codeOf(() => early.complete())).toBe("DATA_CORRUPT");
    early.discard();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("refuses a snapshot that there can't be", () => {
    for (const wrong of [{ pieceBytes: 0 }, { digest: new Uint8Array(100) }, { byteLength: 2 ** 50 }]) {
      expect(codeOf(() => new BackupWriter(path, { ...taken.snapshot, ...wrong }))).toBe("DATA_CORRUPT");
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  test("never goes over a file that is there, unless that is wanted", () => {
    writeFileSync(path, "precious");
    expect(codeOf(() => refuseExisting(path))).toBe("DATA_EXISTS");
    const writer = new BackupWriter(path, taken.snapshot);
    for (const piece of taken.pieces) writer.write(piece);
    writer.complete();
    expect(codeOf(() => writer.keep("keep"))).toBe("DATA_EXISTS");
    expect(readFileSync(path, "utf8")).toBe("precious");
    writer.keep("replace");
    expect(checkBackup(path, known).proven).toBe("state");
    expect(readdirSync(folder)).toEqual(["backup"]);
  });

  test("says where it can't be written", () => {
    expect(codeOf(() => new BackupWriter(join(folder, "nowhere", "backup"), taken.snapshot))).toBe("DENIED");
  });
});

describe("reading", () => {
  test("tells what is in it", () => {
    write(path, taken);
    const { snapshot, machines, proven, byteLength } = checkBackup(path, known);
    expect(snapshot).toEqual(taken.snapshot);
    expect({ machines, proven, byteLength }).toEqual({
      machines: ["", "map"],
      proven: "state",
      byteLength: readFileSync(path).length,
    });
  });

  test("of machines that are not known here only the bytes are proven", () => {
    write(path, sample(3, { known: { map: mapMachine(), own: new Counter() } }));
    expect(checkBackup(path, known)).toMatchObject({ machines: ["", "map", "own"], proven: "bytes" });
    expect(checkBackup(path, { ...known, own: new Counter() }).proven).toBe("state");
  });

  test("wherever it is cut short it is refused, and so is one with more behind it", () => {
    write(path, taken);
    const whole = readFileSync(path);
    for (let length = whole.length - 1; length >= 0; length--) {
      truncateSync(path, length);
      expect({ length, code: codeOf(() => openBackup(path)) }).toEqual({ length, code: "DATA_CORRUPT" });
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
    expect(codeOf(() => openBackup(path))).toBe("DATA_CORRUPT");
  });

  test("whichever bit flips, it is refused", () => {
    write(path, sample(3));
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      writeFileSync(path, flipped);
      expect({ at, code: codeOf(() => checkBackup(path, known)) }).toEqual({ at, code: "DATA_CORRUPT" });
    }
  });

  test("what is no backup, or not there, is named", () => {
    expect(codeOf(() => openBackup(path))).toBe("DATA_MISSING");
    writeFileSync(path, "{}");
    expect(codeOf(() => openBackup(path))).toBe("DATA_CORRUPT");
    mkdirSync(join(folder, "a-folder"));
    expect(codeOf(() => openBackup(join(folder, "a-folder")))).toBe("DENIED");
  });
});
