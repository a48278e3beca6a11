import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.ts";
import {
  ByteReader,
  ByteWriter,
  concatBytes,
  equalBytes,
  readUint16,
  readUint32,
  readUint53,
  writeUint16,
  writeUint32,
  writeUint53,
} from "./bytes.ts";
import { MalformedError } from "./errors.ts";

const uint53 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe("numbers in bytes", () => {
  it("stand in the order that DataView calls little-endian", () => {
    fc.assert(
      fc.property(uint53, fc.nat(5), (value, at) => {
        const bytes = new Uint8Array(16);
        const view = new DataView(bytes.buffer);
        writeUint53(bytes, at, value);
        expect(view.getBigUint64(at, true)).toBe(BigInt(value));
        expect(readUint53(bytes, at)).toBe(value);
        writeUint32(bytes, at, value % 2 ** 32);
        expect(view.getUint32(at, true)).toBe(value % 2 ** 32);
        expect(readUint32(bytes, at)).toBe(value % 2 ** 32);
        writeUint16(bytes, at, value % 2 ** 16);
        expect(view.getUint16(at, true)).toBe(value % 2 ** 16);
        expect(readUint16(bytes, at)).toBe(value % 2 ** 16);
      }),
    );
  });

  it("are read up to the last that is exact, and refused from the next on", () => {
    const bytes = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0);
    expect(readUint53(bytes, 0)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => readUint53(Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0), 0)).toThrow(MalformedError);
    expect(() => readUint53(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1), 0)).toThrow(MalformedError);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])("are not written where %d is none", (value) => {
    expect(() => {
      writeUint53(new Uint8Array(8), 0, value);
    }).toThrow(AssertionError);
  });
});

describe("bytes next to bytes", () => {
  it("are equal exactly where each byte is", () => {
    const bytes = fc.uint8Array({ maxLength: 4, max: 2 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(equalBytes(a, b)).toBe(a.join() === b.join());
      }),
    );
    expect(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false);
  });

  it("are joined in order, into bytes of their own", () => {
    const part = Uint8Array.of(1, 2);
    const whole = concatBytes([part, new Uint8Array(0), Uint8Array.of(3)]);
    part[0] = 9;
    expect(whole).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe("a writer and a reader", () => {
  type Field =
    | { readonly kind: "uint8" | "uint16" | "uint32" | "uint53"; readonly value: number }
    | { readonly kind: "text"; readonly value: string }
    | { readonly kind: "bytes"; readonly value: Uint8Array }
    | { readonly kind: "raw"; readonly value: Uint8Array };

  const below = (kind: "uint8" | "uint16" | "uint32" | "uint53", max: number): fc.Arbitrary<Field> =>
    fc.record({ kind: fc.constant(kind), value: fc.integer({ min: 0, max }) });

  const field: fc.Arbitrary<Field> = fc.oneof(
    below("uint8", 0xff),
    below("uint16", 0xffff),
    below("uint32", 0xffff_ffff),
    below("uint53", Number.MAX_SAFE_INTEGER),
    fc.record({ kind: fc.constant("text"), value: fc.string({ unit: "grapheme", maxLength: 20 }) }),
    fc.record({ kind: fc.constant("bytes"), value: fc.uint8Array({ maxLength: 90 }) }),
    fc.record({ kind: fc.constant("raw"), value: fc.uint8Array({ maxLength: 90 }) }),
  );

  const write = (fields: readonly Field[]): Uint8Array => {
    const writer = new ByteWriter(1);
    for (const item of fields) {
      if (item.kind === "text") writer.text(item.value);
      else if (item.kind === "bytes" || item.kind === "raw") writer[item.kind](item.value);
      else writer[item.kind](item.value);
    }
    return writer.finish();
  };

  it("give back every field, however the writer had to grow", () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 12 }), (fields) => {
        const reader = new ByteReader(write(fields));
        for (const item of fields) {
          const found = item.kind === "raw" ? reader.raw(item.value.byteLength) : reader[item.kind]();
          expect(found).toEqual(item.value);
        }
        reader.end();
      }),
    );
  });

  it("come one structure after another out of one writer, and stay as they were cut", () => {
    fc.assert(
      fc.property(fc.array(fc.array(field, { maxLength: 5 }), { maxLength: 12 }), (structures) => {
        const writer = new ByteWriter(100);
        const cut = structures.map((fields) => {
          writer.text("forgotten").drop();
          for (const item of fields) writer.bytes(write([item]));
          expect(writer.byteLength).toBe(fields.reduce((total, item) => total + 4 + write([item]).length, 0));
          return writer.zeros(3).cut();
        });
        for (const [place, fields] of structures.entries()) {
          const reader = new ByteReader(cut[place] ?? new Uint8Array(0));
          for (const item of fields) expect(reader.bytes()).toEqual(write([item]));
          expect([...reader.raw(3)]).toEqual([0, 0, 0]);
          reader.end();
        }
      }),
    );
  });

  it("have no room for a text whose length two bytes can't hold", () => {
    expect(() => new ByteWriter().text("x".repeat(65_536))).toThrow(AssertionError);
    expect(new ByteWriter().text("x".repeat(65_535)).finish()).toHaveLength(65_537);
  });

  it("never read past the end: a shorter message is refused in the field where it ends", () => {
    const whole = new ByteWriter()
      .uint8(1)
      .uint16(2)
      .uint32(3)
      .uint53(4)
      .text("five")
      .bytes(Uint8Array.of(6))
      .finish();
    for (let length = 0; length < whole.byteLength; length++) {
      const reader = new ByteReader(whole.subarray(0, length));
      expect(() => {
        reader.uint8();
        reader.uint16();
        reader.uint32();
        reader.uint53();
        reader.text();
        reader.bytes();
      }, `${length} bytes`).toThrow(MalformedError);
    }
  });

  it("refuse a longer message, and say how much is left", () => {
    const reader = new ByteReader(Uint8Array.of(1, 2, 3));
    reader.uint8();
    expect(reader.remaining).toBe(2);
    expect(() => {
      reader.end();
    }).toThrow("left over");
    expect(reader.rest()).toEqual(Uint8Array.of(2, 3));
    reader.end();
  });

  it("don't believe a length that is longer than what is there", () => {
    const lying = new ByteWriter().uint32(0xffff_ffff).uint8(1).finish();
    expect(() => new ByteReader(lying).bytes()).toThrow("ends in the middle");
  });

  it.each([
    ["uint8", 256],
    ["uint8", -1],
    ["uint16", 65_536],
    ["uint32", 2 ** 32],
  ] as const)("don't cut %s off at %d", (kind, value) => {
    expect(() => new ByteWriter()[kind](value)).toThrow(AssertionError);
  });

  it("refuse text that is not UTF-8", () => {
    expect(() => new ByteReader(Uint8Array.of(1, 0, 0xff)).text()).toThrow("not UTF-8");
  });
});
