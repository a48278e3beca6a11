/** Messages and records survive the way to bytes and back, and nothing else comes out of bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ByteWriter,
  concatBytes,
  encodeCommand,
  limits,
  encodeText,
  enterJoint,
  MalformedError,
  membersOf,
  planMembers,
  present,
  stampEntry,
  unknownMembers,
  wireVersionMax,
  type Address,
  type AgentId,
  type Encoded,
  type EntryKind,
  type LogIndex,
  type Members,
  type Micros,
  type Refusal,
  type Run,
  type Term,
  type Ticket,
} from "../core/index.ts";
import { raftCodec } from "./codec.ts";
import { encodeMembers } from "./fields.ts";
import type { HardState, RaftMessage, RaftPromise, RaftRecord } from "./messages.ts";

type Word = RaftMessage | RaftPromise;

const number = fc.maxSafeNat();
const index = number as fc.Arbitrary<LogIndex>;
const term = number as fc.Arbitrary<Term>;
const ticket = number as fc.Arbitrary<Ticket>;
const id = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/) as fc.Arbitrary<AgentId>;
const ids = (maxLength: number): fc.Arbitrary<AgentId[]> => fc.uniqueArray(id, { maxLength });

const refusal: fc.Arbitrary<Refusal> = fc.oneof(
  fc.constant<Refusal>({ kind: "notLeader" }),
  fc.record({ kind: fc.constant("notLeader" as const), leader: id }),
  fc.record({ kind: fc.constant("overloaded" as const), inFlight: number, inFlightMax: number }),
  fc.record({
    kind: fc.constant("busy" as const),
    because: fc.constantFrom("memberChange" as const, "transfer" as const, "election" as const),
  }),
  fc.record({
    kind: fc.constant("badChange" as const),
    fault: fc.constantFrom("joint" as const, "noVoters" as const, "tooManyVoters" as const),
  }),
  fc.record({ kind: fc.constant("notReady" as const), agents: ids(7) }),
  fc.constant<Refusal>({ kind: "diskFull" }),
  fc.constant<Refusal>({ kind: "closed" }),
);

/** At rest, planned, or joint. */
const members: fc.Arbitrary<Members> = fc
  .record({
    all: fc.uniqueArray(id, { minLength: 1, maxLength: 7 }),
    kinds: fc.array(fc.constantFrom("voter" as const, "learner" as const, "removed" as const), {
      maxLength: 7,
    }),
    address: fc.string({ maxLength: 20 }) as fc.Arbitrary<Address>,
    isJoint: fc.boolean(),
  })
  .map(({ all, kinds, address, isJoint }) => {
    const steps = kinds.slice(0, all.length).map((kind, position) => ({ kind, id: all[position]! }));
    const addresses = new Map(all.slice(-2).map((who) => [who, address]));
    const founding = membersOf(all.slice(0, 3), all.slice(3, 5));
    const result = planMembers(founding, { steps, addresses });
    if (result.kind === "fault") return founding;
    return isJoint && result.members.next.length > 0 ? enterJoint(result.members) : result.members;
  });
const memberRecord = fc.oneof({ weight: 9, arbitrary: members }, fc.constant(unknownMembers));

const membersEntry = (of: Members): Uint8Array =>
  encodeCommand({ kind: "members", session: 0, sequence: 0, unsettled: 0 }, encodeMembers(of));

const command = fc
  .record({
    session: number,
    sequence: number,
    unsettled: fc.nat(),
    payload: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ payload, ...header }) => encodeCommand({ kind: "command", ...header }, payload));

function stampedRun(first: number, terms: readonly number[], commands: readonly Uint8Array[]): Run {
  const stamped = commands.map((bytes, position) => {
    const entry = bytes.slice();
    stampEntry(entry, 0, (first + position) as LogIndex, terms[position]! as Term, 1000);
    return entry;
  });
  return {
    first: first as LogIndex,
    last: (first + commands.length - 1) as LogIndex,
    bytes: concatBytes(stamped),
  };
}

