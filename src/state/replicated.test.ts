import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Counter } from "../../test/support/counter.ts";
import { applyAll, type CommandOptions, hex, StateLog, value } from "../../test/support/state-log.ts";
import { concatBytes, encodeText, limits } from "../core/index.ts";
import { decodeAnswer } from "./answers.ts";
import { encodeQuestion } from "./envelope.ts";
import { mapMachine } from "./map.ts";
import { mapAnswerCodec, mapCommands, mapQuestions, mapReplyCodec } from "./map-codec.ts";
import { decodeLearned, encodeLearnQuestion, encodeProposal } from "./proposals.ts";
import { ReplicatedState } from "./replicated.ts";

const withMap = (): StateLog => new StateLog({ map: mapMachine() });

function withCounter(): { log: StateLog; counter: Counter; session: number; add: Adding } {
  const counter = new Counter();
  const log = new StateLog({ counter });
  const session = log.open(1);
  const add: Adding = (sequence, by, options = {}) =>
    log.command(options.session ?? session, sequence, Uint8Array.of(by), { machine: "counter", ...options });
  return { log, counter, session, add };
}

type Adding = (
  sequence: number,
  by: number,
  options?: CommandOptions & { session?: number },
) => ReturnType<StateLog["command"]>;

function get(state: ReplicatedState, key: string): string {
  const answer = decodeAnswer(state.query(encodeQuestion("map", mapQuestions.get(key))));
  if (answer.kind !== "answered") return answer.kind;
  const reply = mapReplyCodec.decode(answer.bytes);
  return reply.kind === "found" ? new TextDecoder().decode(reply.value) : reply.kind;
}

describe("sessions", () => {
  it("are opened by an entry and numbered by its index", () => {
    const log = withMap();
    expect(log.open(77)).toBe(1);
    expect(log.open(78)).toBe(2);
  });

  it("opened again with the nonce of an open one are that one: whoever lost the answer asks again", () => {
    const log = withMap();
    const first = log.append("openSession", 77, 0, new Uint8Array(0));
    const again = log.append("openSession", 77, 0, new Uint8Array(0));
    expect(again).toEqual(first);
    log.close(1);
    expect(log.open(77)).toBe(4);
  });

  it("closed twice are gone the second time", () => {
    const log = withMap();
    const session = log.open(1);
    expect(log.close(session)).toEqual({ kind: "answered", index: 2, bytes: new Uint8Array(0) });
    expect(log.close(session)).toEqual({ kind: "sessionExpired", index: 3 });
    expect(log.command(session, 1, mapCommands.put("a", value("x")))).toEqual({
      kind: "sessionExpired",
      index: 4,
    });
    expect(get(log.state, "a")).toBe("absent");
  });

  it("that were never opened change nothing, nor does session 0", () => {
    const log = withMap();
    for (const session of [0, 5, Number.MAX_SAFE_INTEGER]) {
      const answer = log.command(session, 1, mapCommands.put("a", value("x")));
      expect(answer.kind).toBe("sessionExpired");
    }
    expect(get(log.state, "a")).toBe("absent");
  });

  it("S6: that work are never the ones thrown out of a full table", () => {
    const { log, session, add } = withCounter();
    for (let nonce = 100; nonce < 99 + limits.sessionsMax; nonce++) log.open(nonce);
    expect(add(1, 1).kind).toBe("answered");
    log.open(50);
    expect(add(2, 1).kind).toBe("answered");
    expect(log.close(session).kind).toBe("answered");
    expect(log.close(2).kind).toBe("sessionExpired");
  });

  it("that were thrown out of a full table are told so: their repeats have no effect", () => {
    const { log, counter, session, add } = withCounter();
    add(1, 5);
    for (let nonce = 100; nonce < 100 + limits.sessionsMax; nonce++) log.open(nonce);
    expect(add(1, 5).kind).toBe("sessionExpired");
    expect(add(2, 5).kind).toBe("sessionExpired");
    expect(log.close(session).kind).toBe("sessionExpired");
    expect(counter.total).toBe(5);
    log.state.checkInvariants();
  });
});

