import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatBytes, writeUint32 } from "./bytes.ts";
import { crc32 } from "./checksum.ts";
import {
  checkEntryForm,
  decodeRun,
  encodeCommand,
  entryHeaderBytes,
  entryIndex,
  type EntryKind,
  entryKind,
  entryKinds,
  hasMembersEntry,
  isMembersEntry,
  isProposable,
  entryLength,
  entryPayload,
  entrySequence,
  entrySession,
  entryTerm,
  entryTime,
  entryUnsettled,
  type Run,
  sliceRun,
  splitCommands,
  stampEntry,
  truncateRun,
} from "./entry.ts";
import { MalformedError } from "./errors.ts";
import { logIndex, term } from "./ids.ts";
import { limits } from "./limits.ts";

const uint53 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const kind = fc.constantFrom(...(Object.keys(entryKinds) as EntryKind[]));
const command = fc.record({
  kind,
  session: uint53,
  sequence: uint53,
  unsettled: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 40 }),
});

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(/\s/g, "").match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

/** Entries 1, 2, 3 … with these terms, and payloads of so many bytes. */
function runOf(first: number, terms: readonly number[], payloadBytes = 3): Run {
  const entries = terms.map((number, at) => {
    const entry = encodeCommand(
      { kind: "command", session: 1, sequence: at + 1, unsettled: 1 },
      new Uint8Array(payloadBytes).fill(at),
    );
    stampEntry(entry, 0, logIndex(first + at), term(number), 1_000 + at);
    return entry;
  });
  return { first: logIndex(first), last: logIndex(first + terms.length - 1), bytes: concatBytes(entries) };
}

/** After a change to its bytes: makes the checksum right again, so that only the change itself is wrong. */
function seal(bytes: Uint8Array): Uint8Array {
  writeUint32(bytes, 4, crc32(bytes.subarray(8)));
  return bytes;
}

describe("the bytes of an entry", () => {
  // These bytes are on disks and wires of agents that run: a change that breaks this test breaks them.
  const golden = fromHex(`
    3a000000 62a33e94
    0201000000000000 0500000000000000 00401e18240a0600
    5544332211000000 0700000000000000 03000000
    01 000000 dead
  `);

  it("are written as they always were", () => {
    const entry = encodeCommand(
      { kind: "command", session: 0x11_2233_4455, sequence: 7, unsettled: 3 },
      Uint8Array.of(0xde, 0xad),
    );
    stampEntry(entry, 0, logIndex(258), term(5), 1_700_000_000_000_000);
    expect(entry).toEqual(golden);
  });

  it("are read as they always were", () => {
    expect(entryLength(golden, 0)).toBe(58);
    expect(entryIndex(golden, 0)).toBe(258);
    expect(entryTerm(golden, 0)).toBe(5);
    expect(entryTime(golden, 0)).toBe(1_700_000_000_000_000);
    expect(entrySession(golden, 0)).toBe(0x11_2233_4455);
    expect(entrySequence(golden, 0)).toBe(7);
    expect(entryUnsettled(golden, 0)).toBe(3);
    expect(entryKind(golden, 0)).toBe("command");
    expect(entryPayload(golden, 0)).toEqual(Uint8Array.of(0xde, 0xad));
    expect(decodeRun(golden)).toEqual({ first: 258, last: 258, bytes: golden });
  });

  it("give each kind its number for good", () => {
    expect(entryKinds).toEqual({
      noop: 0,
      command: 1,
      openSession: 2,
      closeSession: 3,
      members: 4,
      forcedMembers: 5,
    });
  });

  it("come back whole, whatever they hold and wherever they stand", () => {
    fc.assert(
      fc.property(command, uint53, uint53, uint53, fc.nat(9), (header, index, inTerm, time, offset) => {
        const alone = encodeCommand(header, header.payload);
        const bytes = concatBytes([new Uint8Array(offset), alone]);
        stampEntry(bytes, offset, logIndex(index), term(inTerm), time);
        expect(entryIndex(bytes, offset)).toBe(index);
        expect(entryTerm(bytes, offset)).toBe(inTerm);
        expect(entryTime(bytes, offset)).toBe(time);
        expect(entrySession(bytes, offset)).toBe(header.session);
        expect(entrySequence(bytes, offset)).toBe(header.sequence);
        expect(entryUnsettled(bytes, offset)).toBe(header.unsettled);
        expect(entryKind(bytes, offset)).toBe(header.kind);
        expect(entryPayload(bytes, offset)).toEqual(header.payload);
        expect(checkEntryForm(bytes, offset)).toBe(bytes.byteLength);
      }),
    );
  });

  it("are proposed by clients, or written by a leader alone, and of these some bring members", () => {
    const found = (Object.keys(entryKinds) as EntryKind[]).map((one) => {
      const bytes = encodeCommand({ kind: one, session: 0, sequence: 0, unsettled: 0 }, new Uint8Array(1));
      return [one, isProposable(bytes, 0), isMembersEntry(bytes, 0)];
    });
    expect(found).toEqual([
      ["noop", false, false],
      ["command", true, false],
      ["openSession", true, false],
      ["closeSession", true, false],
      ["members", false, true],
      ["forcedMembers", false, true],
    ]);
  });

  it("are commands without a stamp until a leader gives them one", () => {
    const bytes = encodeCommand({ kind: "noop", session: 0, sequence: 0, unsettled: 0 }, new Uint8Array(0));
    expect(bytes.byteLength).toBe(entryHeaderBytes);
    expect([entryIndex(bytes, 0), entryTerm(bytes, 0), entryTime(bytes, 0)]).toEqual([0, 0, 0]);
  });
});