const run = fc
  .record({
    first: fc.integer({ min: 1, max: 2 ** 40 }),
    commands: fc.array(fc.oneof({ weight: 4, arbitrary: command }, members.map(membersEntry)), {
      minLength: 1,
      maxLength: 4,
    }),
    base: fc.integer({ min: 1, max: 1000 }),
  })
  .map(({ first, commands, base }) =>
    stampedRun(
      first,
      commands.map((_, position) => base + position),
      commands,
    ),
  );

const pledge = fc.integer({ min: 1 }) as fc.Arbitrary<Micros>;
const logEnd = { term, lastIndex: index, lastTerm: term };
const word: fc.Arbitrary<Word> = fc.oneof(
  fc.record({ kind: fc.constant("preVoteRequest" as const), ...logEnd }),
  fc.record(
    { kind: fc.constant("voteRequest" as const), ...logEnd, transfer: fc.constant(true as const) },
    { requiredKeys: ["kind", "term", "lastIndex", "lastTerm"] },
  ),
  fc.record({ kind: fc.constant("campaignNow" as const), term }),
  fc.record({ kind: fc.constant("preVoteAnswer" as const), term, granted: fc.boolean() }),
  fc.record({ kind: fc.constant("voteAnswer" as const), term, granted: fc.boolean() }),
  fc.record({ kind: fc.constant("appendMatched" as const), term, matched: index }),
  fc.record({
    kind: fc.constant("appendRejected" as const),
    term,
    prevIndex: index,
    hintIndex: index,
    hintTerm: term,
  }),
  fc.record(
    {
      kind: fc.constant("heartbeat" as const),
      term,
      commit: index,
      round: number,
      checkpoint: fc.record({ index, digest: fc.uint8Array({ maxLength: 64 }) }),
      nextPriority: fc.integer({ min: 1, max: limits.priorityMax }),
      heldFrom: index.filter((value) => value > 0),
    },
    { requiredKeys: ["kind", "term", "commit", "round"] },
  ),
  fc.record(
    {
      kind: fc.constant("heartbeatAnswer" as const),
      term,
      round: number,
      priority: fc.integer({ min: 0, max: limits.priorityMax }),
      pledge,
    },
    { requiredKeys: ["kind", "term", "round"] },
  ),
  fc.record({ kind: fc.constant("commit" as const), term, commit: index }),
  fc.record({ kind: fc.constant("hibernate" as const), term, last: index }),
  fc.record({ kind: fc.constant("hibernating" as const), term, last: index }),
  fc.record({ kind: fc.constant("wakeUp" as const), term }),
  fc.record({ kind: fc.constant("forward" as const), term, commands: fc.array(command, { maxLength: 4 }) }),
  fc.record({
    kind: fc.constant("forwardRefused" as const),
    commands: fc.array(fc.record({ session: number, sequence: number }), { maxLength: 4 }),
    refusal,
  }),
  fc.record({ kind: fc.constant("readRequest" as const), ticket }),
  fc.record({
    kind: fc.constant("readAnswer" as const),
    ticket,
    outcome: fc.oneof(refusal, fc.record({ kind: fc.constant("index" as const), index })),
  }),
  run.map((one): Word => ({
    kind: "append",
    term: 2000 as Term,
    prevIndex: (one.first - 1) as LogIndex,
    prevTerm: 0 as Term,
    commit: 3 as LogIndex,
    runs: [one],
  })),
);

const hardState: fc.Arbitrary<HardState> = fc.record(
  { term, votedFor: id, pledge },
  { requiredKeys: ["term"] },
);
const record: fc.Arbitrary<RaftRecord> = fc.oneof(
  fc.record(
    {
      kind: fc.constant("base" as const),
      index,
      term,
      time: number,
      members: memberRecord,
      snapshot: fc.record({ digest: fc.uint8Array({ maxLength: 64 }), byteLength: number }),
      hardState,
    },
    { requiredKeys: ["kind", "index", "term", "time", "members"] },
  ),
  hardState.map((one): RaftRecord => ({ kind: "hardState", ...one })),
  run.map((one): RaftRecord => ({ kind: "entries", run: one })),
);