describe("commands", () => {
  it("pitfall 27: S2: take effect once, and S3: a repeat gets the bytes of the first answer", () => {
    const { log, counter, session } = withCounter();
    const bytes = (): Uint8Array =>
      log.commandBytes(session, 1, Uint8Array.of(5), { machine: "counter", unsettled: 1 });
    const first = bytes();
    expect(bytes()).toEqual(first);
    expect(bytes()).toEqual(first);
    expect(counter.total).toBe(5);
  });

  it("S2: wait for the one before: a gap is answered with the sequence that is due", () => {
    const { counter, add } = withCounter();
    expect(add(2, 1)).toEqual({ kind: "outOfOrder", index: 2, expected: 1 });
    expect(add(1, 1).kind).toBe("answered");
    expect(add(3, 1)).toEqual({ kind: "outOfOrder", index: 4, expected: 2 });
    expect(add(2, 1).kind).toBe("answered");
    expect(counter.total).toBe(2);
  });

  it("S3: are remembered while their session may ask, and forgotten after", () => {
    const { add, counter } = withCounter();
    for (let sequence = 1; sequence <= 4; sequence++) add(sequence, 1, { unsettled: 10 });
    expect(add(1, 1).kind).toBe("answered");
    add(5, 1, { unsettled: 2 });
    expect(add(3, 1)).toEqual({ kind: "forgotten", index: 8 });
    expect(add(4, 1).index).toBe(5);
    expect(add(0, 1).kind).toBe("forgotten");
    expect(counter.total).toBe(5);
  });

  it("S3: say themselves how much may be asked, and a late repeat can't bring anything back", () => {
    const { add } = withCounter();
    for (let sequence = 1; sequence <= 3; sequence++) add(sequence, 1, { unsettled: 1 });
    expect(add(1, 1, { unsettled: 3 }).kind).toBe("forgotten");
    expect(add(2, 1).kind).toBe("forgotten");
    expect(add(3, 1).kind).toBe("answered");
    add(4, 1, { unsettled: 0 });
    expect(add(4, 1).kind).toBe("forgotten");
  });

  it("S7: that a machine refuses are answered with its message, and change nothing", () => {
    const { add, counter } = withCounter();
    add(1, 2);
    expect(add(2, 13)).toEqual({ kind: "rejected", index: 3, message: "13 is not counted" });
    expect(add(2, 13).index).toBe(3);
    expect(add(3, 14)).toEqual({ kind: "rejected", index: 5, message: "The machine threw a TypeError." });
    expect(add(4, 3).kind).toBe("answered");
    expect(counter.total).toBe(5);
  });

  it("for a machine that is not there use up their sequence, so that the session goes on", () => {
    const { add } = withCounter();
    expect(add(1, 1, { machine: "nobody" })).toEqual({ kind: "unknownMachine", index: 2 });
    expect(add(2, 1).kind).toBe("answered");
  });

  it("without a whole envelope are rejected, and use up their sequence too", () => {
    const { log, session, add } = withCounter();
    const answer = decodeAnswer(log.append("command", session, 1, Uint8Array.of(200)));
    expect(answer).toEqual({ kind: "rejected", index: 2, message: "The command has no whole envelope." });
    expect(add(2, 1).kind).toBe("answered");
  });

  it("pitfall 18: S12: are told their index, proposer, logged time, and the same random numbers everywhere", () => {
    const { log, add } = withCounter();
    const answer = add(1, 4, { proposer: "bob" });
    const other = new StateLog({ counter: new Counter() });
    applyAll(other.state, log.entries[0]!);
    const elsewhere = decodeAnswer(other.state.apply(log.entries[1]!, 0));
    expect(elsewhere).toEqual(answer);
    const text = answer.kind === "answered" ? new TextDecoder().decode(answer.bytes) : "";
    const [index, proposer, time, first, second, total] = text.split(" ");
    expect([index, proposer, time, total]).toEqual(["2", "bob", "1700000000003", "4"]);
    expect(first).not.toBe(second);
    const next = add(2, 4, { proposer: "eve" });
    const nextText = next.kind === "answered" ? new TextDecoder().decode(next.bytes) : "";
    expect(nextText).not.toContain(first);
    expect(nextText.split(" ")[1]).toBe("eve");
  });

  it("pitfall 18: S12: draw the same numbers, whatever was drawn before: after a restart from a snapshot, too", () => {
    const { log, add } = withCounter();
    add(1, 1);
    const other = new StateLog({ counter: new Counter() });
    other.state.restore(log.state.snapshot());
    const answer = add(2, 1);
    expect(decodeAnswer(other.state.apply(log.entries[2]!, 0))).toEqual(answer);
  });

  it("S1: are applied in the order of the log, each once: anything else is a bug of the caller", () => {
    const { log } = withCounter();
    log.append("noop", 0, 0, new Uint8Array(0));
    expect(() => log.state.apply(log.entries[1]!, 0)).toThrow("in the order of the log");
    expect(() => new ReplicatedState().apply(log.entries[1]!, 0)).toThrow("in the order of the log");
  });

  it("of the mechanism's own kinds have no answer", () => {
    const log = withMap();
    expect(log.append("noop", 0, 0, new Uint8Array(0))).toHaveLength(0);
    expect(log.append("members", 0, 0, encodeText("whoever"))).toHaveLength(0);
    expect(log.state.applied).toBe(2);
  });

  it("are read where they stand: an entry in the middle of a run is the same entry", () => {
    const { log, add } = withCounter();
    add(1, 1);
    add(2, 2, { requestId: "r" });
    add(3, 3, { requestId: "r" });
    const other = new ReplicatedState({ counter: new Counter() });
    applyAll(other, concatBytes(log.entries));
    expect(hex(other.digest())).toBe(hex(log.state.digest()));
  });

  it("leave a note where they had no effect, so that a stream of decided values can leave them out", () => {
    const { log, add } = withCounter();
    add(1, 1, { requestId: "r" });
    add(1, 1);
    add(9, 1);
    add(2, 13);
    add(3, 1, { requestId: "r" });
    add(4, 1);
    log.open(1);
    expect([1, 2, 3, 4, 5, 6, 7, 8].map((index) => log.state.tookEffect(index))).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
      true,
      false,
    ]);
  });
});