describe("a run", () => {
  it("of entries behind one another is read as first, last and the same bytes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 8 }),
        (first, steps) => {
          let inTerm = 1;
          const run = runOf(
            first,
            steps.map((step) => (inTerm += step)),
          );
          expect(decodeRun(run.bytes)).toEqual(run);
          expect(decodeRun(run.bytes, run.first)).toEqual(run);
          expect(splitCommands(run.bytes)).toHaveLength(steps.length);
        },
      ),
    );
  });

  it("pitfall 25: is refused if any one bit of it is flipped", () => {
    const { bytes } = runOf(4, [2, 2, 3]);
    for (let at = 0; at < bytes.byteLength; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << (at % 8);
      expect(() => decodeRun(flipped), `byte ${at}`).toThrow(MalformedError);
    }
  });

  it("is refused if it ends anywhere but behind an entry", () => {
    const { bytes } = runOf(4, [2, 2]);
    const behindFirst = entryLength(bytes, 0);
    for (let length = 0; length < bytes.byteLength; length++) {
      if (length === behindFirst) continue;
      expect(() => decodeRun(bytes.subarray(0, length)), `${length} bytes`).toThrow(MalformedError);
    }
  });

  it("is refused if bytes follow that are no entry", () => {
    const { bytes } = runOf(4, [2]);
    expect(() => decodeRun(concatBytes([bytes, Uint8Array.of(0)]))).toThrow("ends in its header");
    expect(() => decodeRun(concatBytes([bytes, new Uint8Array(80)]))).toThrow("shorter than its header");
  });

  it("is refused if an index is left out, repeated, or not the one expected", () => {
    const [one, two, three] = splitCommands(runOf(1, [1, 1, 1]).bytes) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    expect(() => decodeRun(concatBytes([one, three]))).toThrow("not the next one");
    expect(() => decodeRun(concatBytes([one, one]))).toThrow("not the next one");
    expect(() => decodeRun(concatBytes([two, one]))).toThrow("not the next one");
    expect(() => decodeRun(two, logIndex(1))).toThrow("not the next one");
    expect(() => decodeRun(runOf(0, [1]).bytes)).toThrow("not the next one");
  });

  it("is refused if a term falls, or is that before the first", () => {
    expect(() => decodeRun(runOf(1, [3, 2]).bytes)).toThrow("lower than the one before");
    expect(() => decodeRun(runOf(1, [0]).bytes)).toThrow("lower than the one before");
  });

  it("is refused if an entry is of an unknown kind, though its checksum is right", () => {
    const { bytes } = runOf(1, [1]);
    bytes[52] = Object.keys(entryKinds).length;
    expect(() => decodeRun(seal(bytes))).toThrow("unknown kind");
    expect(() => entryKind(bytes, 0)).toThrow("unknown kind");
  });

  it.each(["members", "forcedMembers"] as const)("is searched through for an entry of kind %s", (mark) => {
    const [plain, other] = (["command", mark] as const).map((one) =>
      encodeCommand({ kind: one, session: 0, sequence: 0, unsettled: 0 }, new Uint8Array(9)),
    ) as [Uint8Array, Uint8Array];
    expect(hasMembersEntry(concatBytes([plain, plain, plain]))).toBe(false);
    expect(hasMembersEntry(concatBytes([other, plain, plain]))).toBe(true);
    expect(hasMembersEntry(concatBytes([plain, plain, other]))).toBe(true);
  });

  it("is refused if an entry's length is beyond what a signed number holds", () => {
    const { bytes } = runOf(1, [1]);
    bytes[3] = 0x80;
    expect(() => decodeRun(bytes)).toThrow("shorter than its header");
  });

  it.each([53, 54, 55])("is refused if spare byte %i is not zero, though its checksum is right", (at) => {
    const { bytes } = runOf(1, [1]);
    bytes[at] = 1;
    expect(() => decodeRun(seal(bytes))).toThrow("spare bytes");
  });

  it.each([8, 16, 24, 32, 40])("is refused if the number at byte %i can't be counted exactly", (at) => {
    const { bytes } = runOf(1, [1]);
    bytes[at + 6] = 0x20;
    expect(() => decodeRun(seal(bytes))).toThrow("not below 2^53");
    expect(() => splitCommands(bytes)).toThrow("not below 2^53");
  });

  it("is refused if an entry is longer than the limit, before anyone looks for its bytes", () => {
    const bytes = new Uint8Array(limits.entryBytesMax + 1);
    bytes.set(runOf(1, [1]).bytes);
    writeUint32(bytes, 0, bytes.byteLength);
    expect(() => decodeRun(seal(bytes))).toThrow("longer than the limit");
  });

  it("may hold an entry of just the limit", () => {
    const run = runOf(1, [1], limits.entryBytesMax - entryHeaderBytes);
    expect(decodeRun(run.bytes).last).toBe(1);
  });
});