const flat = ({ head, tail }: Encoded): Uint8Array => concatBytes([head, ...tail]);
/** Between agents of the newest version, unless another is named. */
const encoded = (message: Word, version = wireVersionMax): Encoded =>
  present(raftCodec.encodeMessage(message, version), "it can be said");
const decoded = ({ head, tail }: Encoded, version = wireVersionMax): Word =>
  raftCodec.decodeMessage(head, concatBytes(tail), version);

/** What comes out, or the input itself where it is refused; any error but `MalformedError` gets through. */
function reencoded(input: Uint8Array, work: () => Uint8Array): Uint8Array {
  try {
    return work();
  } catch (error) {
    if (error instanceof MalformedError) return input;
    throw error;
  }
}

describe("there and back", () => {
  test("every message", () => {
    fc.assert(
      fc.property(word, (message) => {
        expect(decoded(encoded(message))).toEqual(message);
      }),
    );
  });

  test("every record", () => {
    fc.assert(
      fc.property(record, (one) => {
        expect(raftCodec.decodeRecord(flat(raftCodec.encodeRecord(one)))).toEqual(one);
      }),
    );
  });

  test("runs that are sent one behind another arrive as one, byte for byte", () => {
    const commands = [
      encodeCommand({ kind: "command", session: 1, sequence: 1, unsettled: 0 }, new Uint8Array(5)),
    ];
    const runs = [stampedRun(4, [2], commands), stampedRun(5, [3], commands)];
    const message: Word = {
      kind: "append",
      term: 3 as Term,
      prevIndex: 3 as LogIndex,
      prevTerm: 2 as Term,
      commit: 0 as LogIndex,
      runs,
    };
    const back = decoded(encoded(message));
    expect(back).toMatchObject({ kind: "append", runs: [{ first: 4, last: 5 }] });
    expect(back.kind === "append" && back.runs[0]?.bytes).toEqual(concatBytes(runs.map((one) => one.bytes)));
  });

  test("runs pass through without a copy", () => {
    const one = stampedRun(
      1,
      [1],
      [encodeCommand({ kind: "command", session: 1, sequence: 1, unsettled: 0 }, new Uint8Array(5))],
    );
    expect(raftCodec.encodeRecord({ kind: "entries", run: one }).tail[0]).toBe(one.bytes);
  });
});

