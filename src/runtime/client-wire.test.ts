import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Refusal } from "../core/boundary.ts";
import { ByteReader, concatBytes } from "../core/bytes.ts";
import { progressStates } from "../core/decision.ts";
import { encodeCommand, stampEntry } from "../core/entry.ts";
import { MalformedError, QuorateError } from "../core/errors.ts";
import { logIndex, term, type AgentId } from "../core/ids.ts";
import { wireVersionMax } from "../core/wire-version.ts";
import * as wire from "./client-wire.ts";
import { decodeFrame, frameLength, FrameWriter, type Frame } from "./frame.ts";
import type { ProposeOptions } from "./gateway.ts";
import { clusterIdFrom, clusterIdText, commonVersion, decodeHello, encodeHello } from "./handshake.ts";

/** What one side writes, as the other reads it. */
function sent(write: (writer: FrameWriter) => void): Frame {
  const writer = new FrameWriter();
  write(writer.begin("failed", "g"));
  writer.end();
  const bytes = writer.take() as Uint8Array;
  return decodeFrame(bytes, 0, frameLength(bytes, 0, 4_000_000));
}

const reader = (write: (writer: FrameWriter) => void): ByteReader => new ByteReader(sent(write).head);

/** A run of three entries, 7 to 9. */
const run = concatBytes(
  [7, 8, 9].map((index) => {
    const entry = encodeCommand(
      { kind: "command", session: 1, sequence: index, unsettled: 1 },
      new Uint8Array(1),
    );
    stampEntry(entry, 0, logIndex(index), term(1), 0);
    return entry;
  }),
);

function readEntries(indices: readonly number[], tail = run): ReturnType<typeof wire.readEntriesAnswer> {
  const { head } = sent((writer) =>
    wire.writeEntriesAnswer(writer, { kind: "entries", bytes: new Uint8Array(0), withoutEffect: indices }),
  );
  return wire.readEntriesAnswer(new ByteReader(head), tail);
}

/** `fine`: a value, or a refusal of the right kind. */
function outcomeOf(action: () => unknown): string {
  try {
    action();
    return "fine";
  } catch (error) {
    return error instanceof MalformedError || error instanceof QuorateError ? "fine" : String(error);
  }
}

const refusals: readonly Refusal[] = [
  { kind: "notLeader" },
  { kind: "notLeader", leader: "agent_2" as AgentId },
  { kind: "overloaded", inFlight: 7, inFlightMax: 8 },
  { kind: "busy", because: "memberChange" },
  { kind: "busy", because: "transfer" },
  { kind: "busy", because: "election" },
  { kind: "badChange", fault: "noVoters" },
  { kind: "notReady", agents: ["agent_2" as AgentId] },
  { kind: "diskFull" },
  { kind: "closed" },
];

