import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32 } from "../core/checksum.ts";
import { MalformedError } from "../core/errors.ts";
import { groupName } from "../core/ids.ts";
import { limits } from "../core/limits.ts";
import { decodeBody, encodeDirectory, recordsOf, runHeaderBytes } from "./body.ts";
import {
  alignToSector,
  blockHeaderBytes,
  decodeLabel,
  encodeLabel,
  examineBlock,
  isTemporaryName,
  sealBlock,
  segmentFileName,
  segmentNumberOf,
  segmentSeed,
  temporaryFileName,
} from "./format.ts";
import { Gather } from "./gather.ts";
import { Group } from "./group.ts";

const id = Uint8Array.from({ length: 16 }, (_, at) => at);

/** A sealed block of one group's records, as it lies on the disk. */
function block(segment: number, number: number, records: readonly Uint8Array[]): Uint8Array {
  const group = new Group(groupName("a"));
  const gather = new Gather(64 * 1024);
  for (const [at, record] of records.entries()) {
    gather.add(group, at + 1, false, { head: record, tail: [] }, record.byteLength);
  }
  const { padded, length, directoryAt } = gather.finish(undefined);
  const seed = segmentSeed(id, segment, crc32);
  sealBlock(padded, { length, directoryAt, number, groups: 1 }, segment, seed, crc32);
  return padded.slice();
}

function examine(bytes: Uint8Array, segment: number): string {
  return examineBlock(bytes, 0, segment, segmentSeed(id, segment, crc32), crc32).kind;
}

describe("names", () => {
  it("carry the segment's number in hexadecimal", () => {
    expect(segmentFileName(1)).toBe("journal-00000001.segment");
    expect(segmentFileName(0xffff_ffff)).toBe("journal-ffffffff.segment");
    expect(temporaryFileName(31)).toBe("journal-0000001f.temporary");
  });

  it("give the number back, and nobody else's file has one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffff_ffff }), (number) => {
        expect(segmentNumberOf(segmentFileName(number))).toBe(number);
        expect(segmentNumberOf(temporaryFileName(number))).toBeUndefined();
        expect(isTemporaryName(temporaryFileName(number))).toBe(true);
        expect(isTemporaryName(segmentFileName(number))).toBe(false);
      }),
    );
    for (const name of [
      "journal-1.segment",
      "journal-00000000.segment",
      "journal-0000000G.segment",
      "journal-0000000A.segment",
      "journal-100000000.segment",
      "journal-000000001.segment",
      "xjournal-00000001.segment",
      "journal-00000001.segment.bak",
      "snapshot",
    ]) {
      expect(segmentNumberOf(name)).toBeUndefined();
    }
  });

  it("blocks end at sectors", () => {
    expect([0, 1, 4096, 4097].map(alignToSector)).toEqual([0, 4096, 4096, 8192]);
  });
});

describe("labels", () => {
  it("say whose journal it is", () => {
    const sector = encodeLabel(id, crc32);
    expect(sector.byteLength).toBe(limits.sectorBytes);
    expect(decodeLabel(sector, crc32)).toEqual({ kind: "label", version: 1, id });
  });

  it("are unreadable with any bit flipped, rather than another journal's", () => {
    const sector = encodeLabel(id, crc32);
    for (let bit = 0; bit < 28 * 8; bit++) {
      const rotten = sector.slice();
      rotten[bit >>> 3]! ^= 1 << (bit & 7);
      expect(decodeLabel(rotten, crc32)).toEqual({ kind: "unreadable" });
    }
    expect(decodeLabel(sector.subarray(0, 27), crc32)).toEqual({ kind: "unreadable" });
    expect(decodeLabel(new Uint8Array(4096), crc32)).toEqual({ kind: "unreadable" });
  });
});

describe("checksums", () => {
  it("J5: no two segments of a journal have the same seed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        (anyId, one, other) => {
          fc.pre(one !== other);
          expect(segmentSeed(anyId, one, crc32)).not.toBe(segmentSeed(anyId, other, crc32));
        },
      ),
    );
  });

  it("J5: nor have two journals, and a block of one is not valid in the other", () => {
    const other = id.map((byte) => byte ^ 1);
    expect(segmentSeed(id, 3, crc32)).not.toBe(segmentSeed(other, 3, crc32));
    const bytes = block(3, 7, [Uint8Array.of(1)]);
    expect(examineBlock(bytes, 0, 3, segmentSeed(other, 3, crc32), crc32)).toEqual({ kind: "broken" });
  });

  it("pitfall 25: J5: a block is not valid under any other segment's number, even if its header is made to fit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        (records, one, other) => {
          fc.pre(one !== other);
          const bytes = block(one, 7, records);
          expect(examine(bytes, one)).toBe("valid");
          expect(examine(bytes, other)).toBe("blank");
          // Seeds alone keep lives apart: the same bytes never have the same checksum from two seeds.
          const body = bytes.subarray(8, 8 + 100);
          expect(crc32(body, segmentSeed(id, one, crc32))).not.toBe(
            crc32(body, segmentSeed(id, other, crc32)),
          );
        },
      ),
    );
  });

  it("a block with any bit flipped is broken or blank, never valid", () => {
    const bytes = block(3, 9, [Uint8Array.of(1, 2, 3), Uint8Array.of()]);
    const { length } = { length: blockHeaderBytes + 2 + 17 + 4 + 3 + 4 };
    for (let bit = 0; bit < length * 8; bit++) {
      const rotten = bytes.slice();
      rotten[bit >>> 3]! ^= 1 << (bit & 7);
      expect(examine(rotten, 3)).not.toBe("valid");
    }
    // The padding belongs to nobody.
    const padding = bytes.slice();
    padding[length]! ^= 1;
    expect(examine(padding, 3)).toBe("valid");
  });

  it("a block cut anywhere is not valid", () => {
    const bytes = block(3, 9, [Uint8Array.of(1, 2, 3)]);
    const { length } = { length: blockHeaderBytes + 2 + 17 + 4 + 3 };
    for (let end = 0; end < length; end++) expect(examine(bytes.subarray(0, end), 3)).not.toBe("valid");
    expect(examine(bytes.subarray(0, length), 3)).toBe("valid");
  });
});