describe("a part of a run", () => {
  const run = runOf(10, [1, 1, 2, 2, 2]);
  const size = run.bytes.byteLength / 5;

  it("is what is asked for, for every place and every size", () => {
    for (let first = 10; first <= 14; first++) {
      for (let bytesMax = 0; bytesMax <= run.bytes.byteLength + 1; bytesMax += 7) {
        const slice = sliceRun(run, logIndex(first), bytesMax);
        const fitting = Math.min(15 - first, Math.max(1, Math.floor(bytesMax / size)));
        expect(slice.first).toBe(first);
        expect(slice.last).toBe(first + fitting - 1);
        expect(decodeRun(slice.bytes)).toEqual(slice);
      }
    }
  });

  it("up to an index keeps everything before it", () => {
    for (let last = 10; last <= 14; last++) {
      const cut = truncateRun(run, logIndex(last));
      expect(cut.first).toBe(10);
      expect(decodeRun(cut.bytes).last).toBe(last);
    }
  });

  it("shares the bytes, so that a tail of megabytes is cut at no cost", () => {
    expect(sliceRun(run, logIndex(11), size).bytes.buffer).toBe(run.bytes.buffer);
    expect(truncateRun(run, logIndex(11)).bytes.buffer).toBe(run.bytes.buffer);
    expect(sliceRun(run, logIndex(10), Number.POSITIVE_INFINITY)).toBe(run);
    expect(truncateRun(run, logIndex(14))).toBe(run);
  });

  it("outside of the run is a bug", () => {
    expect(() => sliceRun(run, logIndex(9), 1)).toThrow("within its run");
    expect(() => sliceRun(run, logIndex(15), 1)).toThrow("within its run");
    expect(() => truncateRun(run, logIndex(9))).toThrow("within itself");
    expect(() => truncateRun(run, logIndex(15))).toThrow("within itself");
  });
});