describe("answers to clients", () => {
  test.each(refusals)("a refusal %j comes back as it was, in every answer that may hold one", (refusal) => {
    const answer = { kind: "refused", refusal } as const;
    const query = reader((writer) => wire.writeQueryAnswer(writer, answer, wireVersionMax));
    expect(wire.readQueryAnswer(query, wireVersionMax)).toEqual(answer);
    const campaign = reader((writer) => wire.writeCampaignAnswer(writer, answer, wireVersionMax));
    expect(wire.readCampaignAnswer(campaign, wireVersionMax)).toEqual(answer);
    const order = reader((writer) => wire.writeOrderAnswer(writer, refusal, wireVersionMax));
    expect(wire.readOrderAnswer(order, wireVersionMax)).toEqual(refusal);
    const found: unknown[] = [];
    const { head } = sent((writer) => {
      wire.writeRefusal(writer, refusal, wireVersionMax);
      writer.uint53(1).uint53(2).uint53(3).uint53(4);
    });
    wire.readRefusals(head, wireVersionMax, (...one) => found.push(one));
    expect(found).toEqual([
      [1, 2, refusal],
      [3, 4, refusal],
    ]);
  });

  test.each([[{}], [{ onlyAsLeader: true }], [{ tracked: true }], [{ onlyAsLeader: true, tracked: true }]])(
    "how commands are handed in, %j, comes back as it was",
    (options) => {
      const { onlyAsLeader = false, tracked = false } = options as ProposeOptions;
      expect(wire.readProposeFlags(wire.proposeFlags(options))).toEqual({ onlyAsLeader, tracked });
    },
  );

  test("progress comes back as it was, state by state and in order", () => {
    const { head } = sent((writer) => {
      for (const [at, state] of progressStates.entries()) wire.writeProgress(writer, 2 ** 52, at, state);
    });
    const found: unknown[] = [];
    wire.readProgress(head, (...one) => found.push(one));
    expect(found).toEqual(progressStates.map((state, at) => [2 ** 52, at, state]));
  });

  test("history or entries that are gone come back as that", () => {
    const gone = { kind: "compacted", earliest: 9 } as const;
    expect(wire.readChangesAnswer(reader((writer) => wire.writeChangesAnswer(writer, gone)))).toEqual(gone);
    expect(
      wire.readEntriesAnswer(
        reader((writer) => wire.writeEntriesAnswer(writer, gone)),
        new Uint8Array(0),
      ),
    ).toEqual(gone);
  });

  test.each([[[]], [[7]], [[9]], [[7, 8, 9]]])(
    "entries come back as they were, and which of them had no effect: %j",
    (withoutEffect) => {
      const frame = sent((writer) =>
        wire.writeEntriesAnswer(writer, { kind: "entries", bytes: run, withoutEffect }),
      );
      const answer = wire.readEntriesAnswer(new ByteReader(frame.head), new Uint8Array(frame.tail));
      expect(answer).toEqual({
        kind: "entries",
        bytes: run,
        withoutEffect,
      });
    },
  );

  test("changes that are too many are cut between two indices, and asked on from there", () => {
    const large = new Uint8Array(300_000);
    const changes = [1, 2, 2, 3, 3, 4].map((index) => ({ index, bytes: large }));
    const answer = wire.readChangesAnswer(
      reader((writer) => wire.writeChangesAnswer(writer, { kind: "changes", changes, through: 9 })),
    );
    expect(answer).toMatchObject({ kind: "changes", through: 2 });
    expect(answer.kind === "changes" && answer.changes.map(({ index }) => index)).toEqual([1, 2, 2]);
    const rest = wire.readChangesAnswer(
      reader((writer) =>
        wire.writeChangesAnswer(writer, { kind: "changes", changes: changes.slice(3), through: 9 }),
      ),
    );
    expect(rest).toMatchObject({ kind: "changes", through: 9 });
  });

  test("all changes of one index stay together, however large", () => {
    const changes = Array.from({ length: 5 }, () => ({ index: 4, bytes: new Uint8Array(300_000) }));
    const answer = wire.readChangesAnswer(
      reader((writer) => wire.writeChangesAnswer(writer, { kind: "changes", changes, through: 4 })),
    );
    expect(answer.kind === "changes" && answer.changes).toHaveLength(5);
  });

  test.each(wire.failures)("the failure %s comes back as it was", (failure) => {
    const answer = reader((writer) => wire.writeFailure(writer, 3, failure));
    expect(answer.uint32()).toBe(3);
    expect(wire.readFailure(answer)).toBe(failure);
  });
});