describe("request ids", () => {
  it("S5: give the first answer again, from another session and another proposer", () => {
    const { log, counter, session } = withCounter();
    const other = log.open(2);
    const ask = (from: number, sequence: number, proposer: string): Uint8Array =>
      log.commandBytes(from, sequence, Uint8Array.of(5), {
        machine: "counter",
        requestId: "refund",
        proposer,
      });
    const first = ask(session, 1, "ann");
    expect(ask(other, 1, "bob")).toEqual(first);
    expect(ask(session, 2, "ann")).toEqual(first);
    expect(ask(other, 1, "bob"), "a repeat of the repeat").toEqual(first);
    expect(counter.total).toBe(5);
  });

  it("S5: mean one command: with another one they are refused, and the first stays as it is", () => {
    const { add, counter } = withCounter();
    const first = add(1, 5, { requestId: "refund" });
    const refused = add(2, 6, { requestId: "refund" });
    expect(refused).toEqual({
      kind: "rejected",
      index: 3,
      message: 'The request id "refund" was used before, for another command.',
    });
    const elsewhere = add(3, 5, { requestId: "refund", machine: "" });
    expect(elsewhere.kind).toBe("rejected");
    expect(add(4, 5, { requestId: "refund" })).toEqual(first);
    expect(counter.total).toBe(5);
  });

  it("S5: repeat a rejection as well: the door that was shut stays shut", () => {
    const { add } = withCounter();
    const first = add(1, 13, { requestId: "r" });
    expect(add(2, 13, { requestId: "r" })).toEqual(first);
  });

  it("survive the session: closed, expired, or of another process", () => {
    const { log, counter, session, add } = withCounter();
    const first = add(1, 5, { requestId: "r" });
    log.close(session);
    const next = log.open(9);
    expect(add(1, 5, { requestId: "r", session: next })).toEqual(first);
    expect(counter.total).toBe(5);
  });

  it("are not kept for what never reached a machine", () => {
    const { add } = withCounter();
    add(2, 5, { requestId: "r" });
    add(1, 5, { requestId: "r", machine: "nobody" });
    expect(add(2, 5, { requestId: "r" })).toMatchObject({ kind: "answered", index: 4 });
  });

  it("that are not text are refused", () => {
    const { log, session, add } = withCounter();
    const answer = log.append(
      "command",
      session,
      1,
      Uint8Array.of(0, 7, ...encodeText("counter"), 1, 0xff, 5),
    );
    expect(decodeAnswer(answer)).toMatchObject({ kind: "rejected", message: "not UTF-8" });
    expect(add(2, 1).kind).toBe("answered");
  });
});

