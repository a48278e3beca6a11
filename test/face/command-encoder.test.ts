import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeCommand, writeCommandHeader } from "../../src/core/entry.ts";
import { CommandEncoder } from "../../src/runtime/face/command-encoder.ts";
import { writeBytes } from "../../src/runtime/face/pending-command.ts";
import { encodeCommandEnvelope } from "../../src/state/index.ts";

describe("commands made in one piece", () => {
  test("are those that the envelope and the entry's own encoder make", () => {
    const encoder = new CommandEncoder("ann");
    const id = fc.string({ maxLength: 20 }).filter((text) => new TextEncoder().encode(text).byteLength <= 64);
    fc.assert(
      fc.property(
        fc.constantFrom("", "map", "größe"),
        id,
        fc.uint8Array({ maxLength: 9000 }),
        (machine, requestId, command) => {
          const header = { kind: "command", session: 7, sequence: 9, unsettled: 2 } as const;
          const made = encoder.encode(machine, requestId, writeBytes(command));
          writeCommandHeader(made, header);
          const envelope = encodeCommandEnvelope({ proposer: "ann", machine, requestId, command });
          expect(made).toEqual(encodeCommand(header, envelope));
        },
      ),
    );
  });

  test("never share bytes with one another", () => {
    const encoder = new CommandEncoder("ann");
    const made = Array.from({ length: 2000 }, (_, number) =>
      encoder.encode("m", "", writeBytes(Uint8Array.of(number & 0xff))),
    );
    for (const [sequence, entry] of made.entries()) {
      writeCommandHeader(entry, { kind: "command", session: 1, sequence: sequence + 1, unsettled: 1 });
    }
    expect(made.map((entry) => entry.at(-1))).toEqual(made.map((_, number) => number & 0xff));
  });

  test("have nothing in them of one that could not be written to its end", () => {
    const encoder = new CommandEncoder("ann");
    const before = encoder.encode("m", "", writeBytes(Uint8Array.of(1)));
    const expected = before.slice();
    const breaksOff = (): Uint8Array =>
      encoder.encode("m", "an id", (writer) => {
        writer.raw(new Uint8Array(5000).fill(255));
        throw new Error("no more");
      });
    for (let times = 0; times < 50; times++) expect(breaksOff).toThrow("no more");
    expect(encoder.encode("m", "", writeBytes(Uint8Array.of(1)))).toEqual(expected);
    expect(before).toEqual(expected);
  });
});