describe("what is malformed is refused", () => {
  const decoders: readonly [string, (head: Uint8Array) => unknown][] = [
    ["query", (head) => wire.decodeQuery(head)],
    ["changes", (head) => wire.decodeChanges(head)],
    ["entries", (head) => wire.decodeEntries(head)],
    ["request", (head) => wire.decodeRequest(head)],
    ["status", (head) => wire.decodeStatusRequest(head)],
    ["order", (head) => wire.decodeOrder(head)],
    ["orderAnswer", (head) => wire.readOrderAnswer(new ByteReader(head), wireVersionMax)],
    ["answers", (head) => wire.readAnswers(head, () => {})],
    ["refusals", (head) => wire.readRefusals(head, wireVersionMax, () => {})],
    ["propose", (head) => wire.readProposeFlags(head[0] ?? 0)],
    ["progress", (head) => wire.readProgress(head, () => {})],
    ["queryAnswer", (head) => wire.readQueryAnswer(new ByteReader(head), wireVersionMax)],
    ["changesAnswer", (head) => wire.readChangesAnswer(new ByteReader(head))],
    ["entriesAnswer", (head) => wire.readEntriesAnswer(new ByteReader(head), head)],
    ["campaignAnswer", (head) => wire.readCampaignAnswer(new ByteReader(head), wireVersionMax)],
    ["statusAnswer", (head) => wire.readStatusReport(new ByteReader(head))],
    ["failure", (head) => wire.readFailure(new ByteReader(head))],
    ["hello", (head) => decodeHello(head)],
  ];

  test.each(decoders)("random bytes for %s give a value or a refusal, nothing else", (_name, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (head) => {
        expect(outcomeOf(() => decode(head))).toBe("fine");
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["a request 0", () => wire.decodeRequest(new Uint8Array(4))],
    ["bytes behind a request", () => wire.decodeRequest(new Uint8Array(5).fill(1))],
    ["a query of a third kind", () => wire.decodeQuery(Uint8Array.of(1, 0, 0, 0, 2))],
    ["a flag of 2", () => wire.decodeStatusRequest(Uint8Array.of(1, 0, 0, 0, 2))],
    ["an answer that ends early", () => wire.readAnswers(new Uint8Array(17), () => {})],
    ["commands with a third flag", () => wire.readProposeFlags(4)],
    ["progress that ends early", () => wire.readProgress(new Uint8Array(16), () => {})],
    ["progress that ends after some", () => wire.readProgress(new Uint8Array(18), () => {})],
    ["progress to a fourth state", () => wire.readProgress(new Uint8Array(17).fill(3, 16), () => {})],
    ["entries without effect before their run", () => readEntries([6])],
    ["entries without effect behind their run", () => readEntries([7, 10])],
    ["entries without effect twice", () => readEntries([8, 8])],
    ["entries without effect backwards", () => readEntries([9, 7])],
    ["no entries at all", () => readEntries([], new Uint8Array(0))],
    ["entries of which one is cut off", () => readEntries([], run.subarray(0, run.byteLength - 1))],
    [
      "entries with a wrong checksum",
      () =>
        readEntries(
          [],
          run.map((byte, at) => (at === 56 ? 1 : byte)),
        ),
    ],
    [
      "fewer indices without effect than announced",
      () => wire.readEntriesAnswer(new ByteReader(Uint8Array.of(0, 1, 0, 0, 0)), run),
    ],
    [
      "bytes behind the indices without effect",
      () => wire.readEntriesAnswer(new ByteReader(Uint8Array.of(0, 0, 0, 0, 0, 7)), run),
    ],
    [
      "entries that are gone, and some all the same",
      () => wire.readEntriesAnswer(new ByteReader(Uint8Array.of(1, 9, 0, 0, 0, 0, 0, 0, 0)), run),
    ],
    ["a status that is no object", () => wire.readStatusReport(new ByteReader(Buffer.from("7")))],
    ["a status without agents", () => wire.readStatusReport(new ByteReader(Buffer.from("{}")))],
    [
      "a status with an agent that is none",
      () => wire.readStatusReport(new ByteReader(Buffer.from('{"agents":[null]}'))),
    ],
    [
      "a status with an agent without an address",
      () => wire.readStatusReport(new ByteReader(Buffer.from('{"agents":[{"id":"a","address":7}]}'))),
    ],
  ])("%s", (_name, decode) => {
    expect(decode).toThrow(MalformedError);
  });
});

describe("the handshake", () => {
  const hello = {
    versionMin: 1,
    versionMax: 1,
    role: "client",
    cluster: new Uint8Array(16),
    from: "",
    to: "",
  } as const;

  test("finds the highest version that both speak, or none", () => {
    expect(commonVersion({ ...hello, versionMax: 7 }, 2)).toBe(2);
    expect(commonVersion({ ...hello, versionMax: 7 }, 1)).toBe(1);
    expect(commonVersion({ ...hello, versionMax: 1 }, 2)).toBe(1);
    expect(commonVersion({ ...hello, versionMin: 3, versionMax: 7 }, 2)).toBeUndefined();
    expect(commonVersion({ ...hello, versionMin: 2, versionMax: 7 }, 1)).toBeUndefined();
    expect(commonVersion({ ...hello, versionMin: 0, versionMax: 0 }, 2)).toBeUndefined();
  });

  test("ignores fields that a later version adds", () => {
    const longer = concatBytes([encodeHello(hello), Uint8Array.of(1, 2, 3)]);
    expect(decodeHello(longer)).toEqual(hello);
  });

  test("wants the magic, a known role, and a name of a peer", () => {
    const bytes = encodeHello(hello);
    expect(() => decodeHello(Uint8Array.from(bytes, (byte, at) => (at === 0 ? 0 : byte)))).toThrow("magic");
    expect(() => decodeHello(Uint8Array.from(bytes, (byte, at) => (at === 12 ? 9 : byte)))).toThrow(
      "purpose",
    );
    expect(() => decodeHello(encodeHello({ ...hello, role: "bulk", from: "../x" }))).toThrow("not a name");
    expect(() => decodeHello(encodeHello({ ...hello, from: "x".repeat(65) }))).toThrow("64");
  });

  test("a cluster's id is 32 hexadecimal digits for people", () => {
    const id = Uint8Array.from({ length: 16 }, (_, at) => at);
    expect(clusterIdFrom(clusterIdText(id))).toEqual(id);
    expect(() => clusterIdFrom("xyz")).toThrow(MalformedError);
  });
});