describe("plain decided values", () => {
  const learn = (log: StateLog, id: string): unknown => {
    const answer = decodeAnswer(log.state.query(encodeQuestion("", encodeLearnQuestion(id))));
    return answer.kind === "answered" ? decodeLearned(answer.bytes) : answer;
  };

  it("are decided all together: the answer is the index", () => {
    const log = new StateLog();
    const session = log.open(1);
    const values = encodeProposal([{ type: "update" }, 2, null]);
    const answer = log.command(session, 1, values, { machine: "" });
    expect(answer).toEqual({ kind: "answered", index: 2, bytes: new Uint8Array(0) });
  });

  it("can be learned by request id, long after, whatever became of the session", () => {
    const log = withMap();
    const session = log.open(1);
    log.command(session, 1, encodeProposal([{ a: [1] }, "b"]), { machine: "", requestId: "r1" });
    log.command(session, 2, mapCommands.put("k", value("x")), { requestId: "r2" });
    log.close(session);
    expect(learn(log, "r1")).toEqual({ kind: "decided", index: 2, values: [{ a: [1] }, "b"] });
    expect(learn(log, "r2")).toMatchObject({ kind: "applied", machine: "map" });
    expect(learn(log, "r3")).toEqual({ kind: "unknown" });
  });

  it("that make no list are rejected as a whole", () => {
    const log = new StateLog();
    const session = log.open(1);
    const wrong = [new Uint8Array(0), Uint8Array.of(1, 0, 0, 0), Uint8Array.of(9, 0, 0, 0, 1)];
    wrong.forEach((bytes, at) => {
      const answer = log.command(session, at + 1, bytes, { machine: "", requestId: `r${at}` });
      expect(answer.kind).toBe("rejected");
      expect(learn(log, `r${at}`)).toMatchObject({ kind: "applied", machine: "" });
    });
  });

  it("own the name without letters", () => {
    expect(() => new ReplicatedState({ "": mapMachine() })).toThrow("the group's own");
    expect(() => new ReplicatedState({ ["x".repeat(256)]: mapMachine() })).toThrow("at most 255 bytes");
  });
});