describe("nothing else", () => {
  test("what was cut short, or has something behind it, is malformed", () => {
    fc.assert(
      fc.property(word, (message) => {
        const { head, tail } = encoded(message);
        expect(() => decoded({ head: head.subarray(0, -1), tail })).toThrow(MalformedError);
        expect(() => decoded({ head: concatBytes([head, new Uint8Array(1)]), tail })).toThrow(MalformedError);
        expect(() => decoded({ head, tail: [...tail, new Uint8Array(1)] })).toThrow(MalformedError);
      }),
    );
  });

  test("any bytes: a message that encodes to the same bytes, or malformed, never another error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 10 }), (head, tail) => {
        const input = concatBytes([head, tail]);
        const again = reencoded(input, () => flat(encoded(decoded({ head, tail: [tail] }))));
        expect(again).toEqual(input);
      }),
      { numRuns: 2000 },
    );
  });

  test("any bytes of a record: the same", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const again = reencoded(bytes, () => flat(raftCodec.encodeRecord(raftCodec.decodeRecord(bytes))));
        expect(again).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  test("a flipped bit in an entry is found by its checksum", () => {
    fc.assert(
      fc.property(run, fc.nat(), fc.nat(7), (one, position, bit) => {
        const bytes = one.bytes.slice();
        bytes[position % bytes.byteLength]! ^= 1 << bit;
        const entries = raftCodec.encodeRecord({ kind: "entries", run: { ...one, bytes } });
        expect(() => raftCodec.decodeRecord(flat(entries))).toThrow(MalformedError);
      }),
    );
  });

  const plain = encodeCommand({ kind: "command", session: 1, sequence: 1, unsettled: 0 }, new Uint8Array(0));
  const append = (values: { term: number; prevTerm: number; prevIndex: number; run: Run }): Word => ({
    kind: "append",
    term: values.term as Term,
    prevIndex: values.prevIndex as LogIndex,
    prevTerm: values.prevTerm as Term,
    commit: 0 as LogIndex,
    runs: [values.run],
  });

  test("R4: an append whose entries are of a later term than its leader, or an earlier one than what they follow", () => {
    const good = append({ term: 5, prevTerm: 2, prevIndex: 3, run: stampedRun(4, [2, 5], [plain, plain]) });
    expect(decoded(encoded(good))).toEqual(good);
    const bad = [
      append({ term: 5, prevTerm: 2, prevIndex: 3, run: stampedRun(4, [5, 6], [plain, plain]) }),
      append({ term: 5, prevTerm: 3, prevIndex: 3, run: stampedRun(4, [2, 5], [plain, plain]) }),
      append({ term: 5, prevTerm: 6, prevIndex: 3, run: stampedRun(4, [5], [plain]) }),
      append({ term: 5, prevTerm: 2, prevIndex: 2, run: stampedRun(4, [5], [plain]) }),
    ];
    for (const message of bad) expect(() => decoded(encoded(message))).toThrow(MalformedError);
  });

  test("R16: more commands or bytes than a batch may have", () => {
    const many: Word = {
      kind: "forward",
      term: 1 as Term,
      commands: Array.from({ length: 4097 }, () => plain),
    };
    expect(() => decoded(encoded(many))).toThrow(MalformedError);
    const big = encodeCommand(
      { kind: "command", session: 1, sequence: 1, unsettled: 0 },
      new Uint8Array(600_000),
    );
    const heavy: Word = { kind: "forward", term: 1 as Term, commands: [big, big] };
    expect(() => decoded(encoded(heavy))).toThrow(MalformedError);
    const long = append({ term: 1, prevTerm: 1, prevIndex: 0, run: stampedRun(1, [1, 1], [big, big]) });
    expect(() => decoded(encoded(long))).toThrow(MalformedError);
  });

  test("a base as the first version wrote it is still read", () => {
    const writer = new ByteWriter().uint8(1).uint53(0).uint53(0);
    for (const list of [["a", "b"], [], ["c"]]) {
      writer.uint8(list.length);
      for (const name of list) writer.text(name);
    }
    expect(raftCodec.decodeRecord(writer.finish())).toEqual({
      kind: "base",
      index: 0,
      term: 0,
      time: 0,
      members: membersOf(["a", "b"] as AgentId[], ["c"] as AgentId[]),
    });
  });

  test("R23: an entry of members that contradict themselves, or of nobody, or with bytes behind them", () => {
    const a = "a" as AgentId;
    const good = encodeMembers(membersOf([a]));
    const bad = [
      encodeMembers({ ...membersOf([a]), learners: [a] }),
      encodeMembers({ ...membersOf([a]), next: ["x" as AgentId] }),
      encodeMembers(unknownMembers),
      concatBytes([good, Uint8Array.of(0)]),
      good.subarray(1),
      encodeText("whoever"),
    ];
    const entryOf = (payload: Uint8Array): Run => {
      const header = { kind: "members", session: 0, sequence: 0, unsettled: 0 } as const;
      return stampedRun(1, [1, 1, 1], [plain, encodeCommand(header, payload), plain]);
    };
    const appendOf = (payload: Uint8Array): Word =>
      append({ term: 1, prevTerm: 0, prevIndex: 0, run: entryOf(payload) });
    expect(decoded(encoded(appendOf(good)))).toEqual(appendOf(good));
    for (const payload of bad) {
      expect(() => decoded(encoded(appendOf(payload)))).toThrow(MalformedError);
      const written = flat(raftCodec.encodeRecord({ kind: "entries", run: entryOf(payload) }));
      expect(() => raftCodec.decodeRecord(written)).toThrow(MalformedError);
    }
  });

  test("R23: a follower does not smuggle in what only a leader may write", () => {
    const header = { session: 1, sequence: 1, unsettled: 0 };
    const forwarded = (kind: EntryKind): Word => ({
      kind: "forward",
      term: 1 as Term,
      commands: [plain, encodeCommand({ ...header, kind }, encodeMembers(membersOf(["x" as AgentId])))],
    });
    for (const kind of ["command", "openSession", "closeSession"] as const)
      expect(decoded(encoded(forwarded(kind)))).toEqual(forwarded(kind));
    for (const kind of ["noop", "members"] as const)
      expect(() => decoded(encoded(forwarded(kind)))).toThrow("what no client may propose");
  });

  test("members that are named twice, or are too many, or have no proper name", () => {
    const base = (voters: string[]): RaftRecord => ({
      kind: "base",
      index: 0 as LogIndex,
      term: 0 as Term,
      time: 0,
      members: membersOf(voters as AgentId[]),
    });
    for (const voters of [["a", "a"], ["a", "b", "c", "d", "e", "f", "g", "h"], ["a b"]]) {
      expect(() => raftCodec.decodeRecord(flat(raftCodec.encodeRecord(base(voters))))).toThrow(
        MalformedError,
      );
    }
  });
});

