import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes } from "../core/bytes.ts";
import { MalformedError } from "../core/errors.ts";
import { encodeFrame, frameKinds, type Frame, type FrameKind } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";

const kinds = Object.keys(frameKinds) as FrameKind[];
const frameBytesMax = 100_000;

const frames = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    group: fc.stringMatching(/^[a-z0-9]{0,12}$/),
    head: fc.uint8Array({ maxLength: 60 }),
    tail: fc.uint8Array({ maxLength: 60 }),
  }),
  { maxLength: 12 },
);

type Sample = { kind: FrameKind; group: string; head: Uint8Array; tail: Uint8Array };

function encodeAll(samples: readonly Sample[]): Uint8Array {
  return concatBytes(
    samples.flatMap(({ kind, group, head, tail }) => encodeFrame(kind, group, head, [tail]).parts),
  );
}

/** Cuts bytes at these places, as a network may. */
function fragments(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.byteLength + 1)))].sort((a, b) => a - b);
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const to of [...places, bytes.byteLength]) {
    if (to > from) pieces.push(bytes.slice(from, to));
    from = to;
  }
  return pieces;
}

function readAll(pieces: readonly Uint8Array[]): Frame[] {
  const reader = new FrameReader(frameBytesMax);
  const found: Frame[] = [];
  for (const piece of pieces) reader.push(piece, (frame) => found.push(frame) > 0);
  return found;
}

/** The frames up to the first thing that is refused; any other error than a refusal comes through. */
function readUntilRefused(pieces: readonly Uint8Array[]): Frame[] {
  const reader = new FrameReader(frameBytesMax);
  const found: Frame[] = [];
  try {
    for (const piece of pieces) reader.push(piece, (frame) => found.push(frame) > 0);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  return found;
}

describe("the frame reader", () => {
  test("finds the same frames however they were fragmented", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 30 }), (samples, cuts) => {
        const found = readAll(fragments(encodeAll(samples), cuts));
        expect(found.map((frame) => ({ ...frame }))).toEqual(samples);
      }),
      { numRuns: 300 },
    );
  });

  test("finds them byte by byte", () => {
    const samples: Sample[] = [
      { kind: "ping", group: "", head: new Uint8Array(0), tail: new Uint8Array(0) },
      { kind: "query", group: "main", head: Uint8Array.of(1, 2, 3), tail: new Uint8Array(0) },
      { kind: "message", group: "main", head: Uint8Array.of(4), tail: new Uint8Array(70).fill(9) },
    ];
    const pieces = [...encodeAll(samples)].map((byte) => Uint8Array.of(byte));
    expect(readAll(pieces).map((frame) => ({ ...frame }))).toEqual(samples);
  });

  test("does not copy frames that arrived whole", () => {
    const bytes = encodeAll([
      { kind: "message", group: "g", head: Uint8Array.of(1), tail: Uint8Array.of(2) },
    ]);
    const reader = new FrameReader(frameBytesMax);
    reader.push(bytes, (frame) => {
      expect(frame.head.buffer).toBe(bytes.buffer);
      expect(frame.tail.buffer).toBe(bytes.buffer);
      return true;
    });
    expect(reader.pendingBytes).toBe(0);
    expect.assertions(3);
  });

  test("stops at once when it is told to", () => {
    const one = { kind: "ping" as const, group: "", head: new Uint8Array(0), tail: new Uint8Array(0) };
    const reader = new FrameReader(frameBytesMax);
    let taken = 0;
    reader.push(encodeAll([one, one, one]), () => {
      taken += 1;
      return taken < 2;
    });
    expect(taken).toBe(2);
  });

  test("a truncated frame stays pending and gives nothing", () => {
    const bytes = encodeAll([
      { kind: "query", group: "main", head: new Uint8Array(50), tail: new Uint8Array(0) },
    ]);
    for (let length = 0; length < bytes.byteLength; length++) {
      const reader = new FrameReader(frameBytesMax);
      reader.push(bytes.slice(0, length), () => {
        throw new Error("nothing is complete");
      });
      expect(reader.pendingBytes).toBe(length);
    }
  });

  test("an oversized frame is refused with the first four bytes, before any memory is taken for it", () => {
    const reader = new FrameReader(1000);
    const take = (): boolean => true;
    reader.push(Uint8Array.of(0xe9, 0x03), take);
    expect(() => reader.push(Uint8Array.of(0, 0), take)).toThrow("longer than 1000 bytes");
  });

  test("random bytes are refused or wait for more, and nothing else ever happens", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), (pieces) => {
        expect(readUntilRefused(pieces)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test("a valid stream with some bytes changed gives a prefix of its frames, then a refusal or nothing", () => {
    const samples = frames.filter((list) => list.length > 0);
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(samples, changes, fc.array(fc.nat(), { maxLength: 8 }), (list, flips, cuts) => {
        const bytes = encodeAll(list);
        for (const [place, mask] of flips) {
          const at = place % bytes.byteLength;
          bytes[at] = (bytes[at] ?? 0) ^ mask;
        }
        const found = readUntilRefused(fragments(bytes, cuts));
        // A changed tail passes: its entries' own checksums are there for that. Everything else is as it was sent.
        expect(found.length).toBeLessThanOrEqual(list.length);
        for (const [position, frame] of found.entries()) {
          const sample = list[position];
          expect({ kind: frame.kind, group: frame.group, head: frame.head }).toEqual({
            kind: sample?.kind,
            group: sample?.group,
            head: sample?.head,
          });
        }
      }),
      { numRuns: 1000 },
    );
  });
});