describe("questions and watches", () => {
  it("are answered by the machine they name, at the index applied", () => {
    const log = withMap();
    const session = log.open(1);
    log.command(session, 1, mapCommands.put("a", value("x")));
    expect(get(log.state, "a")).toBe('"x"');
    expect(decodeAnswer(log.state.query(encodeQuestion("map", mapQuestions.size())))).toMatchObject({
      index: 2,
    });
  });

  it("S8: that make no sense are answered, too", () => {
    const { log } = withCounter();
    const kindOf = (question: Uint8Array): unknown => decodeAnswer(log.state.query(question));
    expect(kindOf(encodeQuestion("nobody", new Uint8Array(0)))).toEqual({ kind: "unknownMachine", index: 1 });
    expect(kindOf(encodeQuestion("counter", Uint8Array.of(13)))).toMatchObject({
      message: "13 is not asked",
    });
    expect(kindOf(new Uint8Array(0))).toMatchObject({ kind: "rejected" });
    expect(kindOf(Uint8Array.of(1, 0xff))).toMatchObject({ kind: "rejected" });
    expect(kindOf(encodeQuestion("", Uint8Array.of(0xff)))).toMatchObject({ kind: "rejected" });
  });

  it("see the changes of the machine they name", () => {
    const log = withMap();
    const session = log.open(1);
    log.command(session, 1, mapCommands.put("a/1", value("x")));
    log.command(session, 2, mapCommands.put("b", value("y")));
    const changes = log.state.changes(encodeQuestion("map", encodeText("a/")), 1, 10);
    expect(changes).toMatchObject({ kind: "changes", changes: [{ index: 2 }], through: 3 });
  });

  it("S8: see nothing where there is nothing to watch", () => {
    const { log } = withCounter();
    const nothing = { kind: "changes", changes: [], through: 4 };
    for (const filter of [
      encodeQuestion("nobody", new Uint8Array(0)),
      encodeQuestion("counter", new Uint8Array(0)),
      new Uint8Array(0),
    ]) {
      expect(log.state.changes(filter, 5, 10)).toEqual(nothing);
    }
    expect(withMap().state.changes(encodeQuestion("map", Uint8Array.of(0xff)), 0, 10)).toEqual({
      ...nothing,
      through: 0,
    });
  });
});

describe("digests", () => {
  it("S9: differ in their digests as soon as they differ in anything", () => {
    const { log } = withCounter();
    const digests = new Set([hex(log.state.digest())]);
    const note = (): unknown => digests.add(hex(log.state.digest()));
    log.append("noop", 0, 0, new Uint8Array(0));
    note();
    log.command(1, 1, Uint8Array.of(0), { machine: "counter" });
    note();
    log.command(1, 1, Uint8Array.of(0), { machine: "counter" });
    note();
    log.command(1, 2, Uint8Array.of(0), { machine: "counter", requestId: "r" });
    note();
    log.open(9);
    note();
    expect(digests.size).toBe(6);
    expect(new StateLog({ a: mapMachine() }).state.digest()).not.toEqual(
      new StateLog({ b: mapMachine() }).state.digest(),
    );
    const [ab, ba] = [
      new StateLog({ a: mapMachine(), b: mapMachine() }),
      new StateLog({ b: mapMachine(), a: mapMachine() }),
    ];
    expect(ab.state.digest()).toEqual(ba.state.digest());
  });
});

describe("whatever is in an entry", () => {
  it("S8: never makes the state throw, for any bytes as payload", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }), (payloads) => {
        const log = withMap();
        const session = log.open(1);
        payloads.forEach((payload, at) => {
          log.append(
            "command",
            session,
            at + 1,
            Uint8Array.from([0, 3, ...encodeText("map"), 0, ...payload]),
          );
        });
        log.append("command", session, payloads.length + 1, concatBytes(payloads));
        log.state.checkInvariants();
      }),
    );
  });

  it("S8: is answered in the machine's own form where it makes sense", () => {
    const log = withMap();
    const answer = log.command(log.open(1), 1, mapCommands.cas("a", 0, value("x")));
    expect(answer.kind === "answered" && mapAnswerCodec.decode(answer.bytes)).toEqual({
      kind: "swapped",
      version: 2,
    });
  });
});