describe("R22: towards a peer of the first version", () => {
  const said = (message: Word): Word | undefined => {
    const bytes = raftCodec.encodeMessage(message, 1);
    return bytes && decoded(bytes, 1);
  };
  const lastEntry = { term: 2 as Term, lastIndex: 7 as LogIndex, lastTerm: 1 as Term };
  const refused = (why: Refusal): Word => ({ kind: "forwardRefused", commands: [], refusal: why });
  const later: readonly Refusal[] = [
    { kind: "busy", because: "election" },
    { kind: "badChange", fault: "noVoters" },
    { kind: "notReady", agents: ["a" as AgentId] },
  ];

  test("whatever can be said arrives, and says the same when it is passed on", () => {
    fc.assert(
      fc.property(word, (message) => {
        const arrived = said(message);
        expect(arrived && said(arrived)).toEqual(arrived);
      }),
    );
  });

  test.each(later)("a refusal that it does not know, %j, is one that it knows", (why) => {
    expect(said(refused(why))).toEqual(refused({ kind: "notLeader" }));
    const answer = { kind: "readAnswer", ticket: 1 as Ticket } as const;
    expect(said({ ...answer, outcome: why })).toEqual({ ...answer, outcome: { kind: "notLeader" } });
  });

  test("a refusal that it knows stays what it is", () => {
    const busy = refused({ kind: "busy", because: "transfer" });
    expect(said(busy)).toEqual(busy);
  });

  test.each(later)("it can't have said %j, so that is malformed", (why) => {
    expect(() => decoded(encoded(refused(why)), 1)).toThrow(MalformedError);
  });

  test("it is not summoned, and a candidate that was asks it for a vote like any other", () => {
    expect(said({ kind: "campaignNow", term: 2 as Term })).toBeUndefined();
    const request = { kind: "voteRequest", ...lastEntry } as const;
    expect(said({ ...request, transfer: true })).toEqual(request);
    expect(() => decoded(encoded({ ...request, transfer: true }), 1)).toThrow(MalformedError);
  });

  test("entries of a kind that it does not know are not sent, wherever in a run; others are", () => {
    const header = { session: 0, sequence: 0, unsettled: 0 };
    const plain = encodeCommand({ ...header, kind: "command" }, new Uint8Array(3));
    const change = membersEntry(membersOf(["a" as AgentId]));
    const append = (runs: Run[]): Word => ({
      kind: "append",
      term: 2 as Term,
      prevIndex: 0 as LogIndex,
      prevTerm: 0 as Term,
      commit: 0 as LogIndex,
      runs,
    });
    const known = append([stampedRun(1, [1, 1], [plain, plain])]);
    expect(said(known)).toEqual(known);
    const unknown = append([stampedRun(1, [1], [plain]), stampedRun(2, [1, 1], [plain, change])]);
    expect(said(unknown)).toBeUndefined();
    expect(() => decoded(encoded(unknown), 1)).toThrow(MalformedError);
  });
});
