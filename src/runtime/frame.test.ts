import { describe, expect, test } from "vitest";
import { crc32 } from "../core/checksum.ts";
import { concatBytes, readUint32, writeUint32 } from "../core/bytes.ts";
import { MalformedError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { encodeText } from "../core/text.ts";
import { checksum, checksumRange } from "./checksum.ts";
import {
  decodeFrame,
  encodeFrame,
  frameHeaderBytes,
  frameKindName,
  frameKinds,
  frameLength,
  FrameWriter,
  type FrameKind,
} from "./frame.ts";

const allKinds = Object.keys(frameKinds) as FrameKind[];
const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill);

function whole(kind: FrameKind, group: string, head: Uint8Array, tail: Uint8Array[] = []): Uint8Array {
  return concatBytes(encodeFrame(kind, group, head, tail).parts);
}

function decode(frame: Uint8Array): ReturnType<typeof decodeFrame> {
  return decodeFrame(frame, 0, frameLength(frame, 0, limits.frameBytesMax));
}

describe("a frame", () => {
  test.each(allKinds)("of kind %s comes back as it was", (kind) => {
    const frame = decode(whole(kind, "main", encodeText("head"), [encodeText("ta"), encodeText("il")]));
    expect(frame.kind).toBe(kind);
    expect(frame.group).toBe("main");
    expect(frame.head).toEqual(encodeText("head"));
    expect(frame.tail).toEqual(encodeText("tail"));
  });

  test("may have neither group nor head nor tail", () => {
    const frame = whole("ping", "", bytes(0));
    expect(frame.byteLength).toBe(frameHeaderBytes);
    expect(decode(frame)).toMatchObject({ kind: "ping", group: "" });
  });

  test("has the layout that docs/wire.md describes", () => {
    const frame = whole("query", "g", encodeText("hd"), [encodeText("t")]);
    expect(readUint32(frame, 0)).toBe(16 + 1 + 2 + 1);
    expect(frame[8]).toBe(33);
    expect(frame[9]).toBe(1);
    expect([frame[10], frame[11]]).toEqual([0, 0]);
    expect(readUint32(frame, 12)).toBe(2);
    expect(readUint32(frame, 4)).toBe(crc32(frame.subarray(8, 19), crc32(frame.subarray(0, 4))));
  });

  test("is one piece when small; a large tail is passed on without a copy", () => {
    expect(encodeFrame("message", "g", bytes(10), [bytes(100)]).parts).toHaveLength(1);
    const tail = bytes(20_000);
    const { parts, byteLength } = encodeFrame("message", "g", bytes(10), [tail]);
    expect(parts[1]).toBe(tail);
    expect(byteLength).toBe(16 + 1 + 10 + 20_000);
  });

  test("a change of any byte before the tail is noticed", () => {
    const frame = whole("answers", "main", encodeText("some head"), [encodeText("tail")]);
    for (let at = 0; at < frame.byteLength - 4; at++) {
      const damaged = frame.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x41;
      expect(() => {
        const length = frameLength(damaged, 0, limits.frameBytesMax);
        if (length > damaged.byteLength) throw new MalformedError("the rest never comes");
        decodeFrame(damaged, 0, length);
      }, `byte ${at}`).toThrow(MalformedError);
    }
  });

  test("longer than the limit, or shorter than a header, is refused by its length alone", () => {
    const field = new Uint8Array(4);
    writeUint32(field, 0, limits.frameBytesMax + 1);
    expect(() => frameLength(field, 0, limits.frameBytesMax)).toThrow("longer than");
    writeUint32(field, 0, frameHeaderBytes - 1);
    expect(() => frameLength(field, 0, limits.frameBytesMax)).toThrow("shorter than");
  });

  test("of a kind that is not known is refused", () => {
    const writer = new FrameWriter();
    writer.begin("ping", "").end();
    const frame = writer.take()!.slice();
    frame[8] = 200;
    writeUint32(frame, 4, crc32(frame.subarray(8), crc32(frame.subarray(0, 4))));
    expect(() => decode(frame)).toThrow("unknown kind 200");
    expect(frameKindName(200)).toBeUndefined();
  });

  test("its spare bytes are zero, its group printable", () => {
    const reseal = (frame: Uint8Array): Uint8Array => {
      writeUint32(frame, 4, crc32(frame.subarray(8), crc32(frame.subarray(0, 4))));
      return frame;
    };
    const spare = whole("query", "g", bytes(0));
    spare[11] = 1;
    expect(() => decode(reseal(spare))).toThrow("spare");
    const name = whole("query", "g", bytes(0));
    name[16] = 0x07;
    expect(() => decode(reseal(name))).toThrow("printable");
  });

  test("a head that would end behind the frame is refused", () => {
    const frame = whole("query", "g", bytes(4));
    writeUint32(frame, 12, 5);
    expect(() => decode(frame)).toThrow("ends in its head");
  });
});