describe("what a block holds", () => {
  const text = fc.uint8Array({ maxLength: 40 });
  const groups = ["a", "b", "a-long-group-name.0123456789"].map((name) => new Group(groupName(name)));
  const append = fc.record({ group: fc.nat(groups.length - 1), copied: fc.boolean(), record: text });

  it("comes back as it was put in", () => {
    fc.assert(
      fc.property(
        fc.array(append, { minLength: 1, maxLength: 40 }),
        fc.boolean(),
        (appends, withDirectory) => {
          const gather = new Gather(64 * 1024);
          const numbers = new Map<Group, number>();
          const expected: string[] = [];
          for (const { group: which, copied, record } of appends) {
            const group = groups[which]!;
            const number = (numbers.get(group) ?? 10) + 1;
            numbers.set(group, number);
            const head = record.subarray(0, record.byteLength >> 1);
            gather.add(
              group,
              number,
              copied,
              { head, tail: [record.subarray(head.byteLength)] },
              record.byteLength,
            );
            expected.push(`${group.name} ${number} ${copied} ${record.join()}`);
            group.written = number;
          }
          const directory = withDirectory ? encodeDirectory(groups) : undefined;
          const { padded, length, directoryAt } = gather.finish(directory);
          expect(padded.byteLength).toBe(alignToSector(length));
          const body = decodeBody(padded.subarray(0, length), { length, directoryAt, number: 1, groups: 3 });
          const found: string[] = [];
          for (const run of body.runs) {
            const records = padded.subarray(run.at, run.at + run.byteLength);
            for (const { number, bytes } of recordsOf(
              records,
              run.first,
              run.first,
              run.first + run.count - 1,
            )) {
              found.push(`${run.name} ${number} ${run.copied} ${bytes.join()}`);
            }
          }
          expect(found).toEqual(expected);
          const named = body.directory?.map(({ name, last }) => `${name} ${last}`);
          const lines = groups
            .filter(({ written }) => written > 0)
            .map(({ name, written }) => `${name} ${written}`);
          expect(named).toEqual(withDirectory ? lines : undefined);
          for (const group of groups) group.written = 0;
        },
      ),
    );
  });

  it("consecutive records of a group share one run", () => {
    const gather = new Gather(4096);
    const [a, b] = groups as [Group, Group];
    const record = { head: Uint8Array.of(1), tail: [] };
    for (const [group, number] of [
      [a, 1],
      [a, 2],
      [b, 1],
      [a, 3],
    ] as const)
      gather.add(group, number, false, record, 1);
    expect(gather.runs.map((run) => [run.group.name, run.first, run.count])).toEqual([
      ["a", 1, 2],
      ["b", 1, 1],
      ["a", 3, 1],
    ]);
  });

  it("a buffer that is used again shows nothing of the block before", () => {
    const gather = new Gather(64 * 1024);
    const [a] = groups as [Group];
    gather.add(a, 1, false, { head: new Uint8Array(9000).fill(7), tail: [] }, 9000);
    gather.finish(undefined);
    gather.clear();
    expect(gather.isEmpty).toBe(true);
    gather.add(a, 2, false, { head: Uint8Array.of(1), tail: [] }, 1);
    const { padded, length } = gather.finish(undefined);
    expect(padded.subarray(length).every((byte) => byte === 0)).toBe(true);
    expect(length).toBe(blockHeaderBytes + runHeaderBytes(a) + 5);
  });

  it("is refused where it has another form", () => {
    const header = (length: number, directoryAt = 0) => ({ length, directoryAt, number: 1, groups: 1 });
    const uint32 = (value: number): number[] => [value, 0, 0, 0];
    const uint53 = (value: number): number[] => [value, 0, 0, 0, 0, 0, 0, 0];
    const run = (nameBytes: number[], flags: number, first: number, count: number, records: number[]) =>
      Uint8Array.from([
        ...Array<number>(blockHeaderBytes).fill(0),
        nameBytes.length,
        ...nameBytes,
        flags,
        ...uint53(first),
        ...uint32(count),
        ...uint32(records.length),
        ...records,
      ]);
    const good = run([97], 0, 1, 1, [1, 0, 0, 0, 5]);
    expect(decodeBody(good, header(good.byteLength)).runs).toHaveLength(1);
    for (const bad of [
      run([], 0, 1, 1, [1, 0, 0, 0, 5]),
      run([0xff], 0, 1, 1, [1, 0, 0, 0, 5]),
      run([97], 2, 1, 1, [1, 0, 0, 0, 5]),
      run([97], 0, 0, 1, [1, 0, 0, 0, 5]),
      run([97], 0, 1, 0, []),
      run([97], 0, 1, 1, [1, 0, 0, 0, 5, 6]),
      run([97], 0, 1, 2, [1, 0, 0, 0, 5]),
      good.subarray(0, good.byteLength - 1),
    ]) {
      expect(() => decodeBody(bad, header(bad.byteLength))).toThrow(MalformedError);
    }
    expect(() => decodeBody(good, header(good.byteLength, 8))).toThrow(MalformedError);
    expect(() => decodeBody(good, header(good.byteLength, good.byteLength + 1))).toThrow(MalformedError);
  });

  it("a name of any group has its length before it", () => {
    expect([...new Group(groupName("ab")).encodedName]).toEqual([2, 97, 98]);
  });
});
