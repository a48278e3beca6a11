import { describe, expect, it } from "vitest";
import { hex } from "../../test/support/state-log.ts";
import { AssertionError, encodeText, limits, MalformedError } from "../core/index.ts";
import { encodeAnswer } from "./answers.ts";
import { decodeRequest, encodeRequest, RequestIds, type RequestRecord } from "./request-ids.ts";

const commandHash = { a: 1, b: -2, c: 3, d: -4 };

function record(id: string, index: number, body = ""): RequestRecord {
  return { id, machine: "map", commandHash, answer: encodeAnswer("answered", index, encodeText(body)) };
}

describe("answers by request id", () => {
  it("are found under their id", () => {
    const ids = new RequestIds();
    ids.remember(record("refund:1", 5));
    expect(ids.find("refund:1")).toEqual(record("refund:1", 5));
    expect(ids.find("refund:2")).toBeUndefined();
    expect(ids.count).toBe(1);
  });

  it("S5: are the first ones only", () => {
    const ids = new RequestIds();
    ids.remember(record("a", 1));
    expect(() => {
      ids.remember(record("a", 2));
    }).toThrow(AssertionError);
  });

  it("tell what became of a request, and whether it was plain values", () => {
    const ids = new RequestIds();
    ids.remember(record("call", 1));
    ids.remember({ ...record("values", 2), machine: "", command: Uint8Array.of(9) });
    expect(ids.learn("never")).toEqual({ kind: "unknown" });
    expect(ids.learn("call")).toEqual({ kind: "applied", machine: "map", answer: record("call", 1).answer });
    expect(ids.learn("values")).toEqual({ kind: "decided", index: 2, command: Uint8Array.of(9) });
  });

  it("S6: are so many at most, and the oldest in the log goes first", () => {
    const ids = new RequestIds();
    for (let index = 1; index <= limits.requestIdsMax + 2; index++) ids.remember(record(`r${index}`, index));
    expect(ids.count).toBe(limits.requestIdsMax);
    expect(ids.find("r2")).toBeUndefined();
    expect(ids.find("r3")).toBeDefined();
    expect(ids.freeze()[0]?.id).toBe("r3");
  });

  it("S6: hold so many bytes at most, but the newest is always kept", () => {
    const ids = new RequestIds();
    const large = "x".repeat(limits.answersBytesMax / 4);
    for (let index = 1; index <= 5; index++) ids.remember(record(`r${index}`, index, large));
    expect(ids.count).toBe(3);
    ids.remember({ ...record("r6", 6), command: new Uint8Array(limits.answersBytesMax + 1) });
    expect(ids.freeze().map(({ id }) => id)).toEqual(["r6"]);
  });

  it("S9: have a digest of all they hold, whatever was there before", () => {
    const digestOf = (...records: readonly RequestRecord[]): string => {
      const ids = new RequestIds();
      for (const each of records) ids.remember(each);
      return hex(ids.digest());
    };
    const base = record("a", 1);
    const different = [
      digestOf(),
      digestOf(base),
      digestOf(record("b", 1)),
      digestOf(record("a", 2)),
      digestOf(record("a", 1, "x")),
      digestOf({ ...base, commandHash: { ...commandHash, d: 0 } }),
      digestOf({ ...base, command: new Uint8Array(0) }),
      digestOf({ ...base, command: Uint8Array.of(1) }),
      digestOf(base, record("b", 2)),
    ];
    expect(new Set(different).size).toBe(different.length);

    const evicting = new RequestIds();
    for (let index = 1; index <= limits.requestIdsMax + 1; index++)
      evicting.remember(record(`r${index}`, index));
    const fresh = new RequestIds();
    for (let index = 2; index <= limits.requestIdsMax + 1; index++)
      fresh.remember(record(`r${index}`, index));
    expect(hex(evicting.digest())).toBe(hex(fresh.digest()));
  });

  it("S10: frozen stay as they were, and restored are the same", () => {
    const ids = new RequestIds();
    ids.remember(record("a", 1, "x"));
    ids.remember({ ...record("b", 2), machine: "", command: Uint8Array.of(1, 2) });
    const frozen = ids.freeze();
    const digest = hex(ids.digest());
    ids.remember(record("c", 3));
    const restored = new RequestIds();
    for (const each of frozen) restored.restore(decodeRequest(encodeRequest(each)));
    expect(hex(restored.digest())).toBe(digest);
    expect(restored.freeze()).toEqual(frozen);
  });

  it("S11: are refused in a snapshot where an id comes twice, or out of order", () => {
    const ids = new RequestIds();
    ids.restore(record("a", 5));
    for (const wrong of [record("a", 6), record("b", 5), record("b", 4)]) {
      expect(() => {
        ids.restore(wrong);
      }).toThrow(MalformedError);
    }
    expect(() => {
      ids.restore({ ...record("b", 6), command: new Uint8Array(limits.answersBytesMax) });
    }).toThrow("too many bytes");
  });

  it("S11: are refused where bytes are missing or make no sense", () => {
    const bytes = encodeRequest(record("a", 5));
    for (let length = 0; length < bytes.byteLength; length++) {
      expect(() => decodeRequest(bytes.subarray(0, length))).toThrow(MalformedError);
    }
    expect(() => decodeRequest(Uint8Array.from([...bytes, 0]))).toThrow("left over");
    expect(() => decodeRequest(Uint8Array.from([...bytes.subarray(0, -1), 2]))).toThrow("there or not");
  });
});