describe("the numbers of the kinds", () => {
  test("are different, and fit into a byte", () => {
    const numbers = Object.values(frameKinds);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(Math.max(...numbers)).toBeLessThan(256);
  });
});

describe("the frame writer", () => {
  test("writes the very bytes that encodeFrame makes", () => {
    const writer = new FrameWriter();
    writer.begin("query", "main").uint32(5).uint8(1).raw(encodeText("question")).end();
    writer.begin("entriesAnswer", "main").uint32(6).uint8(0).tail().raw(bytes(5000)).end();
    const head = concatBytes([Uint8Array.of(5, 0, 0, 0, 1), encodeText("question")]);
    expect(new Uint8Array(writer.take()!)).toEqual(
      concatBytes([
        whole("query", "main", head),
        whole("entriesAnswer", "main", Uint8Array.of(6, 0, 0, 0, 0), [bytes(5000)]),
      ]),
    );
  });

  test("what was taken is not touched by what is written after", () => {
    const writer = new FrameWriter();
    writer.begin("ping", "").end();
    const first = writer.take()!;
    const before = first.slice();
    writer.begin("pong", "").end();
    expect(new Uint8Array(first)).toEqual(new Uint8Array(before));
    expect(decode(writer.take()!).kind).toBe("pong");
    expect(writer.take()).toBeUndefined();
  });

  test("gives its memory to the next writer once it is reclaimed, and not before", () => {
    const memoryOf = (writer: FrameWriter): ArrayBufferLike => {
      writer.begin("answers", "g").raw(bytes(200_000)).end();
      return writer.take()!.buffer;
    };
    const [first, second, third] = [new FrameWriter(), new FrameWriter(), new FrameWriter()];
    const memory = memoryOf(first);
    expect(memoryOf(second)).not.toBe(memory);
    first.reclaim();
    expect(memoryOf(third)).toBe(memory);
    first.reclaim();
    expect(memoryOf(first)).not.toBe(memory);
  });

  test("counts complete frames and the open one apart", () => {
    const writer = new FrameWriter();
    writer.begin("ping", "").end();
    writer.begin("answers", "g").uint53(1);
    expect(writer.byteLength).toBe(16);
    expect(writer.openBytes).toBe(16 + 1 + 8);
    expect(() => writer.take()).toThrow("open");
    writer.end();
    expect(writer.openBytes).toBe(0);
    expect(writer.byteLength).toBe(16 + 25);
  });

  test("refuses a second frame inside the first, and one over the limit", () => {
    const writer = new FrameWriter();
    writer.begin("ping", "");
    expect(() => writer.begin("ping", "")).toThrow("one frame");
    writer.raw(new Uint8Array(limits.frameBytesMax));
    expect(() => writer.end()).toThrow("within its limit");
  });
});

describe("the checksum", () => {
  test("is the same by table and by zlib, for all lengths around the switch", () => {
    const all = Uint8Array.from({ length: 3000 }, (_, at) => (at * 31) & 0xff);
    for (const length of [0, 1, 7, 8, 1023, 1024, 1025, 3000]) {
      expect(checksum(all.subarray(0, length)), `${length} bytes`).toBe(crc32(all.subarray(0, length)));
      expect(checksumRange(all, 3, length, 99)).toBe(crc32(all.subarray(3, Math.max(3, length)), 99));
    }
  });
});
