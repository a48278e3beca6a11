import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex } from "../../test/support/state-log.ts";
import { encodeText, limits, MalformedError } from "../core/index.ts";
import {
  answerIndex,
  answerStatuses,
  decodeAnswer,
  encodeAnswer,
  encodeOutOfOrder,
  encodeRejection,
} from "./answers.ts";
import {
  decodeCommandEnvelope,
  decodeQuestion,
  encodeCommandEnvelope,
  encodeQuestion,
  EnvelopeCursor,
} from "./envelope.ts";

const messageOf = (thrown: unknown): string => {
  const answer = decodeAnswer(encodeRejection(1, thrown));
  return answer.kind === "rejected" ? answer.message : "";
};

describe("an answer", () => {
  it("has a status whose number is for good", () => {
    expect(answerStatuses).toEqual({
      answered: 0,
      sessionExpired: 1,
      outOfOrder: 2,
      rejected: 3,
      unknownMachine: 4,
      forgotten: 5,
    });
    expect(hex(encodeAnswer("answered", 258, Uint8Array.of(0xff)))).toBe("000201000000000000ff");
  });

  it("comes back as it was made, with bodies short and long", () => {
    fc.assert(
      fc.property(fc.nat(Number.MAX_SAFE_INTEGER), fc.uint8Array({ maxLength: 40 }), (index, bytes) => {
        const encoded = encodeAnswer("answered", index, bytes);
        expect(decodeAnswer(encoded)).toEqual({ kind: "answered", index, bytes });
        expect(answerIndex(encoded)).toBe(index);
      }),
    );
    expect(decodeAnswer(encodeOutOfOrder(9, 4))).toEqual({ kind: "outOfOrder", index: 9, expected: 4 });
    for (const kind of ["sessionExpired", "unknownMachine", "forgotten"] as const) {
      expect(decodeAnswer(encodeAnswer(kind, 3))).toEqual({ kind, index: 3 });
    }
  });

  it.each([
    ["too short", Uint8Array.of(0, 1, 2)],
    ["of an unknown status", Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0, 0)],
    ["expired with a body", encodeAnswer("sessionExpired", 1, Uint8Array.of(0))],
    ["out of order without what is due", encodeAnswer("outOfOrder", 1)],
    ["a rejection that is no text", encodeAnswer("rejected", 1, Uint8Array.of(0xff))],
  ])("is refused where it is %s", (_what, bytes) => {
    expect(() => decodeAnswer(bytes)).toThrow(MalformedError);
  });
});

describe("a rejection", () => {
  it("says what a machine says", () => {
    expect(messageOf(new Error("not enough on the account"))).toBe("not enough on the account");
    expect(messageOf("a plain text")).toBe("a plain text");
    class Custom extends Error {}
    expect(messageOf(new Custom("own class"))).toBe("own class");
  });

  it("S12: does not repeat an engine's wording, which differs from version to version", () => {
    const thrownBy = (run: () => unknown): unknown => {
      try {
        return run();
      } catch (error) {
        return error;
      }
    };
    const missing = thrownBy(() => (undefined as unknown as { x: { y: number } }).x.y);
    const tooDeep = thrownBy(() => {
      const sink = (): number => sink() + 1;
      return sink();
    });
    expect(messageOf(missing)).toBe("The machine threw a TypeError.");
    expect(messageOf(tooDeep)).toBe("The machine threw a RangeError.");
    expect(messageOf(thrownBy(() => JSON.parse("{") as unknown))).toBe("The machine threw a SyntaxError.");
  });

  it("has a bounded length, and survives whatever is thrown", () => {
    expect(messageOf(new Error("x".repeat(10_000)))).toHaveLength(300);
    expect(messageOf("y".repeat(10_000))).toHaveLength(300);
    expect(messageOf(new Error(`${"x".repeat(299)}😀`))).toHaveLength(300);
    for (const strange of [undefined, null, 7, {}, Symbol("s")]) {
      expect(messageOf(strange)).toBe("The machine threw something that is not an error.");
    }
    const hostile = new Error("hidden");
    Object.defineProperty(hostile, "message", {
      get() {
        throw new Error("again");
      },
    });
    expect(messageOf(hostile)).toBe("The machine threw an error without a readable message.");
  });
});

describe("an envelope", () => {
  const name = fc.string({ unit: "grapheme", maxLength: 15 });

  it("comes back as it was made", () => {
    fc.assert(
      fc.property(
        name,
        name,
        name,
        fc.uint8Array({ maxLength: 20 }),
        (proposer, machine, requestId, command) => {
          const envelope = { proposer, machine, requestId, command };
          expect(decodeCommandEnvelope(encodeCommandEnvelope(envelope))).toEqual(envelope);
          expect(decodeQuestion(encodeQuestion(machine, command))).toEqual({ machine, question: command });
        },
      ),
    );
  });

  it("is what it always was", () => {
    const bytes = encodeCommandEnvelope({
      proposer: "ann",
      machine: "m",
      requestId: "r1",
      command: Uint8Array.of(9),
    });
    expect(hex(bytes)).toBe("03616e6e" + "016d" + "027231" + "09");
    expect(hex(encodeQuestion("m", Uint8Array.of(9)))).toBe("016d09");
  });

  it("is refused where it ends within its names, and whole where nothing follows them", () => {
    const bytes = encodeCommandEnvelope({
      proposer: "ann",
      machine: "map",
      requestId: "r",
      command: new Uint8Array(0),
    });
    for (let length = 0; length < bytes.byteLength; length++) {
      expect(() => decodeCommandEnvelope(bytes.subarray(0, length))).toThrow(MalformedError);
    }
    expect(decodeCommandEnvelope(bytes).command).toHaveLength(0);
    expect(() => decodeQuestion(new Uint8Array(0))).toThrow(MalformedError);
    expect(() => decodeQuestion(Uint8Array.of(3, 0x61))).toThrow(MalformedError);
  });

  it("never looks behind the end that it is given", () => {
    const bytes = encodeCommandEnvelope({
      proposer: "a",
      machine: "b",
      requestId: "c",
      command: Uint8Array.of(1),
    });
    const cursor = new EnvelopeCursor();
    for (let end = 0; end < 6; end++) expect(cursor.read(bytes, 0, end)).toBe(false);
    expect(cursor.read(bytes, 0, 6)).toBe(true);
    expect(cursor.command).toBe(6);
  });

  it("refuses names that are too long, or not text, before anything is proposed", () => {
    const make = (change: object): unknown =>
      encodeCommandEnvelope({
        proposer: "a",
        machine: "b",
        requestId: "c",
        command: new Uint8Array(0),
        ...change,
      });
    for (const change of [
      { proposer: "x".repeat(256) },
      { machine: "x".repeat(256) },
      { requestId: "x".repeat(limits.requestIdBytesMax + 1) },
      { requestId: "é".repeat(limits.requestIdBytesMax / 2 + 1) },
    ]) {
      expect(() => make(change)).toThrow(expect.objectContaining({ code: "TOO_LARGE", outcome: "notDone" }));
    }
    expect(() => make({ requestId: "\uDC00" })).toThrow(expect.objectContaining({ code: "BAD_NAME" }));
    expect(make({ requestId: "x".repeat(limits.requestIdBytesMax) })).toBeInstanceOf(Uint8Array);
  });

  it("with a request id longer than the limit is not whole, however it was made", () => {
    const id = encodeText("x".repeat(limits.requestIdBytesMax + 1));
    const bytes = Uint8Array.from([0, 0, id.byteLength, ...id]);
    expect(() => decodeCommandEnvelope(bytes)).toThrow(MalformedError);
  });
});
